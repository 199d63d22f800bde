"""One channel as contiguous arrays, each with the times of its samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Protocol

import numpy as np
import obspy
import scipy.signal

from pickflow.sampling.rates import conversion, is_plausible, same_rate
from pickflow.sampling.timeline import NS_PER_S, Line, Timeline


class Computed(Protocol):
    """Samples that are computed while they are read."""

    dtype: np.dtype
    size: int

    def __getitem__(self, key: slice, /) -> np.ndarray: ...


Samples = np.ndarray | Computed
# Samples without a gap, and their rate in Hz, to as many filtered samples.
Filter = Callable[[np.ndarray, float], Samples]
CONTIGUOUS_SAMPLES = 0.5  # half a sample: a smaller error of a time stamp leaves it at the same sample
# Chosen: time stamps this near to the prediction of the last one and the rate stay on its line.
ON_LINE_SAMPLES = 0.02


@dataclass(frozen=True)
class Piece:
    """Samples of a channel without a gap, and when they were taken."""

    samples: Samples
    timeline: Timeline

    @property
    def end_ns(self) -> int:
        """Time of the sample after the last one."""
        return self.timeline.time_ns(self.samples.size)


class _Run(NamedTuple):
    """Finite samples of a trace."""

    start_ns: int
    rate_hz: float
    samples: np.ndarray

    @property
    def end_ns(self) -> int:
        return self.start_ns + round(self.samples.size * NS_PER_S / self.rate_hz)

    def drop(self, n_samples: int) -> _Run:
        start_ns = self.start_ns + round(n_samples * NS_PER_S / self.rate_hz)
        return _Run(start_ns, self.rate_hz, self.samples[n_samples:])


def by_channel(stream: Iterable[obspy.Trace]) -> list[list[obspy.Trace]]:
    """Traces of each channel that have the `same_rate`; those with rates that are not plausible are left out."""
    grouped: dict[tuple[str, float], list[obspy.Trace]] = {}
    for trace in stream:
        name, rate_hz = exact = (trace.id, trace.stats.sampling_rate)
        if is_plausible(rate_hz):
            keys = (key for key in grouped if key[0] == name and same_rate(key[1], rate_hz))
            grouped.setdefault(exact if exact in grouped else next(keys, exact), []).append(trace)
    return list(grouped.values())


def make_pieces(traces: Iterable[obspy.Trace], rate_hz: float, weights_filter: Filter | None = None) -> list[Piece]:
    """
    Put the traces of one channel in order, and join those that follow one another without a gap.

    Parameters
    ----------
    traces : iterable of Trace
        In any order, with `is_plausible` rates.
    rate_hz : float
        The pieces have the `same_rate`; other rates are resampled.
    weights_filter : callable or None
        Filter of contiguous samples at the rate of their record.

    Returns
    -------
    list of Piece
        In order of time, without overlaps: the earlier trace's samples stay. Samples that are not finite are missing.
        A single whole trace is not copied.
    """
    runs = sorted((run for trace in traces for run in _runs(trace)), key=lambda run: (run.start_ns, -run.end_ns))
    return [_piece(group, rate_hz, weights_filter) for group in _contiguous(runs, rate_hz)]


def _runs(trace: obspy.Trace) -> Iterator[_Run]:
    samples = np.ma.getdata(trace.data)
    finite = None if samples.dtype.kind in "iu" else np.isfinite(samples)
    edges = [0, samples.size] if finite is None or finite.all() else np.flatnonzero(np.diff(np.r_[0, finite, 0]))
    rate_hz = float(trace.stats.sampling_rate)
    whole = _Run(trace.stats.starttime.ns, rate_hz, samples)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        yield _Run(whole.drop(int(begin)).start_ns, rate_hz, samples[begin:end])


def _contiguous(runs: Iterable[_Run], rate_hz: float) -> Iterator[list[_Run]]:
    """Runs that follow one another at rates with one `conversion`, without the samples that are there already."""
    group: list[_Run] = []
    for run in runs:
        if not group:
            group = [run]
            continue
        gap_samples = (run.start_ns - group[-1].end_ns) * run.rate_hz / NS_PER_S
        if gap_samples <= -CONTIGUOUS_SAMPLES:
            n_known = int(np.ceil(-gap_samples - CONTIGUOUS_SAMPLES))
            if n_known >= run.samples.size:
                continue
            run = run.drop(n_known)
        same_conversion = run.rate_hz == group[-1].rate_hz or conversion(run.rate_hz, rate_hz) == conversion(
            group[-1].rate_hz, rate_hz
        )
        if gap_samples < CONTIGUOUS_SAMPLES and same_conversion:
            group.append(run)
        else:
            yield group
            group = [run]
    if group:
        yield group


def _piece(runs: Sequence[_Run], rate_hz: float, weights_filter: Filter | None) -> Piece:
    raw = runs[0].samples if len(runs) == 1 else np.concatenate([run.samples for run in runs])
    samples: Samples = raw if weights_filter is None else weights_filter(raw, runs[0].rate_hz)
    timeline = _timeline(runs)
    ratio = conversion(runs[0].rate_hz, rate_hz)
    if ratio == 1:
        return Piece(samples, timeline)
    return Piece(resample(np.asarray(samples[:]), ratio), timeline.scaled(float(ratio)))


def _timeline(runs: Iterable[_Run]) -> Timeline:
    lines: list[Line] = []
    n_samples = 0
    for run in runs:
        if not lines or not _on(lines[-1], run, n_samples):
            lines.append(Line(n_samples, run.start_ns, run.rate_hz))
        n_samples += run.samples.size
    return Timeline(lines)


def _on(line: Line, run: _Run, first: int) -> bool:
    """Whether a run lies on a line, all of it."""
    ends = ((first, run.start_ns), (first + run.samples.size, run.end_ns))
    return all(
        abs((time_ns - line.time_ns) * line.rate_hz / NS_PER_S - (position - line.position)) <= ON_LINE_SAMPLES
        for position, time_ns in ends
    )


def resample(samples: np.ndarray, ratio: Fraction) -> np.ndarray:
    """
    Zero-phase polyphase resampling (`scipy.signal.resample_poly`) to another rate; the first sample keeps its time.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Without gaps.
    ratio : Fraction
        New samples for each old one; see `pickflow.sampling.rates.conversion`.

    Returns
    -------
    ndarray of float64
    """
    return scipy.signal.resample_poly(samples.astype(np.float64), ratio.numerator, ratio.denominator, padtype="line")
