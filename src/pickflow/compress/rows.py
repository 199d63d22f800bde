"""
The rows of a layer as regressions on its inputs: features, targets and weights.

A layer's weights are shared by all positions, so the rows of the implicit model that belong to one output channel are
one lasso: its features are the inputs under the kernel (im2col), its samples are the positions of all windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pickflow.models.layers import conv_padding, input_gates, is_recurrent, n_inputs


class InexpressibleLayerError(ValueError):
    """A layer is not a regression on its inputs; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """
    Rows of a layer that share a design matrix.

    Parameters
    ----------
    name : str
        Of the layer.
    layer : Module
        The layer itself.
    taps : tuple of int
        Taps of the kernel, of which each input channel has one feature.
    phase : int
        Of a transposed convolution: output positions of this remainder modulo the stride.
    """

    name: str
    layer: nn.Module
    taps: tuple[int, ...]
    phase: int = 0

    @property
    def n_inputs(self) -> int:
        """Number of input channels."""
        return n_inputs(self.layer)

    @property
    def channel_of_feature(self) -> np.ndarray:
        """Input channel of each feature, shape (n_features,)."""
        return np.repeat(np.arange(self.n_inputs), len(self.taps))


def rows_of(name: str, layer: nn.Module) -> list[Rows]:
    """
    Regressions that a layer consists of: one, or one for each phase of a transposed convolution.

    Raises
    ------
    InexpressibleLayerError
        If the layer is of a kind that cannot be written so.
    """
    if isinstance(layer, nn.ConvTranspose1d):
        stride, n_taps = layer.stride[0], layer.kernel_size[0]
        if layer.dilation[0] != 1 or layer.groups != 1:
            raise InexpressibleLayerError(f"layer {name}: a transposed convolution with dilation or groups")
        return [
            Rows(name=name, layer=layer, taps=tuple(range(phase, n_taps, stride)), phase=phase)
            for phase in range(min(stride, n_taps))
        ]
    if isinstance(layer, nn.Conv1d):
        if layer.groups != 1:
            raise InexpressibleLayerError(f"layer {name}: a convolution with groups")
        return [Rows(name=name, layer=layer, taps=tuple(range(layer.kernel_size[0])))]
    if isinstance(layer, nn.Linear) or is_recurrent(layer):
        return [Rows(name=name, layer=layer, taps=(0,))]
    raise InexpressibleLayerError(f"layer {name}: {type(layer).__name__} is not a regression on its inputs")


def positions_of(rows: Rows, n_outputs: int) -> np.ndarray:
    """Output positions that belong to the rows, shape (n_positions,)."""
    if isinstance(rows.layer, nn.ConvTranspose1d):
        stride, padding = rows.layer.stride[0], int(rows.layer.padding[0])
        return np.arange((rows.phase - padding) % stride, n_outputs, stride)
    return np.arange(n_outputs)


def features(rows: Rows, inputs: Tensor, positions: np.ndarray) -> Tensor:
    """
    Design matrix at some positions.

    Parameters
    ----------
    rows : Rows
        Of a layer.
    inputs : Tensor
        Input of the layer: (n, channels, time) for convolutions, (n, time, channels) for a linear layer,
        (time, n, channels) for a recurrent one.
    positions : ndarray of int
        Output positions.

    Returns
    -------
    Tensor, shape (n * n_positions, n_features)
        Features of a channel stand together.
    """
    layer = rows.layer
    index = torch.from_numpy(positions)
    if isinstance(layer, nn.Linear):
        return inputs[:, index].flatten(0, 1)
    if isinstance(layer, nn.Conv1d):
        left, right = conv_padding(layer)
        padded = nn.functional.pad(inputs, (left, right))
        starts = index * layer.stride[0]
        columns = starts[:, None] + torch.tensor(rows.taps) * layer.dilation[0]
    elif isinstance(layer, nn.ConvTranspose1d):
        full = index + int(layer.padding[0])  # position in the output without cropping
        reach = len(rows.taps) - 1
        padded = nn.functional.pad(inputs, (reach, max(0, int(full[-1]) // layer.stride[0] - inputs.shape[-1] + 1)))
        columns = (full // layer.stride[0])[:, None] + reach - torch.arange(len(rows.taps))
    else:
        return inputs.transpose(0, 1)[:, index].flatten(0, 1)
    return padded[:, :, columns].transpose(1, 2).flatten(2).flatten(0, 1)


def targets(rows: Rows, inputs: Tensor, outputs: Tensor, positions: np.ndarray) -> Tensor:
    """
    Pre-activations of a layer at some positions, the targets of its rows.

    Parameters
    ----------
    rows : Rows
        Of a layer.
    inputs, outputs : Tensor
        Of the teacher; those of a recurrent layer are its gates' share of the input, so only the inputs count.
    positions : ndarray of int
        Output positions.

    Returns
    -------
    Tensor, shape (n * n_positions, n_rows)
    """
    index = torch.from_numpy(positions)
    if isinstance(rows.layer, nn.Conv1d | nn.ConvTranspose1d):
        return outputs[:, :, index].transpose(1, 2).flatten(0, 1)
    if isinstance(rows.layer, nn.Linear):
        return outputs[:, index].flatten(0, 1)
    weights = torch.cat([parameter for parameter, _ in input_gates(rows.layer)])
    bias = torch.cat([parameter for _, parameter in input_gates(rows.layer)])
    return (inputs.transpose(0, 1)[:, index] @ weights.T + bias).flatten(0, 1)


def weights(rows: Rows) -> np.ndarray:
    """Coefficients of the rows as the layer has them, float64, shape (n_features, n_rows)."""
    layer = rows.layer
    with torch.no_grad():
        if isinstance(layer, nn.ConvTranspose1d):
            matrix = layer.weight[:, :, list(rows.taps)].transpose(1, 2).flatten(0, 1)
        elif isinstance(layer, nn.Conv1d):
            matrix = layer.weight.flatten(1).T
        elif isinstance(layer, nn.Linear):
            matrix = layer.weight.T
        else:
            matrix = torch.cat([parameter for parameter, _ in input_gates(layer)]).T
        return matrix.double().numpy()


def set_weights(rows: Sequence[Rows], matrices: Sequence[np.ndarray], intercept: np.ndarray) -> np.ndarray:
    """
    Write coefficients into a layer.

    Parameters
    ----------
    rows : sequence of Rows
        All of one layer.
    matrices : sequence of ndarray, each of shape (n_features, n_rows)
        Their coefficients.
    intercept : ndarray, shape (n_rows,)
        One for the layer.

    Returns
    -------
    ndarray, shape (n_rows,)
        The part of the intercept for which the layer has no place; it has to go into a normalisation behind it.
    """
    layer = rows[0].layer
    with torch.no_grad():
        for group, matrix in zip(rows, matrices, strict=True):
            _write(group, torch.from_numpy(matrix))
        bias = torch.from_numpy(intercept)
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
            if layer.bias is None:
                return intercept
            layer.bias.copy_(bias)
        else:
            gates = input_gates(layer)
            for (_, parameter), part in zip(gates, bias.chunk(len(gates)), strict=True):
                parameter.copy_(part)
    return np.zeros_like(intercept)


def _write(rows: Rows, matrix: Tensor) -> None:
    layer, n_taps = rows.layer, len(rows.taps)
    if isinstance(layer, nn.ConvTranspose1d):
        layer.weight[:, :, list(rows.taps)] = matrix.reshape(layer.in_channels, n_taps, -1).transpose(1, 2).float()
    elif isinstance(layer, nn.Conv1d):
        layer.weight.copy_(matrix.T.reshape(layer.weight.shape))
    elif isinstance(layer, nn.Linear):
        layer.weight.copy_(matrix.T)
    else:
        gates = input_gates(layer)
        for (parameter, _), part in zip(gates, matrix.T.chunk(len(gates)), strict=True):
            parameter.copy_(part)
