"""
Quality control of contiguous samples: dead, spikes, steps, clipping.

Pure functions on arrays. They look for what an analyst would point at, and are silent on earthquakes: a glitch is far
above the quiet samples on *both* of its sides, a seismic onset only above those before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d

CONTEXT_SAMPLES = 25  # samples beside a glitch that must be quiet
MAX_SPIKE_SAMPLES = 3
GLITCH_RATIO = 10.0  # jump over the largest change between neighbouring samples in the context
STEP_CONTEXT_S = 20.0  # a step must still be there after this time ...
STEP_SHARE = 0.5  # ... with this share of its height
RAIL_SAMPLES = 3  # equal samples at the extreme value
RAIL_S = 2.0  # ... or this long, when the value is approached slowly
CORNER_SHARE = 0.01  # share of the range by which the sample beside a plateau lies lower
MIN_RANGE_COUNTS = 200  # below this range short runs of equal extreme values are a matter of resolution
PILE_SAMPLES, PILE_RATIO, PILE_RANGE_COUNTS = 20, 5.0, 20  # that many at the extreme, against the next value inward
PLATEAU_SAMPLES, PLATEAU_SHARE = 9, 0.03  # a clipped swing after the anti-alias filter: nearly flat
EDGE_SAMPLES, EDGE_SHARE = 5, 0.20  # ... and entered or left abruptly
PLATEAU_LEVEL_SHARE = 0.05  # plateaus of one side lie at one level, within this share of the range
PLATEAU_REACH = 0.4  # of the largest excursion; plateaus lie beyond
MIN_PLATEAUS = 4
CHUNK_SAMPLES = 1 << 17
FLAT_S = 300.0  # so long a constant is no recording; quiet accelerometers change their last digit more often


class Glitches(NamedTuple):
    """Sample indices of the spikes and steps found in a piece."""

    spikes: np.ndarray
    steps: np.ndarray


def is_dead(pieces: list[np.ndarray]) -> bool:
    """Whether every piece is constant (each may have a constant of its own)."""
    return all(samples.size == 0 or samples.min() == samples.max() for samples in pieces)


def flat_runs(samples: np.ndarray, sampling_rate_hz: float) -> list[tuple[int, int]]:
    """
    Stretches of one constant value that last at least five minutes, such as gaps that somebody filled with zeros.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Contiguous samples.
    sampling_rate_hz : float
        Sampling rate.

    Returns
    -------
    list of (int, int)
        First sample and end (exclusive) of each.
    """
    length = int(FLAT_S * sampling_rate_hz)
    stride = length // 2
    if samples.size < length or stride == 0:
        return []
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(samples[stride::stride] == samples[:-stride:stride]) * stride:
        if runs and index < runs[-1][1]:
            continue
        value = samples[index]
        if not np.all(samples[index : index + stride + 1] == value):
            continue
        before = np.flatnonzero(samples[max(0, index - stride) : index] != value)
        first = max(0, index - stride) + (before[-1] + 1 if before.size else 0)
        after = np.flatnonzero(samples[index:] != value)
        end = index + after[0] if after.size else samples.size
        if end - first >= length:
            runs.append((int(first), int(end)))
    return runs


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


def _chunks(n_samples: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Ranges that overlap; arrays of this size stay in the processor's cache."""
    for first in range(0, max(1, n_samples - overlap), CHUNK_SAMPLES):
        yield first, min(n_samples, first + CHUNK_SAMPLES + overlap)


def _abrupt_changes(samples: np.ndarray, floor: float) -> list[int]:
    """Indices of changes (to the next sample) far larger than all changes in the context before them."""
    found: list[int] = []
    for first, end in _chunks(samples.size, CONTEXT_SAMPLES + 1):
        size = np.abs(np.diff(samples[first:end].astype(float)))
        if size.size <= CONTEXT_SAMPLES:
            break
        # before[i] is the largest of size[i : i + CONTEXT_SAMPLES]
        before = maximum_filter1d(size, CONTEXT_SAMPLES)[CONTEXT_SAMPLES // 2 : -CONTEXT_SAMPLES // 2]
        far = size[CONTEXT_SAMPLES:] > GLITCH_RATIO * np.maximum(before, floor)
        found += (np.flatnonzero(far) + CONTEXT_SAMPLES + first).tolist()
    return found


def _width_of_spike(samples: np.ndarray, onset: int, floor: float) -> int:
    """Number of samples of the spike that starts with the change ``onset``; 0 if it is none."""
    change = np.diff(samples[onset - CONTEXT_SAMPLES : onset + MAX_SPIKE_SAMPLES + CONTEXT_SAMPLES + 2].astype(float))
    quiet_before = np.abs(change[:CONTEXT_SAMPLES]).max()
    for width in range(1, MAX_SPIKE_SAMPLES + 1):
        after = np.abs(change[CONTEXT_SAMPLES + width + 1 :][:CONTEXT_SAMPLES])
        if after.size < CONTEXT_SAMPLES:
            return 0
        quiet = max(quiet_before, after.max(), floor)
        excursion = np.cumsum(change[CONTEXT_SAMPLES : CONTEXT_SAMPLES + width + 1])
        height = np.abs(excursion[:-1]).min()
        if height > GLITCH_RATIO * quiet and abs(excursion[-1]) < height / GLITCH_RATIO:
            return width
    return 0


def _is_step(samples: np.ndarray, onset: int, sampling_rate_hz: float, floor: float) -> bool:
    """Whether the level changes within a few samples, and stays."""
    context = int(STEP_CONTEXT_S * sampling_rate_hz)
    first_after = onset + MAX_SPIKE_SAMPLES + 1
    before = samples[max(0, onset + 1 - context) : onset + 1].astype(float)
    after = samples[first_after : first_after + context].astype(float)
    if before.size < context // 2 or after.size < context:
        return False
    just_before, just_after = before[-CONTEXT_SAMPLES - 1 :], after[: CONTEXT_SAMPLES + 1]
    height = abs(np.median(just_after) - np.median(just_before))
    quiet = max(np.abs(np.diff(just_before)).max(), np.abs(np.diff(just_after)).max(), floor)
    settled = after[context // 2 :]
    lasting = abs(np.median(settled) - np.median(before))
    calm = max(np.ptp(before), np.ptp(settled))
    return bool(height > GLITCH_RATIO * quiet and lasting > STEP_SHARE * height and height > calm)


def is_saturated(samples: np.ndarray, sampling_rate_hz: float) -> bool:
    """
    Whether a recording is clipped.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Contiguous samples.
    sampling_rate_hz : float
        Sampling rate.

    Returns
    -------
    bool
        True if samples stay at the extreme value (clipped digits), or swings have flat tops with abrupt corners at one
        level, possibly with the ringing of the anti-alias filter (clipped before it).
    """
    if samples.size < PLATEAU_SAMPLES or samples.min() == samples.max():
        return False
    digital = samples.dtype.kind in "iu"
    lowest, highest = float(samples.min()), float(samples.max())
    full_range = highest - lowest
    if digital and full_range >= PILE_RANGE_COUNTS and (_piles_up(samples, 1) or _piles_up(samples, -1)):
        return True
    if digital and full_range < MIN_RANGE_COUNTS:
        return False
    long_run = int(RAIL_S * sampling_rate_hz)
    if any(_stays_at(samples, extreme, full_range, long_run) for extreme in (lowest, highest)):
        return True
    return _has_plateaus(samples, full_range)


def _piles_up(samples: np.ndarray, side: int) -> bool:
    """Whether the extreme value occurs much more often than the next one: a pure sine reaches a ratio of 2."""
    extreme = samples.max() if side > 0 else samples.min()
    n_extreme = np.count_nonzero(samples == extreme)
    if n_extreme < PILE_SAMPLES:
        return False
    inside = samples[samples < extreme].max() if side > 0 else samples[samples > extreme].min()
    return bool(n_extreme > PILE_RATIO * np.count_nonzero(samples == inside))


def _stays_at(samples: np.ndarray, extreme: float, full_range: float, long_run: int) -> bool:
    """Whether there are runs of equal samples at the extreme value, entered or left abruptly, or very long."""
    at = np.flatnonzero(samples == extreme)
    if at.size < RAIL_SAMPLES:
        return False
    breaks = np.flatnonzero(np.diff(at) > 1)
    firsts, lasts = at[np.r_[0, breaks + 1]], at[np.r_[breaks, at.size - 1]]
    lengths = lasts - firsts + 1
    before = np.abs(samples[np.maximum(firsts - 1, 0)] - extreme)
    after = np.abs(samples[np.minimum(lasts + 1, samples.size - 1)] - extreme)
    abrupt = np.maximum(before, after) > CORNER_SHARE * full_range
    return bool(np.any((lengths >= RAIL_SAMPLES) & abrupt | (lengths >= long_run)))


def _has_plateaus(samples: np.ndarray, full_range: float) -> bool:
    """Whether swings of either side end in nearly flat tops at one level."""
    middle = float(np.median(samples[:: max(1, samples.size // 100_000)]))
    reach = PLATEAU_REACH * max(float(samples.max()) - middle, middle - float(samples.min()))
    strong = (samples > middle + reach) | (samples < middle - reach)
    margin = PLATEAU_SAMPLES + EDGE_SAMPLES
    begin = max(0, int(strong.argmax()) - margin)
    section = samples[begin : samples.size - int(strong[::-1].argmax()) + margin]
    places, levels = [], []
    for first, end in _chunks(section.size, 2 * margin):
        centres, heights = _plateaus(section[first:end].astype(np.float32) - np.float32(middle), reach, full_range)
        places.append(centres + first)
        levels.append(heights)
    place, level = np.concatenate(places), np.concatenate(levels)
    return any(_agree(place[level * side > 0], level[level * side > 0], full_range) for side in (-1, 1))


def _plateaus(section: np.ndarray, reach: float, full_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres and levels of nearly flat stretches, far from zero, that begin or end abruptly."""
    half = PLATEAU_SAMPLES // 2
    spread = maximum_filter1d(section, PLATEAU_SAMPLES) - minimum_filter1d(section, PLATEAU_SAMPLES)
    centres = np.flatnonzero((spread <= PLATEAU_SHARE * full_range) & (np.abs(section) > reach))
    edge = half + EDGE_SAMPLES
    centres = centres[(centres >= edge) & (centres < section.size - edge)]
    inward = -np.sign(section[centres])
    left = (section[centres - edge] - section[centres - half]) * inward
    right = (section[centres + edge] - section[centres + half]) * inward
    centres = centres[np.maximum(left, right) > EDGE_SHARE * full_range]
    return centres, section[centres]


def _agree(places: np.ndarray, levels: np.ndarray, full_range: float) -> bool:
    """Whether enough separate plateaus lie at one level."""
    if places.size < MIN_PLATEAUS:
        return False
    ordered = np.sort(levels[np.r_[True, np.diff(places) > PLATEAU_SAMPLES]])
    spread = ordered[MIN_PLATEAUS - 1 :] - ordered[: ordered.size - MIN_PLATEAUS + 1]
    return bool(spread.size and spread.min() <= PLATEAU_LEVEL_SHARE * full_range)
