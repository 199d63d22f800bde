"""Windows with their arrivals: synthetic ones that need no data, and those of labelled sets."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickflow.datasets.reading import open_dataset
from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.datasets.signals import Signal, make_noise, make_signal
from pickflow.datasets.table import ACCOUNT

Array32 = NDArray[np.float32]

SYNTHETIC = "synthetic"
# Each part has windows of its own.
PARTS = ("train", "calibration", "development", "test")
# Of synthetic windows; the others are noise, enough of it to see false picks.
EVENT_SHARE = 0.85
# S comes at most this share of a window after P, so that windows of any length hold both; or so many seconds, where
# that is more: there are few earthquakes still nearer.
S_SHARE, S_AFTER_P_S = 0.6, 3.0
# An arrival nearer to the edge of a window than this is not asked for: a picker needs a little of both sides.
MARGIN_S = 0.5
# Noise is made of so many samples at least: its rms is measured where the filter has settled.
LEAST_NOISE_SAMPLES = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowSet:
    """
    Windows of one length.

    Parameters
    ----------
    name : str
        ``synthetic``, or that of the labelled set.
    samples : ndarray of float32, shape (n, 3, n_samples)
        Z, N, E at 100 Hz, in any unit.
    arrivals : tuple of dict
        Sample of P and S in each window, where inside.
    window_names : tuple of str
        Unique: a draw for a window depends on its name, not on its place.
    left_out : tuple of dict
        ``name``, ``reason`` and ``detail`` of the records of a labelled set that cannot be used.
    """

    name: str
    samples: Array32
    arrivals: tuple[dict[str, float], ...]
    window_names: tuple[str, ...]
    left_out: tuple[dict[str, str], ...] = ()

    def __len__(self) -> int:
        """Count the windows."""
        return len(self.samples)

    def with_samples(self, samples: Array32) -> WindowSet:
        """The same arrivals in other samples."""
        return replace(self, samples=samples)

    def near_arrivals(self, reach_s: float) -> NDArray[np.bool_]:
        """Whether a sample is within ``reach_s`` of an arrival, shape (n, n_samples)."""
        time = np.arange(self.samples.shape[2])
        near = np.zeros((len(self), len(time)), dtype=bool)
        for row, arrivals in zip(near, self.arrivals, strict=True):
            for at in arrivals.values():
                row |= np.abs(time - at) <= reach_s * SAMPLING_RATE_HZ
        return near


def synthetic_windows(part: str, n: int, n_samples: int, snr_db: tuple[float, float], seed: int) -> WindowSet:
    """
    Synthetic earthquakes on noise, and noise alone.

    Parameters
    ----------
    part : str
        One of `PARTS`: no two parts have a window in common.
    n, n_samples : int
        Windows, and samples of each.
    snr_db : tuple of float
        Bounds of the peak of P over the rms of the noise, both in 2-20 Hz, in dB.
    seed : int
    """
    mixed = []
    for index in range(n):
        rng = np.random.default_rng([seed, PARTS.index(part), index])
        noise = make_noise(rng, max(n_samples, LEAST_NOISE_SAMPLES))[:, :n_samples]
        signal = near_signal(rng, n_samples) if rng.random() < EVENT_SHARE else None
        mixed.append(mix(noise, signal, snr_db, rng))
    return WindowSet(
        name=SYNTHETIC,
        samples=np.stack([window for window, _ in mixed]),
        arrivals=tuple(a for _, a in mixed),
        window_names=tuple(f"{SYNTHETIC} {index}" for index in range(n)),
    )


def near_signal(rng: np.random.Generator, n_samples: int) -> Signal:
    """Synthetic earthquake that is near enough for P and S in a window."""
    largest = max(S_SHARE * n_samples, S_AFTER_P_S * SAMPLING_RATE_HZ)
    while True:
        signal = make_signal(rng)
        if signal.picks.get("S", np.inf) - signal.picks["P"] <= largest:
            return signal


def mix(
    noise: Array32, signal: Signal | None, snr_db: tuple[float, float], rng: np.random.Generator
) -> tuple[Array32, dict[str, float]]:
    """
    Put an earthquake somewhere into noise of unit rms.

    Parameters
    ----------
    noise : ndarray, shape (3, n_samples)
    signal : Signal or None
        None leaves the noise alone.
    snr_db : tuple of float
        See `synthetic_windows`.
    rng : Generator

    Returns
    -------
    window : ndarray, shape (3, n_samples)
    arrivals : dict of str to float
        Samples of P and S, where inside.
    """
    if signal is None:
        return noise, {}
    n_samples, margin = noise.shape[1], _margin(noise.shape[1])
    first = int(rng.integers(margin, n_samples - margin)) - int(signal.picks["P"])
    begin, end = max(first, 0), min(first + signal.samples.shape[1], n_samples)
    window = noise.copy()
    window[:, begin:end] += signal.samples[:, begin - first : end - first] * np.float32(
        10 ** (rng.uniform(*snr_db) / 20)
    )
    return window, _inside({phase: at + first for phase, at in signal.picks.items()}, n_samples)


def set_names(folders: Sequence[str]) -> list[str]:
    """
    Names of labelled sets by the shortest ends of their paths that tell them apart, and from the synthetic windows.

    Raises
    ------
    ValueError
        If a folder is named twice, or cannot be told apart.
    """
    parts = [Path(folder).parts for folder in folders]
    for n_parts in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(parts_of_folder[-n_parts:]) for parts_of_folder in parts]
        if len({SYNTHETIC, *names}) > len(names):
            return names
    if not folders:
        return []
    folder = next(name for name in names if name == SYNTHETIC or names.count(name) > 1)
    raise ValueError(
        f"config key implicit.labelled: another set is called {folder!r}, too; name each folder once, in full"
    )


def labelled_windows(folder: str | Path, name: str, n_samples: int, seed: int) -> WindowSet:
    """
    One window around the manual picks of each record of a labelled set, in the order of their names.

    P lies anywhere in the window, and S as well where it fits; a record that is too short continues with zeros.

    Parameters
    ----------
    folder : str or Path
        In SeisBench's format; see `pickflow.datasets.reading.open_dataset`.
    name : str
        Of the set in tables; see `set_names`.
    n_samples, seed : int
    """
    dataset = open_dataset(folder)
    records = sorted(dataset.read(), key=lambda record: record.name)
    cut = [
        _cut(record.samples, record.picks, n_samples, np.random.default_rng([seed, len(PARTS), number_of(record.name)]))
        for record in records
    ]
    return WindowSet(
        name=name,
        samples=np.stack([window for window, _ in cut]),
        arrivals=tuple(a for _, a in cut),
        window_names=tuple(record.name for record in records),
        left_out=tuple(dict(zip(ACCOUNT, row, strict=True)) for row in dataset.left_out[list(ACCOUNT)].to_numpy()),
    )


def number_of(name: str) -> int:
    """Number of a window for its draws."""
    return zlib.crc32(name.encode())


def _cut(
    samples: Array32, picks: dict[str, float], n_samples: int, rng: np.random.Generator
) -> tuple[Array32, dict[str, float]]:
    missing = max(n_samples - samples.shape[1], 0)
    padded = np.pad(samples, ((0, 0), (0, missing)))
    margin = _margin(n_samples)
    times = sorted(picks.values()) or [padded.shape[1] / 2]
    last = times[-1] if times[-1] - times[0] <= n_samples - 2 * margin else times[0]
    low, high = int(last) + margin - n_samples, int(times[0]) - margin
    first = int(np.clip(rng.integers(low, max(high, low) + 1), 0, padded.shape[1] - n_samples))
    return padded[:, first : first + n_samples], _inside({p: at - first for p, at in picks.items()}, n_samples)


def _margin(n_samples: int) -> int:
    """Samples at both ends of a window in which no first arrival is put."""
    return min(round(MARGIN_S * SAMPLING_RATE_HZ), n_samples // 4)


def _inside(arrivals: dict[str, float], n_samples: int) -> dict[str, float]:
    return {phase: float(at) for phase, at in arrivals.items() if 0 <= at < n_samples}
