"""Windows to look at: synthetic ones, those of a labelled set, or those of an event of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pickflow.datasets.reading import Dataset
from pickflow.datasets.records import Record
from pickflow.datasets.signals import make_noise, make_signal
from pickflow.suggestions import most_similar

Array32 = NDArray[np.float32]

# Where P is put: late enough for noise before it, early enough for S after it.
P_PLACE = 0.3
# Of synthetic events: from hard to find to clear. Chosen within the range that training windows have.
SNR_RANGE_DB = (12.0, 32.0)
# S of a synthetic event is in the window: S - P is at most this share of it.
_LARGEST_S_MINUS_P = 0.5
_N_TRIALS = 200
_N_NAMED = 3  # traces in a message


@dataclass(frozen=True, kw_only=True)
class Window:
    """
    A window with its truth.

    Parameters
    ----------
    name : str
        Unique among those that are looked at.
    kind : {"event", "noise"}
    samples : ndarray, shape (3, n_samples)
        Z, N, E in any unit; a missing component is all zeros.
    picks : dict of str to float
        Sample of P and S, where inside the window.
    """

    name: str
    kind: str
    samples: Array32
    picks: dict[str, float]


def synthetic_windows(n_events: int, n_noise: int, n_samples: int, seed: int = 0) -> list[Window]:
    """
    Windows of our generator, which need no data.

    Parameters
    ----------
    n_events, n_noise : int
        How many of each kind; events come first.
    n_samples : int
        Length of a window at 100 Hz.
    seed : int
        The same seed gives the same windows, and the first of more windows are those of fewer.
    """
    events = [_synthetic_event(np.random.default_rng([seed, 0, index]), index, n_samples) for index in range(n_events)]
    return events + synthetic_noise(n_noise, n_samples, seed)


def synthetic_noise(n_noise: int, n_samples: int, seed: int = 0) -> list[Window]:
    """Windows of noise of our generator."""
    samples = [make_noise(np.random.default_rng([seed, 1, index]), n_samples) for index in range(n_noise)]
    return [
        Window(name=f"synthetic noise {index + 1}", kind="noise", samples=noise, picks={})
        for index, noise in enumerate(samples)
    ]


def _synthetic_event(rng: np.random.Generator, index: int, n_samples: int) -> Window:
    signal = make_signal(rng)
    for _ in range(_N_TRIALS):
        if signal.picks.get("S", np.inf) - signal.picks["P"] < _LARGEST_S_MINUS_P * n_samples:
            break
        signal = make_signal(rng)
    samples = make_noise(rng, n_samples)
    first = round(P_PLACE * n_samples * rng.uniform(0.7, 1.3) - signal.picks["P"])
    begin, end = max(first, 0), min(first + signal.samples.shape[1], n_samples)
    scale = np.float32(10 ** (rng.uniform(*SNR_RANGE_DB) / 20))
    samples[:, begin:end] += scale * signal.samples[:, begin - first : end - first]
    picks = {phase: at + first for phase, at in signal.picks.items() if 0 <= at + first < n_samples}
    return Window(name=f"synthetic event {index + 1}", kind="event", samples=samples, picks=picks)


def labelled_windows(dataset: Dataset, n_events: int, n_noise: int, n_samples: int) -> list[Window]:
    """
    First windows of a data set; noise that the set lacks comes from our generator.

    Parameters
    ----------
    dataset : Dataset
        Labelled records.
    n_events, n_noise : int
        Largest number of each kind.
    n_samples : int
        Length of a window at 100 Hz.

    Raises
    ------
    ValueError
        If the set has no event that can be used.
    """
    picked = dataset.table[["p_sample", "s_sample"]].notna().any(axis=1).to_numpy()
    events, noise = np.flatnonzero(picked)[:n_events], np.flatnonzero(~picked)[:n_noise]
    if not events.size:
        raise ValueError(f"{dataset.name}: none of its {len(dataset)} traces has a P or S; give a set with picks")
    records = dataset.read([*events.tolist(), *noise.tolist()])
    if not any(record.picks for record in records):
        raise ValueError(f"{dataset.name}: no event can be used: {account(dataset)}")
    windows = [crop(record, n_samples) for record in records]
    return windows + synthetic_noise(n_noise - sum(not record.picks for record in records), n_samples)


def named_windows(dataset: Dataset, names: Sequence[str], n_samples: int) -> list[Window]:
    """
    Windows of a set by the names of their traces.

    Raises
    ------
    ValueError
        If a trace is not in the set, which names the most similar one, or cannot be used, which says why.
    """
    names_of_set = dataset.table.name.tolist()
    for name in names:
        if name not in names_of_set:
            similar = most_similar(name, names_of_set, cutoff=0.0)
            hint = f"did you mean {similar!r}?" if similar else "its names are in the column trace_name of metadata.csv"
            raise ValueError(f"trace {name!r} is not in {dataset.name}, which has {len(names_of_set)}; {hint}")
    records = dataset.read([names_of_set.index(name) for name in names])
    if len(records) < len(names):
        raise ValueError(f"{dataset.name}: a trace that was named cannot be used: {account(dataset)}")
    return [crop(record, n_samples) for record in records]


def account(dataset: Dataset) -> str:
    """What could not be read of a data set, and why, in words."""
    first = dataset.left_out.head(_N_NAMED)
    return "; ".join(f"{name} ({detail})" for name, detail in zip(first.name, first.detail, strict=True))


def crop(record: Record, n_samples: int) -> Window:
    """The part of a record with its first pick at 30 % of the window; a record that is too short goes on with zeros."""
    samples = record.samples
    if samples.shape[1] < n_samples:
        samples = np.pad(samples, ((0, 0), (0, n_samples - samples.shape[1])))
    begin = round(min(record.picks.values(), default=0.0) - P_PLACE * n_samples)
    first = int(np.clip(begin, 0, samples.shape[1] - n_samples))
    picks = {phase: at - first for phase, at in record.picks.items() if first <= at < first + n_samples}
    return Window(
        name=record.name,
        kind="event" if picks else "noise",
        samples=np.ascontiguousarray(samples[:, first : first + n_samples]),
        picks=picks,
    )
