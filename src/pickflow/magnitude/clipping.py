"""Whether a short window of a record is clipped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RAIL_SAMPLES = 3  # equal samples at the extreme value ...
CORNER_SHARE = 0.01  # ... beside which the record falls by this share of its range at once ...
MIN_RANGE_COUNTS = 2000  # ... where equal samples are not a matter of resolution
LEVEL_SHARE = 0.9  # of the largest swing of a day that is known to be clipped
# Rails of 24 bits: the ringing of the anti-alias filter leads beyond them and leaves no flat tops. Larger samples are
# those of digitizers with more bits.
FULL_SCALE_COUNTS = 2**23
FULL_SCALE_REACH = (0.95, 1.3)


def is_clipped(samples: NDArray, day_swing: float | None) -> bool:
    """
    Whether the samples stand at a rail.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        The window.
    day_swing : float or None
        Largest distance of a sample from the median of the day, where the day's record is known to be clipped (remark
        `saturated` of the manifest): then every window that comes near it is, also if the anti-alias filter has bent
        the flat tops.
    """
    if samples.size == 0:
        return False
    lowest, highest = float(samples.min()), float(samples.max())
    if day_swing is not None:
        middle = float(np.median(samples))
        if max(highest - middle, middle - lowest) >= LEVEL_SHARE * day_swing:
            return True
    least, most = (share * FULL_SCALE_COUNTS for share in FULL_SCALE_REACH)
    if samples.dtype.kind in "iu" and least <= max(highest, -lowest) <= most:
        return True
    full_range = highest - lowest
    if full_range == 0 or (full_range < MIN_RANGE_COUNTS and samples.dtype.kind in "iu"):
        return False
    return any(_stands_at(samples, extreme, full_range) for extreme in (lowest, highest))


def _stands_at(samples: NDArray, extreme: float, full_range: float) -> bool:
    at = np.flatnonzero(samples == extreme)
    if at.size < RAIL_SAMPLES:
        return False
    breaks = np.flatnonzero(np.diff(at) > 1)
    firsts, lasts = at[np.r_[0, breaks + 1]], at[np.r_[breaks, at.size - 1]]
    before = np.abs(samples[np.maximum(firsts - 1, 0)] - extreme)
    after = np.abs(samples[np.minimum(lasts + 1, samples.size - 1)] - extreme)
    abrupt = np.maximum(before, after) > CORNER_SHARE * full_range
    return bool(np.any((lasts - firsts + 1 >= RAIL_SAMPLES) & abrupt))
