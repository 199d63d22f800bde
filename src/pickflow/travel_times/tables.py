"""Travel times from a table: as good as computed ones for location and association, and a hundred times as fast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from pickflow.travel_times.layers import PHASES, VelocityModel, travel_time_s

Array = NDArray[np.float64]

DEFAULT_STEP_KM = 0.5  # chosen: tests/unit/test_travel_time_tables.py has the error
# Chosen: larger tables get larger steps, so that one of a continent fits into memory.
MAX_DISTANCE_NODES = 1000
MAX_DEPTH_NODES = 200
RECEIVER_STEP_KM = 0.5  # chosen, as DEFAULT_STEP_KM
# The cubic interpolation needs a node beyond each end.
_PADDING = 2
# As in travel_times: a source at its receiver is one millimetre below it.
_NEAREST_KM = 1e-6


class Grid(NamedTuple):
    """
    Mean slowness (travel time over straight distance) on a regular grid, for the compiled functions.

    Dividing by the straight distance removes the cone around the receiver from the travel time; the quotient is
    constant in the receiver's layer and smooth elsewhere. Distances start at zero, where the table is even.

    Parameters
    ----------
    slowness_s_km : ndarray, shape (2, n_receiver_depths, n_depths, n_distances)
        P and S.
    distance_step_km, depth_step_km, receiver_step_km : float
        Grid steps.
    top_km, receiver_top_km : float
        First source depth and first receiver depth.
    """

    slowness_s_km: Array
    distance_step_km: float
    top_km: float
    depth_step_km: float
    receiver_top_km: float
    receiver_step_km: float


class TravelTimes:
    """
    First arrivals in flat layers, interpolated: cubic in distance and source depth, linear in receiver depth.

    Parameters
    ----------
    model : VelocityModel
        The layers.
    max_distance_km : float
        Farthest epicentral distance of the table.
    depths_km, receiver_depths_km : tuple of float
        Least and largest depth of sources and of receivers, in km below sea level.
    step_km : float
        Grid step of distance and depth; large tables take larger ones.

    Raises
    ------
    ValueError
        If a range is empty or not finite.
    """

    def __init__(
        self,
        model: VelocityModel,
        max_distance_km: float,
        depths_km: tuple[float, float],
        receiver_depths_km: tuple[float, float] = (0.0, 0.0),
        step_km: float = DEFAULT_STEP_KM,
    ) -> None:
        ends = np.array([0.0, max_distance_km, *depths_km, *receiver_depths_km])
        if not np.all(np.isfinite(ends)) or np.any(np.diff(ends)[::2] < 0) or max_distance_km <= 0 or step_km <= 0:
            raise ValueError(
                f"travel-time table: distances to {max_distance_km:g} km, depths {depths_km}, receivers"
                f" {receiver_depths_km}, step {step_km:g} km; give finite ranges that are not empty"
            )
        self.model = model
        self.max_distance_km = float(max_distance_km)
        self.depths_km = (float(depths_km[0]), float(depths_km[1]))
        self.receiver_depths_km = (float(receiver_depths_km[0]), float(receiver_depths_km[1]))
        self.grid = _tabulate(model, self.max_distance_km, self.depths_km, self.receiver_depths_km, step_km)

    def times(
        self,
        is_s: NDArray[np.bool_],
        distance_km: ArrayLike,
        source_depth_km: ArrayLike,
        receiver_depth_km: ArrayLike = 0.0,
    ) -> Array:
        """
        Travel time of each arrival in s, like `pickflow.travel_times.layers.predict_s`.

        Parameters
        ----------
        is_s : ndarray of bool
            False for P.
        distance_km, source_depth_km, receiver_depth_km : array_like
            Broadcast against each other and ``is_s``; values outside of the table are computed, not extrapolated.
        """
        return self.times_and_slopes(is_s, distance_km, source_depth_km, receiver_depth_km)[0]

    def times_and_slopes(
        self,
        is_s: NDArray[np.bool_],
        distance_km: ArrayLike,
        source_depth_km: ArrayLike,
        receiver_depth_km: ArrayLike = 0.0,
    ) -> tuple[Array, Array, Array]:
        """
        Travel times in s and their derivatives by distance and by source depth in s/km.

        Parameters are those of `times`. Outside of the table the derivatives are differences over 1 m.
        """
        shape, phase, distance, source, receiver = _flat(is_s, distance_km, source_depth_km, receiver_depth_km)
        time, by_distance, by_depth = np.empty((3, distance.size))
        _look_up(self.grid, phase, distance, source, receiver, time, by_distance, by_depth)
        is_outside = (distance > self.max_distance_km) | ~np.isfinite(distance + source + receiver) | (distance < 0)
        for depth, (top, bottom) in ((source, self.depths_km), (receiver, self.receiver_depths_km)):
            is_outside |= (depth < top - 1e-9) | (depth > bottom + 1e-9)
        if is_outside.any():
            rows = np.flatnonzero(is_outside)
            exact = self._exact(phase[rows], distance[rows], source[rows], receiver[rows])
            time[rows], by_distance[rows], by_depth[rows] = exact
        return time.reshape(shape), by_distance.reshape(shape), by_depth.reshape(shape)

    def _exact(
        self, is_s: NDArray[np.bool_], distance: Array, source: Array, receiver: Array
    ) -> tuple[Array, Array, Array]:
        times = np.empty((3, distance.size))
        for phase, rows in (("P", ~is_s), ("S", is_s)):
            for row, (step_x, step_z) in enumerate(((0.0, 0.0), (1e-3, 0.0), (0.0, 1e-3))):
                times[row, rows] = travel_time_s(
                    self.model, phase, distance[rows] + step_x, source[rows] + step_z, receiver[rows]
                )
        return times[0], (times[1] - times[0]) / 1e-3, (times[2] - times[0]) / 1e-3


def _flat(
    is_s: NDArray[np.bool_], *values: ArrayLike
) -> tuple[tuple[int, ...], NDArray[np.bool_], Array, Array, Array]:
    arrays = [np.asarray(is_s, dtype=bool), *(np.asarray(value, dtype=float) for value in values)]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    phase, distance, source, receiver = (
        np.ascontiguousarray(np.broadcast_to(array, shape)).ravel() for array in arrays
    )
    return shape, phase, distance, source, receiver


def _nodes(low: float, high: float, step: float, max_nodes: int) -> tuple[Array, float]:
    """Regular nodes around a range, with the padding of the interpolation, and their step."""
    step = max(step, (high - low) / max_nodes)
    return low + step * np.arange(-_PADDING, int(np.ceil((high - low) / step)) + _PADDING + 1), step


def _tabulate(
    model: VelocityModel,
    max_distance_km: float,
    depths_km: tuple[float, float],
    receiver_depths_km: tuple[float, float],
    step_km: float,
) -> Grid:
    distance, distance_step = _nodes(0.0, max_distance_km, step_km, MAX_DISTANCE_NODES)
    distance = distance[_PADDING:]
    depth, depth_step = _nodes(*depths_km, step_km, MAX_DEPTH_NODES)
    low, high = receiver_depths_km
    n_receivers = int(np.ceil((high - low) / RECEIVER_STEP_KM)) + 1
    receiver = low + RECEIVER_STEP_KM * np.arange(n_receivers)
    slowness = np.empty((2, receiver.size, depth.size, distance.size))
    straight = np.hypot(
        distance[None, None, :], np.maximum(np.abs(depth[None, :, None] - receiver[:, None, None]), _NEAREST_KM)
    )
    for row, phase in enumerate(PHASES):
        _fill(model.velocity_km_s(phase), model.top_depth_km, distance, depth, receiver, slowness[row])
        slowness[row] /= straight
    return Grid(slowness, distance_step, float(depth[0]), depth_step, low, RECEIVER_STEP_KM)


@njit(cache=True, nogil=True)
def _fill(  # pragma: no cover
    velocity: Array, top: Array, distance: Array, depth: Array, receiver: Array, time: Array
) -> None:
    """Travel times at all nodes, as `travel_time_s`, with shared parts of nodes of one depth computed once."""
    for j in range(receiver.size):
        for k in range(depth.size):
            upper = min(depth[k], receiver[j])
            lower = max(max(depth[k], receiver[j]), upper + _NEAREST_KM)
            _fill_direct(velocity, _paths(top, upper, lower), distance, time[j, k])
            for layer in range(1, velocity.size):
                if lower <= top[layer]:
                    legs = _paths(top, upper, top[layer]) + _paths(top, lower, top[layer])
                    _fill_head_wave(velocity, legs, layer, distance, time[j, k])


@njit(cache=True, nogil=True)
def _paths(top: Array, upper: float, lower: float) -> Array:  # pragma: no cover
    """Vertical path in each layer between two depths; the first and the last layer have no end."""
    path = np.empty(top.size)
    for layer in range(top.size):
        upper_end = upper if layer == 0 else max(upper, top[layer])
        lower_end = lower if layer == top.size - 1 else min(lower, top[layer + 1])
        path[layer] = max(lower_end - upper_end, 0.0)
    return path


@njit(cache=True, nogil=True)
def _fill_direct(velocity: Array, path: Array, distance: Array, time: Array) -> None:  # pragma: no cover
    """Newton's method for the tangent of the angle in the fastest layer, from below as in `travel_times`."""
    crossed = np.flatnonzero(path > 0)
    highest = velocity[crossed].max()
    ratio = velocity[crossed] / highest
    weight, bend = path[crossed] * ratio, 1 - ratio**2
    tangent = 0.0
    for i in range(distance.size):
        tangent = max(tangent, distance[i] / weight.sum())
        for _ in range(100):
            reach = slope = 0.0
            for n in range(crossed.size):
                root = np.sqrt(1 + tangent * tangent * bend[n])
                reach += tangent * weight[n] / root
                slope += weight[n] / (root * root * root)
            step = max(distance[i] - reach, 0.0) / slope
            tangent += step
            if step <= 1e-12 * (1 + tangent):
                break
        parameter = tangent / (highest * np.sqrt(1 + tangent * tangent))
        time[i] = parameter * distance[i]
        for n in range(crossed.size):
            layer = crossed[n]
            time[i] += path[layer] * np.sqrt(max(1 / velocity[layer] ** 2 - parameter**2, 0.0))


@njit(cache=True, nogil=True)
def _fill_head_wave(  # pragma: no cover
    velocity: Array, legs: Array, layer: int, distance: Array, time: Array
) -> None:
    """Lower the times where the head wave of an interface comes first."""
    slowness = 1 / velocity[layer]
    nearest = intercept = 0.0
    for n in range(layer):
        if legs[n] > 0:
            if velocity[n] >= velocity[layer]:
                return
            vertical = np.sqrt(1 / velocity[n] ** 2 - slowness**2)
            nearest += legs[n] * slowness / vertical
            intercept += legs[n] * vertical
    for i in range(distance.size):
        if distance[i] >= nearest:
            time[i] = min(time[i], distance[i] * slowness + intercept)


@njit(cache=True, nogil=True, inline="always")
def _cubic(offset: float) -> tuple[float, float, float, float, float, float, float, float]:  # pragma: no cover
    """Weights of four neighbours (Catmull and Rom 1974) and of their derivative, ``offset`` after the second."""
    square = offset * offset
    cube = square * offset
    return (
        -0.5 * cube + square - 0.5 * offset,
        1.5 * cube - 2.5 * square + 1.0,
        -1.5 * cube + 2.0 * square + 0.5 * offset,
        0.5 * cube - 0.5 * square,
        -1.5 * square + 2.0 * offset - 0.5,
        4.5 * square - 5.0 * offset,
        -4.5 * square + 4.0 * offset + 0.5,
        1.5 * square - offset,
    )


@njit(cache=True, nogil=True)
def _level(  # pragma: no cover
    table: Array, row: int, row_offset: float, column: int, column_offset: float
) -> tuple[float, float, float]:
    """Value and derivatives by row and column, in units of the grid, of a table that is even in its columns."""
    r = _cubic(row_offset)
    c = _cubic(column_offset)
    value = by_row = by_column = 0.0
    for j in range(4):
        k = abs(column - 1 + j)
        in_row = slope = 0.0
        for i in range(4):
            node = table[row - 1 + i, k]
            in_row += r[i] * node
            slope += r[4 + i] * node
        value += c[j] * in_row
        by_row += c[j] * slope
        by_column += c[4 + j] * in_row
    return value, by_row, by_column


@njit(cache=True, nogil=True)
def time_and_slopes(  # pragma: no cover
    grid: Grid, phase: int, distance_km: float, depth_km: float, receiver_km: float
) -> tuple[float, float, float]:
    """
    Travel time in s and its derivatives by distance and source depth; for compiled callers.

    Outside of the grid the outermost cells are extrapolated.
    """
    table = grid.slowness_s_km[phase]
    x = distance_km / grid.distance_step_km
    column = min(max(int(x), 0), table.shape[2] - 3)
    y = (depth_km - grid.top_km) / grid.depth_step_km
    row = min(max(int(y), 1), table.shape[1] - 3)
    high = (receiver_km - grid.receiver_top_km) / grid.receiver_step_km
    level = min(max(int(high), 0), max(table.shape[0] - 2, 0))
    share = high - level
    slowness, by_row, by_column = _level(table[level], row, y - row, column, x - column)
    if share != 0.0 and table.shape[0] > 1:
        next_slowness, next_by_row, next_by_column = _level(table[level + 1], row, y - row, column, x - column)
        slowness += share * (next_slowness - slowness)
        by_row += share * (next_by_row - by_row)
        by_column += share * (next_by_column - by_column)
    depth_difference = depth_km - receiver_km
    straight = np.sqrt(distance_km * distance_km + max(depth_difference * depth_difference, 1e-12))
    return (
        slowness * straight,
        by_column / grid.distance_step_km * straight + slowness * distance_km / straight,
        by_row / grid.depth_step_km * straight + slowness * depth_difference / straight,
    )


@njit(cache=True, nogil=True)
def _look_up(  # pragma: no cover
    grid: Grid,
    is_s: NDArray[np.bool_],
    distance: Array,
    depth: Array,
    receiver: Array,
    time: Array,
    by_distance: Array,
    by_depth: Array,
) -> None:
    for row in range(distance.size):
        if np.isfinite(distance[row] + depth[row] + receiver[row]):
            time[row], by_distance[row], by_depth[row] = time_and_slopes(
                grid, 1 if is_s[row] else 0, distance[row], depth[row], receiver[row]
            )
