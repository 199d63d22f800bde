"""Overlapping windows become one probability per sample, in a buffer that moves along."""

from __future__ import annotations

import numpy as np

STACKING = ("avg", "max")


class Stack:
    """
    Probabilities of one segment, stacked in order of the windows.

    Memory holds the samples between the first window that is not finished and the last one added, not the segment.

    Parameters
    ----------
    n_labels, in_samples : int
        Shape of a window's probabilities.
    method : {"avg", "max"}
        How samples that several windows cover are combined.
    blinding : (int, int)
        Samples at the beginning and end of each window that do not count.
    """

    def __init__(self, n_labels: int, in_samples: int, method: str, blinding: tuple[int, int]):
        if method not in STACKING:
            raise ValueError(f"stacking {method!r} is not one of {', '.join(STACKING)}")
        if min(blinding) < 0 or sum(blinding) >= in_samples:
            raise ValueError(f"blinding {blinding} leaves nothing of a window of {in_samples} samples")
        self._method, self._in_samples = method, in_samples
        self._before, self._after = blinding
        self.first = 0  # sample at which the buffer begins; earlier ones were returned
        self._values = np.full((n_labels, 4 * in_samples), self._empty, dtype=np.float32)
        self._counts = np.zeros(4 * in_samples, dtype=np.int32)

    @property
    def _empty(self) -> float:
        return 0.0 if self._method == "avg" else -np.inf

    def add(self, start: int, probabilities: np.ndarray) -> None:
        """
        Add a window; windows come in order.

        Parameters
        ----------
        start : int
            First sample of the window in the segment.
        probabilities : ndarray, shape (n_labels, in_samples)
        """
        begin = start + self._before - self.first
        end = start + self._in_samples - self._after - self.first
        if end > self._counts.size:
            self._grow(end)
        unblinded = probabilities[:, self._before : self._in_samples - self._after]
        values = self._values[:, begin:end]
        if self._method == "avg":
            values += unblinded
        else:
            np.maximum(values, unblinded, out=values)
        self._counts[begin:end] += 1

    def take(self, end: int) -> tuple[int, np.ndarray]:
        """
        Return the samples before ``end``, to which no later window adds, and release them.

        Returns
        -------
        first : int
            Sample of the first value in the segment.
        values : ndarray of float32, shape (n_labels, n_samples)
            NaN where no window counts.
        """
        first, n_samples = self.first, max(end - self.first, 0)
        if n_samples > self._counts.size:
            self._grow(n_samples)
        counts = self._counts[:n_samples]
        with np.errstate(invalid="ignore", divide="ignore"):
            values = self._values[:, :n_samples] / np.where(counts > 0, 1 if self._method == "max" else counts, np.nan)
        n_remaining = self._counts.size - n_samples
        self._values[:, :n_remaining] = self._values[:, n_samples:].copy()
        self._values[:, n_remaining:] = self._empty
        self._counts[:n_remaining] = self._counts[n_samples:].copy()
        self._counts[n_remaining:] = 0
        self.first += n_samples
        return first, values.astype(np.float32, copy=False)

    def _grow(self, n_samples: int) -> None:
        size = max(n_samples, 2 * self._counts.size)
        values = np.full((self._values.shape[0], size), self._empty, dtype=np.float32)
        values[:, : self._counts.size] = self._values
        self._values = values
        self._counts = np.pad(self._counts, (0, size - self._counts.size))
