"""Layers of other widths inside a published architecture: how a compressed picker keeps its class."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pickflow.models.layers import AXES, Axes, n_inputs, n_outputs


def resize_to(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """
    Give a model the widths and the values of a state dict, in place.

    Parameters
    ----------
    model : Module
        An architecture whose ``forward`` takes its widths from its layers.
    state : mapping of str to Tensor
        Complete; tensors may have other widths than the model's, not other numbers of axes.

    Raises
    ------
    RuntimeError
        If names are missing or unknown, or a tensor belongs to a layer that cannot change its width.
    """
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        for key, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            new = state.get(prefix + key)
            if new is None or new.shape == tensor.shape:
                continue
            if type(module).__name__ not in AXES or new.ndim != tensor.ndim:
                raise RuntimeError(f"{prefix}{key} has the shape {tuple(new.shape)}, not {tuple(tensor.shape)}")
            empty = torch.empty(new.shape, dtype=tensor.dtype)
            if isinstance(tensor, nn.Parameter):
                setattr(module, key, nn.Parameter(empty))
            else:
                module.register_buffer(key, empty)
        _say_sizes(module)
    model.load_state_dict(dict(state))


def _say_sizes(module: nn.Module) -> None:
    axes = AXES.get(type(module).__name__, Axes())
    if isinstance(module, nn.Conv1d) and module.groups > 1:  # depthwise
        module.groups = n_outputs(module)
    if axes.n_inputs:
        setattr(module, axes.n_inputs, n_inputs(module))
    if axes.n_outputs:
        setattr(module, axes.n_outputs, n_outputs(module))
