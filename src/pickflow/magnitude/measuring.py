"""Amplitudes of one station: cut a window, simulate the seismometer, check the peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import obspy
from numpy.typing import NDArray

from pickflow.magnitude.laws import AttenuationLaw
from pickflow.magnitude.responses import ChannelResponse, epoch_at
from pickflow.magnitude.wood_anderson import (
    MM_PER_M,
    band,
    fft_length,
    frequencies_hz,
    seismometer,
    simulate,
)
from pickflow.quality.clipping import is_clipped_window
from pickflow.run.settings.magnitude import MagnitudeParams
from pickflow.sampling.pieces import make_pieces

# Chosen, before the noise: the transient of the filters has decayed.
LEAD_S = 5.0
# Chosen: the noise ends this long before P, which may be a prediction and early.
BEFORE_P_S = 1.0
# Chosen, in samples: a time this little after a sample belongs to it, because times are rounded to nanoseconds.
ON_SAMPLE = 1e-4
# Chosen: with less noise the ratio of signal to noise is unknown.
LEAST_NOISE_S = 2.0
# Without a dip in the inventory. Of 123 and 012 the first counts as the vertical; UVW are all inclined.
NOT_HORIZONTAL = "Z0UVW"
HORIZONTALS = ("NE", "23", "12")


class Measured(NamedTuple):
    """Amplitude (NaN: none) and ratio of signal to noise (NaN: not measured), with a reason of `AMPLITUDE_REASONS`."""

    amplitude_mm: float
    snr_db: float
    reason: str


class _Peak(NamedTuple):
    amplitude_mm: float
    snr_db: float


def _no_amplitude(reason: str) -> Measured:
    return Measured(float("nan"), float("nan"), reason)


class StationRecord:
    """
    The record of a station-day, ready to be measured.

    Parameters
    ----------
    stream : Stream
        One instrument, pieces as separate traces.
    row : mapping
        Its row of the manifest.
    responses : mapping of (location, channel) to list of ChannelResponse
        Of the station.
    law : AttenuationLaw
        Its seismometer is simulated.
    params : MagnitudeParams
        Filter, noise, ratio of signal to noise.
    """

    def __init__(
        self,
        stream: obspy.Stream,
        row: Mapping[str, Any],
        responses: Mapping[tuple[str, str], list[ChannelResponse]],
        law: AttenuationLaw,
        params: MagnitudeParams,
    ) -> None:
        traces: dict[tuple[str, str], list[obspy.Trace]] = {}
        for trace in stream:
            traces.setdefault((trace.stats.location, trace.stats.channel), []).append(trace)
        self._rates_hz = {channel: group[0].stats.sampling_rate for channel, group in traces.items()}
        self._pieces = {channel: make_pieces(group, self._rates_hz[channel]) for channel, group in traces.items()}
        self._responses, self._law, self._params = responses, law, params
        self._saturated = "saturated" in str(row.get("remarks", "")).split(",")
        self._swings: dict[tuple[str, str], float] = {}
        self._transfers: dict[tuple[int, int, float], tuple[NDArray[np.complex128], str] | None] = {}

    def measure(self, p_ns: int, end_ns: int) -> Measured:
        """
        Geometric mean of the peaks of both horizontal components between P and the end of the window.

        Parameters
        ----------
        p_ns, end_ns : int
            ns since 1970.
        """
        pair = self._horizontals(p_ns)
        if len(pair) != 2:
            return _no_amplitude("one_component")
        peaks, reasons = [], set()
        for channel in pair:
            outcome = self._peak(channel, p_ns, end_ns)
            if isinstance(outcome, str):
                return _no_amplitude(outcome)
            peaks.append(outcome[0])
            reasons.add(outcome[1])
        amplitude = float(f"{np.sqrt(peaks[0].amplitude_mm * peaks[1].amplitude_mm):.6g}")
        snr_db = round(min(peak.snr_db for peak in peaks), 3)
        if snr_db < self._params.min_snr_db:
            return Measured(float("nan"), snr_db, "low_snr")
        reason = next(reason for reason in ("metadata_mismatch", "flat_response", "ok") if reason in reasons)
        return Measured(amplitude, snr_db, reason)

    def _horizontals(self, time_ns: int) -> list[tuple[str, str]]:
        """Both horizontal channels: by the inventory's dips, else by their letters."""
        by_dip = {
            code: epoch.horizontal
            for code in self._pieces
            if (epoch := epoch_at(self._responses.get(code, []), time_ns)) and epoch.horizontal is not None
        }
        candidates = sorted(code for code in self._pieces if by_dip.get(code, code[1][-1:] not in NOT_HORIZONTAL))
        if len(candidates) <= 2:
            return candidates
        letters = {code[1][-1:]: code for code in candidates}
        named = next((pair for pair in HORIZONTALS if set(pair) <= set(letters)), "")
        return [letters[letter] for letter in named]

    def _peak(self, channel: tuple[str, str], p_ns: int, end_ns: int) -> tuple[_Peak, str] | str:
        """Peak of a channel and a reason code of its response, or the reason why there is none."""
        cut = self._cut(channel, p_ns, end_ns)
        if cut is None:
            return "gap"
        samples, rate, n_before = cut
        swing = self._swing(channel) if self._saturated else None
        if is_clipped_window(samples[n_before:], swing):
            return "clipped"
        n_fft = fft_length(samples.size, rate)
        transfer = self._transfer(channel, p_ns, n_fft, rate)
        if transfer is None:
            return "no_response"
        trace = simulate(samples, transfer[0], n_fft, rate)
        noise = trace[int(LEAD_S * rate) : n_before - int(BEFORE_P_S * rate)]
        signal_mm, noise_mm = np.abs(trace[n_before:]).max(), np.abs(noise).max()
        if signal_mm == 0:
            return "low_snr"
        return _Peak(signal_mm, 20 * np.log10(signal_mm / max(noise_mm, 1e-9 * signal_mm))), transfer[1]

    def _cut(self, channel: tuple[str, str], p_ns: int, end_ns: int) -> tuple[NDArray, float, int] | None:
        """Samples with lead and noise up to the end, sampling rate, and number of samples before P; None: a gap."""
        lead_s = LEAD_S + self._params.noise_s + BEFORE_P_S
        least_s = LEAD_S + LEAST_NOISE_S + BEFORE_P_S
        rate = self._rates_hz[channel]
        for piece in self._pieces[channel]:
            onset, last = (int(np.ceil(piece.timeline.position(time_ns) - ON_SAMPLE)) for time_ns in (p_ns, end_ns))
            if onset >= least_s * rate and onset < last <= piece.samples.size:
                first = max(0, onset - int(lead_s * rate))
                return piece.samples[first:last], rate, onset - first
        return None

    def _swing(self, channel: tuple[str, str]) -> float:
        if channel not in self._swings:
            day = np.concatenate([piece.samples[:] for piece in self._pieces[channel]])
            self._swings[channel] = float(np.abs(day - np.median(day)).max())
        return self._swings[channel]

    def _transfer(
        self, channel: tuple[str, str], time_ns: int, n_fft: int, rate: float
    ) -> tuple[NDArray[np.complex128], str] | None:
        """Trace of the seismometer in mm over counts, and a reason code of the response."""
        epoch = epoch_at(self._responses.get(channel, []), time_ns)
        if epoch is None:
            return None
        key = (id(epoch), n_fft, rate)
        if key not in self._transfers:
            frequency = frequencies_hz(n_fft, rate)
            transfer = epoch.spectrum(frequency)
            if transfer is not None:
                target = seismometer(frequency, self._law.gain, self._law.damping) * MM_PER_M
                transfer = target * band(frequency, self._params.minimum_frequency_hz, rate) / transfer[0], transfer[1]
            self._transfers[key] = transfer
        return self._transfers[key]
