"""Amplitudes of one station: cut, simulate, judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import obspy
from numpy.typing import NDArray

from pickflow.magnitude.clipping import is_clipped
from pickflow.magnitude.laws import AttenuationLaw
from pickflow.magnitude.params import MagnitudeParams
from pickflow.magnitude.responses import ChannelResponse, epoch_at
from pickflow.magnitude.windows import NS_PER_S
from pickflow.magnitude.wood_anderson import (
    MM_PER_M,
    band,
    fft_length,
    frequencies_hz,
    seismometer,
    simulate,
)

# Before the noise, so that the beginning of the record has died away in the filters.
LEAD_S = 5.0
# The noise ends so long before P, which may be predicted and come early.
BEFORE_P_S = 1.0
# With less noise nothing can be said about the ratio of signal to noise.
LEAST_NOISE_S = 2.0
# Where the inventory does not say the dip. Of 123 the first is taken for the vertical; UVW all lean.
NOT_HORIZONTAL = "ZUVW"
HORIZONTALS = ("NE", "23", "12")


class Measured(NamedTuple):
    """Amplitude (NaN: none) and ratio of signal to noise (NaN: not measured), with a reason of `AMPLITUDE_REASONS`."""

    amplitude_mm: float
    snr_db: float
    reason: str


class _Peak(NamedTuple):
    amplitude_mm: float
    snr_db: float


def _nothing(reason: str) -> Measured:
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
        Says which seismometer is simulated.
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
        self._pieces: dict[tuple[str, str], list[obspy.Trace]] = {}
        for trace in stream:
            self._pieces.setdefault((trace.stats.location, trace.stats.channel), []).append(trace)
        self._responses, self._law, self._params = responses, law, params
        self._saturated = "saturated" in str(row.get("remarks", "")).split(",")
        self._swings: dict[tuple[str, str], float] = {}
        self._transfers: dict[tuple[int, int, float], tuple[NDArray[np.complex128], bool] | None] = {}

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
            return _nothing("one_component")
        peaks, flat = [], False
        for channel in pair:
            found = self._peak(channel, p_ns, end_ns)
            if isinstance(found, str):
                return _nothing(found)
            peaks.append(found[0])
            flat |= found[1]
        amplitude = float(f"{np.sqrt(peaks[0].amplitude_mm * peaks[1].amplitude_mm):.6g}")
        snr_db = round(min(peak.snr_db for peak in peaks), 3)
        if snr_db < self._params.min_snr_db:
            return Measured(float("nan"), snr_db, "low_snr")
        return Measured(amplitude, snr_db, "flat_response" if flat else "ok")

    def _horizontals(self, time_ns: int) -> list[tuple[str, str]]:
        """Both horizontal channels: by the inventory's dips, else by their letters."""
        known = {
            code: epoch.horizontal
            for code in self._pieces
            if (epoch := epoch_at(self._responses.get(code, []), time_ns)) and epoch.horizontal is not None
        }
        candidates = sorted(code for code in self._pieces if known.get(code, code[1][-1:] not in NOT_HORIZONTAL))
        if len(candidates) <= 2:
            return candidates
        letters = {code[1][-1:]: code for code in candidates}
        named = next((pair for pair in HORIZONTALS if set(pair) <= set(letters)), "")
        return [letters[letter] for letter in named]

    def _peak(self, channel: tuple[str, str], p_ns: int, end_ns: int) -> tuple[_Peak, bool] | str:
        """Peak of a channel and whether its response was taken as flat, or the reason why there is none."""
        cut = self._cut(channel, p_ns, end_ns)
        if cut is None:
            return "gap"
        samples, rate, n_before = cut
        swing = self._swing(channel) if self._saturated else None
        if is_clipped(samples[n_before:], swing):
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
        for piece in self._pieces[channel]:
            rate = piece.stats.sampling_rate
            begin_ns = piece.stats.starttime.ns
            onset, last = (int(np.ceil((time_ns - begin_ns) * rate / NS_PER_S)) for time_ns in (p_ns, end_ns))
            if onset >= least_s * rate and onset < last <= piece.stats.npts:
                first = max(0, onset - int(lead_s * rate))
                return piece.data[first:last], rate, onset - first
        return None

    def _swing(self, channel: tuple[str, str]) -> float:
        if channel not in self._swings:
            day = np.concatenate([piece.data for piece in self._pieces[channel]])
            self._swings[channel] = float(np.abs(day - np.median(day)).max())
        return self._swings[channel]

    def _transfer(
        self, channel: tuple[str, str], time_ns: int, n_fft: int, rate: float
    ) -> tuple[NDArray[np.complex128], bool] | None:
        """Trace of the seismometer in mm over counts, and whether the response was taken as flat."""
        epoch = epoch_at(self._responses.get(channel, []), time_ns)
        if epoch is None:
            return None
        key = (id(epoch), n_fft, rate)
        if key not in self._transfers:
            frequency = frequencies_hz(n_fft, rate)
            found = epoch.spectrum(frequency)
            if found is not None:
                wanted = seismometer(frequency, self._law.gain, self._law.damping) * MM_PER_M
                found = wanted * band(frequency, self._params.minimum_frequency_hz, rate) / found[0], found[1]
            self._transfers[key] = found
        return self._transfers[key]
