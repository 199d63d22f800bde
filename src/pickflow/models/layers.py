"""What layers of torch and SeisBench hold: the axes of their weights, and their numbers as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn


class UnsupportedLayerError(ValueError):
    """A layer has a form that neither SeisBench's models nor pickflow know."""


class Axes(NamedTuple):
    """Axis of a layer's input and output channels, by parameter; and the attributes that repeat their numbers."""

    inputs: Mapping[str, int] = {}
    outputs: Mapping[str, int] = {}
    n_inputs: str = ""
    n_outputs: str = ""


_CELL = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
AXES = {
    "Conv1d": Axes({"weight": 1}, {"weight": 0, "bias": 0}, "in_channels", "out_channels"),
    "ConvTranspose1d": Axes({"weight": 0}, {"weight": 1, "bias": 0}, "in_channels", "out_channels"),
    "Linear": Axes({"weight": 1}, {"weight": 0, "bias": 0}, "in_features", "out_features"),
    "BatchNorm1d": Axes({}, {"running_mean": 0, "running_var": 0, "weight": 0, "bias": 0}, "", "num_features"),
    "LSTM": Axes({"weight_ih_l0": 1, "weight_ih_l0_reverse": 1}, {}, "input_size"),
    "GRU": Axes({"weight_ih_l0": 1, "weight_ih_l0_reverse": 1}, {}, "input_size"),
    "ActivationLSTMCell": Axes({"weight_ih": 1}, {}, "input_size"),
    "CustomLSTM": Axes({"cell_f.weight_ih": 1, "cell_b.weight_ih": 1}),
}


def input_axes(layer: nn.Module) -> list[tuple[str, int]]:
    """Parameters of a layer whose axis is its input channels, and which axis that is."""
    return _present(layer, AXES[type(layer).__name__].inputs)


def output_axes(layer: nn.Module) -> list[tuple[str, int]]:
    """The same of the output channels, with the statistics of a normalisation."""
    return _present(layer, AXES[type(layer).__name__].outputs)


def _present(layer: nn.Module, axes: Mapping[str, int]) -> list[tuple[str, int]]:
    state = layer.state_dict()
    return [(name, axis) for name, axis in axes.items() if name in state]


def n_inputs(layer: nn.Module) -> int:
    """Number of input channels of a layer."""
    name, axis = input_axes(layer)[0]
    return layer.state_dict()[name].shape[axis] * (layer.groups if isinstance(layer, nn.Conv1d) else 1)


def n_outputs(layer: nn.Module) -> int:
    """Number of output channels of a layer."""
    name, axis = output_axes(layer)[0]
    return layer.state_dict()[name].shape[axis]


def is_depthwise(layer: nn.Module) -> bool:
    """Whether a layer is a convolution with one filter for each channel."""
    return isinstance(layer, nn.Conv1d) and layer.groups == layer.in_channels == layer.out_channels > 1


def is_plain(layer: nn.Module) -> bool:
    """Whether a layer is a convolution of stride 1, without dilation, padded with zeros."""
    usual = ((1,), (1,), "zeros")
    return isinstance(layer, nn.Conv1d) and (layer.stride, layer.dilation, layer.padding_mode) == usual


def parameter(tensor: Any) -> np.ndarray:
    """A parameter of torch as float64."""
    return np.asarray(tensor.detach().cpu().double().numpy())


def norm_terms(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift per channel of a batch normalisation with its running statistics."""
    deviation = np.sqrt(parameter(layer.running_var) + layer.eps)
    scale = parameter(layer.weight) / deviation if layer.affine else 1 / deviation
    shift = (parameter(layer.bias) if layer.affine else 0.0) - parameter(layer.running_mean) * scale
    return scale, shift


def conv_padding(layer: Any) -> tuple[int, int]:
    """Zeros that a Conv1d of torch puts before and after its input."""
    if layer.padding == "same":
        reach = layer.dilation[0] * (layer.kernel_size[0] - 1)
        # torch puts the odd zero at the end.
        return reach // 2, reach - reach // 2
    return (0, 0) if layer.padding == "valid" else (int(layer.padding[0]),) * 2


class Cell:
    """
    One direction of a recurrent layer; gates are in torch's order.

    Attributes
    ----------
    names : list of str
        Parameters of the layer: weights of the input and of the state, their biases.
    kind : {"lstm", "gru"}
    of_input : ndarray, shape (n_gates * n_hidden, n_in)
        An LSTM has four gates, a GRU three.
    of_state : ndarray, shape (n_gates * n_hidden, n_hidden)
    bias : ndarray, shape (n_gates * n_hidden,)
        Of input and state together, without `reset_bias`.
    reset_bias : ndarray or None, shape (n_hidden,)
        Of a GRU: what the reset gate multiplies together with the state's share of the new state.
    gate : {"sigmoid", "hard_sigmoid"}
    backward : bool
        Whether it starts from the last sample.
    """

    def __init__(self, layer: nn.Module, names: list[str], gate: str, backward: bool):
        self.names = names
        self.of_input, self.of_state, first, second = (parameter(layer.get_parameter(name)) for name in names)
        self.kind = "gru" if isinstance(layer, nn.GRU) else "lstm"
        self.reset_bias = second[-self.n_hidden :].copy() if self.kind == "gru" else None
        if self.kind == "gru":
            second[-self.n_hidden :] = 0.0
        self.bias = first + second
        self.gate = gate
        self.backward = backward

    @property
    def n_hidden(self) -> int:
        """Outputs of this direction."""
        return self.of_state.shape[1]


def is_recurrent(layer: nn.Module) -> bool:
    """Whether a layer is an LSTM or GRU, of torch or of SeisBench: it wants time before windows."""
    return isinstance(layer, nn.LSTM | nn.GRU) or hasattr(layer, "cell_f")


def recurrent_cells(layer: Any, name: str = "") -> list[Cell]:
    """
    Directions of torch's LSTM or GRU, or of SeisBench's ``CustomLSTM`` of ``ActivationLSTMCell``.

    Raises
    ------
    UnsupportedLayerError
        If the layer has another form.
    """
    name = name or type(layer).__name__
    if hasattr(layer, "cell_f"):
        parts = ["cell_f", "cell_b"][: 1 + layer.bidirectional]
        gates = [getattr(getattr(layer, part).gate_activation, "__name__", "unnamed") for part in parts]
        names = [[f"{part}.{weight}" for weight in _CELL] for part in parts]
    else:
        if (layer.num_layers, layer.bias, layer.proj_size) != (1, True, 0):
            raise UnsupportedLayerError(
                f"layer {name} ({type(layer).__name__}) is not known: only those of one layer, with bias, without "
                "projection are"
            )
        suffixes = ["_l0", "_l0_reverse"][: 1 + layer.bidirectional]
        gates = ["sigmoid"] * len(suffixes)
        names = [[weight + suffix for weight in _CELL] for suffix in suffixes]
    if unknown := set(gates) - {"sigmoid", "hard_sigmoid"}:
        raise UnsupportedLayerError(f"layer {name} is not known: gates of {unknown.pop()}")
    return [Cell(layer, names[index], gates[index], backward=index == 1) for index in range(len(gates))]


def lstm_cells(layer: Any, name: str = "") -> list[Cell]:
    """
    The same of an LSTM alone.

    Raises
    ------
    UnsupportedLayerError
        If the layer has another form.
    """
    if isinstance(layer, nn.GRU):
        raise UnsupportedLayerError(f"layer {name or type(layer).__name__} (GRU) is not known: only LSTMs are")
    return recurrent_cells(layer, name)


def input_gates(layer: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Weights of the input and their bias, for each direction of a recurrent layer, as torch has them."""
    return [(layer.get_parameter(cell.names[0]), layer.get_parameter(cell.names[2])) for cell in recurrent_cells(layer)]
