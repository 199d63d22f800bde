"""Quality classes of locations."""

from __future__ import annotations

import numpy as np
import pandas as pd

CLASSES = "ABCD"
# Lee and Lahr (1972), table 2: limits of A, B and C; what exceeds those of C is D.
_FIT = (
    ("rms_s", (0.15, 0.30, 0.50)),
    ("horizontal_uncertainty_km", (1.0, 2.5, 5.0)),
    ("depth_uncertainty_km", (2.0, 5.0, np.inf)),
)
_GAP_DEG = (90.0, 135.0, 180.0)
_MIN_ARRIVALS = 6  # chosen
# Distance of the nearest station in units of the depth, or in km, whichever allows more.
_NEAREST_DEPTHS, _NEAREST_KM = (1.0, 2.0, 0.0), (5.0, 10.0, 50.0)


def quality_class(events: pd.DataFrame) -> pd.Series:
    """
    Class A to D of each event, the mean of the classes of its fit and of its geometry, as in HYPO71.

    Parameters
    ----------
    events : DataFrame
        With ``rms_s``, ``horizontal_uncertainty_km``, ``depth_uncertainty_km``, ``n_arrivals``, ``azimuthal_gap_deg``,
        ``nearest_km`` and ``depth_km``; NaN gives D.

    Returns
    -------
    Series of str
        Halves are rounded towards D: A and B make B.

    References
    ----------
    Lee and Lahr (1972), HYPO71: a computer program for determining hypocenter, magnitude, and first motion pattern of
    local earthquakes, USGS open-file report.
    """
    fit = np.zeros(len(events), dtype=int)
    for column, limits in _FIT:
        fit = np.maximum(fit, _grade([events[column].to_numpy(float) <= limit for limit in limits]))
    has_enough = events.n_arrivals.to_numpy() >= _MIN_ARRIVALS
    gap = events.azimuthal_gap_deg.to_numpy(float)
    nearest, depth = events.nearest_km.to_numpy(float), events.depth_km.to_numpy(float)
    geometry = _grade(
        [
            has_enough & (gap <= gap_limit) & (nearest <= np.maximum(depths * depth, km))
            for gap_limit, depths, km in zip(_GAP_DEG, _NEAREST_DEPTHS, _NEAREST_KM, strict=True)
        ]
    )
    grade = (fit + geometry + 1) // 2
    return pd.Series([CLASSES[index] for index in grade], index=events.index, dtype=object)


def _grade(conditions: list[np.ndarray]) -> np.ndarray:
    """0 where the limits of A hold, to 3 where none does."""
    return np.select(conditions, list(range(len(conditions))), default=len(conditions))
