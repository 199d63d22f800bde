"""Time windows of the waves of each event at each station."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pickflow.io.places import places_between
from pickflow.io.tables import conform
from pickflow.run.settings.magnitude import MagnitudeParams
from pickflow.sampling.timeline import NS_PER_S
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATIONS
from pickflow.travel_times.geometry import distance_and_azimuth
from pickflow.travel_times.layers import VelocityModel, travel_time_s

# Chosen: a window ends this long before the next event's P, which may be a prediction and early.
BEFORE_NEXT_S = 0.5
# ASSUME the S waves have passed their peak this long after their onset, or this share of S-P if that is more: later
# waves of the next event are allowed, and waves of an earlier event count as noise.
S_PEAK_S = 2.0
S_PEAK_SHARE = 0.25
# Chosen: events this long before and after the day can overlap with those of the day.
NEIGHBOUR = pd.Timedelta(minutes=10)


def arrival_windows(
    events: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    day: str,
    params: MagnitudeParams,
) -> pd.DataFrame:
    """
    Windows of the events of a day at the stations that have an arrival of them.

    The window begins at P and ends ``window_factor`` times S-P after S (at least ``min_window_s``, at most
    ``max_window_s``), and before the next event's P. It is not used if that comes before the peak of the S waves, or
    if it begins before that of an earlier event. Arrivals that were not picked are predicted.

    Parameters
    ----------
    events, assignments, picks, stations : DataFrame
        Tables of these names; events and assignments of the whole catalog, picks of the day and its neighbours.
    model : VelocityModel
        Predicts arrivals.
    day : str
        YYYY-MM-DD; events with origins on it get windows, others only limit them.
    params : MagnitudeParams
        Lengths.

    Returns
    -------
    DataFrame
        event_id, network, station, hypocentral_distance_km (NaN: the station has no coordinates), p_ns, s_ns, end_ns
        (ns since 1970) and the reason so far: ok, no_coordinates, cut or overlapping.
    """
    events, picks = conform(events, EVENTS), conform(picks, PICKS)
    start = pd.Timestamp(day, tz="UTC")
    end = start + pd.Timedelta(days=1)
    nearby = events[(events.time >= start - NEIGHBOUR) & (events.time < end + NEIGHBOUR)]
    picked_times = _picked(conform(assignments, ASSIGNMENTS), picks, nearby)
    arrivals = picked_times[picked_times.event_id.isin(nearby.event_id[(nearby.time >= start) & (nearby.time < end)])]
    if arrivals.empty:
        return _nothing()
    codes = arrivals[["network", "station"]].drop_duplicates()
    places = codes.merge(places_between(conform(stations, STATIONS), start, end), on=["network", "station"], how="left")
    passages = _passages(nearby, places, model).merge(picked_times, on=["event_id", "network", "station"], how="left")
    for phase in ("p", "s"):
        passages[f"{phase}_ns"] = passages[f"picked_{phase}_ns"].fillna(passages[f"predicted_{phase}_ns"])
    passages = _with_neighbours(passages)
    windows = passages.merge(arrivals[["event_id", "network", "station"]], on=["event_id", "network", "station"])
    return _with_ends(windows, params).sort_values(["event_id", "network", "station"]).reset_index(drop=True)


def _nothing() -> pd.DataFrame:
    columns = ["event_id", "network", "station", "hypocentral_distance_km", "p_ns", "s_ns", "end_ns", "reason"]
    return pd.DataFrame(columns=columns)


def _picked(assignments: pd.DataFrame, picks: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Picked P and S (float ns, NaN: not picked) of each event and station with an arrival."""
    arrivals = assignments[assignments.event_id.isin(events.event_id)].merge(
        picks[["pick_id", "network", "station", "phase", "time"]], on="pick_id"
    )
    first = arrivals.sort_values(["time", "pick_id"]).drop_duplicates(["event_id", "network", "station", "phase"])
    first = first.assign(ns=first.time.astype("int64").astype(float))
    times = first.pivot(index=["event_id", "network", "station"], columns="phase", values="ns")
    times = times.reindex(columns=["P", "S"]).rename(columns={"P": "picked_p_ns", "S": "picked_s_ns"})
    return times.reset_index().rename_axis(columns=None)


def _passages(events: pd.DataFrame, places: pd.DataFrame, model: VelocityModel) -> pd.DataFrame:
    """Predicted arrivals and distances of each event at each place; NaN without coordinates."""
    pairs = events[["event_id", "time", "latitude_deg", "longitude_deg", "depth_km"]].merge(
        places, how="cross", suffixes=("", "_station")
    )
    has_place = pairs.latitude_deg_station.notna() & pairs.longitude_deg_station.notna()
    located = pairs[has_place]
    distance, _ = distance_and_azimuth(
        located.latitude_deg, located.longitude_deg, located.latitude_deg_station, located.longitude_deg_station
    )
    receiver = -located.elevation_m.fillna(0.0).to_numpy(float) / 1000
    depth = located.depth_km.to_numpy(float)
    origin_ns = located.time.astype("int64").to_numpy(float)
    table = pairs[["event_id", "network", "station"]].copy()
    table.loc[has_place, "hypocentral_distance_km"] = np.hypot(distance, depth - receiver)
    for phase in ("P", "S"):
        travel = travel_time_s(model, phase, distance, depth, receiver)
        table.loc[has_place, f"predicted_{phase.lower()}_ns"] = origin_ns + travel * NS_PER_S
    return table


def _with_neighbours(passages: pd.DataFrame) -> pd.DataFrame:
    """With the peak of S, the next P, and the last peak of S of earlier events, at the same station (NaN: none)."""
    s_minus_p = passages.s_ns - passages.p_ns
    passages = passages.assign(peak_ns=passages.s_ns + (S_PEAK_SHARE * s_minus_p).clip(S_PEAK_S * NS_PER_S))
    ordered = passages.sort_values(["network", "station", "p_ns", "event_id"])
    at_station = ordered.groupby(["network", "station"])
    latest = at_station.peak_ns.cummax().groupby([ordered.network, ordered.station])
    return ordered.assign(next_p_ns=at_station.p_ns.shift(-1), earlier_peak_ns=latest.shift(1))


def _with_ends(windows: pd.DataFrame, params: MagnitudeParams) -> pd.DataFrame:
    after_s = params.window_factor * (windows.s_ns - windows.p_ns) / NS_PER_S
    nominal_end = windows.s_ns + after_s.clip(params.min_window_s, params.max_window_s) * NS_PER_S
    limit = windows.next_p_ns - BEFORE_NEXT_S * NS_PER_S
    end = nominal_end.where(~(limit < nominal_end), limit)
    disturbed = (end < windows.peak_ns) | (windows.earlier_peak_ns > windows.p_ns)
    reason = pd.Series("ok", index=windows.index).mask(end < nominal_end, "cut").mask(disturbed, "overlapping")
    reason = reason.mask(windows.hypocentral_distance_km.isna(), "no_coordinates")
    return windows.assign(end_ns=end, reason=reason)[list(_nothing().columns)]
