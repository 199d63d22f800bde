"""The earthquakes of a synthetic network: when, where, how large."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from pickflow.run.settings.synthesize import SeismicSource, SynthesizeParams
from pickflow.synthesize.waves import Earthquake
from pickflow.travel_times.sphere import KM_PER_DEGREE
from pickflow.windows import parse_time

_MAX_TRIES = 10_000  # chosen


@dataclass(frozen=True, kw_only=True)
class SyntheticEvent:
    """An earthquake with its place, time and identifier."""

    event_id: str
    time: datetime
    latitude_deg: float
    longitude_deg: float
    earthquake: Earthquake


def stream_of(seed: int, *names: object) -> np.random.Generator:
    """Random generator that depends on the seed and the names only."""
    digest = hashlib.sha256("|".join(map(str, (seed, *names))).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def truncated_gutenberg_richter(
    uniform_numbers: NDArray[np.float64], b_value: float, min_magnitude: float, max_magnitude: float
) -> NDArray[np.float64]:
    """Magnitudes of a Gutenberg-Richter law cut at both ends, from uniform numbers in [0, 1)."""
    decay = 1 - 10 ** (-b_value * (max_magnitude - min_magnitude))
    return min_magnitude - np.log10(1 - uniform_numbers * decay) / b_value


def make_events(params: SynthesizeParams) -> list[SyntheticEvent]:
    """
    Draw the earthquakes of a network.

    Returns
    -------
    list of SyntheticEvent
        In order of time, at least ``seismicity.min_spacing_s`` apart.

    Raises
    ------
    ValueError
        If that many events do not fit into the window with that spacing.
    """
    seismicity = params.seismicity
    magnitudes = {parse_time(event.time): event.magnitude for event in seismicity.pinned}
    times = list(magnitudes)
    candidates = _candidate_times(params)
    for _ in range(_MAX_TRIES):
        if len(times) == seismicity.n_events:
            break
        candidate = next(candidates)
        if all(abs((candidate - time).total_seconds()) >= seismicity.min_spacing_s for time in times):
            times.append(candidate)
    else:
        raise ValueError(
            f"synthesize.seismicity: {seismicity.n_events} events do not fit with min_spacing_s "
            f"{seismicity.min_spacing_s:g}; lengthen the window or lower one of the two"
        )
    return [_event(params, index, time, magnitudes.get(time)) for index, time in enumerate(sorted(times))]


def _candidate_times(params: SynthesizeParams) -> Iterator[datetime]:
    rng = stream_of(params.seed, "times")
    starttime, endtime = params.window
    duration_s = (endtime - starttime).total_seconds()
    while True:
        yield starttime + timedelta(milliseconds=round(rng.uniform(0, duration_s) * 1e3))


def _event(params: SynthesizeParams, index: int, time: datetime, magnitude: float | None) -> SyntheticEvent:
    seismicity = params.seismicity
    rng = stream_of(params.seed, "event", index)
    magnitudes = truncated_gutenberg_richter(
        rng.random(1), seismicity.b_value, seismicity.min_magnitude, seismicity.max_magnitude
    )
    weights = np.array([source.weight for source in seismicity.sources])
    source = seismicity.sources[rng.choice(weights.size, p=weights / weights.sum())]
    latitude, longitude, depth = _hypocentre(source, rng)
    return SyntheticEvent(
        event_id=f"synthetic_{index + 1:04d}",
        time=time,
        latitude_deg=latitude,
        longitude_deg=longitude,
        earthquake=Earthquake(
            magnitude=round(float(magnitudes[0] if magnitude is None else magnitude), 2),
            depth_km=depth,
            strike_deg=source.strike_deg + rng.normal(0, 12),
            dip_deg=float(np.clip(source.dip_deg + rng.normal(0, 8), 5, 90)),
            rake_deg=source.rake_deg + rng.normal(0, 15),
            stress_drop_mpa=seismicity.stress_drop_mpa * float(rng.lognormal(0, 0.6)),
        ),
    )


def _hypocentre(source: SeismicSource, rng: np.random.Generator) -> tuple[float, float, float]:
    """Point of a rectangular fault; it dips to the right of its strike."""
    along_km = rng.uniform(-0.5, 0.5) * source.length_km
    down_km = rng.uniform(-0.5, 0.5) * source.width_km
    strike, dip = np.radians([source.strike_deg, source.dip_deg])
    north = along_km * np.cos(strike) - down_km * np.cos(dip) * np.sin(strike)
    east = along_km * np.sin(strike) + down_km * np.cos(dip) * np.cos(strike)
    latitude = source.latitude_deg + north / KM_PER_DEGREE
    longitude = source.longitude_deg + east / (KM_PER_DEGREE * np.cos(np.radians(source.latitude_deg)))
    depth = max(source.depth_km + down_km * np.sin(dip), 0.5)
    return round(float(latitude), 5), round(float(longitude), 5), round(float(depth), 3)
