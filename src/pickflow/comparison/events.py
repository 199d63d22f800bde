"""Events against the events of a reference: found, missed, false, or not judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.comparison import scores
from pickflow.comparison.matching import match_events, matches_table
from pickflow.comparison.reference import ReferenceSet
from pickflow.io.tables import conform
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import MATCHES, SCORES

_N_CURVE_POINTS = 15  # chosen: enough for a curve in a figure; each is a whole matching


@dataclass(frozen=True, kw_only=True)
class EventComparison:
    """
    A catalog compared with a reference.

    Parameters
    ----------
    matches : DataFrame
        Table `MATCHES`: matched, missed and false events. Events of the catalog that are not in it are not judged: they
        match a true event that is not expected, or lie outside the window or the region.
    scores : DataFrame
        Table `SCORES`.
    numbers : dict
        Ready for ``summary.json``.
    """

    matches: pd.DataFrame
    scores: pd.DataFrame
    numbers: dict[str, Any]


def compare_events(events: pd.DataFrame, reference: ReferenceSet | None, params: AnalyzeParams) -> EventComparison:
    """
    Compare a catalog with a reference.

    Recall is the share of the reference events that have a counterpart. Precision is the share of the catalog's events
    inside the window and the region that have a counterpart among all true events that are known. In the numbers, a
    share of nothing is 0; a median without values is None.

    Parameters
    ----------
    events : DataFrame
        Table `EVENTS`.
    reference : ReferenceSet or None
        See `load_reference`.
    params : AnalyzeParams
        Gives the tolerances.

    Returns
    -------
    EventComparison
        Without a reference: no matches, no scores.
    """
    if reference is None:
        empty_tables = conform(pd.DataFrame(), MATCHES), conform(pd.DataFrame(), SCORES)
        return EventComparison(matches=empty_tables[0], scores=empty_tables[1], numbers={})
    matches, counts = _match(events, reference, params)
    parts = [*_groups(counts, events, reference.events), *_curve(events, reference, params)]
    return EventComparison(matches=matches, scores=scores.join_scores(parts), numbers=_numbers(matches, counts))


def _match(events: pd.DataFrame, reference: ReferenceSet, params: AnalyzeParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table `MATCHES`, and the counts of each event (first) and each reference event (after them)."""
    tolerances = params.event_time_tolerance_s, params.event_distance_tolerance_km
    pairs = match_events(events, reference.events, *tolerances)
    unmatched = np.setdiff1d(np.arange(len(events)), pairs.left)
    also_true = unmatched[match_events(events.iloc[unmatched], reference.further_events, *tolerances).left]
    is_judged = reference.covers(events)
    is_true = np.zeros(len(events), bool)
    is_true[np.concatenate([pairs.left, also_true])] = True
    is_found = np.isin(np.arange(len(reference.events)), pairs.right)
    of_catalog, of_reference = np.zeros(len(events), bool), np.zeros(len(is_found), bool)
    counts = scores.count_table(
        np.concatenate([of_catalog, ~of_reference]), np.concatenate([of_catalog, is_found]),
        np.concatenate([is_judged, of_reference]), np.concatenate([is_judged & is_true, of_reference]),
    )  # fmt: skip
    return matches_table(events, reference.events, pairs, is_judged & ~is_true), counts


def _groups(counts: pd.DataFrame, events: pd.DataFrame, reference: pd.DataFrame) -> list[pd.DataFrame]:
    """Scores of all events, and by magnitude, number of picks and hour of day; with the values of each event."""
    table = pd.concat([events[_USED], reference[_USED]], ignore_index=True)
    magnitude = table.magnitude.to_numpy(float)
    n_picks = table.n_picks.to_numpy(float)
    numbers: dict[str, tuple[NDArray[np.float64], Any]] = {
        "magnitude": (magnitude, scores.magnitude_edges(magnitude)),
        "n_picks": (np.where(n_picks > 0, n_picks, np.nan), scores.N_PICKS_EDGES),
        "hour": (table.time.dt.hour.to_numpy(float), scores.HOUR_EDGES),
    }
    whole = scores.scores_of(counts, "events", "", "all")
    return [whole, *(scores.scores_in_bins(counts, "events", "", group, *bins) for group, bins in numbers.items())]


_USED = ["time", "magnitude", "n_picks"]


def _curve(events: pd.DataFrame, reference: ReferenceSet, params: AnalyzeParams) -> list[pd.DataFrame]:
    """Scores of the events with at least each number of picks, matched separately."""
    counts_of_picks = np.unique(events.n_picks[events.n_picks > 0])
    if counts_of_picks.size < 2:
        return []
    thresholds = counts_of_picks[np.unique(np.linspace(0, counts_of_picks.size - 1, _N_CURVE_POINTS).astype(int))]
    rows = []
    for threshold in thresholds:
        _, counts = _match(events[events.n_picks >= threshold].reset_index(drop=True), reference, params)
        rows.append(scores.score_row("events", "", "min_n_picks", float(threshold), list(counts.sum())))
    return rows


def _numbers(matches: pd.DataFrame, counts: pd.DataFrame) -> dict[str, Any]:
    n_reference, n_found, n_judged, n_true = (int(counts[name].sum()) for name in scores.COUNTS)
    matched = matches[matches.reference_id.notna() & matches.event_id.notna()]
    recall, precision = share(n_found, n_reference), share(n_true, n_judged)
    return {
        "n": n_reference,
        "matched": n_found,
        "n_false": n_judged - n_true,
        "recall": recall,
        "precision": precision,
        "f1": round(scores.f1(recall, precision), 6),
        "median_time_error_s": median(matched.time_error_s.abs()),
        "median_epicentral_error_km": median(matched.epicentral_error_km),
        "median_depth_error_km": median(matched.depth_error_km.abs()),
        "median_magnitude_error": median(matched.magnitude_error.abs()),
    }


def share(part: int, whole: int) -> float:
    """Part of a whole, rounded; 0 of nothing."""
    return round(part / whole, 6) if whole else 0.0


def median(values: pd.Series) -> float | None:
    """Median of the known values, rounded; None without any."""
    valid = values.dropna()
    return round(float(valid.median()), 6) if len(valid) else None
