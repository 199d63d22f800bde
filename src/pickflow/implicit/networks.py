"""From a network of torch to an implicit model, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from pickflow.implicit.builder import Builder, Signal
from pickflow.implicit.model import ImplicitModel
from pickflow.implicit.recurrent import attention, feed_forward, layer_norm, lstm
from pickflow.models.graph import LOWEST, Graph, Node, trace
from pickflow.models.layers import UnsupportedLayerError


def from_network(model: nn.Module, n_samples: int) -> ImplicitModel:
    """
    Implicit model that equals a network, up to rounding, on windows of one length.

    The inputs are the windows that the network itself sees: normalised, and for PickflowNet after ``prepare``.

    Parameters
    ----------
    model : Module
        In evaluation mode: a picker whose recorded graph has steps that are known here, or an ``nn.Sequential`` of the
        layers that `sequential` knows.
    n_samples : int
        Of a window. States grow in proportion; keep it to some hundred.

    Raises
    ------
    UnsupportedLayerError
        With the name of a layer that cannot be expressed.
    ValueError
        If this length does not fit the network, or it is in training mode.
    """
    if model.training:
        raise ValueError(f"{type(model).__name__} is in training mode; call eval() on it first")
    names = {id(module): name for name, module in model.named_modules() if name}
    builder = Builder(_channels_of(model), n_samples, names)
    if isinstance(model, nn.Sequential):
        return builder.model(sequential(builder, builder.input, model))
    outputs = _Walk(builder, trace(model, n_samples)).outputs
    if outputs.n_samples != n_samples:
        raise ValueError(
            f"{type(model).__name__} makes {outputs.n_samples} samples of {n_samples}; choose a length that fits it"
        )
    return builder.model(outputs)


def _channels_of(model: nn.Module) -> int:
    """Components of a window: what the first convolution takes."""
    for layer in model.modules():
        if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
            return layer.in_channels
    raise ValueError(f"{type(model).__name__} has no convolution, so that nothing says how many components come in")


def sequential(builder: Builder, x: Signal, model: nn.Sequential) -> Signal:
    """
    Layers one after the other.

    Conv1d, ConvTranspose1d, BatchNorm1d, ReLU, Tanh, Sigmoid, Softmax over channels, MaxPool1d, Upsample (nearest),
    Identity, Dropout, Flatten, Linear (over the last axis, as in torch), SeisBench's SeqSelfAttention,
    LayerNormalization and FeedForward, and sequences of them.
    """
    for layer in model.children():
        if isinstance(layer, nn.Sequential):
            x = sequential(builder, x, layer)
            continue
        kind = next((kind for kind in type(layer).__mro__ if kind.__name__ in _LAYERS), None)
        if kind is None:
            builder.require(False, layer, f"known layers are {', '.join(_LAYERS)}")
        else:
            x = _LAYERS[kind.__name__](builder, x, layer)
    return x


def _upsample(builder: Builder, x: Signal, layer: Any) -> Signal:
    nearest = layer.mode == "nearest" and layer.scale_factor is not None and float(layer.scale_factor).is_integer()
    builder.require(nearest, layer, "only repetition by a whole factor is")
    return builder.upsample(builder.settle(x), int(layer.scale_factor))


def _softmax(builder: Builder, x: Signal, layer: Any) -> Signal:
    builder.require(layer.dim in (1, -2), layer, "only the softmax over channels is")
    return builder.softmax(x)


def _flatten(builder: Builder, x: Signal, layer: Any) -> Signal:
    builder.require((layer.start_dim, layer.end_dim) == (1, -1), layer, "only all channels and samples together are")
    return Signal(x.matrix, 1, x.n_channels * x.n_samples, x.name, x.kind)


def _linear(builder: Builder, x: Signal, layer: Any) -> Signal:
    builder.require(x.n_channels == 1, layer, "over the samples of several channels; flatten them first")
    turned = builder.linear(Signal(x.matrix, x.n_samples, 1, x.name, x.kind), layer)
    return Signal(turned.matrix, 1, turned.n_channels, turned.name, turned.kind)


_LAYERS: dict[str, Callable[[Builder, Signal, Any], Signal]] = {
    "Conv1d": Builder.conv,
    "ConvTranspose1d": Builder.transposed_conv,
    "BatchNorm1d": Builder.norm,
    "ReLU": lambda builder, x, layer: builder.activate(x, "relu"),
    "Tanh": lambda builder, x, layer: builder.activate(x, "tanh"),
    "Sigmoid": lambda builder, x, layer: builder.activate(x, "sigmoid"),
    "Softmax": _softmax,
    "MaxPool1d": Builder.max_pool,
    "Upsample": _upsample,
    "Identity": lambda builder, x, layer: x,
    "Dropout": lambda builder, x, layer: x,
    "Flatten": _flatten,
    "Linear": _linear,
    "SeqSelfAttention": attention,
    "LayerNormalization": layer_norm,
    "FeedForward": feed_forward,
}


class _Walk:
    """Signals of all steps of a graph; a rectifier waits for what cuts or pools its output: no state is idle."""

    def __init__(self, builder: Builder, graph: Graph):
        self._builder = builder
        self._signals: dict[Node, Signal] = {graph.nodes[0]: builder.input}
        self._waiting: set[Node] = set()
        for node in graph.nodes[1:]:
            self._signals[node] = self._step(node)
        signals = [self._read(node) for node in graph.outputs]
        self.outputs = signals[0] if len(signals) == 1 else builder.concatenate(signals)

    def _read(self, node: Node) -> Signal:
        if node in self._waiting:
            self._waiting.remove(node)
            self._signals[node] = self._builder.activate(self._signals[node], "relu")
        return self._signals[node]

    def _step(self, node: Node) -> Signal:
        if node.kind in ("crop", "pad", "max_pool1d"):
            return self._resampled(node, node.inputs[0])
        signals = [self._read(source) for source in node.inputs]
        if node.kind == "relu":
            self._waiting.add(node)
            return signals[0]
        if node.kind in _FUNCTIONS:
            return _FUNCTIONS[node.kind](self._builder, signals, node)
        if node.kind not in _LAYERS:
            raise UnsupportedLayerError(f"{node} cannot be expressed as an implicit model")
        return _LAYERS[node.kind](self._builder, signals[0], node.layer)

    def _resampled(self, node: Node, source: Node) -> Signal:
        waiting = source in self._waiting and len(source.readers) == 1
        signal = self._signals[source] if waiting else self._read(source)
        if node.kind == "max_pool1d":
            return self._builder.pool(signal, node.settings["size"], "relu" if waiting else "identity")
        if waiting:
            self._waiting.add(node)
        if node.kind == "crop":
            n_before = node.settings["left"]
            return self._builder.crop(signal, n_before, signal.n_samples - n_before - node.n_samples)
        value = node.settings["value"]
        pooled = [reader.kind for reader in node.readers] == ["max_pool1d"] and node.settings["left"] == 0
        if pooled and (value <= LOWEST or (value == 0.0 and waiting)):
            return signal  # the last group is short
        if value != 0.0:
            raise UnsupportedLayerError(f"{node} cannot be expressed as an implicit model: padding with {value}")
        return self._builder.pad(signal, node.settings["left"], node.settings["right"])


_FUNCTIONS: dict[str, Callable[[Builder, list[Signal], Node], Signal]] = {
    "add": lambda builder, x, node: builder.add(*x),
    "cat": lambda builder, x, node: builder.concatenate(x),
    "sigmoid": lambda builder, x, node: builder.activate(x[0], "sigmoid"),
    "softmax": lambda builder, x, node: builder.softmax(x[0]),
    "interpolate": lambda builder, x, node: builder.upsample(builder.settle(x[0]), node.settings["scale"]),
    "prepare": lambda builder, x, node: x[0],
    "Linear": lambda builder, x, node: builder.linear(x[0], node.layer),
    "LSTM": lambda builder, x, node: lstm(builder, x[0], node.layer),
}
