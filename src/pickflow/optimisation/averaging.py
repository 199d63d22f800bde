"""Running average of a network's weights, which scores better than the weights of any one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """
    Exponential moving average of a network's parameters (Polyak and Juditsky, 1992); its buffers are the network's own.

    Parameters
    ----------
    model : Module
        Where the average begins.
    decay : float
        Weight of what was; while there are few steps it is (1 + step) / (10 + step), as in TensorFlow. With 0 the
        average is the network itself.
    """

    def __init__(self, model: nn.Module, decay: float):
        self._model, self._decay = model, decay
        self._tensors = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def tensors(self) -> dict[str, Tensor]:
        """The average, for a checkpoint; empty if it is the network itself."""
        return dict(self._tensors) if self._decay else {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put `tensors` back."""
        for name, tensor in tensors.items():
            self._tensors[name].copy_(tensor)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after a step into the average."""
        if not self._decay:
            return
        decay = min(self._decay, (1 + step) / (10 + step))
        parameters = dict(self._model.named_parameters())
        torch._foreach_lerp_(list(self._tensors.values()), [parameters[name] for name in self._tensors], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the network have the average as its weights."""
        if not self._decay:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._model.named_parameters():
            weights = parameter.detach().clone()
            parameter.copy_(self._tensors[name])
            self._tensors[name] = weights
