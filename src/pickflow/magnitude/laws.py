"""
Attenuation laws of local magnitude.

ML = log10(A) + correction(R), with the zero-to-peak amplitude A of a Wood-Anderson seismometer in mm and the
hypocentral distance R in km (Richter 1935). Each law belongs to the seismometer that it was derived with: the nominal
magnification of 2800 is 2080 in truth (Uhrhammer and Collins 1990), which is 0.13 in magnitude.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pickflow.run.settings.magnitude import MagnitudeParams

Array = NDArray[np.float64]
REFERENCE_KM = 100.0  # Richter's (1935): magnitude 3 writes 1 mm at 100 km


@dataclass(frozen=True, kw_only=True)
class AttenuationLaw:
    """
    A law with the seismometer that it was derived with.

    Parameters
    ----------
    correction : callable
        -log10(A0) at hypocentral distances in km.
    gain, damping : float
        Static magnification and damping of the Wood-Anderson seismometer (free period 0.8 s).
    min_distance_km, max_distance_km : float
        Hypocentral distances for which it holds.
    """

    correction: Callable[[Array], Array]
    gain: float
    damping: float
    min_distance_km: float
    max_distance_km: float

    def magnitude(self, amplitude_mm: ArrayLike, distance_km: ArrayLike) -> Array:
        """
        Magnitude of a station; NaN outside the law's distances.

        Parameters
        ----------
        amplitude_mm, distance_km : array_like
            Zero-to-peak amplitude and hypocentral distance; broadcast against each other.
        """
        distance = np.asarray(distance_km, dtype=float)
        is_valid = (distance >= self.min_distance_km) & (distance <= self.max_distance_km)
        valid_km = np.where(is_valid, distance, REFERENCE_KM)
        magnitude = np.log10(np.asarray(amplitude_mm, dtype=float)) + self.correction(valid_km)
        return np.where(is_valid, magnitude, np.nan)


def linear_correction(distance_km: Array, a: float, b: float, c: float) -> Array:
    """Geometrical spreading and absorption around 100 km: a log10(R / 100) + b (R - 100) + c."""
    return a * np.log10(distance_km / REFERENCE_KM) + b * (distance_km - REFERENCE_KM) + c


def ne_italy_correction(distance_km: Array) -> Array:
    """Curve that the software of the network of NE Italy uses: c0 + c1 log10(R) + c2 log10(c3 R + c4)."""
    return -18.0471 + 1.105 * np.log10(distance_km) + 147.111 * np.log10(4.015e-5 * distance_km + 1.33885)


LAWS: dict[str, AttenuationLaw] = {
    # Hutton and Boore 1987; with 2080 as the IASPEI standard of 2013 has it.
    "california": AttenuationLaw(
        correction=partial(linear_correction, a=1.110, b=0.00189, c=3.0),
        gain=2080.0,
        damping=0.7,
        min_distance_km=0.0,
        max_distance_km=700.0,
    ),
    # Di Bona 2016. ASSUME the seismometer of INGV's software pyamp, which uses this law: 2800, damping 0.8.
    "italy": AttenuationLaw(
        correction=partial(linear_correction, a=1.667, b=0.001736, c=3.0),
        gain=2800.0,
        damping=0.8,
        min_distance_km=0.0,
        max_distance_km=600.0,
    ),
    # ASSUME the numbers of the network's published software; docs/magnitudes.md names the open questions.
    "ne-italy": AttenuationLaw(
        correction=ne_italy_correction,
        gain=2080.0,
        damping=0.7,
        min_distance_km=3.0,
        max_distance_km=150.0,
    ),
}


def law_of(params: MagnitudeParams) -> AttenuationLaw:
    """The law of the parameters."""
    if params.law != "custom" or params.custom is None:
        return LAWS[params.law]
    custom = params.custom
    return AttenuationLaw(
        correction=partial(linear_correction, a=custom.a, b=custom.b, c=custom.c),
        gain=custom.gain,
        damping=custom.damping,
        min_distance_km=custom.min_distance_km,
        max_distance_km=custom.max_distance_km,
    )
