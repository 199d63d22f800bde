"""From the recorded graph of a network to a program: what follows a layer is done with it, where an operation can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pickflow.kernels.layers import Ending, conv_layer, convolve, resampled, transposed_layer, upsampled_layer
from pickflow.kernels.program import Program, View, require
from pickflow.kernels.recurrent import attention, recurrence
from pickflow.models.graph import LOWEST, RECURRENT_KINDS, Graph, Node
from pickflow.models.layers import is_plain, norm_terms, parameter


class Lowering:
    """
    A graph on its way into a program.

    Parameters
    ----------
    program : Program
        Gets the operations.
    graph : Graph
        Its last steps are a sigmoid for each label, or one softmax or sigmoid for all.

    Attributes
    ----------
    windows, outputs : View
        The input, and the probabilities of all labels.
    """

    def __init__(self, program: Program, graph: Graph):
        self._program = program
        self._views: dict[Node, View] = {}
        self._with_others: set[Node] = set()  # done by the operation of another node
        self._joined: dict[int, View] = {}
        kinds = {node.kind for node in graph.outputs}
        expressible = kinds == {"sigmoid"} or (kinds == {"softmax"} and len(graph.outputs) == 1)
        require(expressible, f"a sigmoid or a softmax at the end, not {', '.join(sorted(kinds))}")
        self._labels = [node.inputs[0] for node in graph.outputs]
        first, *nodes = graph.nodes
        self.windows = self._views[first] = program.buffer(first.n_channels, first.n_samples)
        program.add("pack", None, self.windows)
        for node in nodes:
            if node.kind in _STEPS and node not in self._with_others:
                _STEPS[node.kind](self, node)
        self.outputs = self._all_of(self._labels) if len(self._labels) > 1 else self._view(self._labels[0])
        require(self.outputs.n_channels == self.outputs.buffer.n_channels, "labels that nothing else is joined to")
        program.add(kinds.pop(), None, self.outputs)

    def _view(self, node: Node) -> View:
        """Where the output of a node is; what is made only where a layer cannot do it on its way, is made now."""
        if node not in self._views:
            source, target, settings = self._view_of_input(node), self._target(node), node.settings
            require(settings.get("value", 0.0) == 0.0, "zeros where something is padded")
            start = -settings["left"] if node.kind == "pad" else settings.get("left", 0)
            residual = self._view(node.inputs[1]) if node.kind == "add" else None
            scale = settings.get("scale", 1)
            resampled(self._program, source, target, start=start, scale=scale, residual=residual)
            self._views[node] = target
        return self._views[node]

    def _view_of_input(self, node: Node) -> View:
        require(bool(node.inputs) and node.kind in (*_STEPS, *_ON_THE_WAY), f"steps that they know, not: {node}")
        return self._view(node.inputs[0])

    def _target(self, node: Node) -> View:
        """Room for the output of a node: a part of the buffer of what it is joined to, or a buffer of its own."""
        if node in self._labels and len(self._labels) > 1:
            return self._part(self._labels, self._labels.index(node))
        for reader in node.readers:
            if reader.kind == "cat":
                return self._part(reader.inputs, reader.inputs.index(node))
        return self._program.buffer(node.n_channels, node.n_samples)

    def _all_of(self, parts: Sequence[Node]) -> View:
        if id(parts) not in self._joined:
            n_channels = sum(part.n_channels for part in parts)
            self._joined[id(parts)] = self._program.buffer(n_channels, parts[0].n_samples)
        return self._joined[id(parts)]

    def _part(self, parts: Sequence[Node], index: int) -> View:
        first = sum(part.n_channels for part in parts[:index])
        return self._all_of(parts).channels(first, parts[index].n_channels)

    def _ending(self, node: Node) -> tuple[Ending, View]:
        """What follows a layer and nothing else, as far as its operation can do it; and where the result goes."""
        ending, last = Ending(), node
        while len(last.readers) == 1 and last not in self._labels:
            following = last.readers[0]
            extension = self._extension(ending, last, following)
            if extension is None:
                break
            ending, last = extension, following
            self._with_others.add(last)
        self._views[last] = self._target(last)
        return ending, self._views[last]

    def _extension(self, ending: Ending, last: Node, following: Node) -> Ending | None:
        if following.kind == "BatchNorm1d" and last.kind in ("Conv1d", "ConvTranspose1d", "Linear"):
            return replace(ending, norm=following.layer)
        if ending.residual is not None:
            return None
        if following.kind == "relu" and not ending.rectify:
            return replace(ending, rectify=True)
        if following.kind == "crop":
            return replace(ending, crop=ending.crop + following.settings["left"])
        if following.kind == "add" and not _is_normalised(following):
            (addend,) = [source for source in following.inputs if source is not last] or [last]
            return replace(ending, residual=self._views[addend]) if addend in self._views else None
        return None

    def _conv(self, node: Node) -> None:
        source, padding = node.inputs[0], 0
        while source.kind == "pad" and source.settings["value"] == 0.0:
            source, padding = source.inputs[0], padding + source.settings["left"]
        copied, crop = source, 0
        while copied.kind == "crop":
            copied, crop = copied.inputs[0], crop + copied.settings["left"]
        ending, target = self._ending(node)
        cut = copied.n_samples - crop - source.n_samples
        doubled = copied.kind == "interpolate" and copied.settings["scale"] == 2
        is_whole = is_plain(node.layer) and ending.crop == 0 and node.n_samples == source.n_samples
        if doubled and is_whole and max(crop, cut) <= 1:
            upsampled_layer(self._program, self._view(copied.inputs[0]), node.layer, target, ending, crop, padding)
        else:
            conv_layer(self._program, self._view(source), node.layer, target, ending, padding)

    def _transposed(self, node: Node) -> None:
        source = self._view_of_input(node)
        ending, target = self._ending(node)
        transposed_layer(self._program, source, node.layer, target, ending)

    def _whole(self, node: Node) -> None:
        """A recurrence or an attention."""
        make = recurrence if node.kind in RECURRENT_KINDS else attention
        self._views[node] = make(self._program, self._view_of_input(node), node.layer, self._target(node))

    def _affine(self, node: Node) -> None:
        """A normalisation or a rectifier that follows no layer."""
        source = self._view_of_input(node)
        scale, shift = norm_terms(node.layer) if node.layer else (np.ones(node.n_channels), np.zeros(node.n_channels))
        last = node
        if node.layer and len(node.readers) == 1 and node.readers[0].kind == "relu" and node not in self._labels:
            last = node.readers[0]
            self._with_others.add(last)
        target = self._views[last] = self._target(last)
        self._program.add("affine", source, target, None, scale, shift, flag=int(last.kind == "relu"))

    def _layer_norm(self, node: Node) -> None:
        total, layer = node.inputs[0], node.layer
        require(_is_normalised(total), "layer normalisations of a sum")
        first, second = (self._view(addend) for addend in total.inputs)
        target = self._views[node] = self._target(node)
        terms = parameter(layer.gamma), parameter(layer.beta)
        self._program.add("layernorm", first, target, second, *terms, epsilon=layer.eps)

    def _pool(self, node: Node) -> None:
        source, size = node.inputs[0], node.settings["size"]
        if source.kind == "pad" and source.settings["left"] == 0 and source.settings["right"] < size:
            value, before = source.settings["value"], source.inputs[0]
            if value <= LOWEST or (value == 0.0 and before.kind == "relu"):
                source = before  # the last group is short
        view, target = self._view(source), self._target(node)
        self._views[node] = target
        self._program.add("pool", view, target, stride=size, n_in=view.n_samples)

    def _join(self, node: Node) -> None:
        for index, part in enumerate(node.inputs):
            view, target = self._view(part), self._part(node.inputs, index)
            if view != target:
                resampled(self._program, view, target)
        self._views[node] = self._all_of(node.inputs)

    def _prepare(self, node: Node) -> None:
        """What `PickflowNet.prepare` does."""
        windows, program = self._view_of_input(node), self._program
        require(node.inputs[0].readers == [node], "raw windows that only their preparation reads")
        frames = parameter(node.layer.high_pass)
        n_taps = frames.shape[2] - frames.shape[0] + 1
        # The first sample stands for everything before it: this one margin is not of zeros.
        program.add("unit_peak", None, windows, taps=n_taps - 1)
        filtered = self._views[node] = program.buffer(windows.n_channels, windows.n_samples)
        weights = np.broadcast_to(frames[:1, :, :n_taps], (windows.n_channels, 1, n_taps))
        zeros = np.zeros(windows.n_channels)
        convolve(program, windows, filtered, weights, zeros, start=1 - n_taps, depthwise=True)
        program.add("compress", None, filtered)


def _is_normalised(node: Node) -> bool:
    """Whether a node is a sum that is only read by a layer normalisation, whose operation adds."""
    return node.kind == "add" and [reader.kind for reader in node.readers] == ["LayerNormalization"]


_STEPS: dict[str, Callable[[Lowering, Node], Any]] = {
    "Conv1d": Lowering._conv,
    "Linear": Lowering._conv,
    "ConvTranspose1d": Lowering._transposed,
    "BatchNorm1d": Lowering._affine,
    "relu": Lowering._affine,
    **dict.fromkeys(RECURRENT_KINDS, Lowering._whole),
    "SeqSelfAttention": Lowering._whole,
    "LayerNormalization": Lowering._layer_norm,
    "max_pool1d": Lowering._pool,
    "cat": Lowering._join,
    "prepare": Lowering._prepare,
}
_ON_THE_WAY = ("pad", "crop", "interpolate", "add")
