"""Ground and instrument noise: Peterson's models, coloured in the frequency domain, and cultural bursts."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm

from pickflow.synthesize.instruments import Instrument

Array = NDArray[np.float64]

# Both come with falling periods, so that the logarithm of frequency rises.
_LOW_PERIOD_S, _LOW_DB = get_nlnm()
_HIGH_PERIOD_S, _HIGH_DB = get_nhnm()
_BURST_BAND_HZ = (3.0, 18.0)  # chosen: traffic and machines


def noise_power_db(frequency_hz: Array, level: float) -> Array:
    """
    Acceleration power between Peterson's (1993) low- and high-noise models, dB of (m/s²)²/Hz.

    Parameters
    ----------
    frequency_hz : ndarray, shape (n,)
        Frequencies above 0 Hz; above 10 Hz, where the models end, the last value holds.
    level : float
        0 is the low-noise model, 1 the high-noise model.

    Returns
    -------
    ndarray, shape (n,)
    """
    log_frequency = np.log10(frequency_hz)
    low = np.interp(log_frequency, -np.log10(_LOW_PERIOD_S), _LOW_DB)
    high = np.interp(log_frequency, -np.log10(_HIGH_PERIOD_S), _HIGH_DB)
    return low + level * (high - low)


def coloured_noise(
    n_samples: int,
    sampling_rate_hz: float,
    level: float,
    instrument: Instrument,
    rng: np.random.Generator,
    slope_db: float = 0.0,
) -> Array:
    """
    Noise of a station as its instrument records it.

    Parameters
    ----------
    n_samples : int
        Length of the record.
    sampling_rate_hz : float
        Sampling rate.
    level : float
        See `noise_power_db`.
    instrument : Instrument
        Response and self-noise.
    rng : Generator
        Source of randomness.
    slope_db : float
        Tilt of the spectrum about 3 Hz, dB per decade of frequency.

    Returns
    -------
    ndarray, shape (n_samples,)
        Counts, not rounded.
    """
    n_fft = scipy.fft.next_fast_len(n_samples, real=True)
    frequency = np.maximum(scipy.fft.rfftfreq(n_fft, 1 / sampling_rate_hz), sampling_rate_hz / n_fft)
    ground = noise_power_db(frequency, level) + slope_db * np.log10(frequency / 3.0)
    flat_db, rise_db = instrument.self_noise_db
    self_noise = flat_db + rise_db * np.maximum(-np.log10(frequency), 0)
    acceleration = np.sqrt(10 ** (ground / 10) + 10 ** (self_noise / 10))
    amplitude = acceleration * np.abs(instrument.velocity_response(frequency)) / (2 * np.pi * frequency)
    amplitude[0] = 0.0
    spectrum = rng.standard_normal(frequency.size) + 1j * rng.standard_normal(frequency.size)
    spectrum *= amplitude * np.sqrt(sampling_rate_hz * n_fft) / 2
    return scipy.fft.irfft(spectrum, n_fft)[:n_samples]


def cultural_bursts(
    n_samples: int, sampling_rate_hz: float, bursts_per_hour: float, size: float, rng: np.random.Generator
) -> Array:
    """
    Traffic and machines: a few seconds to half a minute of 3-18 Hz noise that rises and falls smoothly.

    Parameters
    ----------
    n_samples : int
        Length of the record.
    sampling_rate_hz : float
        Sampling rate.
    bursts_per_hour : float
        Mean rate.
    size : float
        Typical rms of a burst in its middle.
    rng : Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (n_samples,)
    """
    record = np.zeros(n_samples)
    n_bursts = rng.poisson(bursts_per_hour * n_samples / sampling_rate_hz / 3600)
    for _ in range(n_bursts):
        length = int(rng.uniform(4, 30) * sampling_rate_hz)
        start = int(rng.integers(-length, n_samples))
        burst = _band_noise(length, sampling_rate_hz, rng) * np.hanning(length) * size * rng.lognormal(0, 0.4)
        first, last = max(start, 0), min(start + length, n_samples)
        record[first:last] += burst[first - start : last - start]
    return record


def _band_noise(n_samples: int, sampling_rate_hz: float, rng: np.random.Generator) -> Array:
    """Noise of unit rms in a random part of the burst band."""
    low, high = np.sort(rng.uniform(*_BURST_BAND_HZ, 2))
    frequency = scipy.fft.rfftfreq(n_samples, 1 / sampling_rate_hz)
    weight = np.exp(-0.5 * ((frequency - (low + high) / 2) / ((high - low) / 2 + 1.0)) ** 2)
    weight[0] = 0.0
    noise = scipy.fft.irfft(scipy.fft.rfft(rng.standard_normal(n_samples)) * weight, n_samples)
    return noise / noise.std()
