"""Layers that write and read each set of channels of an architecture, for making it narrower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from pickflow.models.graph import RECURRENT_KINDS, Graph, Node, trace
from pickflow.models.layers import input_axes, is_depthwise, output_axes
from pickflow.models.registry import compressible, compressible_classes


class UnknownArchitectureError(ValueError):
    """A model with layers that the stage `compress` does not support."""


@dataclass(frozen=True, kw_only=True)
class ChannelSet:
    """
    Channels that are kept or removed together: the outputs of some layers, summed along residual connections.

    Parameters
    ----------
    name : str
        The layer that writes them first.
    n_channels : int
        Their number.
    writers : tuple of str
        Names of the layers whose output channels they are.
    carriers : tuple of str
        Layers that treat each channel alone: normalisations, depthwise convolutions.
    readers : tuple of (str, int)
        Layers that mix them, with the position of the first of them among the layer's input channels. A channel can be
        removed if no reader needs it.
    """

    name: str
    n_channels: int
    writers: tuple[str, ...]
    carriers: tuple[str, ...]
    readers: tuple[tuple[str, int], ...]


@dataclass(kw_only=True)
class Wiring:
    """
    All channel sets of a model.

    Parameters
    ----------
    sets : list of ChannelSet
        In the order of computation.
    norms : dict of str to str
        The normalisation that follows a layer at once, if one does.
    """

    sets: list[ChannelSet] = field(default_factory=list)
    norms: dict[str, str] = field(default_factory=dict)

    def components(self) -> list[list[ChannelSet]]:
        """Sets that share readers (concatenations), together; in the order of their first members."""
        groups: list[list[ChannelSet]] = []
        for channel_set in self.sets:
            names = {name for name, _ in channel_set.readers}
            groups_linked = [
                group for group in groups if any(names & {n for n, _ in member.readers} for member in group)
            ]
            members = [member for group in groups_linked for member in group] + [channel_set]
            position = groups.index(groups_linked[0]) if groups_linked else len(groups)
            groups = [group for group in groups if group not in groups_linked]
            groups.insert(position, members)
        return groups

    def readers(self) -> list[str]:
        """Names of all layers that read a set, once each."""
        return list(dict.fromkeys(name for channel_set in self.sets for name, _ in channel_set.readers))


def wiring_of(model: nn.Module) -> Wiring:
    """
    Channel sets of a picker, from its recorded graph.

    Parameters
    ----------
    model : Module
        One that the registry calls compressible, in evaluation mode.

    Raises
    ------
    UnknownArchitectureError
        If it is not compressible.
    """
    name = type(model).__name__
    if name not in compressible_classes():
        raise UnknownArchitectureError(
            f"{name} cannot be compressed: it is not in pickflow.models.registry as compressible;"
            f" these are {', '.join(compressible())}"
        )
    return _Tracking(trace(model)).wiring()


@dataclass(eq=False, kw_only=True)
class _Channels:
    """Channels with the layers that wrote, carried and read them so far."""

    n_channels: int
    whole: bool = False  # they cannot be reduced
    states: bool = False  # of a recurrence
    writers: list[str] = field(default_factory=list)
    norms: dict[str, str] = field(default_factory=dict)
    carriers: list[str] = field(default_factory=list)
    readers: list[tuple[str, int]] = field(default_factory=list)

    def absorb(self, part: _Channels) -> None:
        """Merge with other channels, which are then kept or removed together."""
        self.whole |= part.whole
        self.states |= part.states
        self.writers += part.writers
        self.norms |= part.norms
        self.carriers += part.carriers
        self.readers += part.readers

    def channel_set(self) -> ChannelSet:
        """The set; layers with a residual connection come first among the readers and last among the writers."""
        inputs_of = {name for name, _ in self.readers}
        writers = sorted(self.writers, key=lambda name: name in inputs_of)
        norms = [self.norms[name] for name in writers if name in self.norms]
        return ChannelSet(
            name=writers[0],
            n_channels=self.n_channels,
            writers=tuple(writers),
            carriers=(*norms, *self.carriers),
            readers=tuple(sorted(self.readers, key=lambda reader: reader[0] not in self.writers)),
        )


class _Tracking:
    """Tracks channels through a graph; the output of a node is one set of channels or several, concatenated."""

    def __init__(self, graph: Graph):
        self._parts: dict[Node, list[_Channels]] = {}
        self._all: list[_Channels] = []
        names = [node.name for node in graph.layers()]
        self._repeated = {name for name in names if names.count(name) > 1}
        for node in graph.nodes:
            self._parts[node] = self._step(node, [self._parts[source] for source in node.inputs])
        for node in graph.outputs:
            self._keep_whole(self._parts[node])

    def wiring(self) -> Wiring:
        """Sets that can be made narrower."""
        self._keep_partners_of_whole()
        sets = [part for part in self._all if part.writers and part.readers and not part.whole]
        norms = {name: norm for part in sets for name, norm in part.norms.items()}
        return Wiring(sets=[part.channel_set() for part in sets], norms=norms)

    def _keep_partners_of_whole(self) -> None:
        """Mark channels as whole if a layer reads them together with whole ones, and repeat for their other readers."""
        readers = {name for part in self._all for name, _ in part.readers}
        read_together = [[part for part in self._all if name in dict(part.readers)] for name in readers]
        while groups := [channels for channels in read_together if len({part.whole for part in channels}) > 1]:
            for channels in groups:
                self._keep_whole(channels)

    def _step(self, node: Node, inputs: list[list[_Channels]]) -> list[_Channels]:
        if node.kind in ("Conv1d", "ConvTranspose1d", "Linear", *RECURRENT_KINDS) and not is_depthwise(node.layer):
            return [self._mixture(node, inputs[0])]
        if node.kind in ("Conv1d", "BatchNorm1d") and len(inputs[0]) == 1 and node.name not in self._repeated:
            self._carried(node, inputs[0][0])
            return inputs[0]
        if node.kind in ("relu", "sigmoid", "pad", "crop", "interpolate", "max_pool1d"):
            return inputs[0]
        if node.kind == "cat":
            return [part for group in inputs for part in group]
        if node.kind == "add" and [part.n_channels for part in inputs[0]] == [part.n_channels for part in inputs[1]]:
            for first, second in zip(*inputs, strict=True):
                self._unite(first, second)
            return self._parts[node.inputs[0]]
        for group in inputs:
            self._keep_whole(group)
        return [self._new(node.n_channels, whole=True)]

    def _mixture(self, node: Node, inputs: list[_Channels]) -> _Channels:
        """Channels that a layer writes as a mixture of all that it reads."""
        first, recurrent = 0, node.kind in RECURRENT_KINDS
        for part in inputs:
            part.readers.append((node.name, first))
            first += part.n_channels
        if node.name in self._repeated or (not recurrent and getattr(node.layer, "groups", 1) > 1):
            self._keep_whole(inputs)
            return self._new(node.n_channels, whole=True)
        # Channels derived from the states of a recurrence are kept, as the states are.
        channels = self._new(node.n_channels, whole=recurrent or any(part.states for part in inputs))
        channels.states = recurrent
        channels.writers.append(node.name)
        return channels

    def _carried(self, node: Node, channels: _Channels) -> None:
        source = node.inputs[0]
        if node.kind == "BatchNorm1d" and source.name in channels.writers and source.readers == [node]:
            channels.norms[source.name] = node.name
        else:
            channels.carriers.append(node.name)

    def _unite(self, first: _Channels, second: _Channels) -> None:
        if first is second:
            return
        first.absorb(second)
        self._all.remove(second)
        for group in self._parts.values():
            group[:] = [first if part is second else part for part in group]

    def _new(self, n_channels: int, whole: bool) -> _Channels:
        self._all.append(_Channels(n_channels=n_channels, whole=whole))
        return self._all[-1]

    def _keep_whole(self, channels: list[_Channels]) -> None:
        for part in channels:
            part.whole = True


def narrowed_state(model: nn.Module, wiring: Wiring, selection: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """
    State dict without the removed channels.

    Parameters
    ----------
    model : Module
        The teacher.
    wiring : Wiring
        Of it.
    selection : mapping of str to ndarray of int
        Channels that stay, by the name of the set; sets that are not named stay whole.

    Returns
    -------
    dict of str to Tensor
        For `pickflow.models.narrowing.resize_to`.
    """
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    columns: dict[str, list[tuple[int, int, np.ndarray]]] = {}  # reader: first channel, number, kept ones
    for channel_set in wiring.sets:
        keep = selection.get(channel_set.name, np.arange(channel_set.n_channels))
        for name in (*channel_set.writers, *channel_set.carriers):
            layer = model.get_submodule(name)
            for key, axis in output_axes(layer):
                state[f"{name}.{key}"] = _take(state[f"{name}.{key}"], keep, axis)
        for name, first in channel_set.readers:
            columns.setdefault(name, []).append((first, channel_set.n_channels, keep))
    for name, parts in columns.items():
        ordered = sorted(parts, key=lambda part: part[0])
        keep = np.concatenate([first + columns_kept for first, _, columns_kept in ordered])
        for key, axis in input_axes(model.get_submodule(name)):
            state[f"{name}.{key}"] = _take(state[f"{name}.{key}"], keep, axis)
    return state


def _take(tensor: Tensor, keep: np.ndarray, axis: int) -> Tensor:
    return tensor.index_select(axis, torch.from_numpy(np.asarray(keep, dtype=np.int64)))
