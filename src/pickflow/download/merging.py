"""Pieces of one channel: in order, without overlaps, joined where the samples are contiguous, never filled."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import numpy as np
import obspy

from pickflow.download.remarks import Remark
from pickflow.quality.flat import flat_runs
from pickflow.sampling.rates import same_rate

GRID_TOLERANCE_SAMPLES = 0.2  # MiniSEED times have 0.1 ms; disciplined clocks wander by less than 2 ms at 100 Hz
DRIFT_TOLERANCE_SAMPLES = 0.1  # within a piece, so that no sample of it is off by more
MAX_CLOCK_JUMP_S = 60.0  # beyond, the digitizer was restarted and its sampling may start at any time


class Channel(NamedTuple):
    """Merged pieces of one channel, in order and without overlap, and remarks."""

    pieces: list[obspy.Trace]
    remarks: list[Remark]


def merge_channel(traces: Iterable[obspy.Trace]) -> Channel:
    """
    Put the traces of one channel in order.

    Identical overlaps are merged; of contradicting ones the first stays and the second is cut. Gaps stay gaps, and
    after a clock jump the time stamps are used. Cost is linear in the number of traces.

    Parameters
    ----------
    traces : iterable of Trace
        All of one channel; integer or floating-point samples. Samples that are not finite count as missing.

    Returns
    -------
    Channel
        Of several sampling rates, only the pieces of the one that covers most.
    """
    finite = [piece for trace in traces for piece in _finite_pieces(trace)]
    traces_of_rate, remarks = _one_rate(finite)
    ordered = sorted(traces_of_rate, key=lambda trace: (trace.stats.starttime.ns, -trace.stats.npts))
    joiner = _Joiner()
    for trace in ordered:
        joiner.add(trace)
    return Channel(joiner.finish(), [*remarks, *joiner.remarks])


def _finite_pieces(trace: obspy.Trace) -> list[obspy.Trace]:
    if trace.stats.npts == 0 or not trace.stats.sampling_rate > 0:
        return []
    if trace.data.dtype.kind in "iu":
        return [trace]
    is_finite = np.isfinite(trace.data)
    if is_finite.all():
        return [trace]
    edges = np.flatnonzero(np.diff(np.r_[False, is_finite, False]))
    return [_part(trace, first, last) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _part(trace: obspy.Trace, first: int, last: int) -> obspy.Trace:
    """Samples [first, last) of a trace; the samples are not copied."""
    return _trace(trace, trace.data[first:last], trace.stats.starttime + first * trace.stats.delta)


def _trace(template: obspy.Trace, samples: np.ndarray, starttime: obspy.UTCDateTime) -> obspy.Trace:
    header = {name: template.stats[name] for name in ("network", "station", "location", "channel", "sampling_rate")}
    return obspy.Trace(samples, header | {"starttime": starttime})


def cut(trace: obspy.Trace, starttime: datetime, endtime: datetime) -> obspy.Trace | None:
    """
    Samples of a trace in [starttime, endtime), not copied; None if there are none.

    A sample within a hundredth of a sampling interval before ``starttime`` belongs to the window.
    """
    rate, begin = trace.stats.sampling_rate, trace.stats.starttime
    first, last = (
        int(np.clip(np.ceil((obspy.UTCDateTime(time) - begin) * rate - 0.01), 0, trace.stats.npts))
        for time in (starttime, endtime)
    )
    return _part(trace, first, last) if last > first else None


def _one_rate(traces: list[obspy.Trace]) -> tuple[list[obspy.Trace], list[Remark]]:
    """Traces of the rate that covers most; those of a drifting clock have one."""
    groups: list[list[obspy.Trace]] = []
    for trace in sorted(traces, key=lambda trace: trace.stats.sampling_rate):
        if groups and same_rate(groups[-1][-1].stats.sampling_rate, trace.stats.sampling_rate):
            groups[-1].append(trace)
        else:
            groups.append([trace])
    if len(groups) < 2:
        return traces, []
    longest = max(groups, key=lambda group: (sum(map(_duration_s, group)), _rate_hz(group)))
    remainder = [
        f"{sum(map(_duration_s, group)):.0f} s at {_rate_hz(group):g} Hz" for group in groups if group is not longest
    ]
    detail = f"{traces[0].id}: {', '.join(remainder)} left out, the rest has {_rate_hz(longest):g} Hz"
    return longest, [Remark("wrong_rate", detail)]


def _duration_s(trace: obspy.Trace) -> float:
    return trace.stats.npts / trace.stats.sampling_rate


def _rate_hz(traces: list[obspy.Trace]) -> float:
    """That of the longest trace."""
    return max(traces, key=_duration_s).stats.sampling_rate


class _Joiner:
    """Collects ordered traces; a run of adjoining ones becomes one piece."""

    def __init__(self) -> None:
        self.remarks: list[Remark] = []
        self._finished: list[obspy.Trace] = []
        self._run: list[obspy.Trace] = []
        self._n_run = 0
        self._codes: set[str] = set()

    def finish(self) -> list[obspy.Trace]:
        """All pieces, in order."""
        if self._run:
            self._finished.append(_concatenate(self._run))
            self._run, self._n_run = [], 0
        return self._finished

    def add(self, trace: obspy.Trace) -> None:
        """Append a trace that starts no earlier than those before it."""
        if not self._run:
            self._extend(trace)
            return
        rate, last = self._run[0].stats.sampling_rate, self._run[-1]
        offset = (trace.stats.starttime - last.stats.starttime) * rate - last.stats.npts
        whole = round(offset)
        jumps = abs(offset - whole) > GRID_TOLERANCE_SAMPLES and abs(offset) <= MAX_CLOCK_JUMP_S * rate
        n_overlap = min(int(np.ceil(-offset - GRID_TOLERANCE_SAMPLES)), trace.stats.npts) if offset < 0 else 0
        if jumps:
            self._remark("clock_jump", trace, f"the time stamps jump by {offset / rate:+.4f} s")
        elif n_overlap > 0:
            self._compare_overlap(trace, n_overlap, -whole)
        remainder = _part(trace, n_overlap, trace.stats.npts) if n_overlap > 0 else trace
        if remainder.stats.npts == 0:
            return
        # A slow clock, or a wrong nominal rate, departs from the grid of the run without a jump: a new piece has the
        # right times from its beginning to its end.
        drift = (remainder.stats.starttime - self._run[0].stats.starttime) * rate - self._n_run
        drift_at_end = drift + remainder.stats.npts * (rate / remainder.stats.sampling_rate - 1)
        if jumps or whole > 0 or max(abs(drift), abs(drift_at_end)) > DRIFT_TOLERANCE_SAMPLES:
            self.finish()
        self._extend(remainder)

    def _extend(self, trace: obspy.Trace) -> None:
        self._run.append(trace)
        self._n_run += trace.stats.npts

    def _compare_overlap(self, trace: obspy.Trace, n_overlap: int, n_back: int) -> None:
        earlier = _last_samples(self._run, n_back)[:n_overlap]
        if np.array_equal(earlier, trace.data[:n_overlap]):
            self._remark("overlap", trace, f"{n_overlap} samples occur twice")
        else:
            self._remark("clock_jump", trace, f"{n_overlap} overlapping samples contradict, the earlier ones were kept")

    def _remark(self, code: str, trace: obspy.Trace, text: str) -> None:
        if code not in self._codes:  # the first place is enough
            self._codes.add(code)
            self.remarks.append(Remark(code, f"{trace.id} {trace.stats.starttime}: {text}"))


def _last_samples(run: list[obspy.Trace], n_samples: int) -> np.ndarray:
    parts: list[np.ndarray] = []
    for part in reversed(run):
        parts.insert(0, part.data)
        if sum(map(len, parts)) >= n_samples:
            break
    return np.concatenate(parts)[-n_samples:]


def _concatenate(run: list[obspy.Trace]) -> obspy.Trace:
    if len(run) == 1:
        return run[0]
    return _trace(run[0], np.concatenate([part.data for part in run]), run[0].stats.starttime)


def without_flat_runs(channel: Channel) -> Channel:
    """Remove stretches that are constant for minutes: they are filled gaps."""
    pieces, remarks, flat_s = [], list(channel.remarks), 0.0
    for trace in channel.pieces:
        runs = flat_runs(trace.data, trace.stats.sampling_rate)
        edges = [0, *itertools.chain(*runs), trace.stats.npts]
        pieces += [_part(trace, *pair) for pair in zip(edges[::2], edges[1::2], strict=True) if pair[1] > pair[0]]
        flat_s += sum(end - first for first, end in runs) / trace.stats.sampling_rate
    if flat_s:
        remarks.append(Remark("gap", f"{channel.pieces[0].id}: constant for {flat_s:.0f} s, taken as a gap"))
    return Channel(pieces, remarks)


def count_gaps(pieces: list[obspy.Trace], starttime: datetime, endtime: datetime) -> int:
    """
    Number of gaps of a channel in [starttime, endtime), the missing beginning and end included.

    A window that begins or ends less than a second from the samples is complete there.
    """
    parts = [piece for trace in pieces if (piece := cut(trace, starttime, endtime))]
    if not parts:
        return 1
    at_edges = (parts[0].stats.starttime - obspy.UTCDateTime(starttime) > 1.0) + (
        obspy.UTCDateTime(endtime) - parts[-1].stats.endtime > 1.0 + parts[-1].stats.delta
    )
    n_between = sum(
        right.stats.starttime - left.stats.endtime > 1.5 * left.stats.delta for left, right in itertools.pairwise(parts)
    )
    return int(at_edges + n_between)


def coverage(pieces: list[obspy.Trace], starttime: datetime, endtime: datetime) -> float:
    """Share of [starttime, endtime) that the samples of a channel cover, 0 to 1."""
    parts = [piece for trace in pieces if (piece := cut(trace, starttime, endtime))]
    covered_s = sum(piece.stats.npts / piece.stats.sampling_rate for piece in parts)
    return min(1.0, covered_s / (endtime - starttime).total_seconds())
