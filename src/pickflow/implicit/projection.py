"""Projection on the ℓ₁ ball."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def project_l1(vector: np.ndarray, radius: float) -> np.ndarray:
    """
    Nearest vector whose absolute values sum to no more than a radius (Duchi et al. 2008: soft threshold by sorting).

    Parameters
    ----------
    vector : ndarray, shape (n,)
    radius : float
        Positive.

    Returns
    -------
    ndarray, shape (n,)
    """
    magnitudes = np.abs(vector)
    if magnitudes.sum() <= radius:
        return vector
    descending = np.sort(magnitudes)[::-1]
    thresholds = (np.cumsum(descending) - radius) / np.arange(1, len(vector) + 1)
    threshold = thresholds[np.flatnonzero(descending > thresholds)[-1]]
    shrunk = np.maximum(magnitudes - threshold, 0.0)
    # Rounding may leave the sum a little above the radius, and a bound that is nearly kept is not kept.
    return np.sign(vector) * shrunk * min(1.0, radius / shrunk.sum())


def project_rows(matrix: sparse.csr_array, radii: np.ndarray) -> sparse.csr_array:
    """
    Every row of a sparse matrix projected on the ℓ₁ ball of its radius.

    Parameters
    ----------
    matrix : csr_array, shape (n_rows, n_columns)
    radii : ndarray, shape (n_rows,)
    """
    projected = matrix.copy()
    for row in np.flatnonzero(np.abs(matrix).sum(axis=1) > radii):
        entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
        projected.data[entries] = project_l1(matrix.data[entries], float(radii[row]))
    projected.eliminate_zeros()
    return projected
