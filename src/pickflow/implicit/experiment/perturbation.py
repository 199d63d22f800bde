"""What happens to waveforms between the ground and a picker: noise, gains, lost samples and gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.datasets.signals import make_noise
from pickflow.implicit.experiment.data import LEAST_NOISE_SAMPLES, MARGIN_S, WindowSet, number_of

Array32 = NDArray[np.float32]
Change = Callable[[Array32, dict[str, float], float, np.random.Generator], Array32]


def perturb(windows: WindowSet, kind: str, level: float, seed: int) -> WindowSet:
    """
    Windows after a perturbation; the arrivals stay where they are.

    Parameters
    ----------
    windows : WindowSet
    kind : str
        One of `KINDS`.
    level : float
        How strong; 0 leaves the windows as they are. See the section ``implicit.perturbations`` of a configuration.
    seed : int
        The same draws for all levels of a kind, so that levels can be compared.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"perturbation {kind!r} is unknown; known are {', '.join(KINDS)}")
    if level == 0:
        return windows
    change, number = KINDS[kind], list(KINDS).index(kind)
    changed = [
        change(samples, arrivals, level, np.random.default_rng([seed, number, number_of(name)]))
        for samples, arrivals, name in zip(windows.samples, windows.arrivals, windows.window_names, strict=True)
    ]
    return windows.with_samples(np.stack(changed).astype(np.float32))


def _noise(samples: Array32, arrivals: dict[str, float], level: float, rng: np.random.Generator) -> Array32:
    noise = make_noise(rng, max(samples.shape[1], LEAST_NOISE_SAMPLES))[:, : samples.shape[1]]
    return samples + noise * np.float32(level * samples.std() / max(float(noise.std()), 1e-12))


def _gain(samples: Array32, arrivals: dict[str, float], level: float, rng: np.random.Generator) -> Array32:
    return samples * np.exp(level * rng.standard_normal((len(samples), 1))).astype(np.float32)


def _dropout(samples: Array32, arrivals: dict[str, float], level: float, rng: np.random.Generator) -> Array32:
    centred = samples - samples.mean(axis=1, keepdims=True)
    return centred * (rng.random(samples.shape[1]) >= level)


def _gap(samples: Array32, arrivals: dict[str, float], level: float, rng: np.random.Generator) -> Array32:
    """Zeros from a random sample on that cover no arrival; nothing where there is no such sample."""
    n_samples, length = samples.shape[1], round(level * SAMPLING_RATE_HZ)
    starts, margin = np.arange(max(n_samples - length, 0) + 1), MARGIN_S * SAMPLING_RATE_HZ
    for at in arrivals.values():
        starts = starts[(at < starts - margin) | (at > starts + length + margin)]
    centred = samples - samples.mean(axis=1, keepdims=True)
    chosen = rng.random()
    if len(starts):
        first = starts[int(chosen * len(starts))]
        centred[:, first : first + length] = 0.0
    return centred


KINDS: dict[str, Change] = {"noise": _noise, "gain": _gain, "dropout": _dropout, "gap_s": _gap}
