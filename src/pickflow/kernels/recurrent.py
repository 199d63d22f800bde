"""Recurrences and attention as operations of a program."""

from __future__ import annotations

from typing import Any

import numpy as np

from pickflow.kernels.layers import convolve
from pickflow.kernels.program import Program, View, require
from pickflow.models.layers import parameter, recurrent_cells

_GATE_BLOCK = 8  # gates that one pass of the recurrence makes
_MAX_HIDDEN = 128
_BACKWARD, _HARD = 1, 2


def recurrence(program: Program, x: View, layer: Any, states: View) -> View:
    """Write the states of an LSTM or GRU: the input's share of all gates is one convolution, the rest goes by steps."""
    cells = recurrent_cells(layer)
    n_hidden, n_gates, kind = cells[0].n_hidden, len(cells[0].bias), cells[0].kind
    require(n_hidden <= _MAX_HIDDEN, f"at most {_MAX_HIDDEN} states")
    require(kind == "gru" or n_hidden % 2 == 0, "an even number of states of an LSTM")
    gates = program.buffer(n_gates * len(cells), x.n_samples)
    of_input = np.concatenate([cell.of_input for cell in cells])[:, :, None]
    bias = np.concatenate([cell.bias for cell in cells])
    convolve(program, x, gates, of_input, bias)
    for index, cell in enumerate(cells):
        filled = np.pad(cell.of_state, ((0, -n_gates % _GATE_BLOCK), (0, 0)))
        blocks = filled.reshape(-1, _GATE_BLOCK, n_hidden).transpose(0, 2, 1)
        source = gates.channels(n_gates * index, n_gates)
        target = states.channels(n_hidden * index, n_hidden)
        flag = _BACKWARD * cell.backward + _HARD * (cell.gate == "hard_sigmoid")
        program.add(kind, source, target, None, blocks, cell.reset_bias, flag=flag)
        program.multiply_adds += n_gates * n_hidden * x.n_samples
    return states


def attention(program: Program, x: View, layer: Any, y: View) -> View:
    """Write additive attention; queries with the bias, then keys, are one convolution."""
    projection = np.concatenate([parameter(layer.Wt).T, parameter(layer.Wx).T])[:, :, None]
    n_units = projection.shape[0] // 2
    require(n_units % 2 == 0, "units of the attention in pairs")
    projected = program.buffer(2 * n_units, x.n_samples)
    bias = np.concatenate([parameter(layer.bh), np.zeros(n_units)])
    convolve(program, x, projected, projection, bias)
    out, base = parameter(layer.Wa)[:, 0], float(parameter(layer.ba)[0])
    scratch = program.buffer(1, (2 * n_units + 1) * x.n_samples)
    width = layer.attention_width or 0
    numbers = np.concatenate([out, [out.sum() + base, base]])
    program.add("attention", x, y, projected, numbers, taps=n_units, flag=width, epsilon=layer.eps, scratch=scratch)
    return y
