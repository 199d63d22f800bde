"""Events that only one side has: why those of the reference were missed, and what the new ones look like."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.analyze.matching import Index, epicentral_distance_km, within
from pickflow.analyze.reference import AnalyzeParams, ReferenceSet
from pickflow.io.tables import conform
from pickflow.schemas import MISSED_EVENTS, NEW_EVENTS

# An event of ours so many tolerances away is the same one, located badly.
_WIDER_TIME, _WIDER_DISTANCE = 3.0, 5.0
# ASSUME: only to find picks of an event of which the reference has no picks.
_SPEED_KM_S = {"P": 6.0, "S": 3.5}
_SLACK_S, _SLACK_SHARE = 1.0, 0.1
_FARTHEST_KM = 200.0

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
    known = reference.sort_values("time", kind="stable").reset_index(drop=True)
    ours, theirs = (frame.time.to_numpy("M8[ns]").astype(np.int64) for frame in (events, known))
    after = np.clip(np.searchsorted(theirs, ours), 0, len(theirs) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(theirs[before] - ours) <= np.abs(theirs[after] - ours), before, after)
    return table.assign(
        reference_id=known.event_id.to_numpy()[nearest],
        reference_time_difference_s=(ours - theirs[nearest]) / 1e9,
        reference_distance_km=_distance_km(events, known.iloc[nearest]),
    )


def _distance_km(events: pd.DataFrame, others: pd.DataFrame) -> NDArray[np.float64]:
    columns = ["latitude_deg", "longitude_deg"]
    return epicentral_distance_km(*events[columns].to_numpy(float).T, *others[columns].to_numpy(float).T)


def new_events(
    table: pd.DataFrame, matches: pd.DataFrame, reference: pd.DataFrame, params: AnalyzeParams
) -> pd.DataFrame:
    """
    The table `NEW_EVENTS`: judged events that the reference lacks, and what they look like.

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
    found = set(matches.reference_id[matches.event_id.notna()].dropna())
    kind = np.where(_is_like(new, matched), "like_matched", "poorer").astype(object)
    taken = reference.event_id.isin(found).to_numpy()
    kind[_is_near(new, reference[~taken], params, _WIDER_TIME, _WIDER_DISTANCE)] = "displaced"
    kind[_is_near(new, reference[taken], params, 1.0, 1.0)] = "double"
    return conform(new.assign(kind=kind), NEW_EVENTS)


def _is_like(new: pd.DataFrame, matched: pd.DataFrame) -> NDArray[np.bool_]:
    if matched.empty:
        return np.zeros(len(new), bool)
    enough = (new.n_picks >= matched.n_picks.quantile(0.25)).to_numpy()
    for name in ("rms_residual_s", "azimuthal_gap_deg"):
        limit = matched[name].quantile(0.9)
        enough &= (new[name].isna() | (new[name] <= limit) | np.isnan(limit)).to_numpy()
    return enough


def _near(
    events: pd.DataFrame, others: pd.DataFrame, params: AnalyzeParams, time: float, distance: float
) -> tuple[Index, Index]:
    """Rows of all pairs within so many tolerances."""
    times, other = (frame.time.to_numpy("M8[ns]").astype(np.int64) for frame in (events, others))
    rows, columns = within(times, other, round(1e9 * time * params.event_time_tolerance_s))
    near = _distance_km(events.iloc[rows], others.iloc[columns]) <= distance * params.event_distance_tolerance_km
    return rows[near], columns[near]


def _is_near(
    events: pd.DataFrame, others: pd.DataFrame, params: AnalyzeParams, time: float, distance: float
) -> NDArray[np.bool_]:
    return np.isin(np.arange(len(events)), _near(events, others, params, time, distance)[0])


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
    The table `MISSED_EVENTS`: events of the reference without a counterpart, and why, as far as the picks can tell.

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
    found = set(matches.reference_id[matches.event_id.notna()].dropna())
    missed = reference.events[~reference.events.event_id.isin(found)].reset_index(drop=True)
    if missed.empty:
        return conform(pd.DataFrame(), MISSED_EVENTS)
    n_reference_picks = missed.event_id.map(reference.picks.event_id.value_counts()).fillna(0).astype(int)
    known = pick_matches[pick_matches.pick_id.notna() & pick_matches.verdict.isin(["matched", "confused"])]
    known = known[["reference_event_id", "pick_id"]].set_axis(["event_id", "pick_id"], axis=1)
    silent = missed[(n_reference_picks == 0).to_numpy()]
    ours = pd.concat([known[known.event_id.isin(missed.event_id)], _picks_at_arrivals(silent, picks, stations)])
    ours = ours.merge(assignments[["event_id", "pick_id"]].rename(columns={"event_id": "owner"}), "left", "pick_id")
    groups = dict(list(ours.groupby("event_id")))
    lonely = events[~events.event_id.isin(matches.event_id[matches.reference_id.notna()].dropna())]
    beside = _beside(missed, lonely.reset_index(drop=True), params)
    least = int(events.n_picks.min()) if len(events) else 1
    rows = [
        _explain(groups.get(event_id), beside.get(event_id), set(lonely.event_id), least, bool(len(picks)))
        for event_id in missed.event_id
    ]
    table = missed.assign(n_reference_picks=np.where(n_reference_picks > 0, n_reference_picks, missed.n_picks))
    table = table.drop(columns="n_picks").join(pd.DataFrame(rows, columns=_EXPLAINED))
    return conform(_with_other(table, events), MISSED_EVENTS)


_EXPLAINED = ["n_picks", "n_assigned", "why", "other_event_id"]


def _explain(
    found: pd.DataFrame | None, beside: str | None, lonely: set[str], least: int, has_picks: bool
) -> tuple[int, int, str, str | None]:
    """Number of picks found, number of these assigned, reason, and the event of ours that is concerned."""
    n_found = 0 if found is None else found.pick_id.nunique()
    owners = pd.Series(dtype=int) if found is None else found.owner.value_counts()
    n_assigned = int(owners.sum())
    if len(owners) and owners.iloc[0] >= n_found / 2:
        owner = str(owners.index[0])
        return n_found, n_assigned, "located_far" if owner in lonely else "other_event", owner
    if beside is not None:
        return n_found, n_assigned, "located_far", beside
    if not has_picks:
        return 0, 0, "no_event", None
    why = "no_picks" if n_found == 0 else "too_few_picks" if n_found < least else "not_associated"
    return n_found, n_assigned, why, None


def _beside(missed: pd.DataFrame, lonely: pd.DataFrame, params: AnalyzeParams) -> dict[str, str]:
    """Unmatched event of ours that is nearest in time to each missed one, within wider tolerances."""
    rows, columns = _near(missed, lonely, params, _WIDER_TIME, _WIDER_DISTANCE)
    gap = (missed.time.array[rows] - lonely.time.array[columns]) / pd.Timedelta(seconds=1)
    order = np.argsort(np.abs(np.asarray(gap, float)), kind="stable")[::-1]
    return dict(zip(missed.event_id.to_numpy()[rows[order]], lonely.event_id.to_numpy()[columns[order]], strict=True))


def _with_other(table: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    other = events.set_index("event_id").reindex(table.other_event_id)
    difference = pd.to_datetime(other.time, utc=True).array - table.time.array
    return table.assign(
        other_time_difference_s=difference / pd.Timedelta(seconds=1),
        other_distance_km=_distance_km(table, other),
    )


def _picks_at_arrivals(missed: pd.DataFrame, picks: pd.DataFrame, stations: pd.DataFrame) -> pd.DataFrame:
    """Picks near the expected arrivals of events of which the reference has no picks; at most one for each arrival."""
    sites = stations.dropna(subset=["latitude_deg", "longitude_deg"]).set_index(["network", "station"])
    groups = picks.groupby(["network", "station", "phase"]).indices
    times, names = picks.time.to_numpy("M8[ns]").astype(np.int64), picks.pick_id.to_numpy()
    origins, depth_km = missed.time.to_numpy("M8[ns]").astype(np.int64), missed.depth_km.fillna(10.0).to_numpy(float)
    parts = []
    for key, members in groups.items():
        network, station, phase = map(str, tuple(key))  # type: ignore[arg-type]
        rows = np.asarray(members)
        if (network, station) not in sites.index or phase not in _SPEED_KM_S:
            continue
        site = sites.loc[[(network, station)]].iloc[np.zeros(len(missed), int)]
        distance_km = _distance_km(missed, site)
        travel_s = np.hypot(distance_km, depth_km) / _SPEED_KM_S[phase]
        expected = origins + (1e9 * travel_s).astype(np.int64)
        slack = (1e9 * (_SLACK_S + _SLACK_SHARE * travel_s)).astype(np.int64)
        ordered = rows[np.argsort(times[rows], kind="stable")]
        place = np.searchsorted(times[ordered], expected - slack, side="left")
        inside = (place < len(ordered)) & (distance_km <= _FARTHEST_KM)
        inside &= times[ordered][np.minimum(place, len(ordered) - 1)] <= expected + slack
        chosen = names[ordered[place[inside]]]
        parts.append(pd.DataFrame({"event_id": missed.event_id.to_numpy()[inside], "pick_id": chosen}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"event_id": [], "pick_id": []}, dtype=object)
