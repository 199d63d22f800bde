"""
The origin of one event from its arrivals: a global search, then damped Gauss-Newton steps. Compiled.

An event's arrivals are an array with a row each; its columns are x, y and depth of the station in km, the arrival time
in s (station correction subtracted), its standard deviation in s, 0 for P or 1 for S, and the share of the standard
deviation that the pick has. Rows are ordered by time. An origin is x, y, depth, time.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickflow.travel_times.tables import Grid, time_and_slopes

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

STATION_X, STATION_Y, STATION_DEPTH, ARRIVAL, SIGMA, PHASE, PICK_SIGMA = range(7)
N_COLUMNS = 7  # as many as the columns above
# Chosen: degrees of freedom of Student's t; residuals beyond twice sigma lose weight, those far beyond nearly all.
DEGREES = 3.0
# Chosen. First search: rings around the station of the first arrival, each this factor wider than the last.
FIRST_RING_KM, RING_RATIO, N_AZIMUTHS = 3.0, 1.6, 12
_LONGEST_STEP_KM = 20.0  # chosen: a step stays where the slopes are valid
_STEPS, _PROFILE_STEPS = 30, 8  # chosen: an end for descents that do not converge
# Chosen. Profile of the misfit over depth: offsets from the best depth grow by this factor, until they reach the
# longest step or that share of the range of depths.
FIRST_OFFSET_KM, OFFSET_RATIO, LONGEST_OFFSET_KM, LONGEST_SHARE = 0.1, 1.35, 2.5, 0.025
MAX_PROFILE = 80  # chosen: room for all offsets
_SMALL = 1e-7  # chosen: a smaller gain is rounding


@njit(cache=True, nogil=True)
def _copy(source: Array, target: Array) -> None:  # pragma: no cover
    """As ``target[:] = source``, which takes the compiler a second each time."""
    for i in range(source.size):
        target[i] = source[i]


@njit(cache=True, nogil=True)
def residuals(grid: Grid, arrivals: Array, origin: Array, residual: Array, slope: Array) -> None:  # pragma: no cover
    """Residuals and slopes of the predicted arrivals by x, y and depth, shapes (n,) and (n, 3)."""
    for i in range(len(arrivals)):
        east = origin[0] - arrivals[i, STATION_X]
        north = origin[1] - arrivals[i, STATION_Y]
        distance = np.sqrt(east * east + north * north)
        time, by_distance, by_depth = time_and_slopes(
            grid, int(arrivals[i, PHASE]), distance, origin[2], arrivals[i, STATION_DEPTH]
        )
        residual[i] = arrivals[i, ARRIVAL] - origin[3] - time
        by_distance /= max(distance, 1e-3)
        slope[i, 0] = by_distance * east
        slope[i, 1] = by_distance * north
        slope[i, 2] = by_depth


@njit(cache=True, nogil=True)
def misfit(arrivals: Array, residual: Array) -> float:  # pragma: no cover
    """Minus the logarithm of the likelihood of Student's t."""
    total = 0.0
    for i in range(len(arrivals)):
        ratio = residual[i] / arrivals[i, SIGMA]
        total += np.log1p(ratio * ratio / DEGREES)
    return 0.5 * (DEGREES + 1) * total


@njit(cache=True, nogil=True)
def weight(ratio: float) -> float:  # pragma: no cover
    """Weight of a residual over its sigma; at most 1 + 1/DEGREES."""
    return (DEGREES + 1) / (DEGREES + ratio * ratio)


@njit(cache=True, nogil=True)
def normal_equations(  # pragma: no cover
    arrivals: Array, residual: Array, slope: Array, normal: Array, rhs: Array
) -> None:
    """Weighted normal matrix, shape (4, 4), and right side of a Gauss-Newton step."""
    normal[:] = 0.0
    rhs[:] = 0.0
    row = np.ones(4)
    for i in range(len(arrivals)):
        _copy(slope[i], row)
        w = weight(residual[i] / arrivals[i, SIGMA]) / arrivals[i, SIGMA] ** 2
        for a in range(4):
            rhs[a] += w * row[a] * residual[i]
            for b in range(4):
                normal[a, b] += w * row[a] * row[b]


@njit(cache=True, nogil=True)
def improve(  # pragma: no cover
    grid: Grid, arrivals: Array, origin: Array, free: Mask, limits: Array, n_steps: int
) -> float:
    """
    Damped Gauss-Newton steps (Levenberg 1944, Marquardt 1963) in place; returns the misfit.

    Only the free coordinates move; the depth stays between ``limits[0]`` and ``limits[1]``, and the epicentre within
    ``limits[2]`` km of the station of the first row.
    """
    n = len(arrivals)
    residual, slope = np.empty(n), np.empty((n, 3))
    tried_residual, tried_slope = np.empty(n), np.empty((n, 3))
    normal, rhs, damping = np.empty((4, 4)), np.empty(4), 1e-2
    residuals(grid, arrivals, origin, residual, slope)
    best = misfit(arrivals, residual)
    for _ in range(n_steps):
        normal_equations(arrivals, residual, slope, normal, rhs)
        trial = origin + _step(normal, rhs, damping, free, origin[2], limits)
        trial[2] = min(max(trial[2], limits[0]), limits[1])
        residuals(grid, arrivals, trial, tried_residual, tried_slope)
        value = misfit(arrivals, tried_residual)
        if np.hypot(trial[0] - arrivals[0, STATION_X], trial[1] - arrivals[0, STATION_Y]) > limits[2]:
            value = np.inf
        if value < best:
            gain = best - value
            _copy(trial, origin)
            best = value
            residual, tried_residual = tried_residual, residual
            slope, tried_slope = tried_slope, slope
            damping = max(damping / 4, 1e-6)
            if gain < _SMALL:
                break
        else:
            damping *= 8
            if damping > 1e6:
                break
    return best


@njit(cache=True, nogil=True)
def _step(  # pragma: no cover
    normal: Array, rhs: Array, damping: float, free: Mask, depth: float, limits: Array
) -> Array:
    """Solve the damped normal equations; a depth at its limit that would exceed it is fixed."""
    system, target = normal.copy(), rhs.copy()
    is_fixed = ~free
    if (depth <= limits[0] and rhs[2] < 0) or (depth >= limits[1] and rhs[2] > 0):
        is_fixed[2] = True
    for a in range(4):
        system[a, a] += damping * normal[a, a] + 1e-12
        if is_fixed[a]:
            system[a, :] = 0.0
            system[:, a] = 0.0
            system[a, a] = 1.0
            target[a] = 0.0
    step = np.linalg.solve(system, target)
    length = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
    if length > _LONGEST_STEP_KM:
        step *= _LONGEST_STEP_KM / length
    return step


@njit(cache=True, nogil=True)
def look_around(grid: Grid, arrivals: Array, depths: Array, reach_km: float) -> Array:  # pragma: no cover
    """Best node at each depth of rings around the station of the first row, shape (n_depths, 4)."""
    n = len(arrivals)
    starts = np.empty((len(depths), 4))
    residual, slope, node = np.empty(n), np.empty((n, 3)), np.empty(4)
    for k in range(len(depths)):
        best, radius = np.inf, 0.0
        while radius <= reach_km:
            for azimuth in range(N_AZIMUTHS if radius > 0 else 1):
                angle = 2 * np.pi * azimuth / N_AZIMUTHS
                node[0] = arrivals[0, STATION_X] + radius * np.sin(angle)
                node[1] = arrivals[0, STATION_Y] + radius * np.cos(angle)
                node[2], node[3] = depths[k], 0.0
                residuals(grid, arrivals, node, residual, slope)
                node[3] = np.median(residual)
                residual -= node[3]
                value = misfit(arrivals, residual)
                if value < best:
                    best = value
                    _copy(node, starts[k])
            radius = max(FIRST_RING_KM, radius * RING_RATIO)
    return starts


@njit(cache=True, nogil=True)
def profile(  # pragma: no cover
    grid: Grid, arrivals: Array, origin: Array, limits: Array, depths: Array, misfits: Array, origins: Array
) -> int:
    """
    Least misfit at depths around the best one, which comes first; returns their number.

    Each starts from its neighbour's origin. ``depths`` and ``misfits`` have room for all, ``origins`` likewise.
    """
    free = np.array([True, True, False, True])
    depths[0] = origin[2]
    _copy(origin, origins[0])
    misfits[0] = improve(grid, arrivals, origins[0], free, limits, _PROFILE_STEPS)
    count = 1
    longest = max(LONGEST_OFFSET_KM, LONGEST_SHARE * (limits[1] - limits[0]))
    for direction in (-1.0, 1.0):
        offset, last = FIRST_OFFSET_KM, 0
        end = limits[0] if direction < 0 else limits[1]
        depth = origin[2]
        while depth != end:
            depth = origin[2] + direction * offset
            if direction * (depth - end) > 0:
                depth = end
            if depth == origin[2]:
                break
            _copy(origins[last], origins[count])
            origins[count, 2] = depths[count] = depth
            misfits[count] = improve(grid, arrivals, origins[count], free, limits, _PROFILE_STEPS)
            last = count
            count += 1
            offset += min((OFFSET_RATIO - 1) * offset, longest)
    return count


@njit(cache=True, nogil=True)
def locate_one(  # pragma: no cover
    grid: Grid, arrivals: Array, starts: Array, limits: Array, origin: Array, depths: Array, misfits: Array
) -> tuple[float, int]:
    """Best origin from several starts and from the profile of its depth; its misfit and the profile's length."""
    free = np.ones(4, dtype=np.bool_)
    origins = np.empty((len(depths), 4))
    best = np.inf
    for k in range(len(starts)):
        trial = starts[k].copy()
        value = improve(grid, arrivals, trial, free, limits, _STEPS)
        if value < best - _SMALL:
            best = value
            _copy(trial, origin)
    count = 0
    for _ in range(4):
        count = profile(grid, arrivals, origin, limits, depths, misfits, origins)
        lowest = np.argmin(misfits[:count])
        if misfits[lowest] > best - 1e-3:
            break
        _copy(origins[lowest], origin)
        best = improve(grid, arrivals, origin, free, limits, _STEPS)
    return best, count


@njit(cache=True, nogil=True)
def set_sigmas(arrivals: Array, origin_time: float, model_error: Array) -> None:  # pragma: no cover
    """Standard deviations of pick and model together; the model's is at least [0] and [1] of the travel time."""
    for i in range(len(arrivals)):
        travel = max(arrivals[i, ARRIVAL] - origin_time, 0.0)
        model = np.hypot(model_error[0], model_error[1] * travel)
        arrivals[i, SIGMA] = np.hypot(arrivals[i, PICK_SIGMA], model)


@njit(cache=True, nogil=True)
def locate_all(  # pragma: no cover
    grid: Grid,
    arrivals: Array,
    first: NDArray[np.int64],
    model_error: Array,
    limits: Array,
    search_depths: Array,
    origins: Array,
    depths: Array,
    misfits: Array,
) -> NDArray[np.int64]:
    """
    Locate events, one after the other, each by its own arrivals only.

    Parameters
    ----------
    arrivals : ndarray, shape (n_arrivals, N_COLUMNS)
        Event by event; their sigmas are set.
    first : ndarray of int, shape (n_events + 1,)
        First row of each event.
    model_error : ndarray, shape (2,)
        See `set_sigmas`.
    limits : ndarray, shape (3,)
        See `improve`.
    search_depths : ndarray, shape (n_depths,)
        Depths of the first search; without any, ``origins`` are the starts.
    origins : ndarray, shape (n_events, 4)
        Result, and start.
    depths, misfits : ndarray, shape (n_events, n)
        Result: the profile of the misfit over depth, in no order.

    Returns
    -------
    n_depths : ndarray of int, shape (n_events,)
        Length of each profile.
    """
    counts = np.zeros(len(origins), dtype=np.int64)
    for event in range(len(origins)):
        rows = arrivals[first[event] : first[event + 1]]
        starts = origins[event : event + 1].copy()
        if len(search_depths) > 0:
            set_sigmas(rows, rows[0, ARRIVAL], model_error)
            starts = look_around(grid, rows, search_depths, limits[2])
            locate_one(grid, rows, starts, limits, origins[event], depths[event], misfits[event])
            _copy(origins[event], starts[0])
        set_sigmas(rows, starts[0, 3], model_error)
        _, counts[event] = locate_one(grid, rows, starts[:1], limits, origins[event], depths[event], misfits[event])
    return counts
