"""
State-driven implicit models: networks as x = φ(A x + B u), y = C x + D u, and their training row by row.

docs/implicit-model.md explains them.
"""

from pickflow.implicit.model import (
    Block,
    ImplicitModel,
    Inference,
    NotConvergedError,
    WellPosedness,
    blocks_of,
)
from pickflow.implicit.networks import from_network
from pickflow.implicit.projection import project_l1
from pickflow.implicit.states import (
    RowDesign,
    RowProblem,
    States,
    fit_states,
    row_designs,
    solve_rows,
    states_of,
    values_of,
)
from pickflow.models.layers import UnsupportedLayerError

__all__ = [
    "Block",
    "ImplicitModel",
    "Inference",
    "NotConvergedError",
    "RowDesign",
    "RowProblem",
    "States",
    "UnsupportedLayerError",
    "WellPosedness",
    "blocks_of",
    "fit_states",
    "from_network",
    "project_l1",
    "row_designs",
    "solve_rows",
    "states_of",
    "values_of",
]
