"""How large activations get: windows of noise, events and faults through a network in float32."""

from __future__ import annotations

import numpy as np
import scipy.signal

from pickflow.kernels.network import Network
from pickflow.kernels.program import Buffer, Program

N_WINDOWS = 64
# A cut activation costs more than coarse steps do: at 3, white noise after a jump cost 0.13 of PhaseNetLight's
# probability, at 6 nothing is worse than 0.03, and beyond it the steps begin to tell.
HEADROOM = 6.0
_LEAST_SHARE = 1 / 4  # of a buffer's largest activation: the least range of its quiet channels


def activation_ranges(network: Network, program: Program) -> dict[Buffer, np.ndarray]:
    """
    Largest activations of every channel, with headroom.

    Parameters
    ----------
    network : Network
        In float32.
    program : Program
        That of the network, its buffers not shared.

    Returns
    -------
    dict of Buffer to ndarray, shape (n_channels,)
    """
    n_components, n_samples = network.window_shape
    windows = synthetic_windows(n_components, n_samples)
    ranges = {buffer: np.zeros(buffer.n_channels) for buffer in program.buffers}
    for first in range(0, N_WINDOWS, network.lanes):
        network.predict_cuts([list(windows[:, index]) for index in range(first, min(first + network.lanes, N_WINDOWS))])
        for buffer, largest in ranges.items():
            np.maximum(largest, np.abs(network.activations(buffer)).max(axis=(1, 2)), out=largest)
    return {buffer: HEADROOM * np.maximum(x, max(_LEAST_SHARE * x.max(), 1e-12)) for buffer, x in ranges.items()}


def synthetic_windows(n_components: int, n_samples: int) -> np.ndarray:
    """
    Noise of all colours; events of all sizes and bands in it, some clipped; spikes, steps, bursts, single tones.

    Returns
    -------
    ndarray, shape (n_components, N_WINDOWS, n_samples)
    """
    rng = np.random.default_rng(0)
    time = np.arange(n_samples)
    windows = np.empty((n_components, N_WINDOWS, n_samples))
    for index in range(N_WINDOWS):
        colour = (0.0, 0.5, 0.9, 0.99)[index % 4]
        white = rng.standard_normal((n_components, n_samples))
        noise = scipy.signal.lfilter([1.0], [1.0, -colour], white, axis=-1)
        onset, delay = rng.uniform(0.05, 0.8) * n_samples, rng.uniform(0.02, 0.3) * n_samples
        size = 10 ** rng.uniform(0, 4)
        event = np.zeros_like(noise)
        for arrival, share in ((onset, 0.3), (onset + delay, 1.0)):
            since = np.maximum(time - arrival, 0.0)
            envelope = share * size * (since > 0) * np.exp(-since / rng.uniform(50, 1000))
            carrier = np.sin(rng.uniform(0.05, 1.5) * since + rng.uniform(0, 6, (n_components, 1)))
            event += envelope * (carrier + rng.uniform(0, 1) * rng.permuted(noise, axis=-1))
        windows[:, index] = _with_fault(index // 4 % 7, noise + event, onset, size, rng)
    return windows


def _with_fault(kind: int, window: np.ndarray, onset: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """One window, spoilt in one of the ways that records are; kinds 0 and 6 are left alone."""
    time = np.arange(window.shape[-1])
    if kind == 1:
        return np.asarray(window + 100 * size * (time == int(onset)))
    if kind == 2:
        return np.asarray(window + 10 * size * (time > onset))
    if kind == 3:
        return np.clip(window, -0.3 * size, 0.3 * size)
    if kind == 4:
        return np.asarray(np.sin(rng.uniform(0.01, 3) * time) + 1e-3 * window)
    if kind == 5:
        return np.asarray(rng.standard_normal(window.shape) * np.where(time > onset, rng.uniform(2, 20), 1.0))
    return window
