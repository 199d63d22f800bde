"""Distances on a sphere: exact enough to distinguish places, to match events and to draw them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.0  # mean radius (IUGG 1980, rounded)
KM_PER_DEGREE = 111.195  # of a great circle, with the usual rounding


def sphere_distance_km(
    latitude_deg: ArrayLike, longitude_deg: ArrayLike, other_latitude_deg: ArrayLike, other_longitude_deg: ArrayLike
) -> NDArray[np.float64]:
    """
    Distance on the sphere by the haversine formula, within half a per cent of that on the ellipsoid.

    Parameters
    ----------
    latitude_deg, longitude_deg, other_latitude_deg, other_longitude_deg : array_like
        Places; broadcast against each other.
    """
    places = (latitude_deg, longitude_deg, other_latitude_deg, other_longitude_deg)
    phi, lam, phi2, lam2 = (np.radians(np.asarray(values, float)) for values in places)
    half = np.sin((phi2 - phi) / 2) ** 2 + np.cos(phi) * np.cos(phi2) * np.sin((lam2 - lam) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
