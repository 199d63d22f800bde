"""What training and evaluation see of any data set: three components at 100 Hz with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

PARTS = ("train", "validation", "test")
KINDS = ("event", "noise")
COMPONENTS = "ZNE"
SAMPLING_RATE_HZ = 100.0
TOLERANCES_S = (0.1, 0.3, 0.5)  # of picks beside arrivals; usual in papers on pickers

Kind = Literal["event", "noise"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """
    Samples of a station with the arrivals that they hold.

    Parameters
    ----------
    name, dataset, station : str
        Where it comes from; the station is ``network.station``.
    event : str
        Identifier of the event; records of one event have the same. Empty for noise.
    kind : str
        One of `KINDS`.
    part : str
        One of `PARTS`.
    samples : ndarray of float32, shape (3, n_samples)
        Z, N, E at 100 Hz, see `to_unit_peak`; a missing component is all zeros.
    picks : dict of str to float
        Sample of P and S, where inside the record.
    probability : ndarray of float32, shape (2, n_samples), or None
        Probability of P and of S at each sample, where a teacher gave it.
    """

    name: str
    dataset: str
    station: str
    event: str = ""
    kind: Kind = "event"
    part: str
    samples: NDArray[np.float32]
    picks: dict[str, float]
    probability: NDArray[np.float32] | None = None


def to_unit_peak(samples: NDArray) -> NDArray[np.float32]:
    """Without mean and with a peak of 1 over all components; the ratio of components stays."""
    centred = samples - samples.mean(axis=1, keepdims=True)
    peak = np.abs(centred).max()
    return (centred / peak if peak > 0 else centred).astype(np.float32)
