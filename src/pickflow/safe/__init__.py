"""Lasso and group lasso from Gram matrices, with rules that prove coefficients zero (docs/safe-solver.md)."""

from pickflow.safe.certificate import Certificate, check_certificate
from pickflow.safe.gram import Gram, GramAccumulator, debias, intercept, relative_residual
from pickflow.safe.groups import GroupDesign, GroupSolution, group_path, group_penalty_max, solve_group_lasso
from pickflow.safe.lasso import LassoSolution, lasso_path, lasso_penalty_max, solve_lasso, solve_lasso_limited

__all__ = [
    "Certificate",
    "Gram",
    "GramAccumulator",
    "GroupDesign",
    "GroupSolution",
    "LassoSolution",
    "check_certificate",
    "debias",
    "group_path",
    "group_penalty_max",
    "intercept",
    "lasso_path",
    "lasso_penalty_max",
    "relative_residual",
    "solve_group_lasso",
    "solve_lasso",
    "solve_lasso_limited",
]
