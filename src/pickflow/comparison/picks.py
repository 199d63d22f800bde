"""Comparison of picks with those of a reference: matched, missed, confused, or extra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.comparison import scores
from pickflow.comparison.matching import Index, Pairs, candidates, match_picks
from pickflow.comparison.reference import ReferenceSet
from pickflow.io.tables import conform
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import PICK_MATCHES, SCORES

PHASES = ("P", "S")
_JUDGED = ["matched", "confused", "true", "extra"]
_THRESHOLD_STEP = 0.05  # chosen, for the curve in the report


@dataclass(frozen=True, kw_only=True)
class PickComparison:
    """
    A pick set compared with a reference.

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
    Compare a pick set with the picks of a reference.

    A bulletin has the picks of its events only: a pick is judged where the analysts picked at its station
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
        empty_tables = conform(pd.DataFrame(), PICK_MATCHES), conform(pd.DataFrame(), SCORES)
        return PickComparison(matches=empty_tables[0], scores=empty_tables[1], numbers={})
    nearby = _near_window(picks, reference, params.pick_time_tolerance_s)
    matches = pick_matches(nearby, reference, params)
    table = scores.join_scores([*_thresholds(nearby, reference, matches, params), *_groups(matches)])
    return PickComparison(matches=matches, scores=table, numbers=_numbers(matches, table))


def _near_window(picks: pd.DataFrame, reference: ReferenceSet, tolerance_s: float) -> pd.DataFrame:
    slack = pd.Timedelta(seconds=tolerance_s)
    start, end = (pd.Timestamp(moment) for moment in reference.window)
    in_window = (picks.time >= start - slack) & (picks.time < end + slack) & picks.phase.isin(PHASES)
    return picks[in_window].reset_index(drop=True)


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
    truth, tolerance_s = reference.picks, params.pick_time_tolerance_s
    verdict = np.full(len(picks), "unjudged", dtype=object)
    partner = np.full(len(picks), -1)
    pairs = match_picks(picks, truth, tolerance_s)
    verdict[pairs.left], partner[pairs.left] = "matched", pairs.right
    verdict[_further_rows(picks, verdict == "unjudged", reference, tolerance_s)] = "true"
    confused = _confusions(picks, verdict == "unjudged", truth, partner, tolerance_s)
    verdict[confused.left], partner[confused.left] = "confused", confused.right
    nearest = _nearest(picks, truth, params.pick_judged_within_s)
    in_window = (
        (picks.time >= pd.Timestamp(reference.window[0])) & (picks.time < pd.Timestamp(reference.window[1]))
    ).to_numpy()
    is_judged = in_window & ((nearest >= 0) | (reference.further_picks is not None))
    verdict[(verdict == "unjudged") & is_judged] = "extra"
    keep = in_window | (partner >= 0)
    pick_rows = _pick_rows(picks[keep], verdict[keep], partner[keep], nearest[keep], truth)
    miss_rows = _miss_rows(truth, np.setdiff1d(np.arange(len(truth)), partner))
    parts = [part for part in (pick_rows, miss_rows) if len(part)]
    return conform(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(), PICK_MATCHES)


def _further_rows(picks: pd.DataFrame, open_: NDArray[np.bool_], reference: ReferenceSet, tolerance_s: float) -> Index:
    """Rows of picks, among those still open, that match a true pick that is not expected."""
    if reference.further_picks is None:
        return np.empty(0, np.int64)
    rows = np.flatnonzero(open_)
    return rows[match_picks(picks.iloc[rows], reference.further_picks, tolerance_s).left]


def _confusions(
    picks: pd.DataFrame, open_: NDArray[np.bool_], truth: pd.DataFrame, partner: Index, tolerance_s: float
) -> Pairs:
    """Pairs of an open pick and a free pick of the reference: same station and time, another phase."""
    rows, free = np.flatnonzero(open_), np.setdiff1d(np.arange(len(truth)), partner)
    choices = candidates(picks.iloc[rows], truth.iloc[free], tolerance_s, same_phase=False)
    phase, true_phase = picks.phase.to_numpy()[rows][choices.left], truth.phase.to_numpy()[free][choices.right]
    pairs = choices.choose(tolerance_s, phase != true_phase)
    return Pairs(left=rows[pairs.left], right=free[pairs.right])


def _nearest(picks: pd.DataFrame, truth: pd.DataFrame, within_s: float) -> Index:
    """Row of the reference pick at the same station that is nearest in time; -1: none."""
    pairs = candidates(picks, truth, within_s, same_phase=False)
    order = np.argsort(np.abs(pairs.gap_s), kind="stable")[::-1]
    nearest = np.full(len(picks), -1)
    nearest[pairs.left[order]] = pairs.right[order]  # the last one written is the nearest
    return nearest


def _pick_rows(
    picks: pd.DataFrame, verdict: NDArray[Any], partner: Index, nearest: Index, truth: pd.DataFrame
) -> pd.DataFrame:
    context_rows = np.where(partner >= 0, partner, nearest)
    # The rows of the reference are numbered from 0, so that -1 gives an empty row.
    context, partners = (truth.reindex(rows).reset_index(drop=True) for rows in (context_rows, partner))
    table = picks[["pick_id", "network", "station", "phase", "time", "probability"]].reset_index(drop=True)
    error = (table.time - partners.time) / pd.Timedelta(seconds=1)
    return table.assign(
        verdict=verdict, reference_pick=partner, reference_phase=partners.phase, time_error_s=error.astype(float),
        reference_event_id=context.event_id, distance_km=context.distance_km.astype(float),
        magnitude=context.magnitude.astype(float),
    )  # fmt: skip


def _miss_rows(truth: pd.DataFrame, rows: Index) -> pd.DataFrame:
    misses = truth.iloc[rows]
    return pd.DataFrame(
        {
            "pick_id": None, "reference_pick": rows, "verdict": "missed", "network": misses.network.to_numpy(),
            "station": misses.station.to_numpy(), "phase": None, "reference_phase": misses.phase.to_numpy(),
            "time": misses.time.array, "probability": np.nan, "time_error_s": np.nan,
            "reference_event_id": misses.event_id.to_numpy(), "distance_km": misses.distance_km.to_numpy(float),
            "magnitude": misses.magnitude.to_numpy(float),
        }
    )  # fmt: skip


def _counts(matches: pd.DataFrame, phase: str) -> pd.DataFrame:
    matched, of_phase = (matches.verdict == "matched").to_numpy(), (matches.phase == phase).to_numpy()
    of_reference = (matches.reference_phase == phase).to_numpy()
    is_true = matched | (matches.verdict == "true").to_numpy()
    return scores.count_table(
        of_reference, of_reference & matched, of_phase & matches.verdict.isin(_JUDGED).to_numpy(), of_phase & is_true
    )


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
            *(scores.scores_in_bins(counts, "picks", phase, group, *bins) for group, bins in numbers.items()),
        ]
    return parts


def _thresholds(
    picks: pd.DataFrame, reference: ReferenceSet, matches: pd.DataFrame, params: AnalyzeParams
) -> list[pd.DataFrame]:
    """Scores of the picks above each threshold, each matched separately: a weaker pick may replace a stronger one."""
    probabilities = picks.probability.dropna()
    if probabilities.empty:
        return []
    grid = np.round(np.arange(0.0, 1.0, _THRESHOLD_STEP), 2)
    judged_ids = set(matches.pick_id[matches.verdict.isin(_JUDGED)])
    rows = []
    for phase in PHASES:
        subset = picks[(picks.phase == phase) & picks.probability.notna()].reset_index(drop=True)
        truth = reference.picks[reference.picks.phase == phase].reset_index(drop=True)
        choices = candidates(subset, truth, params.pick_time_tolerance_s)
        probability, judged = (
            subset.probability.to_numpy(float),
            subset.pick_id.isin(judged_ids).to_numpy(),
        )
        for threshold in grid[grid > probabilities.min() - _THRESHOLD_STEP]:
            is_above = probability >= threshold
            pairs = choices.choose(params.pick_time_tolerance_s, is_above[choices.left])
            open_ = is_above.copy()
            open_[pairs.left] = False
            n_known = _further_rows(subset, open_, reference, params.pick_time_tolerance_s).size
            n_judged = int((is_above & judged).sum() + (~judged[pairs.left]).sum())
            counts = (len(truth), pairs.left.size, n_judged, pairs.left.size + n_known)
            rows.append(scores.score_row("picks", phase, "threshold", float(threshold), counts))
    return rows


def confusion(matches: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Number of picks by the phase of the reference (or none) and ours (or none), of those that are judged."""
    judged_rows = matches[matches.verdict.isin(["matched", "confused", "missed", "extra"])]
    pairs = judged_rows.reference_phase.fillna("none") + " " + judged_rows.phase.fillna("none")
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
