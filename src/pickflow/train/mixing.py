"""Training windows: pool entries put together, shifted, spoilt and labelled anew each time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.datasets.signals import Signal
from pickflow.run.settings.train import TrainParams
from pickflow.train.labels import bells
from pickflow.train.pools import Labelled

Array32 = NDArray[np.float32]

# A phase with a peak below the first ratio to the noise is not there; above the second it certainly is.
_FAINT_DB, _CLEAR_DB = 6.0, 14.0
_SNR_RANGE_DB = (0.0, 50.0)


@dataclass(frozen=True, kw_only=True)
class Pools:
    """What windows are mixed from; the real ones may be empty."""

    signals: list[Signal]
    noise: list[Array32]
    real_noise: list[Array32]
    continuous: list[Labelled]
    labelled: list[Labelled]


def draw_batch(pools: Pools, params: TrainParams, n_samples: int, rng: np.random.Generator) -> tuple[Array32, Array32]:
    """
    Mix a batch of training windows.

    Parameters
    ----------
    pools : Pools
        What to mix.
    params : TrainParams
        Batch size, shares and width of the labels.
    n_samples : int
        Length of a window.
    rng : Generator
        Source of randomness.

    Returns
    -------
    windows : ndarray, shape (batch_size, 3, n_samples)
        Arbitrary units.
    phases : ndarray, shape (batch_size, 2, n_samples)
        Probability of P and S.
    """
    shares = params.shares
    weights = {
        "synthetic": shares.synthetic,
        "noise": shares.noise,
        "continuous": shares.continuous if pools.continuous else 0.0,
        "labelled": shares.labelled if pools.labelled else 0.0,
    }
    kinds = rng.choice(
        list(weights), size=params.batch_size, p=np.array(list(weights.values())) / sum(weights.values())
    )
    windows = np.empty((params.batch_size, 3, n_samples), dtype=np.float32)
    phases = np.empty((params.batch_size, 2, n_samples), dtype=np.float32)
    for index, kind in enumerate(kinds):
        window, probability = _draw(str(kind), pools, params, n_samples, rng)
        windows[index], phases[index] = augment(window, probability, rng)
    return windows, phases


def _draw(
    kind: str, pools: Pools, params: TrainParams, n_samples: int, rng: np.random.Generator
) -> tuple[Array32, Array32]:
    if kind == "labelled":
        return _crop_around_pick(pools.labelled[rng.integers(len(pools.labelled))], n_samples, rng)
    if kind == "continuous":
        record = pools.continuous[rng.integers(len(pools.continuous))]
        # Every second window has an arrival near its middle: most of a quiet record is alike.
        if rng.random() < 0.5:
            return _crop_around_pick(record, n_samples, rng)
        return _crop(record, int(rng.integers(record.samples.shape[1] - n_samples)), n_samples)
    window = _background(pools, params, n_samples, rng)
    phases = np.zeros((2, n_samples), dtype=np.float32)
    if kind == "synthetic":
        for _ in range(rng.choice([1, 2, 3], p=[0.75, 0.2, 0.05])):
            signal = pools.signals[rng.integers(len(pools.signals))]
            window, phases = add_signal(window, phases, signal, params.label_sigma_s * SAMPLING_RATE_HZ, rng)
    return window, phases


def _crop(record: Labelled, first: int, n_samples: int) -> tuple[Array32, Array32]:
    cut = slice(first, first + n_samples)
    return record.samples[:, cut].copy(), record.probability[:, cut].copy()


def _crop_around_pick(record: Labelled, n_samples: int, rng: np.random.Generator) -> tuple[Array32, Array32]:
    """Window with a random arrival somewhere inside; records that are too short continue with zeros."""
    samples, probability = record.samples, record.probability
    missing = n_samples - samples.shape[1]
    if missing > 0:
        samples, probability = (np.pad(array, ((0, 0), (0, missing))) for array in (samples, probability))
    clear = np.flatnonzero(probability.max(axis=0) > 0.5)
    middle = int(rng.choice(clear)) if clear.size else samples.shape[1] // 2
    first = int(np.clip(middle - rng.integers(0, n_samples), 0, samples.shape[1] - n_samples))
    return _crop(Labelled(samples=samples, probability=probability), first, n_samples)


def _background(pools: Pools, params: TrainParams, n_samples: int, rng: np.random.Generator) -> Array32:
    real = pools.real_noise and rng.random() < params.real_noise_share
    pool = pools.real_noise if real else pools.noise
    noise = pool[rng.integers(len(pool))]
    first = rng.integers(noise.shape[1] - n_samples + 1)
    window = noise[:, first : first + n_samples].copy()
    return window[:, ::-1].copy() if rng.random() < 0.2 else window


def add_signal(
    window: Array32, phases: Array32, signal: Signal, sigma_samples: float, rng: np.random.Generator
) -> tuple[Array32, Array32]:
    """
    Put a synthetic earthquake somewhere into a window of unit-rms noise, at a random signal-to-noise ratio.

    Returns
    -------
    window : ndarray, shape (3, n_samples)
    phases : ndarray, shape (2, n_samples)
        Raised to the bells of the phases that stand above the noise; faint ones count in part.
    """
    n_samples = window.shape[1]
    snr_db = rng.uniform(*_SNR_RANGE_DB)
    first = int(rng.integers(-signal.samples.shape[1] // 2, n_samples - 250))
    begin, end = max(first, 0), min(first + signal.samples.shape[1], n_samples)
    window = window.copy()
    window[:, begin:end] += signal.samples[:, begin - first : end - first] * np.float32(10 ** (snr_db / 20))
    bell = bells({phase: at + first for phase, at in signal.picks.items()}, n_samples, sigma_samples)
    s_db = snr_db + 20 * np.log10(max(signal.s_over_p, 1e-3))
    certainty = np.clip((np.array([snr_db, s_db]) - _FAINT_DB) / (_CLEAR_DB - _FAINT_DB), 0, 1)
    return window, np.maximum(phases, bell * certainty[:, None].astype(np.float32))


def augment(window: Array32, phases: Array32, rng: np.random.Generator) -> tuple[Array32, Array32]:
    """
    Spoil a window in ways that leave its arrivals where they are.

    Polarity, rotated horizontals, gains, a band of frequencies, missing components, spikes, steps, clipping, coarse
    counts and gaps filled with zeros, which also take the labels inside away.
    """
    if rng.random() < 0.5:
        window = -window
    window = _rotate(window, rng)
    window = window * rng.lognormal(0, 0.3, (3, 1)).astype(np.float32)
    if rng.random() < 0.15:
        window = _band_limit(window, rng)
    if rng.random() < 0.20:
        window = _drop_components(window, rng)
    for chance, spoil in ((0.06, _spikes), (0.05, _step), (0.04, _clip), (0.06, _coarse)):
        if rng.random() < chance:
            window = spoil(window, rng)
    if rng.random() < 0.10:
        window, phases = _blank(window, phases, rng)
    return window, phases


def _rotate(window: Array32, rng: np.random.Generator) -> Array32:
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    if not (window[1].any() and window[2].any()):
        return window
    return np.stack([window[0], cosine * window[1] - sine * window[2], sine * window[1] + cosine * window[2]])


def _band_limit(window: Array32, rng: np.random.Generator) -> Array32:
    """Causal low-pass or high-pass."""
    kind, corner = ("lowpass", rng.uniform(8, 40)) if rng.random() < 0.5 else ("highpass", rng.uniform(0.5, 4))
    sos = scipy.signal.butter(2, corner, kind, fs=SAMPLING_RATE_HZ, output="sos")
    return scipy.signal.sosfilt(sos, window - window[:, :1], axis=1).astype(np.float32)


def _drop_components(window: Array32, rng: np.random.Generator) -> Array32:
    keep = ([1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1])[rng.integers(5)]
    return window * np.array(keep, dtype=np.float32)[:, None]


def _spikes(window: Array32, rng: np.random.Generator) -> Array32:
    window = window.copy()
    components = rng.random(3) < 0.7
    for _ in range(rng.integers(1, 4)):
        at, width = rng.integers(window.shape[1] - 4), rng.integers(1, 4)
        height = np.abs(window).mean() * 10 ** rng.uniform(0.5, 3) * rng.choice([-1, 1])
        window[components, at : at + width] += np.float32(height)
    return window


def _step(window: Array32, rng: np.random.Generator) -> Array32:
    window = window.copy()
    at = rng.integers(window.shape[1])
    height = np.abs(window).mean() * 10 ** rng.uniform(0.3, 2.5) * rng.choice([-1, 1])
    window[rng.random(3) < 0.7, at:] += np.float32(height)
    return window


def _clip(window: Array32, rng: np.random.Generator) -> Array32:
    level = np.abs(window).max() * rng.uniform(0.05, 0.6)
    return np.clip(window, -level, level)


def _coarse(window: Array32, rng: np.random.Generator) -> Array32:
    """Few counts, as a weak sensor gives."""
    count = np.abs(window - window.mean(axis=1, keepdims=True)).mean() * 10 ** rng.uniform(-1, 0.3)
    return np.round(window / count).astype(np.float32) if count > 0 else window


def _blank(window: Array32, phases: Array32, rng: np.random.Generator) -> tuple[Array32, Array32]:
    """Zeros at one end or in the middle."""
    window, phases = window - window.mean(axis=1, keepdims=True), phases.copy()
    n_samples = window.shape[1]
    length = int(rng.integers(100, n_samples // 2))
    first = int(rng.choice([0, n_samples - length, rng.integers(n_samples - length)]))
    cut = slice(first, first + length)
    window[:, cut], phases[:, cut] = 0, 0
    # The rest of a bell that was cut through would be a pick without a wave.
    for row in range(2):
        for edge in (first, first + length):
            around = slice(max(edge - 60, 0), edge + 60)
            if phases[row, around].size and phases[row, around].max(initial=0) < 0.99:
                phases[row, around] = 0
    return window, phases
