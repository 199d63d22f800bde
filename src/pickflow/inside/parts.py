"""Which parts of a picker can be silenced: components, channels, layers, directions, states, attention, blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pickflow.compress.channels import UnknownArchitectureError, wiring_of
from pickflow.compress.costs import multiply_adds
from pickflow.inside.network import ATTENTION, CONVOLUTIONS, RECURRENT, Layer, Network
from pickflow.inside.silencing import Part, Place
from pickflow.models.graph import Node

# Multiply-adds of a window over all parts: 60 windows of EQTransformer then take about two minutes on one core.
_MOST_MULTIPLY_ADDS = 3e10
# Chosen: the table of a small network has a row for each channel, that of a large one for each of so many groups.
_MOST_PARTS = 1000
_GROUPS = (64, 32, 16, 8, 4, 2, 1)


def parts_of(network: Network) -> list[Part]:
    """
    All parts of a picker that are silenced, in the order of computation.

    Channels stand alone in small networks; in large ones neighbours go together, so that a table takes minutes.
    What neither P nor S depends on is left out.

    Parameters
    ----------
    network : Network
        From `pickflow.inside.network.open_network`.
    """
    phases = set(network.phases)
    read = {source for layer in network.layers for source in layer.sources}
    # What leaves the network is no part of it: without it there is no probability.
    layers = [layer for layer in network.layers if not layer.use and phases & set(layer.labels) and layer.key in read]
    order = {layer.name: index for index, layer in enumerate(layers)}
    parts = [*_layer_parts(network, layers), *_blocks(network, order)]
    costs = multiply_adds(network.model)
    sets = _channel_sets(network, layers)
    for n_groups in _GROUPS:
        channels = [part for channel_set in sets for part in _channel_parts(*channel_set, n_groups)]
        states = [part for layer in layers for part in _states(network, layer, n_groups)]
        n_parts = len(parts) + len(channels) + len(states)
        if n_parts <= min(_MOST_PARTS, _MOST_MULTIPLY_ADDS / max(costs, 1)):
            break
    components = [
        Part(
            name=f"component {letter}",
            kind="component",
            layer="",
            channels=(row,),
            zeros=(Place(module="", channels=(row,)),),
        )
        for row, letter in enumerate(network.model.component_order)
    ]
    return components + sorted(parts + channels + states, key=lambda part: _place(part, order))


def _place(part: Part, order: dict[str, int]) -> int:
    """Blocks come before the first of their layers."""
    positions = [index for name, index in order.items() if name == part.layer or name.startswith(f"{part.layer}.")]
    return min(positions, default=len(order))


def _layer_parts(network: Network, layers: Sequence[Layer]) -> list[Part]:
    """Every layer as a whole, and the directions of recurrences."""
    parts = []
    for layer in layers:
        kind = "attention" if layer.kind in ATTENTION else "layer"
        parts.append(
            Part(name=layer.name, kind=kind, layer=layer.name, zeros=(Place(module=layer.norm or layer.name),))
        )
        names, n_states = _recurrences(network, layer)
        if len(names) == 2:
            for direction, first in (("forward", 0), ("backward", n_states)):
                channels = tuple(range(first, first + n_states))
                parts.append(
                    Part(
                        name=f"{layer.name} {direction}", kind="direction", layer=layer.name, channels=channels,
                        zeros=(Place(module=layer.name, channels=channels),),
                    )
                )  # fmt: skip
    return parts


def _recurrences(network: Network, layer: Layer) -> tuple[list[str], int]:
    """Matrices that the directions of a recurrence multiply their states with, and how many states each has."""
    if layer.kind not in RECURRENT:
        return [], 0
    module = network.model.get_submodule(layer.name)
    names = [name for name, _ in module.named_parameters() if "weight_hh" in name]
    # Of several layers in one module, only the states of the last one leave it.
    return (names, module.get_parameter(names[0]).shape[1]) if getattr(module, "num_layers", 1) == 1 else ([], 0)


def _states(network: Network, layer: Layer, n_groups: int) -> list[Part]:
    names, n_states = _recurrences(network, layer)
    parts = []
    for direction, name in enumerate(names):
        for group in _groups(n_states, max(n_groups // len(names), 1)):
            channels = tuple(direction * n_states + state for state in group)
            parts.append(
                Part(
                    name=f"{layer.name} states {_span(channels)}", kind="states", layer=layer.name, channels=channels,
                    zeros=(Place(module=layer.name, channels=channels),), columns=((f"{layer.name}.{name}", group),),
                )
            )  # fmt: skip
    return parts


def _channel_sets(network: Network, layers: Sequence[Layer]) -> list[tuple[str, int, tuple[str, ...]]]:
    """
    Channels of convolutions that live and die together: a name, how many, and the modules that hold them.

    Where the compression knows the architecture, they are its sets of channels; elsewhere those of each convolution.
    """
    try:
        sets = wiring_of(network.model).sets
    except UnknownArchitectureError:
        sets = []
    names = {layer.name for layer in layers}
    sets_of_compression = [
        (channels.name, channels.n_channels, (*channels.writers, *channels.carriers))
        for channels in sets
        if names & set(channels.writers)
    ]
    holders = {name for _, _, modules in sets_of_compression for name in modules}
    single_layers = [
        (layer.name, layer.n_channels, (layer.norm or layer.name,))
        for layer in layers
        if layer.kind in CONVOLUTIONS and layer.name not in holders and layer.n_channels > 1
    ]
    return sets_of_compression + single_layers


def _channel_parts(name: str, n_channels: int, modules: Sequence[str], n_groups: int) -> list[Part]:
    return [
        Part(
            name=f"{name} channels {_span(group)}", kind="channels", layer=name, channels=group,
            zeros=tuple(Place(module=module, channels=group) for module in modules),
        )
        for group in _groups(n_channels, n_groups)
    ]  # fmt: skip


def _groups(n: int, n_groups: int) -> list[tuple[int, ...]]:
    """Numbers from 0 on in so many groups of neighbours of about the same size."""
    edges = np.linspace(0, n, min(n, n_groups) + 1).round().astype(int).tolist()
    return [tuple(range(first, last)) for first, last in pairwise(edges)]


def _span(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _blocks(network: Network, order: dict[str, int]) -> list[Part]:
    """
    Modules that are made of layers.

    A block around which a sum leads is silenced by what it adds; one that keeps the shape of a window is passed by; of
    any other the output becomes zero.
    """
    shapes = _shapes_of_blocks(network)
    nodes = [node for node in network.graph.nodes if node.name]
    parts = []
    for name, same_shape in shapes.items():
        members = [node for node in nodes if node.name.startswith(f"{name}.")]
        if len({node.name for node in members} & set(order)) < 2:
            continue
        if _is_added_to_its_input(members):
            parts.append(Part(name=name, kind="block", layer=name, zeros=(Place(module=members[-1].name),)))
        elif same_shape:
            parts.append(Part(name=name, kind="block", layer=name, bypass=name))
        else:
            parts.append(Part(name=name, kind="block", layer=name, zeros=(Place(module=name),)))
    return parts


def _is_added_to_its_input(members: Sequence[Node]) -> bool:
    first, last = members[0], members[-1]
    return any(reader.kind == "add" and first.inputs[0] in reader.inputs for reader in last.readers)


def _shapes_of_blocks(network: Network) -> dict[str, bool]:
    """Modules that are called and made of others, and whether their output has the shape of their input."""
    layers = {layer.name for layer in network.layers}
    shapes: dict[str, bool] = {}
    handles = []
    for name, module in network.model.named_modules():
        if name and name not in layers and any(module.children()):
            handles.append(module.register_forward_hook(_noting(name, shapes)))
    window = torch.zeros(1, len(network.model.component_order), int(network.model.in_samples))
    try:
        network.probabilities(window)
    finally:
        for handle in handles:
            handle.remove()
    return shapes


def _noting(name: str, shapes: dict[str, bool]) -> Any:
    def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        are_tensors = inputs and isinstance(inputs[0], Tensor) and isinstance(first, Tensor)
        shapes[name] = bool(are_tensors and inputs[0].shape == first.shape)

    return hook
