"""Many lasso problems that share a Gram matrix: scaling, screening and working sets around `descent`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickflow.safe.descent import fit_rows
from pickflow.safe.gram import Gram
from pickflow.safe.screening import dual_scale, duality_gap, gap_rule, safe_rule

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Chosen: the working set may at most double, and may always hold this many features.
SMALL_WORKING_SET = 32
# Rounding of c − Gw, for unit features and targets, per unit of ‖w‖₁.
ROUNDING_OF_GRADIENT = 1e-13
# Chosen: the inner solution is more exact than the tolerance, so that one more check is enough.
INNER_SHARE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class ScaledRows:
    """
    The problems with features and targets of length 1, so that neither has a unit; a row is a target.

    Parameters
    ----------
    gram : ndarray, shape (p, p)
    cross : ndarray, shape (q, p)
    square : ndarray, shape (q,)
        1, or 0 for targets that do not vary.
    length : ndarray, shape (p,)
        1, or 0 for features that do not vary.
    unit, penalty_unit : ndarray, shape (q, p)
        Factors from scaled weights and scaled penalties to the caller's.
    target : ndarray, shape (q,)
        Length of the targets; 1 for those that do not vary.
    """

    gram: Array
    cross: Array
    square: Array
    length: Array
    unit: Array
    penalty_unit: Array
    target: Array

    @classmethod
    def from_gram(cls, gram: Gram) -> ScaledRows:
        """Scale the statistics of p features and q targets."""
        length = np.sqrt(np.diag(gram.gram))
        live = length > 0
        size = np.where(live, length, 1.0)
        target = np.where(gram.square > 0, np.sqrt(gram.square), 1.0)
        inner = gram.gram / size[:, None] / size
        np.fill_diagonal(inner, 1.0)
        cross: Array = np.where(live, (gram.cross / size[:, None] / target).T, 0.0)
        return cls(
            gram=inner,
            cross=np.ascontiguousarray(cross),
            square=(gram.square > 0).astype(np.float64),
            length=live.astype(np.float64),
            unit=np.outer(target, live / size),
            penalty_unit=np.outer(target, size),
            target=target,
        )

    @property
    def empty(self) -> Mask:
        """Targets that no feature explains: any penalty gives zero, shape (q,)."""
        result: Mask = ~self.cross.any(axis=1)
        return result

    def penalty(self, lambdas: Array) -> Array:
        """Scaled penalties, shape (q, p), of the caller's, shape (p, q)."""
        result: Array = np.where(self.empty[:, None], 1.0, lambdas.T / self.penalty_unit)
        return result

    def weights(self, coefficients: Array | None) -> Array:
        """Scaled weights, shape (q, p), of the caller's coefficients, shape (p, q); zero where there are none."""
        weights = np.zeros_like(self.cross)
        if coefficients is not None:
            np.divide(coefficients.T, self.unit, out=weights, where=(self.unit > 0) & ~self.empty[:, None])
        return weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Solutions in scaled units: weights (q, p), gaps (q,), masks (q, p) of each rule and sweeps (q,)."""

    weights: Array
    gap: Array
    screened: dict[str, Mask]
    n_sweeps: NDArray[np.int64]


def solve_rows(
    problem: ScaledRows, penalty: Array, weights: Array, tolerance: float, screen: Sequence[str], max_sweeps: int
) -> Rows:
    """
    Solve every row from `weights`, which are changed.

    Parameters
    ----------
    problem : ScaledRows
    penalty, weights : ndarray, shape (q, p)
    tolerance : float
        Of the gap, and relative to the penalty of the optimality conditions.
    screen : sequence of str
    max_sweeps : int
        For each row.
    """
    screened = {rule: np.zeros(weights.shape, dtype=bool) for rule in screen}
    if "safe" in screened:
        screened["safe"] = safe_rule(np.abs(problem.cross), problem.length, penalty)
    gap, n_sweeps = np.zeros(len(weights)), np.zeros(len(weights), dtype=np.int64)
    rows = np.arange(len(weights))
    while len(rows):
        weights[rows] *= _candidates(screened, weights.shape)[rows]
        state = _State.from_weights(problem, penalty[rows], weights[rows], rows)
        gap[rows] = state.gap
        if "gap" in screened:
            screened["gap"][rows] |= state.screened_by_gap(problem.length)
        is_candidate = _candidates(screened, weights.shape)[rows]
        # A weight that is screened now changes the gradient: evaluate it again.
        needs_update = np.any(~is_candidate & (weights[rows] != 0), axis=1)
        is_unfinished = needs_update | (state.gap > tolerance) | state.violates(is_candidate, tolerance)
        is_unfinished &= n_sweeps[rows] < max_sweeps
        rows = rows[is_unfinished]
        if len(rows) and not needs_update.any():
            state, is_candidate = state.select(is_unfinished), is_candidate[is_unfinished]
            limit, budget = INNER_SHARE * state.limit(tolerance), max_sweeps - n_sweeps[rows]
            working = state.working_set(is_candidate)
            n_sweeps[rows] += fit_rows(
                problem.gram, state.weights, state.gradient, state.penalty, working, limit, budget
            )
            weights[rows] = state.weights
    return Rows(weights=weights, gap=gap, screened=screened, n_sweeps=n_sweeps)


@dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """Current point of some of the rows."""

    weights: Array  # (n_rows, p), as are gradient and penalty
    gradient: Array
    penalty: Array
    alpha: Array  # (n_rows, 1)
    gap: Array  # (n_rows,)

    @classmethod
    def from_weights(cls, problem: ScaledRows, penalty: Array, weights: Array, rows: NDArray[np.intp]) -> _State:
        cross, features = problem.cross[rows], np.flatnonzero(weights.any(axis=0))
        gradient = cross - weights[:, features] @ problem.gram[features]
        alpha = dual_scale(np.abs(gradient), penalty)
        gap = duality_gap(
            square=problem.square[rows],
            fitted=np.sum(weights * cross, axis=1),
            corrected=np.sum(weights * gradient, axis=1),
            norm=np.sum(penalty * np.abs(weights), axis=1),
            alpha=alpha[:, 0],
        )
        return cls(weights=weights, gradient=gradient, penalty=penalty, alpha=alpha, gap=gap)

    def select(self, rows: Mask) -> _State:
        return _State(
            weights=self.weights[rows],
            gradient=self.gradient[rows],
            penalty=self.penalty[rows],
            alpha=self.alpha[rows],
            gap=self.gap[rows],
        )

    def screened_by_gap(self, length: Array) -> Mask:
        return gap_rule(np.abs(self.gradient), length, self.penalty, self.alpha, self.gap[:, None])

    def limit(self, tolerance: float) -> Array:
        """Largest allowed violation of the optimality conditions, shape (n_rows, p)."""
        rounding = ROUNDING_OF_GRADIENT * (1 + np.abs(self.weights).sum(axis=1, keepdims=True))
        result: Array = np.maximum(tolerance * self.penalty, rounding)
        return result

    def violates(self, is_candidate: Mask, tolerance: float) -> Mask:
        """Rows where |q_j − λ_j sign w_j| of the support, or |q_j| − λ_j elsewhere, is above the limit."""
        on_support = np.abs(self.gradient - self.penalty * np.sign(self.weights))
        violation = np.where(self.weights != 0, on_support, np.abs(self.gradient) - self.penalty)
        result: Mask = np.any(is_candidate & (violation > self.limit(tolerance)), axis=1)
        return result

    def working_set(self, is_candidate: Mask) -> Mask:
        """The support and the features that violate most; it may double, so that it stays near the support."""
        support = self.weights != 0
        excess = np.where(support, np.inf, np.abs(self.gradient) / self.penalty)
        excess[~is_candidate] = 0.0
        n_features = excess.shape[1]
        n_allowed = np.minimum(np.maximum(2 * support.sum(axis=1), SMALL_WORKING_SET), n_features)
        smallest = np.sort(excess, axis=1)[np.arange(len(excess)), n_features - n_allowed]
        result: Mask = (excess > 1) & (excess >= smallest[:, None])
        return result


def _candidates(screened: dict[str, Mask], shape: tuple[int, ...]) -> Mask:
    is_candidate = np.ones(shape, dtype=bool)
    for mask in screened.values():
        is_candidate &= ~mask
    return is_candidate
