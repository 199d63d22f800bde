"""The numbers of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pickflow.analyze.matching import Pairs, match_events, match_picks, matches_table
from pickflow.analyze.reference import AnalyzeParams, ReferenceSet
from pickflow.io.tables import conform
from pickflow.schemas import MATCHES, REASONS


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """
    A catalog held against a reference.

    Parameters
    ----------
    matches : DataFrame
        Table `MATCHES`: matched, missed and false events. Events of the catalog that are not in it are not judged: they
        match a true event that nobody asked for, or lie outside the window or the region.
    scores : dict
        Ready for ``summary.json``.
    """

    matches: pd.DataFrame
    scores: dict[str, Any]


def unjudged_events(events: pd.DataFrame, matches: pd.DataFrame) -> frozenset[str]:
    """Identifiers of the events of a catalog that its table `MATCHES` leaves out."""
    return frozenset(events.event_id) - frozenset(matches.event_id.dropna())


def compare(
    events: pd.DataFrame, picks: pd.DataFrame, reference: ReferenceSet | None, params: AnalyzeParams
) -> Comparison:
    """
    Hold a catalog and its picks against a reference.

    Recall is the share of the reference events that have a counterpart. Precision is the share of the catalog's events
    inside the window and the region that have a counterpart among all true events that are known. A share of nothing
    is 0; a median of nothing is None.

    Parameters
    ----------
    events, picks : DataFrame
        Tables `EVENTS` and `PICKS`.
    reference : ReferenceSet or None
        See `load_reference`.
    params : AnalyzeParams
        Gives the tolerances.

    Returns
    -------
    Comparison
        Without a reference: no matches, no scores.
    """
    if reference is None:
        return Comparison(matches=conform(pd.DataFrame(), MATCHES), scores={})
    tolerances = params.event_time_tolerance_s, params.event_distance_tolerance_km
    pairs = match_events(events, reference.events, *tolerances)
    rest = np.setdiff1d(np.arange(len(events)), pairs.left)
    also_true = rest[match_events(events.iloc[rest], reference.others, *tolerances).left]
    judged = reference.covers(events)
    false = judged.copy()
    false[np.concatenate([pairs.left, also_true])] = False
    matches = matches_table(events, reference.events, pairs, false)
    scores = _event_scores(matches, int(judged.sum()), int(false.sum()))
    if len(reference.picks):
        scores["picks"] = _pick_scores(picks, reference, params.pick_time_tolerance_s)
    return Comparison(matches=matches, scores=scores)


def _event_scores(matches: pd.DataFrame, n_judged: int, n_false: int) -> dict[str, Any]:
    n_reference = int(matches.reference_id.notna().sum())
    matched = matches[matches.reference_id.notna() & matches.event_id.notna()]
    recall = _share(len(matched), n_reference)
    precision = _share(n_judged - n_false, n_judged)
    return {
        "n": n_reference,
        "matched": len(matched),
        "n_false": n_false,
        "recall": recall,
        "precision": precision,
        "f1": _f1(recall, precision),
        "median_time_error_s": _median(matched.time_error_s.abs()),
        "median_epicentral_error_km": _median(matched.epicentral_error_km),
        "median_depth_error_km": _median(matched.depth_error_km.abs()),
    }


def _pick_scores(picks: pd.DataFrame, reference: ReferenceSet, tolerance_s: float) -> dict[str, Any]:
    return {
        phase: _phase_scores(
            picks[picks.phase == phase].reset_index(drop=True),
            reference.picks[reference.picks.phase == phase].reset_index(drop=True),
            reference,
            tolerance_s,
        )
        for phase in ("P", "S")
    }


def _phase_scores(
    picks: pd.DataFrame, wanted: pd.DataFrame, reference: ReferenceSet, tolerance_s: float
) -> dict[str, Any]:
    pairs = match_picks(picks, wanted, tolerance_s)
    times, other = picks.time.to_numpy("M8[ns]"), wanted.time.to_numpy("M8[ns]")
    error = (times[pairs.left] - other[pairs.right]) / np.timedelta64(1, "s")
    recall = _share(pairs.left.size, len(wanted))
    scores: dict[str, Any] = {
        "n": len(wanted),
        "matched": int(pairs.left.size),
        "recall": recall,
        "median_time_error_s": _median(pd.Series(error)),
        "mean_absolute_time_error_s": _rounded(float(np.abs(error).mean())) if error.size else None,
    }
    if reference.other_picks is not None:
        start, end = (pd.Timestamp(moment) for moment in reference.window)
        inside = ((picks.time >= start) & (picks.time < end)).to_numpy()
        true = _true_picks(picks, pairs, reference.other_picks, tolerance_s)
        precision = _share(int((true & inside).sum()), int(inside.sum()))
        scores |= {"precision": precision, "f1": _f1(recall, precision)}
    return scores


def _true_picks(picks: pd.DataFrame, pairs: Pairs, others: pd.DataFrame, tolerance_s: float) -> np.ndarray:
    true = np.zeros(len(picks), bool)
    true[pairs.left] = True
    rest = np.flatnonzero(~true)
    true[rest[match_picks(picks.iloc[rest], others, tolerance_s).left]] = True
    return true


def _share(part: int, whole: int) -> float:
    return _rounded(part / whole) if whole else 0.0


def _f1(recall: float, precision: float) -> float:
    return _rounded(2 * recall * precision / (recall + precision)) if recall + precision else 0.0


def _median(values: pd.Series) -> float | None:
    known = values.dropna()
    return _rounded(float(known.median())) if len(known) else None


def _rounded(value: float) -> float:
    return round(value, 6)


def against_teacher(events: pd.DataFrame, teacher: pd.DataFrame, params: AnalyzeParams) -> dict[str, int]:
    """
    Count what a student's catalog has kept of its teacher's: events ``matched``, ``lost`` and ``new``.

    Parameters
    ----------
    events, teacher : DataFrame
        Tables `EVENTS` of the student and of the teacher.
    params : AnalyzeParams
        Gives the tolerances.
    """
    pairs = match_events(events, teacher, params.event_time_tolerance_s, params.event_distance_tolerance_km)
    n_matched = len(pairs.left)
    return {"matched": n_matched, "lost": len(teacher) - n_matched, "new": len(events) - n_matched}


def teachers_of(compressions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """``model/weights`` of the teacher of each student, by the student's."""
    return {
        f"{entry['teacher']['model']}/{model['name']}": f"{entry['teacher']['model']}/{entry['teacher']['weights']}"
        for entry in compressions
        for model in entry["models"]
        if model["method"] != "teacher"
    }


def catalog_numbers(
    catalog: str,
    picks: pd.DataFrame,
    events: pd.DataFrame,
    comparison: Comparison,
    teacher: Mapping[str, int] | None,
) -> dict[str, Any]:
    """
    Entry of a catalog in the summary.

    Parameters
    ----------
    catalog : str
        ``signal/model/weights/associator``.
    picks, events : DataFrame
        Tables `PICKS` (assigned or not) and `EVENTS`.
    comparison : Comparison
        See `compare`.
    teacher : mapping or None
        See `against_teacher`; None for a picker that is no student.
    """
    signal, model, weights, associator = catalog.split("/")
    return {
        "signal": signal,
        "model": model,
        "weights": weights,
        "associator": associator,
        "n_picks": len(picks),
        "n_events": len(events),
        "reference": comparison.scores or None,
        "teacher": None if teacher is None else dict(teacher),
    }


def summarize(
    run: str,
    ledger: pd.DataFrame,
    catalogs: Sequence[Mapping[str, Any]],
    compressions: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """
    Content of ``summary.json``.

    Parameters
    ----------
    run : str
        Name of the run.
    ledger : DataFrame
        Table `LEDGER`.
    catalogs : sequence of mapping
        See `catalog_numbers`.
    compressions : sequence of mapping
        Contents of the files ``compression.json``.

    Returns
    -------
    dict
        ``run``, ``station_days``, ``ledger`` (counts by reason, in the order of `REASONS`), ``catalogs`` and
        ``compression``.
    """
    counts = ledger.reason.value_counts()
    return {
        "run": run,
        "station_days": len(ledger),
        "ledger": {reason: int(counts[reason]) for reason in REASONS if reason in counts},
        "catalogs": [dict(catalog) for catalog in catalogs],
        "compression": [dict(compression) for compression in compressions],
    }
