"""
Group lasso on a working set: block coordinate descent, finished by Newton steps on the norms of the groups.

Each group is rotated to the principal axes of its features, which changes no norm. Then a block's minimum is
W_g = ν R_g / (Λ ν + λ_g), where ν = ‖W_g‖ solves one scalar equation.

Descent is slow where groups are correlated. With λ_g‖W_g‖ = min over η_g > 0 of ½λ_g(‖W_g‖²/η_g + η_g), the problem is
to minimise a convex function of η, whose value needs one ridge regression for all targets together. There are as many η
as active groups, and Newton's method on them converges in a few steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

Array = NDArray[np.float64]

SWEEPS_BEFORE_NEWTON = 4  # chosen for speed, as NEWTON_STEPS; results stay within the tolerance
NEWTON_STEPS = 6
# Chosen: a group that would keep less than this share of its norm is removed.
SMALLEST_SHARE = 0.1
STEP_SHARES = (1.0, 0.25, 0.06)  # chosen: shorter and shorter trial steps
SECULAR_STEPS = 50  # chosen: an end; Newton converges from one side
# Of the objective, where the targets have length 1.
ROUNDING_OF_VALUE = 1e-15


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """A design whose features are sorted by group and rotated to principal axes within each group."""

    gram: Array  # (p, p), diagonal within each group
    cross: Array  # (p, q)
    spectrum: Array  # (p,), diagonal of gram
    starts: NDArray[np.intp]  # (n_groups + 1,)

    def select(self, groups: NDArray[np.intp]) -> tuple[Block, NDArray[np.intp]]:
        """The block of some groups, and the indices of its features."""
        sizes = np.diff(self.starts)[groups]
        parts = [np.arange(self.starts[g], self.starts[g + 1]) for g in groups]
        features = np.concatenate([np.empty(0, dtype=np.intp), *parts])
        starts = np.concatenate([[0], np.cumsum(sizes)])
        gram = self.gram[np.ix_(features, features)]
        return Block(gram=gram, cross=self.cross[features], spectrum=self.spectrum[features], starts=starts), features

    def scale(self, size: float, target: float) -> Block:
        """The block with features divided by `size` and targets by `target`."""
        gram, cross = self.gram / size**2, self.cross / (size * target)
        return Block(gram=gram, cross=cross, spectrum=self.spectrum / size**2, starts=self.starts)

    def gradient(self, weights: Array) -> Array:
        """C − GW, shape (p, q)."""
        features = np.flatnonzero(weights.any(axis=1))
        result: Array = self.cross - self.gram[:, features] @ weights[features]
        return result

    def group_sums(self, values: Array) -> Array:
        """Sums over the features of each group, along the first axis."""
        total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        result: Array = total[self.starts[1:]] - total[self.starts[:-1]]
        return result

    @property
    def group_of(self) -> NDArray[np.intp]:
        """Group of each feature, shape (p,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


def fit_blocks(
    blocks: Sequence[Block], weights: list[Array], gradients: list[Array], penalty: Array, limit: Array, budget: int
) -> int:
    """
    Minimise over the groups of the blocks, in place; the number of sweeps.

    Parameters
    ----------
    blocks : sequence of Block
    weights, gradients : list of ndarray, shape (p_d, q_d)
        W_d and C_d − G_d W_d.
    penalty : ndarray, shape (n_groups,)
        λ_g.
    limit : ndarray, shape (n_groups,)
        Done when no block moves its own gradient by more than this.
    budget : int
        Largest number of sweeps.
    """
    for n_sweeps in range(1, budget + 1):
        if np.all(_sweep(blocks, weights, gradients, penalty) <= limit):
            return n_sweeps
        if n_sweeps % SWEEPS_BEFORE_NEWTON == 0:
            _newton(blocks, weights, gradients, penalty, limit)
    return budget


def group_norms(blocks: Sequence[Block], values: Sequence[Array]) -> Array:
    """Frobenius norm of each group over all blocks, shape (n_groups,)."""
    squares = [
        np.bincount(block.group_of, weights=np.einsum("pq,pq->p", v, v), minlength=len(block.starts) - 1)
        for block, v in zip(blocks, values, strict=True)
    ]
    result: Array = np.sqrt(np.sum(squares, axis=0))
    return result


def _sweep(blocks: Sequence[Block], weights: list[Array], gradients: list[Array], penalty: Array) -> Array:
    """One exact minimisation of each group in turn; how far its own gradient moved, shape (n_groups,)."""
    moves = np.zeros(len(penalty))
    for group, lam in enumerate(penalty):
        spans = [slice(block.starts[group], block.starts[group + 1]) for block in blocks]
        axes = np.concatenate([block.spectrum[span] for block, span in zip(blocks, spans, strict=True)])
        totals = [
            gradients[d][span] + blocks[d].spectrum[span, None] * weights[d][span] for d, span in enumerate(spans)
        ]
        energy = np.concatenate([np.einsum("pq,pq->p", total, total) for total in totals])
        size = block_norm(energy, axes, lam)
        change = 0.0
        for d, span in enumerate(spans):
            delta = totals[d] * (size / (blocks[d].spectrum[span, None] * size + lam)) - weights[d][span]
            if delta.any():
                weights[d][span] += delta
                if size == 0.0:
                    weights[d][span] = 0.0
                gradients[d] -= blocks[d].gram[:, span] @ delta
                change += float(np.sum((blocks[d].spectrum[span, None] * delta) ** 2))
        moves[group] = np.sqrt(change)
    return moves


@njit(cache=True, nogil=True)
def block_norm(energy: Array, axes: Array, penalty: float) -> float:
    """
    ν ≥ 0 with Σ e_i/(Λ_i ν + λ)² = 1, or 0 where Σ e_i ≤ λ².

    1/√Σ is concave and grows with ν, so that Newton's method from 0 never passes the root.
    """
    if energy.sum() <= penalty * penalty:
        return 0.0
    size = 0.0
    for _ in range(SECULAR_STEPS):
        total, slope = 0.0, 0.0
        for i in range(len(energy)):
            divisor = axes[i] * size + penalty
            term = energy[i] / (divisor * divisor)
            total += term
            slope += term * axes[i] / divisor
        if slope == 0.0:
            return 0.0  # axes without length hold only rounding errors
        step = (np.sqrt(total) - 1) * total / slope
        size += step
        if step <= 1e-16 * size:
            break
    return size


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ridge:
    """Ridge regression of some groups at their η, and its value."""

    groups: NDArray[np.intp]
    parts: list[Block]
    features: list[NDArray[np.intp]]
    eta: Array
    penalty: Array
    factors: list[Array]
    weights: list[Array]
    value: float  # the objective without its constant ½s

    @classmethod
    def solve(cls, blocks: Sequence[Block], groups: NDArray[np.intp], eta: Array, penalty: Array) -> _Ridge:
        """Solve for `groups`, with their η and the penalty of all groups."""
        selections = [block.select(groups) for block in blocks]
        lam = penalty[groups]
        factors, weights = [], []
        value = 0.5 * float(lam @ eta)
        for part, _ in selections:
            factor, w = _ridge(part, lam / eta)
            factors.append(factor)
            weights.append(w)
            value -= 0.5 * float(np.sum(part.cross * w))
        return cls(
            groups=groups,
            parts=[part for part, _ in selections],
            features=[features for _, features in selections],
            eta=eta,
            penalty=lam,
            factors=factors,
            weights=weights,
            value=value,
        )

    def step(self) -> tuple[Array, float]:
        """Newton's step of each η as a share of it, and the largest relative distance of ‖W_g‖ from η_g."""
        squares = group_norms(self.parts, self.weights) ** 2
        coupling = np.zeros((len(self.eta), len(self.eta)))
        for part, factor, w in zip(self.parts, self.factors, self.weights, strict=True):
            if len(factor):
                inverse, _ = dpotri(factor, lower=1)
                inverse = np.tril(inverse) + np.tril(inverse, -1).T
                coupling += part.group_sums(part.group_sums(inverse * (w @ w.T)).T)
        # In units of η, where ∂W/∂η_h = (λ_h/η_h²) K[:, h] W_h with the inverse K of the ridge's matrix.
        pull = self.penalty / self.eta
        gradient = 0.5 * self.penalty * (self.eta - squares / self.eta)
        hessian = np.diag(pull * squares) - np.outer(pull, pull) * coupling
        hessian[np.diag_indices(len(pull))] *= 1 + 1e-14
        step: Array = -np.linalg.solve(hessian, gradient)
        return step, float(np.max(np.abs(np.sqrt(squares) / self.eta - 1)))


def _ridge(block: Block, shift: Array) -> tuple[Array, Array]:
    """Cholesky factor of G + shift, one number for each group, and the weights it gives."""
    if not len(block.gram):  # no group of this design is in use
        return block.gram, block.cross
    factor, info = dpotrf(block.gram + np.diag(shift[block.group_of]), lower=1)
    if info != 0:
        raise np.linalg.LinAlgError(f"the ridge is not positive at feature {info}")
    weights, _ = dpotrs(factor, block.cross, lower=1)
    return factor, weights


def _newton(
    blocks: Sequence[Block], weights: list[Array], gradients: list[Array], penalty: Array, limit: Array
) -> None:
    """Newton steps on the norms of the active groups, in place; never uphill."""
    norms = group_norms(blocks, weights)
    active = np.flatnonzero(norms)
    tolerance = float(np.min(limit / penalty))
    try:
        ridge = _Ridge.solve(blocks, active, norms[active], penalty)
        for _ in range(NEWTON_STEPS):
            if len(ridge.groups) == 0:
                break
            step, distance = ridge.step()
            lower = _lower(blocks, ridge, step, penalty) if distance > tolerance else None
            if lower is None:
                break
            ridge = lower
    except np.linalg.LinAlgError:
        return
    for d, block in enumerate(blocks):
        weights[d][:] = 0.0
        weights[d][ridge.features[d]] = ridge.weights[d]
        gradients[d][:] = block.gradient(weights[d])


def _lower(blocks: Sequence[Block], ridge: _Ridge, step: Array, penalty: Array) -> _Ridge | None:
    """
    A point along the step with a value that is no higher, or None.

    Groups may vanish along the step: first all that it sends to zero, then only the first one.
    """
    tries = []
    arrival = 1 / max(-float(step.min()), SMALLEST_SHARE)
    vanishes = step < SMALLEST_SHARE - 1
    if vanishes.any():
        for share, is_kept in ((1.0, ~vanishes), (arrival, step > step.min())):
            tries.append((ridge.groups[is_kept], ridge.eta[is_kept] * (1 + share * step[is_kept])))
    longest = min(1.0, (1 - SMALLEST_SHARE) * arrival)
    tries += [(ridge.groups, ridge.eta * (1 + share * longest * step)) for share in STEP_SHARES]
    for groups, eta in tries:
        new = _Ridge.solve(blocks, groups, eta, penalty)
        if new.value <= ridge.value + ROUNDING_OF_VALUE:
            return new
    return None
