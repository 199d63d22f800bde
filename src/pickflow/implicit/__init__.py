"""
State-driven implicit models: networks as x = φ(A x + B u), y = C x + D u, and their training row by row.

docs/implicit-model.md explains them.
"""

from pickflow.implicit.builder import UnsupportedLayerError
from pickflow.implicit.layers import LayerProblem, im2col, layer_samples, lstm_gates, weights_of
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
from pickflow.implicit.states import RowProblem, States, fit_states, solve_rows, states_of

__all__ = [
    "Block",
    "ImplicitModel",
    "Inference",
    "LayerProblem",
    "NotConvergedError",
    "RowProblem",
    "States",
    "UnsupportedLayerError",
    "WellPosedness",
    "blocks_of",
    "fit_states",
    "from_network",
    "im2col",
    "layer_samples",
    "lstm_gates",
    "project_l1",
    "solve_rows",
    "states_of",
    "weights_of",
]
