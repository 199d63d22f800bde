"""Costs of a network: multiply-adds, parameters, bytes, milliseconds and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from pickflow.compress.channels import Wiring
from pickflow.models.graph import RECURRENT_KINDS, Node, trace
from pickflow.models.layers import is_recurrent, n_inputs


class Term(NamedTuple):
    """A part of a layer's cost that grows with the channels it reads, with those it writes, with both or with none."""

    amount: int
    by_read: bool
    by_written: bool


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """
    Multiply-adds and parameters of a layer, and the channel sets that it reads and writes.

    Parameters
    ----------
    name : str
        Of the layer.
    terms : dict of str to list of Term
        Parts of ``macs`` and of ``parameters``.
    reads : tuple of str
        Channel sets.
    n_read : int
        Its input channels.
    writes : str or None
        Channel set.
    n_written : int
        Its output channels.
    """

    name: str
    terms: dict[str, list[Term]]
    reads: tuple[str, ...]
    n_read: int
    writes: str | None
    n_written: int

    def with_widths(self, widths: Mapping[str, int], measure: str) -> float:
        """Multiply-adds or parameters when the sets have these widths."""
        read_share = sum(widths[name] for name in self.reads) / self.n_read if self.reads else 1.0
        written_share = widths[self.writes] / self.n_written if self.writes else 1.0
        return sum(
            term.amount * (read_share if term.by_read else 1.0) * (written_share if term.by_written else 1.0)
            for term in self.terms[measure]
        )


@dataclass(frozen=True, kw_only=True)
class Costs:
    """
    Costs of a teacher's layers, from which those of every student follow without building it.

    Parameters
    ----------
    layers : tuple of LayerCost
        All layers with parameters or multiply-adds.
    widths : dict of str to int
        Channels of each set.
    """

    layers: tuple[LayerCost, ...]
    widths: dict[str, int]

    def total(self, widths: Mapping[str, int], measure: str) -> float:
        """Multiply-adds or parameters of a student with these widths."""
        complete = self.widths | dict(widths)
        return sum(layer.with_widths(complete, measure) for layer in self.layers)

    def share(self, widths: Mapping[str, int], measure: str) -> float:
        """The same as a share of the teacher's."""
        return self.total(widths, measure) / self._whole[measure]

    def restricted_to(self, names: Container[str]) -> Costs:
        """The layers alone that read or write some sets, as shares of the whole; others do not change with these."""
        layers = tuple(
            layer for layer in self.layers if layer.writes in names or any(name in names for name in layer.reads)
        )
        part = Costs(layers=layers, widths=self.widths)
        part.__dict__["_whole"] = self._whole
        return part

    @cached_property
    def _whole(self) -> dict[str, float]:
        return {measure: self.total({}, measure) for measure in ("macs", "parameters")}

    def costliest(self, widths: Mapping[str, int], measure: str) -> str:
        """Layer that costs a student most."""
        complete = self.widths | dict(widths)
        return max(self.layers, key=lambda layer: layer.with_widths(complete, measure)).name


def costs_of(model: Any, wiring: Wiring) -> Costs:
    """
    Count the costs of a teacher.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    wiring : Wiring
        Of it.
    """
    macs = multiply_adds_by_layer(model)
    writes = {
        name: channel_set.name for channel_set in wiring.sets for name in (*channel_set.writers, *channel_set.carriers)
    }
    reads: dict[str, list[str]] = {}
    for channel_set in wiring.sets:
        for reader, _ in channel_set.readers:
            reads.setdefault(reader, []).append(channel_set.name)
    widths = {channel_set.name: channel_set.n_channels for channel_set in wiring.sets}
    layers = []
    for name, module in model.named_modules():
        recurrent = hasattr(module, "cell_f")
        parameters = dict(module.named_parameters(recurse=recurrent))
        # The cells of a recurrent layer are counted with it.
        if ".cell_" not in name and (parameters or name in macs):
            layers.append(
                LayerCost(
                    name=name,
                    terms=_terms(module, parameters, macs.get(name, 0)),
                    reads=tuple(reads.get(name, ())),
                    n_read=n_inputs(module) if name in reads else 1,
                    writes=writes.get(name),
                    n_written=widths[writes[name]] if name in writes else 1,
                )
            )
    return Costs(layers=tuple(layers), widths=widths)


def _terms(module: nn.Module, parameters: Mapping[str, nn.Parameter], macs: int) -> dict[str, list[Term]]:
    sizes = {name: parameter.numel() for name, parameter in parameters.items()}
    if is_recurrent(module):
        of_input = sum(size for name, size in sizes.items() if "weight_ih" in name)
        weights = sum(size for name, size in sizes.items() if "weight" in name)
        steps = macs // weights
        return {
            "macs": [Term(steps * of_input, True, False), Term(steps * (weights - of_input), False, False)],
            "parameters": [Term(of_input, True, False), Term(sum(sizes.values()) - of_input, False, False)],
        }
    mixes = isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear) and getattr(module, "groups", 1) == 1
    weights = sizes.get("weight", 0)
    return {
        "macs": [Term(macs, mixes, True)],
        "parameters": [Term(weights, mixes, True), Term(sum(sizes.values()) - weights, False, True)],
    }


def multiply_adds_by_layer(model: Any) -> dict[str, int]:
    """
    Multiply-adds of one window, layer by layer; additions, normalisations and activations are not counted.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    """
    counts: dict[str, int] = {}
    for node in trace(model).layers():
        counts[node.name] = counts.get(node.name, 0) + _multiply_adds(node)
    return {name: number for name, number in counts.items() if number}


def _multiply_adds(node: Node) -> int:
    layer, n_samples = node.layer, node.n_samples
    if node.kind in ("Conv1d", "Linear"):
        return int(n_samples * layer.weight.numel())
    if node.kind == "ConvTranspose1d":
        return int(node.inputs[0].n_samples * layer.weight.numel())
    if node.kind in RECURRENT_KINDS:
        return int(n_samples * sum(p.numel() for name, p in layer.named_parameters() if "weight" in name))
    if node.kind == "SeqSelfAttention":  # projections, energies, mixture
        reach = min(layer.attention_width or n_samples, n_samples)
        return int(2 * n_samples * layer.Wx.numel() + n_samples * reach * (layer.Wa.numel() + node.n_channels))
    return 0


def multiply_adds(model: Any) -> int:
    """Multiply-adds of one window."""
    return sum(multiply_adds_by_layer(model).values())


def n_parameters(model: nn.Module) -> tuple[int, int]:
    """Trainable parameters, and how many of them are not zero."""
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters), int(sum(torch.count_nonzero(p).item() for p in parameters))


def n_weights_of_keras(model: nn.Module) -> int:
    """
    Weights as Keras counts them: one bias for each gate of a recurrence, and the statistics of normalisations.

    Parameters
    ----------
    model : Module
    """
    state = model.state_dict()
    unknown = ("num_batches_tracked", "bias_hh")
    return sum(tensor.numel() for name, tensor in state.items() if not any(part in name for part in unknown))


def milliseconds(predict: Callable[[np.ndarray], Any], windows: np.ndarray, n_calls: int = 15) -> float:
    """
    Median CPU time of a call divided by the number of windows, after a warm-up.

    Of the processor, not of the clock: what else a shared machine does is no cost of the network.

    Parameters
    ----------
    predict : callable
        Takes windows, shape (n, n_components, in_samples).
    windows : ndarray
        Input of the call.
    n_calls : int
        Calls.
    """
    predict(windows)
    times_s = []
    for _ in range(n_calls):
        begin_s = time.process_time()
        predict(windows)
        times_s.append(time.process_time() - begin_s)
    return float(np.median(times_s)) / len(windows) * 1e3
