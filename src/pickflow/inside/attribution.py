"""Which components and which samples decide: exact Shapley values, and occlusion that grows from both ends."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import comb
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.inside.network import Network
from pickflow.inside.windows import Window

Array = NDArray[np.float64]

# The arrival of a curve is where it is highest, so far from the true one at most.
REACH_S = 2.0
# The probability at an arrival is the highest so near it: a pick that is a few samples late is no lost one.
NEAR_S = 0.1
N_SEGMENTS = 120
_BATCH_SIZE = 32


class Attribution(NamedTuple):
    """
    Shares of components and of samples in what a picker says about a phase of a window.

    Attributes
    ----------
    phase : str
    probability, time_error_s : ndarray, shape (n_components,)
        Shapley values of the probability and of the time error; they add up to ``whole - nothing``.
    whole, nothing : tuple of float
        Probability and time error with all components and with none.
    segments : ndarray, shape (N_SEGMENTS,)
        Shares of neighbouring stretches of the window in the probability; they add up to ``whole - nothing``.
    """

    phase: str
    probability: Array
    time_error_s: Array
    whole: tuple[float, float]
    nothing: tuple[float, float]
    segments: Array


def attribute(network: Network, window: Window, inputs: Tensor) -> list[Attribution]:
    """
    Attribute what a picker says about each phase of a window.

    What is absent is zero, in the window as the network takes it: so pickers are trained, with dropped components and
    with gaps. In a window without an arrival of a phase, its highest probability is taken, and there is no time error.

    Parameters
    ----------
    network : Network
        From `pickflow.inside.network.open_network`.
    window : Window
        With its truth.
    inputs : Tensor, shape (n_components, in_samples)
        The window as the network takes it, from `Network.inputs`.

    Notes
    -----
    Components: Shapley (1953), over all coalitions of three. Samples: the mean of revealing a window from its beginning
    and from its end, stretch by stretch. Both orders show the network a window with a gap at one end, as it knows them
    from its training, and the shares add up to the whole for any network; integrated gradients (Sundararajan et al.
    2017) do not for those that scale a window themselves, which see the same window all the way down to zero.
    """
    coalitions = _coalitions(inputs.shape[0])
    windows = torch.stack([inputs * torch.tensor(members, dtype=inputs.dtype)[:, None] for members in coalitions])
    by_coalition = _probabilities(network, windows)
    edges = np.linspace(0, inputs.shape[1], N_SEGMENTS + 1).round().astype(int)
    from_begin, from_end = (_probabilities(network, _revealed(inputs, edges, end)) for end in (False, True))
    attributions = []
    for row, phase in enumerate(network.phases):
        values = [measure(network, window, phase, curve) for curve in by_coalition[:, row]]
        probability, error_s = np.array(values).T
        steps = [
            np.diff([measure(network, window, phase, curve)[0] for curve in curves[:, row]])
            for curves in (from_begin, from_end)
        ]
        attributions.append(
            Attribution(
                phase=phase,
                probability=shapley_values(probability),
                time_error_s=shapley_values(error_s),
                whole=(float(probability[-1]), float(error_s[-1])),
                nothing=(float(probability[0]), float(error_s[0])),
                segments=(steps[0] + steps[1][::-1]) / 2,
            )
        )
    return attributions


def shapley_values(values: Array) -> Array:
    """
    Exact Shapley values.

    Parameters
    ----------
    values : ndarray, shape (2 ** n,)
        Of each coalition of n players, in the order of `_coalitions`: player i is in coalition k if bit i of k is set.

    Returns
    -------
    ndarray, shape (n,)
        They add up to ``values[-1] - values[0]``.
    """
    n = int(np.log2(len(values)))
    shares = np.zeros(n)
    for player in range(n):
        partners = [partner for partner in range(n) if partner != player]
        for size in range(n):
            weight = 1 / (n * comb(n - 1, size))
            for members in combinations(partners, size):
                coalition = sum(1 << member for member in members)
                shares[player] += weight * (values[coalition | 1 << player] - values[coalition])
    return shares


def measure(network: Network, window: Window, phase: str, curve: NDArray[np.float32]) -> tuple[float, float]:
    """
    Probability and time error of a phase.

    Parameters
    ----------
    network : Network
        Says which samples are judged.
    window : Window
        With its truth.
    phase : str
        Whose arrival is meant.
    curve : ndarray, shape (n_samples,)
        Its probability.

    Returns
    -------
    tuple of float
        The highest probability within `NEAR_S` of the arrival, and how far, in s, the highest within `REACH_S` is from
        it. Without an arrival the highest of all, and NaN.
    """
    at = window.picks.get(phase)
    if at is None:
        return float(curve[network.judged].max()), float("nan")
    neighbourhood, reach = (
        slice(max(round(at - width * SAMPLING_RATE_HZ), 0), round(at + width * SAMPLING_RATE_HZ) + 1)
        for width in (NEAR_S, REACH_S)
    )
    peak = reach.start + int(np.argmax(curve[reach]))
    return float(curve[neighbourhood].max()), abs(peak - at) / SAMPLING_RATE_HZ


def _coalitions(n: int) -> list[list[int]]:
    return [[number >> player & 1 for player in range(n)] for number in range(2**n)]


def _revealed(inputs: Tensor, edges: NDArray[np.int64], from_end: bool) -> Tensor:
    """A window of which more and more is there, from nothing to all of it."""
    stages = [torch.zeros_like(inputs)]
    pairs = list(pairwise(edges.tolist()))
    for first, last in reversed(pairs) if from_end else pairs:
        stages.append(stages[-1].clone())
        stages[-1][:, first:last] = inputs[:, first:last]
    return torch.stack(stages)


def _probabilities(network: Network, inputs: Tensor) -> NDArray[np.float32]:
    return np.concatenate([network.probabilities(batch) for batch in inputs.split(_BATCH_SIZE)])
