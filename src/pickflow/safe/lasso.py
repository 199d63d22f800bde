"""The lasso from a Gram matrix, for many targets that share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickflow.safe.gram import Gram
from pickflow.safe.rows import ScaledRows, solve_rows
from pickflow.safe.screening import RULES, check_rules

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_SWEEPS = 100_000  # chosen: an end for problems that do not converge
N_BISECTIONS = 200  # chosen: float64 is exhausted after about 60 halvings, every third step


@dataclass(frozen=True, kw_only=True, eq=False)
class LassoSolution:
    """
    Minimum of ½‖z − Ψw‖² + Σ λ_j|w_j| for each target.

    Parameters
    ----------
    coefficients : ndarray, shape (p, q)
    penalty : ndarray, shape (p, q)
        λ_j of each target.
    duality_gap : ndarray, shape (q,)
        The objective is at most so far above its minimum; unit of the squared target.
    screened : dict of str to ndarray of bool, shape (p, q)
        What each rule proved zero.
    n_sweeps : int
        Sweeps of coordinate descent, over all targets.
    converged : bool
        Whether every gap is within the tolerance.
    """

    coefficients: Array
    penalty: Array
    duality_gap: Array
    screened: dict[str, Mask]
    n_sweeps: int
    converged: bool


def lasso_penalty_max(gram: Gram) -> Array:
    """Smallest penalty of each target at which all its coefficients are zero, max_j |c_j|, shape (q,)."""
    result: Array = np.abs(gram.cross).max(axis=0, initial=0.0)
    return result


def solve_lasso(
    gram: Gram,
    penalty: ArrayLike,
    *,
    start: ArrayLike | None = None,
    tolerance: float = 1e-10,
    screen: Sequence[str] = RULES,
    max_sweeps: int = MAX_SWEEPS,
) -> LassoSolution:
    """
    Minimise ½‖z − Ψw‖² + Σ λ_j|w_j| for each target, with a free intercept.

    Parameters
    ----------
    gram : Gram
        p features, q targets.
    penalty : array_like, shape (), (q,) or (p, q)
        λ, in the unit of `gram.cross`: for samples of weight 1 it is m times the alpha of scikit-learn.
    start : array_like, shape (p, q), optional
        Coefficients to begin from, such as those at a larger penalty.
    tolerance : float
        Largest duality gap as a share of s, and largest violation of the optimality conditions as a share of λ_j (or
        rounding, where that is more).
    screen : sequence of {"safe", "gap"}
        Rules to use; the solution does not depend on them.
    max_sweeps : int
        Sweeps after which the solver leaves a target; see `LassoSolution.converged`.

    Returns
    -------
    LassoSolution

    Raises
    ------
    ValueError
        Where a penalty is not positive, for a target that has something to fit, or shapes disagree.
    """
    lambdas = check_penalty(gram, penalty)
    return _solve(ScaledRows.from_gram(gram), lambdas, _start(gram, start), tolerance, check_rules(screen), max_sweeps)


def lasso_path(
    gram: Gram,
    ratios: Sequence[float],
    *,
    tolerance: float = 1e-10,
    screen: Sequence[str] = RULES,
    max_sweeps: int = MAX_SWEEPS,
) -> list[LassoSolution]:
    """
    Solve at several shares of each target's own λ_max, each from the solution before it.

    Parameters
    ----------
    gram : Gram
    ratios : sequence of float
        ρ = λ/λ_max, each in (0, 1]; falling ones are fastest.
    tolerance, screen, max_sweeps
        As for `solve_lasso`.

    Returns
    -------
    list of LassoSolution
        One for each ratio.
    """
    check_ratios(ratios)
    problem, rules, largest = ScaledRows.from_gram(gram), check_rules(screen), lasso_penalty_max(gram)
    solutions: list[LassoSolution] = []
    for ratio in ratios:
        start = solutions[-1].coefficients if solutions else None
        solutions.append(_solve(problem, check_penalty(gram, ratio * largest), start, tolerance, rules, max_sweeps))
    return solutions


def solve_lasso_limited(
    gram: Gram,
    penalty: ArrayLike,
    limited: ArrayLike,
    limit: float,
    *,
    tolerance: float = 1e-10,
    screen: Sequence[str] = RULES,
) -> tuple[LassoSolution, Array]:
    """
    Lasso with ‖a‖₁ ≤ κ on some of the features: a row with feedback then has one fixed point.

    The penalty of these features is raised by ν ≥ 0 until the limit holds (El Ghaoui et al. 2019, the multiplier of the
    constraint); ‖a‖₁ falls with ν.

    Parameters
    ----------
    gram : Gram
    penalty : array_like, shape (), (q,) or (p, q)
        λ of all features, without ν.
    limited : array_like of bool, shape (p,)
        The features whose coefficients are a.
    limit : float
        κ > 0.
    tolerance, screen
        As for `solve_lasso`; ‖a‖₁ is within the tolerance below κ where the limit binds.

    Returns
    -------
    solution : LassoSolution
        With ‖a‖₁ ≤ κ for each target; its penalty includes ν.
    nu : ndarray, shape (q,)
        ν, 0 where the limit does not bind.
    """
    is_limited = np.asarray(limited, dtype=bool)
    if is_limited.shape != (gram.n_features,):
        raise ValueError(
            f"limited has shape {is_limited.shape}, expected one flag for each of {gram.n_features} features"
        )
    if not 0 < limit < np.inf:
        raise ValueError(f"the limit of the sum of coefficients is {limit:g}, expected a positive number such as 0.95")
    lambdas = check_penalty(gram, penalty)
    problem, rules = ScaledRows.from_gram(gram), check_rules(screen)

    def solve(nu: Array, start: Array | None) -> tuple[LassoSolution, Array]:
        solution = _solve(problem, lambdas + np.outer(is_limited, nu), start, tolerance, rules, MAX_SWEEPS)
        return solution, np.abs(solution.coefficients[is_limited]).sum(axis=0)

    solution, low_sum = solve(np.zeros(gram.n_targets), None)
    bound = low_sum > limit
    # |ψ_jᵀr| ≤ ‖ψ_j‖‖z‖: from here on every limited coefficient is zero.
    high = np.where(bound, np.sqrt(np.diag(gram.gram)[is_limited].max(initial=0.0) * gram.square), 0.0)
    low, high_sum = np.zeros(gram.n_targets), np.where(bound, 0.0, low_sum)
    for step in range(N_BISECTIONS):
        is_open = bound & (high_sum < limit * (1 - tolerance)) & (high - low > 4 * np.finfo(float).eps * high)
        if not is_open.any():
            break
        # The sum is piecewise linear in ν: the secant ends soon, and halving every third time bounds the steps.
        secant = (low_sum - limit) / np.where(is_open, low_sum - high_sum, 1.0)
        share = 0.5 if step % 3 == 2 else np.clip(secant, 1e-3, 1.0)
        middle = np.where(is_open, low + share * (high - low), high)
        solution, middle_sum = solve(middle, solution.coefficients)
        is_below = middle_sum <= limit
        high, high_sum = np.where(is_open & is_below, middle, high), np.where(is_open & is_below, middle_sum, high_sum)
        low, low_sum = np.where(is_open & ~is_below, middle, low), np.where(is_open & ~is_below, middle_sum, low_sum)
    return solve(high, solution.coefficients)[0] if bound.any() else solution, high


def check_ratios(ratios: Sequence[float]) -> None:
    """Raise a ValueError for a share of the largest penalty outside (0, 1]."""
    for ratio in ratios:
        if not 0 < ratio <= 1:
            raise ValueError(f"ratio {ratio:g} of the largest penalty is outside (0, 1]")


def check_penalty(gram: Gram, penalty: ArrayLike) -> Array:
    """λ of each feature and target, shape (p, q), or a ValueError that names the one that is not positive."""
    values = np.asarray(penalty, dtype=np.float64)
    shape = (gram.n_features, gram.n_targets)
    if values.shape not in ((), shape[1:], shape):
        raise ValueError(f"the penalty has shape {values.shape}, expected (), {shape[1:]} or {shape}")
    lambdas = np.broadcast_to(values, shape)
    largest = lasso_penalty_max(gram)
    is_invalid = ~((lambdas > 0) & np.isfinite(lambdas)) & ((largest > 0) | ~(lambdas == 0))
    if is_invalid.any():
        feature, target = np.argwhere(is_invalid)[0]
        raise ValueError(
            f"the penalty of target {target}, feature {feature} is {lambdas[feature, target]:g}, expected a positive "
            f"number; all coefficients are zero from {largest[target]:g} on, and `debias` fits without a penalty"
        )
    return lambdas


def _start(gram: Gram, start: ArrayLike | None) -> Array | None:
    if start is None:
        return None
    values = np.asarray(start, dtype=np.float64)
    if values.shape != gram.cross.shape or not np.isfinite(values).all():
        raise ValueError(f"start has shape {values.shape}, expected finite coefficients of shape {gram.cross.shape}")
    return values


def _solve(
    problem: ScaledRows, lambdas: Array, start: Array | None, tolerance: float, screen: Sequence[str], max_sweeps: int
) -> LassoSolution:
    rows = solve_rows(problem, problem.penalty(lambdas), problem.weights(start), tolerance, screen, max_sweeps)
    return LassoSolution(
        coefficients=(rows.weights * problem.unit).T,
        penalty=lambdas,
        duality_gap=np.maximum(rows.gap, 0.0) * problem.target**2,
        screened={rule: mask.T for rule, mask in rows.screened.items()},
        n_sweeps=int(rows.n_sweeps.sum()),
        converged=bool(np.all(rows.gap <= tolerance)),
    )
