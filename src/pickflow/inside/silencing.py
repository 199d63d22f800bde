"""Parts of a picker that can be silenced, and a forward pass without one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pickflow.inside.network import Network

Array32 = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Place:
    """
    Outputs of a module that become zero.

    Parameters
    ----------
    module : str
        Its name; empty for the window that the network takes.
    channels : tuple of int or None
        Which of them; None for all.
    """

    module: str
    channels: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """
    A part of a picker that can be silenced.

    Parameters
    ----------
    name : str
        Unique among the parts.
    kind : str
        ``component`` of the window, ``channels`` of a convolution, ``layer``, ``direction`` or ``states`` of a
        recurrence, ``attention``, ``block``.
    layer : str
        Name of the module that it belongs to; empty for a component.
    channels : tuple of int
        Those of the layer, where only some are silenced.
    zeros : tuple of Place
        What becomes zero.
    bypass : str
        Module whose output becomes its input; empty for none.
    columns : tuple of (str, tuple of int)
        Columns of weight matrices that become zero: nobody reads the states of these numbers.
    """

    name: str
    kind: str
    layer: str
    channels: tuple[int, ...] = ()
    zeros: tuple[Place, ...] = ()
    bypass: str = ""
    columns: tuple[tuple[str, tuple[int, ...]], ...] = ()


class Silencer:
    """
    Probabilities of a picker for some windows without one of its parts.

    A layer that reads what it always reads is not computed again: it gives what it gave with nothing silenced. So a
    part near the output costs little.

    Parameters
    ----------
    network : Network
        From `pickflow.inside.network.open_network`.
    inputs : Tensor, shape (n_windows, n_components, in_samples)
        From `Network.inputs`.

    Attributes
    ----------
    whole : ndarray, shape (n_windows, n_phases, in_samples)
        Probabilities with nothing silenced.
    """

    def __init__(self, network: Network, inputs: Tensor):
        self._network, self._inputs = network, inputs
        self._memory: dict[tuple[str, int], tuple[list[Tensor], Any]] = {}
        self._layers = {layer.name: network.model.get_submodule(layer.name) for layer in network.layers}
        phases = set(network.phases)
        # Layers of other labels alone: nobody asks what becomes of them.
        self._idle = {layer.name for layer in network.layers if not phases & set(layer.labels)}
        self._idle -= {layer.name for layer in network.layers if phases & set(layer.labels)}
        with self._remembering(frozenset()):
            self.whole = network.probabilities(inputs)
            repetition = network.probabilities(inputs)
        if not np.array_equal(self.whole, repetition):  # the network overwrites what its layers gave
            self._memory, self._layers = {}, {}

    def without(self, part: Part) -> Array32:
        """Probabilities without a part, shape (n_windows, n_phases, in_samples)."""
        inputs = self._inputs.clone()
        for place in part.zeros:
            if not place.module:
                _silence(inputs, place.channels, axis=1)
        model = self._network.model
        changed = frozenset([part.layer] if part.columns else [])
        with _hooks(model, part), _without_columns(model, part), self._remembering(changed):
            return self._network.probabilities(inputs)

    @contextmanager
    def _remembering(self, changed: frozenset[str]) -> Iterator[None]:
        """Layers give what they gave if they read what they read; but for those whose weights are changed."""
        uses: dict[str, int] = {}
        names = [name for name in self._layers if name not in changed]
        for name in names:
            self._layers[name].forward = self._remembered(name, self._layers[name].forward, uses)
        try:
            yield
        finally:
            for name in names:
                del self._layers[name].forward

    def _remembered(self, name: str, forward: Callable[..., Any], uses: dict[str, int]) -> Callable[..., Any]:
        def call(*inputs: Any, **options: Any) -> Any:
            use = uses[name] = uses.get(name, -1) + 1
            tensors = [value for value in (*inputs, *options.values()) if isinstance(value, Tensor)]
            if (name, use) not in self._memory:
                self._memory[name, use] = (tensors, forward(*inputs, **options))
            inputs_of_whole, output = self._memory[name, use]
            is_same = name in self._idle or all(map(_equal, inputs_of_whole, tensors))
            return output if is_same else forward(*inputs, **options)

        return call


def _equal(x: Tensor, y: Tensor) -> bool:
    return x is y or torch.equal(x, y)


@contextmanager
def _hooks(model: nn.Module, part: Part) -> Iterator[None]:
    handles = []
    for place in part.zeros:
        if place.module:
            module = model.get_submodule(place.module)
            handles.append(module.register_forward_hook(_zeroing(place.channels, channel_axis(module))))
    if part.bypass:
        handles.append(model.get_submodule(part.bypass).register_forward_hook(_passing))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def channel_axis(module: nn.Module) -> int:
    """Axis of the channels of a module's output."""
    last = isinstance(module, nn.RNNBase | nn.Linear | nn.MultiheadAttention) or hasattr(module, "cell_f")
    return 2 if last else 1


def _zeroing(channels: tuple[int, ...] | None, axis: int) -> Callable[..., Any]:
    def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
        tensor = (output[0] if isinstance(output, tuple) else output).clone()
        _silence(tensor, channels, axis)
        return (tensor, *output[1:]) if isinstance(output, tuple) else tensor

    return hook


def _passing(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    return (inputs[0], *output[1:]) if isinstance(output, tuple) else inputs[0]


def _silence(tensor: Tensor, channels: tuple[int, ...] | None, axis: int) -> None:
    index = torch.arange(tensor.shape[axis]) if channels is None else torch.tensor(channels)
    tensor.index_fill_(axis, index, 0.0)


@contextmanager
def _without_columns(model: nn.Module, part: Part) -> Iterator[None]:
    """Weights with zeros in some columns, which come back as they were."""
    copies = {name: model.get_parameter(name).detach().clone() for name, _ in part.columns}
    with torch.no_grad():
        for name, columns in part.columns:
            model.get_parameter(name).index_fill_(1, torch.tensor(columns), 0.0)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, weights in copies.items():
                model.get_parameter(name).copy_(weights)
