"""Settings of the location, given in the configuration or derived from the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pickflow.locate.geometry import frame_around


@dataclass(frozen=True, kw_only=True)
class CorrectionParams:
    """Settings of the station corrections; see the schema of the section `locate` for meanings."""

    enabled: bool
    rounds: int
    min_events: int
    min_picks: int
    damping_picks: float


@dataclass(frozen=True, kw_only=True)
class LocateParams:
    """Settings of the location; see the schema of the section `locate` for meanings."""

    min_depth_km: float | None
    max_depth_km: float | None
    reach_km: float
    p_uncertainty_s: float
    s_uncertainty_s: float
    model_error_s: float
    model_error_fraction: float
    corrections: CorrectionParams

    def __post_init__(self) -> None:
        low, high = self.min_depth_km, self.max_depth_km
        if low is not None and high is not None and low >= high:
            raise ValueError(
                f"locate.min_depth_km ({low:g}) must be smaller than locate.max_depth_km ({high:g}); it is depth"
            )


def depth_range_km(params: LocateParams, stations: pd.DataFrame) -> tuple[float, float]:
    """
    Least and largest depth of sources in km below sea level.

    Where the configuration leaves them open, they are minus the median elevation of the stations (half of the ground
    lies higher), and 0.3 of the network's diagonal, 30 to 250 km.

    Parameters
    ----------
    params : LocateParams
        The settings.
    stations : DataFrame
        Rows of `STATIONS`, all with coordinates.

    Raises
    ------
    ValueError
        If the range is empty.
    """
    elevation_km = stations.elevation_m.to_numpy(float) / 1000
    known = elevation_km[np.isfinite(elevation_km)]
    low = params.min_depth_km
    if low is None:
        low = -float(np.median(known)) if known.size else 0.0
    high = params.max_depth_km
    if high is None:
        x, y = frame_around(stations).to_local(stations.latitude_deg, stations.longitude_deg)
        high = float(np.clip(0.3 * np.hypot(np.ptp(x), np.ptp(y)), 30.0, 250.0))
    if low >= high:
        raise ValueError(
            f"locate.max_depth_km: {high:g} km is not below the least depth, {low:g} km; raise it or set min_depth_km"
        )
    return low, high
