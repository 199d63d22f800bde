"""How large activations get: windows of noise, events and faults through a network in float32."""

from __future__ import annotations

import numpy as np

from pickflow.kernels.network import Network
from pickflow.kernels.program import Buffer, Program

N_WINDOWS = 48
HEADROOM = 1.5  # activations beyond the largest ones seen here are cut
_LEAST_SHARE = 1 / 64  # of a buffer's largest activation: the least range of its quiet channels


def activation_ranges(network: Network, program: Program) -> dict[Buffer, np.ndarray]:
    """
    Largest activations of every channel, with headroom.

    Parameters
    ----------
    network : Network
        In float32, of a program that reuses no buffers.
    program : Program
        That program.

    Returns
    -------
    dict of Buffer to ndarray, shape (n_channels,)
    """
    n_components, n_samples = network.window_shape
    records = synthetic_windows(n_components, n_samples).reshape(n_components, -1)
    ranges = {buffer: np.zeros(buffer.n_channels) for buffer in program.buffers}
    starts = np.arange(N_WINDOWS) * n_samples
    for first in range(0, N_WINDOWS, network.lanes):
        network.predict_record(list(records), starts[first : first + network.lanes])
        for buffer, largest in ranges.items():
            np.maximum(largest, np.abs(network.activations(buffer)).max(axis=(1, 2)), out=largest)
    return {buffer: HEADROOM * np.maximum(x, max(_LEAST_SHARE * x.max(), 1e-12)) for buffer, x in ranges.items()}


def synthetic_windows(n_components: int, n_samples: int) -> np.ndarray:
    """
    Noise; events of all sizes in it, some clipped; spikes, steps and single tones.

    Returns
    -------
    ndarray, shape (n_components, N_WINDOWS, n_samples)
    """
    rng = np.random.default_rng(0)
    time = np.arange(n_samples)
    windows = np.cumsum(rng.standard_normal((n_components, N_WINDOWS, n_samples)), axis=-1)
    windows = windows - 0.9 * np.roll(windows, 1, axis=-1)
    for index in range(N_WINDOWS):
        onset, delay = rng.uniform(0.05, 0.8) * n_samples, rng.uniform(0.02, 0.3) * n_samples
        size = 10 ** rng.uniform(0, 4)
        for arrival, share in ((onset, 0.3), (onset + delay, 1.0)):
            since = np.maximum(time - arrival, 0.0)
            envelope = share * size * (since > 0) * np.exp(-since / rng.uniform(50, 1000))
            carrier = np.sin(rng.uniform(0.05, 1.5) * since + rng.uniform(0, 6, (n_components, 1)))
            windows[:, index] += envelope * (carrier + 0.5 * rng.standard_normal((n_components, n_samples)))
        kind = index % 6
        if kind == 1:
            windows[:, index, int(onset)] += 100 * size
        elif kind == 2:
            windows[:, index] += 10 * size * (time > onset)
        elif kind == 3:
            windows[:, index] = np.clip(windows[:, index], -0.3 * size, 0.3 * size)
        elif kind == 4:
            windows[:, index] = np.sin(rng.uniform(0.01, 3) * time) + 1e-3 * windows[:, index]
    return windows
