"""
Rules that prove coefficients zero before or while the lasso is solved.

The dual of min ½‖z − Ψw‖² + Σ λ_j|w_j| is max ½‖z‖² − ½‖z − θ‖² over |ψ_jᵀθ| ≤ λ_j, and w_j = 0 wherever the optimal θ
has |ψ_jᵀθ| < λ_j. If θ lies in a ball of centre θ₀ and radius ρ, then |ψ_jᵀθ₀| + ‖ψ_j‖ρ < λ_j is enough.

- SAFE (El Ghaoui et al. 2010): θ is the projection of z on the feasible set, and z·λ/λ_max is feasible, so that
  θ₀ = z, ρ = ‖z‖(λ_max − λ)/λ_max.
- GAP-safe (Ndiaye et al. 2017): the dual is 1-strongly concave, so that θ₀ = αr for the residual r of any w, scaled
  into the feasible set by α, and ρ = √(2(P − D)).

A group takes the norm of ψ_gᵀθ for |ψ_jᵀθ| and the spectral norm of ψ_g for ‖ψ_j‖. Where several designs share a group,
their samples and targets lie below one another in z, and ψ_g is block-diagonal over designs and targets: squared norms
add up over designs, the spectral norm is the largest of them, and α, P and D belong to all designs together. So one set
of formulas serves all.

These rules take problems scaled to ‖z‖ = 1; `strength` is |ψ_jᵀθ₀| or its group's norm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Rounding of the gap, as a share of ‖z‖²: without it the rule drops features that the solution needs.
GAP_ROUNDING = 1e-12
RULES = ("safe", "gap")


def safe_rule(strength: Array, length: Array, penalty: Array) -> Mask:
    """
    Features that SAFE (2010) proves zero.

    Parameters
    ----------
    strength : ndarray, shape (..., n)
        |c_j|, or ‖c_g‖ of a group.
    length : ndarray, shape (n,)
        ‖ψ_j‖, or the spectral norm of a group.
    penalty : ndarray, shape (..., n)
        λ_j > 0.

    Returns
    -------
    screened : ndarray of bool, shape (..., n)
    """
    ratio = strength / penalty
    largest = ratio.max(axis=-1, keepdims=True, initial=0.0)
    # In units where every λ_j is 1. Beyond λ_max nothing is left to select.
    radius = np.where(largest > 1, 1 - 1 / np.maximum(largest, 1.0), 0.0)
    screened: Mask = ratio + (length / penalty) * radius < 1 - GAP_ROUNDING
    return screened


def gap_rule(strength: Array, length: Array, penalty: Array, alpha: Array, gap: Array) -> Mask:
    """
    Features that GAP-safe proves zero at the current point.

    Parameters
    ----------
    strength : ndarray, shape (..., n)
        |q_j| with q = c − Gw, or ‖Q_g‖ of a group.
    length, penalty
        As for `safe_rule`.
    alpha, gap : ndarray, shape (..., 1)
        Scale of the dual point and duality gap.

    Returns
    -------
    screened : ndarray of bool, shape (..., n)
    """
    radius = np.sqrt(2 * (np.maximum(gap, 0.0) + GAP_ROUNDING))
    screened: Mask = alpha * strength + length * radius < penalty
    return screened


def dual_scale(strength: Array, penalty: Array) -> Array:
    """α = min(1, 1 / max_j |q_j|/λ_j), shape (..., 1): the residual times α is feasible."""
    result: Array = 1 / np.maximum(1.0, (strength / penalty).max(axis=-1, keepdims=True, initial=0.0))
    return result


def duality_gap(square: Array, fitted: Array, corrected: Array, norm: Array, alpha: Array) -> Array:
    """
    P − D at the current point.

    Parameters
    ----------
    square, fitted, corrected, norm : ndarray, shape (...)
        s = ‖z‖², cᵀw, qᵀw and Σ λ_j|w_j|.
    alpha : ndarray, shape (...)

    Returns
    -------
    gap : ndarray, shape (...)
        Rounding can make it negative by some 1e-16 s.
    """
    # wᵀGw = wᵀ(c − q) and rᵀz = s − cᵀw.
    residual = square - fitted - corrected
    primal = 0.5 * residual + norm
    dual = alpha * (square - fitted) - 0.5 * alpha**2 * residual
    result: Array = primal - dual
    return result


def check_rules(screen: Sequence[str]) -> tuple[str, ...]:
    """The rules, or a ValueError that names the unknown one."""
    for rule in screen:
        if rule not in RULES:
            raise ValueError(f"screening rule {rule!r} is unknown; use {', '.join(RULES)}, or none")
    return tuple(screen)
