"""Uncertainty of origins: the depth from the profile of the misfit, the rest from its curvature. Compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.stats import f as fisher
from scipy.stats import t as student

from pickflow.locate.search import (
    DEGREES,
    MAX_PROFILE,
    N_COLUMNS,
    SIGMA,
    Array,
    improve,
    locate_all,
    normal_equations,
    residuals,
    weight,
)
from pickflow.travel_times.tables import Grid

# Confidence of all uncertainties: that of one standard deviation of a normal distribution.
CONFIDENCE = 0.6827
# Chosen: weight of the assumed standard deviations, in arrivals, when the residuals correct them.
PRIOR_ARRIVALS = 4.0
N_PARAMETERS = 4
# Robust weights leave this factor more variance than their normal matrix has (Lange et al. 1989).
_LOSS = (DEGREES + 3) / (DEGREES + 1)


class Origins(NamedTuple):
    """
    Located events.

    Parameters
    ----------
    origin : ndarray, shape (n_events, 4)
        x, y and depth in km, time in s.
    covariance : ndarray, shape (n_events, 3, 3)
        Of x, y and time; the depth is allowed for.
    degrees : ndarray, shape (n_events,)
        Degrees of freedom of Student's t with that scale.
    depth_uncertainty_km : ndarray, shape (n_events,)
        Half width of the interval around the depth that holds `CONFIDENCE` of its posterior.
    residual_s, weight : ndarray, shape (n_arrivals,)
        Observed minus predicted, and the share of its full weight that an arrival has, 0..1.
    rms_s : ndarray, shape (n_events,)
        Of the residuals with these weights.
    """

    origin: Array
    covariance: Array
    degrees: Array
    depth_uncertainty_km: Array
    residual_s: Array
    weight: Array
    rms_s: Array

    def time_uncertainty_s(self) -> Array:
        """Half width of the interval of the origin time, shape (n_events,)."""
        factor = student.ppf((1 + CONFIDENCE) / 2, self.degrees)
        return np.asarray(factor * np.sqrt(self.covariance[:, 2, 2]))

    def horizontal_uncertainty_km(self) -> Array:
        """Long half axis of the epicentre's ellipse, shape (n_events,)."""
        longest = np.linalg.eigvalsh(self.covariance[:, :2, :2])[:, -1]
        return np.asarray(np.sqrt(2 * fisher.ppf(CONFIDENCE, 2, self.degrees) * longest))


def locate_arrivals(
    grid: Grid, arrivals: Array, first: NDArray[np.int64], model_error: Array, limits: Array, starts: Array | None
) -> Origins:
    """
    Locate events by their arrivals.

    Parameters
    ----------
    grid : Grid
        Travel times.
    arrivals, first, model_error, limits : ndarray
        See `pickflow.locate.search.locate_all`.
    starts : ndarray, shape (n_events, 4), or None
        Where to begin; None searches everywhere.
    """
    n_events = len(first) - 1
    arrivals = np.ascontiguousarray(arrivals, dtype=float).reshape(-1, N_COLUMNS).copy()
    origins = np.zeros((n_events, 4)) if starts is None else starts.copy()
    depths, misfits = np.zeros((2, n_events, MAX_PROFILE))
    share = np.array([0.02, 0.08, 0.17, 0.33, 0.58, 0.83]) if starts is None else np.empty(0)
    search_depths = limits[0] + share * (limits[1] - limits[0])
    counts = locate_all(grid, arrivals, first, model_error, limits, search_depths, origins, depths, misfits)
    result = (
        np.empty((n_events, 3, 3)),
        np.empty((n_events, 2)),
        np.empty((n_events, 2)),
        np.empty((len(arrivals), 2)),
    )
    _summarise(grid, arrivals, first, model_error, limits, counts, origins, depths, misfits, *result)
    covariance, spread, scale, fit = result
    return Origins(
        origin=origins,
        covariance=covariance,
        degrees=scale[:, 0],
        depth_uncertainty_km=spread[:, 1],
        residual_s=fit[:, 0],
        weight=fit[:, 1],
        rms_s=scale[:, 1],
    )


@njit(cache=True, nogil=True)
def _summarise(  # pragma: no cover
    grid: Grid,
    arrivals: Array,
    first: NDArray[np.int64],
    model_error: Array,
    limits: Array,
    counts: NDArray[np.int64],
    origins: Array,
    depths: Array,
    misfits: Array,
    covariance: Array,
    spread: Array,
    scale: Array,
    fit: Array,
) -> None:
    """Move each event to the median of its depth's posterior, and describe it there."""
    free = np.array([True, True, False, True])
    normal, rhs = np.empty((4, 4)), np.empty(4)
    for event in range(len(origins)):
        event_arrivals, result = arrivals[first[event] : first[event + 1]], fit[first[event] : first[event + 1]]
        n = len(event_arrivals)
        residual, slope = np.empty(n), np.empty((n, 3))
        residuals(grid, event_arrivals, origins[event], residual, slope)
        degrees = PRIOR_ARRIVALS + max(n - N_PARAMETERS, 0)
        excess = (PRIOR_ARRIVALS + _weighted_square(event_arrivals, residual)) / degrees
        order = np.argsort(depths[event, : counts[event]])
        depth, variance = _posterior(depths[event][order], misfits[event][order] / excess, spread[event])
        origins[event, 2] = depth
        improve(grid, event_arrivals, origins[event], free, limits, 20)
        residuals(grid, event_arrivals, origins[event], residual, slope)
        normal_equations(event_arrivals, residual, slope, normal, rhs)
        _covariance(normal, _LOSS * excess, variance, covariance[event])
        scale[event, 0] = degrees
        _describe(event_arrivals, residual, scale[event], result)


@njit(cache=True, nogil=True)
def _weighted_square(arrivals: Array, residual: Array) -> float:  # pragma: no cover
    """Sum of squares with the weights of Student's t; its expectation is n if the assumed errors are right."""
    total = 0.0
    for i in range(len(arrivals)):
        ratio = residual[i] / arrivals[i, SIGMA]
        total += weight(ratio) * ratio * ratio
    return total


@njit(cache=True, nogil=True)
def _posterior(depth: Array, misfit: Array, spread: Array) -> tuple[float, float]:  # pragma: no cover
    """Median and mean square deviation from it of exp(-misfit) over increasing depths; spread[1]: see `Origins`."""
    n = len(depth)
    height = np.exp(misfit.min() - misfit)
    cumulative = np.zeros(n)
    for k in range(1, n):
        cumulative[k] = cumulative[k - 1] + (height[k] + height[k - 1]) / 2 * (depth[k] - depth[k - 1])
    if n < 2 or cumulative[-1] <= 0:
        spread[:] = 0.0
        return depth[0], 0.0
    cumulative /= cumulative[-1]
    median = float(np.interp(0.5, cumulative, depth))
    lower, upper = 0.0, depth[-1] - depth[0]
    for _ in range(40):
        middle = (lower + upper) / 2
        if np.interp(median + middle, depth, cumulative) - np.interp(median - middle, depth, cumulative) < CONFIDENCE:
            lower = middle
        else:
            upper = middle
    variance = 0.0
    for k in range(1, n):
        centre = (depth[k] + depth[k - 1]) / 2 - median
        variance += (cumulative[k] - cumulative[k - 1]) * (centre**2 + (depth[k] - depth[k - 1]) ** 2 / 12)
    spread[0], spread[1] = variance, upper
    return median, variance


@njit(cache=True, nogil=True)
def _covariance(normal: Array, excess: float, depth_variance: float, covariance: Array) -> None:  # pragma: no cover
    """Covariance of x, y, time: at a fixed depth, and by the depth's variance, with which they are correlated."""
    rest_index = np.array([0, 1, 3])
    fixed, depth_terms = np.empty((3, 3)), np.empty(3)
    for a in range(3):
        depth_terms[a] = normal[rest_index[a], 2]
        for b in range(3):
            fixed[a, b] = normal[rest_index[a], rest_index[b]]
        fixed[a, a] += 1e-9
    inverse = np.linalg.inv(fixed)
    for a in range(3):
        depth_a = inverse[a, 0] * depth_terms[0] + inverse[a, 1] * depth_terms[1] + inverse[a, 2] * depth_terms[2]
        for b in range(3):
            depth_b = inverse[b, 0] * depth_terms[0] + inverse[b, 1] * depth_terms[1] + inverse[b, 2] * depth_terms[2]
            covariance[a, b] = excess * inverse[a, b] + depth_variance * depth_a * depth_b


@njit(cache=True, nogil=True)
def _describe(arrivals: Array, residual: Array, scale: Array, fit: Array) -> None:  # pragma: no cover
    square = total = 0.0
    for i in range(len(arrivals)):
        fit[i, 0] = residual[i]
        fit[i, 1] = weight(residual[i] / arrivals[i, SIGMA]) / weight(0.0)
        square += fit[i, 1] * residual[i] ** 2
        total += fit[i, 1]
    scale[1] = np.sqrt(square / total)
