"""What a network costs: multiply-adds, parameters, bytes, milliseconds and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from pickflow.compress.channels import Wiring
from pickflow.compress.rows import n_inputs


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
        read = sum(widths[name] for name in self.reads) / self.n_read if self.reads else 1.0
        written = widths[self.writes] / self.n_written if self.writes else 1.0
        return sum(
            term.amount * (read if term.by_read else 1.0) * (written if term.by_written else 1.0)
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

    def touching(self, names: Container[str]) -> Costs:
        """The layers alone that read or write some sets, as shares of the whole; others do not change with these."""
        some = tuple(one for one in self.layers if one.writes in names or any(name in names for name in one.reads))
        part = Costs(layers=some, widths=self.widths)
        part.__dict__["_whole"] = self._whole
        return part

    @cached_property
    def _whole(self) -> dict[str, float]:
        return {measure: self.total({}, measure) for measure in ("macs", "parameters")}

    def dearest(self, widths: Mapping[str, int], measure: str) -> str:
        """Layer that costs a student most."""
        complete = self.widths | dict(widths)
        return max(self.layers, key=lambda layer: layer.with_widths(complete, measure)).name


def costs_of(model: Any, wiring: Wiring) -> Costs:
    """
    Count a teacher.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    wiring : Wiring
        Of it.
    """
    macs = multiply_adds_by_layer(model)
    writes = {name: one.name for one in wiring.sets for name in (*one.writers, *one.carriers)}
    reads: dict[str, list[str]] = {}
    for one in wiring.sets:
        for reader, _ in one.readers:
            reads.setdefault(reader, []).append(one.name)
    widths = {one.name: one.n_channels for one in wiring.sets}
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
    if isinstance(module, nn.LSTM) or hasattr(module, "cell_f"):
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


@torch.inference_mode()
def multiply_adds_by_layer(model: Any) -> dict[str, int]:
    """
    Multiply-adds of one window, layer by layer; additions, normalisations and activations are not counted.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    """
    found: dict[str, int] = {}

    def counting(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...], made: Tensor | tuple[Tensor, ...]) -> None:
            found[name] = found.get(name, 0) + _multiply_adds(module, given[0], made)

        return hook

    handles = [module.register_forward_hook(counting(name)) for name, module in model.named_modules()]
    try:
        model(torch.zeros(1, len(model.component_order), model.in_samples))
    finally:
        for handle in handles:
            handle.remove()
    return {name: number for name, number in found.items() if number}


def _multiply_adds(module: nn.Module, given: Tensor, made: Tensor | tuple[Tensor, ...]) -> int:
    if isinstance(module, nn.Conv1d):
        return int(made.shape[-1] * module.weight.numel())  # type: ignore[union-attr]
    if isinstance(module, nn.ConvTranspose1d):
        return int(given.shape[-1] * module.weight.numel())
    if isinstance(module, nn.Linear):
        return int(given.numel() // given.shape[-1] * module.weight.numel())
    if isinstance(module, nn.LSTM) or hasattr(module, "cell_f"):
        weights = [p.numel() for name, p in module.named_parameters() if "weight" in name]
        return int(given.shape[0] * sum(weights))
    if hasattr(module, "Wx"):  # additive attention: projections, energies, mixture
        n_samples, units = given.shape[-1], module.Wx.numel()  # type: ignore[operator, union-attr]
        reach = min(module.attention_width or n_samples, n_samples)  # type: ignore[type-var, arg-type]
        return int(2 * n_samples * units + n_samples * reach * (module.Wa.numel() + given.shape[1]))  # type: ignore[operator]
    return 0


def multiply_adds(model: Any) -> int:
    """Multiply-adds of one window."""
    return sum(multiply_adds_by_layer(model).values())


def n_parameters(model: nn.Module) -> tuple[int, int]:
    """Trainable parameters, and how many of them are not zero."""
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters), int(sum(torch.count_nonzero(p).item() for p in parameters))


def milliseconds(predict: Callable[[np.ndarray], Any], windows: np.ndarray, repeats: int = 15) -> float:
    """
    Median time of a call divided by the number of windows, after a warm-up.

    Parameters
    ----------
    predict : callable
        Takes windows, shape (n, n_components, in_samples).
    windows : ndarray
        What to give it.
    repeats : int
        Calls.
    """
    predict(windows)
    times_s = []
    for _ in range(repeats):
        begin_s = time.perf_counter()
        predict(windows)
        times_s.append(time.perf_counter() - begin_s)
    return float(np.median(times_s)) / len(windows) * 1e3
