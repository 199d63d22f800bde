"""Waveforms as pickers want them: their rate, a sensible scale, components that they can name."""

from __future__ import annotations

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
            piece = resample(piece, sampling_rate_hz)
        ready.append(piece)
    scale = 1.0
    if ready:
        scale = float(np.median(np.concatenate([np.abs(piece.data) for piece in ready])))
        scale = scale or float(max(np.abs(piece.data).max() for piece in ready)) or 1.0
    for piece in ready:
        piece.data /= scale
    _name_components(ready)
    return ready, scale, sorted(set(rates))


def resample(trace: obspy.Trace, sampling_rate_hz: float) -> obspy.Trace:
    """
    Zero-phase polyphase resampling (`scipy.signal.resample_poly`) to another rate.

    Parameters
    ----------
    trace : Trace
        Without gaps.
    sampling_rate_hz : float
        New rate; the ratio is taken as the nearest fraction with a denominator of at most 1000.

    Returns
    -------
    Trace
        Starts at the same time.
    """
    ratio = Fraction(sampling_rate_hz / trace.stats.sampling_rate).limit_denominator(1000)
    samples = scipy.signal.resample_poly(trace.data, ratio.numerator, ratio.denominator, padtype="line")
    resampled = trace.copy()
    resampled.data = samples
    resampled.stats.sampling_rate = sampling_rate_hz
    return resampled


def _name_components(stream: obspy.Stream) -> None:
    """SeisBench knows Z, N, E, 1 and 2; a Z-2-3, 1-2-3 or U-V-W sensor is told to it as Z, 1, 2."""
    letters = {trace.stats.channel[-1] for trace in stream}
    # ASSUME the first letter of a set stands nearest to the vertical, as in Z-2-3.
    names = next((dict(zip(known, "Z12", strict=True)) for known in ("Z23", "123", "UVW") if letters <= set(known)), {})
    if letters <= set("Z12"):
        names = {}
    for trace in stream:
        code = trace.stats.channel
        trace.stats.channel = code[:-1] + names.get(code[-1], code[-1])
