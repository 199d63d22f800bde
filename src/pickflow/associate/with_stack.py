"""Association by stacking picks: each cell sums, for each origin time, the picks that an event there would explain."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from pickflow.associate.evidence import Odds, Search
from pickflow.associate.observations import Array, Index
from pickflow.associate.settings import AssociateSettings

Single = NDArray[np.float32]

_BIN_S = 0.4  # chosen: three of them, 1.2 s, are the window of a stack
# A stack spans this many bins to either side: the error of a cell's travel times, with that of the picks.
_HALF_WIDTH = 1
_PEAK_DISTANCE_S = 1.2  # the window of a stack
_BLOCK_CELLS = 8  # chosen: a block of so many cells a side proposes one origin at a time
# Chosen: the weight of a pick is the logarithm of this density over the rate of its series, within these limits.
_DENSITY_PER_S = 0.3
_WORTH = (0.2, 8.0)
_MAX_CELLS = 60_000  # chosen: limits time and memory
_LONGEST_SPAN_S = 3600.0  # chosen: limits memory


def propose(search: Search, free: Index, odds: Odds) -> Array:
    """
    Origins at the peaks of a stack of picks over a grid of places.

    Each pick adds its weight, which falls linearly with distance, to the origin time that it implies at each cell; REAL
    counts picks in a similar way (Zhang, Ellsworth and Beroza 2019, 10.1785/0220190052). Of the cells of a block the
    best one counts at each time, and peaks in time become proposals: many more than there are events, of which
    `pickflow.associate.evidence.select` accepts the real ones.

    Parameters
    ----------
    search : Search
        The picks.
    free : ndarray of int
        Rows of the free picks.
    odds : Odds
        Rates of picks.

    Returns
    -------
    ndarray, shape (n, 4)
        x, y, depth in km and time in s.
    """
    observations, series, settings = search.observations, search.series, search.settings
    cells, block = _cells(settings)
    distance = np.hypot(cells[:, :1] - series.x_km, cells[:, 1:2] - series.y_km).astype(np.float32)
    travel = search.times.times(series.is_s, distance, cells[:, 2:3], series.depth_km).astype(np.float32)
    reach = settings.stack.reach_km
    worth = np.clip(np.log(_DENSITY_PER_S) - odds.log_rate, *_WORTH)
    # Half of the least number of picks, at a third of the reach: weaker peaks never become events.
    min_height = settings.min_picks / 2 * float(np.median(worth[free])) * 2 / 3
    longest = float(travel[distance <= reach].max(initial=0.0))

    def stack(picks: Index) -> Array:
        start = float(observations.time_s[picks].min()) - longest - _PEAK_DISTANCE_S
        n_bins = int((observations.time_s[picks].max() + _PEAK_DISTANCE_S - start) / _BIN_S) + 1
        best, cell = _stack(
            travel,
            distance,
            block,
            observations.time_s[picks] - start,
            series.of_pick[picks],
            worth[picks],
            reach,
            np.empty((int(block.max()) + 1, n_bins), np.float32),
        )
        peak = maximum_filter1d(best, size=2 * round(_PEAK_DISTANCE_S / _BIN_S) + 1, axis=1)
        row, moment = np.nonzero((best == peak) & (best >= min_height))
        return np.column_stack([cells[cell[row, moment]], start + (moment + 0.5) * _BIN_S])

    spans = [free[span] for span in _spans(observations.time_s[free], longest) if span.size >= settings.min_picks]
    with ThreadPoolExecutor(settings.threads) as pool:
        return np.concatenate([np.empty((0, 4)), *pool.map(stack, spans)])


def _cells(settings: AssociateSettings) -> tuple[Array, Index]:
    """Places x, y, depth, shape (n_cells, 3), block by block, and the block of each."""
    depth = [settings.stack.grid_step_km]
    while depth[-1] < settings.max_depth_km:
        depth.append(depth[-1] + max(1.5 * settings.stack.grid_step_km, 0.4 * depth[-1]))
    depth[-1] = max(depth[0], min(depth[-1], settings.max_depth_km))
    n_depths = len(depth)
    area = np.ptp(settings.x_range_km) * np.ptp(settings.y_range_km)
    step = max(settings.stack.grid_step_km, float(np.sqrt(area * n_depths / _MAX_CELLS)))
    x, y = (
        np.arange(low + step / 2, high + step / 2, step) for low, high in (settings.x_range_km, settings.y_range_km)
    )
    grid = np.meshgrid(np.arange(x.size), np.arange(y.size), np.arange(n_depths), indexing="ij")
    i, j, k = (index.ravel() for index in grid)
    block = i // _BLOCK_CELLS * (y.size // _BLOCK_CELLS + 1) + j // _BLOCK_CELLS
    order = np.argsort(block, kind="stable")
    return np.column_stack([x[i], y[j], np.array(depth)[k]])[order], np.unique(block[order], return_inverse=True)[1]


def _spans(time_s: Array, longest_s: float) -> list[Index]:
    """Picks that can belong together: sorted rows cut at pauses, and long stretches cut with an overlap."""
    order = np.argsort(time_s, kind="stable")
    ordered = time_s[order]
    ends = np.concatenate([[0], np.flatnonzero(np.diff(ordered) > longest_s) + 1, [ordered.size]])
    spans = []
    for first, last in pairwise(ends):
        n_parts = max(1, int(np.ceil((ordered[last - 1] - ordered[first]) / _LONGEST_SPAN_S)))
        borders = np.linspace(ordered[first], ordered[last - 1], n_parts + 1)
        for begin, end in pairwise(borders):
            low, high = np.searchsorted(ordered, begin), np.searchsorted(ordered, end + longest_s, side="right")
            spans.append(order[low : min(high, last)])
    return spans


@njit(cache=True, nogil=True, fastmath=True)
def _stack(  # pragma: no cover
    travel: Single,
    distance: Single,
    block: Index,
    time: Array,
    of_pick: Index,
    worth: Array,
    reach: float,
    best: Single,
) -> tuple[Single, NDArray[np.int32]]:
    """Largest stack of each block at each bin, and the cell that has it."""
    n_bins = best.shape[1]
    best[:] = 0.0
    cell_of = np.zeros(best.shape, np.int32)
    bins = np.empty(n_bins, np.float32)
    for cell in range(travel.shape[0]):
        bins[:] = 0.0
        for k in range(time.size):
            radius = distance[cell, of_pick[k]]
            if radius < reach:
                moment = int((time[k] - travel[cell, of_pick[k]]) / _BIN_S)
                if 0 <= moment < n_bins:
                    bins[moment] += worth[k] * (1 - radius / reach)
        block_of_cell = block[cell]
        for moment in range(_HALF_WIDTH, n_bins - _HALF_WIDTH):
            total = 0.0
            for neighbour in range(moment - _HALF_WIDTH, moment + _HALF_WIDTH + 1):
                total += bins[neighbour]
            if total > best[block_of_cell, moment]:
                best[block_of_cell, moment] = total
                cell_of[block_of_cell, moment] = cell
    return best, cell_of
