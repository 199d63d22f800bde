"""From counts to the trace of a Wood-Anderson seismometer, in the frequency domain."""

from __future__ import annotations

import numpy as np
import scipy.fft
import scipy.signal
from numpy.typing import NDArray

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

FREE_PERIOD_S = 0.8  # of the Wood-Anderson torsion seismometer (IASPEI 2013)
HIGH_PASS_ORDER = 4  # chosen: 24 dB an octave against microseism
# Chosen: digitizers' anti-alias filters fall here; above, division by their response would only amplify noise.
LOW_PASS_SHARE = (0.75, 0.95)
# Chosen: zeros behind the record, where the causal filters may ring, and not at its beginning.
PADDING_S = 20.0
# Chosen: the record is faded in at its beginning.
TAPER_S = 2.0
MM_PER_M = 1000.0


def seismometer(frequency_hz: Array, gain: float, damping: float) -> Spectrum:
    """
    Response of a Wood-Anderson seismometer to displacement (Uhrhammer and Collins 1990).

    Parameters
    ----------
    frequency_hz : ndarray, shape (n_frequencies,)
        Frequencies.
    gain : float
        Static magnification.
    damping : float
        Share of critical damping.
    """
    s = 2j * np.pi * frequency_hz
    omega = 2 * np.pi / FREE_PERIOD_S
    return gain * s**2 / (s**2 + 2 * damping * omega * s + omega**2)


def band(frequency_hz: Array, minimum_frequency_hz: float, sampling_rate_hz: float) -> Spectrum:
    """Causal Butterworth high-pass filter, and a fade-out below the Nyquist frequency; shape of ``frequency_hz``."""
    corner = 2 * np.pi * minimum_frequency_hz
    zeros, poles, gain = scipy.signal.butter(HIGH_PASS_ORDER, corner, "highpass", analog=True, output="zpk")
    _, high_pass = scipy.signal.freqs_zpk(zeros, poles, gain, 2 * np.pi * frequency_hz)
    first, last = (share * sampling_rate_hz / 2 for share in LOW_PASS_SHARE)
    position = np.clip((frequency_hz - first) / (last - first), 0, 1)
    return high_pass * (1 + np.cos(np.pi * position)) / 2


def fft_length(n_samples: int, sampling_rate_hz: float) -> int:
    """A power of two: records of many lengths then share a few transfer functions."""
    return int(2 ** np.ceil(np.log2(n_samples + PADDING_S * sampling_rate_hz)))


def frequencies_hz(n_fft: int, sampling_rate_hz: float) -> Array:
    """Frequencies above zero of the spectrum of a record, shape (n_fft // 2,)."""
    return scipy.fft.rfftfreq(n_fft, 1 / sampling_rate_hz)[1:]


def simulate(samples: NDArray, transfer: Spectrum, n_fft: int, sampling_rate_hz: float) -> Array:
    """
    Trace of the seismometer.

    Parameters
    ----------
    samples : ndarray, shape (n_samples,)
        Record in counts that begins with noise.
    transfer : ndarray, shape (n_fft // 2,)
        Trace over counts at `frequencies_hz`.
    n_fft : int
        See `fft_length`.
    sampling_rate_hz : float
        Sampling rate.

    Returns
    -------
    ndarray, shape (n_samples,)
        In the unit of ``transfer`` times counts.
    """
    n_taper = max(1, min(int(TAPER_S * sampling_rate_hz), samples.size // 4))
    record = samples.astype(np.float64)
    record -= record[: 2 * n_taper].mean()
    record[:n_taper] *= (1 - np.cos(np.pi * np.arange(n_taper) / n_taper)) / 2
    spectrum = scipy.fft.rfft(record, n_fft)
    spectrum[0] = 0.0
    spectrum[1:] *= transfer
    return scipy.fft.irfft(spectrum, n_fft)[: samples.size]
