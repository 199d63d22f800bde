"""The check of a screened solution: solve again without screening and compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pickflow.safe.gram import Gram
from pickflow.safe.groups import GroupDesign, GroupSolution, solve_group_lasso
from pickflow.safe.lasso import LassoSolution, solve_lasso


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """
    Comparison with a second solution without screening.

    Parameters
    ----------
    n_false_eliminations : int
        Coefficients, or groups, that a rule proved zero and that the second solution has.
    largest_difference : float
        Largest absolute difference of two coefficients.
    """

    n_false_eliminations: int
    largest_difference: float


def check_certificate(
    problem: Gram | Sequence[GroupDesign], solution: LassoSolution | GroupSolution, *, tolerance: float = 1e-10
) -> Certificate:
    """
    Solve again from zero, without screening, and compare.

    Parameters
    ----------
    problem : Gram, or sequence of GroupDesign
        The problem of `solution`.
    solution : LassoSolution or GroupSolution
    tolerance : float
        As for `solve_lasso`.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError
        Where problem and solution are not of the same kind.
    """
    if isinstance(problem, Gram) and isinstance(solution, LassoSolution):
        unscreened = solve_lasso(problem, solution.penalty, tolerance=tolerance, screen=())
        exact, values, active = [unscreened.coefficients], [solution.coefficients], unscreened.coefficients != 0
    elif not isinstance(problem, Gram) and isinstance(solution, GroupSolution):
        # Where the targets do not vary, the penalties of a path are zero, and so are the coefficients.
        weights = solution.penalty if solution.penalty.any() else None
        full = solve_group_lasso(problem, float(weights is not None), weights=weights, tolerance=tolerance, screen=())
        exact, values, active = full.coefficients, solution.coefficients, full.active
    else:
        raise ValueError("a LassoSolution is checked with its Gram, a GroupSolution with its sequence of designs")
    is_screened = np.logical_or.reduce([np.zeros(active.shape, dtype=bool), *solution.screened.values()])
    difference = max(float(np.max(np.abs(a - b), initial=0.0)) for a, b in zip(exact, values, strict=True))
    return Certificate(n_false_eliminations=int(np.sum(is_screened & active)), largest_difference=difference)
