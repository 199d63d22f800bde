"""
Layers as regression problems: rows of A and B that share their weights, all positions as samples.

A layer of real size has one problem with a sample per window and position instead of one problem per row. The
features are what the weights multiply, the targets are pre-activations; the bias is the intercept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from pickflow.implicit.activations import LstmStep
from pickflow.models.layers import Cell, UnsupportedLayerError, conv_padding, lstm_cells


@dataclass(frozen=True, eq=False)
class LayerProblem:
    """
    Regression for weights of a layer.

    Attributes
    ----------
    features : ndarray, shape (m, p)
        Samples are windows, and positions within each.
    targets : ndarray, shape (m, q)
    places : dict of str to ndarray of int, each of shape (p_of_it, q)
        For each parameter of the layer, in the order of the features: where in it, flattened, a coefficient stands.
    """

    features: np.ndarray
    targets: np.ndarray
    places: dict[str, np.ndarray]


def layer_samples(layer: Any, inputs: np.ndarray, targets: np.ndarray) -> list[LayerProblem]:
    """
    Problems of a layer: one; for grouped convolutions one per group, for transposed ones one per output phase.

    Parameters
    ----------
    layer : Conv1d, ConvTranspose1d, Linear, LSTM or CustomLSTM
        Its sizes are used; of an LSTM also its weights, for the states that go round.
    inputs : ndarray, shape (n_windows, n_in, n_samples); for Linear (..., n_in)
    targets : ndarray, shape (n_windows, n_out, n_made); for Linear (..., n_out)
        Pre-activations; for an LSTM those of `lstm_gates`.

    Raises
    ------
    UnsupportedLayerError
        If the layer is of another kind.
    ValueError
        If the targets do not fit.
    """
    if isinstance(layer, nn.Conv1d):
        return _conv(layer, inputs, targets)
    if isinstance(layer, nn.ConvTranspose1d):
        return _transposed(layer, inputs, targets)
    if isinstance(layer, nn.Linear):
        places = _all_places(layer.out_features, layer.in_features)
        return [LayerProblem(_flat(inputs), _flat(targets), {"weight": places})]
    if isinstance(layer, nn.LSTM) or hasattr(layer, "cell_f"):
        return _lstm(layer, inputs, targets)
    raise UnsupportedLayerError(f"{type(layer).__name__}: regression of Conv1d, ConvTranspose1d, Linear and LSTM only")


def weights_of(
    layer: Any, problems: Sequence[LayerProblem], coefficients: Sequence[np.ndarray]
) -> dict[str, np.ndarray]:
    """
    Parameters of a layer from the solutions of its problems.

    Parameters
    ----------
    layer : Module
    problems : sequence of LayerProblem
        All of `layer_samples`.
    coefficients : sequence of ndarray, shape (p, q) each

    Returns
    -------
    dict of str to ndarray
        By name, each of the parameter's shape.
    """
    weights: dict[str, np.ndarray] = {}
    for problem, solved in zip(problems, coefficients, strict=True):
        first = 0
        for name, places in problem.places.items():
            weight = weights.setdefault(name, np.zeros(tuple(layer.get_parameter(name).shape)))
            weight.flat[places] = solved[first : first + len(places)]
            first += len(places)
    return weights


def im2col(inputs: np.ndarray, n_taps: int, *, padding: tuple[int, int], stride: int, dilation: int) -> np.ndarray:
    """
    What the taps of a convolution see.

    Parameters
    ----------
    inputs : ndarray, shape (n_windows, n_channels, n_samples)
    n_taps : int
    padding : tuple of int
        Zeros before and after.
    stride, dilation : int

    Returns
    -------
    ndarray, shape (n_windows, n_made, n_channels, n_taps)
    """
    padded = np.pad(inputs, ((0, 0), (0, 0), padding))
    reach = dilation * (n_taps - 1) + 1
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=-1)
    return views[:, :, ::stride, ::dilation].transpose(0, 2, 1, 3)


def lstm_gates(layer: Any, inputs: np.ndarray) -> np.ndarray:
    """
    Pre-activations of the gates of an LSTM.

    Parameters
    ----------
    layer : LSTM or CustomLSTM
        Of one layer, with bias.
    inputs : ndarray, shape (n_windows, n_in, n_samples)

    Returns
    -------
    ndarray, shape (n_windows, n_directions * 4 * n_hidden, n_samples)
        Gates i, f, g, o of the forward direction, then of the backward one.
    """
    runs = [_run(cell, inputs) for cell in lstm_cells(layer)]
    return np.concatenate([gates for gates, _ in runs], axis=1)


def _conv(layer: nn.Conv1d, inputs: np.ndarray, targets: np.ndarray) -> list[LayerProblem]:
    columns = im2col(
        inputs,
        layer.kernel_size[0],
        padding=conv_padding(layer),
        stride=layer.stride[0],
        dilation=layer.dilation[0],
    )
    _require_targets(layer, targets, (len(inputs), layer.out_channels, columns.shape[1]))
    n_in, n_out = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    places = _all_places(layer.out_channels, n_in * layer.kernel_size[0])
    problems = []
    for group in range(layer.groups):
        ins, outs = slice(group * n_in, (group + 1) * n_in), slice(group * n_out, (group + 1) * n_out)
        features = columns[:, :, ins].reshape(-1, n_in * layer.kernel_size[0])
        problems.append(LayerProblem(features, _samples(targets[:, outs]), {"weight": places[:, outs]}))
    return problems


def _transposed(layer: nn.ConvTranspose1d, inputs: np.ndarray, targets: np.ndarray) -> list[LayerProblem]:
    if (layer.groups, layer.dilation[0]) != (1, 1):
        raise UnsupportedLayerError("ConvTranspose1d: regression without groups and dilation only")
    n_in, n_out, n_taps = layer.weight.shape
    stride, padding, n_samples = layer.stride[0], int(layer.padding[0]), inputs.shape[2]
    n_made = (n_samples - 1) * stride - 2 * padding + n_taps + layer.output_padding[0]
    _require_targets(layer, targets, (len(inputs), n_out, n_made))
    flat = np.arange(n_in * n_out * n_taps).reshape(n_in, n_out, n_taps)
    problems = []
    for phase in range(min(stride, n_made)):
        first, tap = divmod(phase + padding, stride)
        taps = np.arange(tap, n_taps, stride)
        outputs = np.arange(phase, n_made, stride)
        # Output phase + stride m takes tap + stride j from input first + m − j.
        samples = first + np.arange(len(outputs))[:, None] - np.arange(len(taps))
        inside = (samples >= 0) & (samples < n_samples)
        tap_inputs = np.where(inside, inputs[:, :, np.clip(samples, 0, n_samples - 1)], 0.0)
        features = tap_inputs.transpose(0, 2, 1, 3).reshape(len(inputs) * len(outputs), -1)
        places = flat[:, :, taps].transpose(0, 2, 1).reshape(-1, n_out)
        problems.append(LayerProblem(features, _samples(targets[:, :, outputs]), {"weight": places}))
    return problems


def _lstm(layer: Any, inputs: np.ndarray, targets: np.ndarray) -> list[LayerProblem]:
    cells = lstm_cells(layer)
    n_gates = sum(len(cell.bias) for cell in cells)
    _require_targets(layer, targets, (len(inputs), n_gates, inputs.shape[2]))
    problems, first = [], 0
    for cell in cells:
        _, before = _run(cell, inputs)
        features = _samples(np.concatenate([inputs, before], axis=1))
        gates = _samples(targets[:, first : first + len(cell.bias)])
        first += len(cell.bias)
        of_input, of_state = cell.names[:2]
        places = {of_input: _all_places(*cell.of_input.shape), of_state: _all_places(*cell.of_state.shape)}
        problems.append(LayerProblem(features, gates, places))
    return problems


def _run(cell: Cell, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gates and the outputs one step before, shape (n_windows, ·, n_samples), of one direction."""
    n_windows, _, n_samples = inputs.shape
    step_of = LstmStep(cell.n_hidden, cell.gate)
    states = np.zeros((2 * cell.n_hidden, n_windows))
    gates = np.zeros((n_windows, 4 * cell.n_hidden, n_samples))
    before = np.zeros((n_windows, cell.n_hidden, n_samples))
    for step in range(n_samples)[:: -1 if cell.backward else 1]:
        hidden, memory = np.split(states, 2)
        before[:, :, step] = hidden.T
        z = cell.of_input @ inputs[:, :, step].T + cell.of_state @ hidden + cell.bias[:, None]
        gates[:, :, step] = z.T
        states = step_of(np.concatenate([z, memory]))
    return gates, before


def _all_places(n_out: int, n_in: int) -> np.ndarray:
    """Places of the coefficients of a weight whose first axis is the outputs, shape (n_in, n_out)."""
    return np.arange(n_out * n_in).reshape(n_out, n_in).T


def _samples(values: np.ndarray) -> np.ndarray:
    """From (n_windows, n_channels, n_samples) to (n_windows * n_samples, n_channels)."""
    return values.transpose(0, 2, 1).reshape(-1, values.shape[1])


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, values.shape[-1])


def _require_targets(layer: Any, targets: np.ndarray, shape: tuple[int, ...]) -> None:
    if targets.shape != shape:
        raise ValueError(f"{type(layer).__name__}: targets of shape {targets.shape}; these inputs make {shape}")
