"""From hypotheses to the tables of events and assignments, and from days to a whole catalog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pickflow.associate.observations import Hypotheses, Observations
from pickflow.associate.settings import AssociateSettings
from pickflow.io.tables import conform
from pickflow.provenance import content_id
from pickflow.schemas import ASSIGNMENTS, EVENTS
from pickflow.travel_times.geometry import LocalFrame, azimuthal_gap_deg, distance_and_azimuth
from pickflow.travel_times.layers import VelocityModel, predict_s

# About the P velocity: an error of a second in time fits as badly as one of this many km.
_DOUBLE_KM_S = 6.0


def enough_arrivals(hypotheses: Hypotheses, observations: Observations, settings: AssociateSettings) -> np.ndarray:
    """Whether each arrival's event has the picks, P, S and P-and-S stations that the settings require."""
    arrivals = pd.DataFrame(
        {
            "event": hypotheses.event,
            "station": observations.station[hypotheses.pick],
            "is_s": observations.is_s[hypotheses.pick],
        }
    )
    n_s = arrivals.groupby("event").is_s.sum()
    n_picks = arrivals.groupby("event").size()
    n_phases = arrivals.groupby(["event", "station"]).is_s.nunique()
    n_both = (n_phases == 2).groupby("event").sum()
    has_enough = (
        (n_picks >= settings.min_picks)
        & (n_picks - n_s >= settings.min_p_picks)
        & (n_s >= settings.min_s_picks)
        & (n_both >= settings.min_p_and_s_stations)
    )
    return arrivals.event.map(has_enough).to_numpy(bool)


def find_duplicates(hypotheses: Hypotheses, tolerance_s: float) -> np.ndarray:
    """
    Whether each arrival belongs to a second event at the place and time of a larger one.

    Phases that were picked twice make such events, which fit as well as the first.

    Parameters
    ----------
    hypotheses : Hypotheses
        Events.
    tolerance_s : float
        Largest difference of the origin times; and, at `_DOUBLE_KM_S`, of the places.
    """
    size = np.bincount(hypotheses.event, minlength=len(hypotheses.origin))
    order = np.argsort(hypotheses.origin[:, 3], kind="stable")
    double = size == 0
    for position, first in enumerate(order):
        for second in order[position + 1 :]:
            offset = hypotheses.origin[second] - hypotheses.origin[first]
            if offset[3] > tolerance_s:
                break
            if np.linalg.norm(offset[:3]) <= tolerance_s * _DOUBLE_KM_S and not double[first]:
                double[second if size[second] <= size[first] else first] = True
    return double[hypotheses.event]


def catalog_tables(
    hypotheses: Hypotheses,
    observations: Observations,
    stations: pd.DataFrame,
    frame: LocalFrame,
    model: VelocityModel,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    Tables of the events that have arrivals.

    Parameters
    ----------
    hypotheses : Hypotheses
        Origins and arrivals, no pick twice.
    observations : Observations
        The picks.
    stations : DataFrame
        Rows of `STATIONS`, all with coordinates.
    frame : LocalFrame
        The frame of both.
    model : VelocityModel
        Predicts the arrivals.

    Returns
    -------
    events, assignments : DataFrame
        Tables `EVENTS` and `ASSIGNMENTS`.
    """
    if hypotheses.event.size == 0:
        return conform(pd.DataFrame(), EVENTS), conform(pd.DataFrame(), ASSIGNMENTS)
    origins = _origins(hypotheses, observations, frame)
    arrivals = _arrivals(hypotheses, observations, stations, origins, model)
    summary = arrivals.groupby("row").agg(
        n_picks=("pick_id", "size"),
        n_s=("is_s", "sum"),
        n_stations=("station_code", "nunique"),
        rms_residual_s=("residual_s", lambda residual: round(float(np.sqrt((residual**2).mean())), 6)),
        azimuthal_gap_deg=("azimuth_deg", lambda azimuth: round(azimuthal_gap_deg(azimuth), 3)),
        event_id=("pick_id", lambda picks: content_id("e", *sorted(picks))),
    )
    summary["n_p"] = summary.n_picks - summary.n_s
    events = origins.join(summary, how="inner").assign(magnitude=np.nan, magnitude_type=None)
    assignments = arrivals.join(summary.event_id, on="row")
    return conform(events, EVENTS), conform(assignments, ASSIGNMENTS)


def _origins(hypotheses: Hypotheses, observations: Observations, frame: LocalFrame) -> pd.DataFrame:
    """Origins, rounded to a millisecond and a metre: finer digits are rounding errors."""
    x, y, depth, time = hypotheses.origin.T
    latitude, longitude = frame.to_geographic(x, y)
    return pd.DataFrame(
        {
            "time": observations.reference + pd.to_timedelta(np.round(time * 1000), unit="ms"),
            "latitude_deg": latitude.round(5),
            "longitude_deg": longitude.round(5),
            "depth_km": depth.round(3),
        }
    )


def _arrivals(
    hypotheses: Hypotheses,
    observations: Observations,
    stations: pd.DataFrame,
    origins: pd.DataFrame,
    model: VelocityModel,
) -> pd.DataFrame:
    picks = observations.picks.iloc[hypotheses.pick].reset_index(drop=True)
    places = picks[["network", "station"]].merge(stations, on=["network", "station"], how="left")
    sources = origins.iloc[hypotheses.event].reset_index(drop=True)
    distance, azimuth = distance_and_azimuth(
        sources.latitude_deg, sources.longitude_deg, places.latitude_deg, places.longitude_deg
    )
    is_s = observations.is_s[hypotheses.pick]
    travel = predict_s(model, is_s, distance, sources.depth_km.to_numpy(), -places.elevation_m.to_numpy(float) / 1000)
    observed = (picks.time - sources.time).dt.total_seconds()
    return pd.DataFrame(
        {
            "row": hypotheses.event,
            "pick_id": picks.pick_id,
            "station_code": picks.network + "." + picks.station,
            "is_s": is_s,
            "residual_s": (observed - travel).round(6),
            "distance_km": distance.round(4),
            "azimuth_deg": azimuth.round(3),
        }
    )


def merge_days(
    days: Sequence[tuple[pd.DataFrame, pd.DataFrame]], picks: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    One catalog out of several days (or parts of days) whose windows overlap a little.

    Two events are the same if they share at least half of the picks of the smaller; the one with more picks stays, then
    the one with the smaller rms residual, then the one with the first id. A pick that two events still share stays with
    the one that ranks higher.

    Parameters
    ----------
    days : sequence of (events, assignments)
        Tables `EVENTS` and `ASSIGNMENTS` of each day.
    picks : DataFrame
        Table `PICKS` with their picks.

    Returns
    -------
    events, assignments : DataFrame
        Tables `EVENTS` and `ASSIGNMENTS`.
    """
    events = pd.concat([day_events for day_events, _ in days if len(day_events)] or [pd.DataFrame()])
    assignments = pd.concat(
        [day_assignments for _, day_assignments in days if len(day_assignments)] or [pd.DataFrame()]
    )
    if events.empty:
        return conform(events, EVENTS), conform(assignments, ASSIGNMENTS)
    events = events.drop_duplicates("event_id")
    assignments = assignments.drop_duplicates(["event_id", "pick_id"])
    picks_of = assignments.groupby("event_id").pick_id.agg(set)
    ranking = events.sort_values(["n_picks", "rms_residual_s", "event_id"], ascending=[False, True, True])
    kept_ids: set[str] = set()
    events_of_pick: dict[str, list[str]] = {}
    for event_id in ranking.event_id:
        pick_ids = picks_of[event_id]
        n_shared = Counter(rival for pick in pick_ids for rival in events_of_pick.get(pick, []))
        if any(2 * count >= min(len(pick_ids), len(picks_of[rival])) for rival, count in n_shared.items()):
            continue
        kept_ids.add(event_id)
        for pick in pick_ids:
            events_of_pick.setdefault(pick, []).append(event_id)
    events, assignments = events[events.event_id.isin(kept_ids)], assignments[assignments.event_id.isin(kept_ids)]
    rank = pd.Series(np.arange(len(ranking)), index=ranking.event_id.to_numpy())
    candidates = assignments.assign(rank=assignments.event_id.map(rank)).sort_values("rank", kind="stable")
    arrivals = candidates.drop_duplicates("pick_id")
    if len(arrivals) < len(candidates):
        events = _recount(events, arrivals, picks)
    return conform(events, EVENTS), conform(arrivals, ASSIGNMENTS)


def _recount(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    """Numbers of picks and stations of events that lost some."""
    arrivals = assignments.merge(picks[["pick_id", "network", "station", "phase"]], on="pick_id", how="left")
    arrivals["code"] = arrivals.network + "." + arrivals.station
    grouped = arrivals.groupby("event_id")
    counts = pd.DataFrame(
        {
            "n_picks": grouped.size(),
            "n_p": (arrivals.phase == "P").groupby(arrivals.event_id).sum(),
            "n_s": (arrivals.phase == "S").groupby(arrivals.event_id).sum(),
            "n_stations": grouped.code.nunique(),
        }
    )
    return events.drop(columns=counts.columns).merge(counts, left_on="event_id", right_index=True)
