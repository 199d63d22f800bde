"""
Picks that a reviewer would call artefacts: on the edge of a gap, a step, a spike or padding, with no wave behind them.

Something abrupt beside a pick is only a suspicion: earthquakes do not wait until a gap is over. So the record around
the pick is judged without its abrupt part (gaps closed, steps taken back, spikes cut out: the sum of its differences
without the impossible ones). Where the energy still rises at the pick, a wave arrives, and the pick stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import obspy
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# The first that holds is named; a pick is "dead" where no component has two different samples.
REASONS = ("dead", "padding", "gap_edge", "step", "spike")

EARLY_S, LATE_S = 0.4, 0.2  # from so long before the edge to so long after it pickers put artefacts
REACH_S = 0.5  # the onset is looked for so far from the pick
CONTEXT_SAMPLES = 25  # an impossible difference: so many on either side of it ...
GUARD_SAMPLES = 4  # ... but for those of the glitch itself, which is one to three samples wide ...
GLITCH_RATIO = 2.5  # ... are all smaller by this factor, if it jumps once, or there and back ...
PULSE_RATIO = 6.0  # ... or by this one, if it takes more than two differences: the sharpest waves reach 5
FLAT_S = 0.3  # equal samples for so long are padding ...
FLAT_SHARE = 0.5  # ... unless more than this share of the others repeats as well: a sensor of few counts
BEFORE_S, AFTER_S = 2.0, 1.0  # the energies between which an arrival rises
LEAST_S = 0.15  # so much of both must be recorded: an onset that nobody could see is none
HIGH_PASS_S = 0.15  # the mean of so long before a sample is taken off: microseism must neither hide nor make a rise
RISE = 5.0  # energy after over energy before, on any component; noise beside a gap reached 4.7
PLATEAU = 0.8  # the onset is the last time with this share of the highest rise within reach ...
PICK_ERROR_S = 0.2  # ... and so near a true pick
BLOCK_PICKS = 1024  # their windows stay in the processor's cache


class _Component(NamedTuple):
    """Pieces of one channel, in order of time."""

    rate_hz: float
    starts_ns: NDArray[np.int64]
    n_samples: NDArray[np.int64]
    pieces: list[NDArray]


def artefact_reasons(stream: obspy.Stream, times_ns: NDArray[np.int64], phases: NDArray[np.str_]) -> NDArray[np.str_]:
    """
    Why picks are artefacts.

    Parameters
    ----------
    stream : Stream
        One instrument of one station as it was recorded, in any unit; gaps are separate traces.
    times_ns : ndarray, shape (n_picks,)
        Times of the picks, ns since 1970.
    phases : ndarray of str, shape (n_picks,)
        Their phases; so far P and S are judged alike.

    Returns
    -------
    ndarray of str, shape (n_picks,)
        One of `REASONS`, or an empty string where the pick may stay.
    """
    times_ns = np.asarray(times_ns, np.int64)
    components = _components(stream)
    blocks = [times_ns[first : first + BLOCK_PICKS] for first in range(0, times_ns.size, BLOCK_PICKS)]
    if not components or not blocks:
        return np.full(times_ns.size, "", dtype="U8")
    return np.concatenate([_judge(components, block) for block in blocks])


def _judge(components: list[_Component], times_ns: NDArray[np.int64]) -> NDArray[np.str_]:
    """Reasons of a block of picks."""
    reasons = np.full(times_ns.size, "", dtype="U8")
    found = [_suspicions(component, times_ns) for component in components]
    for reason in reversed(REASONS):
        flags = [suspicions[reason] for suspicions in found]
        reasons[np.all(flags, axis=0) if reason == "dead" else np.any(flags, axis=0)] = reason
    doubtful = np.flatnonzero(reasons)
    if doubtful.size:
        arrives = [_arrives(component, times_ns[doubtful]) for component in components]
        reasons[doubtful[np.any(arrives, axis=0)]] = ""
    return reasons


def _components(stream: obspy.Stream) -> list[_Component]:
    grouped: dict[tuple[str, float], list[tuple[int, NDArray]]] = {}
    for trace in stream:
        stats = trace.stats
        samples = trace.data
        if isinstance(samples, np.ma.MaskedArray):
            samples = np.ma.filled(samples.astype(float), np.nan)
        if len(samples):
            grouped.setdefault((stats.channel, stats.sampling_rate), []).append((stats.starttime.ns, samples))
    components = []
    for (_, rate_hz), pieces in grouped.items():
        pieces.sort(key=lambda piece: piece[0])
        starts_ns = np.array([start_ns for start_ns, _ in pieces], np.int64)
        samples = [samples for _, samples in pieces]
        components.append(_Component(rate_hz, starts_ns, np.array([len(one) for one in samples]), samples))
    return components


def _windows(component: _Component, times_ns: NDArray[np.int64], before: int, after: int) -> Floats:
    """Samples around times, NaN where there are none, shape (n_times, before + 1 + after)."""
    rate_hz, starts_ns, n_samples, pieces = component
    n_window = before + 1 + after
    windows = np.full((times_ns.size, n_window), np.nan)
    step_ns = 1e9 / rate_hz
    ends_ns = np.maximum.accumulate(starts_ns + (n_samples * step_ns).astype(np.int64))
    earliest = np.searchsorted(ends_ns, times_ns - round((before + 1) * step_ns))
    latest = np.searchsorted(starts_ns, times_ns + round((after + 1) * step_ns))
    count = np.maximum(latest - earliest, 0)
    row = np.repeat(np.arange(times_ns.size), count)
    piece = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(earliest, count)
    offset = np.rint((starts_ns[piece] - times_ns[row]) / step_ns).astype(np.int64) + before
    first, end = np.maximum(offset, 0), np.minimum(offset + n_samples[piece], n_window)
    for i, j, begin, stop, shift in np.stack([row, piece, first, end, offset], axis=1)[end > first].tolist():
        windows[i, begin:stop] = pieces[j][begin - shift : stop - shift]
    return windows


def _suspicions(component: _Component, times_ns: NDArray[np.int64]) -> dict[str, Flags]:
    """What is abrupt within reach of each pick on one component; each of shape (n_picks,)."""
    reach = max(1, round(REACH_S * component.rate_hz))
    half = reach + max(_flat_length(component.rate_hz), CONTEXT_SAMPLES + GUARD_SAMPLES + 1)
    windows = _windows(component, times_ns, half, half)
    near = slice(half - round(LATE_S * component.rate_hz), half + max(1, round(EARLY_S * component.rate_hz)))
    missing = np.isnan(windows)
    difference = np.nan_to_num(np.diff(windows, axis=1))
    glitch = np.where(_impossible(difference), difference, 0.0)[:, near]
    highest = np.abs(glitch).max(axis=1)
    offset = np.abs(glitch.sum(axis=1)) > highest / 2
    flat = _flat(difference == 0.0, missing, component.rate_hz)
    return {
        "dead": ~difference[:, near].any(axis=1),
        "padding": np.diff(flat, axis=1)[:, near].any(axis=1),
        "gap_edge": np.diff(missing, axis=1)[:, near].any(axis=1),
        "step": (highest > 0) & offset,
        "spike": (highest > 0) & ~offset,
    }


def _impossible(difference: Floats) -> Flags:
    """Differences far above all others on both sides, shape (n_picks, n_window - 1)."""
    size = np.abs(difference)
    largest = maximum_filter1d(size, CONTEXT_SAMPLES, axis=1, mode="constant")
    shift = GUARD_SAMPLES + 1 + CONTEXT_SAMPLES // 2
    around = np.full_like(size, np.inf)
    around[:, shift:-shift] = np.maximum(largest[:, : -2 * shift], largest[:, 2 * shift :])
    found = size > GLITCH_RATIO * around
    row, column = np.nonzero(found)
    beside = column[:, None] + np.arange(-GUARD_SAMPLES, GUARD_SAMPLES + 1)
    n_large = (size[row[:, None], beside] > around[row, column, None]).sum(axis=1)
    found[row, column] = (n_large <= 2) | (size[row, column] > PULSE_RATIO * around[row, column])
    return found


def _flat_length(rate_hz: float) -> int:
    """Number of equal differences that make padding; odd, so that it has a middle."""
    return 2 * max(2, round(FLAT_S * rate_hz / 2)) + 1


def _flat(equal: Flags, missing: Flags, rate_hz: float) -> Flags:
    """Differences inside padding, shape (n_picks, n_window - 1)."""
    length = _flat_length(rate_hz)
    equal = equal & ~missing[:, 1:] & ~missing[:, :-1]
    flat = np.zeros_like(equal)
    rows = np.flatnonzero(equal.sum(axis=1) >= length)
    if rows.size:
        runs = minimum_filter1d(equal[rows].view(np.uint8), length, axis=1)
        runs = maximum_filter1d(runs, length, axis=1).astype(bool)
        others = ~runs & ~missing[rows, 1:]
        coarse = (equal[rows] & others).sum(axis=1) > FLAT_SHARE * others.sum(axis=1)
        flat[rows] = runs & ~coarse[:, None]
    return flat


def _arrives(component: _Component, times_ns: NDArray[np.int64]) -> Flags:
    """Whether the energy of one component rises at each pick, once what is abrupt is taken away; shape (n_picks,)."""
    rate_hz = component.rate_hz
    reach, error = max(1, round(REACH_S * rate_hz)), max(1, round(PICK_ERROR_S * rate_hz))
    before, after, least = (max(2, round(span_s * rate_hz)) for span_s in (BEFORE_S, AFTER_S, LEAST_S))
    margin = max(CONTEXT_SAMPLES + GUARD_SAMPLES + 1, round(HIGH_PASS_S * rate_hz) + 1)
    windows = _windows(component, times_ns, before + reach + margin, after + reach + margin)
    energy, recorded = _energy(windows, rate_hz)
    onsets = np.arange(2 * reach + 1) + margin + before
    n_after = recorded[:, onsets + after] - recorded[:, onsets]
    n_before = recorded[:, onsets] - recorded[:, onsets - before]
    with np.errstate(invalid="ignore", divide="ignore"):
        rise = (energy[:, onsets + after] - energy[:, onsets]) / n_after
        rise /= (energy[:, onsets] - energy[:, onsets - before]) / n_before
    rise[(n_after < least) | (n_before < least) | np.isnan(rise)] = 0.0
    highest = rise.max(axis=1, keepdims=True)
    # A short pulse keeps the rise high from long before it; after its onset it falls at once.
    onset = 2 * reach - (rise >= PLATEAU * highest)[:, ::-1].argmax(axis=1)
    return (highest[:, 0] >= RISE) & (np.abs(onset - reach) <= error)


def _energy(windows: Floats, rate_hz: float) -> tuple[Floats, Floats]:
    """Energy and number of the samples before each sample, both of shape (n_picks, n_window + 1)."""
    missing = np.isnan(windows)
    difference = np.nan_to_num(np.diff(windows, axis=1))
    flat = _flat(difference == 0.0, missing, rate_hz)
    difference[_impossible(difference)] = 0.0
    ahead = ((0, 0), (1, 0))
    repaired = np.cumsum(np.pad(difference, ahead), axis=1)
    recorded = ~missing & ~np.pad(flat, ahead)
    # Causal, so that a strong onset does not leak into the noise before it.
    length = max(2, round(HIGH_PASS_S * rate_hz))
    counted = _sum_before(recorded, length) == length
    high = np.where(counted, repaired - _sum_before(repaired, length) / length, 0.0)
    return np.pad(np.cumsum(high**2, axis=1), ahead), np.pad(np.cumsum(counted, axis=1, dtype=float), ahead)


def _sum_before(values: NDArray, length: int) -> Floats:
    """Sum of each value and those before it, ``length`` in all."""
    total = np.cumsum(np.pad(values.astype(float), ((0, 0), (length, 0))), axis=1)
    return total[:, length:] - total[:, :-length]
