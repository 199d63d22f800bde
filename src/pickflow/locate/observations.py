"""Picks as arrays for the associators, and what an associator proposes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.locate.geometry import LocalFrame
from pickflow.travel_times import VelocityModel, travel_time_s

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Observations:
    """
    Picks in the local frame, in the order of the table `PICKS`.

    Parameters
    ----------
    picks : DataFrame
        The rows of `PICKS`.
    reference : Timestamp
        Zero of `time_s`.
    station : ndarray of str, shape (n,)
        ``network.station``.
    is_s : ndarray of bool, shape (n,)
        False for P.
    time_s, x_km, y_km, depth_km : ndarray, shape (n,)
        Time, and the station's place; its depth is minus its elevation.
    """

    picks: pd.DataFrame
    reference: pd.Timestamp
    station: NDArray[np.str_]
    is_s: NDArray[np.bool_]
    time_s: Array
    x_km: Array
    y_km: Array
    depth_km: Array

    def take(self, rows: Index) -> Observations:
        """Some of the picks, shape (n_rows,)."""
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return Observations(picks=self.picks.iloc[rows].reset_index(drop=True), reference=self.reference, **arrays)


_ARRAYS = ("station", "is_s", "time_s", "x_km", "y_km", "depth_km")


@dataclass(frozen=True, kw_only=True)
class Hypotheses:
    """
    Origins and the picks that belong to them; a pick may be claimed by several.

    Parameters
    ----------
    origin : ndarray, shape (n_events, 4)
        x, y, depth in km, and time in s after `Observations.reference`.
    event, pick : ndarray of int, shape (n_arrivals,)
        Row of `origin` and row of the observations.
    """

    origin: Array
    event: Index
    pick: Index

    def keep(self, arrivals: NDArray[np.bool_]) -> Hypotheses:
        """The same origins with some of the arrivals, shape (n_arrivals,)."""
        return Hypotheses(origin=self.origin, event=self.event[arrivals], pick=self.pick[arrivals])


NO_EVENTS = Hypotheses(origin=np.empty((0, 4)), event=np.empty(0, np.int64), pick=np.empty(0, np.int64))


def observe(picks: pd.DataFrame, stations: pd.DataFrame, frame: LocalFrame, reference: pd.Timestamp) -> Observations:
    """
    Picks of located stations as arrays.

    Parameters
    ----------
    picks : DataFrame
        Rows of `PICKS`, sorted; those of stations that are not in ``stations`` are left out.
    stations : DataFrame
        Rows of `STATIONS`, all with coordinates.
    frame : LocalFrame
        Where x and y are measured.
    reference : Timestamp
        Zero of the times.

    Raises
    ------
    ValueError
        If a phase is neither P nor S.
    """
    if not picks.phase.isin(["P", "S"]).all():
        raise ValueError(f"phase {picks.phase[~picks.phase.isin(['P', 'S'])].iloc[0]!r} of a pick is neither P nor S")
    x, y = frame.to_local(stations.latitude_deg, stations.longitude_deg)
    places = pd.DataFrame(
        {
            "network": stations.network,
            "station": stations.station,
            "x_km": x,
            "y_km": y,
            "depth_km": -stations.elevation_m.astype(float) / 1000,
        }
    )
    placed = picks.merge(places, on=["network", "station"], how="inner")
    return Observations(
        picks=placed[picks.columns],
        reference=reference,
        station=(placed.network + "." + placed.station).to_numpy(str),
        is_s=(placed.phase == "S").to_numpy(bool),
        time_s=(placed.time - reference).dt.total_seconds().to_numpy(float),
        x_km=placed.x_km.to_numpy(float),
        y_km=placed.y_km.to_numpy(float),
        depth_km=placed.depth_km.to_numpy(float),
    )


def predict_s(
    model: VelocityModel, is_s: NDArray[np.bool_], distance_km: Array, source_depth_km: Array, receiver_depth_km: Array
) -> Array:
    """Travel time of each arrival in s; all arrays have the shape (n,)."""
    times = np.empty(distance_km.size)
    for phase, rows in (("P", ~is_s), ("S", is_s)):
        times[rows] = travel_time_s(model, phase, distance_km[rows], source_depth_km[rows], receiver_depth_km[rows])
    return times
