"""Picks where a probability exceeds its threshold, found while the probabilities pass by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Triggered(NamedTuple):
    """A stretch above the threshold; all in samples of the segment."""

    on: int  # first sample above the threshold
    off: int  # last sample above half of the threshold
    peak: int
    value: float  # at the peak


class Trigger:
    """
    Trigger with two thresholds, as `obspy.signal.trigger.trigger_onset` and SeisBench's ``picks_from_annotations``.

    Every stretch of samples above half of the threshold in which one exceeds the threshold is one pick. How the
    probabilities are cut into chunks does not matter.

    Parameters
    ----------
    threshold : float
        Probability.
    """

    def __init__(self, threshold: float):
        self._on, self._off = np.float32(threshold), np.float32(threshold / 2)
        self._open = np.empty(0, dtype=np.float32)  # values of a stretch that reached the end of the last chunk
        self._open_first = 0

    def feed(self, first: int, values: np.ndarray) -> list[Triggered]:
        """
        Picks that end within a chunk; chunks come in order, without a hole.

        Parameters
        ----------
        first : int
            Sample number of the first value.
        values : ndarray, shape (n_samples,)
            NaN is below any threshold.
        """
        if self._open.size:
            first, values = self._open_first, np.concatenate([self._open, values])
            self._open = self._open[:0]
        above = np.zeros(values.size + 2, dtype=bool)
        np.greater(values, self._off, out=above[1:-1])
        edges = np.flatnonzero(above[1:] != above[:-1])
        begins, ends = edges[::2], edges[1::2]
        if ends.size and ends[-1] == values.size:
            self._open, self._open_first = values[begins[-1] :].copy(), first + int(begins[-1])
            begins, ends = begins[:-1], ends[:-1]
        return self._judge(first, values, begins, ends)

    def flush(self) -> list[Triggered]:
        """The pick that the end of the segment cuts, if there is one."""
        values, self._open = self._open, self._open[:0]
        return self._judge(self._open_first, values, np.array([0]), np.array([values.size])) if values.size else []

    def _judge(self, first: int, values: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> list[Triggered]:
        found = []
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            stretch = values[begin:end]
            on = int(np.argmax(stretch > self._on))
            if not stretch[on] > self._on:
                continue
            # The peak is looked for from the trigger on: before it everything is lower.
            peak = on + int(np.argmax(stretch[on:]))
            found.append(Triggered(first + begin + on, first + end - 1, first + begin + peak, float(stretch[peak])))
        return found
