"""Labelled records as a picker may get them: the vertical component alone, windows that end soon after an arrival."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pickflow.datasets.records import COMPONENTS, SAMPLING_RATE_HZ, Record, to_unit_peak

# What lies before the manual P by this much is noise, also where the pick is late.
NOISE_END_S = 0.5
SHORTEST_NOISE_S = 2.0  # mirrored, it must not become a tone


def is_complete(record: Record) -> bool:
    """Whether all three components have a signal."""
    return bool(record.samples.any(axis=1).all())


def vertical_alone(record: Record) -> Record:
    """The record of a station that has the vertical component only: both horizontals are zeros."""
    samples = np.zeros_like(record.samples)
    vertical = COMPONENTS.index("Z")
    samples[vertical] = record.samples[vertical]
    return replace(record, samples=to_unit_peak(samples))


def window_until(record: Record, phase: str, after_s: float, n_samples: int) -> Record | None:
    """
    The window that a picker has in real time, some seconds after an arrival.

    Parameters
    ----------
    record : Record
        With a manual P.
    phase : str
        P or S: the arrival, and the only label of the window.
    after_s : float
        How long after the arrival the window ends.
    n_samples : int
        Length of the window. Where the record begins later than the window, its noise before P is mirrored back and
        forth until the window is full: a station records before an earthquake, too.

    Returns
    -------
    Record or None
        Called ``<record>/<phase>+<after_s>s``; None if the record lacks the arrival, ends before the window, or has
        less than 2 s of noise where more is needed.
    """
    if not {phase, "P"} <= record.picks.keys():
        return None
    end = round(record.picks[phase] + after_s * SAMPLING_RATE_HZ)
    if end > record.samples.shape[1]:
        return None
    start = end - n_samples
    samples = record.samples[:, max(start, 0) : end]
    if start < 0:
        noise = record.samples[:, : max(int(record.picks["P"] - NOISE_END_S * SAMPLING_RATE_HZ), 0)]
        if noise.shape[1] < SHORTEST_NOISE_S * SAMPLING_RATE_HZ:
            return None
        before = np.pad(noise, ((0, 0), (-start, 0)), mode="reflect")[:, :-start]
        samples = np.concatenate([before, samples], axis=1)
    return replace(
        record,
        name=f"{record.name}/{phase}+{after_s:g}s",
        samples=to_unit_peak(samples),
        picks={phase: record.picks[phase] - start},
        probability=None,
    )
