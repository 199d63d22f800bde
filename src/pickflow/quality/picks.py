"""
Picks that a reviewer would call artefacts: on the edge of a gap, a step, a spike or padding, with no wave behind them.

An abrupt change beside a pick is only a candidate: an earthquake may begin at the end of a gap. So the record around
the pick is judged without its abrupt part (gaps closed, steps and spikes removed: the sum of its differences without
the impossible ones). Where the energy still rises at the pick, a wave arrives, and the pick stays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import obspy
from numpy.typing import NDArray

from pickflow.quality.flat import padding, padding_length
from pickflow.quality.glitches import CONTEXT_SAMPLES, GUARD_SAMPLES, impossible_changes, spike_or_step
from pickflow.sampling.pieces import by_channel

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# The first that holds is named; a pick is "dead" where no component has two different samples.
REASONS = ("dead", "padding", "gap_edge", "step", "spike")

# Chosen by hand, see tests/unit/test_quality_picks.py.
EARLY_S, LATE_S = 0.4, 0.2  # pickers place artefacts from this long before the edge to this long after it
REACH_S = 0.5  # the onset is searched within this distance of the pick
BEFORE_S, AFTER_S = 2.0, 1.0  # the energies between which an arrival rises
LEAST_S = 0.15  # this much before and after must be recorded
HIGH_PASS_S = 0.15  # the mean of this long before a sample is subtracted, against microseism
RISE = 5.0  # energy after over energy before, on any component; noise beside a gap reached 4.7
PLATEAU = 0.8  # the onset is the last time with this share of the highest rise within reach ...
PICK_ERROR_S = 0.2  # ... and so near a true pick
BLOCK_PICKS = 1024  # their windows stay in the processor's cache


class _Component(NamedTuple):
    """Pieces of one channel, in order of time; their clocks may differ a little."""

    rate_hz: float  # of the first of them
    steps_ns: Floats
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
        One of `REASONS`, or an empty string for a good pick.
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
    component_suspicions = [_suspicions(component, times_ns) for component in components]
    for reason in reversed(REASONS):
        flags = [suspicions[reason] for suspicions in component_suspicions]
        reasons[np.all(flags, axis=0) if reason == "dead" else np.any(flags, axis=0)] = reason
    suspects = np.flatnonzero(reasons)
    if suspects.size:
        arrives = [_arrives(component, times_ns[suspects]) for component in components]
        reasons[suspects[np.any(arrives, axis=0)]] = ""
    return reasons


def _components(stream: obspy.Stream) -> list[_Component]:
    components = []
    for traces in by_channel(stream):
        pieces = sorted((trace for trace in traces if len(trace)), key=lambda trace: trace.stats.starttime.ns)
        if pieces:
            steps_ns = np.array([1e9 / trace.stats.sampling_rate for trace in pieces])
            starts_ns = np.array([trace.stats.starttime.ns for trace in pieces], np.int64)
            samples = [_with_nan(trace.data) for trace in pieces]
            n_samples = np.array([len(piece) for piece in samples])
            components.append(_Component(1e9 / steps_ns[0], steps_ns, starts_ns, n_samples, samples))
    return components


def _with_nan(samples: NDArray) -> NDArray:
    return np.ma.filled(samples.astype(float), np.nan) if isinstance(samples, np.ma.MaskedArray) else samples


def _windows(component: _Component, times_ns: NDArray[np.int64], n_before: int, n_after: int) -> Floats:
    """Samples around times, NaN where there are none, shape (n_times, before + 1 + after)."""
    rate_hz, steps_ns, starts_ns, n_samples, pieces = component
    n_window = n_before + 1 + n_after
    windows = np.full((times_ns.size, n_window), np.nan)
    step_ns = 1e9 / rate_hz
    ends_ns = np.maximum.accumulate(starts_ns + (n_samples * steps_ns).astype(np.int64))
    first_piece = np.searchsorted(ends_ns, times_ns - round((n_before + 1) * step_ns))
    latest = np.searchsorted(starts_ns, times_ns + round((n_after + 1) * step_ns))
    count = np.maximum(latest - first_piece, 0)
    row = np.repeat(np.arange(times_ns.size), count)
    piece = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first_piece, count)
    offset = np.rint((starts_ns[piece] - times_ns[row]) / steps_ns[piece]).astype(np.int64) + n_before
    first, end = np.maximum(offset, 0), np.minimum(offset + n_samples[piece], n_window)
    for i, j, begin, stop, shift in np.stack([row, piece, first, end, offset], axis=1)[end > first].tolist():
        windows[i, begin:stop] = pieces[j][begin - shift : stop - shift]
    return windows


def _suspicions(component: _Component, times_ns: NDArray[np.int64]) -> dict[str, Flags]:
    """Reasons that apply within reach of each pick on one component; each of shape (n_picks,)."""
    reach = max(1, round(REACH_S * component.rate_hz))
    half = reach + max(padding_length(component.rate_hz), CONTEXT_SAMPLES + GUARD_SAMPLES + 1)
    windows = _windows(component, times_ns, half, half)
    pick = slice(half - round(LATE_S * component.rate_hz), half + max(1, round(EARLY_S * component.rate_hz)))
    missing = np.isnan(windows)
    difference = np.nan_to_num(np.diff(windows, axis=1))
    spike, step = spike_or_step(np.where(impossible_changes(difference), difference, 0.0)[:, pick])
    flat = padding(difference == 0.0, missing, component.rate_hz)
    return {
        "dead": ~difference[:, pick].any(axis=1),
        "padding": np.diff(flat, axis=1)[:, pick].any(axis=1),
        "gap_edge": np.diff(missing, axis=1)[:, pick].any(axis=1),
        "step": step,
        "spike": spike,
    }


def _arrives(component: _Component, times_ns: NDArray[np.int64]) -> Flags:
    """Whether the energy of one component rises at each pick, without its abrupt changes; shape (n_picks,)."""
    rate_hz = component.rate_hz
    reach, error = max(1, round(REACH_S * rate_hz)), max(1, round(PICK_ERROR_S * rate_hz))
    n_noise, n_signal, n_least = (max(2, round(span_s * rate_hz)) for span_s in (BEFORE_S, AFTER_S, LEAST_S))
    margin = max(CONTEXT_SAMPLES + GUARD_SAMPLES + 1, round(HIGH_PASS_S * rate_hz) + 1)
    windows = _windows(component, times_ns, n_noise + reach + margin, n_signal + reach + margin)
    energy, n_recorded = _energy(windows, rate_hz)
    onsets = np.arange(2 * reach + 1) + margin + n_noise
    n_after = n_recorded[:, onsets + n_signal] - n_recorded[:, onsets]
    n_before = n_recorded[:, onsets] - n_recorded[:, onsets - n_noise]
    with np.errstate(invalid="ignore", divide="ignore"):
        rise = (energy[:, onsets + n_signal] - energy[:, onsets]) / n_after
        rise /= (energy[:, onsets] - energy[:, onsets - n_noise]) / n_before
    rise[(n_after < n_least) | (n_before < n_least) | np.isnan(rise)] = 0.0
    highest = rise.max(axis=1, keepdims=True)
    # A short pulse raises the ratio from long before it; after its onset the ratio falls at once.
    onset = 2 * reach - (rise >= PLATEAU * highest)[:, ::-1].argmax(axis=1)
    return (highest[:, 0] >= RISE) & (np.abs(onset - reach) <= error)


def _energy(windows: Floats, rate_hz: float) -> tuple[Floats, Floats]:
    """Energy and number of the samples before each sample, both of shape (n_picks, n_window + 1)."""
    missing = np.isnan(windows)
    difference = np.nan_to_num(np.diff(windows, axis=1))
    flat = padding(difference == 0.0, missing, rate_hz)
    difference[impossible_changes(difference)] = 0.0
    pad_width = ((0, 0), (1, 0))
    record = np.cumsum(np.pad(difference, pad_width), axis=1)
    is_recorded = ~missing & ~np.pad(flat, pad_width)
    # Causal, so that a strong onset does not leak into the noise before it.
    length = max(2, round(HIGH_PASS_S * rate_hz))
    is_complete = _sum_before(is_recorded, length) == length
    high = np.where(is_complete, record - _sum_before(record, length) / length, 0.0)
    return np.pad(np.cumsum(high**2, axis=1), pad_width), np.pad(np.cumsum(is_complete, axis=1, dtype=float), pad_width)


def _sum_before(values: NDArray, length: int) -> Floats:
    """Sum of each value and those before it, ``length`` in all."""
    total = np.cumsum(np.pad(values.astype(float), ((0, 0), (length, 0))), axis=1)
    return total[:, length:] - total[:, :-length]
