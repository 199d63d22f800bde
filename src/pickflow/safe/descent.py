"""
Lasso on a working set, one row at a time: coordinate descent, finished by exact steps on the support.

Coordinate descent finds the support but is slow where features are correlated. Steps by a Cholesky factor of the
support's Gram matrix solve what is left exactly; each stops at the first coefficient that would change its sign, and
they continue without it until none does (feature-sign search, Lee et al. 2006). No face is visited twice, so the search
ends. Features have unit length here, so that a coordinate's minimum is one soft threshold.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Sums may be reordered, so that the compiler can use vector instructions.
REORDER = {"reassoc", "contract"}
# Chosen, above float64 rounding: a feature with a smaller remainder after the others depends on them.
DEPENDENT = 1e-14
# A Cholesky step costs about k/6 sweeps over k features; at this rate it takes at most half of the time.
SWEEPS_BEFORE_STEP = 5
SUPPORT_PER_SWEEP = 8


@njit(cache=True, nogil=True, fastmath=REORDER)
def fit_rows(
    gram: Array,
    weights: Array,
    gradient: Array,
    penalty: Array,
    working: Mask,
    limit: Array,
    max_sweeps: NDArray[np.int64],
) -> NDArray[np.int64]:
    """
    Minimise ½‖z − Ψw‖² + Σ λ_j|w_j| over the working set of each row, in place.

    Parameters
    ----------
    gram : ndarray, shape (p, p)
        With ones on the diagonal.
    weights : ndarray, shape (q, p)
        Start and result; zero outside of the working set.
    gradient : ndarray, shape (q, p)
        c − Gw at the start.
    penalty : ndarray, shape (q, p)
        λ_j of each row.
    working : ndarray of bool, shape (q, p)
        Features that may become non-zero.
    limit : ndarray, shape (q, p)
        A row is done when no coefficient moves by more than this in a sweep.
    max_sweeps : ndarray of int, shape (q,)

    Returns
    -------
    n_sweeps : ndarray of int, shape (q,)
    """
    n_sweeps = np.zeros(len(weights), dtype=np.int64)
    for row in range(len(weights)):
        members = np.flatnonzero(working[row])
        n = len(members)
        inner = np.empty((n, n))
        for a in range(n):
            for b in range(n):
                inner[a, b] = gram[members[a], members[b]]
        w, q = weights[row][members], gradient[row][members]
        n_sweeps[row] = _fit(inner, w, q, penalty[row][members], limit[row][members], max_sweeps[row])
        weights[row][members] = w
    return n_sweeps


@njit(cache=True, nogil=True, fastmath=REORDER)
def _fit(inner: Array, w: Array, q: Array, penalty: Array, limit: Array, max_sweeps: int) -> int:
    factor = np.empty_like(inner)
    n_since_step = 0
    for sweep in range(max_sweeps):
        if _sweep(inner, w, q, penalty, limit):
            return sweep + 1
        n_since_step += 1
        support = np.flatnonzero(w)
        if n_since_step >= SWEEPS_BEFORE_STEP + len(support) // SUPPORT_PER_SWEEP:
            while len(support) and _step(inner, w, q, penalty, support, factor):
                support = np.flatnonzero(w)
            n_since_step = 0
    return max_sweeps


@njit(cache=True, nogil=True, fastmath=REORDER)
def _sweep(inner: Array, w: Array, q: Array, penalty: Array, limit: Array) -> bool:
    """One pass of coordinate descent; whether no coefficient moved by more than its limit."""
    still = True
    for j in range(len(w)):
        total = q[j] + w[j]
        new = 0.0
        if total > penalty[j]:
            new = total - penalty[j]
        elif total < -penalty[j]:
            new = total + penalty[j]
        delta = new - w[j]
        if delta != 0.0:
            w[j] = new
            row = inner[j]
            for i in range(len(q)):
                q[i] -= row[i] * delta
            if abs(delta) > limit[j]:
                still = False
    return still


@njit(cache=True, nogil=True, fastmath=REORDER)
def _step(inner: Array, w: Array, q: Array, penalty: Array, support: NDArray[np.int64], factor: Array) -> bool:
    """Move to the minimum on the support with its signs, or to the first coefficient that becomes zero on the way."""
    rank = _factorise(inner, support, factor)
    k = len(support)
    slope = np.empty(k)
    for a in range(k):
        j = support[a]
        slope[a] = q[j] - penalty[j] * np.sign(w[j])
    longest = 1.0
    if rank == k:
        direction = _solve(factor, slope, k)
    else:
        # Feature `rank` depends on those before it: along this direction only the penalty changes.
        direction = np.zeros(k)
        direction[rank] = 1.0
        for a in range(rank - 1, -1, -1):
            total = factor[rank, a]
            for b in range(a + 1, rank):
                total += factor[b, a] * direction[b]
            direction[a] = -total / factor[a, a]
        descent = 0.0
        for a in range(k):
            descent += direction[a] * slope[a]
        if descent < 0:
            direction = -direction
        longest = np.inf
    share, first = longest, -1
    for a in range(k):
        if direction[a] * w[support[a]] < 0 and -w[support[a]] / direction[a] < share:
            share, first = -w[support[a]] / direction[a], a
    if share == np.inf:
        return False
    for a in range(k):
        j = support[a]
        delta = -w[j] if a == first else share * direction[a]
        w[j] = w[j] + delta if a != first else 0.0
        row = inner[j]
        for i in range(len(q)):
            q[i] -= row[i] * delta
    return first >= 0


@njit(cache=True, nogil=True, fastmath=REORDER)
def _factorise(inner: Array, support: NDArray[np.int64], factor: Array) -> int:
    """Lower Cholesky factor of the support's Gram matrix; the number of features before a dependent one."""
    k = len(support)
    for a in range(k):
        upper = factor[a]
        for b in range(a + 1):
            lower = factor[b]
            total = 0.0
            for i in range(b):
                total += upper[i] * lower[i]
            remainder = inner[support[a], support[b]] - total
            if b < a:
                upper[b] = remainder / lower[b]
            elif remainder <= DEPENDENT:
                return a
            else:
                upper[a] = np.sqrt(remainder)
    return k


@njit(cache=True, nogil=True, fastmath=REORDER)
def _solve(factor: Array, rhs: Array, k: int) -> Array:
    """Solve L Lᵀ x = right."""
    x = rhs.copy()
    for a in range(k):
        total = x[a]
        row = factor[a]
        for b in range(a):
            total -= row[b] * x[b]
        x[a] = total / row[a]
    for a in range(k - 1, -1, -1):
        x[a] /= factor[a, a]
        row = factor[a]
        for b in range(a):
            x[b] -= row[b] * x[a]
    return x
