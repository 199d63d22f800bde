"""Picks as arrays for the associators, and the hypotheses of an associator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.travel_times.geometry import LocalFrame

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
        Time, and the station's coordinates; its depth is minus its elevation.
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
        Frame of x and y.
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
    located = picks.merge(places, on=["network", "station"], how="inner")
    return Observations(
        picks=located[picks.columns],
        reference=reference,
        station=(located.network + "." + located.station).to_numpy(str),
        is_s=(located.phase == "S").to_numpy(bool),
        time_s=(located.time - reference).dt.total_seconds().to_numpy(float),
        x_km=located.x_km.to_numpy(float),
        y_km=located.y_km.to_numpy(float),
        depth_km=located.depth_km.to_numpy(float),
    )
