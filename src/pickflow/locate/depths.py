"""Range of the depths that are searched, from the configuration or from the network."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pickflow.run.settings.locate import LocateParams
from pickflow.travel_times.geometry import deepest_source_km, frame_around


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
    finite_km = elevation_km[np.isfinite(elevation_km)]
    low = params.min_depth_km
    if low is None:
        low = -float(np.median(finite_km)) if finite_km.size else 0.0
    high = params.max_depth_km
    if high is None:
        x, y = frame_around(stations).to_local(stations.latitude_deg, stations.longitude_deg)
        high = deepest_source_km(float(np.hypot(np.ptp(x), np.ptp(y))))
    if low >= high:
        raise ValueError(
            f"locate.max_depth_km: {high:g} km is not below the least depth, {low:g} km; raise it or set min_depth_km"
        )
    return low, high
