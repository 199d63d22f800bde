"""Picks of windows, their scores and how certain these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pickflow.compress.scores import n_matches
from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.lab.bootstrap import draw_blocks, interval
from pickflow.lab.scores import TOLERANCE_S
from pickflow.train.labels import peaks

Array = NDArray[np.float64]
Picks = list[NDArray[np.int64]]

PHASES = ("P", "S")
_THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)
_NS_PER_SAMPLE = round(1e9 / SAMPLING_RATE_HZ)


class Score(NamedTuple):
    """
    F1 of a phase with its interval, and its difference to that of a reference on the same records with its own.

    Parameters
    ----------
    n_arrivals, n_picks : int
    f1, f1_low, f1_high : float
    difference, difference_low, difference_high : float
    """

    n_arrivals: int
    n_picks: int
    f1: float
    f1_low: float
    f1_high: float
    difference: float
    difference_low: float
    difference_high: float


def picks_of(probabilities: NDArray, labels: Sequence[str], thresholds: Mapping[str, float]) -> dict[str, Picks]:
    """
    Picks of P and S in each window.

    Parameters
    ----------
    probabilities : ndarray, shape (n, n_labels, n_samples)
    labels : sequence of str
        Of the picker.
    thresholds : mapping of str to float
    """
    rows = {phase: list(labels).index(phase) for phase in PHASES}
    return {phase: [peaks(window[row], thresholds[phase]) for window in probabilities] for phase, row in rows.items()}


def arrivals_of(arrivals: Sequence[Mapping[str, float]]) -> dict[str, Picks]:
    """Arrivals in the form of picks."""
    return {
        phase: [np.array([round(window[phase])] if phase in window else [], dtype=np.int64) for window in arrivals]
        for phase in PHASES
    }


def counts(picks: Picks, reference: Picks) -> Array:
    """Matches within 0.3 s, picks and reference picks in each window, shape (n, 3)."""
    return np.array(
        [
            (
                n_matches(picks_of_window * _NS_PER_SAMPLE, reference_of_window * _NS_PER_SAMPLE, TOLERANCE_S),
                picks_of_window.size,
                reference_of_window.size,
            )
            for picks_of_window, reference_of_window in zip(picks, reference, strict=True)
        ],
        dtype=float,
    ).reshape(-1, 3)


def f1_of(sums: Array) -> Array:
    """F1 of sums of `counts`, shape (..., 3); without picks and without arrivals it is 1."""
    total = sums[..., 1] + sums[..., 2]
    return np.where(total > 0, 2 * sums[..., 0] / np.maximum(total, 1), 1.0)


def choose_thresholds(
    probabilities: NDArray, labels: Sequence[str], arrivals: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Thresholds of P and S with the best F1; the least of equally good ones."""
    reference, chosen = arrivals_of(arrivals), {}
    for phase in PHASES:
        picks = {t: picks_of(probabilities, labels, dict.fromkeys(PHASES, t))[phase] for t in _THRESHOLDS.tolist()}
        scores = {t: float(f1_of(counts(picks[t], reference[phase]).sum(axis=0))) for t in picks}
        chosen[phase] = max(scores, key=lambda threshold: scores[threshold])
    return chosen


def score(counts_of_picker: Array, reference: Array, n_draws: int, seed: int) -> Score:
    """
    F1 of a picker and its difference to a reference, with intervals by drawing records anew (the same for both).

    Parameters
    ----------
    counts_of_picker, reference : ndarray, shape (n_records, 3)
        See `counts`.
    n_draws, seed : int

    Returns
    -------
    Score
        Intervals are those of `pickflow.lab.bootstrap.interval`.
    """
    n_records = len(counts_of_picker)
    weights = draw_blocks(n_records, n_draws, seed).astype(float)
    draws, draws_of_reference = f1_of(weights @ counts_of_picker), f1_of(weights @ reference)
    f1, f1_of_reference = float(f1_of(counts_of_picker.sum(axis=0))), float(f1_of(reference.sum(axis=0)))
    return Score(
        int(counts_of_picker[:, 2].sum()),
        int(counts_of_picker[:, 1].sum()),
        f1,
        *interval(draws, n_records),
        f1 - f1_of_reference,
        *interval(draws - draws_of_reference, n_records),
    )
