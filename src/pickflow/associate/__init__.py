"""Picks to events and assignments."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from pickflow.associate.catalog import catalog_tables, enough_arrivals, merge_days, one_event_per_pick
from pickflow.associate.settings import (
    AssociateParams,
    AssociateSettings,
    derive_settings,
    located_stations,
)
from pickflow.associate.with_gamma import associate_gamma
from pickflow.associate.with_pyocto import associate_pyocto
from pickflow.io.tables import conform
from pickflow.locate.geometry import LocalFrame, frame_around
from pickflow.locate.observations import NO_EVENTS, Hypotheses, Observations, observe
from pickflow.locate.relocation import candidate_arrivals, relocate, residuals_s
from pickflow.schemas import PICKS, STATIONS
from pickflow.travel_times import VelocityModel

__all__ = [
    "AssociateParams",
    "AssociateSettings",
    "associate",
    "derive_settings",
    "merge_days",
]

logger = logging.getLogger(__name__)

METHODS: dict[str, Callable[[Observations, VelocityModel, AssociateSettings], Hypotheses]] = {
    "pyocto": associate_pyocto,
    "gamma": associate_gamma,
}
# Origins this close outside the day are kept too: two days may disagree on which side of midnight an event lies.
WINDOW_MARGIN = timedelta(seconds=3)


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

    Both associators only group the picks; origins are relocated (if asked) and residuals, distances and azimuths
    computed with the same travel times, so that their catalogs can be compared.

    Parameters
    ----------
    picks : DataFrame
        Rows of `PICKS`, in any order; those more than the halo outside the window are left out, as are those of
        stations without coordinates.
    stations : DataFrame
        Rows of `STATIONS`.
    model : VelocityModel
        Predicts travel times.
    params : AssociateParams
        See the schema of the section `associate`.
    method : str
        ``pyocto`` or ``gamma``.
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
    picks, stations = conform(picks, PICKS), conform(stations, STATIONS)
    settings = derive_settings(stations, model, params)
    located = located_stations(stations)
    frame = frame_around(located)
    observations = _observations(picks, located, frame, settings, window)
    found = _find_events(observations, model, settings, method)
    return catalog_tables(found.keep(_in_window(found, observations, window)), observations, located, frame, model)


def _observations(
    picks: pd.DataFrame,
    located: pd.DataFrame,
    frame: LocalFrame,
    settings: AssociateSettings,
    window: tuple[datetime, datetime],
) -> Observations:
    start, end = (pd.Timestamp(moment) for moment in window)
    halo = pd.Timedelta(seconds=settings.halo_s)
    near = picks[(picks.time >= start - halo) & (picks.time < end + halo)]
    observations = observe(near, located, frame, start)
    if left_out := len(near) - observations.time_s.size:
        logger.warning("%d of %d picks are of stations without coordinates and are left out", left_out, len(near))
    return observations


def _find_events(
    observations: Observations, model: VelocityModel, settings: AssociateSettings, method: str
) -> Hypotheses:
    """Events of all passes; each later pass sees only the picks that are still free."""
    found = NO_EVENTS
    for _ in range(settings.passes):
        free = np.setdiff1d(np.arange(observations.time_s.size), found.pick)
        if free.size < settings.min_picks:
            break
        rest = observations.take(free)
        events = _refine(METHODS[method](rest, model, settings), rest, model, settings)
        if events.event.size == 0:
            break
        found = Hypotheses(
            origin=np.concatenate([found.origin, events.origin]),
            event=np.concatenate([found.event, events.event + len(found.origin)]),
            pick=np.concatenate([found.pick, free[events.pick]]),
        )
    return found


def _refine(
    hypotheses: Hypotheses, observations: Observations, model: VelocityModel, settings: AssociateSettings
) -> Hypotheses:
    """Relocate, take in every pick that fits and drop those that do not, twice; drop events with too few left."""
    for _ in range(2):
        if settings.relocate:
            hypotheses = relocate(hypotheses, observations, model, settings.max_depth_km)
        hypotheses = candidate_arrivals(hypotheses, observations, settings.pyocto.time_before_s)
        residual = residuals_s(hypotheses, observations, model)
        fits = np.abs(residual) <= settings.max_residual_s
        hypotheses = one_event_per_pick(hypotheses.keep(fits), residual[fits], observations)
    return hypotheses.keep(enough_arrivals(hypotheses, observations, settings))


def _in_window(hypotheses: Hypotheses, observations: Observations, window: tuple[datetime, datetime]) -> np.ndarray:
    time = observations.reference + pd.to_timedelta(hypotheses.origin[hypotheses.event, 3], unit="s")
    start, end = (pd.Timestamp(moment) for moment in window)
    return np.asarray((time >= start - WINDOW_MARGIN) & (time < end + WINDOW_MARGIN))
