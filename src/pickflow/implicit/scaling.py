"""States in other units, in which a model without feedback keeps the papers' bound of A."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from pickflow.implicit.model import ImplicitModel, require_below_one


def rescale(model: ImplicitModel, kappa: float) -> ImplicitModel:
    """
    The same function of the inputs, with L Σ|a| ≤ κ in every row.

    Block k counts its states in units 1/dₖ: A becomes D A D⁻¹, B becomes D B and C becomes C D⁻¹, which changes nothing
    where φ(s z) = s φ(z). This is the scaling of El Ghaoui et al. (2021) for positively homogeneous φ; without feedback
    |A| has the spectral radius 0, so that there is one for every κ.

    Parameters
    ----------
    model : ImplicitModel
        Without feedback.
    kappa : float
        Below 1.

    Raises
    ------
    ValueError
        If there is feedback, or other blocks read a block that cannot be scaled, which is named.
    """
    require_below_one(kappa)
    if model.order is None:
        raise ValueError("the model has feedback: scaling its states may not be enough; use project")
    sums = np.asarray(np.abs(model.A).sum(axis=1))
    scale = np.zeros(len(model.blocks))
    for index in reversed(model.order):
        block = model.blocks[index]
        if scale[index] == 0.0:  # nobody but the outputs reads it
            scale[index] = 1.0
        elif not block.activation.homogeneous:
            raise ValueError(f"{block.name}: {type(block.activation).__name__} is not homogeneous and cannot be scaled")
        lipschitz = block.activation.lipschitz or np.inf
        minimum = scale[index] * lipschitz * float(sums[block.rows].max(initial=0.0)) / kappa
        for read in model.dependencies[[index]].indices:
            scale[read] = max(scale[read], minimum)
    of_rows, of_states = scale[model.block_of_row()], scale[model.block_of_state()]
    rows, inverse = sparse.diags_array(of_rows), sparse.diags_array(1 / of_states)
    return dataclasses.replace(
        model,
        A=sparse.csr_array(rows @ model.A @ inverse),
        B=sparse.csr_array(rows @ model.B),
        C=sparse.csr_array(model.C @ inverse),
    )
