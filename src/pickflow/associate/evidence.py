"""Selection of events among many proposed origins, and of their picks, by how well they explain the picks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickflow.associate.observations import NO_EVENTS, Array, Hypotheses, Index, Observations
from pickflow.associate.relocation import residuals_s
from pickflow.associate.settings import AssociateSettings
from pickflow.statistics import MAD_TO_SIGMA
from pickflow.travel_times.tables import TravelTimes

# Trial radii (chosen): half of the stations at this distance detect an event, 0.88 and 0.12 of them a width nearer and
# farther.
_RADII_KM = np.array([5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 170, 220, 300, 450], float)
_WIDTHS_KM = np.maximum(0.2 * _RADII_KM, 4.0)
# Chosen: the most that near stations detect; a picker is not perfect, and codas hide arrivals.
_MAX_DETECTION_P, _MAX_DETECTION_S = 0.9, 0.75
# Chosen: share of arrivals whose residuals are spread evenly over the tolerance.
_OUTLIERS = 0.1
# Chosen: standard deviation of residuals as a share of the tolerance, before any are known; and its lower limit.
_FIRST_SIGMA = 0.25
_LEAST_SIGMA = 0.08
_SIGMA_FROM_PICKS = 50  # chosen: a median deviation of so many is known to about 16 %
# Chosen: the rate of other picks is counted over this time, so that it follows a swarm.
_RATE_WINDOW_S = 600.0
# Keys of neighbouring series are at least this far apart: more than any travel time.
_APART_S = 10_000.0
_CHUNK_ROWS = 4096  # chosen: limits the memory of arrivals at all stations


@dataclass(frozen=True, kw_only=True)
class Series:
    """
    Picks by station and phase, sorted by time in each.

    Parameters
    ----------
    x_km, y_km, depth_km : ndarray, shape (n_series,)
        Coordinates of the station.
    is_s : ndarray of bool, shape (n_series,)
        Phase.
    max_detection : ndarray, shape (n_series,)
        Probability of a pick of a very near event; less for stations with fewer picks than the median.
    of_pick : ndarray of int, shape (n_picks,)
        Series of each pick.
    order : ndarray of int, shape (n_picks,)
        Picks by series, then time.
    key_s : ndarray, shape (n_picks,)
        Time after `start_s` plus `span_s` times the series, of ``order``.
    start_s, span_s : float
        First time, and a time longer than all.
    """

    x_km: Array
    y_km: Array
    depth_km: Array
    is_s: NDArray[np.bool_]
    max_detection: Array
    of_pick: Index
    order: Index
    key_s: Array
    start_s: float
    span_s: float


def series_of(observations: Observations) -> Series:
    """Picks by station and phase; at least one pick is needed."""
    names = np.char.add(observations.station, np.where(observations.is_s, " S", " P"))
    _, first, of_pick, count = np.unique(names, return_index=True, return_inverse=True, return_counts=True)
    start = float(observations.time_s.min())
    span = float(np.ptp(observations.time_s)) + _APART_S
    key = of_pick * span + observations.time_s - start
    order = np.argsort(key, kind="stable")
    is_s = observations.is_s[first]
    return Series(
        x_km=observations.x_km[first],
        y_km=observations.y_km[first],
        depth_km=observations.depth_km[first],
        is_s=is_s,
        max_detection=np.where(is_s, _MAX_DETECTION_S, _MAX_DETECTION_P) * np.minimum(1.0, count / np.median(count)),
        of_pick=of_pick.astype(np.int64),
        order=order,
        key_s=key[order],
        start_s=start,
        span_s=span,
    )


@dataclass(frozen=True, kw_only=True)
class Search:
    """Inputs of the search for events in a part of a day."""

    observations: Observations
    series: Series
    times: TravelTimes
    settings: AssociateSettings


@dataclass(frozen=True, kw_only=True)
class Odds:
    """
    Terms of the evidence of a pick near a predicted arrival.

    Parameters
    ----------
    log_rate : ndarray, shape (n_picks,)
        Logarithm of the rate, per s, of picks of other origin in the series around each pick.
    sigma_s : ndarray, shape (n_series,)
        Standard deviation of residuals.
    tolerance_s : ndarray, shape (n_series,)
        Largest residual of an arrival.
    least_evidence : float
        Evidence that an event needs.
    """

    log_rate: Array
    sigma_s: Array
    tolerance_s: Array
    least_evidence: float

    def coarse(self, error_s: float, least_evidence: float) -> Odds:
        """The same for origins that have errors."""
        wider = self.tolerance_s + error_s
        return replace(self, tolerance_s=wider, sigma_s=wider / 4, least_evidence=least_evidence)


def estimate_odds(search: Search, events: Hypotheses) -> Odds:
    """
    Rates of picks that no event explains, and the scatter of residuals, from the events of earlier passes.

    Parameters
    ----------
    search : Search
        The picks.
    events : Hypotheses
        Events of earlier passes.
    """
    observations, series, settings = search.observations, search.series, search.settings
    residual_s = residuals_s(events, observations, search.times)
    is_free = np.ones(observations.time_s.size, bool)
    is_free[events.pick] = False
    key = np.empty(series.key_s.size)
    key[series.order] = series.key_s
    free_keys = series.key_s[is_free[series.order]]
    half = _RATE_WINDOW_S / 2
    n_near = np.searchsorted(free_keys, key + half, side="right") - np.searchsorted(free_keys, key - half) - is_free
    count = np.bincount(series.of_pick[is_free], minlength=series.x_km.size)
    duration = max(series.span_s - _APART_S, _RATE_WINDOW_S)
    # At least that of the whole series, because a single pick is no estimate. One more for picks that did not occur.
    rate = np.maximum(n_near / _RATE_WINDOW_S, (count[series.of_pick] + 1) / duration)
    sigma = np.full(series.x_km.size, _FIRST_SIGMA * settings.max_residual_s)
    for phase in (False, True):
        residuals = residual_s[observations.is_s[events.pick] == phase]
        if residuals.size >= _SIGMA_FROM_PICKS:
            scatter = MAD_TO_SIGMA * float(np.median(np.abs(residuals)))
            sigma[series.is_s == phase] = np.clip(
                scatter, _LEAST_SIGMA * settings.max_residual_s, 0.5 * settings.max_residual_s
            )
    return Odds(
        log_rate=np.log(rate),
        sigma_s=sigma,
        tolerance_s=np.minimum(settings.max_residual_s, 4 * sigma),
        least_evidence=settings.min_evidence,
    )


def select(
    origin: Array, series: Series, odds: Odds, times: TravelTimes, free: NDArray[np.bool_] | None = None
) -> Hypotheses:
    """
    The events that explain the picks best, each pick in one event.

    Every proposed origin claims the best fitting free pick of each station and phase. Its evidence is the logarithm of
    how much more likely the claimed and the missing picks are with the event than without: the density of the residual
    against the rate of other picks in that series, and the probability of detection, which falls with distance (the
    radius is the one that fits the event best). An event is accepted if no other claims one of its picks with more
    evidence; its picks are no longer free, and the other origins claim again, until no evidence is enough.

    Parameters
    ----------
    origin : ndarray, shape (n, 4)
        Proposed x, y, depth in km and time in s.
    series : Series
        The picks.
    odds : Odds
        See `estimate_odds`.
    times : TravelTimes
        Predicts the arrivals.
    free : ndarray of bool, shape (n_picks,), optional
        Picks that may be claimed; by default all.

    Returns
    -------
    Hypotheses
        Accepted origins with their picks.
    """
    free = np.ones(series.order.size, bool) if free is None else free.copy()
    origin, claims, evidence = _origins_with_evidence(origin, series, odds, times, free)
    rows_of_events: list[int] = []
    picks_of_events: list[Index] = []
    rows = np.arange(len(origin))
    while rows.size:
        winners = _winners(rows, claims, evidence, free.size)
        for row in winners:
            rows_of_events.append(int(row))
            picks_of_events.append(claims[row][claims[row] >= 0])
            free[picks_of_events[-1]] = False
        rows = np.setdiff1d(rows, winners)
        has_lost = ((claims[rows] >= 0) & ~free[claims[rows]]).any(axis=1)
        losers = rows[has_lost]
        claims[losers], evidence[losers] = _judge(origin[losers], series, odds, times, free)
        rows = rows[evidence[rows] > odds.least_evidence]
    if not rows_of_events:
        return NO_EVENTS
    event = np.repeat(np.arange(len(rows_of_events)), [event_picks.size for event_picks in picks_of_events])
    return Hypotheses(origin=origin[rows_of_events], event=event, pick=np.concatenate(picks_of_events))


def preselect(origin: Array, series: Series, odds: Odds, times: TravelTimes, free: NDArray[np.bool_]) -> Hypotheses:
    """
    Proposed origins with enough evidence, and the picks that they claim without competition.

    Parameters are those of `select`.
    """
    origin, claims, _ = _origins_with_evidence(origin, series, odds, times, free)
    event, row = np.nonzero(claims >= 0)
    return Hypotheses(origin=origin, event=event, pick=claims[event, row])


def _origins_with_evidence(
    origin: Array, series: Series, odds: Odds, times: TravelTimes, free: NDArray[np.bool_]
) -> tuple[Array, Index, Array]:
    """Origins with enough evidence while all picks are free, which is its maximum. Equal claims are one hypothesis."""
    kept_origin, kept_claims, kept_evidence = [], [], []
    for start in range(0, len(origin), _CHUNK_ROWS):
        chunk = origin[start : start + _CHUNK_ROWS]
        chunk_claims, evidence = _judge(chunk, series, odds, times, free)
        has_enough = evidence > odds.least_evidence
        kept_origin.append(chunk[has_enough])
        kept_claims.append(chunk_claims[has_enough])
        kept_evidence.append(evidence[has_enough])
    n_series = series.x_km.size
    claims = np.concatenate([np.empty((0, n_series), np.int64), *kept_claims])
    evidence = np.concatenate([np.empty(0), *kept_evidence])
    origins = np.concatenate([np.empty((0, 4)), *kept_origin])
    best = np.lexsort((*origins.T, -evidence))
    _, first = np.unique(claims[best], axis=0, return_index=True)
    selection = best[np.sort(first)]
    return origins[selection], claims[selection], evidence[selection]


def _judge(
    origin: Array, series: Series, odds: Odds, times: TravelTimes, free: NDArray[np.bool_]
) -> tuple[Index, Array]:
    """Claims, shape (n, n_series), -1 for none, and evidence, shape (n,)."""
    distance = np.hypot(origin[:, :1] - series.x_km, origin[:, 1:2] - series.y_km)
    arrival = origin[:, 3:] + times.times(series.is_s, distance, origin[:, 2:3], series.depth_km)
    claims = np.full(distance.shape, -1, np.int64)
    evidence = np.empty(len(origin))
    first = np.searchsorted(series.key_s, series.span_s * np.arange(distance.shape[1] + 1) - _APART_S / 2)
    keys = _Keys(first, series.key_s, series.order, series.span_s, free)
    densities = _Densities(series.max_detection, odds.log_rate, odds.sigma_s, odds.tolerance_s)
    _weigh(distance, arrival - series.start_s, keys, densities, claims, evidence)
    return claims, evidence


class _Keys(NamedTuple):
    """Picks of a `Series` for `_weigh`: the key at which each series begins, and whether each pick is free."""

    first: Index
    key: Array
    order: Index
    span: float
    free: NDArray[np.bool_]


class _Densities(NamedTuple):
    """Terms of the evidence for `_weigh`, by series; the rate by pick."""

    max_detection: Array
    log_rate: Array
    sigma: Array
    tolerance: Array


@njit(cache=True, nogil=True)
def _weigh(  # pragma: no cover
    distance: Array, arrival: Array, keys: _Keys, densities: _Densities, claims: Index, evidence: Array
) -> None:
    first, key, order, span, free = keys
    max_detection, log_rate, sigma, tolerance = densities
    n_events, n_series = distance.shape
    gain = np.empty(n_series)
    for event in range(n_events):
        for row in range(n_series):
            series_keys = key[first[row] : first[row + 1]]
            arrival_key = arrival[event, row] + span * row
            index = np.searchsorted(series_keys, arrival_key - tolerance[row])
            nearest = tolerance[row]
            while index < series_keys.size and series_keys[index] <= arrival_key + tolerance[row]:
                pick = order[first[row] + index]
                if free[pick] and abs(series_keys[index] - arrival_key) <= nearest:
                    nearest = abs(series_keys[index] - arrival_key)
                    claims[event, row] = pick
                index += 1
            if claims[event, row] >= 0:
                density = (1 - _OUTLIERS) * np.exp(-0.5 * (nearest / sigma[row]) ** 2) / (sigma[row] * 2.5066282746)
                gain[row] = np.log(density + _OUTLIERS / (2 * tolerance[row])) - log_rate[claims[event, row]]
        best = -np.inf
        for radius in range(_RADII_KM.size):
            total = 0.0
            for row in range(n_series):
                n_widths = (distance[event, row] - _RADII_KM[radius]) / (0.5 * _WIDTHS_KM[radius])
                detection = max_detection[row] / (1 + np.exp(min(n_widths, 30.0)))
                total += np.log(max(detection, 1e-6)) + gain[row] if claims[event, row] >= 0 else np.log(1 - detection)
            best = max(best, total)
        evidence[event] = best


def _winners(rows: Index, claims: Index, evidence: Array, n_picks: int) -> Index:
    """Events none of whose picks is claimed with more evidence; of equals the first."""
    ranking = rows[np.argsort(-evidence[rows], kind="stable")]
    claimant = np.full(n_picks, -1)
    for row in ranking[::-1]:
        claimant[claims[row][claims[row] >= 0]] = row
    return np.array([row for row in ranking if np.all(claimant[claims[row][claims[row] >= 0]] == row)], dtype=np.int64)
