"""Picks to events and assignments."""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
import pandas as pd

from pickflow.associate.catalog import catalog_tables, enough_arrivals, find_duplicates, merge_days
from pickflow.associate.evidence import Odds, Search, estimate_odds, preselect, select, series_of
from pickflow.associate.observations import NO_EVENTS, Array, Hypotheses, Index, Observations, observe
from pickflow.associate.relocation import relocate
from pickflow.associate.settings import AssociateSettings, derive_settings, located_stations
from pickflow.associate.with_stack import propose
from pickflow.io.places import places_between
from pickflow.io.tables import conform
from pickflow.run.settings.associate import AssociateParams
from pickflow.schemas import PICKS, STATIONS
from pickflow.travel_times.geometry import LocalFrame, frame_around
from pickflow.travel_times.layers import VelocityModel
from pickflow.travel_times.tables import TravelTimes

__all__ = [
    "AssociateParams",
    "AssociateSettings",
    "associate",
    "derive_settings",
    "merge_days",
]

logger = logging.getLogger(__name__)

METHODS = ("pyocto", "gamma", "stack")
# Chosen: origins this close outside the window stay, because two windows may place an event on either side of a border.
WINDOW_MARGIN = timedelta(seconds=3)
# Chosen: a day with more picks is associated in parts, which keeps time and memory in bounds.
MAX_PICKS = 40_000
BUSY_SPAN_S = 600.0  # chosen: the time over which the rate of the busiest part of a day is counted
# Proposals are wrong by about a cell, which moves arrivals by this many seconds per km: the slowness of P at 5 km/s.
_ERROR_S_PER_KM = 0.2
# Chosen: before their relocation proposals need less evidence, because their arrivals fit badly.
_COARSE_EVIDENCE = -5.0
_SHARPENING = 2  # chosen: rounds of selection and relocation


def associate(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    params: AssociateParams,
    method: str,
    window: tuple[datetime, datetime],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    Find events among picks.

    An associator proposes origins; which of them are real, and which pick belongs to which, is decided by
    `pickflow.associate.evidence`, the same way for all associators, so that their catalogs can be compared.

    Parameters
    ----------
    picks : DataFrame
        Rows of `PICKS`, in any order; those more than the halo outside the window are left out, as are those of
        stations without coordinates.
    stations : DataFrame
        Rows of `STATIONS`, with the coordinates of the window.
    model : VelocityModel
        Predicts travel times.
    params : AssociateParams
        See `pickflow.run.settings.associate`.
    method : str
        ``pyocto``, ``gamma`` or ``stack``.
    window : tuple of datetime
        Half-open [start, end) of the origins, widened by `WINDOW_MARGIN`.

    Returns
    -------
    events, assignments : DataFrame
        Tables `EVENTS` and `ASSIGNMENTS`; the same for any order of the rows of the inputs.

    Raises
    ------
    ValueError
        If the method is unknown or no station has coordinates.
    """
    if method not in METHODS:
        raise ValueError(f"associate.methods: {method!r} is unknown; known: {', '.join(METHODS)}")
    picks, stations = conform(picks, PICKS), places_between(conform(stations, STATIONS), *window)
    window_picks = picks[(picks.time >= pd.Timestamp(window[0])) & (picks.time < pd.Timestamp(window[1]))]
    settings = derive_settings(stations, model, params, _busiest_rate_per_s(window_picks))
    located = located_stations(stations)
    frame = frame_around(located)
    parts = _parts(window, len(window_picks), settings)
    threads = max(1, settings.threads // len(parts))
    solve = partial(_associate_part, picks, located, frame, model, replace(settings, threads=threads), method)
    if len(parts) > 1 and settings.threads > 1:
        with ProcessPoolExecutor(min(len(parts), settings.threads), mp_context=get_context("fork")) as pool:
            return merge_days(list(pool.map(solve, parts)), picks)
    return merge_days([solve(part) for part in parts], picks)


def _busiest_rate_per_s(picks: pd.DataFrame) -> float:
    """Rate of picks in the busiest ten minutes, so that a swarm counts in a quiet day too."""
    span = pd.Timedelta(seconds=BUSY_SPAN_S)
    return float(picks.time.dt.floor(span).value_counts().max()) / BUSY_SPAN_S if len(picks) else 0.0


def _parts(
    window: tuple[datetime, datetime], n_picks: int, settings: AssociateSettings
) -> list[tuple[datetime, datetime]]:
    """Equal parts of a window with at most `MAX_PICKS` picks on average, none shorter than the halo."""
    start, duration = window[0], window[1] - window[0]
    longest = max(1, int(duration.total_seconds() / settings.halo_s)) if settings.halo_s > 0 else 1
    n_parts = min(-(-n_picks // MAX_PICKS), longest) or 1
    borders = [start + duration * index / n_parts for index in range(n_parts)] + [window[1]]
    return list(pairwise(borders))


def _associate_part(
    picks: pd.DataFrame,
    located: pd.DataFrame,
    frame: LocalFrame,
    model: VelocityModel,
    settings: AssociateSettings,
    method: str,
    window: tuple[datetime, datetime],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    observations = _observations(picks, located, frame, settings, window)
    events = NO_EVENTS
    if observations.time_s.size >= settings.min_picks:
        times = _travel_times(model, located, settings)
        search = Search(observations=observations, series=series_of(observations), times=times, settings=settings)
        events = _find_events(search, method)
    return catalog_tables(events.keep(_in_window(events, observations, window)), observations, located, frame, model)


def _observations(
    picks: pd.DataFrame,
    located: pd.DataFrame,
    frame: LocalFrame,
    settings: AssociateSettings,
    window: tuple[datetime, datetime],
) -> Observations:
    start, end = (pd.Timestamp(moment) for moment in window)
    halo = pd.Timedelta(seconds=settings.halo_s)
    halo_picks = picks[(picks.time >= start - halo) & (picks.time < end + halo)]
    observations = observe(halo_picks, located, frame, start)
    if left_out := len(halo_picks) - observations.time_s.size:
        logger.warning("%d of %d picks are of stations without coordinates and are left out", left_out, len(halo_picks))
    return observations


def _travel_times(model: VelocityModel, located: pd.DataFrame, settings: AssociateSettings) -> TravelTimes:
    farthest = float(np.hypot(np.ptp(settings.x_range_km), np.ptp(settings.y_range_km)))
    receivers = -located.elevation_m.astype(float) / 1000
    return TravelTimes(model, farthest, (0.0, settings.max_depth_km), (float(receivers.min()), float(receivers.max())))


def _find_events(search: Search, method: str) -> Hypotheses:
    """Events of all passes; each later pass searches among the picks that are still free."""
    n_picks = search.observations.time_s.size
    events = NO_EVENTS
    for number in range(search.settings.passes):
        odds = estimate_odds(search, events)
        free = np.setdiff1d(np.arange(n_picks), events.pick)
        if free.size < search.settings.min_picks:
            break
        methods = _proposers(method, number, search.settings)
        proposed = np.concatenate([_propose(name, search, free, odds) for name in methods])
        origins = _sharpen(proposed, search, free, odds)
        solution = _decide(np.concatenate([events.origin, origins]), search, odds)
        logger.info(
            "pass %d: %d origins proposed, %d of them promising, %d events with %d of %d picks",
            *(number + 1, len(proposed), len(origins), len(solution.origin), solution.pick.size, n_picks),
        )
        if len(solution.origin) <= len(events.origin):
            break
        events = solution
    return events


def _proposers(method: str, number: int, settings: AssociateSettings) -> list[str]:
    """Methods that propose in a pass: the associator and the stack in the first, only the stack in later ones."""
    if method == "stack" or not settings.complete_with_stack:
        return [method]
    return [method, "stack"] if number == 0 else ["stack"]


def _propose(method: str, search: Search, free: Index, odds: Odds) -> Array:
    if method == "stack":
        return propose(search, free, odds)
    # Imported only when used, because GaMMA is an extra.
    if method == "gamma":
        from pickflow.associate.with_gamma import associate_gamma as associator
    else:
        from pickflow.associate.with_pyocto import associate_pyocto as associator
    return associator(search.observations.take(free), search.times, search.settings)


def _sharpen(origin: Array, search: Search, free: Index, odds: Odds) -> Array:
    """Proposals relocated with their picks, without those that explain too few of them."""
    is_free = np.zeros(search.observations.time_s.size, bool)
    is_free[free] = True
    coarse_odds = odds.coarse(_ERROR_S_PER_KM * search.settings.stack.grid_step_km, _COARSE_EVIDENCE)
    for _ in range(_SHARPENING):
        hypotheses = preselect(origin, search.series, coarse_odds, search.times, is_free)
        origin = _relocated(hypotheses, search, odds).origin
        coarse_odds = replace(odds, least_evidence=odds.least_evidence + _COARSE_EVIDENCE)
    return origin


def _decide(origin: Array, search: Search, odds: Odds) -> Hypotheses:
    """Origins that are events, each relocated with its picks."""
    for _ in range(2):
        origin = _relocated(select(origin, search.series, odds, search.times), search, odds).origin
    events = select(origin, search.series, odds, search.times)
    events = events.keep(enough_arrivals(events, search.observations, search.settings))
    events = events.keep(~find_duplicates(events, search.settings.max_residual_s))
    rows, event = np.unique(events.event, return_inverse=True)
    return _relocated(Hypotheses(origin=events.origin[rows], event=event, pick=events.pick), search, odds)


def _relocated(hypotheses: Hypotheses, search: Search, odds: Odds) -> Hypotheses:
    sigma_s, reach_km = float(odds.sigma_s.mean()), search.settings.stack.reach_km
    return relocate(hypotheses, search.observations, search.times, sigma_s, reach_km)


def _in_window(hypotheses: Hypotheses, observations: Observations, window: tuple[datetime, datetime]) -> np.ndarray:
    time = observations.reference + pd.to_timedelta(hypotheses.origin[hypotheses.event, 3], unit="s")
    start, end = (pd.Timestamp(moment) for moment in window)
    return np.asarray((time >= start - WINDOW_MARGIN) & (time < end + WINDOW_MARGIN))
