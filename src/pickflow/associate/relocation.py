"""Relocation of proposed events, and the residuals of their arrivals."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickflow.associate.observations import Array, Hypotheses, Index, Observations
from pickflow.locate.search import N_COLUMNS, improve
from pickflow.travel_times.tables import Grid, TravelTimes

_STEPS = 12  # chosen: the proposal is near; the final location takes up to 30


def residuals_s(hypotheses: Hypotheses, observations: Observations, times: TravelTimes) -> Array:
    """Observed minus predicted arrival time of each arrival, shape (n_arrivals,)."""
    source, pick = hypotheses.origin[hypotheses.event], hypotheses.pick
    distance = np.hypot(source[:, 0] - observations.x_km[pick], source[:, 1] - observations.y_km[pick])
    travel = times.times(observations.is_s[pick], distance, source[:, 2], observations.depth_km[pick])
    return observations.time_s[pick] - source[:, 3] - travel


def relocate(
    hypotheses: Hypotheses, observations: Observations, times: TravelTimes, sigma_s: float, reach_km: float
) -> Hypotheses:
    """
    Origins that fit their arrivals better: a few steps of `pickflow.locate.search.improve`.

    Parameters
    ----------
    hypotheses : Hypotheses
        Starting origins and their arrivals.
    observations : Observations
        The picks.
    times : TravelTimes
        Predicts the arrivals; depths stay in its range.
    sigma_s : float
        Standard deviation of the residuals; those beyond twice as much lose weight.
    reach_km : float
        Epicentres stay this near to the station of their first arrival.

    Returns
    -------
    Hypotheses
        The same arrivals with new origins.
    """
    if hypotheses.event.size == 0:
        return hypotheses
    order = np.lexsort((hypotheses.pick, hypotheses.event))
    pick = hypotheses.pick[order]
    arrivals = np.zeros((pick.size, N_COLUMNS))
    arrivals[:, 0], arrivals[:, 1] = observations.x_km[pick], observations.y_km[pick]
    arrivals[:, 2], arrivals[:, 3] = observations.depth_km[pick], observations.time_s[pick]
    arrivals[:, 4], arrivals[:, 5] = sigma_s, observations.is_s[pick]
    first = np.searchsorted(hypotheses.event[order], np.arange(len(hypotheses.origin) + 1))
    origin = hypotheses.origin.copy()
    origin[:, 2] = np.clip(origin[:, 2], *times.depths_km)
    _improve_all(times.grid, arrivals, first, np.array([*times.depths_km, reach_km]), origin)
    return Hypotheses(origin=origin, event=hypotheses.event, pick=hypotheses.pick)


@njit(cache=True, nogil=True)
def _improve_all(grid: Grid, arrivals: Array, first: Index, limits: Array, origin: Array) -> None:  # pragma: no cover
    free: NDArray[np.bool_] = np.ones(4, dtype=np.bool_)
    for event in range(len(origin)):
        if first[event + 1] > first[event]:
            improve(grid, arrivals[first[event] : first[event + 1]], origin[event], free, limits, _STEPS)
