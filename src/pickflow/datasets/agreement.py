"""Labels on which several pickers agree, beside those of people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from seisbench.models.base import WaveformModel

from pickflow.datasets.records import SAMPLING_RATE_HZ, Record
from pickflow.datasets.teachers import PHASES, LabellingPicker

Array32 = NDArray[np.float32]

THRESHOLD = 0.3  # SeisBench's default: from here on a picker sees an arrival
WITHIN_S = 0.2  # picks of one arrival; chosen: twice the width of a label
WIDTH_S = 0.1  # standard deviation of the bell of an arrival, as of `train.labels.width_s`
APART_S = 1.0  # so near to an arrival that is known, a picker's opinion of its phase does not count
_REACH = 5  # standard deviations after which a bell is zero


class Labels(NamedTuple):
    """
    What is known of a record.

    Parameters
    ----------
    arrivals : dict of str to ndarray
        Samples of P, of S, in order; between two samples where the pickers are.
    probability : ndarray of float32, shape (2, n_samples)
        A bell of height 1 at each arrival; farther from one than `APART_S`, the mean probability of the pickers.
    """

    arrivals: dict[str, NDArray[np.float64]]
    probability: Array32


def agreed_labels(records: Iterable[Record], teachers: Sequence[WaveformModel]) -> Iterator[Record]:
    """
    Records with the labels on which most of several pickers agree, beside the manual ones.

    Parameters
    ----------
    records : iterable of Record
        Consumed lazily. Their picks stay.
    teachers : sequence of WaveformModel
        See `pickflow.datasets.teachers.soft_labels`.

    Yields
    ------
    Record
        With ``probability``, see `labels_of`.

    Raises
    ------
    ValueError
        See `pickflow.datasets.teachers.soft_labels`.
    """
    pickers = [LabellingPicker(model) for model in teachers]
    for record in records:
        probabilities = np.stack([picker.probability(record) for picker in pickers])
        yield replace(record, probability=labels_of(probabilities, record.picks).probability)


def labels_of(probabilities: Array32, picks: Mapping[str, float]) -> Labels:
    """
    Labels from what pickers say of a record.

    Parameters
    ----------
    probabilities : ndarray, shape (n_pickers, 2, n_samples)
        Of P and S.
    picks : mapping of str to float
        Manual picks, which stand whatever the pickers say.
    """
    mean = probabilities.mean(axis=0, dtype=np.float32)
    arrivals = {}
    for row, phase in enumerate(PHASES):
        manual = [picks[phase]] if phase in picks else []
        agreed = agreed_samples(probabilities[:, row])
        free = [at for at in agreed if all(abs(at - pick) > APART_S * SAMPLING_RATE_HZ for pick in manual)]
        arrivals[phase] = np.sort(np.array([*manual, *free], dtype=float))
        _put_bells(mean[row], arrivals[phase])
    return Labels(arrivals, mean)


def agreed_samples(probabilities: Array32) -> list[float]:
    """
    Samples at which more than half of the pickers have a pick within `WITHIN_S` of the median of these picks.

    Parameters
    ----------
    probabilities : ndarray, shape (n_pickers, n_samples)
        Of one phase.
    """
    picks = [(at, picker) for picker, values in enumerate(probabilities) for at in picked_samples(values)]
    picks.sort()
    agreed: list[float] = []
    group: list[tuple[float, int]] = []
    for pick in [*picks, (np.inf, -1)]:
        if group and pick[0] - group[0][0] > WITHIN_S * SAMPLING_RATE_HZ:
            if len({picker for _, picker in group}) > len(probabilities) / 2:
                agreed.append(float(np.median([at for at, _ in group])))
            group = []
        group.append(pick)
    return agreed


def picked_samples(probability: Array32) -> list[float]:
    """Places of the peaks of each stretch above `THRESHOLD`, between samples by a parabola."""
    above = np.concatenate([[False], probability >= THRESHOLD, [False]])
    edges = np.flatnonzero(np.diff(above.astype(np.int8))).reshape(-1, 2)
    return [peak_between(probability, first + int(np.argmax(probability[first:last]))) for first, last in edges]


def peak_between(values: Array32, peak: int) -> float:
    """Place of the highest point of the parabola through a peak and the samples beside it."""
    if not 0 < peak < len(values) - 1:
        return float(peak)
    before, at, after = (float(value) for value in values[peak - 1 : peak + 2])
    curvature = before - 2 * at + after
    return peak + (0.5 * (before - after) / curvature if curvature < 0 else 0.0)


def _put_bells(probability: Array32, arrivals: NDArray[np.float64]) -> None:
    """Replace the probability around arrivals by bells, in place."""
    width, apart = WIDTH_S * SAMPLING_RATE_HZ, APART_S * SAMPLING_RATE_HZ
    for at in arrivals:
        probability[max(int(np.ceil(at - apart)), 0) : int(at + apart) + 1] = 0
    for at in arrivals:
        samples = np.arange(max(int(at - _REACH * width), 0), min(int(at + _REACH * width) + 1, probability.size))
        bell = np.exp(-0.5 * ((samples - at) / width) ** 2).astype(np.float32)
        probability[samples] = np.maximum(probability[samples], bell)
