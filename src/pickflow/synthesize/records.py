"""Counts of a station: earthquakes as its instruments record them, on top of noise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np
import pandas as pd
import scipy.fft
import scipy.signal
from numpy.typing import NDArray
from obspy import Stream, Trace, UTCDateTime
from obspy.geodetics import gps2dist_azimuth

from pickflow.run.settings.synthesize import Site, SynthesizeParams
from pickflow.synthesize.events import SyntheticEvent, stream_of
from pickflow.synthesize.instruments import FULL_SCALE_COUNTS, INSTRUMENTS, Instrument
from pickflow.synthesize.noise import coloured_noise, cultural_bursts
from pickflow.synthesize.waves import Motion, Path, ground_motion

Array = NDArray[np.float64]

COMPONENTS = "ZNE"
SNR_BAND_HZ = (2.0, 20.0)  # chosen: the band of local earthquakes
_SNR_WINDOW_S = {"P": 4.0, "S": 8.0}  # chosen
_LEAD_S = 5.0  # chosen: noise before the first arrival
_CODA_S = 60.0  # chosen: most of the coda is over after it


@dataclass(frozen=True, kw_only=True)
class StationRecord:
    """Records of a station and their picks: columns of ``picks`` as in ``schemas.TRUTH_PICKS``."""

    stream: Stream
    picks: pd.DataFrame


def record_station(site: Site, events: list[SyntheticEvent], params: SynthesizeParams) -> StationRecord:
    """
    Record all earthquakes at a station, without faults.

    Parameters
    ----------
    site : Site
        The station.
    events : list of SyntheticEvent
        The earthquakes.
    params : SynthesizeParams
        Medium, window and seed.

    Returns
    -------
    StationRecord
        One gapless int32 trace per channel, and one pick per event and phase.
    """
    begin, end = params.window
    starttime = begin - timedelta(seconds=params.padding_s)
    duration_s = (end - begin).total_seconds() + 2 * params.padding_s
    n_samples = round(duration_s * params.sampling_rate_hz)
    counts = {(band, name): _noise(site, band, name, n_samples, params) for band in site.bands for name in COMPONENTS}
    quiet = _noise_level({name: counts[site.bands[0], name] for name in COMPONENTS}, params.sampling_rate_hz)
    rows = []
    for event in events:
        motion, lead_s = _motion(site, event, params)
        offset_s = (event.time - starttime).total_seconds() - lead_s
        first = int(np.floor(offset_s * params.sampling_rate_hz))
        fraction_s = offset_s - first / params.sampling_rate_hz
        for band in site.bands:
            waves = _counts(motion, INSTRUMENTS[band], fraction_s)
            for index, name in enumerate(COMPONENTS):
                _add(counts[band, name], waves[index], first)
            if band == site.bands[0]:
                snr = _snr_db(waves, motion, lead_s + fraction_s, quiet, params.sampling_rate_hz)
        rows += [
            (event.event_id, site.network, site.station, phase, event.time + timedelta(seconds=onset), snr[phase], True)
            for phase, onset in motion.onset_s.items()
        ]
    columns = ["event_id", "network", "station", "phase", "time", "snr_db", "recorded"]
    traces = [_trace(site, band, name, data, starttime, params) for (band, name), data in counts.items()]
    return StationRecord(stream=Stream(traces), picks=pd.DataFrame(rows, columns=columns))


def _motion(site: Site, event: SyntheticEvent, params: SynthesizeParams) -> tuple[Motion, float]:
    distance_m, azimuth, _ = gps2dist_azimuth(
        event.latitude_deg, event.longitude_deg, site.latitude_deg, site.longitude_deg
    )
    name = (event.event_id, site.network, site.station)
    jitter_s = float(stream_of(params.seed, "path", *name).normal(0, 0.02))
    path = Path(
        distance_km=distance_m / 1e3,
        azimuth_deg=azimuth,
        receiver_depth_km=-site.elevation_m / 1e3,
        kappa_s=site.kappa_s,
        amplification=site.amplification,
        delay_s={"P": site.delay_s + jitter_s, "S": 1.7 * (site.delay_s + jitter_s)},
    )
    slowest_km_s = min(layer.vs_km_s for layer in params.layers)
    duration_s = _LEAD_S + np.hypot(path.distance_km, event.earthquake.depth_km) / slowest_km_s + 2 * _CODA_S
    motion = ground_motion(
        event.earthquake,
        path,
        params.layers,
        params.scattering,
        scipy.fft.next_fast_len(int(duration_s * params.sampling_rate_hz), real=True),
        params.sampling_rate_hz,
        _LEAD_S,
        lambda component: stream_of(params.seed, "coda", *name, component),
    )
    return motion, _LEAD_S


def _counts(motion: Motion, instrument: Instrument, fraction_s: float) -> Array:
    """Record of an instrument, shape (3, n_samples), delayed by a fraction of a sample and faded out at its end."""
    shift = np.exp(-2j * np.pi * motion.frequency_hz * fraction_s)
    response = instrument.velocity_response(np.maximum(motion.frequency_hz, 1e-9)) * shift
    waves = scipy.fft.irfft(motion.spectrum * response, motion.n_samples)
    fade = motion.n_samples // 4
    waves[:, -fade:] *= 0.5 * (1 + np.cos(np.pi * np.arange(fade) / fade))
    return waves


def _add(record: Array, waves: Array, first: int) -> None:
    """Add a wave to a record from a sample on; samples outside are dropped."""
    begin, end = max(first, 0), min(first + waves.size, record.size)
    if end > begin:
        record[begin:end] += waves[begin - first : end - first]


def _noise(site: Site, band: str, component: str, n_samples: int, params: SynthesizeParams) -> Array:
    rng = stream_of(params.seed, "noise", site.network, site.station, band, component)
    instrument = INSTRUMENTS[band]
    level = site.noise_level + (0.0 if component == "Z" else 0.02)
    noise = coloured_noise(n_samples, params.sampling_rate_hz, level, instrument, rng)
    # All sensors and components of a station record the same traffic.
    shared = stream_of(params.seed, "bursts", site.network, site.station)
    high = scipy.signal.sosfilt(_snr_filter(params.sampling_rate_hz), noise).std()
    return noise + cultural_bursts(n_samples, params.sampling_rate_hz, site.bursts_per_hour, 2.0 * high, shared)


@lru_cache(maxsize=4)
def _snr_filter(sampling_rate_hz: float) -> Array:
    return scipy.signal.butter(4, SNR_BAND_HZ, "bandpass", fs=sampling_rate_hz, output="sos")


def _noise_level(noise: dict[str, Array], sampling_rate_hz: float) -> dict[str, float]:
    """Rms of the noise of each component in the band of the signal-to-noise ratio."""
    sos = _snr_filter(sampling_rate_hz)
    return {name: float(np.sqrt(np.mean(scipy.signal.sosfilt(sos, data) ** 2))) for name, data in noise.items()}


def _snr_db(
    waves: Array, motion: Motion, lead_s: float, noise: dict[str, float], sampling_rate_hz: float
) -> dict[str, float]:
    """Peak of P on Z and of S on the better horizontal over the rms of the noise, in dB."""
    filtered = np.abs(scipy.signal.sosfilt(_snr_filter(sampling_rate_hz), waves))
    ratio = filtered / np.array([noise[name] for name in COMPONENTS])[:, None]
    snr = {}
    for phase, rows in (("P", [0]), ("S", [1, 2])):
        begin_s = motion.onset_s[phase] + lead_s
        end_s = begin_s + _SNR_WINDOW_S[phase]
        if phase == "P":
            end_s = min(end_s, motion.onset_s["S"] + lead_s)
        begin, end = int(begin_s * sampling_rate_hz), int(end_s * sampling_rate_hz) + 1
        snr[phase] = float(20 * np.log10(max(ratio[rows, begin:end].max(), 1e-6)))
    return snr


def _trace(site: Site, band: str, component: str, data: Array, starttime, params: SynthesizeParams) -> Trace:
    header = {
        "network": site.network,
        "station": site.station,
        "channel": band + component,
        "starttime": UTCDateTime(starttime),
        "sampling_rate": params.sampling_rate_hz,
    }
    counts = np.clip(np.rint(data), -FULL_SCALE_COUNTS, FULL_SCALE_COUNTS).astype(np.int32)
    return Trace(counts, header)
