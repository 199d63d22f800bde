"""Which windows of a segment are predicted, and their samples."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np

from pickflow.annotate.segments import Segment
from pickflow.sampling.timeline import NS_PER_S, nearest

GRIDS = ("absolute", "record")
DAY_NS = 86_400 * NS_PER_S
# Chosen: time stamps are rounded, so windows of a record in pieces may be this much more than a step apart.
CLOCK_SLACK_SAMPLES = 4


def window_starts(segment: Segment, in_samples: int, step: int, grid: str) -> np.ndarray:
    """
    First samples of the windows of a segment, counted from its beginning.

    Parameters
    ----------
    segment : Segment
        Where the windows are cut.
    in_samples : int
        Length of a window.
    step : int
        Distance of neighbouring windows.
    grid : {"absolute", "record"}
        ``absolute``: windows begin at multiples of the step since 1970, and one more at each end of the segment, so
        that the picks inside do not depend on where a record was cut (two files that overlap at midnight have the same
        windows there). Samples are counted from the midnight before them at the record's own rate: what its clock does
        elsewhere does not matter. ``record``: they are counted from the first sample of the segment, as SeisBench does.

    Returns
    -------
    ndarray of int64
        In order; empty if the segment is shorter than a window.
    """
    last = segment.n_samples - in_samples
    if last < 0:
        return np.empty(0, dtype=np.int64)
    if grid == "record":
        starts = np.arange(0, last + 1, step, dtype=np.int64)
    else:
        starts = _absolute_starts(segment, step)
        starts = starts[(starts >= 0) & (starts <= last)]
    starts = np.unique(np.r_[0, starts, last])
    # Where one clock or day follows another, windows may be farther apart than a step.
    slack = min(CLOCK_SLACK_SAMPLES, in_samples - step)
    pairs = [(a, b) for a, b in pairwise(starts.tolist()) if b - a > step + slack]
    return np.unique(np.r_[starts, *(np.arange(a, b, step) for a, b in pairs)]).astype(np.int64)


def _absolute_starts(segment: Segment, step: int) -> np.ndarray:
    """Windows of each stretch of one clock and day, within the segment and beside it."""
    timeline = segment.timeline
    model_rate = Fraction(segment.rate_hz).limit_denominator(1_000_000)
    end_ns = segment.time_ns(segment.n_samples)
    midnights = range(segment.start_ns // DAY_NS * DAY_NS + DAY_NS, end_ns, DAY_NS)
    at_midnight = np.ceil([timeline.position(time_ns) for time_ns in midnights])
    edges = np.unique(np.r_[0, timeline.breaks(0, segment.n_samples), at_midnight, segment.n_samples])
    starts = []
    for first, end in pairwise(edges.tolist()):
        (line, *_) = timeline.part(first, first)
        midnight_ns = line.time_ns // DAY_NS * DAY_NS
        # In integers as far as midnight, since 1e18 ns are too many for a float.
        remainder = float(midnight_ns * model_rate / NS_PER_S % step)
        position = remainder + (line.time_ns - midnight_ns) * line.rate_hz / NS_PER_S
        starts.append(np.arange(first + -position % step, end, step))
    return nearest(np.concatenate(starts))


Cut = tuple[np.ndarray | None, ...]  # samples of each component of a window; None where the record lacks it


def cut(segment: Segment, start: int, in_samples: int) -> Cut:
    """Samples of a window as they were recorded; whole components are not copied."""
    return tuple(None if samples is None else samples[start : start + in_samples] for samples in segment.components)


def centre(cuts: Sequence[Cut], in_samples: int) -> np.ndarray:
    """
    Samples of windows, centred and scaled, as float32.

    Each component loses its mean, and a window is divided by a power of two near its peak, both in float64: networks
    normalise in float32 with small constants (1e-10) and would go blind on records in SI units or on large offsets.

    Parameters
    ----------
    cuts : sequence of Cut
        Samples of the windows.
    in_samples : int
        Length of a window.

    Returns
    -------
    ndarray of float32, shape (n_windows, n_components, in_samples)
        A component that is missing is zero.
    """
    windows = np.zeros((len(cuts), len(cuts[0]), in_samples), dtype=np.float64)
    for window, components in zip(windows, cuts, strict=True):
        for row, samples in zip(window, components, strict=True):
            if samples is not None:
                row[:] = samples
    windows -= windows.mean(axis=-1, keepdims=True)
    peaks = np.maximum(windows.max(axis=(1, 2)), -windows.min(axis=(1, 2)))
    _, exponents = np.frexp(peaks)
    return np.ldexp(windows, -exponents[:, None, None]).astype(np.float32)
