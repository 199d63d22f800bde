"""
What a network does with a window, step by step: costs, pruning and kernels are derived from this one description.

The graph is recorded while a model computes, so that it holds what its ``forward`` does for windows of that length,
with every loop and condition resolved. Layers are known by their class, the rest by the functions of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# Layers of SeisBench that are one step, though they are made of others.
_WHOLE = ("CustomLSTM", "SeqSelfAttention", "LayerNormalization", "SpatialDropout1d")
# Layers and functions under one name.
_KINDS = {
    "CustomLSTM": "LSTM",
    "ReLU": "relu",
    "relu_": "relu",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "MaxPool1d": "max_pool1d",
    "Upsample": "interpolate",
    "concat": "cat",
    "concatenate": "cat",
    "__add__": "add",
    "__radd__": "add",
    "add_": "add",
    "__getitem__": "crop",
}
LOWEST = -1e9  # padding below it never is the largest of a group
# Axes of a tensor: n windows, c channels, t samples. What reads them otherwise is no step that anybody can express.
RECURRENT_KINDS = ("LSTM", "GRU")
_AXES = {"Linear": "ntc", **dict.fromkeys(RECURRENT_KINDS, "tnc")}
_ELEMENTWISE = ("relu", "sigmoid", "add")


# What the ``forward`` of a network raises at windows that it was not made for.
_UNFIT = (AssertionError, LookupError, RuntimeError, TypeError, ValueError)


class RecordingError(ValueError):
    """A network does not compute windows of the length that it was to be recorded with."""


@dataclass(eq=False, kw_only=True)
class Node:
    """
    One step.

    Attributes
    ----------
    kind : str
        Class of a layer (``Conv1d``), or a function: ``input``, ``relu``, ``sigmoid``, ``softmax``, ``add``, ``cat``
        (of channels), ``pad``, ``crop``, ``interpolate``, ``max_pool1d``. Steps that only turn axes are left out. Other
        kinds are functions, or uses of these, from which nobody derives anything.
    inputs, readers : list of Node
        Where its input comes from, and who reads its output.
    n_channels, n_samples : int
        Of its output.
    name, layer : str, Module or None
        Of a layer, its name in the model and the layer itself.
    settings : dict
        Arguments of a function: ``left``, ``right`` and ``value`` of ``pad``, ``left`` of ``crop``, ``scale`` of
        ``interpolate``, ``size`` of ``max_pool1d``.
    """

    kind: str
    inputs: list[Node]
    n_channels: int
    n_samples: int
    name: str = ""
    layer: Any = None
    settings: dict[str, Any] = field(default_factory=dict)
    readers: list[Node] = field(default_factory=list)

    def __str__(self) -> str:
        return f"layer {self.name} ({self.kind})" if self.name else self.kind


class Graph(NamedTuple):
    """Steps of a network in the order of computation, the input first; outputs: one for all labels, or one for each."""

    nodes: list[Node]
    outputs: list[Node]

    def layers(self) -> Iterator[Node]:
        """Nodes that are layers with weights; a layer that is applied several times comes as often."""
        return (node for node in self.nodes if node.layer is not None)


@torch.inference_mode()
def trace(model: nn.Module, n_samples: int | None = None) -> Graph:
    """
    Record a picker.

    Parameters
    ----------
    model : WaveformModel
        As it computes in evaluation mode; it is left in its own.
    n_samples : int or None
        Of a window; the model's own unless given.

    Raises
    ------
    RecordingError
        If the model does not compute such a window.
    """
    n_channels = getattr(model, "in_channels", None) or len(model.component_order)  # type: ignore[arg-type]
    window = torch.zeros(1, n_channels, n_samples or model.in_samples)  # type: ignore[arg-type]
    recorder = _Recorder(window)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with recorder.watching(model), recorder:
            output = model(window)
    except _UNFIT as error:
        name, cause = type(model).__name__, type(error).__name__
        raise RecordingError(f"{name} does not fit {window.shape[2]} samples ({cause}: {error})") from error
    finally:
        for module, training in modes:
            module.training = training
    outputs = [recorder.node_of(tensor) for tensor in (output if isinstance(output, tuple | list) else [output])]
    for node in recorder.nodes:
        for source in node.inputs:
            source.readers.append(node)
    return Graph(nodes=recorder.nodes, outputs=outputs)


class _Recorder(TorchFunctionMode):
    """Keeps what happens to a window in layers and in functions between them."""

    def __init__(self, window: Tensor):
        super().__init__()
        first = Node(kind="input", inputs=[], n_channels=window.shape[1], n_samples=window.shape[2])
        self.nodes = [first]
        # Tensors are kept, so that no two have the same id.
        self._origins: dict[int, tuple[Node, str, Tensor]] = {id(window): (first, "nct", window)}
        self._depth = 0

    def node_of(self, tensor: Tensor) -> Node:
        """What made a tensor; a node of its own kind if nobody knows."""
        if id(tensor) not in self._origins:
            self._add("unknown", [], tensor)
        return self._origins[id(tensor)][0]

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Be told when a layer begins and ends."""
        handles = []
        for name, layer in model.named_modules():
            is_of_torch = type(layer).__module__.startswith("torch.nn") and not any(layer.children())
            if is_of_torch or type(layer).__name__ in _WHOLE:
                handles.append(layer.register_forward_pre_hook(self._entered))
                handles.append(layer.register_forward_hook(self._exit_hook(name)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _entered(self, *_: Any) -> None:
        self._depth += 1

    def _exit_hook(self, name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, tensors: tuple[Any, ...], output: Any) -> None:
            self._depth -= 1
            if self._depth == 0:
                self._layer(name, layer, list(tensors), output[0] if isinstance(output, tuple) else output)

        return hook

    def _layer(self, name: str, layer: nn.Module, tensors: list[Tensor], output: Tensor) -> None:
        kind = _KINDS.get(type(layer).__name__, type(layer).__name__)
        if "Dropout" in kind or kind == "Identity":
            self._add_view(tensors[0], output)
        elif any(True for _ in layer.parameters()) or any(True for _ in layer.buffers()):
            self._add(kind, tensors, output, name=name, layer=layer)
        else:
            self._function(kind, tensors, vars(layer), output)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "unnamed").lower()
        if self._depth == 0:
            arguments = {**dict(enumerate(args)), **(kwargs or {})}
            tensors = [x for argument in arguments.values() for x in _tensors(argument)]
            for result in tensors[:1] if name == "__setitem__" else _tensors(output):
                self._function(_KINDS.get(name, name), tensors, arguments, result)
        return output

    def _function(self, kind: str, tensors: list[Tensor], arguments: dict[Any, Any], output: Tensor) -> None:
        axes = self._origins[id(tensors[0])][1] if tensors and id(tensors[0]) in self._origins else ""
        if kind in ("permute", "transpose", "squeeze", "unsqueeze", "dropout") and axes:
            self._add_view(tensors[0], output, _turned(kind, axes, arguments))
            return
        settings = _settings(kind, axes, tensors, arguments)
        kind = kind if settings is not None else f"{kind} of other arguments"
        layer = arguments[0] if isinstance(arguments.get(0), nn.Module) else None
        self._add(kind, tensors, output, settings=settings or {}, layer=layer)

    def _add_view(self, source: Tensor, output: Tensor, axes: str | None = None) -> None:
        """A tensor that is another one in other axes."""
        if id(source) in self._origins:
            node, before, _ = self._origins[id(source)]
            self._origins[id(output)] = (node, before if axes is None else axes, output)

    def _add(self, kind: str, tensors: list[Tensor], output: Tensor, **fields: Any) -> None:
        sources = [self._origins.get(id(tensor)) for tensor in tensors]
        inputs = [source[0] for source in sources if source]
        axes = sources[0][1] if kind in _ELEMENTWISE and sources and sources[0] else _AXES.get(kind, "nct")
        readable = [source for source in sources if source and source[1] == axes]
        if len(readable) < len(sources) or output.ndim != 3:
            kind = f"{kind} of other arguments"
        sizes = dict(zip(axes, output.shape, strict=False))
        sizes = {name: size for name, size in sizes.items() if name in "ct"}
        node = Node(kind=kind, inputs=inputs, n_channels=sizes.get("c", 0), n_samples=sizes.get("t", 0), **fields)
        self.nodes.append(node)
        self._origins[id(output)] = (node, axes, output)


def _tensors(value: Any) -> list[Tensor]:
    return [x for x in (value if isinstance(value, tuple | list) else [value]) if isinstance(x, Tensor)]


def _turned(kind: str, axes: str, arguments: dict[Any, Any]) -> str:
    """Axes of a tensor after a permutation, or without an axis of length one; ``?`` if that is not plain."""
    positional = [arguments[index] for index in range(1, len(arguments)) if index in arguments]
    if kind == "permute":
        order = arguments.get("dims") or (positional[0] if isinstance(positional[0], tuple | list) else positional)
        return "".join(axes[index] for index in order)
    if kind == "transpose" and len(positional) == 2:
        names = list(axes)
        names[positional[0]], names[positional[1]] = axes[positional[1]], axes[positional[0]]
        return "".join(names)
    if kind == "squeeze" and isinstance(axis := arguments.get("dim", arguments.get(1)), int):
        return "".join(name for index, name in enumerate(axes) if index != axis % len(axes))
    return axes if kind == "dropout" else "?"


def _settings(kind: str, axes: str, tensors: list[Tensor], arguments: dict[Any, Any]) -> dict[str, Any] | None:
    """What a function depends on; None if it does not do what its kind stands for."""

    def values(*names: str) -> list[Any]:
        return [arguments.get(name, arguments.get(index)) for index, name in enumerate(names, 1)]

    settings: dict[str, Any] = {}
    usual = axes == "nct"
    if kind == "add":
        usual = len(tensors) == 2 and tensors[0].shape == tensors[1].shape and arguments.get("alpha", 1) == 1
    elif kind in ("cat", "softmax"):
        usual &= values("dim")[0] in (1, -2)
    elif kind == "pad":
        around, mode, value = values("pad", "mode", "value")
        usual &= mode in (None, "constant") and len(around) == 2 and min(around) >= 0
        settings = {"left": around[0], "right": around[-1], "value": value or 0.0}
    elif kind == "crop":
        *leading, last = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
        whole = (leading == [Ellipsis]) or leading == [slice(None)] * 2
        usual &= whole and isinstance(last, slice) and last.step in (None, 1) and (last.start or 0) >= 0
        settings = {"left": last.start or 0} if usual else {}
    elif kind == "interpolate":
        size, scale, mode = values("size", "scale_factor", "mode")
        usual &= size is None and mode in (None, "nearest") and float(scale or 0.5).is_integer()
        settings = {"scale": int(scale or 0)}
    elif kind == "max_pool1d":
        size, stride, padding, dilation, ceil = values("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        usual &= (stride or size, padding or 0, dilation or 1, ceil or False) == (size, 0, 1, False)
        settings = {"size": size}
    return settings if usual or kind in ("relu", "sigmoid", "prepare") else None
