"""Events against the events of a reference: found, missed, false, or not judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.analyze import scores
from pickflow.analyze.matching import match_events, matches_table
from pickflow.analyze.reference import AnalyzeParams, ReferenceSet
from pickflow.io.tables import conform
from pickflow.schemas import MATCHES, SCORES

_N_CURVE_POINTS = 15


@dataclass(frozen=True, kw_only=True)
class EventComparison:
    """
    A catalog held against a reference.

    Parameters
    ----------
    matches : DataFrame
        Table `MATCHES`: matched, missed and false events. Events of the catalog that are not in it are not judged: they
        match a true event that nobody asked for, or lie outside the window or the region.
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
    Hold a catalog against a reference.

    Recall is the share of the reference events that have a counterpart. Precision is the share of the catalog's events
    inside the window and the region that have a counterpart among all true events that are known. In the numbers, a
    share of nothing is 0; a median of nothing is None.

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
        nothing = conform(pd.DataFrame(), MATCHES), conform(pd.DataFrame(), SCORES)
        return EventComparison(matches=nothing[0], scores=nothing[1], numbers={})
    matches, counts = _match(events, reference, params)
    parts = [*_groups(counts, events, reference.events), *_curve(events, reference, params)]
    return EventComparison(matches=matches, scores=scores.joined(parts), numbers=_numbers(matches, counts))


def _match(events: pd.DataFrame, reference: ReferenceSet, params: AnalyzeParams) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table `MATCHES`, and what each event (first) and each reference event (after them) counts for."""
    tolerances = params.event_time_tolerance_s, params.event_distance_tolerance_km
    pairs = match_events(events, reference.events, *tolerances)
    rest = np.setdiff1d(np.arange(len(events)), pairs.left)
    also_true = rest[match_events(events.iloc[rest], reference.others, *tolerances).left]
    judged = reference.covers(events)
    true = np.zeros(len(events), bool)
    true[np.concatenate([pairs.left, also_true])] = True
    found = np.isin(np.arange(len(reference.events)), pairs.right)
    ours, theirs = np.zeros(len(events), bool), np.zeros(len(found), bool)
    counts = scores.count_table(
        np.concatenate([ours, ~theirs]), np.concatenate([ours, found]),
        np.concatenate([judged, theirs]), np.concatenate([judged & true, theirs]),
    )  # fmt: skip
    return matches_table(events, reference.events, pairs, judged & ~true), counts


def _groups(counts: pd.DataFrame, events: pd.DataFrame, reference: pd.DataFrame) -> list[pd.DataFrame]:
    """Scores of all events, and by magnitude, number of picks and hour of day; each event by its own."""
    both = pd.concat([events[_USED], reference[_USED]], ignore_index=True)
    magnitude = both.magnitude.to_numpy(float)
    n_picks = both.n_picks.to_numpy(float)
    numbers: dict[str, tuple[NDArray[np.float64], Any]] = {
        "magnitude": (magnitude, scores.magnitude_edges(magnitude)),
        "n_picks": (np.where(n_picks > 0, n_picks, np.nan), scores.N_PICKS_EDGES),
        "hour": (both.time.dt.hour.to_numpy(float), scores.HOUR_EDGES),
    }
    whole = scores.scores_of(counts, "events", "", "all")
    return [whole, *(scores.scores_in_bins(counts, "events", "", by, *place) for by, place in numbers.items())]


_USED = ["time", "magnitude", "n_picks"]


def _curve(events: pd.DataFrame, reference: ReferenceSet, params: AnalyzeParams) -> list[pd.DataFrame]:
    """Scores of the events with at least so many picks, matched anew."""
    known = np.unique(events.n_picks[events.n_picks > 0])
    if known.size < 2:
        return []
    chosen = known[np.unique(np.linspace(0, known.size - 1, _N_CURVE_POINTS).astype(int))]
    rows = []
    for least in chosen:
        _, counts = _match(events[events.n_picks >= least].reset_index(drop=True), reference, params)
        rows.append(scores.score_row("events", "", "min_n_picks", float(least), list(counts.sum())))
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
    """Median of what is known, rounded; None of nothing."""
    known = values.dropna()
    return round(float(known.median()), 6) if len(known) else None
