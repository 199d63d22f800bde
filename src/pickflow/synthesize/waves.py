"""Seismograms of one earthquake at one site: rays, causal attenuation, the free surface, and coda."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pickflow.run.settings.synthesize import Layer, Scattering
from pickflow.synthesize.medium import velocity_model
from pickflow.synthesize.source import (
    corner_frequency_hz,
    moment_rate_spectrum_nm,
    radiation_pattern,
    seismic_moment_nm,
)
from pickflow.travel_times.layers import Ray, VelocityModel, direct_ray, refracted_ray

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]

# Chosen: amplitude of a refracted wave as a share of the direct one's over the same path.
REFRACTED_AMPLITUDE = 0.35
_OCTAVES_HZ = (1.5, 3.0, 6.0, 12.0, 24.0)  # centres of the bands of the coda
# Chosen: share of coda on Z, R, T after P and after S.
_CODA_PARTITION = {"P": (1.0, 0.7, 0.7), "S": (0.7, 1.0, 1.0)}


@dataclass(frozen=True, kw_only=True)
class Earthquake:
    """A point source; the azimuth is that from it to the receiver."""

    magnitude: float
    depth_km: float
    strike_deg: float
    dip_deg: float
    rake_deg: float
    stress_drop_mpa: float


@dataclass(frozen=True, kw_only=True)
class Path:
    """From the source to the receiver, with the effects of the site."""

    distance_km: float
    azimuth_deg: float
    receiver_depth_km: float
    kappa_s: float
    amplification: float
    delay_s: dict[str, float]  # of P and of S


@dataclass(frozen=True, kw_only=True)
class Motion:
    """
    Ground velocity of an earthquake at a site.

    Parameters
    ----------
    spectrum : ndarray, shape (3, n_frequencies)
        Z, N, E in m/s, as `scipy.fft.irfft` takes them; the record begins ``lead_s`` before the origin.
    frequency_hz : ndarray, shape (n_frequencies,)
        Frequencies.
    n_samples : int
        Length of the record.
    onset_s : dict of str to float
        Time of the first P and S after the origin.
    """

    spectrum: Spectrum
    frequency_hz: Array
    n_samples: int
    onset_s: dict[str, float]


def ground_motion(
    earthquake: Earthquake,
    path: Path,
    layers: tuple[Layer, ...],
    scattering: Scattering,
    n_samples: int,
    sampling_rate_hz: float,
    lead_s: float,
    component_rng: Callable[[str], np.random.Generator],
) -> Motion:
    """
    Ground velocity of an earthquake at a site.

    Each phase is the derivative of the moment rate, weakened by spreading and by causal Q, turned into components by
    the free surface, and followed by its coda: band-limited noise under a decaying envelope, convolved with the
    direct pulse, so that nothing precedes the onset.

    Parameters
    ----------
    earthquake, path, layers, scattering
        Source, path and medium.
    n_samples : int
        Length of the record (a fast FFT length); waves that end later wrap around, so leave room.
    sampling_rate_hz : float
        Sampling rate.
    lead_s : float
        Time before the origin at which the record begins.
    component_rng : callable
        Source of randomness for the coda of a component (``Z``, ``N``, ``E``).

    Returns
    -------
    Motion
    """
    frequency = scipy.fft.rfftfreq(n_samples, 1 / sampling_rate_hz)
    model = velocity_model(layers)
    noise = np.stack([_coda_noise(component_rng(name), n_samples, sampling_rate_hz) for name in "ZNE"], axis=1)
    total: Spectrum = np.zeros((3, frequency.size), dtype=complex)
    onset_s = {}
    for phase in ("P", "S"):
        geometry = (model, phase, path.distance_km, earthquake.depth_km, path.receiver_depth_km)
        direct, refracted = direct_ray(*geometry), refracted_ray(*geometry)
        arrivals = [(direct, 1.0)]
        if refracted.time_s[0] < direct.time_s[0]:
            arrivals.append((refracted, REFRACTED_AMPLITUDE))
        onset_s[phase] = min(float(ray.time_s[0]) for ray, _ in arrivals) + path.delay_s[phase]
        for ray, share in arrivals:
            pulse, components = _pulse(phase, earthquake, path, layers, model, ray, frequency)
            start_s = lead_s + float(ray.time_s[0]) + path.delay_s[phase]
            shift = np.exp(-2j * np.pi * frequency * start_s)
            coda = _coda(phase, noise, components, float(ray.time_s[0]), path, scattering, sampling_rate_hz)
            total += share * pulse * shift * (components[:, None] + coda)
    total *= sampling_rate_hz
    return Motion(spectrum=total, frequency_hz=frequency, n_samples=n_samples, onset_s=onset_s)


def _pulse(
    phase: str,
    earthquake: Earthquake,
    path: Path,
    layers: tuple[Layer, ...],
    model: VelocityModel,
    ray: Ray,
    frequency: Array,
) -> tuple[Spectrum, Array]:
    """Far-field velocity spectrum of a phase without its delay, and its share on Z, N, E."""
    source, receiver = layers[int(model.layer_of(earthquake.depth_km))], layers[0]
    speed = model.velocity_km_s(phase) * 1e3
    source_speed, surface_speed = speed[int(model.layer_of(earthquake.depth_km))], speed[0]
    moment = seismic_moment_nm(earthquake.magnitude)
    corner = corner_frequency_hz(phase, moment, earthquake.stress_drop_mpa, source.vs_km_s)
    # Aki and Richards 2002, equation 4.96: impedances of both ends.
    impedance = np.sqrt(source.density_g_cm3 * 1e3 * source_speed**5 * receiver.density_g_cm3 * 1e3 * surface_speed)
    scale = path.amplification / (4 * np.pi * impedance * ray.spreading_km[0] * 1e3)
    quality = np.array([layer.qp if phase == "P" else layer.qs for layer in layers])
    t_star = float((ray.layer_time_s[0] / quality).sum()) + path.kappa_s
    rate = moment_rate_spectrum_nm(frequency, moment, corner)
    pulse = scale * 2j * np.pi * frequency * rate * attenuation(frequency, t_star)
    pattern = radiation_pattern(
        earthquake.strike_deg,
        earthquake.dip_deg,
        earthquake.rake_deg,
        float(ray.takeoff_angle_deg[0]),
        path.azimuth_deg,
    )
    slowness = float(ray.ray_parameter_s_km[0])
    return pulse, surface_components(phase, pattern, slowness, receiver, path.azimuth_deg)


def attenuation(frequency_hz: Array, t_star_s: float) -> Spectrum:
    """
    Spectrum of constant Q with the dispersion that makes it causal (Kjartansson 1979, for small 1/Q).

    The highest frequency keeps its travel time, every lower one is later: nothing precedes the onset.
    """
    top = frequency_hz[-1]
    ratio = np.maximum(frequency_hz, frequency_hz[1]) / top
    return np.exp(-np.pi * frequency_hz * t_star_s + 2j * frequency_hz * t_star_s * np.log(ratio))


def surface_components(
    phase: str, pattern: tuple[float, float, float], slowness_s_km: float, top: Layer, azimuth_deg: float
) -> Array:
    """
    Displacement of the free surface by a plane wave of given P, SV and SH amplitude.

    Parameters
    ----------
    phase : str
        ``P`` or ``S``.
    pattern : tuple of float
        Amplitudes of P, SV, SH.
    slowness_s_km : float
        Horizontal slowness.
    top : Layer
        The layer at the surface.
    azimuth_deg : float
        From the source to the receiver.

    Returns
    -------
    ndarray, shape (3,)
        Factors of Z (up), N, E. Beyond the critical angle of SV the real part is used, which keeps the onset sharp.
    """
    alpha, beta = top.vp_km_s, top.vs_km_s
    p = min(slowness_s_km, 0.999 / beta)
    cos_i = complex(np.sqrt(complex(1 - (alpha * p) ** 2)))
    cos_j = float(np.sqrt(1 - (beta * p) ** 2))
    sin_i, sin_j = alpha * p, beta * p
    # Aki and Richards 2002, equations 5.27-5.31: reflections at the free surface.
    shear = 1 / beta**2 - 2 * p**2
    coupling = 4 * p**2 * (cos_i / alpha) * (cos_j / beta)
    rayleigh = shear**2 + coupling
    if phase == "P":
        reflected_p = (coupling - shear**2) / rayleigh
        reflected_s = 4 * (alpha / beta) * p * (cos_i / alpha) * shear / rayleigh
        radial = pattern[0] * (sin_i * (1 + reflected_p) + cos_j * reflected_s)
        vertical = pattern[0] * (cos_i * (1 - reflected_p) + sin_j * reflected_s)
        transverse = 0.0
    else:
        reflected_s = (shear**2 - coupling) / rayleigh
        reflected_p = 4 * (beta / alpha) * p * (cos_j / beta) * shear / rayleigh
        radial = pattern[1] * (cos_j * (1 + reflected_s) + sin_i * reflected_p)
        vertical = -pattern[1] * (sin_j * (1 - reflected_s) + cos_i * reflected_p)
        transverse = 2 * pattern[2]
    radial, vertical = complex(radial).real, complex(vertical).real
    azimuth = np.radians(azimuth_deg)
    north = radial * np.cos(azimuth) - transverse * np.sin(azimuth)
    east = radial * np.sin(azimuth) + transverse * np.cos(azimuth)
    return np.array([vertical, north, east])


def _coda_noise(rng: np.random.Generator, n_samples: int, sampling_rate_hz: float) -> Array:
    """White noise split into octave bands, shape (n_bands, n_samples); the bands add up to (nearly) white noise."""
    frequency = scipy.fft.rfftfreq(n_samples, 1 / sampling_rate_hz)
    spectrum = scipy.fft.rfft(rng.standard_normal(n_samples))
    position = np.log2(np.maximum(frequency, 1e-9) / _OCTAVES_HZ[0])
    weights = [np.cos(np.clip(position - index, -1, 1) * np.pi / 2) for index in range(len(_OCTAVES_HZ))]
    weights[-1] = np.where(position > len(_OCTAVES_HZ) - 1, 1.0, weights[-1])
    return scipy.fft.irfft(spectrum * np.array(weights), n_samples)


def _coda(
    phase: str,
    noise: Array,
    components: Array,
    travel_time_s: float,
    path: Path,
    scattering: Scattering,
    sampling_rate_hz: float,
) -> Spectrum:
    """
    Spectra of the scattered echoes of a unit pulse on Z, N, E, shape (3, n_frequencies).

    Single scattering (Aki and Chouet 1975): the envelope falls as the inverse of lapse time and by Qc of its band.
    Forward scattering adds a part right after the onset, which grows with the distance (Sato 1989).
    """
    n_samples = noise.shape[-1]
    after_s = np.arange(n_samples) / sampling_rate_hz
    spread_s = 0.05 * travel_time_s + 0.05
    forward = 1 + 2 * np.exp(-after_s / spread_s)
    shape = (1 - np.exp(-5 * after_s / spread_s)) * forward / (1 + after_s / max(travel_time_s, 1.0))
    envelopes = np.stack(
        [
            shape * np.exp(-np.pi * f ** (1 - scattering.exponent) * after_s / scattering.quality_1hz)
            for f in _OCTAVES_HZ
        ]
    )
    envelopes /= np.sqrt((envelopes**2).sum(axis=1, keepdims=True))
    energy = scattering.energy_ratio * np.clip(path.distance_km / 30, 0.3, 3.0)
    size = np.linalg.norm(components) * np.sqrt(energy / 3)
    echoes = np.einsum("bcn,bn->cn", noise, envelopes) * size
    return scipy.fft.rfft(echoes) * np.array(_CODA_PARTITION[phase])[:, None]
