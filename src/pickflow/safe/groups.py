"""The group lasso from Gram matrices, for groups that one or several designs share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickflow.safe.blocks import group_norms
from pickflow.safe.designs import ScaledDesigns, solve_groups
from pickflow.safe.gram import Gram
from pickflow.safe.lasso import check_ratios
from pickflow.safe.screening import RULES, check_rules

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_SWEEPS = 10_000  # chosen: an end for problems that do not converge


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupDesign:
    """
    One regression whose features belong to groups, such as a layer whose inputs are channels with several taps.

    Parameters
    ----------
    gram : Gram
        p features, q targets.
    groups : ndarray of int, shape (p,)
        Group of each feature, from 0 on; groups need not be contiguous, and a design may lack some.

    Raises
    ------
    ValueError
        Where a feature has no group.
    """

    gram: Gram
    groups: NDArray[np.integer]

    def __post_init__(self) -> None:
        groups = np.asarray(self.groups)
        if groups.shape != (self.gram.n_features,) or groups.dtype.kind not in "iu":
            raise ValueError(
                f"groups are {groups.dtype} of shape {groups.shape}, expected an integer for each of "
                f"{self.gram.n_features} features"
            )
        if groups.min(initial=0) < 0:
            raise ValueError(f"feature {int(groups.argmin())} has group {groups.min()}; groups are counted from 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupSolution:
    """
    Minimum of Σ_d ½‖Z_d − Ψ_d W_d‖² + Σ_g λ_g‖(W_d[g])_d‖.

    Parameters
    ----------
    coefficients : list of ndarray, shape (p_d, q_d)
        W_d of each design.
    penalty : ndarray, shape (n_groups,)
        λ_g.
    duality_gap : float
        The objective is at most so far above its minimum; unit of the squared targets.
    screened : dict of str to ndarray of bool, shape (n_groups,)
        Groups that each rule proved zero.
    active : ndarray of bool, shape (n_groups,)
        Groups with a coefficient that is not zero, in any design.
    n_sweeps : int
    converged : bool
        Whether the gap is within the tolerance.
    """

    coefficients: list[Array]
    penalty: Array
    duality_gap: float
    screened: dict[str, Mask]
    active: Mask
    n_sweeps: int
    converged: bool


def group_penalty_max(designs: Sequence[GroupDesign], weights: ArrayLike | None = None) -> float:
    """
    Smallest penalty at which every group is zero, max_g ‖C_g‖/weight_g over all designs together.

    Parameters
    ----------
    designs : sequence of GroupDesign
    weights : array_like, shape (n_groups,), optional
        Weight of each group in the penalty; 1 where it is left out.
    """
    n_groups = _n_groups(designs)
    squares = np.zeros(n_groups)
    for design in designs:
        squares += np.bincount(design.groups, weights=np.sum(design.gram.cross**2, axis=1), minlength=n_groups)
    return float(np.max(np.sqrt(squares) / _weights(weights, n_groups), initial=0.0))


def solve_group_lasso(
    designs: Sequence[GroupDesign],
    penalty: float,
    *,
    weights: ArrayLike | None = None,
    start: Sequence[Array] | None = None,
    tolerance: float = 1e-10,
    screen: Sequence[str] = RULES,
    max_sweeps: int = MAX_SWEEPS,
) -> GroupSolution:
    """
    Minimise Σ_d ½‖Z_d − Ψ_d W_d‖² + λ Σ_g weight_g ‖(W_d[g])_d‖, the norm over all designs together.

    A group is zero exactly when every design drops it: a channel can be deleted once no consumer needs it.

    Parameters
    ----------
    designs : sequence of GroupDesign
        One is the usual group lasso.
    penalty : float
        λ, in the unit of `gram.cross`.
    weights : array_like, shape (n_groups,), optional
        Weight of each group; 1 where it is left out.
    start : sequence of ndarray, shape (p_d, q_d), optional
        Coefficients to begin from.
    tolerance : float
        Largest duality gap as a share of s, and largest violation of the optimality conditions as a share of λ_g (or
        rounding, where that is more).
    screen : sequence of {"safe", "gap"}
        Rules to use.
    max_sweeps : int
        Sweeps after which the solver stops; see `GroupSolution.converged`.

    Returns
    -------
    GroupSolution

    Raises
    ------
    ValueError
        Where there is no design, a penalty or weight is not positive, or shapes disagree.
    """
    lambdas = _penalties(designs, penalty, weights)
    return _solve(_scale(designs), lambdas, _start(designs, start), tolerance, check_rules(screen), max_sweeps)


def group_path(
    designs: Sequence[GroupDesign],
    ratios: Sequence[float],
    *,
    weights: ArrayLike | None = None,
    tolerance: float = 1e-10,
    screen: Sequence[str] = RULES,
    max_sweeps: int = MAX_SWEEPS,
) -> list[GroupSolution]:
    """
    Solve at several shares of `group_penalty_max`, each from the solution before it.

    Parameters
    ----------
    designs : sequence of GroupDesign
    ratios : sequence of float
        λ/λ_max, each in (0, 1]; falling ones are fastest.
    weights, tolerance, screen, max_sweeps
        As for `solve_group_lasso`.

    Returns
    -------
    list of GroupSolution
        One for each ratio.
    """
    check_ratios(ratios)
    problem, rules, largest = _scale(designs), check_rules(screen), group_penalty_max(designs, weights)
    solutions: list[GroupSolution] = []
    for ratio in ratios:
        start = solutions[-1].coefficients if solutions else None
        lambdas = _penalties(designs, ratio * largest, weights)
        solutions.append(_solve(problem, lambdas, start, tolerance, rules, max_sweeps))
    return solutions


def _n_groups(designs: Sequence[GroupDesign]) -> int:
    if not designs:
        raise ValueError("the group lasso got no design; give at least one")
    return 1 + max(int(np.max(design.groups, initial=-1)) for design in designs)


def _weights(weights: ArrayLike | None, n_groups: int) -> Array:
    values = np.ones(n_groups) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.shape != (n_groups,):
        raise ValueError(f"weights of groups have shape {values.shape}, expected one for each of {n_groups} groups")
    if not (np.all(values > 0) and np.all(np.isfinite(values))):
        group = int(np.argmax(~((values > 0) & np.isfinite(values))))
        raise ValueError(f"the weight of group {group} is {values[group]:g}, expected a positive number")
    return values


def _penalties(designs: Sequence[GroupDesign], penalty: float, weights: ArrayLike | None) -> Array:
    largest = group_penalty_max(designs, weights)
    if not (0 < penalty < np.inf) and not (penalty == 0 == largest):
        raise ValueError(
            f"the penalty is {penalty:g}, expected a positive number; every group is zero from {largest:g} on, and "
            "`debias` fits without a penalty"
        )
    return penalty * _weights(weights, _n_groups(designs))


def _start(designs: Sequence[GroupDesign], start: Sequence[Array] | None) -> list[Array] | None:
    if start is None:
        return None
    shapes = [design.gram.cross.shape for design in designs]
    if [np.shape(w) for w in start] != shapes or not all(np.isfinite(w).all() for w in start):
        raise ValueError(f"start has shapes {[np.shape(w) for w in start]}, expected finite coefficients of {shapes}")
    return [np.asarray(w, dtype=np.float64) for w in start]


def _scale(designs: Sequence[GroupDesign]) -> ScaledDesigns:
    return ScaledDesigns.from_grams([d.gram for d in designs], [d.groups for d in designs], _n_groups(designs))


def _solve(
    problem: ScaledDesigns,
    lambdas: Array,
    start: Sequence[Array] | None,
    tolerance: float,
    screen: Sequence[str],
    max_sweeps: int,
) -> GroupSolution:
    # Where nothing is to be fitted, any penalty gives zero.
    penalty = lambdas / problem.penalty_unit if lambdas.any() else np.ones_like(lambdas)
    groups = solve_groups(problem, penalty, problem.weights(start), tolerance, screen, max_sweeps)
    return GroupSolution(
        coefficients=problem.coefficients(groups.weights),
        penalty=lambdas,
        duality_gap=max(groups.gap, 0.0) * problem.target**2,
        screened=groups.screened,
        active=group_norms(problem.blocks, groups.weights) > 0,
        n_sweeps=groups.n_sweeps,
        converged=groups.gap <= tolerance,
    )
