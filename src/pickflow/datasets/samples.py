"""Stored samples become those of a record: Z, N, E at 100 Hz, without padding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pickflow.codes import component_letters
from pickflow.datasets.reasons import Refusal
from pickflow.datasets.records import COMPONENTS, SAMPLING_RATE_HZ
from pickflow.datasets.table import LEAST_S
from pickflow.sampling.pieces import resample
from pickflow.sampling.rates import conversion


def prepare_samples(stored: NDArray, trace: Mapping[str, Any]) -> NDArray[np.float64] | Refusal:
    """
    Bring a stored trace into the form of a record.

    Parameters
    ----------
    stored : ndarray
        One trace, of numbers.
    trace : mapping
        ``components``, their letters in their order; ``dimensions``, ``CW``, ``WC`` or ``W``, the order of components
        and samples; ``n_stored``, samples of the trace, of which more are padding; ``length_known``, whether that is
        said in the metadata: if not, zeros at the end are padding (NaN always is); ``rate_hz``, as stored.

    Returns
    -------
    ndarray, shape (3, n_samples), or Refusal
        Z, N, E at 100 Hz, resampled by `pickflow.sampling.pieces.resample`; missing components are zeros.
    """
    samples = _placed(stored, trace["components"], trace["dimensions"])[:, : int(trace["n_stored"])]
    if not (trace["length_known"] and np.isfinite(samples.sum())):
        samples = samples[:, : n_before_padding(samples, bool(trace["length_known"]))]
        samples[np.isnan(samples).all(axis=1)] = 0
        n_bad = int((~np.isfinite(samples)).any(axis=0).sum())
        if n_bad:
            return Refusal("not_finite", f"{n_bad} of {samples.shape[1]} samples")
    if samples.shape[1] < LEAST_S * trace["rate_hz"]:
        return Refusal("too_short", f"{samples.shape[1]} samples before the padding")
    if not np.ptp(samples, axis=1).any():
        return Refusal("no_signal", f"{samples.shape[1]} samples")
    ratio = conversion(float(trace["rate_hz"]), SAMPLING_RATE_HZ)
    return samples if ratio == 1 else np.stack([resample(row, ratio) for row in samples])


def orient(stored: NDArray, dimensions: str) -> NDArray:
    """A stored trace with its components first, shape (n_components, n_samples)."""
    rows = np.squeeze(stored)
    return np.atleast_2d(rows.T if dimensions == "WC" and rows.ndim == 2 else rows)


def _placed(stored: NDArray, components: str, dimensions: str) -> NDArray[np.float64]:
    """Rows Z, N, E; what is stored of a component first counts."""
    rows = orient(stored, dimensions)
    placed = np.zeros((len(COMPONENTS), rows.shape[1]))
    letters = component_letters(components, COMPONENTS)
    for letter, samples in reversed(list(zip(components, rows, strict=False))):
        if letter in letters:
            placed[COMPONENTS.index(letters[letter])] = samples
    return placed


def n_before_padding(samples: NDArray, length_known: bool) -> int:
    """
    Number of samples before the padding.

    Parameters
    ----------
    samples : ndarray, shape (n_components, n_samples)
    length_known : bool
        See `prepare_samples`.
    """
    padding = np.isnan(samples) if length_known else np.isnan(samples) | (samples == 0)
    # Components that are missing altogether are zeros and say nothing.
    signal = ~(padding | (samples == 0).all(axis=1, keepdims=True)).all(axis=0)
    return int(np.flatnonzero(signal)[-1]) + 1 if signal.any() else samples.shape[1]
