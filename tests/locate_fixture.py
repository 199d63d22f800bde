"""Catalogs with known origins, made from travel times: events anywhere, stations anywhere, errors as asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pickflow.io.tables import conform
from pickflow.locate.catalog import LocatedCatalog, locate_catalog
from pickflow.run.settings.locate import LocateParams
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATIONS
from pickflow.travel_times.geometry import LocalFrame, distance_and_azimuth
from pickflow.travel_times.layers import VelocityModel, travel_time_s

START = pd.Timestamp("2026-01-15T23:00:00Z")
FRAME = LocalFrame(46.3, 13.0)
LAYERS = VelocityModel(
    top_depth_km=np.array([0.0, 4.0, 12.0, 25.0]),
    vp_km_s=np.array([5.2, 5.85, 6.2, 6.8]),
    vs_km_s=np.array([2.97, 3.34, 3.54, 3.89]),
)
NO_CORRECTIONS = {"corrections": {"enabled": False}}


@dataclass(frozen=True)
class Catalog:
    """Tables as an associator leaves them; its origins are all the same wrong one. ``truth`` has the right ones."""

    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame
    stations: pd.DataFrame
    truth: pd.DataFrame

    def only(self, event_ids) -> Catalog:
        """Some of the events, with all the picks and stations."""
        chosen = set(event_ids)
        return Catalog(
            self.events[self.events.event_id.isin(chosen)],
            self.assignments[self.assignments.event_id.isin(chosen)],
            self.picks,
            self.stations,
            self.truth[self.truth.event_id.isin(chosen)],
        )


def locate_params(**changes) -> LocateParams:
    """The defaults, with changes; those of nested sections are given as dictionaries."""
    return LocateParams(**changes)


def locate(catalog: Catalog, **changes) -> LocatedCatalog:
    """Locate with the layers that the catalogs are made of."""
    tables = (catalog.events, catalog.assignments, catalog.picks, catalog.stations)
    return locate_catalog(*tables, LAYERS, locate_params(**changes))


def stations_at(x_km, y_km, elevation_m=0.0) -> pd.DataFrame:
    latitude, longitude = FRAME.to_geographic(x_km, y_km)
    names = [f"S{index:02d}" for index in range(len(latitude))]
    frame = pd.DataFrame({"network": "SY", "station": names, "latitude_deg": latitude, "longitude_deg": longitude})
    return conform(frame.assign(elevation_m=elevation_m), STATIONS)


def square_of_stations(n_stations: int = 16, width_km: float = 80.0, seed: int = 0, top_m: float = 2000.0):
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(-width_km / 2, width_km / 2, (2, n_stations))
    return stations_at(x, y, generator.uniform(0, top_m, n_stations))


def make_catalog(origins, stations: pd.DataFrame, error_s=0.0, delays=None, seed: int = 0, n_seeing=None) -> Catalog:
    """
    A catalog of origins (x, y, depth in km) in `FRAME`, a minute apart.

    ``error_s(is_s, travel)`` or a number is the standard deviation of the picks; ``delays`` maps (station, phase) to s.
    """
    generator = np.random.default_rng(seed)
    events, arrivals = [], []
    for index, (x, y, depth) in enumerate(origins):
        latitude, longitude = (float(value) for value in FRAME.to_geographic(x, y))
        events.append((f"e{index:04d}", START + pd.Timedelta(minutes=index), latitude, longitude, depth))
        n_stations = len(stations)
        distance, _ = distance_and_azimuth(
            np.full(n_stations, latitude), np.full(n_stations, longitude), stations.latitude_deg, stations.longitude_deg
        )
        for phase in "PS":
            travel = travel_time_s(LAYERS, phase, distance, depth, -stations.elevation_m.to_numpy() / 1000)
            sigma = error_s(phase == "S", travel) if callable(error_s) else error_s
            late = travel + generator.normal(0, 1, len(travel)) * sigma
            for row in np.argsort(distance)[:n_seeing]:
                delay = (delays or {}).get((stations.station[row], phase), 0.0)
                arrivals.append((f"e{index:04d}", row, phase, events[-1][1] + pd.Timedelta(seconds=late[row] + delay)))
    return _tables(events, arrivals, stations)


def _tables(events, arrivals, stations) -> Catalog:
    truth = pd.DataFrame(events, columns=["event_id", "time", "latitude_deg", "longitude_deg", "depth_km"])
    table = pd.DataFrame(arrivals, columns=["event_id", "row", "phase", "time"])
    table["pick_id"] = [f"p{index:06d}" for index in range(len(table))]
    chosen = stations.iloc[table.row].reset_index(drop=True)
    picks = table.assign(network=chosen.network, station=chosen.station, location="", channel="HH", probability=0.8)
    picks = picks.assign(starttime=picks.time, endtime=picks.time, amplitude_m_s=np.nan, snr_db=np.nan)
    picks["time_uncertainty_s"] = np.nan
    wrong = truth.assign(
        time=truth.time + pd.Timedelta(seconds=2), latitude_deg=46.0, longitude_deg=12.5, depth_km=10.0
    )
    wrong = wrong.reindex(columns=EVENTS.schema.names).assign(
        n_picks=table.groupby("event_id").size().reindex(truth.event_id).to_numpy(), n_p=0, n_s=0, n_stations=0,
        n_magnitude_stations=3, magnitude=1.5, magnitude_type="ML",
    )  # fmt: skip
    assignments = table[["event_id", "pick_id"]].assign(residual_s=9.0, distance_km=9.0, azimuth_deg=9.0)
    return Catalog(conform(wrong, EVENTS), conform(assignments, ASSIGNMENTS), conform(picks, PICKS), stations, truth)


def errors_km(events: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """East, north, depth and time error (found - true) of each event, in the order of the events."""
    pairs = events.merge(truth, on="event_id", suffixes=("", "_true"))
    x, y = FRAME.to_local(pairs.latitude_deg, pairs.longitude_deg)
    true_x, true_y = FRAME.to_local(pairs.latitude_deg_true, pairs.longitude_deg_true)
    return pd.DataFrame(
        {
            "event_id": pairs.event_id,
            "east": x - true_x,
            "north": y - true_y,
            "horizontal": np.hypot(x - true_x, y - true_y),
            "depth": pairs.depth_km - pairs.depth_km_true,
            "time": (pairs.time - pairs.time_true).dt.total_seconds(),
        }
    )
