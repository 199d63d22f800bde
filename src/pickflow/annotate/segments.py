"""Records as arrays: the pieces of one instrument become segments, whose components share one axis of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import obspy
from scipy.ndimage import map_coordinates, spline_filter1d

from pickflow.annotate.filtering import level_of
from pickflow.codes import component_letters
from pickflow.sampling.pieces import CONTIGUOUS_SAMPLES, Filter, Piece, Samples, make_pieces
from pickflow.sampling.rates import conversion, is_plausible, rate_problem
from pickflow.sampling.timeline import NS_PER_S, Line, Timeline, nearest

# Components stay as they are where their clocks agree with the first one's within this: half a sample, and the rounding
# of time stamps.
ALIGNED_SAMPLES = 0.55
SPLINE_ORDER = 5  # chosen: the highest that SciPy has
CHUNK_SAMPLES = 2**17  # chosen: a megabyte of float64 stays in the cache


@dataclass(frozen=True, kw_only=True)
class Segment:
    """
    Samples without a gap common to all components.

    Attributes
    ----------
    timeline : Timeline
        When the samples were taken, by the record's own clock.
    rate_hz : float
        The model's sampling rate; that of the record is the `same_rate`.
    components : tuple of (ndarray, shape (n_samples,)) or None
        In the order of the model's components, in the record's own type; None where the record lacks the component.
        Filtered ones are computed while they are read.
    """

    timeline: Timeline
    rate_hz: float
    components: tuple[Samples | None, ...]

    @property
    def n_samples(self) -> int:
        """Length in samples."""
        return next(samples.size for samples in self.components if samples is not None)

    @property
    def start_ns(self) -> int:
        """Time of the first sample in ns since 1970."""
        return self.timeline.start_ns

    def time_ns(self, index: float) -> int:
        """Time of a sample in ns since 1970."""
        return self.timeline.time_ns(index)

    def index_at(self, time_ns: int) -> int:
        """The sample nearest to a time; counted on beyond both ends."""
        return int(nearest(self.timeline.position(time_ns)))

    def indices_at(self, times_ns: np.ndarray) -> np.ndarray:
        """`index_at` of many times."""
        return nearest(self.timeline.positions_at(times_ns - self.start_ns))


class _Span(NamedTuple):
    """Samples [first, end) of a piece whose clock counts."""

    start_ns: int
    end_ns: int
    piece: Piece
    first: int
    end: int


class _Channel:
    """Pieces of a component in order of time, without overlaps."""

    def __init__(self, pieces: Sequence[Piece]):
        self.pieces = pieces
        self.n_used = 0

    @cached_property
    def level(self) -> float:
        """Median, to fill gaps with."""
        return level_of([piece.samples for piece in self.pieces])


def make_segments(
    stream: Iterable[obspy.Trace],
    component_order: str,
    sampling_rate_hz: float | None,
    bridge_s: float = 0.0,
    weights_filter: Filter | None = None,
) -> tuple[list[Segment], list[str]]:
    """
    Segments of one instrument of one station.

    A record whose rate is the model's but for the error of a clock is taken sample by sample, and its own clock says
    when the samples were. Any other rate is resampled by a simple fraction. The clock of the first component counts;
    others are interpolated only where theirs disagrees with it.

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
    weights_filter : callable or None
        Filter that the model's weights define.

    Returns
    -------
    segments : list of Segment
        In order of time.
    rates : list of str
        What was resampled, or left out because its rate is not plausible, for the ledger: ``HHZ 50 -> 100 Hz``.

    Raises
    ------
    ValueError
        If no trace has a plausible rate.
    """
    usable, rates = with_plausible_rates(trace for trace in stream if trace.stats.npts)
    if not usable:
        return [], []
    rate_hz = float(sampling_rate_hz or usable[0].stats.sampling_rate)
    letters = component_letters({trace.stats.channel[-1:] for trace in usable}, component_order)
    grouped: list[list[obspy.Trace]] = [[] for _ in component_order]
    for trace in usable:
        letter = letters.get(trace.stats.channel[-1:])
        if letter is None:
            continue
        grouped[component_order.index(letter)].append(trace)
        own_hz = trace.stats.sampling_rate
        ratio = conversion(own_hz, rate_hz)
        if ratio != 1:
            rates.add(f"{trace.stats.channel} {own_hz:g} -> {own_hz * ratio:g} Hz")
    channels = [_Channel(make_pieces(traces, rate_hz, weights_filter)) for traces in grouped]
    return _assemble(channels, rate_hz, round(bridge_s * rate_hz)), sorted(rates)


def with_plausible_rates(traces: Iterable[obspy.Trace]) -> tuple[list[obspy.Trace], set[str]]:
    """
    Traces with a plausible sampling rate, and a message for each of the others.

    Raises
    ------
    ValueError
        If no rate is plausible.
    """
    usable, problems = [], set()
    for trace in traces:
        if is_plausible(trace.stats.sampling_rate):
            usable.append(trace)
        else:
            problems.add(rate_problem(trace.id, trace.stats.sampling_rate) + "; left out")
    if problems and not usable:
        raise ValueError("; ".join(sorted(problems)))
    return usable, problems


def _assemble(channels: list[_Channel], rate_hz: float, n_bridge: int) -> list[Segment]:
    spans: list[_Span] = []
    for channel in channels:
        spans = sorted(spans + _uncovered(channel.pieces, spans), key=lambda span: span.start_ns)
    segments = []
    for group, positions in _groups(spans, n_bridge):
        lines: list[Line] = []
        for span, position in zip(group, positions, strict=True):
            lines += span.piece.timeline.part(span.first, span.end, position=position)
        timeline = Timeline(lines)
        n_samples = positions[-1] + group[-1].end - group[-1].first
        components = tuple(_component(channel, timeline, n_samples, group[-1].end_ns, n_bridge) for channel in channels)
        segments.append(Segment(timeline=timeline, rate_hz=rate_hz, components=components))
    return segments


def _uncovered(pieces: Sequence[Piece], spans: Sequence[_Span]) -> list[_Span]:
    """Spans of the times that no span covers so far; both in order of time."""
    uncovered = []
    position = 0
    for piece in pieces:
        begin_ns, end_ns = piece.timeline.start_ns, piece.end_ns
        first, n_samples = 0, piece.samples.size
        while position < len(spans) and spans[position].end_ns <= begin_ns:
            position += 1
        index = position
        while index < len(spans) and spans[index].start_ns < end_ns:
            gap_end = int(np.clip(nearest(piece.timeline.position(spans[index].start_ns)), first, n_samples))
            uncovered += [_span(piece, first, gap_end)] if gap_end > first else []
            first = max(gap_end, min(int(nearest(piece.timeline.position(spans[index].end_ns))), n_samples))
            index += 1
        uncovered += [_span(piece, first, n_samples)] if n_samples > first else []
    return uncovered


def _span(piece: Piece, first: int, end: int) -> _Span:
    return _Span(piece.timeline.time_ns(first), piece.timeline.time_ns(end), piece, first, end)


def _groups(spans: Sequence[_Span], n_bridge: int) -> Iterable[tuple[list[_Span], list[int]]]:
    """Spans at most ``n_bridge`` samples apart, and where each begins in the segment that they make."""
    group: list[_Span] = []
    positions: list[int] = []
    for span in spans:
        if group:
            rate_hz = span.piece.timeline.lines[0].rate_hz
            gap_samples = (span.start_ns - group[-1].end_ns) * rate_hz / NS_PER_S
            n_missing = 0 if gap_samples < CONTIGUOUS_SAMPLES else max(round(gap_samples), 1)
            if n_missing <= n_bridge:
                positions.append(positions[-1] + group[-1].end - group[-1].first + n_missing)
                group.append(span)
                continue
            yield group, positions
        group, positions = [span], [0]
    if group:
        yield group, positions


def _component(channel: _Channel, timeline: Timeline, n_samples: int, end_ns: int, n_bridge: int) -> Samples | None:
    """Samples of a channel on the axis of a segment."""
    pieces: list[tuple[int, Samples]] = []
    covered_end = 0
    while channel.n_used < len(channel.pieces) and channel.pieces[channel.n_used].timeline.start_ns < end_ns:
        piece = channel.pieces[channel.n_used]
        first, samples = _on_axis(piece, timeline)
        begin, end = max(covered_end - first, 0), min(samples.size, n_samples - first)
        if end > begin:
            whole = (begin, end) == (0, samples.size)
            pieces.append((first + begin, samples if whole else samples[begin:end]))
            covered_end = first + end
        if piece.end_ns > end_ns:
            break  # the next segment may have the rest of it
        channel.n_used += 1
    return _join(pieces, n_samples, channel, n_bridge)


def _on_axis(piece: Piece, timeline: Timeline) -> tuple[int, Samples]:
    """Where a piece begins on the axis, and its samples there; interpolated only if the clocks disagree."""
    last = piece.samples.size - 1
    positions = np.r_[0, piece.timeline.breaks(0, last), last]
    shift_ns = piece.timeline.start_ns - timeline.start_ns
    axis_positions = timeline.positions_at(piece.timeline.offsets_ns(positions) + shift_ns)
    breaks = timeline.breaks(axis_positions[0], axis_positions[-1])
    at_breaks = piece.timeline.positions_at(timeline.offsets_ns(breaks) - shift_ns)
    first = int(nearest(axis_positions[0]))
    if np.abs(np.r_[axis_positions - positions, breaks - at_breaks] - first).max() <= ALIGNED_SAMPLES:
        return first, piece.samples
    begin, end = int(np.ceil(axis_positions[0])), int(np.floor(axis_positions[-1])) + 1
    coefficients = spline_filter1d(np.asarray(piece.samples[:], dtype=np.float64), SPLINE_ORDER, mode="nearest")
    values = np.empty(max(end - begin, 0))
    for start in range(begin, end, CHUNK_SAMPLES):
        indices = np.arange(start, min(start + CHUNK_SAMPLES, end))
        piece_positions = piece.timeline.positions_at(timeline.offsets_ns(indices) - shift_ns)
        chunk = map_coordinates(coefficients, [piece_positions], order=SPLINE_ORDER, mode="nearest", prefilter=False)
        values[start - begin : start - begin + chunk.size] = chunk
    return begin, values


def _join(pieces: Sequence[tuple[int, Samples]], n_samples: int, channel: _Channel, n_bridge: int) -> Samples | None:
    """Pieces on one array; the rest of it is the level of the channel, or a straight line over a short gap."""
    if not pieces:
        return None
    if len(pieces) == 1 and pieces[0][1].size == n_samples:
        return pieces[0][1]
    kind = np.result_type(*(samples.dtype for _, samples in pieces))
    values = np.full(n_samples, round(channel.level) if kind.kind in "iu" else channel.level, dtype=kind)
    for first, samples in pieces:
        values[first : first + samples.size] = samples[:]
    for (first, samples), (next_first, _) in pairwise(pieces):
        begin = first + samples.size
        n_missing = next_first - begin
        if 0 < n_missing <= n_bridge:
            edges = values[begin - 1], values[next_first]
            values[begin:next_first] = np.linspace(*edges, n_missing + 2)[1:-1]
    return values
