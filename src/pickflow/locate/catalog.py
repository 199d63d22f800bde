"""Relocation of a catalog, with all its events and assignments."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.io.places import MOVED_KM, places_at, places_in_run
from pickflow.io.tables import conform
from pickflow.locate.corrections import correction_s, estimate_corrections
from pickflow.locate.depths import depth_range_km
from pickflow.locate.posterior import Origins, locate_arrivals
from pickflow.locate.quality import CLASSES, quality_class
from pickflow.locate.search import ARRIVAL, N_COLUMNS, PHASE, PICK_SIGMA, STATION_DEPTH, STATION_X, STATION_Y
from pickflow.run.settings.locate import LocateParams
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATION_CORRECTIONS, STATIONS
from pickflow.travel_times.geometry import LocalFrame, distance_and_azimuth, frame_around
from pickflow.travel_times.layers import VelocityModel, predict_s
from pickflow.travel_times.tables import TravelTimes

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

# With two stations the epicentre has a mirror image that fits as well.
MIN_ARRIVALS, MIN_STATIONS = 4, 3
# Chosen: the weight of an arrival that is about three standard deviations off.
OUTLIER_WEIGHT = 0.25
# Corrections are made of the residuals of events of these classes.
_WELL_LOCATED = ("A", "B", "C")


@dataclass(frozen=True, kw_only=True)
class LocatedCatalog:
    """
    A relocated catalog.

    Parameters
    ----------
    events, assignments, corrections : DataFrame
        Tables `EVENTS`, `ASSIGNMENTS` (residuals are those after the corrections) and `STATION_CORRECTIONS`.
    outliers : DataFrame
        Assignments of little weight, with their ``weight``: residuals of more than three standard deviations.
    """

    events: pd.DataFrame
    assignments: pd.DataFrame
    corrections: pd.DataFrame
    outliers: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class _Arrivals:
    """Arrivals of the events that can be located, event by event, by time; `first` has each event's first row."""

    table: pd.DataFrame
    columns: Array
    first: NDArray[np.int64]
    event_id: NDArray[np.object_]


def locate_catalog(
    events: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    model: VelocityModel,
    params: LocateParams,
) -> LocatedCatalog:
    """
    Relocate the events of a catalog by their arrivals.

    Each event is searched for everywhere around its first station, not only near its previous origin; the
    misfit is that of Student's t, on which large residuals have little effect. Station corrections are estimated with
    the origins, if the configuration enables them and enough events are located well. Events with fewer than four
    arrivals or three stations stay where they are.

    Parameters
    ----------
    events, assignments, picks, stations : DataFrame
        Tables `EVENTS`, `ASSIGNMENTS`, `PICKS` and `STATIONS`, in any order of their rows. A pick is of the place
        that its station has at its time.
    model : VelocityModel
        Predicts the arrivals.
    params : LocateParams
        See `pickflow.run.settings.locate`.

    Returns
    -------
    LocatedCatalog
        The same events and assignments. Without corrections an event depends on its own arrivals only.

    Raises
    ------
    ValueError
        If an assignment is of an unknown event, or no station has coordinates.
    """
    events, assignments = conform(events, EVENTS), conform(assignments, ASSIGNMENTS)
    picks, stations = conform(picks, PICKS), conform(stations, STATIONS)
    if unknown := set(assignments.event_id) - set(events.event_id):
        raise ValueError(f"assignments name the event {min(unknown)!r}, which is not in the table of events")
    no_corrections = conform(pd.DataFrame(), STATION_CORRECTIONS)
    if events.empty:
        return LocatedCatalog(events=events, assignments=assignments, corrections=no_corrections, outliers=assignments)
    if len(picks):  # places of other years would stretch the frame
        stations = places_in_run(stations, picks.time.min(), picks.time.max() + pd.Timedelta(nanoseconds=1))
    stations = stations[np.isfinite(stations.latitude_deg) & np.isfinite(stations.longitude_deg)]
    if stations.empty:
        raise ValueError("location: no station has coordinates; check download.inventory")
    stations = stations.assign(elevation_m=stations.elevation_m.fillna(0.0))
    frame = frame_around(stations)
    observed = _observations(assignments, picks, stations, frame)
    arrivals = _locatable(observed, params)
    origins, corrections = _locate(arrivals, stations, frame, model, params)
    relocated = _relocate_events(arrivals, origins, frame)
    final = _refit(observed, events, relocated, corrections, model)
    return LocatedCatalog(
        events=_describe(events, relocated, final),
        assignments=conform(final, ASSIGNMENTS),
        corrections=corrections,
        outliers=_outliers(arrivals, origins, final),
    )


def _observations(
    assignments: pd.DataFrame, picks: pd.DataFrame, stations: pd.DataFrame, frame: LocalFrame
) -> pd.DataFrame:
    """Assignments with their picks and places (NaN: unknown), in an order that depends on their contents only."""
    columns = ["pick_id", "network", "station", "phase", "time", "time_uncertainty_s"]
    table = assignments[["event_id", "pick_id"]].merge(picks[columns], on="pick_id", how="left")
    places = places_at(table, table.time, stations)[["latitude_deg", "longitude_deg", "elevation_m"]]
    has_place = places.latitude_deg.notna()
    table[["latitude_deg", "longitude_deg", "elevation_m", "x_km", "y_km"]] = places.assign(x_km=np.nan, y_km=np.nan)
    table.loc[has_place, ["x_km", "y_km"]] = np.column_stack(
        frame.to_local(places.latitude_deg[has_place], places.longitude_deg[has_place])
    )
    order = ["event_id", "time", "network", "station", "phase", "pick_id"]
    return table.sort_values(order, kind="stable").reset_index(drop=True)


def _locatable(observed: pd.DataFrame, params: LocateParams) -> _Arrivals:
    table = observed[observed.x_km.notna()]
    of_event = table.assign(code=table.network + "." + table.station).groupby("event_id").code
    has_enough = (of_event.transform("size") >= MIN_ARRIVALS) & (of_event.transform("nunique") >= MIN_STATIONS)
    table = table[has_enough].reset_index(drop=True)
    is_s = (table.phase == "S").to_numpy(bool)
    sigma_s = table.time_uncertainty_s.to_numpy(float)
    columns = np.zeros((len(table), N_COLUMNS))
    columns[:, STATION_X], columns[:, STATION_Y] = table.x_km, table.y_km
    columns[:, STATION_DEPTH] = -table.elevation_m / 1000
    # Times after the event's first arrival, so that rounding does not depend on other events.
    columns[:, ARRIVAL] = (table.time - table.groupby("event_id").time.transform("min")).dt.total_seconds()
    columns[:, PHASE] = is_s
    default = np.where(is_s, params.s_uncertainty_s, params.p_uncertainty_s)
    columns[:, PICK_SIGMA] = np.where(sigma_s > 0, sigma_s, default)
    event_id, first = np.unique(table.event_id.to_numpy(object), return_index=True)
    return _Arrivals(table=table, columns=columns, first=np.append(first, len(table)), event_id=event_id)


def _locate(
    arrivals: _Arrivals, stations: pd.DataFrame, frame: LocalFrame, model: VelocityModel, params: LocateParams
) -> tuple[Origins, pd.DataFrame]:
    """Origins and corrections, alternately."""
    x, y = frame.to_local(stations.latitude_deg, stations.longitude_deg)
    receivers = -stations.elevation_m.to_numpy(float) / 1000
    depths = depth_range_km(params, stations)
    # No station is farther from an epicentre than the first station's reach and the network's width.
    farthest = params.reach_km + float(np.hypot(np.ptp(x), np.ptp(y)))
    grid = TravelTimes(model, farthest, depths, (receivers.min(), receivers.max())).grid
    limits = np.array([*depths, params.reach_km])
    errors = np.array([params.model_error_s, params.model_error_fraction])
    origins = locate_arrivals(grid, arrivals.columns, arrivals.first, errors, limits, None)
    corrections = conform(pd.DataFrame(), STATION_CORRECTIONS)
    applied = np.zeros(len(arrivals.table))
    is_stationary = _is_stationary(arrivals.table)
    for _ in range(params.corrections.rounds if params.corrections.enabled else 0):
        well_located = _relocate_events(arrivals, origins, frame).quality.isin(_WELL_LOCATED)
        if well_located.sum() < params.corrections.min_events:
            break
        rows = np.repeat(well_located.to_numpy(bool), np.diff(arrivals.first)) & is_stationary
        residual = origins.residual_s + applied
        corrections = estimate_corrections(
            arrivals.table[rows], residual[rows], origins.weight[rows], params.corrections
        )
        applied = correction_s(arrivals.table, corrections)
        corrected = arrivals.columns.copy()
        corrected[:, ARRIVAL] -= applied
        origins = locate_arrivals(grid, corrected, arrivals.first, errors, limits, origins.origin)
    return origins, corrections


def _is_stationary(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether the station of each arrival has one place; stations that move get no correction."""
    at_station = table.groupby([table.network, table.station])
    width, height = (at_station[axis].transform("max") - at_station[axis].transform("min") for axis in ("x_km", "y_km"))
    return np.asarray(np.hypot(width, height) <= MOVED_KM)


def _relocate_events(arrivals: _Arrivals, origins: Origins, frame: LocalFrame) -> pd.DataFrame:
    """New origins, rounded as in the tables, with their uncertainties and quality; the index is the event's id."""
    latitude, longitude = frame.to_geographic(origins.origin[:, 0], origins.origin[:, 1])
    source = np.repeat(np.arange(len(origins.origin)), np.diff(arrivals.first))
    x, y = (arrivals.columns[:, column] - origins.origin[source, column] for column in (STATION_X, STATION_Y))
    after_first = pd.to_timedelta(origins.origin[:, 3], unit="s")
    relocated = pd.DataFrame(
        {
            "time": (arrivals.table.time.iloc[arrivals.first[:-1]] + after_first).dt.round("ms").array,
            "latitude_deg": latitude.round(5),
            "longitude_deg": longitude.round(5),
            "depth_km": origins.origin[:, 2].round(3),
            "time_uncertainty_s": origins.time_uncertainty_s().round(4),
            "horizontal_uncertainty_km": origins.horizontal_uncertainty_km().round(3),
            "depth_uncertainty_km": origins.depth_uncertainty_km.round(3),
            "rms_s": origins.rms_s,
            "n_arrivals": np.diff(arrivals.first),
            "nearest_km": pd.Series(np.hypot(x, y)).groupby(source).min().to_numpy(float),
            "azimuthal_gap_deg": _gaps_deg(source, np.degrees(np.arctan2(x, y)) % 360),
        },
        index=pd.Index(arrivals.event_id, name="event_id"),
    )
    return relocated.assign(quality=quality_class(relocated))


def _gaps_deg(event: NDArray[np.int64], azimuth_deg: Array) -> Array:
    """Azimuthal gap of each of the events 0, 1, ..., each with arrivals, as `azimuthal_gap_deg` has it for one."""
    if event.size == 0:
        return np.empty(0)
    order = np.lexsort((azimuth_deg, event))
    event, azimuth = event[order], azimuth_deg[order]
    first = np.flatnonzero(np.diff(event, prepend=-1))
    to_next = np.diff(azimuth, append=0.0)
    last = np.append(first[1:], len(event)) - 1
    to_next[last] = azimuth[first] + 360 - azimuth[last]
    return np.asarray(np.maximum.reduceat(to_next, first))


def _refit(
    observed: pd.DataFrame,
    events: pd.DataFrame,
    origins: pd.DataFrame,
    corrections: pd.DataFrame,
    model: VelocityModel,
) -> pd.DataFrame:
    """All assignments with residual, distance and azimuth from the final origins; NaN where the place is unknown."""
    origin_columns = ["time", "latitude_deg", "longitude_deg", "depth_km"]
    final = events.set_index("event_id")[origin_columns]
    final.loc[origins.index] = origins[origin_columns]
    source = final.loc[observed.event_id]
    has_place = observed.x_km.notna().to_numpy()
    table, source = observed[has_place], source[has_place]
    distance, azimuth = distance_and_azimuth(
        source.latitude_deg, source.longitude_deg, table.latitude_deg, table.longitude_deg
    )
    receiver = -table.elevation_m.to_numpy(float) / 1000
    is_s = (table.phase == "S").to_numpy(bool)
    predicted = predict_s(model, is_s, distance, source.depth_km.to_numpy(float), receiver)
    travel_s = (table.time - source.time.array).dt.total_seconds().to_numpy(float)
    result = observed.assign(residual_s=np.nan, distance_km=np.nan, azimuth_deg=np.nan)
    result.loc[has_place, "residual_s"] = (travel_s - predicted - correction_s(table, corrections)).round(6)
    result.loc[has_place, "distance_km"] = distance.round(4)
    result.loc[has_place, "azimuth_deg"] = azimuth.round(3)
    return result


def _describe(events: pd.DataFrame, relocated: pd.DataFrame, final: pd.DataFrame) -> pd.DataFrame:
    """The table of events with the new columns."""
    result = events.set_index("event_id")
    unknown = ["time_uncertainty_s", "horizontal_uncertainty_km", "depth_uncertainty_km"]
    result[unknown] = np.nan
    result["quality"] = CLASSES[-1]
    columns = ["time", "latitude_deg", "longitude_deg", "depth_km", *unknown, "quality"]
    result.loc[relocated.index, columns] = relocated[columns]
    located = final[final.residual_s.notna()]
    number, event_id = pd.factorize(located.event_id, sort=True)
    rms = np.sqrt((located.residual_s**2).groupby(number).mean()).to_numpy()
    gaps = _gaps_deg(number, located.azimuth_deg.to_numpy())
    fit = {"rms_residual_s": rms.round(6), "azimuthal_gap_deg": gaps.round(3)}
    result.update(pd.DataFrame(fit, index=event_id))
    counts = result.quality.value_counts().reindex(list(CLASSES), fill_value=0)
    logger.info(
        "%d of %d events relocated; quality %s",
        len(relocated), len(result), ", ".join(f"{name} {count}" for name, count in counts.items()),
    )  # fmt: skip
    return conform(result.reset_index(), EVENTS)


def _outliers(arrivals: _Arrivals, origins: Origins, final: pd.DataFrame) -> pd.DataFrame:
    rows = origins.weight < OUTLIER_WEIGHT
    weights = arrivals.table.loc[rows, ["event_id", "pick_id"]].assign(weight=origins.weight[rows].round(4))
    outliers = weights.merge(final[ASSIGNMENTS.schema.names], on=["event_id", "pick_id"])
    logger.info("%d of %d arrivals are outliers and hardly count", len(outliers), len(final))
    return outliers[[*ASSIGNMENTS.schema.names, "weight"]]
