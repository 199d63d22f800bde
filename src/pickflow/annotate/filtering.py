"""The filter that some weights define, over long records without long temporary arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import obspy
import scipy.signal

from pickflow.sampling.pieces import Filter, Samples

BLOCK_SAMPLES = 2**17  # a megabyte of float64 stays in the cache
# Chosen, near float64 rounding: a backward pass starts where the unknown later samples have decayed to this.
DECAY = 1e-14
N_LEVEL_SAMPLES = 10_000  # chosen: the median of so many is known to about 1 % of their spread


def make_filter(arguments: Sequence[Any] | None, keywords: Mapping[str, Any] | None) -> Filter | None:
    """
    Filter from the arguments of `obspy.Trace.filter`, which is what weights are published with.

    Butterworth band-, high- and low-passes run block by block and give what ObsPy gives, within 1e-12 of the largest
    sample; any other filter is ObsPy's own.

    Parameters
    ----------
    arguments, keywords : sequence and mapping, or None
        None and None: no filter.

    Returns
    -------
    callable or None
        The record's median is subtracted first: a filter that starts on an offset rings. Returns float32.
    """
    if arguments is None and keywords is None:
        return None
    args, named = tuple(arguments or ()), dict(keywords or {})

    def apply(samples: np.ndarray, rate_hz: float) -> np.ndarray | FilteredSamples:
        level = level_of([samples])
        sections = _butterworth(args, named, rate_hz)
        if sections is None:
            trace = obspy.Trace(samples - level, {"sampling_rate": rate_hz})
            return trace.filter(*args, **named).data.astype(np.float32)
        return FilteredSamples(sections, samples, level, bool(named.get("zerophase")))

    return apply


def level_of(pieces: Sequence[Samples]) -> float:
    """Median of a channel: of all samples of a short one, of some 10,000 at equal distances of a long one."""
    stride = max(1, sum(piece.size for piece in pieces) // N_LEVEL_SAMPLES)
    return float(np.median(np.concatenate([piece[::stride] for piece in pieces])))


def _butterworth(args: tuple[Any, ...], named: Mapping[str, Any], rate_hz: float) -> np.ndarray | None:
    """Second-order sections; None for filters that are left to ObsPy."""
    kinds = {"bandpass": ("freqmin", "freqmax"), "highpass": ("freq",), "lowpass": ("freq",)}
    if len(args) != 1 or args[0] not in kinds or not set(named) <= {*kinds[args[0]], "corners", "zerophase"}:
        return None
    corners_hz = [float(named[name]) for name in kinds[args[0]] if name in named]
    if len(corners_hz) < len(kinds[args[0]]) or max(corners_hz) >= 0.999 * rate_hz / 2:
        return None
    return scipy.signal.butter(named.get("corners", 4), np.squeeze(corners_hz), args[0], output="sos", fs=rate_hz)


class FilteredSamples:
    """
    Samples after second-order sections that start at rest, computed when they are read, and released after that.

    Slices that move forward, as windows do, cost one pass over the record and two blocks of memory.

    Parameters
    ----------
    sections : ndarray, shape (n_sections, 6)
        As `scipy.signal.sosfilt` takes them.
    samples : ndarray, shape (n_samples,)
        Any type.
    level : float
        Subtracted from the samples.
    zero_phase : bool
        Filter backward, too.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, sections: np.ndarray, samples: np.ndarray, level: float, zero_phase: bool):
        self.size = samples.size
        self._sections, self._samples, self._level, self._zero_phase = sections, samples, level, zero_phase
        _, poles, _ = scipy.signal.sos2zpk(sections)
        radius = float(np.abs(poles).max())
        self._margin = int(np.ceil(np.log(DECAY) / np.log(radius))) if 0 < radius < 1 else samples.size
        self._first = self._next = 0
        self._buffer = np.empty(0, dtype=np.float32)
        self._state = np.zeros((len(sections), 2))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: slice) -> np.ndarray:
        begin, end, step = key.indices(self.size)
        if begin < self._first:  # read again from the beginning
            self._first = self._next = 0
            self._buffer, self._state = self._buffer[:0], np.zeros_like(self._state)
        while self._first + self._buffer.size < end:
            n_passed = max(begin - self._first, 0) if step == 1 else 0
            self._first += min(n_passed, self._buffer.size)
            self._buffer = np.concatenate([self._buffer[n_passed:], self._next_block()])
        return self._buffer[begin - self._first : end - self._first : step]

    def _next_block(self) -> np.ndarray:
        first, last = self._next, min(self._next + BLOCK_SAMPLES, self.size)
        block, self._state = scipy.signal.sosfilt(
            self._sections, self._samples[first:last] - self._level, zi=self._state
        )
        if self._zero_phase:
            margin = self._samples[last : last + self._margin] - self._level
            if margin.size:
                block = np.concatenate([block, scipy.signal.sosfilt(self._sections, margin, zi=self._state)[0]])
            block = scipy.signal.sosfilt(self._sections, block[::-1])[::-1]
        self._next = last
        return block[: last - first].astype(np.float32)
