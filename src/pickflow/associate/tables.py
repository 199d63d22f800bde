"""Travel times in the form that the libraries need: a table that starts at zero distance and zero depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pickflow.associate.observations import Array
from pickflow.travel_times.tables import TravelTimes


@dataclass(frozen=True, kw_only=True)
class TravelTimeTable:
    """
    Times from a receiver at sea level.

    Parameters
    ----------
    step_km : float
        Grid step of distance and depth.
    p_time_s, s_time_s : ndarray, shape (n_distances, n_depths)
        Travel times.
    """

    step_km: float
    p_time_s: Array
    s_time_s: Array


def travel_time_table(
    times: TravelTimes, max_distance_km: float, max_depth_km: float, step_km: float
) -> TravelTimeTable:
    """Travel times up to a distance and a depth."""
    distance = step_km * np.arange(int(np.ceil(max_distance_km / step_km)) + 2)
    depth = step_km * np.arange(int(np.ceil(max_depth_km / step_km)) + 2)
    p_time, s_time = (times.times(np.array(is_s), distance[:, None], depth[None, :]) for is_s in (False, True))
    return TravelTimeTable(step_km=step_km, p_time_s=p_time, s_time_s=s_time)
