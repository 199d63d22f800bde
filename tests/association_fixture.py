"""A small network with known events, made from travel times: picks for the tests of association and analysis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from pickflow.io.tables import conform
from pickflow.run.settings.associate import AssociateParams
from pickflow.schemas import EVENTS, PICKS, STATIONS
from pickflow.travel_times.layers import VelocityModel, travel_time_s

START = datetime(2026, 1, 15, 23, tzinfo=UTC)
LAYERS = VelocityModel(
    top_depth_km=np.array([0.0, 4.0, 12.0, 25.0]),
    vp_km_s=np.array([5.2, 5.85, 6.2, 6.8]),
    vs_km_s=np.array([2.97, 3.34, 3.54, 3.89]),
)
_KM_PER_DEG = 111.195
_CENTRE = (46.3, 13.0)


@dataclass(frozen=True)
class Scene:
    """Picks of known events; ``owner`` gives the event of each pick, empty for noise."""

    picks: pd.DataFrame
    stations: pd.DataFrame
    events: pd.DataFrame
    owner: dict[str, str]
    window: tuple[datetime, datetime]


def associate_params(**changes) -> AssociateParams:
    """The defaults, with changes; those of nested sections are given as dictionaries."""
    return AssociateParams(**changes)


def stations_around_centre(n_stations: int, seed: int = 0, width_km: float = 100.0) -> pd.DataFrame:
    """Stations at random places of a square."""
    generator = np.random.default_rng(seed)
    north, east = generator.uniform(-width_km / 2, width_km / 2, (2, n_stations))
    frame = pd.DataFrame({"network": "SY", "station": [f"S{index:02d}" for index in range(n_stations)]})
    frame["latitude_deg"] = _CENTRE[0] + north / _KM_PER_DEG
    frame["longitude_deg"] = _CENTRE[1] + east / _KM_PER_DEG / np.cos(np.radians(_CENTRE[0]))
    frame["elevation_m"] = generator.uniform(0, 2000, n_stations)
    return conform(frame, STATIONS)


def make_scene(
    times_s: list[float],
    n_stations: int = 12,
    n_seeing: int = 12,
    n_noise: int = 0,
    seed: int = 0,
    error_s: float = 0.05,
    phases: str = "PS",
    hours: float = 2.0,
) -> Scene:
    """Events at times after `START`, seen by the nearest ``n_seeing`` stations, and picks of nothing."""
    stations = stations_around_centre(n_stations, seed)
    generator = np.random.default_rng(seed + 1)
    window = (START, START + timedelta(hours=hours))
    zero = pd.Timestamp(START)
    events, picks = [], []
    for index, time_s in enumerate(times_s):
        north, east, depth = *generator.uniform(-30, 30, 2), generator.uniform(4, 15)
        place = (_CENTRE[0] + north / _KM_PER_DEG, _CENTRE[1] + east / _KM_PER_DEG / np.cos(np.radians(_CENTRE[0])))
        events.append((f"event{index}", zero + pd.Timedelta(seconds=time_s), *place, depth))
        delta_north = (stations.latitude_deg.to_numpy() - place[0]) * _KM_PER_DEG
        delta_east = (stations.longitude_deg.to_numpy() - place[1]) * _KM_PER_DEG * np.cos(np.radians(place[0]))
        distance = np.hypot(delta_north, delta_east)
        for phase in phases:
            travel = travel_time_s(LAYERS, phase, distance, depth, -stations.elevation_m.to_numpy() / 1000)
            picks += [
                (f"event{index}", row, phase, time_s + travel[row] + generator.normal(0, error_s))
                for row in np.argsort(distance)[:n_seeing]
            ]
    for _ in range(n_noise):
        row, phase = int(generator.integers(n_stations)), "PS"[generator.integers(2)]
        picks.append(("", row, phase, generator.uniform(0, hours * 3600)))
    return Scene(*_tables(events, picks, stations), window)


def _tables(events, picks, stations):
    zero = pd.Timestamp(START)
    event_table = pd.DataFrame(events, columns=["event_id", "time", "latitude_deg", "longitude_deg", "depth_km"])
    event_table = event_table.reindex(columns=EVENTS.schema.names).fillna(
        {"n_picks": 0, "n_p": 0, "n_s": 0, "n_stations": 0}
    )
    frame = pd.DataFrame(picks, columns=["event", "row", "phase", "time_s"])
    frame["pick_id"] = [f"p{index:05d}" for index in range(len(frame))]
    frame["time"] = zero + pd.to_timedelta((frame.time_s * 1000).round(), unit="ms")
    chosen = stations.iloc[frame.row.astype(int)].reset_index(drop=True)
    frame = frame.assign(network=chosen.network, station=chosen.station, location="", channel="HH", probability=0.8)
    frame = frame.assign(starttime=frame.time, endtime=frame.time, amplitude_m_s=np.nan, snr_db=np.nan)
    owner = dict(zip(frame.pick_id, frame.event, strict=True))
    return conform(frame, PICKS), stations, conform(event_table, EVENTS), owner
