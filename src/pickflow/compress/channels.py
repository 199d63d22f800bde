"""Which layers write and read each set of channels of an architecture: what can be made narrower, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn


class UnknownArchitectureError(ValueError):
    """Nobody has written down who reads which channels of a model."""


@dataclass(frozen=True, kw_only=True)
class ChannelSet:
    """
    Channels that live and die together: the outputs of some layers, added up along residual connections.

    Parameters
    ----------
    name : str
        The layer that writes them first.
    n_channels : int
        How many there are.
    writers : tuple of str
        Names of the layers whose output channels they are.
    carriers : tuple of str
        Layers that treat each channel alone: normalisations, depthwise convolutions.
    readers : tuple of (str, int)
        Layers that mix them, with the position of the first of them among the layer's input channels. A channel can go
        if no reader wants it.
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
        found: list[list[ChannelSet]] = []
        for one in self.sets:
            names = {name for name, _ in one.readers}
            linked = [group for group in found if any(names & {n for n, _ in other.readers} for other in group)]
            merged = [other for group in linked for other in group] + [one]
            position = found.index(linked[0]) if linked else len(found)
            found = [group for group in found if group not in linked]
            found.insert(position, merged)
        return found

    def readers(self) -> list[str]:
        """Names of all layers that read a set, once each."""
        return list(dict.fromkeys(name for one in self.sets for name, _ in one.readers))


def wiring_of(model: nn.Module) -> Wiring:
    """
    Channel sets of a picker.

    Parameters
    ----------
    model : Module
        Of one of the architectures in `ARCHITECTURES`.

    Raises
    ------
    UnknownArchitectureError
        If it is of another.
    """
    name = type(model).__name__
    if name not in ARCHITECTURES:
        raise UnknownArchitectureError(
            f"{name} cannot be compressed: its channels are not described in pickflow.compress.channels;"
            f" described are {', '.join(ARCHITECTURES)}"
        )
    wiring = Wiring()
    for one, norms in ARCHITECTURES[name](model):
        wiring.sets.append(one)
        wiring.norms |= norms
    return wiring


Described = Iterator[tuple[ChannelSet, dict[str, str]]]


def _set(
    model: nn.Module,
    writers: Sequence[tuple[str, str | None]],
    readers: Sequence[tuple[str, int]],
    carriers: Sequence[str] = (),
) -> tuple[ChannelSet, dict[str, str]]:
    """A channel set from its writers, each with the normalisation behind it."""
    norms = {writer: norm for writer, norm in writers if norm}
    names = tuple(writer for writer, _ in writers)
    one = ChannelSet(
        name=names[0],
        n_channels=n_outputs(model.get_submodule(names[0])),
        writers=names,
        carriers=(*norms.values(), *carriers),
        readers=tuple(readers),
    )
    return one, norms


def n_outputs(layer: nn.Module) -> int:
    """Number of output channels of a layer."""
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)  # type: ignore[arg-type]


def _phasenet(model: nn.Module) -> Described:
    n_levels = len(model.down_branch)  # type: ignore[arg-type]
    widths = [n_outputs(model.get_submodule(f"down_branch.{level}.0")) for level in range(n_levels)]
    yield _set(model, [("inc", "in_bn")], [("down_branch.0.0", 0)])
    for level in range(n_levels - 1):
        place, opposite = f"down_branch.{level}", f"up_branch.{n_levels - 2 - level}"
        yield _set(model, [(f"{place}.0", f"{place}.1")], [(f"{place}.2", 0), (f"{opposite}.2", 0)])
        yield _set(model, [(f"{place}.2", f"{place}.3")], [(f"down_branch.{level + 1}.0", 0)])
    bottom = f"down_branch.{n_levels - 1}"
    yield _set(model, [(f"{bottom}.0", f"{bottom}.1")], [("up_branch.0.0", 0)])
    for level in range(n_levels - 1):
        place, skip = f"up_branch.{level}", widths[n_levels - 2 - level]
        following = f"up_branch.{level + 1}.0" if level < n_levels - 2 else "out"
        yield _set(model, [(f"{place}.0", f"{place}.1")], [(f"{place}.2", skip)])
        yield _set(model, [(f"{place}.2", f"{place}.3")], [(following, 0)])


def _phasenet_light(model: nn.Module) -> Described:
    ups = ["up1", "up2", "up3", "up4", "out"]
    width = {name: n_outputs(model.get_submodule(name)) for name in ups}
    yield _set(model, [("inc", "in_bn")], [("conv1.conv", 0), ("out", width["up4"])])
    for level in (1, 2, 3):
        readers = [(f"conv{level + 1}.conv", 0), (ups[4 - level], width[ups[3 - level]])]
        yield _set(model, [(f"conv{level}.conv", f"bnd{level}")], readers)
    yield _set(model, [("conv4.conv", "bnd4")], [("up1", 0)])
    for level in (1, 2, 3, 4):
        yield _set(model, [(f"up{level}", f"bnu{level}")], [(ups[level], 0)])


def _eqtransformer(model: nn.Module) -> Described:
    n_convs = len(model.encoder.convs)  # type: ignore[union-attr, arg-type]
    blocks = [f"res_cnn_stack.members.{index}" for index in range(len(model.res_cnn_stack.members))]  # type: ignore[union-attr, arg-type]
    for level in range(n_convs - 1):
        yield _set(model, [(f"encoder.convs.{level}", None)], [(f"encoder.convs.{level + 1}", 0)])
    yield _set(
        model,
        [(f"encoder.convs.{n_convs - 1}", None), *((f"{block}.conv2", None) for block in blocks)],
        [*((f"{block}.conv1", 0) for block in blocks), ("bi_lstm_stack.members.0.lstm", 0)],
        carriers=[f"{block}.norm1" for block in blocks],
    )
    for block in blocks:
        yield _set(model, [(f"{block}.conv1", f"{block}.norm2")], [(f"{block}.conv2", 0)])
    for name in ("transformer_d0", "transformer_d"):
        yield _set(model, [(f"{name}.ff.lin1", None)], [(f"{name}.ff.lin2", 0)])
    n_phases = len(model.pick_decoders)  # type: ignore[arg-type]
    branches = [("decoder_d", "conv_d"), *((f"pick_decoders.{i}", f"pick_convs.{i}") for i in range(n_phases))]
    for decoder, last in branches:
        layers = [*(f"{decoder}.convs.{level}" for level in range(n_convs)), last]
        for layer, following in pairwise(layers):
            yield _set(model, [(layer, None)], [(following, 0)])


def _pickflownet(model: nn.Module) -> Described:
    def block(name: str) -> tuple[str, str]:
        return f"{name}.convolution", f"{name}.norm"

    def residuals(place: str) -> list[tuple[str, str]]:
        names = [name for name, module in model.get_submodule(place).named_modules() if name.endswith("block")]
        return [block(f"{place}.{name}") for name in names]

    yield _set(model, [block("stem"), block("up.2")], [("down.0.convolution", 0), ("last.convolution", 0)])
    for level in (0, 1):
        inner = [*residuals(f"down_residual.{level}"), *residuals(f"up_residual.{1 - level}")]
        onward = [(f"down.{level + 1}.convolution", 0), (f"up.{2 - level}.convolution", 0)]
        yield _set(
            model,
            [block(f"down.{level}"), block(f"up.{1 - level}"), *inner],
            [*((layer, 0) for layer, _ in inner), *onward],
        )
    context = [f"context.{index}" for index in range(len(model.context))]  # type: ignore[arg-type]
    yield _set(
        model,
        [block("down.2"), *(block(f"{place}.pointwise") for place in context)],
        [*((f"{place}.pointwise.convolution", 0) for place in context), ("up.0.convolution", 0)],
        carriers=[f"{place}.{part}" for place in context for part in ("depthwise", "norm")],
    )
    yield _set(model, [block("last")], [("out", 0)])


ARCHITECTURES: dict[str, Callable[[nn.Module], Described]] = {
    "PhaseNet": _phasenet,
    "PhaseNetLight": _phasenet_light,
    "EQTransformer": _eqtransformer,
    "PickflowNet": _pickflownet,
}


def narrowed_state(model: nn.Module, wiring: Wiring, kept: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """
    State dict without the channels that nobody reads.

    Parameters
    ----------
    model : Module
        The teacher.
    wiring : Wiring
        Of it.
    kept : mapping of str to ndarray of int
        Channels that stay, by the name of the set; sets that are not named stay whole.

    Returns
    -------
    dict of str to Tensor
        For `pickflow.models.narrowing.resize_to`.
    """
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    columns: dict[str, list[tuple[int, int, np.ndarray]]] = {}  # reader: first channel, number, kept ones
    for one in wiring.sets:
        keep = kept.get(one.name, np.arange(one.n_channels))
        for name in (*one.writers, *one.carriers):
            layer = model.get_submodule(name)
            for key, axis in _output_axes(layer):
                if f"{name}.{key}" in state:
                    state[f"{name}.{key}"] = _take(state[f"{name}.{key}"], keep, axis)
        for name, first in one.readers:
            columns.setdefault(name, []).append((first, one.n_channels, keep))
    for name, parts in columns.items():
        ordered = sorted(parts, key=lambda part: part[0])
        keep = np.concatenate([first + own for first, _, own in ordered])
        for key, axis in input_axes(model.get_submodule(name)):
            state[f"{name}.{key}"] = _take(state[f"{name}.{key}"], keep, axis)
    return state


def _take(tensor: Tensor, keep: np.ndarray, axis: int) -> Tensor:
    return tensor.index_select(axis, torch.from_numpy(np.asarray(keep, dtype=np.int64)))


def _output_axes(layer: nn.Module) -> list[tuple[str, int]]:
    if isinstance(layer, nn.BatchNorm1d):
        return [(key, 0) for key in ("weight", "bias", "running_mean", "running_var")]
    return [("weight", 1 if isinstance(layer, nn.ConvTranspose1d) else 0), ("bias", 0)]


def input_axes(layer: nn.Module) -> list[tuple[str, int]]:
    """Parameters of a layer whose axis is its input channels, and which axis that is."""
    if isinstance(layer, nn.LSTM):
        return [("weight_ih_l0", 1), *([("weight_ih_l0_reverse", 1)] if layer.bidirectional else [])]
    if hasattr(layer, "cell_f"):
        return [("cell_f.weight_ih", 1), *([("cell_b.weight_ih", 1)] if layer.bidirectional else [])]
    return [("weight", 0 if isinstance(layer, nn.ConvTranspose1d) else 1)]
