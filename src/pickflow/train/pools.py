"""Real records with their labels, and noise cut from them, as pools from which training windows are mixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import obspy
from numpy.typing import NDArray

from pickflow.datasets.archive import ContinuousRecord
from pickflow.datasets.records import SAMPLING_RATE_HZ, Record
from pickflow.datasets.signals import normalise_noise
from pickflow.train.augmentation import continued
from pickflow.train.labels import bells

Array32 = NDArray[np.float32]

NOISE_PER_WINDOW = 4 / 3  # length of a noise record of the pools: windows begin anywhere in it
_QUIET_PROBABILITY = 0.08


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A record with the probability of P and S at each sample, shape (2, n_samples)."""

    samples: Array32
    probability: Array32


def from_labelled(record: Record, sigma_samples: float) -> Labelled:
    """Record with manual picks as a training record."""
    return Labelled(samples=record.samples, probability=bells(record.picks, record.samples.shape[1], sigma_samples))


def from_teacher(record: ContinuousRecord, teacher) -> Labelled:
    """Continuous record with a teacher's probabilities as its labels; where the teacher is silent, they are 0."""
    starttime = obspy.UTCDateTime(0)
    stream = obspy.Stream()
    for row, component in enumerate("ZNE"):
        header = {"network": "XX", "station": "T", "channel": f"HH{component}", "sampling_rate": SAMPLING_RATE_HZ}
        stream.append(obspy.Trace(record.samples[row] * 1e6, header | {"starttime": starttime}))
    annotations = teacher.annotate(stream, overlap=2000, batch_size=32)
    probability = np.zeros((2, record.samples.shape[1]), dtype=np.float32)
    for row, phase in enumerate("PS"):
        for trace in annotations.select(channel=f"*_{phase}"):
            first = round((trace.stats.starttime - starttime) * SAMPLING_RATE_HZ)
            data = np.nan_to_num(trace.data)[: probability.shape[1] - first]
            probability[row, first : first + data.size] = data
    return Labelled(samples=record.samples, probability=probability)


def quiet_windows(record: Labelled, n_samples: int) -> list[Array32]:
    """Windows of a teacher-labelled record in which the teacher saw nothing, as noise of unit rms."""
    windows = []
    for first in range(0, record.samples.shape[1] - n_samples, n_samples // 2):
        cut = slice(first, first + n_samples)
        if record.probability[:, cut].max() < _QUIET_PROBABILITY:
            windows.append(normalise_noise(record.samples[:, cut]))
    return windows


def noise_before(record: Record, n_samples: int) -> list[Array32]:
    """Noise before a manual P, continued by its mirror image to the length asked for."""
    last = int(record.picks.get("P", 0)) - 150
    if last < 1500:
        return []
    noise = record.samples[:, :last]
    return [normalise_noise(continued(noise, n_samples))]
