"""Layers of other widths inside a published architecture: how a compressed picker keeps its class."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

# Attributes of layers that repeat what the shape of a parameter says: parameter, its axis, attribute.
_SIZES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Conv1d": (("weight", 0, "out_channels"),),
    "ConvTranspose1d": (("weight", 0, "in_channels"), ("weight", 1, "out_channels")),
    "BatchNorm1d": (("running_mean", 0, "num_features"),),
    "Linear": (("weight", 0, "out_features"), ("weight", 1, "in_features")),
    "LSTM": (("weight_ih_l0", 1, "input_size"),),
    "ActivationLSTMCell": (("weight_ih", 1, "input_size"),),
}


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
            if type(module).__name__ not in _SIZES or new.ndim != tensor.ndim:
                raise RuntimeError(f"{prefix}{key} has the shape {tuple(new.shape)}, not {tuple(tensor.shape)}")
            empty = torch.empty(new.shape, dtype=tensor.dtype)
            if isinstance(tensor, nn.Parameter):
                setattr(module, key, nn.Parameter(empty))
            else:
                module.register_buffer(key, empty)
        _say_sizes(module)
    model.load_state_dict(dict(state))


def _say_sizes(module: nn.Module) -> None:
    for parameter, axis, attribute in _SIZES.get(type(module).__name__, ()):
        setattr(module, attribute, getattr(module, parameter).shape[axis])
    if isinstance(module, nn.Conv1d):
        if module.groups > 1:  # depthwise
            module.groups = module.out_channels
        module.in_channels = module.weight.shape[1] * module.groups
