"""
Spikes and steps: changes from one sample to the next that no ground motion makes.

Such a change is far above all others on *both* of its sides, a seismic onset only above those before. A spike returns
within a few samples, a step does not. `find_glitches` reports only certain ones of a record, for the
manifest. Smaller ones beside a pick are candidates (`impossible_changes`), rejected if a wave arrives there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

CONTEXT_SAMPLES = 25  # samples beside a glitch that must be quiet
CHUNK_SAMPLES = 1 << 17  # stay in the processor's cache

# Of a record; chosen by hand, see tests/unit/test_quality_records.py.
MAX_SPIKE_SAMPLES = 3
RECORD_RATIO = 10.0  # jump over the largest change between neighbouring samples in the context
STEP_CONTEXT_S = 20.0  # a step must still be there after this time ...
STEP_SHARE = 0.5  # ... with this share of its height

# Beside a pick; chosen by hand, see tests/unit/test_quality_picks.py.
GUARD_SAMPLES = 4  # changes of the glitch itself, which is one to three samples wide, do not count as context
PICK_RATIO = 2.5  # over all others, if the record jumps once, or there and back ...
PULSE_RATIO = 6.0  # ... or this, if it takes more than two changes: the sharpest waves reach 5


class Glitches(NamedTuple):
    """Sample indices of the spikes and steps found in a piece."""

    spikes: np.ndarray
    steps: np.ndarray


def find_glitches(samples: np.ndarray, sampling_rate_hz: float) -> Glitches:
    """
    Isolated spikes of one to three samples, and abrupt lasting offsets.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Contiguous samples, in any unit.
    sampling_rate_hz : float
        Sampling rate.

    Returns
    -------
    Glitches
        Index of the first sample of each spike and of each new level.
    """
    spikes: list[int] = []
    steps: list[int] = []
    floor = max(_typical_change(samples), _resolution(samples))
    end_of_last = -1
    for onset in _abrupt_changes(samples, floor):
        if onset < end_of_last:
            continue
        width = _width_of_spike(samples, onset, floor)
        if width:
            spikes.append(onset + 1)
            end_of_last = onset + width + 1
        elif _is_step(samples, onset, sampling_rate_hz, floor):
            steps.append(onset + 1)
    return Glitches(np.array(spikes, int), np.array(steps, int))


def _typical_change(samples: np.ndarray) -> float:
    """Median change between neighbouring samples."""
    first = np.arange(0, samples.size - 1, max(1, samples.size // 100_000))
    return float(np.median(np.abs(samples[first + 1].astype(float) - samples[first]))) if first.size else 0.0


def _resolution(samples: np.ndarray) -> float:
    """Smallest change that can matter: one count, or a millionth of the range of floating-point samples."""
    return 1.0 if samples.dtype.kind in "iu" else float(np.ptp(samples)) * 1e-6


def chunks(n_samples: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Ranges that overlap; arrays of this size stay in the processor's cache."""
    for first in range(0, max(1, n_samples - overlap), CHUNK_SAMPLES):
        yield first, min(n_samples, first + CHUNK_SAMPLES + overlap)


def _abrupt_changes(samples: np.ndarray, floor: float) -> list[int]:
    """Indices of changes (to the next sample) far larger than all changes in the context before them."""
    indices: list[int] = []
    for first, end in chunks(samples.size, CONTEXT_SAMPLES + 1):
        size = np.abs(np.diff(samples[first:end].astype(float)))
        if size.size <= CONTEXT_SAMPLES:
            break
        # before[i] is the largest of size[i : i + CONTEXT_SAMPLES]
        context_peak = maximum_filter1d(size, CONTEXT_SAMPLES)[CONTEXT_SAMPLES // 2 : -CONTEXT_SAMPLES // 2]
        is_abrupt = size[CONTEXT_SAMPLES:] > RECORD_RATIO * np.maximum(context_peak, floor)
        indices += (np.flatnonzero(is_abrupt) + CONTEXT_SAMPLES + first).tolist()
    return indices


def _width_of_spike(samples: np.ndarray, onset: int, floor: float) -> int:
    """Number of samples of the spike that starts with the change ``onset``; 0 if it is none."""
    change = np.diff(samples[onset - CONTEXT_SAMPLES : onset + MAX_SPIKE_SAMPLES + CONTEXT_SAMPLES + 2].astype(float))
    quiet_before = np.abs(change[:CONTEXT_SAMPLES]).max()
    for width in range(1, MAX_SPIKE_SAMPLES + 1):
        context = np.abs(change[CONTEXT_SAMPLES + width + 1 :][:CONTEXT_SAMPLES])
        if context.size < CONTEXT_SAMPLES:
            return 0
        quiet = max(quiet_before, context.max(), floor)
        excursion = np.cumsum(change[CONTEXT_SAMPLES : CONTEXT_SAMPLES + width + 1])
        height = np.abs(excursion[:-1]).min()
        if height > RECORD_RATIO * quiet and abs(excursion[-1]) < height / RECORD_RATIO:
            return width
    return 0


def _is_step(samples: np.ndarray, onset: int, sampling_rate_hz: float, floor: float) -> bool:
    """Whether the level changes within a few samples, and stays."""
    context = int(STEP_CONTEXT_S * sampling_rate_hz)
    first_after = onset + MAX_SPIKE_SAMPLES + 1
    samples_before = samples[max(0, onset + 1 - context) : onset + 1].astype(float)
    samples_after = samples[first_after : first_after + context].astype(float)
    if samples_before.size < context // 2 or samples_after.size < context:
        return False
    just_before, just_after = samples_before[-CONTEXT_SAMPLES - 1 :], samples_after[: CONTEXT_SAMPLES + 1]
    height = abs(np.median(just_after) - np.median(just_before))
    quiet = max(np.abs(np.diff(just_before)).max(), np.abs(np.diff(just_after)).max(), floor)
    late_samples = samples_after[context // 2 :]
    level_change = abs(np.median(late_samples) - np.median(samples_before))
    ripple = max(np.ptp(samples_before), np.ptp(late_samples))
    return bool(height > RECORD_RATIO * quiet and level_change > STEP_SHARE * height and height > ripple)


def impossible_changes(difference: NDArray[np.float64]) -> NDArray[np.bool_]:
    """
    Changes far above all others on both sides, around picks.

    Parameters
    ----------
    difference : ndarray, shape (n_picks, n_window - 1)
        From each sample to the next; 0 in gaps.
    """
    size = np.abs(difference)
    largest = maximum_filter1d(size, CONTEXT_SAMPLES, axis=1, mode="constant")
    shift = GUARD_SAMPLES + 1 + CONTEXT_SAMPLES // 2
    context_peak = np.full_like(size, np.inf)
    context_peak[:, shift:-shift] = np.maximum(largest[:, : -2 * shift], largest[:, 2 * shift :])
    is_impossible = size > PICK_RATIO * context_peak
    row, column = np.nonzero(is_impossible)
    beside = column[:, None] + np.arange(-GUARD_SAMPLES, GUARD_SAMPLES + 1)
    n_large = (size[row[:, None], beside] > context_peak[row, column, None]).sum(axis=1)
    is_impossible[row, column] = (n_large <= 2) | (size[row, column] > PULSE_RATIO * context_peak[row, column])
    return is_impossible


def spike_or_step(changes: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether impossible changes, shape (n_picks, n_changes), cancel (a spike) or not (a step), of shape (n_picks,)."""
    highest = np.abs(changes).max(axis=1)
    lasting = np.abs(changes.sum(axis=1)) > highest / 2
    return (highest > 0) & ~lasting, (highest > 0) & lasting
