"""One group lasso over several designs: rotation, screening and working sets around `blocks`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickflow.safe.blocks import Block, fit_blocks, group_norms
from pickflow.safe.gram import Gram
from pickflow.safe.screening import dual_scale, duality_gap, gap_rule, safe_rule

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Chosen: the working set may at most double, and may always hold this many groups.
SMALL_WORKING_SET = 16
# Rounding of C − GW, for groups and targets of length 1, per unit of the sum of norms.
ROUNDING_OF_GRADIENT = 1e-13
# Chosen: the inner solution is more exact than the tolerance, so that one more check is enough.
INNER_SHARE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class RotatedDesign:
    """A design in the principal axes of its groups: its block, the order of its features, and the axes."""

    block: Block
    order: NDArray[np.intp]
    axes: list[Array]

    @classmethod
    def from_gram(cls, gram: Gram, groups: NDArray[np.integer], n_groups: int) -> RotatedDesign:
        """Sort the features by group and rotate each group."""
        order = np.argsort(groups, kind="stable")
        starts = np.searchsorted(groups[order], np.arange(n_groups + 1))
        inner, cross = gram.gram[np.ix_(order, order)], gram.cross[order]
        spectrum, axes = np.zeros(len(order)), []
        for group in range(n_groups):
            span = slice(starts[group], starts[group + 1])
            values, vectors = np.linalg.eigh(inner[span, span])
            # The axes of dependent features hold only rounding errors.
            is_independent = values > len(values) * np.finfo(float).eps * values.max(initial=0.0)
            vectors = vectors * is_independent
            spectrum[span] = np.where(is_independent, values, 0.0)
            inner[span] = vectors.T @ inner[span]
            inner[:, span] = inner[:, span] @ vectors
            inner[span, span] = np.diag(spectrum[span])
            cross[span] = vectors.T @ cross[span]
            axes.append(vectors)
        return cls(block=Block(gram=inner, cross=cross, spectrum=spectrum, starts=starts), order=order, axes=axes)

    def rotate(self, coefficients: Array) -> Array:
        """The caller's coefficients in principal axes."""
        values = coefficients[self.order]
        for span, vectors in self._spans():
            values[span] = vectors.T @ values[span]
        return values

    def rotate_back(self, weights: Array) -> Array:
        """Weights in the caller's axes and order."""
        values = np.empty_like(weights)
        for span, vectors in self._spans():
            values[self.order[span]] = vectors @ weights[span]
        return values

    def _spans(self) -> list[tuple[slice, Array]]:
        starts = self.block.starts
        return [(slice(starts[group], starts[group + 1]), vectors) for group, vectors in enumerate(self.axes)]


@dataclass(frozen=True, kw_only=True, eq=False)
class ScaledDesigns:
    """
    All designs in units where their targets together and the longest group have length 1.

    Parameters
    ----------
    designs : list of RotatedDesign
        Not scaled.
    blocks : list of Block
        Scaled.
    length : ndarray, shape (n_groups,)
        Spectral norm of each group: the largest over the designs.
    unit, penalty_unit : float
        Factors from scaled weights and scaled penalties to the caller's.
    target : float
        Length of all targets together.
    """

    designs: list[RotatedDesign]
    blocks: list[Block]
    length: Array
    unit: float
    penalty_unit: float
    target: float

    @classmethod
    def from_grams(cls, grams: Sequence[Gram], groups: Sequence[NDArray[np.integer]], n_groups: int) -> ScaledDesigns:
        """Rotate and scale."""
        designs = [RotatedDesign.from_gram(gram, names, n_groups) for gram, names in zip(grams, groups, strict=True)]
        length = np.zeros(n_groups)
        for design in designs:
            np.maximum.at(length, design.block.group_of, np.sqrt(design.block.spectrum))
        size = float(length.max(initial=0.0)) or 1.0
        target = float(np.sqrt(sum(gram.square.sum() for gram in grams))) or 1.0
        blocks = [design.block.scale(size, target) for design in designs]
        return cls(
            designs=designs,
            blocks=blocks,
            length=length / size,
            unit=target / size,
            penalty_unit=size * target,
            target=target,
        )

    @property
    def square(self) -> float:
        """Squared length of the targets: 1, or 0 where nothing explains them."""
        return float(any(block.cross.any() for block in self.blocks))

    def weights(self, coefficients: Sequence[Array] | None) -> list[Array]:
        """Scaled weights of the caller's coefficients; zero where there are none."""
        if coefficients is None:
            return [np.zeros_like(block.cross) for block in self.blocks]
        return [design.rotate(w / self.unit) for design, w in zip(self.designs, coefficients, strict=True)]

    def coefficients(self, weights: Sequence[Array]) -> list[Array]:
        """The caller's coefficients of scaled weights."""
        return [design.rotate_back(w) * self.unit for design, w in zip(self.designs, weights, strict=True)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Solution in scaled units: weights of each design, gap, what each rule proved, and sweeps."""

    weights: list[Array]
    gap: float
    screened: dict[str, Mask]
    n_sweeps: int


def solve_groups(
    problem: ScaledDesigns,
    penalty: Array,
    weights: list[Array],
    tolerance: float,
    screen: Sequence[str],
    max_sweeps: int,
) -> Groups:
    """
    Solve from `weights`, which are changed.

    Parameters
    ----------
    problem : ScaledDesigns
    penalty : ndarray, shape (n_groups,)
    weights : list of ndarray, shape (p_d, q_d)
    tolerance : float
        Of the gap, and relative to the penalty of the optimality conditions.
    screen : sequence of str
    max_sweeps : int
    """
    blocks = problem.blocks
    screened = {rule: np.zeros(len(penalty), dtype=bool) for rule in screen}
    if "safe" in screened:
        correlation = group_norms(blocks, [block.cross for block in blocks])
        screened["safe"] = safe_rule(correlation, problem.length, penalty)
    n_sweeps = 0
    while True:
        for block, w in zip(blocks, weights, strict=True):
            w[_screened_groups(screened, len(penalty))[block.group_of]] = 0.0
        state = _State.from_weights(problem, penalty, weights)
        if "gap" in screened:
            screened["gap"] |= gap_rule(state.strength, problem.length, penalty, state.alpha, np.array([state.gap]))
        zero = _screened_groups(screened, len(penalty))
        # A group that is screened now changes the gradient: evaluate it again.
        needs_update = bool(np.any(zero & (state.norms > 0)))
        optimal = state.gap <= tolerance and not np.any(~zero & (state.violation(blocks) > state.limit(tolerance)))
        if n_sweeps >= max_sweeps or (optimal and not needs_update):
            return Groups(weights=weights, gap=state.gap, screened=screened, n_sweeps=n_sweeps)
        if not needs_update:
            limit = INNER_SHARE * state.limit(tolerance)
            n_sweeps += _fit(blocks, state, state.working_set(zero), limit, max_sweeps - n_sweeps)


@dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """Current point of the solution."""

    weights: list[Array]
    gradients: list[Array]
    norms: Array  # (n_groups,), ‖W_g‖
    strength: Array  # (n_groups,), ‖Q_g‖
    penalty: Array
    alpha: Array  # (1,)
    gap: float

    @classmethod
    def from_weights(cls, problem: ScaledDesigns, penalty: Array, weights: list[Array]) -> _State:
        blocks = problem.blocks
        gradients = [block.gradient(w) for block, w in zip(blocks, weights, strict=True)]
        norms, strength = group_norms(blocks, weights), group_norms(blocks, gradients)
        alpha = dual_scale(strength, penalty)
        gap = duality_gap(
            square=np.array(problem.square),
            fitted=_inner(weights, [block.cross for block in blocks]),
            corrected=_inner(weights, gradients),
            norm=np.array(penalty @ norms),
            alpha=alpha[0],
        )
        return cls(
            weights=weights,
            gradients=gradients,
            norms=norms,
            strength=strength,
            penalty=penalty,
            alpha=alpha,
            gap=float(gap),
        )

    def limit(self, tolerance: float) -> Array:
        """Largest allowed violation of the optimality conditions, shape (n_groups,)."""
        result: Array = np.maximum(tolerance * self.penalty, ROUNDING_OF_GRADIENT * (1 + self.norms.sum()))
        return result

    def violation(self, blocks: Sequence[Block]) -> Array:
        """‖Q_g − λ_g W_g/‖W_g‖‖ of the active groups, ‖Q_g‖ − λ_g of the others, shape (n_groups,)."""
        active = self.norms > 0
        pull = np.divide(self.penalty, self.norms, out=np.zeros_like(self.norms), where=active)
        residuals = [
            q - pull[block.group_of, None] * w for block, w, q in zip(blocks, self.weights, self.gradients, strict=True)
        ]
        result: Array = np.where(active, group_norms(blocks, residuals), self.strength - self.penalty)
        return result

    def working_set(self, zero: Mask) -> NDArray[np.intp]:
        """The active groups and those that violate most; it may double, so that it stays near the active ones."""
        active = self.norms > 0
        excess = np.where(active, np.inf, self.strength / self.penalty)
        excess[zero] = 0.0
        n_allowed = min(max(2 * int(active.sum()), SMALL_WORKING_SET), len(excess))
        return np.flatnonzero((excess > 1) & (excess >= np.sort(excess)[len(excess) - n_allowed]))


def _fit(blocks: Sequence[Block], state: _State, working: NDArray[np.intp], limit: Array, budget: int) -> int:
    """Solve for the groups of the working set, in place; the number of sweeps."""
    selections = [block.select(working) for block in blocks]
    weights = [w[features] for w, (_, features) in zip(state.weights, selections, strict=True)]
    gradients = [q[features] for q, (_, features) in zip(state.gradients, selections, strict=True)]
    parts = [part for part, _ in selections]
    n_sweeps = fit_blocks(parts, weights, gradients, state.penalty[working], limit[working], budget)
    for w, values, (_, features) in zip(state.weights, weights, selections, strict=True):
        w[features] = values
    return n_sweeps


def _screened_groups(screened: dict[str, Mask], n_groups: int) -> Mask:
    zero = np.zeros(n_groups, dtype=bool)
    for mask in screened.values():
        zero |= mask
    return zero


def _inner(left: Sequence[Array], right: Sequence[Array]) -> Array:
    return np.array(sum(float(np.sum(a * b)) for a, b in zip(left, right, strict=True)))
