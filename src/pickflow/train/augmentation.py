"""Changes that make many windows of one record; drawn for a whole batch, applied to all of its windows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from pickflow.run.settings.training import Augmentation

Array32 = NDArray[np.float32]

SLOPES = (0.0, 1.0, 2.0)  # exponents of 1/f in the power of added noise: white, pink, brown
_TAPE_SAMPLES = 2**18  # long against a window; noise is cut from it anywhere
_SHORTEST_GAP = 100  # samples, 1 s at 100 Hz; 1 % of a window if that is shorter
_COMPONENTS = 3
_N_SPIKES = 3


@dataclass(frozen=True)
class Draws:
    """
    Random numbers of a batch, the first axis of each is the window.

    They are drawn for all windows of a batch, so that any share of them is the same in any process.
    """

    place: NDArray[np.float64]
    around: NDArray[np.bool_]
    shifted: NDArray[np.bool_]
    pick: NDArray[np.float64]
    second: NDArray[np.float64]  # share of the first one's peak; 0 for none
    second_place: NDArray[np.float64]
    rate: NDArray[np.float64]  # samples of the record per sample of the window, 1 or a little less
    noise: NDArray[np.float64]  # standard deviation as a share of the peak; 0 for none
    tape: NDArray[np.int64]
    tape_place: NDArray[np.float64]
    real_noise: NDArray[np.float64]
    real_place: NDArray[np.float64]
    real_record: NDArray[np.float64]
    gains: NDArray[np.float64]  # of each component, negative with reversed polarity
    dropped: NDArray[np.float64]  # rank of each component, and how many are dropped
    n_dropped: NDArray[np.int64]
    angle: NDArray[np.float64]  # 0 for none
    gap: NDArray[np.float64]  # length and place, shares of the longest and of what is left; 0 for none
    fault: NDArray[np.int64]  # which of `FAULTS`; -1 for none
    fault_size: NDArray[np.float64]
    fault_place: NDArray[np.float64]  # of up to `_N_SPIKES`

    def share(self, of: slice) -> Draws:
        """Those of some windows."""
        return Draws(**{name: values[of] for name, values in vars(self).items()})


def draw(settings: Augmentation, n: int, rng: np.random.Generator) -> Draws:
    """
    Draw the changes of a batch.

    Parameters
    ----------
    settings : Augmentation
        Probability and size of each change.
    n : int
        Windows of the whole batch.
    rng : Generator
        Source of randomness; what is drawn does not depend on which changes happen.
    """

    def chance(probability: float) -> NDArray[Any]:
        return rng.random(n) < probability

    def uniform(low: float, high: float) -> NDArray[np.float64]:
        return rng.uniform(low, high, n)

    ratio = np.exp(uniform(np.log(settings.second_least), np.log(settings.second_most)))
    polarity = np.where(chance(settings.polarity), -1.0, 1.0)
    spread = rng.normal(0, settings.amplitude_spread, (n, _COMPONENTS)) * chance(settings.amplitude)[:, None]
    jitter = uniform(0, settings.jitter_share)
    level = (settings.noise_least, settings.noise_most)
    return Draws(
        place=rng.random(n),
        around=chance(settings.around_arrivals),
        shifted=chance(settings.shift),
        pick=rng.random(n),
        second=ratio * chance(settings.second_event),
        second_place=rng.random(n),
        rate=1 - jitter * chance(settings.jitter),
        noise=uniform(*level) * chance(settings.noise),
        tape=rng.integers(len(SLOPES), size=n),
        tape_place=rng.random(n),
        real_noise=uniform(*level) * chance(settings.real_noise),
        real_place=rng.random(n),
        real_record=rng.random(n),
        gains=polarity[:, None] * np.exp(spread),
        dropped=rng.random((n, _COMPONENTS)),
        n_dropped=rng.integers(1, _COMPONENTS, size=n) * chance(settings.dropped_component),
        angle=uniform(-np.pi, np.pi) * chance(settings.rotation),
        gap=rng.random((n, 2)) * chance(settings.gap)[:, None],
        fault=np.where(chance(settings.fault), rng.integers(len(FAULTS), size=n), -1),
        fault_size=rng.random(n),
        fault_place=rng.random((n, _N_SPIKES)),
    )


def noise_tapes(seed: int) -> list[Array32]:
    """Long records of noise of unit standard deviation, one for each of `SLOPES`, shape (3, n_samples)."""
    rng = np.random.default_rng([seed, 12])
    frequency = np.maximum(np.fft.rfftfreq(_TAPE_SAMPLES), 1e-3)  # not below a thousandth of the sampling rate
    tapes = []
    for slope in SLOPES:
        spectrum = np.fft.rfft(rng.standard_normal((_COMPONENTS, _TAPE_SAMPLES))) * frequency ** (-slope / 2)
        tape = np.fft.irfft(spectrum, _TAPE_SAMPLES)
        tapes.append((tape / tape.std(axis=1, keepdims=True)).astype(np.float32))
    return tapes


def add_noise(windows: Array32, level: NDArray[np.float64], cuts: dict[int, Array32]) -> None:
    """
    Add noise to some windows, in place; missing components stay missing.

    Parameters
    ----------
    windows : ndarray, shape (n, 3, n_samples)
    level : ndarray, shape (n,)
        Standard deviation of the noise as a share of the window's peak.
    cuts : dict of int to ndarray, shape (3, n_samples)
        Noise of unit standard deviation by the index of its window.
    """
    for index, cut in cuts.items():
        window = windows[index]
        scale = np.float32(level[index]) * np.maximum(window.max(), -window.min())
        window += cut * (scale * present(window))


def present(window: Array32) -> Array32:
    """1 for each component that is there, 0 for one that is all zeros, shape (3, 1)."""
    return window.any(axis=1, keepdims=True).astype(np.float32)


def rotate(windows: Array32, angle: NDArray[np.float64]) -> None:
    """Turn the horizontal components (the second and third) of windows with an angle and both of them, in place."""
    for index in np.flatnonzero(angle):
        horizontal = windows[index, 1:]
        if horizontal[0].any() and horizontal[1].any():
            cosine, sine = np.cos(angle[index]), np.sin(angle[index])
            horizontal[:] = np.array([[cosine, -sine], [sine, cosine]], dtype=np.float32) @ horizontal


def kept_components(alive: NDArray[np.bool_], draws: Draws) -> NDArray[np.float64]:
    """
    1 for each component that is kept, 0 for one that is dropped, shape (n, 3).

    Parameters
    ----------
    alive : ndarray of bool, shape (n, 3)
        Components that are there; of those at least one is kept.
    draws : Draws
    """
    n_dropped = np.minimum(draws.n_dropped, np.maximum(alive.sum(axis=1) - 1, 0))
    rank = np.argsort(np.argsort(np.where(alive, draws.dropped, 2.0), axis=1), axis=1)
    return np.where(rank < n_dropped[:, None], 0.0, 1.0)


def _spikes(window: Array32, size: float, places: NDArray[np.float64]) -> Array32:
    """Up to three samples that are 3 to 1000 times the mean amplitude too high or too low."""
    height = np.abs(window).mean() * 10 ** (0.5 + 2.5 * size)
    spoilt = window.copy()
    for number, place in enumerate(places[: 1 + int(size * 1e3) % _N_SPIKES]):
        spoilt[:, int(place * window.shape[1])] += np.float32(height * (-1) ** number)
    return spoilt


def _step(window: Array32, size: float, places: NDArray[np.float64]) -> Array32:
    """A step of 2 to 300 times the mean amplitude."""
    spoilt = window.copy()
    spoilt[:, int(places[0] * window.shape[1]) :] += np.float32(np.abs(window).mean() * 10 ** (0.3 + 2.2 * size))
    return spoilt


def _clipping(window: Array32, size: float, _: NDArray[np.float64]) -> Array32:
    """Nothing above 5 to 60 % of the peak."""
    level = np.abs(window).max() * np.float32(0.05 + 0.55 * size)
    return np.clip(window, -level, level)


def _few_counts(window: Array32, size: float, _: NDArray[np.float64]) -> Array32:
    """Counts of a tenth to twice the mean amplitude, as a weak sensor gives."""
    count = np.abs(window).mean() * np.float32(10 ** (1.3 * size - 1))
    return np.round(window / count) * count if count > 0 else window


FAULTS = (_spikes, _step, _clipping, _few_counts)


def add_faults(windows: Array32, draws: Draws) -> None:
    """Put the faults of instruments into windows, in place; missing components stay missing."""
    for index in np.flatnonzero(draws.fault >= 0):
        window = windows[index]
        spoilt = FAULTS[draws.fault[index]](window, float(draws.fault_size[index]), draws.fault_place[index])
        window[:] = spoilt * present(window)


def gaps(draws: Draws, n_samples: int) -> NDArray[np.int64]:
    """First and last sample (excluded) of the gap of each window, which are equal where there is none."""
    shortest = min(_SHORTEST_GAP, n_samples // 100)
    length = np.where(draws.gap[:, 0] > 0, shortest + draws.gap[:, 0] * (n_samples // 2 - shortest), 0).astype(int)
    first = (draws.gap[:, 1] * (n_samples - length)).astype(int)
    return np.stack([first, first + length], axis=1)


def resample(window: Array32, rate: float, n_samples: int) -> Array32:
    """
    A window as it is when its samples are taken at another rate, by cubic interpolation (Catmull-Rom).

    Parameters
    ----------
    window : ndarray, shape (3, n)
        ``(n_samples - 1) * rate`` must lie inside of it.
    rate : float
        Samples of the window per new sample.
    n_samples : int
        Number of new samples.
    """
    at = np.arange(n_samples) * rate
    whole = np.minimum(at.astype(int), window.shape[1] - 2)
    part = (at - whole).astype(np.float32)
    before, first, second, after = (
        window[:, np.clip(whole + shift, 0, window.shape[1] - 1)] for shift in (-1, 0, 1, 2)
    )
    return first + 0.5 * part * (
        second
        - before
        + part * (2 * before - 5 * first + 4 * second - after + part * (3 * (first - second) + after - before))
    )


def noise_windows(records: list[Any], n_samples: int) -> list[Array32]:
    """
    Noise of unit standard deviation from records of noise, or from before P.

    Parameters
    ----------
    records : list of Record
    n_samples : int
        Least length; a shorter piece is continued by its mirror image.

    Returns
    -------
    list of ndarray, shape (3, n_samples or more)
        Empty if there is no noise of 5 s.
    """
    windows = []
    for record in records:
        end = record.samples.shape[1] if record.kind == "noise" else int(record.picks.get("P", 0)) - 150
        if end < 500:
            continue
        noise = scipy.signal.detrend(record.samples[:, :end], axis=1, type="constant")
        if not noise.any():
            continue
        noise = noise if end >= n_samples else continued(noise, n_samples)
        windows.append((noise / noise[noise.any(axis=1)].std()).astype(np.float32))
    return windows


def continued(noise: NDArray, n_samples: int) -> NDArray:
    """Noise that is continued by its mirror image, shape (3, n_samples)."""
    mirrored = np.concatenate([noise, noise[:, ::-1]], axis=1)
    return np.tile(mirrored, n_samples // mirrored.shape[1] + 1)[:, :n_samples]
