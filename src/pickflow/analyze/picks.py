"""Picks against the picks of a reference: which are the same, missed, confused, or not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.analyze import scores
from pickflow.analyze.matching import Index, Pairs, candidates, match_picks
from pickflow.analyze.reference import AnalyzeParams, ReferenceSet
from pickflow.io.tables import conform
from pickflow.schemas import PICK_MATCHES, SCORES

PHASES = ("P", "S")
_JUDGED = ["matched", "confused", "true", "extra"]
_THRESHOLD_STEP = 0.05


@dataclass(frozen=True, kw_only=True)
class PickComparison:
    """
    A pick set held against a reference.

    Parameters
    ----------
    matches, scores : DataFrame
        Tables `PICK_MATCHES` and `SCORES`; empty if the reference has no picks.
    numbers : dict
        For ``summary.json``: by phase, and the confusion matrix.
    """

    matches: pd.DataFrame
    scores: pd.DataFrame
    numbers: dict[str, Any]


def compare_picks(picks: pd.DataFrame, reference: ReferenceSet | None, params: AnalyzeParams) -> PickComparison:
    """
    Hold a pick set against the picks of a reference.

    A bulletin has the picks of its events only: a pick of ours is judged where the analysts picked at its station
    within ``pick_judged_within_s``. If all true picks are known, every pick in the window is judged.

    Parameters
    ----------
    picks : DataFrame
        Table `PICKS`.
    reference : ReferenceSet or None
        See `load_reference`.
    params : AnalyzeParams
        Gives the tolerances.
    """
    if reference is None or reference.picks.empty:
        nothing = conform(pd.DataFrame(), PICK_MATCHES), conform(pd.DataFrame(), SCORES)
        return PickComparison(matches=nothing[0], scores=nothing[1], numbers={})
    near = _near_window(picks, reference, params.pick_time_tolerance_s)
    matches = pick_matches(near, reference, params)
    table = scores.joined([*_thresholds(near, reference, matches, params), *_groups(matches)])
    return PickComparison(matches=matches, scores=table, numbers=_numbers(matches, table))


def _near_window(picks: pd.DataFrame, reference: ReferenceSet, tolerance_s: float) -> pd.DataFrame:
    slack = pd.Timedelta(seconds=tolerance_s)
    start, end = (pd.Timestamp(moment) for moment in reference.window)
    inside = (picks.time >= start - slack) & (picks.time < end + slack) & picks.phase.isin(PHASES)
    return picks[inside].reset_index(drop=True)


def pick_matches(picks: pd.DataFrame, reference: ReferenceSet, params: AnalyzeParams) -> pd.DataFrame:
    """
    The table `PICK_MATCHES` of picks and the picks of a reference.

    Parameters
    ----------
    picks : DataFrame
        Rows of `PICKS` inside the window, or nearly so.
    reference, params
        See `compare_picks`.
    """
    wanted, tolerance_s = reference.picks, params.pick_time_tolerance_s
    verdict = np.full(len(picks), "unjudged", dtype=object)
    partner = np.full(len(picks), -1)
    pairs = match_picks(picks, wanted, tolerance_s)
    verdict[pairs.left], partner[pairs.left] = "matched", pairs.right
    verdict[_known_by_others(picks, verdict == "unjudged", reference, tolerance_s)] = "true"
    swapped = _other_phase(picks, verdict == "unjudged", wanted, partner, tolerance_s)
    verdict[swapped.left], partner[swapped.left] = "confused", swapped.right
    nearest = _nearest(picks, wanted, params.pick_judged_within_s)
    inside = (
        (picks.time >= pd.Timestamp(reference.window[0])) & (picks.time < pd.Timestamp(reference.window[1]))
    ).to_numpy()
    judged = inside & ((nearest >= 0) | (reference.other_picks is not None))
    verdict[(verdict == "unjudged") & judged] = "extra"
    keep = inside | (partner >= 0)
    found = _found(picks[keep], verdict[keep], partner[keep], nearest[keep], wanted)
    missed = _missed(wanted, np.setdiff1d(np.arange(len(wanted)), partner))
    parts = [part for part in (found, missed) if len(part)]
    return conform(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(), PICK_MATCHES)


def _known_by_others(
    picks: pd.DataFrame, open_: NDArray[np.bool_], reference: ReferenceSet, tolerance_s: float
) -> Index:
    """Rows of picks, among those still open, that match a true pick nobody asked for."""
    if reference.other_picks is None:
        return np.empty(0, np.int64)
    rows = np.flatnonzero(open_)
    return rows[match_picks(picks.iloc[rows], reference.other_picks, tolerance_s).left]


def _other_phase(
    picks: pd.DataFrame, open_: NDArray[np.bool_], wanted: pd.DataFrame, partner: Index, tolerance_s: float
) -> Pairs:
    """Pairs of an open pick and a free pick of the reference: same station and time, another phase."""
    rows, free = np.flatnonzero(open_), np.setdiff1d(np.arange(len(wanted)), partner)
    near = candidates(picks.iloc[rows], wanted.iloc[free], tolerance_s, same_phase=False)
    ours, theirs = picks.phase.to_numpy()[rows][near.left], wanted.phase.to_numpy()[free][near.right]
    pairs = near.choose(tolerance_s, ours != theirs)
    return Pairs(left=rows[pairs.left], right=free[pairs.right])


def _nearest(picks: pd.DataFrame, wanted: pd.DataFrame, within_s: float) -> Index:
    """Row of the reference pick at the same station that is nearest in time; -1: none so near."""
    near = candidates(picks, wanted, within_s, same_phase=False)
    order = np.argsort(np.abs(near.gap_s), kind="stable")[::-1]
    nearest = np.full(len(picks), -1)
    nearest[near.left[order]] = near.right[order]  # the last one written is the nearest
    return nearest


def _found(
    picks: pd.DataFrame, verdict: NDArray[Any], partner: Index, nearest: Index, wanted: pd.DataFrame
) -> pd.DataFrame:
    near = np.where(partner >= 0, partner, nearest)
    # The rows of the reference are numbered from 0, so that -1 gives a row of nothing.
    context, partners = (wanted.reindex(rows).reset_index(drop=True) for rows in (near, partner))
    table = picks[["pick_id", "network", "station", "phase", "time", "probability"]].reset_index(drop=True)
    error = (table.time - partners.time) / pd.Timedelta(seconds=1)
    return table.assign(
        verdict=verdict, reference_pick=partner, reference_phase=partners.phase, time_error_s=error.astype(float),
        reference_event_id=context.event_id, distance_km=context.distance_km.astype(float),
        magnitude=context.magnitude.astype(float),
    )  # fmt: skip


def _missed(wanted: pd.DataFrame, rows: Index) -> pd.DataFrame:
    lost = wanted.iloc[rows]
    return pd.DataFrame(
        {
            "pick_id": None, "reference_pick": rows, "verdict": "missed", "network": lost.network.to_numpy(),
            "station": lost.station.to_numpy(), "phase": None, "reference_phase": lost.phase.to_numpy(),
            "time": lost.time.array, "probability": np.nan, "time_error_s": np.nan,
            "reference_event_id": lost.event_id.to_numpy(), "distance_km": lost.distance_km.to_numpy(float),
            "magnitude": lost.magnitude.to_numpy(float),
        }
    )  # fmt: skip


def _counts(matches: pd.DataFrame, phase: str) -> pd.DataFrame:
    matched, ours = (matches.verdict == "matched").to_numpy(), (matches.phase == phase).to_numpy()
    wanted = (matches.reference_phase == phase).to_numpy()
    right = matched | (matches.verdict == "true").to_numpy()
    return scores.count_table(wanted, wanted & matched, ours & matches.verdict.isin(_JUDGED).to_numpy(), ours & right)


def _groups(matches: pd.DataFrame) -> list[pd.DataFrame]:
    """Scores of all picks, and by station, distance, magnitude and hour of day."""
    stations = (matches.network.fillna("") + "." + matches.station).str.lstrip(".").to_numpy()
    magnitude = matches.magnitude.to_numpy(float)
    numbers: dict[str, tuple[NDArray[np.float64], Any]] = {
        "distance_km": (matches.distance_km.to_numpy(float), scores.DISTANCE_EDGES_KM),
        "magnitude": (magnitude, scores.magnitude_edges(magnitude)),
        "hour": (matches.time.dt.hour.to_numpy(float), scores.HOUR_EDGES),
    }
    parts = []
    for phase in PHASES:
        counts = _counts(matches, phase)
        parts += [
            scores.scores_of(counts, "picks", phase, "all"),
            scores.scores_of(counts, "picks", phase, "station", stations),
            *(scores.scores_in_bins(counts, "picks", phase, by, *place) for by, place in numbers.items()),
        ]
    return parts


def _thresholds(
    picks: pd.DataFrame, reference: ReferenceSet, matches: pd.DataFrame, params: AnalyzeParams
) -> list[pd.DataFrame]:
    """Scores of the picks above each threshold, matched anew: a weaker pick may have taken a stronger one's place."""
    known = picks.probability.dropna()
    if known.empty:
        return []
    grid = np.round(np.arange(0.0, 1.0, _THRESHOLD_STEP), 2)
    judged = set(matches.pick_id[matches.verdict.isin(_JUDGED)])
    rows = []
    for phase in PHASES:
        ours = picks[(picks.phase == phase) & picks.probability.notna()].reset_index(drop=True)
        wanted = reference.picks[reference.picks.phase == phase].reset_index(drop=True)
        near = candidates(ours, wanted, params.pick_time_tolerance_s)
        probability, counted = ours.probability.to_numpy(float), ours.pick_id.isin(judged).to_numpy()
        for threshold in grid[grid > known.min() - _THRESHOLD_STEP]:
            above = probability >= threshold
            pairs = near.choose(params.pick_time_tolerance_s, above[near.left])
            open_ = above.copy()
            open_[pairs.left] = False
            n_known = _known_by_others(ours, open_, reference, params.pick_time_tolerance_s).size
            n_judged = int((above & counted).sum() + (~counted[pairs.left]).sum())
            counts = (len(wanted), pairs.left.size, n_judged, pairs.left.size + n_known)
            rows.append(scores.score_row("picks", phase, "threshold", float(threshold), counts))
    return rows


def confusion(matches: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Number of picks by the phase of the reference (or none) and ours (or none), of those that are judged."""
    counted = matches[matches.verdict.isin(["matched", "confused", "missed", "extra"])]
    pairs = counted.reference_phase.fillna("none") + " " + counted.phase.fillna("none")
    n = pairs.value_counts()
    names = (*PHASES, "none")
    return {
        row: {column: int(n.get(f"{row} {column}", 0)) for column in names if (row, column) != ("none", "none")}
        for row in names
    }


def _numbers(matches: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    whole = table[table.by == "all"].set_index("phase")
    numbers: dict[str, Any] = {}
    for phase in PHASES:
        row: Any = whole.loc[phase]
        error = matches.time_error_s[(matches.verdict == "matched") & (matches.phase == phase)]
        recall, precision = (float(np.nan_to_num(row[name])) for name in ("recall", "precision"))
        numbers[phase] = {
            "n": int(row.n_reference), "matched": int(row.n_found), "n_judged": int(row.n_judged),
            "n_unjudged": int(((matches.verdict == "unjudged") & (matches.phase == phase)).sum()),
            "recall": round(recall, 6), "precision": round(precision, 6), "f1": round(scores.f1(recall, precision), 6),
            **residual_numbers(error),
        }  # fmt: skip
    return {**numbers, "confusion": confusion(matches)}


def residual_numbers(error_s: pd.Series) -> dict[str, float | None]:
    """Mean, median, median absolute deviation from it, and mean size of time errors; None of nothing."""
    names = ("mean_time_error_s", "median_time_error_s", "mad_time_error_s", "mean_absolute_time_error_s")
    if error_s.empty:
        return dict.fromkeys(names)
    median = float(error_s.median())
    values = (float(error_s.mean()), median, float((error_s - median).abs().median()), float(error_s.abs().mean()))
    return {name: round(value, 6) + 0.0 for name, value in zip(names, values, strict=True)}
