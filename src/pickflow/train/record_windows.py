"""Windows of records, changed and labelled anew each time: what any picker is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pickflow.datasets.reading import Dataset
from pickflow.datasets.records import COMPONENTS, Record
from pickflow.optimisation import ONE_PROCESS, Batch, Processes
from pickflow.optimisation.clock import in_order
from pickflow.run.settings.training import Augmentation, Labels
from pickflow.train.augmentation import (
    Draws,
    add_faults,
    add_noise,
    draw,
    gaps,
    kept_components,
    noise_tapes,
    noise_windows,
    present,
    resample,
    rotate,
)
from pickflow.train.labels import arrival_curves, detection, duration, picker_labels
from pickflow.train.shelf import Shelf

Array32 = NDArray[np.float32]

_N_NOISE = 256  # records of which real noise is taken


@dataclass(frozen=True)
class Place:
    """
    Where a window begins in its record, and whether the record is rolled, so that its end is followed by its begin.

    Parameters
    ----------
    first : int
        Sample of the record; negative where the window begins before it.
    rolled : bool
    """

    first: int
    rolled: bool = False


@dataclass(frozen=True)
class Drawn:
    """
    Windows with their arrivals.

    Parameters
    ----------
    samples : ndarray of float32, shape (n, 3, n_samples)
        In the picker's order of components.
    arrivals : ndarray, shape (n, n_events, 2)
        Sample of P and S of each earthquake; NaN where there is none in the window.
    probability : ndarray of float32, shape (n, n_labels, n_samples)
    names : tuple of str
        Of the records.
    """

    samples: Array32
    arrivals: NDArray[np.float64]
    probability: Array32
    names: tuple[str, ...]

    def head(self, n: int) -> Drawn:
        """The first windows."""
        return Drawn(self.samples[:n], self.arrivals[:n], self.probability[:n], self.names[:n])


class RecordWindows:
    """
    Batches of windows of a data set.

    Parameters
    ----------
    model : WaveformModel
        Says length of a window, components, labels, and how windows are prepared.
    dataset : Dataset
        Records to learn from; see `pickflow.datasets`.
    augmentation, labels : Augmentation, Labels
        How windows are changed and labelled.
    batch_size : int
        Windows of a batch, those of all processes together.
    seed : int
        The windows of a step are decided by it, the step, and the data set.
    memory_gb : float
        Most memory of records, GB.
    threads : int
        Threads that make batches in advance.
    processes : Processes
        This one makes its share of each batch.

    Raises
    ------
    ValueError
        If the data set has no record or no arrival.
    """

    def __init__(
        self,
        model: Any,
        dataset: Dataset,
        augmentation: Augmentation,
        labels: Labels,
        *,
        batch_size: int,
        seed: int,
        memory_gb: float = 2.0,
        threads: int = 0,
        processes: Processes = ONE_PROCESS,
    ):
        table = dataset.table
        if not len(table):
            raise ValueError(f"training: {dataset.name} has no record; see its account of what was left out")
        if table.p_sample.isna().all() and table.s_sample.isna().all():
            raise ValueError(f"training: none of the {len(table)} records of {dataset.name} has an arrival of P or S")
        self.model, self.n_samples = model, int(model.in_samples)
        self._dataset, self._augmentation, self._labels = dataset, augmentation, labels
        self._batch_size, self._seed, self._threads = batch_size, seed, threads
        self._share, self._shelf = processes.share(batch_size), Shelf(dataset, seed, memory_gb)
        self._device = next(model.parameters()).device

    @property
    def n_records(self) -> int:
        """Records to learn from."""
        return self._shelf.n_records

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Batches of steps, in order; see `pickflow.optimisation.Task`."""
        yield from map(self.batch, in_order(self.draw, first, last, self._threads))

    def batch(self, drawn: Drawn) -> Batch:
        """Windows as the picker wants them, on its device."""
        windows = torch.from_numpy(drawn.samples).to(self._device, non_blocking=True)
        ready: Any = self.model.annotate_batch_pre(windows, argdict=self.model.default_args)
        return Batch(
            windows=ready[0] if isinstance(ready, tuple) else ready,
            probability=torch.from_numpy(drawn.probability).to(self._device, non_blocking=True),
            names=drawn.names,
        )

    def draw(self, step: int) -> Drawn:
        """Windows of a step, the share of this process."""
        rng = np.random.default_rng([self._seed, 1, step])
        draws = draw(self._augmentation, self._batch_size, rng).share(self._share)
        positions = step * self._batch_size + np.arange(self._batch_size)[self._share]
        records = self._shelf.records(positions)
        windows = np.zeros((len(records), len(COMPONENTS), self.n_samples), dtype=np.float32)
        phases = np.zeros((len(records), 2, self.n_samples), dtype=np.float32)  # soft labels
        arrivals = np.full((len(records), 2, 2), np.nan)
        boxes = np.zeros((len(records), self.n_samples), dtype=np.float32)
        is_soft = np.zeros((len(records), 2), dtype=bool)  # of the first and the second earthquake
        for index, record in enumerate(records):
            place = place_of(record, self.n_samples, draws, index)
            is_soft[index, 0] = record.probability is not None
            self._lay(record, place, np.float32(1), windows[index], phases[index], arrivals[index, 0], boxes[index])
            neighbour = records[index ^ 1] if index ^ 1 < len(records) else None
            if draws.second[index] and record.picks and neighbour is not None and neighbour.picks:
                # Its neighbour in the batch, which is as random a record as any.
                first_arrival = int(min(neighbour.picks.values()))
                place = Place(first_arrival - int(draws.second_place[index] * self.n_samples))
                gain = np.float32(draws.second[index]) * present(record.samples)
                is_soft[index, 1] = neighbour.probability is not None
                self._lay(neighbour, place, gain, windows[index], phases[index], arrivals[index, 1], boxes[index])
        self._change(windows, phases, arrivals, boxes, draws)
        names = tuple(record.name for record in records)
        return self._labelled(windows, phases, is_soft, arrivals, boxes, names)

    def _lay(
        self,
        record: Record,
        place: Place,
        gain: np.float32 | Array32,
        window: Array32,
        soft: Array32,
        arrivals: NDArray[np.float64],
        box: Array32,
    ) -> None:
        """Lay a record into a window, with a gain (of each component), its arrivals, soft labels and duration."""
        n, n_record = self.n_samples, record.samples.shape[1]
        for at in (place.first, place.first - n_record) if place.rolled else (place.first,):
            first, last = max(at, 0), min(at + n, n_record)
            if first >= last:
                continue
            span = slice(first - at, last - at)
            window[:, span] += gain * record.samples[:, first:last]
            if record.probability is not None:
                np.maximum(soft[:, span], record.probability[:, first:last], out=soft[:, span])
            if lasting := duration(record.picks, n_record, self._labels.detection_factor):
                begin, end = (max(int(sample) - at, 0) for sample in lasting)
                box[begin : min(end, last - at)] = 1
            for row, phase in enumerate("PS"):
                if first <= record.picks.get(phase, np.nan) < last:
                    arrivals[row] = record.picks[phase] - at

    def _change(
        self, windows: Array32, phases: Array32, arrivals: NDArray[np.float64], boxes: Array32, draws: Draws
    ) -> None:
        """Apply what was drawn, in place."""
        for index in np.flatnonzero(draws.rate < 1):
            rate = draws.rate[index]
            windows[index] = resample(windows[index], rate, self.n_samples)
            phases[index] = np.clip(resample(phases[index], rate, self.n_samples), 0, 1)
            boxes[index] = boxes[index, (np.arange(self.n_samples) * rate).astype(int)]
            later = arrivals[index] / rate
            arrivals[index] = np.where(later < self.n_samples, later, np.nan)
        rotate(windows, draws.angle)
        add_noise(windows, draws.noise, self._cuts(draws.noise, self._tapes, draws.tape, draws.tape_place))
        if self._augmentation.real_noise and self._real_noise:
            chosen = (draws.real_record * len(self._real_noise)).astype(int)
            cuts = self._cuts(draws.real_noise, self._real_noise, chosen, draws.real_place)
            add_noise(windows, draws.real_noise, cuts)
        components = kept_components(windows.any(axis=2), draws) if draws.n_dropped.any() else 1.0
        windows *= (draws.gains * components).astype(np.float32)[:, :, None]
        add_faults(windows, draws)
        for index, (first, last) in enumerate(gaps(draws, self.n_samples)):
            if last > first:
                windows[index, :, first:last] = 0
                phases[index, :, first:last] = 0
                arrivals[index][(arrivals[index] >= first) & (arrivals[index] < last)] = np.nan

    def _cuts(
        self, level: NDArray[np.float64], tapes: list[Array32], numbers: NDArray[np.int64], place: NDArray[np.float64]
    ) -> dict[int, Array32]:
        cuts = {}
        for index in np.flatnonzero(level):
            tape = tapes[numbers[index]]
            first = int(place[index] * (tape.shape[1] - self.n_samples))
            cuts[int(index)] = tape[:, first : first + self.n_samples]
        return cuts

    @cached_property
    def _tapes(self) -> list[Array32]:
        return noise_tapes(self._seed)

    @cached_property
    def _real_noise(self) -> list[Array32]:
        """Noise from records of noise; of a set without any, from before P."""
        table = self._dataset.table
        rows = np.flatnonzero(table.kind == "noise")
        rows = rows if rows.size else np.arange(len(table))
        rng = np.random.default_rng([self._seed, 13])
        chosen = np.sort(rng.choice(rows, min(_N_NOISE, rows.size), replace=False))
        return noise_windows(self._dataset.read(chosen.tolist()), self.n_samples)

    def _labelled(
        self,
        windows: Array32,
        soft: Array32,
        is_soft: NDArray[np.bool_],
        arrivals: NDArray[np.float64],
        boxes: Array32,
        names: tuple[str, ...],
    ) -> Drawn:
        labels = self._labels
        width = labels.width_s * self.model.sampling_rate
        hard = np.where(is_soft[:, :, None], np.nan, arrivals)
        phases = np.maximum(soft, arrival_curves(hard, self.n_samples, labels.shape, width))
        for index in np.flatnonzero(soft.any(axis=(1, 2)) & ~boxes.any(axis=1)):
            boxes[index] = detection(*phases[index])
        samples = in_order_of(self.model.component_order, windows)
        return Drawn(samples, arrivals, picker_labels(phases, boxes, list(self.model.labels)), names)


def in_order_of(component_order: str, windows: Array32) -> Array32:
    """
    Components as a picker takes them.

    Parameters
    ----------
    component_order : str
        Of the picker. One of a single component takes the first that a window has, so that it learns from records
        without a vertical, too.
    windows : ndarray, shape (n, 3, n_samples)
        Z, N, E; a missing component is all zeros.

    Returns
    -------
    ndarray, shape (n, n_components, n_samples)
    """
    if len(component_order) == 1:
        first = windows.any(axis=2).argmax(axis=1)
        return windows[np.arange(len(windows)), first][:, None]
    order = [COMPONENTS.index(component) for component in component_order]
    return windows if order == [0, 1, 2] else np.ascontiguousarray(windows[:, order])


def place_of(record: Record, n_samples: int, draws: Draws, index: int) -> Place:
    """Where a window lies in its record: as drawn, or at its begin."""
    spare = record.samples.shape[1] - n_samples
    if not draws.shifted[index]:
        return Place(0)
    if spare == 0:
        return Place(int(draws.place[index] * n_samples), rolled=True)
    if spare < 0:
        return Place(-int(draws.place[index] * (1 - spare)))
    picks = list(record.picks.values())
    if picks and draws.around[index]:
        pick = picks[int(draws.pick[index] * len(picks))]
        return Place(int(np.clip(pick - draws.place[index] * n_samples, 0, spare)))
    return Place(int(draws.place[index] * (spare + 1)))
