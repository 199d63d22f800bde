"""Times of samples: linear functions of the position, exact to the nanosecond over any length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import obspy
from numpy.typing import ArrayLike, NDArray

NS_PER_S = 1_000_000_000
# Chosen: a time halfway between two samples belongs to the earlier one, also with time stamps of 0.1 ms.
TIE_SAMPLES = 0.02


class Line(NamedTuple):
    """From a position on (in samples, may be fractional), samples follow one another at a rate from a time on."""

    position: float
    time_ns: int  # since 1970
    rate_hz: float


class Timeline:
    """
    Times of the samples of an array, which come from one clock or several, one line for each.

    Parameters
    ----------
    lines : iterable of Line
        In order of position and time. The first is also for what is before it, each of them for what is up to the next.
    """

    def __init__(self, lines: Iterable[Line]):
        self.lines = tuple(lines)
        self.start_ns = self.lines[0].time_ns
        self._positions = np.array([line.position for line in self.lines], dtype=np.float64)
        # Of the first line's time: a year beyond 2262 has no nanoseconds in 64 bits.
        self._offsets_ns = np.array([line.time_ns - self.start_ns for line in self.lines], dtype=np.int64)
        self._rates_hz = np.array([line.rate_hz for line in self.lines], dtype=np.float64)

    def offsets_ns(self, positions: ArrayLike) -> NDArray[np.int64]:
        """Times of positions in ns since `start_ns`."""
        points = np.asarray(positions, dtype=np.float64)
        line = np.maximum(np.searchsorted(self._positions, points, side="right") - 1, 0)
        # In samples times ns, which are whole numbers where rates are: the division is the only rounding.
        since_ns = (points - self._positions[line]) * NS_PER_S / self._rates_hz[line]
        return self._offsets_ns[line] + np.rint(since_ns).astype(np.int64)

    def time_ns(self, position: float) -> int:
        """Time of a position in ns since 1970."""
        return self.start_ns + int(self.offsets_ns(position))

    def positions_at(self, offsets_ns: ArrayLike) -> NDArray[np.float64]:
        """Positions of times in ns since `start_ns`."""
        times = np.asarray(offsets_ns, dtype=np.int64)
        line = np.maximum(np.searchsorted(self._offsets_ns, times, side="right") - 1, 0)
        return self._positions[line] + (times - self._offsets_ns[line]) * self._rates_hz[line] / NS_PER_S

    def position(self, time_ns: int) -> float:
        """Position of a time in ns since 1970; the inverse of `time_ns`."""
        return float(self.positions_at(time_ns - self.start_ns))

    def part(self, first: float, end: float = np.inf, position: float = 0.0) -> Iterator[Line]:
        """Lines of the positions [first, end), moved so that ``first`` becomes ``position``."""
        begin = int(np.maximum(np.searchsorted(self._positions, first, side="right") - 1, 0))
        yield Line(position, self.time_ns(first), self.lines[begin].rate_hz)
        for index in range(begin + 1, len(self.lines)):
            line = self.lines[index]
            if line.position >= end:
                return
            yield Line(position + line.position - first, line.time_ns, line.rate_hz)

    def scaled(self, factor: float) -> Timeline:
        """Of an array with ``factor`` samples for each one of this."""
        return Timeline(Line(line.position * factor, line.time_ns, line.rate_hz * factor) for line in self.lines)

    def breaks(self, first: float, end: float) -> NDArray[np.float64]:
        """Positions in (first, end) at which a line begins."""
        begin, stop = np.searchsorted(self._positions, [first, end], side="right")
        breakpoints = self._positions[begin:stop]
        return breakpoints[(breakpoints > first) & (breakpoints < end)]


def nearest(positions: ArrayLike) -> NDArray[np.int64]:
    """Samples nearest to positions."""
    return np.ceil(np.asarray(positions, dtype=np.float64) - 0.5 - TIE_SAMPLES).astype(np.int64)


def timed_traces(
    samples: NDArray, timeline: Timeline, header: Mapping[str, Any], first: float = 0.0, step: float = 1.0
) -> list[obspy.Trace]:
    """
    Samples as traces with their own times, one for each line of a timeline that they touch.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Computed from a record.
    timeline : Timeline
        Of the record.
    header : mapping
        Codes of the traces.
    first, step : float
        Position of the first sample, and from one to the next.
    """
    breaks = timeline.breaks(first, first + samples.size * step)
    edges = np.unique(np.r_[0, np.ceil((breaks - first) / step).astype(int), samples.size])
    traces = []
    for begin, end in pairwise(edges.tolist()):
        (line, *_) = timeline.part(first + begin * step)
        timed = {"starttime": obspy.UTCDateTime(ns=line.time_ns), "sampling_rate": line.rate_hz / step}
        traces.append(obspy.Trace(samples[begin:end].copy(), {**header, **timed}))
    return traces
