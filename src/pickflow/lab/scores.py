"""Scores of a phase: sums over records, and the numbers that follow from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pickflow.datasets.records import TOLERANCES_S
from pickflow.lab.comparison import Floats, Index, PhaseComparison

TOLERANCE_S = 0.3  # the one that thresholds are chosen for
# Where a threshold is looked for; the outputs hold nothing below the first.
THRESHOLDS = np.round(np.arange(0.05, 0.9501, 0.01), 2)
# What a miss costs in the errors of all arrivals: as much as the worst pick that still counts as a match. The length of
# a record in its place would make the error a measure of the recall and of nothing else.
MISS_S = TOLERANCES_S[-1]
RATES = ("precision", "recall", "f1")
SUMS = (
    "n_labels", "n_picks", *(f"tp_{tolerance:g}s" for tolerance in TOLERANCES_S), "matched_abs_s", "matched_square_s2",
    "all_abs_s", "all_square_s2", "n_noise_picks", "noise_hours", "tn",
)  # fmt: skip


def choose_threshold(comparison: PhaseComparison) -> float:
    """
    The threshold with the largest F1 at 0.3 s, on records of the development part.

    Parameters
    ----------
    comparison : PhaseComparison
        Of these records.

    Returns
    -------
    float
        One of `THRESHOLDS`, the middle one of equally good ones; NaN if no record has a label.
    """
    n_labels = int(comparison.has_label.sum())
    if not n_labels:
        return float("nan")
    n_picks = np.searchsorted(-comparison.probability, -THRESHOLDS, side="right")
    n_hits = np.searchsorted(comparison.hits(TOLERANCE_S), n_picks, side="left")
    f1 = 2 * n_hits / (n_picks + n_labels)
    best = THRESHOLDS[f1 == f1.max()]
    return float(best[(len(best) - 1) // 2])


def record_sums(comparison: PhaseComparison, threshold: float) -> Floats:
    """
    What each record contributes to the scores at a threshold.

    Parameters
    ----------
    comparison : PhaseComparison
        Of the records.
    threshold : float
        Least probability; NaN (there was nothing to choose it from) gives NaN.

    Returns
    -------
    ndarray, shape (n_records, len(SUMS))
    """
    if np.isnan(threshold):
        return np.full((comparison.n_records, len(SUMS)), np.nan)
    n = comparison.n_above(threshold)
    record, distance_s, size = comparison.record[:n], comparison.distance_s[:n], comparison.n_records
    nearest_s = np.full(size, np.inf)
    np.minimum.at(nearest_s, record, distance_s)
    n_picks = np.bincount(record, minlength=size)
    matched_s = np.where(nearest_s <= TOLERANCES_S[-1], nearest_s, 0.0)
    all_s = np.where(comparison.has_label, np.minimum(nearest_s, MISS_S), 0.0)
    noise = comparison.is_noise
    columns = [
        comparison.has_label, n_picks, *(nearest_s <= tolerance for tolerance in TOLERANCES_S), matched_s, matched_s**2,
        all_s, all_s**2, np.where(noise, n_picks, 0), np.where(noise, comparison.hours, 0.0), noise & (n_picks == 0),
    ]  # fmt: skip
    return np.stack([np.asarray(column, float) for column in columns], axis=1)


def metrics(sums: Floats) -> dict[str, Floats]:
    """
    Scores from sums over records.

    Parameters
    ----------
    sums : ndarray, shape (..., len(SUMS))
        Sums of `record_sums` over records, or over several draws of records.

    Returns
    -------
    dict of str to ndarray, shape (...)
        ``precision_0.3s``, ``recall_0.3s``, ``f1_0.3s`` and the like by tolerance; ``mae_s`` and ``rmse_s`` of the
        picks within 0.5 s; ``mae_all_s`` and ``rmse_all_s`` over all labels, of which a miss, or a pick that is
        farther away, costs 0.5 s; ``false_picks_per_station_hour`` of noise. NaN where nothing is divided by nothing.
    """
    by_name = dict(zip(SUMS, np.moveaxis(np.asarray(sums, float), -1, 0), strict=True))
    n_labels, n_picks = by_name["n_labels"], by_name["n_picks"]
    numbers = {}
    for tolerance in TOLERANCES_S:
        hits = by_name[f"tp_{tolerance:g}s"]
        numbers[f"precision_{tolerance:g}s"] = _ratio(hits, n_picks)
        numbers[f"recall_{tolerance:g}s"] = _ratio(hits, n_labels)
        numbers[f"f1_{tolerance:g}s"] = _ratio(2 * hits, n_picks + n_labels)
    n_matched = by_name[f"tp_{TOLERANCES_S[-1]:g}s"]
    numbers["mae_s"] = _ratio(by_name["matched_abs_s"], n_matched)
    numbers["rmse_s"] = np.sqrt(_ratio(by_name["matched_square_s2"], n_matched))
    numbers["mae_all_s"] = _ratio(by_name["all_abs_s"], n_labels)
    numbers["rmse_all_s"] = np.sqrt(_ratio(by_name["all_square_s2"], n_labels))
    numbers["false_picks_per_station_hour"] = _ratio(by_name["n_noise_picks"], by_name["noise_hours"])
    return numbers


def counts(sums: Floats) -> dict[str, float]:
    """
    Numbers of records and predictions behind the scores.

    Parameters
    ----------
    sums : ndarray, shape (len(SUMS),)
        Sums over all records.

    Returns
    -------
    dict of str to float
        ``n_labels``, ``n_picks``, and by tolerance ``tp``, ``fp``, ``fn``; ``tn`` is the number of noise records
        without any pick, since nothing else that is absent can be counted.
    """
    by_name = dict(zip(SUMS, sums.tolist(), strict=True))
    numbers = {name: by_name[name] for name in ("n_labels", "n_picks")}
    for tolerance in TOLERANCES_S:
        hits = by_name[f"tp_{tolerance:g}s"]
        numbers[f"tp_{tolerance:g}s"] = hits
        numbers[f"fp_{tolerance:g}s"] = by_name["n_picks"] - hits
        numbers[f"fn_{tolerance:g}s"] = by_name["n_labels"] - hits
    return numbers | {"tn": by_name["tn"]}


def equal_recall(
    comparison: PhaseComparison, picks_per_label: float, weights: NDArray[np.float32], block: Index
) -> tuple[dict[str, Floats], Floats]:
    """
    Recall when every picker gives the same number of picks.

    Of each picker the most probable predictions are taken, in events and in noise, until there are ``picks_per_label``
    for each label; its own threshold does not matter.

    Parameters
    ----------
    comparison : PhaseComparison
        Of the records.
    picks_per_label : float
        Number of picks divided by that of the labels.
    weights : ndarray, shape (n_draws, n_blocks)
        How often each block of records is drawn; ones for the records as they are.
    block : ndarray of int, shape (n_records,)
        Block of each record.

    Returns
    -------
    recall : dict of str to ndarray, shape (n_draws,)
        ``equal_recall_0.3s`` and the like.
    n_picks : ndarray, shape (n_draws,)
        How many picks there were: fewer where the picker has no more.
    """
    labels_of_block = np.bincount(block, weights=comparison.has_label, minlength=weights.shape[1])
    n_labels = weights @ labels_of_block.astype(np.float32)
    parts = [
        _first_picks(comparison, picks_per_label * n_labels[draws], weights[draws], block)
        for draws in _chunks(len(weights), comparison.record.size)
    ]
    n_hits = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    n_picks = n_hits.pop("n_picks")
    return {name: _ratio(hits, n_labels) for name, hits in n_hits.items()}, n_picks


def _first_picks(
    comparison: PhaseComparison, budget: Floats, weights: NDArray[np.float32], block: Index
) -> dict[str, Floats]:
    """Hits at each tolerance among the first picks of each draw, and how many picks these are."""
    total = np.cumsum(weights[:, block[comparison.record]], axis=1)
    n_first = (total <= budget[:, None]).sum(axis=1)
    last = np.maximum(n_first - 1, 0)
    numbers: dict[str, Floats] = {}
    for tolerance in TOLERANCES_S:
        hits = comparison.hits(tolerance)
        drawn = weights[:, block[comparison.record[hits]]] * (hits < n_first[:, None])
        numbers[f"equal_recall_{tolerance:g}s"] = drawn.sum(axis=1, dtype=float)
    counted = np.take_along_axis(total, last[:, None], axis=1)[:, 0] if total.size else np.zeros(len(weights))
    return numbers | {"n_picks": np.where(n_first > 0, counted, 0.0)}


def _chunks(n_draws: int, n_picks: int) -> list[slice]:
    """Draws to work on at once, so that their table of picks has 16 million numbers at most."""
    step = max(1, 2**24 // max(n_picks, 1))
    return [slice(first, first + step) for first in range(0, n_draws, step)]


def recall_curve(comparison: PhaseComparison, tolerance_s: float = TOLERANCE_S) -> tuple[Floats, Floats]:
    """
    Recall against the number of picks, the most probable first.

    Returns
    -------
    picks_per_label, recall : ndarray, shape (n_picks + 1,)
        Empty if no record has a label.
    """
    n_labels = int(comparison.has_label.sum())
    if not n_labels:
        return np.empty(0), np.empty(0)
    is_hit = np.zeros(comparison.record.size + 1)
    is_hit[comparison.hits(tolerance_s) + 1] = 1
    return np.arange(is_hit.size) / n_labels, np.cumsum(is_hit) / n_labels


def _ratio(part: Floats, whole: Floats) -> Floats:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
