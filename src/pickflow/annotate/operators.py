"""Loops of layers over time as one operator of ONNX: written out step by step they take thousands of nodes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pickflow.models.layers import Cell, UnsupportedLayerError, recurrent_cells

_GATES = [0, 3, 1, 2]  # ONNX has input, output, forget, cell; torch input, forget, cell, output
# Of ONNX's HardSigmoid the slope 0.2 and the offset 0.5 are the defaults, and SeisBench's.
_FUNCTIONS = {"sigmoid": "Sigmoid", "hard_sigmoid": "HardSigmoid"}


def with_operators(model: nn.Module) -> nn.Module:
    """
    A copy of a model for the export to ONNX: each LSTM of SeisBench's that is a loop in Python becomes one operator.

    Layers of torch are one operator as they are, and loops of unknown gates stay loops.

    Parameters
    ----------
    model : Module
        It is left as it is.

    Returns
    -------
    Module
        In torch its operators have shapes and no values: it can be exported, and computes nothing.
    """
    result = copy.deepcopy(model)
    for name, layer in list(result.named_modules()):
        if hasattr(layer, "cell_f"):
            try:
                cells = recurrent_cells(layer, name)
            except UnsupportedLayerError:
                continue
            result.set_submodule(name, _Lstm(cells))
    return result


class _Lstm(nn.Module):
    """Directions of an LSTM; shapes (n_samples, n, n_in) to (n_samples, n, n_directions * n_hidden)."""

    def __init__(self, cells: list[Cell]):
        super().__init__()
        self.functions = [name for cell in cells for name in (_FUNCTIONS[cell.gate], "Tanh", "Tanh")]
        self.register_buffer("of_input", _by_direction([cell.of_input for cell in cells]))
        self.register_buffer("of_state", _by_direction([cell.of_state for cell in cells]))
        bias = _by_direction([cell.bias for cell in cells])
        self.register_buffer("bias", torch.cat([bias, torch.zeros_like(bias)], dim=1))  # of the input, of the state

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        return _LstmOperator.apply(x, self.of_input, self.of_state, self.bias, self.functions), None


def _by_direction(parts: list[np.ndarray]) -> Tensor:
    """Numbers of each direction, with the gates in the order of ONNX."""
    gates = [np.split(part, len(_GATES)) for part in parts]
    return torch.from_numpy(np.stack([np.concatenate([each[gate] for gate in _GATES]) for each in gates])).float()


class _LstmOperator(torch.autograd.Function):
    """What torch records as ONNX's LSTM, whose output has an axis of directions before that of windows."""

    @staticmethod
    def forward(
        context: Any, x: Tensor, of_input: Tensor, of_state: Tensor, bias: Tensor, functions: list[str]
    ) -> Tensor:
        n_directions, _, n_hidden = of_state.shape
        return x.new_zeros(*x.shape[:2], n_directions * n_hidden)

    @staticmethod
    def symbolic(graph: Any, x: Any, of_input: Any, of_state: Any, bias: Any, functions: list[str]) -> Any:
        n_directions, _, n_hidden = of_state.type().sizes()
        states = graph.op(
            "LSTM",
            x,
            of_input,
            of_state,
            bias,
            hidden_size_i=n_hidden,
            direction_s="bidirectional" if n_directions == 2 else "forward",
            activations_s=functions,
        )
        shape = graph.op("Constant", value_t=torch.tensor([0, 0, -1]))
        return graph.op("Reshape", graph.op("Transpose", states, perm_i=[0, 2, 1, 3]), shape)
