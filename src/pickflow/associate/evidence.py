"""Which of many proposed events are real, and which pick belongs to which: by how well they explain the picks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pickflow.associate.settings import AssociateSettings
from pickflow.locate.observations import NO_EVENTS, Array, Hypotheses, Index, Observations
from pickflow.locate.relocation import residuals_s
from pickflow.locate.tables import TravelTimes

# An event is seen by half of the stations at this distance, by 0.88 and 0.12 of them a width before and behind it.
_RADII_KM = np.array([5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 170, 220, 300, 450], float)
_WIDTHS_KM = np.maximum(0.2 * _RADII_KM, 4.0)
# Near stations miss an arrival this often at least: a picker is not perfect, and codas hide arrivals.
_MOST_SEEN_P, _MOST_SEEN_S = 0.9, 0.75
# Share of arrivals whose residuals are spread evenly over the tolerance.
_OUTLIERS = 0.1
# Standard deviation of residuals as a share of the tolerance, before any are known; and the least of either phase.
_FIRST_SIGMA = 0.25
_LEAST_SIGMA = 0.08
_SIGMA_FROM_PICKS = 50
# The rate of other picks is counted over this long, so that a swarm is judged by its own hour.
_RATE_WINDOW_S = 600.0
# Keys of neighbouring series are at least this far apart.
_APART_S = 10_000.0
_CHUNK_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class Series:
    """
    Picks by station and phase, sorted by time in each.

    Parameters
    ----------
    x_km, y_km, depth_km : ndarray, shape (n_series,)
        Place of the station.
    is_s : ndarray of bool, shape (n_series,)
        Phase.
    most_seen : ndarray, shape (n_series,)
        Probability of a pick of an event close by; less for stations with fewer picks than the median.
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
    most_seen: Array
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
        most_seen=np.where(is_s, _MOST_SEEN_S, _MOST_SEEN_P) * np.minimum(1.0, count / np.median(count)),
        of_pick=of_pick.astype(np.int64),
        order=order,
        key_s=key[order],
        start_s=start,
        span_s=span,
    )


@dataclass(frozen=True, kw_only=True)
class Search:
    """What does not change while events are sought in a part of a day."""

    observations: Observations
    series: Series
    times: TravelTimes
    settings: AssociateSettings


@dataclass(frozen=True, kw_only=True)
class Odds:
    """
    What a pick near a predicted arrival is worth.

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
        """The same for origins with errors of their own."""
        wider = self.tolerance_s + error_s
        return replace(self, tolerance_s=wider, sigma_s=wider / 4, least_evidence=least_evidence)


def estimate_odds(search: Search, found: Hypotheses) -> Odds:
    """
    Rates of picks that no event explains, and the scatter of residuals, from the events found so far.

    Parameters
    ----------
    search : Search
        The picks.
    found : Hypotheses
        Events so far, none at first.
    """
    observations, series, settings = search.observations, search.series, search.settings
    residual_s = residuals_s(found, observations, search.times)
    unexplained = np.ones(observations.time_s.size, bool)
    unexplained[found.pick] = False
    key = np.empty(series.key_s.size)
    key[series.order] = series.key_s
    others = series.key_s[unexplained[series.order]]
    half = _RATE_WINDOW_S / 2
    near = np.searchsorted(others, key + half, side="right") - np.searchsorted(others, key - half) - unexplained
    count = np.bincount(series.of_pick[unexplained], minlength=series.x_km.size)
    duration = max(series.span_s - _APART_S, _RATE_WINDOW_S)
    # At least that of the whole series: a lone pick says little about its surroundings. One more for what is unseen.
    rate = np.maximum(near / _RATE_WINDOW_S, (count[series.of_pick] + 1) / duration)
    sigma = np.full(series.x_km.size, _FIRST_SIGMA * settings.max_residual_s)
    for phase in (False, True):
        own = residual_s[observations.is_s[found.pick] == phase]
        if own.size >= _SIGMA_FROM_PICKS:
            scatter = 1.4826 * float(np.median(np.abs(own)))
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
    radius is the one that suits the event best). An event is accepted if no other claims one of its picks with more
    evidence; its picks are taken, and the rest claims again among the free ones, until no evidence is enough.

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
        Picks that may be claimed; all, if not given.

    Returns
    -------
    Hypotheses
        Accepted origins with their picks.
    """
    free = np.ones(series.order.size, bool) if free is None else free.copy()
    origin, claimed, evidence = _promising(origin, series, odds, times, free)
    accepted: list[int] = []
    taken: list[Index] = []
    rows = np.arange(len(origin))
    while rows.size:
        winners = _winners(rows, claimed, evidence, free.size)
        for row in winners:
            accepted.append(int(row))
            taken.append(claimed[row][claimed[row] >= 0])
            free[taken[-1]] = False
        rows = np.setdiff1d(rows, winners)
        lost = ((claimed[rows] >= 0) & ~free[claimed[rows]]).any(axis=1)
        stale = rows[lost]
        claimed[stale], evidence[stale] = _judge(origin[stale], series, odds, times, free)
        rows = rows[evidence[rows] > odds.least_evidence]
    if not accepted:
        return NO_EVENTS
    event = np.repeat(np.arange(len(accepted)), [own.size for own in taken])
    return Hypotheses(origin=origin[accepted], event=event, pick=np.concatenate(taken))


def promising(origin: Array, series: Series, odds: Odds, times: TravelTimes, free: NDArray[np.bool_]) -> Hypotheses:
    """
    Proposed origins with enough evidence, and the picks that they claim while no other takes them.

    Parameters are those of `select`.
    """
    origin, claimed, _ = _promising(origin, series, odds, times, free)
    event, row = np.nonzero(claimed >= 0)
    return Hypotheses(origin=origin, event=event, pick=claimed[event, row])


def _promising(
    origin: Array, series: Series, odds: Odds, times: TravelTimes, free: NDArray[np.bool_]
) -> tuple[Array, Index, Array]:
    """Origins with enough evidence while all picks are free: more they never get. Equal claims are one hypothesis."""
    kept_origin, kept_claims, kept_evidence = [], [], []
    for start in range(0, len(origin), _CHUNK_ROWS):
        some = origin[start : start + _CHUNK_ROWS]
        claimed, evidence = _judge(some, series, odds, times, free)
        enough = evidence > odds.least_evidence
        kept_origin.append(some[enough])
        kept_claims.append(claimed[enough])
        kept_evidence.append(evidence[enough])
    n_series = series.x_km.size
    claims = np.concatenate([np.empty((0, n_series), np.int64), *kept_claims])
    evidence = np.concatenate([np.empty(0), *kept_evidence])
    origins = np.concatenate([np.empty((0, 4)), *kept_origin])
    best = np.lexsort((*origins.T, -evidence))
    _, first = np.unique(claims[best], axis=0, return_index=True)
    chosen = best[np.sort(first)]
    return origins[chosen], claims[chosen], evidence[chosen]


def _judge(
    origin: Array, series: Series, odds: Odds, times: TravelTimes, free: NDArray[np.bool_]
) -> tuple[Index, Array]:
    """Claims, shape (n, n_series), -1 for none, and evidence, shape (n,)."""
    distance = np.hypot(origin[:, :1] - series.x_km, origin[:, 1:2] - series.y_km)
    arrival = origin[:, 3:] + times.times(series.is_s, distance, origin[:, 2:3], series.depth_km)
    claimed = np.full(distance.shape, -1, np.int64)
    evidence = np.empty(len(origin))
    _weigh(
        distance,
        arrival - series.start_s,
        series.most_seen,
        np.searchsorted(series.key_s, series.span_s * np.arange(distance.shape[1] + 1) - _APART_S / 2),
        series.key_s,
        series.order,
        series.span_s,
        free,
        odds.log_rate,
        odds.sigma_s,
        odds.tolerance_s,
        claimed,
        evidence,
    )
    return claimed, evidence


@njit(cache=True, nogil=True)
def _weigh(  # pragma: no cover
    distance: Array,
    arrival: Array,
    most_seen: Array,
    first: Index,
    key: Array,
    order: Index,
    span: float,
    free: NDArray[np.bool_],
    log_rate: Array,
    sigma: Array,
    tolerance: Array,
    claimed: Index,
    evidence: Array,
) -> None:
    n_events, n_series = distance.shape
    gain = np.empty(n_series)
    for event in range(n_events):
        for row in range(n_series):
            own = key[first[row] : first[row + 1]]
            wanted = arrival[event, row] + span * row
            index = np.searchsorted(own, wanted - tolerance[row])
            nearest = tolerance[row]
            while index < own.size and own[index] <= wanted + tolerance[row]:
                pick = order[first[row] + index]
                if free[pick] and abs(own[index] - wanted) <= nearest:
                    nearest = abs(own[index] - wanted)
                    claimed[event, row] = pick
                index += 1
            if claimed[event, row] >= 0:
                density = (1 - _OUTLIERS) * np.exp(-0.5 * (nearest / sigma[row]) ** 2) / (sigma[row] * 2.5066282746)
                gain[row] = np.log(density + _OUTLIERS / (2 * tolerance[row])) - log_rate[claimed[event, row]]
        best = -np.inf
        for radius in range(_RADII_KM.size):
            total = 0.0
            for row in range(n_series):
                beyond = (distance[event, row] - _RADII_KM[radius]) / (0.5 * _WIDTHS_KM[radius])
                seen = most_seen[row] / (1 + np.exp(min(beyond, 30.0)))
                total += np.log(max(seen, 1e-6)) + gain[row] if claimed[event, row] >= 0 else np.log(1 - seen)
            best = max(best, total)
        evidence[event] = best


def _winners(rows: Index, claimed: Index, evidence: Array, n_picks: int) -> Index:
    """Events none of whose picks is claimed with more evidence; of equals the first."""
    ranked = rows[np.argsort(-evidence[rows], kind="stable")]
    owner = np.full(n_picks, -1)
    for row in ranked[::-1]:
        owner[claimed[row][claimed[row] >= 0]] = row
    return np.array([row for row in ranked if np.all(owner[claimed[row][claimed[row] >= 0]] == row)], dtype=np.int64)
