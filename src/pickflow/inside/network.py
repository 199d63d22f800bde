"""The map of a picker: which layers it has, what each of them reads, and its probabilities for windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from seisbench.models.base import WaveformModel
from torch import Tensor, nn

from pickflow.annotate.engine import resolve_settings
from pickflow.datasets.records import COMPONENTS, SAMPLING_RATE_HZ
from pickflow.distillation import filter_windows, normalised
from pickflow.inside.windows import Window
from pickflow.models.graph import Graph, Node, RecordingError, trace

Array32 = NDArray[np.float32]

CONVOLUTIONS = ("Conv1d", "ConvTranspose1d")
RECURRENT = ("LSTM", "GRU", "RNN")
ATTENTION = ("SeqSelfAttention", "MultiheadAttention")
SHOWN_KINDS = (*CONVOLUTIONS, *RECURRENT, *ATTENTION, "Linear")
PHASES = ("P", "S")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """
    A layer on the map: one that mixes channels or samples.

    Parameters
    ----------
    key : str
        Unique on the map: the name, and from the second use on the number of the use.
    name : str
        Of the module in the model.
    kind : str
        Its class (`SHOWN_KINDS`).
    use : int
        Which use of the module it is, counted from 0.
    n_channels, n_samples : int
        Of its output.
    sources : tuple of str
        Keys of the layers that it reads, through whatever lies between; empty for the window itself.
    norm : str
        The normalisation that reads it and nothing else does; empty if there is none.
    rectified : bool
        Whether a rectifier follows at once.
    labels : tuple of str
        Labels of the picker that depend on it.
    """

    key: str
    name: str
    kind: str
    use: int
    n_channels: int
    n_samples: int
    sources: tuple[str, ...]
    norm: str = ""
    rectified: bool = False
    labels: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The part of the network that it belongs to: the first part of its name."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, kw_only=True)
class Network:
    """
    A picker that can be looked into.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    graph : Graph
        What it does with a window.
    layers : tuple of Layer
        In the order of computation.
    phases : tuple of str
        P, S or both, as far as it predicts them.
    rows : tuple of int
        Of these among its labels.
    thresholds : dict of str to float
        From which probability on it picks.
    blinding : tuple of int
        Samples at both ends of a window that it does not judge.
    """

    model: WaveformModel
    graph: Graph
    layers: tuple[Layer, ...]
    phases: tuple[str, ...]
    rows: tuple[int, ...]
    thresholds: dict[str, float]
    blinding: tuple[int, int]

    def inputs(self, windows: Sequence[Window]) -> Tensor:
        """Windows as the network takes them, shape (n_windows, n_components, in_samples)."""
        order = [COMPONENTS.index(component) for component in self.model.component_order]
        samples = np.stack([window.samples[order] for window in windows])
        return normalised(self.model, filter_windows(self.model, samples))

    def probabilities(self, inputs: Tensor) -> Array32:
        """Probability of each of `phases`, shape (n_windows, n_phases, in_samples)."""
        with torch.inference_mode():
            output: Any = self.model(inputs)
        stacked = torch.stack(output, dim=1) if isinstance(output, tuple | list) else output
        return np.asarray(stacked[:, list(self.rows)].numpy())

    @property
    def judged(self) -> slice:
        """The samples of a window that the picker judges."""
        return slice(self.blinding[0], int(self.model.in_samples) - self.blinding[1])


def open_network(model: WaveformModel) -> Network:
    """
    Look at a picker's layers.

    Parameters
    ----------
    model : WaveformModel
        Any that gives the probability of P or S at each sample of windows of Z, N and E.

    Raises
    ------
    ValueError
        If it gives something else, saying what.
    """
    problem = refusal(model)
    if problem:
        raise ValueError(f"{type(model).__name__} cannot be looked into: {problem}")
    model = model.eval()
    graph = trace(model)
    labels = list(model.labels)
    phases = tuple(phase for phase in PHASES if phase in labels)
    settings = resolve_settings(model)
    return Network(
        model=model,
        graph=graph,
        layers=tuple(layers_of(graph, labels)),
        phases=phases,
        rows=tuple(labels.index(phase) for phase in phases),
        thresholds=dict(settings.thresholds),
        blinding=settings.blinding,
    )


def refusal(model: WaveformModel) -> str:
    """Why a picker cannot be looked into; empty if it can."""
    if model.output_type != "array":
        return f"it gives one {model.output_type} for a window, not a probability for each sample"
    labels = model.labels if isinstance(model.labels, str | list | tuple) else ()
    if not set(PHASES) & set(labels):
        return f"its labels are {', '.join(labels) or 'not known'}, with neither P nor S"
    if not isinstance(model.component_order, str) or set(model.component_order) - set(COMPONENTS):
        return f"its components are {model.component_order}, not some of Z, N and E"
    if not model.in_samples or not model.sampling_rate:
        return "its window or sampling rate is not fixed"
    if model.sampling_rate != SAMPLING_RATE_HZ:
        return f"it takes {model.sampling_rate:g} Hz, and windows have {SAMPLING_RATE_HZ:g} Hz"
    try:
        graph = trace(model)
    except RecordingError as error:
        return str(error)
    return "" if any(_is_shown(node) for node in graph.nodes) else "it has no convolution, recurrence or attention"


def layers_of(graph: Graph, labels: Sequence[str]) -> list[Layer]:
    """
    Layers of the map of a recorded network.

    Parameters
    ----------
    graph : Graph
        From `pickflow.models.graph.trace`.
    labels : sequence of str
        Of the picker; each has an output of its own, or all have one.
    """
    readers = _labels_of_nodes(graph, labels)
    uses: dict[str, int] = {}
    keys: dict[Node, str] = {}
    layers = []
    for node in graph.nodes:
        if not _is_shown(node):
            continue
        use = uses[node.name] = uses.get(node.name, -1) + 1
        keys[node] = f"{node.name} ({use + 1})" if use else node.name
        norm, rectified = _following(node)
        layers.append(
            Layer(
                key=keys[node],
                name=node.name,
                kind=kind_of(node.layer),
                use=use,
                n_channels=node.n_channels,
                n_samples=node.n_samples,
                sources=tuple(dict.fromkeys(keys[source] for source in _sources(node, keys))),
                norm=norm,
                rectified=rectified,
                labels=tuple(label for label in labels if label in readers[node]),
            )
        )
    return layers


def _labels_of_nodes(graph: Graph, labels: Sequence[str]) -> dict[Node, set[str]]:
    """Labels that depend on each node; all of them where the graph does not say it."""
    whole = len(graph.outputs) != len(labels) or any(node.kind == "unknown" for node in graph.nodes)
    reached: dict[Node, set[str]] = {node: set(labels) if whole else set() for node in graph.nodes}
    for node, label in zip(graph.outputs, labels, strict=False):
        reached[node].add(label)
    for node in reversed(graph.nodes):
        for source in node.inputs:
            reached[source] |= reached[node]
    return reached


def kind_of(layer: nn.Module) -> str:
    """Class of a layer; SeisBench's own LSTM counts as one."""
    return "LSTM" if hasattr(layer, "cell_f") else type(layer).__name__


def _is_shown(node: Node) -> bool:
    return bool(node.name) and kind_of(node.layer) in SHOWN_KINDS


def _sources(node: Node, keys: dict[Node, str]) -> list[Node]:
    """The nearest layers of the map behind a node, in the order of computation."""
    queue, visits, sources = list(node.inputs), set(), set()
    while queue:
        source = queue.pop()
        if source in visits:
            continue
        visits.add(source)
        if source in keys:
            sources.add(source)
        else:
            queue += source.inputs
    return [source for source in keys if source in sources]


def _following(node: Node) -> tuple[str, bool]:
    """The batch normalisation and the rectifier that are all that is done with an output."""
    norm, current = "", node
    while len(current.readers) == 1:
        (current,) = current.readers
        if current.kind == "BatchNorm1d" and not norm:
            norm = current.name
        else:
            return norm, current.kind == "relu"
    return norm, False
