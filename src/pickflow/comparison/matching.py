"""One-to-one matching of events with events and of picks with picks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pickflow.io.tables import conform
from pickflow.schemas import MATCHES
from pickflow.travel_times.sphere import EARTH_RADIUS_KM, sphere_distance_km

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_KM_PER_DEGREE = np.pi * EARTH_RADIUS_KM / 180


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """
    Rows of two tables that belong together; each row occurs at most once.

    Parameters
    ----------
    left, right : ndarray of int, shape (n,)
        Row numbers.
    """

    left: Index
    right: Index


def best_pairs(left: Index, right: Index, cost: Array) -> Pairs:
    """
    Choose as many one-to-one pairs as possible, with the least total cost.

    The problem separates into the connected components of the graph of candidates; each is solved by the
    Hungarian-type algorithm of Crouse (2016, 10.1109/TAES.2016.140952) in scipy.

    Parameters
    ----------
    left, right : ndarray of int, shape (n,)
        Rows that may be paired; no pair twice.
    cost : ndarray, shape (n,)
        Cost of each pair, between 0 and 1.

    Returns
    -------
    Pairs
        Sorted by ``left``.
    """
    if left.size == 0:
        return Pairs(left=left, right=right)
    lefts, left_node = np.unique(left, return_inverse=True)
    rights, right_node = np.unique(right, return_inverse=True)
    n_nodes = lefts.size + rights.size
    graph = coo_array((np.ones(left.size), (left_node, lefts.size + right_node)), shape=(n_nodes, n_nodes))
    component = connected_components(graph, directed=False)[1][left_node]
    size = np.bincount(component)[component]
    single, contested = np.flatnonzero(size == 1), np.flatnonzero(size > 1)
    selection = [single]
    if contested.size:
        contested = contested[np.argsort(component[contested], kind="stable")]
        groups = np.split(contested, np.flatnonzero(np.diff(component[contested])) + 1)
        selection += [_solve(group, left, right, cost) for group in groups]
    rows = np.concatenate(selection)
    rows = rows[np.argsort(left[rows], kind="stable")]
    return Pairs(left=left[rows], right=right[rows])


def _solve(group: Index, left: Index, right: Index, cost: Array) -> Index:
    """Chosen candidates of one connected component."""
    lefts, row = np.unique(left[group], return_inverse=True)
    rights, column = np.unique(right[group], return_inverse=True)
    # Leaving a pair out costs more than all pairs together, so that the number of pairs comes first.
    penalty = 1.0 + min(lefts.size, rights.size)
    matrix = np.full((lefts.size, rights.size), penalty)
    candidate = np.full(matrix.shape, -1)
    matrix[row, column] = cost[group]
    candidate[row, column] = group
    selection = candidate[linear_sum_assignment(matrix)]
    return selection[selection >= 0]


def pairs_within(times: NDArray[Any], reference_times: NDArray[Any], tolerance: float) -> tuple[Index, Index]:
    """Rows of two arrays of times that differ by at most a tolerance, all in one unit."""
    order = np.argsort(reference_times, kind="stable")
    first = np.searchsorted(reference_times[order], times - tolerance, side="left")
    count = np.searchsorted(reference_times[order], times + tolerance, side="right") - first
    left = np.repeat(np.arange(times.size), count)
    offset = np.arange(left.size) - np.repeat(np.cumsum(count) - count, count)
    return left, order[np.repeat(first, count) + offset]


def _seconds(times: pd.Series, reference: pd.Timestamp) -> Array:
    return ((times - reference) / pd.Timedelta(seconds=1)).to_numpy(float)


def match_events(
    events: pd.DataFrame, reference: pd.DataFrame, time_tolerance_s: float, distance_tolerance_km: float
) -> Pairs:
    """
    Match events with reference events, one to one.

    Parameters
    ----------
    events, reference : DataFrame
        Tables `EVENTS`.
    time_tolerance_s, distance_tolerance_km : float
        Largest difference of origin times and largest epicentral distance.

    Returns
    -------
    Pairs
        Rows of ``events`` and rows of ``reference``: as many as possible, then with the smallest errors in units of the
        tolerances.
    """
    if events.empty or reference.empty:
        return _NO_PAIRS
    zero = reference.time.iloc[0]
    times, reference_times = _seconds(events.time, zero), _seconds(reference.time, zero)
    left, right = pairs_within(times, reference_times, time_tolerance_s)
    distance = _distance_km(events, reference, left, right)
    is_near = distance <= distance_tolerance_km
    left, right, distance = left[is_near], right[is_near], distance[is_near]
    cost = (np.abs(times[left] - reference_times[right]) / time_tolerance_s + distance / distance_tolerance_km) / 2
    return best_pairs(left, right, cost)


_NO_PAIRS = Pairs(left=np.empty(0, np.int64), right=np.empty(0, np.int64))


def _distance_km(events: pd.DataFrame, reference: pd.DataFrame, left: Index, right: Index) -> Array:
    points, reference_points = (
        table[["latitude_deg", "longitude_deg"]].to_numpy(float) for table in (events, reference)
    )
    return sphere_distance_km(*points[left].T, *reference_points[right].T)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """
    Pairs of picks that may belong together.

    Parameters
    ----------
    left, right : ndarray of int, shape (n,)
        Row numbers.
    gap_s : ndarray, shape (n,)
        Left minus right.
    """

    left: Index
    right: Index
    gap_s: Array

    def choose(self, tolerance_s: float, keep: NDArray[np.bool_] | None = None) -> Pairs:
        """Best pairs of these candidates, or of those to keep; see `best_pairs`."""
        rows = slice(None) if keep is None else np.flatnonzero(keep)
        return best_pairs(self.left[rows], self.right[rows], np.abs(self.gap_s[rows]) / tolerance_s)


def candidates(picks: pd.DataFrame, reference: pd.DataFrame, tolerance_s: float, same_phase: bool = True) -> Candidates:
    """
    Pairs of picks of the same station, within a tolerance.

    Parameters
    ----------
    picks, reference : DataFrame
        Columns network, station, phase and time. An empty network is any: many bulletins name stations only.
    tolerance_s : float
        Largest difference.
    same_phase : bool
        Whether the phase must be the same too.
    """
    columns = ["station", "phase"] if same_phase else ["station"]
    groups = reference.groupby(columns, sort=False).indices
    times, reference_times = (table.time.to_numpy("M8[ns]").astype(np.int64) for table in (picks, reference))
    parts: list[tuple[Index, Index]] = []
    for key, rows in picks.groupby(columns, sort=False).indices.items():
        if (rows_of_reference := groups.get(key)) is not None:
            left, right = pairs_within(times[rows], reference_times[rows_of_reference], round(tolerance_s * 1e9))
            parts.append((np.asarray(rows)[left], np.asarray(rows_of_reference)[right]))
    if not parts:
        return Candidates(left=np.empty(0, np.int64), right=np.empty(0, np.int64), gap_s=np.empty(0))
    left, right = (np.concatenate(column) for column in zip(*parts, strict=True))
    networks, reference_networks = (table.network.fillna("").to_numpy(str) for table in (picks, reference))
    agrees = (networks[left] == reference_networks[right]) | (networks[left] == "") | (reference_networks[right] == "")
    left, right = left[agrees], right[agrees]
    return Candidates(left=left, right=right, gap_s=(times[left] - reference_times[right]) / 1e9)


def match_picks(picks: pd.DataFrame, reference: pd.DataFrame, time_tolerance_s: float) -> Pairs:
    """
    Match picks with reference picks of the same station and phase, one to one.

    Parameters
    ----------
    picks, reference : DataFrame
        See `candidates`.
    time_tolerance_s : float
        Largest difference.

    Returns
    -------
    Pairs
        Rows of ``picks`` and rows of ``reference``: as many as possible, then with the smallest time errors.
    """
    return candidates(picks, reference, time_tolerance_s).choose(time_tolerance_s)


def matches_table(
    events: pd.DataFrame, reference: pd.DataFrame, pairs: Pairs, is_judged: NDArray[np.bool_]
) -> pd.DataFrame:
    """
    The table `MATCHES`: matched pairs, missed reference events, and false events.

    Parameters
    ----------
    events, reference : DataFrame
        Tables `EVENTS`.
    pairs : Pairs
        Their matches.
    is_judged : ndarray of bool, shape (n_events,)
        Unmatched events that are not judged are left out: they are neither found nor false.
    """
    matched = np.zeros(len(events), bool)
    matched[pairs.left] = True
    is_missed = np.ones(len(reference), bool)
    is_missed[pairs.right] = False
    event, truth = events.iloc[pairs.left], reference.iloc[pairs.right]
    rows = {
        "reference_id": truth.event_id.to_numpy(),
        "event_id": event.event_id.to_numpy(),
        "time_error_s": (event.time.to_numpy("M8[ns]") - truth.time.to_numpy("M8[ns]")) / np.timedelta64(1, "s"),
        "epicentral_error_km": _distance_km(events, reference, pairs.left, pairs.right),
        "depth_error_km": event.depth_km.to_numpy(float) - truth.depth_km.to_numpy(float),
        "east_error_km": (event.longitude_deg.to_numpy(float) - truth.longitude_deg.to_numpy(float) + 180) % 360 - 180,
        "north_error_km": _KM_PER_DEGREE * (event.latitude_deg.to_numpy(float) - truth.latitude_deg.to_numpy(float)),
        "magnitude_error": event.magnitude.to_numpy(float) - truth.magnitude.to_numpy(float),
    }
    rows["east_error_km"] *= _KM_PER_DEGREE * np.cos(np.radians(truth.latitude_deg.to_numpy(float)))
    parts = [
        pd.DataFrame(rows),
        pd.DataFrame({"reference_id": reference.event_id[is_missed]}),
        pd.DataFrame({"event_id": events.event_id[is_judged & ~matched]}),
    ]
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return conform(table.reindex(columns=MATCHES.schema.names), MATCHES)
