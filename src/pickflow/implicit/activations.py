"""
Blocks of the activation φ: each turns a range of pre-activations z into a range of states x.

Arrays hold one window per column. ``lipschitz`` is a bound of a block's constant in the maximum norm, or None where
there is none that holds everywhere: products (the gates of an LSTM, mixtures of values) and divisions by a deviation
have none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.special import expit, softmax


class Activation(ABC):
    """
    A block of φ.

    Attributes
    ----------
    n_rows : int
        Pre-activations that it takes.
    n_states : int
        States that it makes.
    lipschitz : float or None
        Bound of ‖φ(z) − φ(z')‖∞ / ‖z − z'‖∞.
    n_channels : int
        Channels of its states, which stand one after the other, with as many samples each.
    homogeneous : bool
        Whether φ(s z) = s φ(z) for s > 0.
    """

    homogeneous = False

    def __init__(self, n_rows: int, n_states: int, lipschitz: float | None, n_channels: int):
        self.n_rows = n_rows
        self.n_states = n_states
        self.lipschitz = lipschitz
        self.n_channels = n_channels

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """States, shape (n_states, n_windows), of pre-activations, shape (n_rows, n_windows)."""
        return self._states(z)

    @abstractmethod
    def _states(self, z: np.ndarray) -> np.ndarray: ...


def hard_sigmoid(z: np.ndarray) -> np.ndarray:
    """The sigmoid of old Keras in three straight pieces."""
    return np.clip(0.2 * z + 0.5, 0.0, 1.0)


_FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "identity": (lambda z: z, 1.0),
    "relu": (lambda z: np.maximum(z, 0.0), 1.0),
    "tanh": (np.tanh, 1.0),
    "sigmoid": (expit, 0.25),
    "hard_sigmoid": (hard_sigmoid, 0.2),
}
FUNCTIONS = tuple(_FUNCTIONS)
_HOMOGENEOUS = ("identity", "relu")


class Elementwise(Activation):
    """
    One function on every pre-activation.

    Parameters
    ----------
    function : str
        One of `FUNCTIONS`.
    n_rows : int
    n_channels : int
    """

    def __init__(self, function: str, n_rows: int, n_channels: int = 1):
        super().__init__(n_rows, n_rows, _FUNCTIONS[function][1], n_channels)
        self.function = function
        self.homogeneous = function in _HOMOGENEOUS

    def _states(self, z: np.ndarray) -> np.ndarray:
        return _FUNCTIONS[self.function][0](z)


class MaxPool(Activation):
    """
    Largest of each group of neighbours, after one function; the last group of a channel may be short.

    Parameters
    ----------
    n_channels, n_samples : int
        The pre-activations, channel by channel.
    size : int
        Samples per group.
    function : str
        One of `FUNCTIONS`; all of them are monotonous, so that it does not matter whether it comes before or after.
    """

    def __init__(self, n_channels: int, n_samples: int, size: int, function: str = "identity"):
        self.n_groups = -(-n_samples // size)
        super().__init__(n_channels * n_samples, n_channels * self.n_groups, _FUNCTIONS[function][1], n_channels)
        self.n_samples = n_samples
        self.size = size
        self.function = function
        self.homogeneous = function in _HOMOGENEOUS

    def _states(self, z: np.ndarray) -> np.ndarray:
        samples = z.reshape(self.n_channels, self.n_samples, -1)
        missing = self.n_groups * self.size - self.n_samples
        samples = np.pad(samples, ((0, 0), (0, missing), (0, 0)), constant_values=-np.inf)
        largest = samples.reshape(self.n_channels * self.n_groups, self.size, -1).max(axis=1)
        return _FUNCTIONS[self.function][0](largest)


class LstmStep(Activation):
    """
    Gates of one step of an LSTM.

    Takes the pre-activations of the gates i, f, g and o and a copy of the cell c of the step before; makes the
    outputs h and the cells c of this step.

    Parameters
    ----------
    n_hidden : int
    gate : str
        ``sigmoid`` or ``hard_sigmoid``.
    """

    def __init__(self, n_hidden: int, gate: str = "sigmoid"):
        super().__init__(5 * n_hidden, 2 * n_hidden, None, 2 * n_hidden)
        self.n_hidden = n_hidden
        self.gate = gate

    def _states(self, z: np.ndarray) -> np.ndarray:
        input_gate, forget_gate, candidate, output_gate, before = np.split(z, 5)
        gate = _FUNCTIONS[self.gate][0]
        cell = gate(forget_gate) * before + gate(input_gate) * np.tanh(candidate)
        return np.concatenate([gate(output_gate) * np.tanh(cell), cell])


class AttentionMixture(Activation):
    """
    Mixtures of values, with weights that are nearly a softmax of energies.

    Takes the energies (query by query, for every key) and the values (channel by channel); makes one mixture per
    query, channel by channel. The weights are exp(e − max e) / (Σ exp(e − max e) + ε), as in SeisBench's
    ``SeqSelfAttention``; keys outside the width weigh nothing, but do take part in the maximum.

    Parameters
    ----------
    n_channels, n_samples : int
    epsilon : float
    width : int or None
        A query at q sees keys from q − width + 1 + width // 2 to q + width // 2; all of them unless given.
    """

    def __init__(self, n_channels: int, n_samples: int, epsilon: float, width: int | None = None):
        super().__init__(n_samples**2 + n_channels * n_samples, n_channels * n_samples, None, n_channels)
        self.n_samples = n_samples
        self.epsilon = epsilon
        self.width = width

    def _states(self, z: np.ndarray) -> np.ndarray:
        n_samples = self.n_samples
        energies = z[: n_samples**2].reshape(n_samples, n_samples, -1)
        values = z[n_samples**2 :].reshape(self.n_channels, n_samples, -1)
        weights = np.exp(energies - energies.max(axis=1, keepdims=True))
        if self.width is not None:
            distance = np.arange(n_samples)[:, None] - np.arange(n_samples)
            in_window = (distance >= -(self.width // 2)) & (distance < self.width - self.width // 2)
            weights = weights * in_window[:, :, None]
        weights /= weights.sum(axis=1, keepdims=True) + self.epsilon
        return np.einsum("qkn,ckn->cqn", weights, values).reshape(self.n_states, -1)


class LayerNorm(Activation):
    """
    Values of all channels at a sample, scaled to zero mean and unit variance, then by γ and β of each channel.

    Parameters
    ----------
    gamma, beta : ndarray, shape (n_channels,)
    n_samples : int
    epsilon : float
        Added to the variance.
    """

    def __init__(self, gamma: np.ndarray, beta: np.ndarray, n_samples: int, epsilon: float):
        super().__init__(len(gamma) * n_samples, len(gamma) * n_samples, None, len(gamma))
        self.gamma = gamma
        self.beta = beta
        self.n_samples = n_samples
        self.epsilon = epsilon

    def _states(self, z: np.ndarray) -> np.ndarray:
        centred = z.reshape(len(self.gamma), self.n_samples, -1)
        centred = centred - centred.mean(axis=0)
        scaled = centred / np.sqrt((centred**2).mean(axis=0) + self.epsilon)
        return (scaled * self.gamma[:, None, None] + self.beta[:, None, None]).reshape(self.n_states, -1)


class Softmax(Activation):
    """
    Probabilities of the channels at each sample.

    Parameters
    ----------
    n_channels, n_samples : int
        The pre-activations, channel by channel.
    """

    def __init__(self, n_channels: int, n_samples: int):
        # Row j of the Jacobian is pⱼ(δⱼₖ − pₖ): its absolute sum is 2 pⱼ(1 − pⱼ) ≤ 1/2.
        super().__init__(n_channels * n_samples, n_channels * n_samples, 0.5, n_channels)
        self.n_samples = n_samples

    def _states(self, z: np.ndarray) -> np.ndarray:
        return softmax(z.reshape(self.n_channels, self.n_samples, -1), axis=0).reshape(self.n_states, -1)
