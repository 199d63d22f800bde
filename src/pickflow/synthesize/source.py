"""Earthquake sources: moment, corner frequency, time function and radiation pattern."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Chosen: scattering near the source fills the nodes of a point source to about this share of the mean radiation.
RADIATION_FLOOR = 0.12


def seismic_moment_nm(magnitude: float) -> float:
    """Seismic moment in N m of a moment magnitude (Hanks and Kanamori 1979)."""
    return 10 ** (1.5 * magnitude + 9.1)


def corner_frequency_hz(phase: str, moment_nm: float, stress_drop_mpa: float, vs_km_s: float) -> float:
    """
    Corner frequency of a circular source (Brune 1970); that of P is 1.5 times that of S.

    Parameters
    ----------
    phase : str
        ``P`` or ``S``.
    moment_nm : float
        Seismic moment in N m.
    stress_drop_mpa : float
        Stress drop in MPa.
    vs_km_s : float
        S velocity at the source in km/s.

    Returns
    -------
    float
        Corner frequency in Hz.
    """
    radius_m = (7 * moment_nm / (16 * stress_drop_mpa * 1e6)) ** (1 / 3)
    return 2.34 * vs_km_s * 1e3 / (2 * np.pi * radius_m) * (1.5 if phase == "P" else 1.0)


def moment_rate_spectrum_nm(frequency_hz: Array, moment_nm: float, corner_hz: float) -> NDArray[np.complex128]:
    """
    Spectrum of the causal moment rate ω² t exp(-ωt), shape of ``frequency_hz``, in N m.

    Its derivative, the far-field velocity, is ω² (1 - ωt) exp(-ωt) (Brune 1970).
    """
    return moment_nm / (1 + 1j * frequency_hz / corner_hz) ** 2


def radiation_pattern(
    strike_deg: float, dip_deg: float, rake_deg: float, takeoff_deg: float, azimuth_deg: float
) -> tuple[float, float, float]:
    """
    Radiation of a double couple in P, SV and SH (Aki and Richards 2002, equations 4.89-4.91).

    Parameters
    ----------
    strike_deg, dip_deg, rake_deg : float
        Orientation of the fault.
    takeoff_deg : float
        Angle of the ray from the downward vertical.
    azimuth_deg : float
        Direction of the ray from north over east.

    Returns
    -------
    tuple of float
        P, SV, SH, with the sign of first motion and with nodes filled to `RADIATION_FLOOR`.
    """
    dip, rake, takeoff = np.radians([dip_deg, rake_deg, takeoff_deg])
    phi = np.radians(azimuth_deg - strike_deg)
    sin_r, cos_r, sin_d, cos_d, sin_i, cos_i = (f(angle) for angle in (rake, dip, takeoff) for f in (np.sin, np.cos))
    sin_2d, cos_2d, sin_2i, cos_2i = (f(2 * angle) for angle in (dip, takeoff) for f in (np.sin, np.cos))
    p = (
        cos_r * sin_d * sin_i**2 * np.sin(2 * phi)
        - cos_r * cos_d * sin_2i * np.cos(phi)
        + sin_r * sin_2d * (cos_i**2 - sin_i**2 * np.sin(phi) ** 2)
        + sin_r * cos_2d * sin_2i * np.sin(phi)
    )
    sv = (
        sin_r * cos_2d * cos_2i * np.sin(phi)
        - cos_r * cos_d * cos_2i * np.cos(phi)
        + 0.5 * cos_r * sin_d * sin_2i * np.sin(2 * phi)
        - 0.5 * sin_r * sin_2d * sin_2i * (1 + np.sin(phi) ** 2)
    )
    sh = (
        cos_r * cos_d * cos_i * np.sin(phi)
        + cos_r * sin_d * sin_i * np.cos(2 * phi)
        + sin_r * cos_2d * cos_i * np.cos(phi)
        - 0.5 * sin_r * sin_2d * sin_i * np.sin(2 * phi)
    )
    return _filled(p), _filled(sv), _filled(sh)


def _filled(value: float) -> float:
    return float(np.copysign(np.hypot(value, RADIATION_FLOOR), value))
