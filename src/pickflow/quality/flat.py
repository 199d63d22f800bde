"""Stretches of one constant value: dead channels, filled gaps, padding beside picks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

FILLED_GAP_S = 300.0  # chosen: also a quiet accelerometer changes its last digit more often than this
PADDING_S = 0.3  # chosen: equal samples for so long beside a pick are padding ...
COARSE_SHARE = 0.5  # ... unless more than this share of the others repeats as well: a sensor of few counts

Flags = NDArray[np.bool_]


def is_dead(pieces: list[np.ndarray]) -> bool:
    """Whether every piece is constant (each may have a constant of its own)."""
    return all(samples.size == 0 or samples.min() == samples.max() for samples in pieces)


def flat_runs(samples: np.ndarray, sampling_rate_hz: float) -> list[tuple[int, int]]:
    """
    Stretches of one constant value that last at least five minutes, such as gaps filled with zeros.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Contiguous samples.
    sampling_rate_hz : float
        Sampling rate.

    Returns
    -------
    list of (int, int)
        First sample and end (exclusive) of each.
    """
    length = int(FILLED_GAP_S * sampling_rate_hz)
    stride = length // 2
    if samples.size < length or stride == 0:
        return []
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(samples[stride::stride] == samples[:-stride:stride]) * stride:
        if runs and index < runs[-1][1]:
            continue
        value = samples[index]
        if not np.all(samples[index : index + stride + 1] == value):
            continue
        changes_before = np.flatnonzero(samples[max(0, index - stride) : index] != value)
        first = max(0, index - stride) + (changes_before[-1] + 1 if changes_before.size else 0)
        changes_after = np.flatnonzero(samples[index:] != value)
        end = index + changes_after[0] if changes_after.size else samples.size
        if end - first >= length:
            runs.append((int(first), int(end)))
    return runs


def padding_length(rate_hz: float) -> int:
    """Number of equal differences that make padding; odd, so that it has a middle."""
    return 2 * max(2, round(PADDING_S * rate_hz / 2)) + 1


def padding(equal: Flags, missing: Flags, rate_hz: float) -> Flags:
    """
    Changes inside padding, around picks.

    Parameters
    ----------
    equal : ndarray of bool, shape (n_picks, n_window - 1)
        Whether a sample is equal to the next one.
    missing : ndarray of bool, shape (n_picks, n_window)
        Samples that were not recorded.
    rate_hz : float
        Sampling rate.
    """
    length = padding_length(rate_hz)
    equal = equal & ~missing[:, 1:] & ~missing[:, :-1]
    flat = np.zeros_like(equal)
    rows = np.flatnonzero(equal.sum(axis=1) >= length)
    if rows.size:
        runs = minimum_filter1d(equal[rows].view(np.uint8), length, axis=1)
        runs = maximum_filter1d(runs, length, axis=1).astype(bool)
        is_beside = ~runs & ~missing[rows, 1:]
        coarse = (equal[rows] & is_beside).sum(axis=1) > COARSE_SHARE * is_beside.sum(axis=1)
        flat[rows] = runs & ~coarse[:, None]
    return flat
