"""Clipped samples: in the record of a day (`saturated` in the manifest), and in the short window of an amplitude."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

from pickflow.quality.glitches import chunks

# Chosen by hand; tests/unit/test_quality_records.py shows what they recognise.
RAIL_SAMPLES = 3  # equal samples at the extreme value
RAIL_S = 2.0  # ... or this long, when the value is approached slowly
CORNER_SHARE = 0.01  # share of the range by which the sample beside a plateau lies lower
RECORD_RANGE_COUNTS = 200  # below this range short runs of equal extreme values come from the resolution
PILE_SAMPLES, PILE_RATIO, PILE_RANGE_COUNTS = 20, 5.0, 20  # so many at the extreme, and this ratio to the next value
PLATEAU_SAMPLES, PLATEAU_SHARE = 9, 0.03  # a clipped swing after the anti-alias filter: nearly flat
EDGE_SAMPLES, EDGE_SHARE = 5, 0.20  # ... and entered or left abruptly
PLATEAU_LEVEL_SHARE = 0.05  # plateaus of one side lie at one level, within this share of the range
PLATEAU_REACH = 0.4  # of the largest excursion; plateaus lie beyond
MIN_PLATEAUS = 4  # chosen: fewer may be chance
# Chosen: in a window few samples are at the extreme, and up to this range equal ones come from the resolution.
WINDOW_RANGE_COUNTS = 2000
LEVEL_SHARE = 0.9  # of the largest swing of a day that is known to be clipped
# Rails of a 24-bit digitizer: the ringing of the anti-alias filter exceeds them and leaves no flat tops. Larger samples
# come from digitizers with more bits.
FULL_SCALE_COUNTS = 2**23
FULL_SCALE_REACH = (0.95, 1.3)  # chosen; in units of FULL_SCALE_COUNTS


def is_clipped_record(samples: np.ndarray, sampling_rate_hz: float) -> bool:
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
    if digital and full_range < RECORD_RANGE_COUNTS:
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
    next_extreme = samples[samples < extreme].max() if side > 0 else samples[samples > extreme].min()
    return bool(n_extreme > PILE_RATIO * np.count_nonzero(samples == next_extreme))


def _stays_at(samples: np.ndarray, extreme: float, full_range: float, long_run: float = np.inf) -> bool:
    """Whether there are runs of equal samples at the extreme value, entered or left abruptly, or very long."""
    indices = np.flatnonzero(samples == extreme)
    if indices.size < RAIL_SAMPLES:
        return False
    breaks = np.flatnonzero(np.diff(indices) > 1)
    firsts, lasts = indices[np.r_[0, breaks + 1]], indices[np.r_[breaks, indices.size - 1]]
    lengths = lasts - firsts + 1
    change_before = np.abs(samples[np.maximum(firsts - 1, 0)] - extreme)
    change_after = np.abs(samples[np.minimum(lasts + 1, samples.size - 1)] - extreme)
    is_abrupt = np.maximum(change_before, change_after) > CORNER_SHARE * full_range
    return bool(np.any((lengths >= RAIL_SAMPLES) & is_abrupt | (lengths >= long_run)))


def _has_plateaus(samples: np.ndarray, full_range: float) -> bool:
    """Whether swings of either side end in nearly flat tops at one level."""
    middle = float(np.median(samples[:: max(1, samples.size // 100_000)]))
    reach = PLATEAU_REACH * max(float(samples.max()) - middle, middle - float(samples.min()))
    is_swing = (samples > middle + reach) | (samples < middle - reach)
    margin = PLATEAU_SAMPLES + EDGE_SAMPLES
    begin = max(0, int(is_swing.argmax()) - margin)
    section = samples[begin : samples.size - int(is_swing[::-1].argmax()) + margin]
    places, levels = [], []
    for first, end in chunks(section.size, 2 * margin):
        centres, heights = _plateaus(section[first:end].astype(np.float32) - np.float32(middle), reach, full_range)
        places.append(centres + first)
        levels.append(heights)
    position, level = np.concatenate(places), np.concatenate(levels)
    return any(_share_a_level(position[level * side > 0], level[level * side > 0], full_range) for side in (-1, 1))


def _plateaus(section: np.ndarray, reach: float, full_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres and levels of nearly flat stretches, far from zero, that begin or end abruptly."""
    half = PLATEAU_SAMPLES // 2
    spread = maximum_filter1d(section, PLATEAU_SAMPLES) - minimum_filter1d(section, PLATEAU_SAMPLES)
    centres = np.flatnonzero((spread <= PLATEAU_SHARE * full_range) & (np.abs(section) > reach))
    edge = half + EDGE_SAMPLES
    centres = centres[(centres >= edge) & (centres < section.size - edge)]
    inward_sign = -np.sign(section[centres])
    drop_before = (section[centres - edge] - section[centres - half]) * inward_sign
    drop_after = (section[centres + edge] - section[centres + half]) * inward_sign
    centres = centres[np.maximum(drop_before, drop_after) > EDGE_SHARE * full_range]
    return centres, section[centres]


def _share_a_level(places: np.ndarray, levels: np.ndarray, full_range: float) -> bool:
    """Whether enough separate plateaus lie at one level."""
    if places.size < MIN_PLATEAUS:
        return False
    ordered = np.sort(levels[np.r_[True, np.diff(places) > PLATEAU_SAMPLES]])
    spread = ordered[MIN_PLATEAUS - 1 :] - ordered[: ordered.size - MIN_PLATEAUS + 1]
    return bool(spread.size and spread.min() <= PLATEAU_LEVEL_SHARE * full_range)


def is_clipped_window(samples: NDArray, day_swing: float | None) -> bool:
    """
    Whether a short window of a record is clipped.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        The window.
    day_swing : float or None
        Largest distance of a sample from the median of the day, where the day's record is known to be clipped (remark
        `saturated` of the manifest): then every window that comes near it is clipped, also if the anti-alias filter
        has distorted the flat tops.
    """
    if samples.size == 0:
        return False
    lowest, highest = float(samples.min()), float(samples.max())
    if day_swing is not None:
        middle = float(np.median(samples))
        if max(highest - middle, middle - lowest) >= LEVEL_SHARE * day_swing:
            return True
    lowest_rail, highest_rail = (share * FULL_SCALE_COUNTS for share in FULL_SCALE_REACH)
    if samples.dtype.kind in "iu" and lowest_rail <= max(highest, -lowest) <= highest_rail:
        return True
    full_range = highest - lowest
    if full_range == 0 or (full_range < WINDOW_RANGE_COUNTS and samples.dtype.kind in "iu"):
        return False
    return any(_stays_at(samples, extreme, full_range) for extreme in (lowest, highest))
