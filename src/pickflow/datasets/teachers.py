"""Soft labels: the probabilities that pickers give to the samples of records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from seisbench.models.base import WaveformModel

from pickflow.annotate import Picker, PickerOptions, resolve_settings
from pickflow.datasets.records import SAMPLING_RATE_HZ, Record
from pickflow.datasets.streams import record_stream

PHASES = ("P", "S")


def soft_labels(records: Iterable[Record], teachers: Sequence[WaveformModel]) -> Iterator[Record]:
    """
    Records with the mean of the probabilities of several teachers.

    Parameters
    ----------
    records : iterable of Record
        Consumed lazily.
    teachers : sequence of WaveformModel
        In evaluation mode, at 100 Hz; each has P and S among its labels, in any order and beside any others.

    Yields
    ------
    Record
        With ``probability``, shape (2, n_samples), for every sample: a record is continued by its mirror image where a
        teacher looks at no sample near an end, or needs a longer one.

    Raises
    ------
    ValueError
        If there is no teacher, or one of them has no P or no S, or works at another rate than records have.
    """
    if not teachers:
        raise ValueError("soft labels: at least one teacher is needed")
    pickers = [LabellingPicker(model) for model in teachers]
    for record in records:
        probabilities = [teacher.probability(record) for teacher in pickers]
        yield replace(record, probability=np.mean(probabilities, axis=0, dtype=np.float32))


class LabellingPicker:
    """A picker, and how far beyond its ends a record must go on for it."""

    def __init__(self, model: WaveformModel) -> None:
        absent = [phase for phase in PHASES if phase not in list(model.labels or ())]
        if absent:
            raise ValueError(f"soft labels: {model.name} has no label {absent[0]}; its labels are {model.labels}")
        if model.sampling_rate != SAMPLING_RATE_HZ:
            raise ValueError(
                f"soft labels: {model.name} works at {model.sampling_rate:g} Hz, and records have "
                f"{SAMPLING_RATE_HZ:g} Hz, so that its probabilities lie at other samples; take a teacher of "
                f"{SAMPLING_RATE_HZ:g} Hz"
            )
        self._picker = Picker(model, PickerOptions(grid="record"))
        self._n_blind = max(resolve_settings(model).blinding)
        self._in_samples = int(model.in_samples or 0)

    def probability(self, record: Record) -> NDArray[np.float32]:
        """Probability of P and S at each sample, shape (2, n_samples)."""
        n_samples = record.samples.shape[1]
        n_more = self._n_blind + max(self._in_samples - n_samples, 0)
        longer = np.pad(record.samples, ((0, 0), (n_more, n_more)), mode="reflect")
        probability = np.zeros((len(PHASES), longer.shape[1]), dtype=np.float32)
        for trace in self._picker.annotate(record_stream(replace(record, samples=longer))):
            phase = trace.stats.channel.rpartition("_")[2]
            if phase in PHASES:
                first = round(trace.stats.starttime.timestamp * trace.stats.sampling_rate)
                values = np.nan_to_num(trace.data)[: probability.shape[1] - first]
                probability[PHASES.index(phase), first : first + values.size] = values
        return probability[:, n_more : n_more + n_samples]
