"""Relocation of many events at once, and the residuals of their arrivals."""

from __future__ import annotations

import numpy as np

from pickflow.locate.observations import Array, Hypotheses, Index, Observations, predict_s
from pickflow.travel_times import VelocityModel

_ITERATIONS = 12
_DIFFERENCE_KM = 0.1
_DEEPER = np.array([0.0, 0.0, _DIFFERENCE_KM, 0.0])
_LONGEST_STEP_KM = 10.0
# Residuals beyond this count with their size, not its square (Huber 1964).
_HUBER_S = 0.3
# A weak pull to the associator's origin, in units of _HUBER_S: it decides only what the arrivals leave open.
_PRIOR_KM_KM_KM_S = np.array([100.0, 100.0, 10.0, 100.0])


def residuals_s(hypotheses: Hypotheses, observations: Observations, model: VelocityModel) -> Array:
    """Observed minus predicted arrival time of each arrival, shape (n_arrivals,)."""
    return _residuals(hypotheses.origin, hypotheses, observations, model)


def _residuals(
    origin: Array,
    hypotheses: Hypotheses,
    observations: Observations,
    model: VelocityModel,
    distance_shift_km: float = 0.0,
) -> Array:
    source, pick = origin[hypotheses.event], hypotheses.pick
    distance = np.hypot(source[:, 0] - observations.x_km[pick], source[:, 1] - observations.y_km[pick])
    travel = predict_s(
        model, observations.is_s[pick], distance + distance_shift_km, source[:, 2], observations.depth_km[pick]
    )
    return observations.time_s[pick] - source[:, 3] - travel


def relocate(
    hypotheses: Hypotheses, observations: Observations, model: VelocityModel, max_depth_km: float
) -> Hypotheses:
    """
    Origins that minimise the Huber norm of the residuals.

    Damped Gauss–Newton steps (Levenberg 1944, Marquardt 1963) for all events at once; a step that does not help an
    event is undone and its damping raised.

    Parameters
    ----------
    hypotheses : Hypotheses
        Starting origins and their arrivals.
    observations : Observations
        The picks.
    model : VelocityModel
        Predicts the arrivals.
    max_depth_km : float
        Depths stay between 0 and this.

    Returns
    -------
    Hypotheses
        The same arrivals with new origins.
    """
    start, origin = hypotheses.origin, hypotheses.origin.copy()
    origin[:, 2] = np.clip(origin[:, 2], 0.0, max_depth_km)
    damping = np.full(len(origin), 1e-2)
    residual = _residuals(origin, hypotheses, observations, model)
    misfit = _misfit(residual, origin - start, hypotheses.event)
    for _ in range(_ITERATIONS):
        step = _step(origin, start, residual, damping, hypotheses, observations, model)
        tried = origin + step
        tried[:, 2] = np.clip(tried[:, 2], 0.0, max_depth_km)
        tried_residual = _residuals(tried, hypotheses, observations, model)
        tried_misfit = _misfit(tried_residual, tried - start, hypotheses.event)
        better = tried_misfit < misfit
        origin[better], misfit[better] = tried[better], tried_misfit[better]
        residual = np.where(better[hypotheses.event], tried_residual, residual)
        damping = np.where(better, damping / 3, damping * 10)
    return Hypotheses(origin=origin, event=hypotheses.event, pick=hypotheses.pick)


def _misfit(residual: Array, moved: Array, event: Index) -> Array:
    size = np.abs(residual) / _HUBER_S
    loss = np.where(size <= 1, size**2 / 2, size - 0.5)
    return np.bincount(event, loss, len(moved)) + ((moved / _PRIOR_KM_KM_KM_S) ** 2).sum(axis=1) / 2


def _step(
    origin: Array,
    start: Array,
    residual: Array,
    damping: Array,
    hypotheses: Hypotheses,
    observations: Observations,
    model: VelocityModel,
) -> Array:
    event = hypotheses.event
    slope = _derivatives(origin, residual, hypotheses, observations, model) / _HUBER_S
    scaled = residual / _HUBER_S
    weight = 1 / np.maximum(np.abs(scaled), 1)
    normal = np.zeros((len(origin), 4, 4))
    right = np.zeros((len(origin), 4))
    np.add.at(normal, event, weight[:, None, None] * slope[:, :, None] * slope[:, None, :])
    np.add.at(right, event, (weight * scaled)[:, None] * slope)
    normal += np.diag(_PRIOR_KM_KM_KM_S**-2)
    right -= (origin - start) / _PRIOR_KM_KM_KM_S**2
    diagonal = np.einsum("eii->ei", normal)
    diagonal *= 1 + damping[:, None]
    step = np.linalg.solve(normal, right[:, :, None])[:, :, 0]
    length = np.linalg.norm(step[:, :3], axis=1)
    return step * np.minimum(1, _LONGEST_STEP_KM / np.maximum(length, 1e-12))[:, None]


def _derivatives(
    origin: Array, residual: Array, hypotheses: Hypotheses, observations: Observations, model: VelocityModel
) -> Array:
    """Derivatives of the predicted arrival time by x, y, depth and time, shape (n_arrivals, 4)."""
    source, pick = origin[hypotheses.event], hypotheses.pick
    east, north = source[:, 0] - observations.x_km[pick], source[:, 1] - observations.y_km[pick]
    distance = np.maximum(np.hypot(east, north), 1e-3)
    farther = _residuals(origin, hypotheses, observations, model, _DIFFERENCE_KM)
    deeper = _residuals(origin + _DEEPER, hypotheses, observations, model)
    by_distance = (residual - farther) / _DIFFERENCE_KM
    by_depth = (residual - deeper) / _DIFFERENCE_KM
    return np.column_stack(
        [by_distance * east / distance, by_distance * north / distance, by_depth, np.ones(pick.size)]
    )


def candidate_arrivals(hypotheses: Hypotheses, observations: Observations, reach_s: float) -> Hypotheses:
    """
    Every pick within a time after each origin, at stations no farther than the farthest of the event's arrivals.

    Parameters
    ----------
    hypotheses : Hypotheses
        Events; those without arrivals get none.
    observations : Observations
        The picks, sorted by time.
    reach_s : float
        Length of time after the origin.

    Returns
    -------
    Hypotheses
        The same origins with all picks that might belong to them; most will not fit.
    """
    farthest = np.full(len(hypotheses.origin), -1.0)
    np.maximum.at(
        farthest, hypotheses.event, _distance_km(hypotheses.origin, hypotheses.event, hypotheses.pick, observations)
    )
    first = np.searchsorted(observations.time_s, hypotheses.origin[:, 3])
    count = np.searchsorted(observations.time_s, hypotheses.origin[:, 3] + reach_s) - first
    event = np.repeat(np.arange(len(first)), count)
    pick = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    near = _distance_km(hypotheses.origin, event, pick, observations) <= farthest[event] + _DIFFERENCE_KM
    return Hypotheses(origin=hypotheses.origin, event=event[near], pick=pick[near])


def _distance_km(origin: Array, event: Index, pick: Index, observations: Observations) -> Array:
    return np.hypot(origin[event, 0] - observations.x_km[pick], origin[event, 1] - observations.y_km[pick])
