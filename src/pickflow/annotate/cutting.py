"""Which windows of a segment are predicted, and their samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pickflow.annotate.segments import Segment

GRIDS = ("absolute", "record")


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
        windows there). ``record``: they are counted from the first sample of the segment, as SeisBench does.

    Returns
    -------
    ndarray of int64
        In order; empty if the segment is shorter than a window.
    """
    last = segment.n_samples - in_samples
    if last < 0:
        return np.empty(0, dtype=np.int64)
    first = -segment.first % step if grid == "absolute" else 0
    starts = np.arange(first, last + 1, step, dtype=np.int64)
    return np.unique(np.r_[0, starts, last]).astype(np.int64)


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
