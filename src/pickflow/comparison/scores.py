"""Precision, recall and F1, whole and by groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.io.tables import conform
from pickflow.schemas import SCORES

COUNTS = ["n_reference", "n_found", "n_judged", "n_true"]
# Bins of the report, chosen: each has about twice the area of the previous one.
DISTANCE_EDGES_KM = (0.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, np.inf)
N_PICKS_EDGES = (0.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 30.0, 40.0, 60.0, np.inf)
HOUR_EDGES = tuple(float(hour) for hour in range(25))
MAGNITUDE_STEP = 0.5  # chosen: a small network then has tens of events in a bin


def count_table(
    n_reference: NDArray[np.bool_], n_found: NDArray[np.bool_], n_judged: NDArray[np.bool_], n_true: NDArray[np.bool_]
) -> pd.DataFrame:
    """
    Counts of each row of a comparison, shape (n_rows, 4).

    Parameters
    ----------
    n_reference, n_found : ndarray of bool, shape (n_rows,)
        The row is one that should be found, and it was.
    n_judged, n_true : ndarray of bool, shape (n_rows,)
        The row is one of the catalog that can be judged, and it is right.
    """
    return pd.DataFrame({"n_reference": n_reference, "n_found": n_found, "n_judged": n_judged, "n_true": n_true})


def scores_of(
    counts: pd.DataFrame, subject: str, phase: str, grouping: str, names: NDArray[Any] | None = None
) -> pd.DataFrame:
    """
    Scores of all rows, or of groups of them.

    Parameters
    ----------
    counts : DataFrame, shape (n_rows, 4)
        See `count_table`.
    subject, phase, grouping : str
        See `SCORES`.
    names : ndarray of str, shape (n_rows,), optional
        Group of each row; None: one group, ``all``.
    """
    sums = counts.astype(np.int64).groupby(np.full(len(counts), "all") if names is None else names).sum()
    if names is None:
        sums = sums.reindex(["all"], fill_value=0)
    table = sums.rename_axis("bin").reset_index()
    return _with_rates(table.assign(subject=subject, phase=phase, by=grouping, low=np.nan, high=np.nan))


def scores_in_bins(
    counts: pd.DataFrame, subject: str, phase: str, grouping: str, values: NDArray[np.float64], edges: Sequence[float]
) -> pd.DataFrame:
    """
    Scores by a number; rows where it is unknown are left out, and bins without a row as well.

    Parameters
    ----------
    counts, subject, phase, by
        See `scores_of`.
    values : ndarray, shape (n_rows,)
        The number; NaN: unknown.
    edges : sequence of float
        Of half-open bins [low, high).
    """
    bounds = np.asarray(edges, float)
    index = np.searchsorted(bounds, values, side="right") - 1
    is_known = np.isfinite(values) & (index >= 0) & (index < bounds.size - 1)
    sums = counts[is_known].astype(np.int64).groupby(index[is_known]).sum()
    low, high = bounds[sums.index.to_numpy(int)], bounds[sums.index.to_numpy(int) + 1]
    names = [f"{a:g} to {b:g}" if np.isfinite(b) else f"{a:g} and more" for a, b in zip(low, high, strict=True)]
    table = sums.reset_index(drop=True).assign(bin=names, low=low, high=high)
    return _with_rates(table.assign(subject=subject, phase=phase, by=grouping))


def magnitude_edges(magnitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Edges of bins of half a magnitude that hold all known ones."""
    valid = magnitudes[np.isfinite(magnitudes)]
    if valid.size == 0:
        return np.array([0.0, MAGNITUDE_STEP])
    low, high = (np.floor(value / MAGNITUDE_STEP) for value in (valid.min() + 1e-9, valid.max() + 1e-9))
    return MAGNITUDE_STEP * np.arange(low, high + 2)


def score_row(subject: str, phase: str, grouping: str, low: float, counts: Sequence[int]) -> pd.DataFrame:
    """One row of `SCORES` for a lower bound, from its four counts in the order of `count_table`."""
    values = dict(zip(COUNTS, map(int, counts), strict=True))
    row = {"subject": subject, "phase": phase, "by": grouping, "bin": f"{low:g}", "low": low, "high": np.inf, **values}
    return _with_rates(pd.DataFrame([row]))


def join_scores(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All parts as one table `SCORES`."""
    filled = [part for part in parts if len(part)]
    return conform(pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(), SCORES)


def f1(recall: float, precision: float) -> float:
    """Harmonic mean of recall and precision; 0 if both are."""
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def _with_rates(table: pd.DataFrame) -> pd.DataFrame:
    numbers = {name: table[name].to_numpy(float) for name in COUNTS}
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(numbers["n_reference"] > 0, numbers["n_found"] / numbers["n_reference"], np.nan)
        precision = np.where(numbers["n_judged"] > 0, numbers["n_true"] / numbers["n_judged"], np.nan)
        total = recall + precision
        mean = np.where(total > 0, 2 * recall * precision / total, np.where(total == 0, 0.0, np.nan))
    return table.assign(recall=recall, precision=precision, f1=mean).reindex(columns=SCORES.schema.names)
