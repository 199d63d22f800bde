"""Waveforms as pickers want them: their rate, a sensible scale, components that they can name."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

import numpy as np
import obspy
import scipy.signal


def prepare(stream: obspy.Stream, sampling_rate_hz: float | None) -> tuple[obspy.Stream, float, list[str]]:
    """
    Waveforms as a picker wants them: its rate, a sensible scale, components it can name.

    Parameters
    ----------
    stream : Stream
        One instrument of one station; gaps are separate traces.
    sampling_rate_hz : float or None
        The model's rate; None leaves the rates alone.

    Returns
    -------
    ready : Stream
        float64, scaled so that the median deviation of the record is 1: pickers add small constants to what they divide
        by, and go blind on records in SI units.
    scale : float
        What the samples were divided by.
    rates : list of str
        What was resampled, for the ledger: ``HHZ 50 -> 100 Hz``.
    """
    rates = []
    ready = obspy.Stream()
    for trace in stream:
        piece = trace.copy()
        piece.data = np.asarray(trace.data, dtype=np.float64) - np.median(trace.data)
        if sampling_rate_hz and trace.stats.sampling_rate != sampling_rate_hz:
            rates.append(f"{trace.stats.channel} {trace.stats.sampling_rate:g} -> {sampling_rate_hz:g} Hz")
            piece.data = resample(piece.data, trace.stats.sampling_rate, sampling_rate_hz)
            piece.stats.sampling_rate = sampling_rate_hz
        ready.append(piece)
    scale = 1.0
    if ready:
        scale = float(np.median(np.concatenate([np.abs(piece.data) for piece in ready])))
        scale = scale or float(max(np.abs(piece.data).max() for piece in ready)) or 1.0
    for piece in ready:
        piece.data /= scale
    letters = component_letters({trace.stats.channel[-1] for trace in ready}, "ZNE")
    for trace in ready:
        code = trace.stats.channel
        trace.stats.channel = code[:-1] + letters.get(code[-1], code[-1])
    return ready, scale, sorted(set(rates))


def resample(samples: np.ndarray, old_rate_hz: float, new_rate_hz: float) -> np.ndarray:
    """
    Zero-phase polyphase resampling (`scipy.signal.resample_poly`) to another rate; the first sample keeps its time.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Without gaps.
    old_rate_hz, new_rate_hz : float
        Rates; their ratio is taken as the nearest fraction with a denominator of at most 1000.

    Returns
    -------
    ndarray of float64
    """
    ratio = Fraction(new_rate_hz / old_rate_hz).limit_denominator(1000)
    return scipy.signal.resample_poly(samples.astype(np.float64), ratio.numerator, ratio.denominator, padtype="line")


def component_letters(letters: Collection[str], component_order: str) -> dict[str, str]:
    """
    Which component of a model each component of a sensor is.

    Parameters
    ----------
    letters : collection of str
        Last letters of the channel codes of one sensor.
    component_order : str
        Of the model, such as ``ZNE``.

    Returns
    -------
    dict of str to str
        1 is N and 2 is E, or the other way round where the model says so; the letters of a Z-2-3, 1-2-3 or U-V-W sensor
        are taken in their order. A letter that has no counterpart is left out.
    """
    known = dict(zip("ZNE12", "ZNENE", strict=True)) | {letter: letter for letter in component_order}
    # ASSUME the first letter of a set stands nearest to the vertical, as in Z-2-3.
    sets = [dict(zip(names, "ZNE", strict=True)) for names in ("Z23", "123", "UVW")]
    if not set(letters) <= set("Z12"):
        known = next((names for names in sets if set(letters) <= set(names)), known)
    same = {letter: letter for letter in component_order} | (
        {"N": "1", "E": "2"} if set("12") <= set(component_order) else {}
    )
    return {letter: same[known[letter]] for letter in sorted(letters) if known.get(letter) in same}
