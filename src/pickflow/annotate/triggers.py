"""Picks where a probability exceeds its threshold, from a stream of chunks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Stretch(NamedTuple):
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

    def feed(self, first: int, values: np.ndarray) -> list[Stretch]:
        """
        Picks that end within a chunk; chunks come in order and are contiguous.

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
        is_above = np.zeros(values.size + 2, dtype=bool)
        np.greater(values, self._off, out=is_above[1:-1])
        edges = np.flatnonzero(is_above[1:] != is_above[:-1])
        begins, ends = edges[::2], edges[1::2]
        if ends.size and ends[-1] == values.size:
            self._open, self._open_first = values[begins[-1] :].copy(), first + int(begins[-1])
            begins, ends = begins[:-1], ends[:-1]
        return self._judge(first, values, begins, ends)

    def flush(self) -> list[Stretch]:
        """The pick that the end of the segment cuts, if there is one."""
        values, self._open = self._open, self._open[:0]
        return self._judge(self._open_first, values, np.array([0]), np.array([values.size])) if values.size else []

    def _judge(self, first: int, values: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> list[Stretch]:
        stretches = []
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            stretch = values[begin:end]
            onset = int(np.argmax(stretch > self._on))
            if not stretch[onset] > self._on:
                continue
            # The peak is at the trigger or later: all values before it are lower.
            peak = onset + int(np.argmax(stretch[onset:]))
            stretches.append(
                Stretch(first + begin + onset, first + end - 1, first + begin + peak, float(stretch[peak]))
            )
        return stretches
