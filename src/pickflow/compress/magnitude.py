"""The baseline: channels with small weights are removed (Li et al. 2017), and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from pickflow.compress.channels import Wiring
from pickflow.compress.costs import Costs


def weight_sizes(model: nn.Module, wiring: Wiring) -> dict[str, np.ndarray]:
    """Mean absolute weight of the filters that write each channel, by the name of the set."""
    sizes = {}
    for channel_set in wiring.sets:
        filter_sizes = []
        for name in channel_set.writers:
            layer = model.get_submodule(name)
            axis = 1 if isinstance(layer, nn.ConvTranspose1d) else 0
            filter_sizes.append(layer.weight.detach().abs().movedim(axis, 0).flatten(1).mean(dim=1).double().numpy())  # type: ignore[operator, union-attr]
        sizes[channel_set.name] = np.mean([size / (size.mean() or 1.0) for size in filter_sizes], axis=0)
    return sizes


def by_magnitude(
    wiring: Wiring, norms: Mapping[str, np.ndarray], costs: Costs, budget: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """
    The baseline: channels with the smallest weights are removed (Li et al. 2017), by one threshold for all layers.

    Parameters
    ----------
    wiring : Wiring
        Of the teacher.
    norms : mapping of str to ndarray
        Size of each channel's weights, by the name of the set; they are compared after division by the layer's mean.
    costs, budget
        See `pickflow.compress.selection.choose`.

    Raises
    ------
    ValueError
        If not even one channel everywhere keeps the budget, naming the layer that costs most.
    """
    sizes = {
        channel_set.name: norms[channel_set.name] / (norms[channel_set.name].mean() or 1.0)
        for channel_set in wiring.sets
    }
    best = {name: np.array([int(np.argmax(size))]) for name, size in sizes.items()}
    for measure, share in budget.items():
        minimum = costs.share(dict.fromkeys(best, 1), measure)
        if minimum > share:
            raise ValueError(
                f"compress.target {measure} {share:g}: one channel everywhere leaves {minimum:.3g};"
                f" layer {costs.costliest(dict.fromkeys(best, 1), measure)} costs most; ask for more"
            )
    for threshold in np.unique(np.concatenate(list(sizes.values())))[::-1]:
        selection = {name: np.flatnonzero(size >= min(threshold, size.max())) for name, size in sizes.items()}
        widths = {name: channels.size for name, channels in selection.items()}
        if any(costs.share(widths, measure) > share for measure, share in budget.items()):
            break
        best = selection
    return best
