"""Synthetic earthquakes and noise: random crusts, instruments and sources, without end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.run.settings.synthesize import Layer, Scattering
from pickflow.synthesize.instruments import INSTRUMENTS
from pickflow.synthesize.noise import coloured_noise, cultural_bursts
from pickflow.synthesize.waves import Earthquake, Path, ground_motion

Array32 = NDArray[np.float32]

SIGNAL_SAMPLES = 6144
_LEAD_S = 2.0
_SNR_SOS = scipy.signal.butter(3, (2.0, 20.0), "bandpass", fs=SAMPLING_RATE_HZ, output="sos")


@dataclass(frozen=True, kw_only=True)
class Signal:
    """
    A synthetic earthquake without noise.

    Parameters
    ----------
    samples : ndarray, shape (3, n_samples)
        Z, N, E; P has unit peak in 2-20 Hz on Z.
    picks : dict of str to float
        Sample of P and S.
    s_over_p : float
        Peak of S on the horizontals over that of P on Z, 2-20 Hz.
    magnitude, distance_km : float
        Of the earthquake.
    """

    samples: Array32
    picks: dict[str, float]
    s_over_p: float
    magnitude: float
    distance_km: float


def make_signal(rng: np.random.Generator) -> Signal:
    """Synthetic earthquake at a random distance in a random crust, recorded by a random instrument."""
    layers, scattering = _random_medium(rng)
    distance = float(10 ** rng.uniform(np.log10(2), np.log10(150)))
    path = Path(
        distance_km=distance,
        azimuth_deg=float(rng.uniform(0, 360)),
        receiver_depth_km=-float(rng.uniform(0, 1.5)),
        kappa_s=float(rng.uniform(0.01, 0.06)),
        amplification=1.0,
        delay_s={"P": 0.0, "S": 0.0},
    )
    earthquake = Earthquake(
        magnitude=float(np.clip(rng.normal(0.8 + 1.1 * np.log10(distance / 3), 0.8), 0, 4.5)),
        depth_km=float(rng.uniform(1, 25) if rng.random() < 0.9 else rng.uniform(25, 60)),
        strike_deg=float(rng.uniform(0, 360)),
        dip_deg=float(rng.uniform(10, 90)),
        rake_deg=float(rng.uniform(-180, 180)),
        stress_drop_mpa=float(rng.lognormal(1.1, 0.8)),
    )
    seeds = {name: int(rng.integers(2**63)) for name in "ZNE"}
    n_samples = 8192
    motion = ground_motion(
        earthquake,
        path,
        layers,
        scattering,
        n_samples,
        SAMPLING_RATE_HZ,
        0.0,
        lambda name: np.random.default_rng(seeds[name]),
    )
    instrument = INSTRUMENTS[str(rng.choice(list(INSTRUMENTS), p=[0.6, 0.2, 0.2]))]
    # All records begin two seconds before P, however far it came.
    shift_s = motion.onset_s["P"] - _LEAD_S
    delay = np.exp(2j * np.pi * motion.frequency_hz * shift_s)
    response = instrument.velocity_response(np.maximum(motion.frequency_hz, 1e-9))
    waves = np.fft.irfft(motion.spectrum * response * delay, n_samples)[:, :SIGNAL_SAMPLES]
    waves[:, -500:] *= np.linspace(1, 0, 500)
    picks = {phase: (at - shift_s) * SAMPLING_RATE_HZ for phase, at in motion.onset_s.items()}
    return _as_signal(waves, picks, earthquake.magnitude, distance)


def _random_medium(rng: np.random.Generator) -> tuple[tuple[Layer, ...], Scattering]:
    tops = (0.0, rng.uniform(0.3, 4), rng.uniform(8, 16), rng.uniform(17, 26), rng.uniform(28, 45))
    speeds = (rng.uniform(2.5, 5.2), rng.uniform(5.2, 6.0), rng.uniform(5.9, 6.4), rng.uniform(6.4, 7.0), 8.0)
    quality = 10 ** rng.uniform(-0.4, 0.4)
    layers = tuple(
        Layer(
            top_depth_km=float(top),
            vp_km_s=float(speed),
            vs_km_s=float(speed / rng.uniform(1.68, 1.85)),
            density_g_cm3=float(1.74 * speed**0.25),
            qp=float(quality * 8 * speed**2.3),
            qs=float(quality * 4.5 * speed**2.3),
        )
        for top, speed in zip(tops, speeds, strict=True)
    )
    scattering = Scattering(
        quality_1hz=float(rng.uniform(50, 200)),
        exponent=float(rng.uniform(0.6, 1.0)),
        energy_ratio=float(10 ** rng.uniform(-0.2, 1.4)),
    )
    return layers, scattering


def _as_signal(waves: NDArray, picks: dict[str, float], magnitude: float, distance_km: float) -> Signal:
    filtered = np.abs(scipy.signal.sosfilt(_SNR_SOS, waves))
    p, s = int(picks["P"]), int(picks["S"])
    p_peak = filtered[0, p : max(min(s, p + 400), p + 10)].max()
    s_peak = filtered[1:, s : s + 800].max() if s < SIGNAL_SAMPLES - 50 else 0.0
    scaled = (waves / p_peak).astype(np.float32)
    inside = {phase: at for phase, at in picks.items() if at < SIGNAL_SAMPLES - 50}
    return Signal(
        samples=scaled, picks=inside, s_over_p=float(s_peak / p_peak), magnitude=magnitude, distance_km=distance_km
    )


def make_noise(rng: np.random.Generator, n_samples: int = 4096) -> Array32:
    """Synthetic noise of three components, unit rms on Z in 2-20 Hz, shape (3, n_samples)."""
    instrument = INSTRUMENTS[str(rng.choice(list(INSTRUMENTS), p=[0.6, 0.2, 0.2]))]
    level, slope = rng.uniform(0.2, 0.9), rng.normal(0, 6)
    noise = np.stack(
        [
            coloured_noise(n_samples, SAMPLING_RATE_HZ, level + shift, instrument, rng, slope)
            for shift in (0.0, rng.uniform(0, 0.05), rng.uniform(0, 0.05))
        ]
    )
    unit = normalise_noise(noise)
    if rng.random() < 0.6:
        burst = cultural_bursts(n_samples, SAMPLING_RATE_HZ, rng.uniform(20, 200), 0.5 * 10 ** rng.uniform(0, 1.2), rng)
        unit = unit + (burst * rng.uniform(0.5, 1.0, (3, 1))).astype(np.float32)
    return unit


def normalise_noise(noise: NDArray) -> Array32:
    """Scale three components together to unit rms on Z in 2-20 Hz (if Z is silent, of the loudest)."""
    filtered = scipy.signal.sosfilt(_SNR_SOS, noise - noise[:, :1], axis=1)[:, 300:]
    rms = np.sqrt((filtered**2).mean(axis=1))
    scale = rms[0] if rms[0] > 0 else rms.max()
    return ((noise - noise.mean(axis=1, keepdims=True)) / (scale if scale > 0 else 1.0)).astype(np.float32)
