"""What each layer of a picker makes of a window: its output and, of attention, its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pickflow.inside.network import ATTENTION, RECURRENT, Network, kind_of

Array32 = NDArray[np.float32]


class Recording(NamedTuple):
    """
    What happened in a network.

    Attributes
    ----------
    features : dict of str to ndarray, shape (n_windows, n_channels, n_samples)
        By the key of the layer: what the layers behind it read, after the normalisation and the rectifier that follow
        it at once.
    attention : dict of str to ndarray, shape (n_windows, n_samples, n_samples)
        By the key of the layer: row i says how much each sample counts for the output at sample i.
    """

    features: dict[str, Array32]
    attention: dict[str, Array32]


def record(network: Network, inputs: Tensor) -> Recording:
    """
    Record a forward pass.

    Parameters
    ----------
    network : Network
        From `open_network`.
    inputs : Tensor, shape (n_windows, n_components, in_samples)
        From `Network.inputs`.
    """
    outputs: dict[tuple[str, int], Any] = {}
    watched = {name for layer in network.layers for name in (layer.name, layer.norm) if name}
    with _watching(network.model, watched, outputs):
        network.probabilities(inputs)
    features, attention = {}, {}
    for layer in network.layers:
        output = outputs[layer.name, layer.use]
        module = network.model.get_submodule(layer.name)
        if layer.norm and (layer.norm, layer.use) in outputs:
            feature = outputs[layer.norm, layer.use]
        else:
            feature = by_channel(module, output)
        features[layer.key] = np.asarray((torch.relu(feature) if layer.rectified else feature).numpy())
        weights = attention_weights(module, output)
        if weights is not None:
            attention[layer.key] = np.asarray(weights.numpy())
    return Recording(features, attention)


def by_channel(module: nn.Module, output: Any) -> Tensor:
    """Output of a layer with the axes (window, channel, sample)."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    kind = kind_of(module)
    if kind in RECURRENT:
        first = getattr(module, "batch_first", False)
        return tensor.transpose(1, 2) if first else tensor.permute(1, 2, 0)
    return tensor.transpose(1, 2) if kind in ("Linear", "MultiheadAttention") else tensor


def attention_weights(module: nn.Module, output: Any) -> Tensor | None:
    """Weights that an attention layer gives beside its output; None of any other layer."""
    if kind_of(module) not in ATTENTION or not isinstance(output, tuple):
        return None
    weights = output[1]
    return weights if isinstance(weights, Tensor) and weights.ndim == 3 else None


@contextmanager
def _watching(model: nn.Module, names: set[str], outputs: dict[tuple[str, int], Any]) -> Iterator[None]:
    uses: dict[str, int] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            use = uses[name] = uses.get(name, -1) + 1
            outputs[name, use] = output

        return hook

    handles = [model.get_submodule(name).register_forward_hook(watch(name)) for name in sorted(names)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
