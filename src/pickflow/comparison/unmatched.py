"""Events of only one catalog: reasons of missed ones, and properties of new ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.comparison.matching import Index, pairs_within
from pickflow.comparison.reference import ReferenceSet
from pickflow.io.places import places_at
from pickflow.io.tables import conform
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import MISSED_EVENTS, NEW_EVENTS
from pickflow.travel_times.sphere import sphere_distance_km

# Chosen: an event within so many tolerances is the same one, located badly.
_WIDER_TIME, _WIDER_DISTANCE = 3.0, 5.0
# ASSUME: only to find picks of an event of which the reference has no picks.
_SPEED_KM_S = {"P": 6.0, "S": 3.5}
_SLACK_S, _SLACK_SHARE = 1.0, 0.1  # chosen: errors of such arrivals
_FARTHEST_KM = 200.0  # chosen: farther stations rarely have picks of a small event

WHY = {
    "no_picks": "nothing was picked where its arrivals should be",
    "too_few_picks": "fewer picks than any event of this catalog has",
    "not_associated": "enough picks, but the associator made no event of them",
    "other_event": "most of its picks are in an event that is another one of the reference",
    "located_far": "an event of ours has its picks or is near, outside of the tolerances",
    "no_event": "no event of ours is near; there are no picks that could tell why",
}
KINDS = {
    "double": "a second detection of an event of the reference that already has its counterpart",
    "displaced": "near an event of the reference that was missed, outside of the tolerances",
    "like_matched": "as many picks, as small a residual and gap as those that are in the reference",
    "poorer": "fewer picks, or a larger residual or gap, than nearly all that are in the reference",
}


def properties(
    events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame, reference: pd.DataFrame
) -> pd.DataFrame:
    """
    Events with the mean probability of their picks and the reference event that is nearest in time.

    Parameters
    ----------
    events, assignments, picks : DataFrame
        Tables `EVENTS`, `ASSIGNMENTS` and `PICKS` of one catalog.
    reference : DataFrame
        Table `EVENTS`.

    Returns
    -------
    DataFrame
        Events with the columns mean_probability, reference_id, reference_time_difference_s and reference_distance_km.
    """
    probability = assignments[["event_id", "pick_id"]].merge(picks[["pick_id", "probability"]], on="pick_id")
    mean = probability.groupby("event_id").probability.mean()
    table = events.assign(mean_probability=events.event_id.map(mean).astype(float))
    if reference.empty or events.empty:
        return table.assign(reference_id=None, reference_time_difference_s=np.nan, reference_distance_km=np.nan)
    ordered = reference.sort_values("time", kind="stable").reset_index(drop=True)
    event_ns, known_ns = (frame.time.to_numpy("M8[ns]").astype(np.int64) for frame in (events, ordered))
    high = np.clip(np.searchsorted(known_ns, event_ns), 0, len(known_ns) - 1)
    low = np.maximum(high - 1, 0)
    nearest = np.where(np.abs(known_ns[low] - event_ns) <= np.abs(known_ns[high] - event_ns), low, high)
    return table.assign(
        reference_id=ordered.event_id.to_numpy()[nearest],
        reference_time_difference_s=(event_ns - known_ns[nearest]) / 1e9,
        reference_distance_km=_distance_km(events, ordered.iloc[nearest]),
    )


def _distance_km(events: pd.DataFrame, partners: pd.DataFrame) -> NDArray[np.float64]:
    columns = ["latitude_deg", "longitude_deg"]
    return sphere_distance_km(*events[columns].to_numpy(float).T, *partners[columns].to_numpy(float).T)


def new_events(
    table: pd.DataFrame, matches: pd.DataFrame, reference: pd.DataFrame, params: AnalyzeParams
) -> pd.DataFrame:
    """
    The table `NEW_EVENTS`: judged events that the reference lacks, and their kind.

    Parameters
    ----------
    table : DataFrame
        See `properties`.
    matches : DataFrame
        Table `MATCHES`.
    reference : DataFrame
        Table `EVENTS`.
    params : AnalyzeParams
        Gives the tolerances.
    """
    lacks = matches[matches.reference_id.isna()].event_id
    new = table[table.event_id.isin(lacks.dropna())]
    if new.empty:
        return conform(pd.DataFrame(), NEW_EVENTS)
    matched = table[table.event_id.isin(matches.event_id[matches.reference_id.notna()].dropna())]
    matched_ids = set(matches.reference_id[matches.event_id.notna()].dropna())
    kind = np.where(_is_like(new, matched), "like_matched", "poorer").astype(object)
    is_matched = reference.event_id.isin(matched_ids).to_numpy()
    kind[_is_near(new, reference[~is_matched], params, _WIDER_TIME, _WIDER_DISTANCE)] = "displaced"
    kind[_is_near(new, reference[is_matched], params, 1.0, 1.0)] = "double"
    return conform(new.assign(kind=kind), NEW_EVENTS)


def _is_like(new: pd.DataFrame, matched: pd.DataFrame) -> NDArray[np.bool_]:
    if matched.empty:
        return np.zeros(len(new), bool)
    is_like = (new.n_picks >= matched.n_picks.quantile(0.25)).to_numpy()
    for name in ("rms_residual_s", "azimuthal_gap_deg"):
        limit = matched[name].quantile(0.9)
        is_like &= (new[name].isna() | (new[name] <= limit) | np.isnan(limit)).to_numpy()
    return is_like


def _near(
    events: pd.DataFrame, partners: pd.DataFrame, params: AnalyzeParams, time: float, distance: float
) -> tuple[Index, Index]:
    """Rows of all pairs within so many tolerances."""
    times, partner_times = (frame.time.to_numpy("M8[ns]").astype(np.int64) for frame in (events, partners))
    rows, columns = pairs_within(times, partner_times, round(1e9 * time * params.event_time_tolerance_s))
    is_near = _distance_km(events.iloc[rows], partners.iloc[columns]) <= distance * params.event_distance_tolerance_km
    return rows[is_near], columns[is_near]


def _is_near(
    events: pd.DataFrame, partners: pd.DataFrame, params: AnalyzeParams, time: float, distance: float
) -> NDArray[np.bool_]:
    return np.isin(np.arange(len(events)), _near(events, partners, params, time, distance)[0])


def missed_events(
    events: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    reference: ReferenceSet,
    matches: pd.DataFrame,
    pick_matches: pd.DataFrame,
    params: AnalyzeParams,
) -> pd.DataFrame:
    """
    The table `MISSED_EVENTS`: events of the reference without a counterpart, and the reason according to the picks.

    Parameters
    ----------
    events, assignments, picks, stations : DataFrame
        Tables of one catalog and of its run.
    reference : ReferenceSet
        See `load_reference`.
    matches, pick_matches : DataFrame
        Tables `MATCHES` and `PICK_MATCHES`.
    params : AnalyzeParams
        Gives the tolerances.
    """
    matched_ids = set(matches.reference_id[matches.event_id.notna()].dropna())
    misses = reference.events[~reference.events.event_id.isin(matched_ids)].reset_index(drop=True)
    if misses.empty:
        return conform(pd.DataFrame(), MISSED_EVENTS)
    n_reference_picks = misses.event_id.map(reference.picks.event_id.value_counts()).fillna(0).astype(int)
    known_picks = pick_matches[pick_matches.pick_id.notna() & pick_matches.verdict.isin(["matched", "confused"])]
    known_picks = known_picks[["reference_event_id", "pick_id"]].set_axis(["event_id", "pick_id"], axis=1)
    silent = misses[(n_reference_picks == 0).to_numpy()]
    hits = pd.concat(
        [known_picks[known_picks.event_id.isin(misses.event_id)], _picks_at_arrivals(silent, picks, stations)]
    )
    owners = assignments[["event_id", "pick_id"]].rename(columns={"event_id": "owner"})
    groups = dict(list(hits.merge(owners, "left", "pick_id").groupby("event_id")))
    extra = events[~events.event_id.isin(matches.event_id[matches.reference_id.notna()].dropna())]
    beside = _beside(misses, extra.reset_index(drop=True), params)
    min_picks = int(events.n_picks.min()) if len(events) else 1
    rows = [
        _explain(groups.get(event_id), beside.get(event_id), set(extra.event_id), min_picks, bool(len(picks)))
        for event_id in misses.event_id
    ]
    table = misses.assign(n_reference_picks=np.where(n_reference_picks > 0, n_reference_picks, misses.n_picks))
    table = table.drop(columns="n_picks").join(pd.DataFrame(rows, columns=_EXPLAINED))
    return conform(_with_other(table, events), MISSED_EVENTS)


_EXPLAINED = ["n_picks", "n_assigned", "why", "other_event_id"]


def _explain(
    event_picks: pd.DataFrame | None, beside: str | None, unmatched_ids: set[str], min_picks: int, has_picks: bool
) -> tuple[int, int, str, str | None]:
    """Number of picks found, number of these assigned, reason, and the event of the catalog that is concerned."""
    n_found = 0 if event_picks is None else event_picks.pick_id.nunique()
    event_counts = pd.Series(dtype=int) if event_picks is None else event_picks.owner.value_counts()
    n_assigned = int(event_counts.sum())
    if len(event_counts) and event_counts.iloc[0] >= n_found / 2:
        event_id = str(event_counts.index[0])
        return n_found, n_assigned, "located_far" if event_id in unmatched_ids else "other_event", event_id
    if beside is not None:
        return n_found, n_assigned, "located_far", beside
    if not has_picks:
        return 0, 0, "no_event", None
    reason = "no_picks" if n_found == 0 else "too_few_picks" if n_found < min_picks else "not_associated"
    return n_found, n_assigned, reason, None


def _beside(misses: pd.DataFrame, extra: pd.DataFrame, params: AnalyzeParams) -> dict[str, str]:
    """Unmatched event that is nearest in time to each missed one, within wider tolerances."""
    rows, columns = _near(misses, extra, params, _WIDER_TIME, _WIDER_DISTANCE)
    gap = (misses.time.array[rows] - extra.time.array[columns]) / pd.Timedelta(seconds=1)
    order = np.argsort(np.abs(np.asarray(gap, float)), kind="stable")[::-1]
    return dict(zip(misses.event_id.to_numpy()[rows[order]], extra.event_id.to_numpy()[columns[order]], strict=True))


def _with_other(table: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    partners = events.set_index("event_id").reindex(table.other_event_id)
    difference = pd.to_datetime(partners.time, utc=True).array - table.time.array
    return table.assign(
        other_time_difference_s=difference / pd.Timedelta(seconds=1),
        other_distance_km=_distance_km(table, partners),
    )


def _picks_at_arrivals(misses: pd.DataFrame, picks: pd.DataFrame, stations: pd.DataFrame) -> pd.DataFrame:
    """Picks near the expected arrivals of events of which the reference has no picks; at most one for each arrival."""
    located = stations.dropna(subset=["latitude_deg", "longitude_deg"])
    codes = set(located[["network", "station"]].itertuples(index=False, name=None))
    groups = picks.groupby(["network", "station", "phase"]).indices
    times, names = picks.time.to_numpy("M8[ns]").astype(np.int64), picks.pick_id.to_numpy()
    origins, depth_km = misses.time.to_numpy("M8[ns]").astype(np.int64), misses.depth_km.fillna(10.0).to_numpy(float)
    event_ids, parts = misses.event_id.to_numpy(), []
    for key, members in groups.items():
        network, station, phase = map(str, tuple(key))  # type: ignore[arg-type]
        rows = np.asarray(members)
        if (network, station) not in codes or phase not in _SPEED_KM_S:
            continue
        site = places_at(misses.assign(network=network, station=station), misses.time, located)
        distance_km = _distance_km(misses, site)
        is_near = distance_km <= _FARTHEST_KM  # not where the station has no place then
        travel_s = np.hypot(distance_km, depth_km)[is_near] / _SPEED_KM_S[phase]
        expected = origins[is_near] + (1e9 * travel_s).astype(np.int64)
        slack = (1e9 * (_SLACK_S + _SLACK_SHARE * travel_s)).astype(np.int64)
        ordered = rows[np.argsort(times[rows], kind="stable")]
        position = np.searchsorted(times[ordered], expected - slack, side="left")
        in_range = position < len(ordered)
        in_range &= times[ordered][np.minimum(position, len(ordered) - 1)] <= expected + slack
        pick_ids = names[ordered[position[in_range]]]
        parts.append(pd.DataFrame({"event_id": event_ids[is_near][in_range], "pick_id": pick_ids}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"event_id": [], "pick_id": []}, dtype=object)
