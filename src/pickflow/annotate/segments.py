"""Records as arrays: the pieces of one instrument become segments, whose components share one sample grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np
import obspy

from pickflow.annotate.filtering import Filter, FilteredSamples, level_of
from pickflow.models.preparation import component_letters, resample

NS_PER_S = 1_000_000_000
Samples = np.ndarray | FilteredSamples


@dataclass(frozen=True, kw_only=True)
class Segment:
    """
    Samples without a gap common to all components.

    Attributes
    ----------
    first : int
        Number of the first sample on the grid of the sampling rate, counted from 1970-01-01T00:00:00Z.
    start_ns : int
        Time of the first sample in ns since then; off the grid by less than a sample.
    rate_hz : float
        Sampling rate.
    components : tuple of (ndarray, shape (n_samples,)) or None
        In the order of the model's components, in the record's own type; None where the record lacks the component.
        Filtered ones are computed while they are read.
    """

    first: int
    start_ns: int
    rate_hz: float
    components: tuple[Samples | None, ...]

    @property
    def n_samples(self) -> int:
        """Length in samples."""
        return next(samples.size for samples in self.components if samples is not None)

    def time_ns(self, index: int) -> int:
        """Time of a sample in ns since 1970."""
        return self.start_ns + round(index * NS_PER_S / self.rate_hz)


@dataclass(frozen=True)
class _Piece:
    first: int
    samples: Samples
    offset_ns: int  # of the true time from the grid's

    @property
    def end(self) -> int:
        return self.first + self.samples.size


class _Channel:
    """Pieces of a component in order of time, without overlaps."""

    def __init__(self, pieces: Sequence[_Piece]):
        self.pieces = _without_overlap(pieces)

    @cached_property
    def level(self) -> float:
        """Median, to fill gaps with."""
        return level_of([piece.samples for piece in self.pieces])


def make_segments(
    stream: Iterable[obspy.Trace],
    component_order: str,
    sampling_rate_hz: float | None,
    bridge_s: float = 0.0,
    filtered: Filter | None = None,
) -> tuple[list[Segment], list[str]]:
    """
    Segments of one instrument of one station.

    Cost is linear in the number of traces. Samples are not copied where a component is whole; where one component has a
    gap that others do not have, its gap is filled with its median. Samples that are not finite count as missing; of
    overlapping samples the earlier trace's stay.

    Parameters
    ----------
    stream : iterable of Trace
        In any order.
    component_order : str
        Of the model, such as ``ZNE``.
    sampling_rate_hz : float or None
        Of the model; other rates are resampled. None: the rate of the first trace.
    bridge_s : float
        Gaps up to this length are bridged by a straight line.
    filtered : callable or None
        Filter that the model's weights ask for.

    Returns
    -------
    segments : list of Segment
        In order of time.
    rates : list of str
        What was resampled, for the ledger: ``HHZ 50 -> 100 Hz``.
    """
    traces = [trace for trace in stream if trace.stats.npts]
    if not traces:
        return [], []
    rate_hz = float(sampling_rate_hz or traces[0].stats.sampling_rate)
    letters = component_letters({trace.stats.channel[-1:] for trace in traces}, component_order)
    pieces: list[list[_Piece]] = [[] for _ in component_order]
    rates = set()
    for trace in traces:
        letter = letters.get(trace.stats.channel[-1:])
        if letter is None:
            continue
        if trace.stats.sampling_rate != rate_hz:
            rates.add(f"{trace.stats.channel} {trace.stats.sampling_rate:g} -> {rate_hz:g} Hz")
        pieces[component_order.index(letter)] += _pieces_of(trace, rate_hz, filtered)
    channels = [_Channel(sorted(own, key=lambda piece: (piece.first, -piece.end))) for own in pieces]
    ends = [(piece.first, piece.end) for channel in channels for piece in channel.pieces]
    return _assemble(channels, ends, rate_hz, round(bridge_s * rate_hz)), sorted(rates)


def _pieces_of(trace: obspy.Trace, rate_hz: float, filtered: Filter | None) -> list[_Piece]:
    samples = np.ma.getdata(trace.data)
    good = None if samples.dtype.kind in "iu" else np.isfinite(samples)
    edges = [0, samples.size] if good is None or good.all() else np.flatnonzero(np.diff(np.r_[0, good, 0]))
    found = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        start_ns = trace.stats.starttime.ns + round(int(begin) * NS_PER_S / trace.stats.sampling_rate)
        part: Samples = samples[begin:end]
        if filtered is not None:
            part = filtered(samples[begin:end], trace.stats.sampling_rate)
        if trace.stats.sampling_rate != rate_hz:
            part = resample(part[:], trace.stats.sampling_rate, rate_hz)
        first = _grid_number(start_ns, rate_hz)
        found.append(_Piece(first, part, start_ns - round(first * NS_PER_S / rate_hz)))
    return found


def _grid_number(time_ns: int, rate_hz: float) -> int:
    """Nearest sample of the grid that begins in 1970; in integers, since 1e18 ns are too many for a float."""
    ratio = Fraction(rate_hz).limit_denominator(1_000_000)
    return int((2 * time_ns * ratio.numerator // (NS_PER_S * ratio.denominator) + 1) // 2)


def _without_overlap(pieces: Sequence[_Piece]) -> list[_Piece]:
    kept: list[_Piece] = []
    for piece in pieces:
        n_known = max(kept[-1].end - piece.first, 0) if kept else 0
        if n_known == 0:
            kept.append(piece)
        elif n_known < piece.samples.size:
            kept.append(_Piece(piece.first + n_known, piece.samples[n_known:], piece.offset_ns))
    return kept


def _union(spans: Sequence[tuple[int, int]], n_bridge: int) -> list[tuple[int, int]]:
    """Joined half-open intervals; those at most ``n_bridge`` samples apart are one."""
    joined: list[tuple[int, int]] = []
    for first, end in sorted(spans):
        if joined and first - joined[-1][1] <= n_bridge:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((first, end))
    return joined


def _assemble(channels: list[_Channel], ends: list[tuple[int, int]], rate_hz: float, n_bridge: int) -> list[Segment]:
    cursors = [0] * len(channels)
    segments = []
    for first, end in _union(ends, n_bridge):
        components: list[Samples | None] = []
        offsets = []
        for index, channel in enumerate(channels):
            begin = cursors[index]
            while cursors[index] < len(channel.pieces) and channel.pieces[cursors[index]].first < end:
                cursors[index] += 1
            inside = channel.pieces[begin : cursors[index]]
            offsets += [piece.offset_ns for piece in inside[:1]]
            components.append(_join(inside, first, end, channel, n_bridge))
        start_ns = round(first * NS_PER_S / rate_hz) + round(sum(offsets) / len(offsets))
        segments.append(Segment(first=first, start_ns=start_ns, rate_hz=rate_hz, components=tuple(components)))
    return segments


def _join(pieces: Sequence[_Piece], first: int, end: int, channel: _Channel, n_bridge: int) -> Samples | None:
    """Pieces on one array; the rest of it is the level of the channel, or a straight line over a short gap."""
    if not pieces:
        return None
    if len(pieces) == 1 and pieces[0].samples.size == end - first:
        return pieces[0].samples
    kind = np.result_type(*(piece.samples.dtype for piece in pieces))
    joined = np.full(end - first, round(channel.level) if kind.kind in "iu" else channel.level, dtype=kind)
    for piece in pieces:
        joined[piece.first - first : piece.end - first] = piece.samples[:]
    for piece, following in pairwise(pieces):
        n_missing = following.first - piece.end
        if 0 < n_missing <= n_bridge:
            begin = piece.end - first
            edges = joined[begin - 1], joined[begin + n_missing]
            joined[begin : begin + n_missing] = np.linspace(*edges, n_missing + 2)[1:-1]
    return joined
