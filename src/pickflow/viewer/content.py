"""Single events of a run in a browser: waveforms, picks, probabilities, residuals and a map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pickflow.io.formats.folders import read_stations_of_run
from pickflow.io.places import places_between
from pickflow.io.tables import conform, read_table, read_tables
from pickflow.run.keys import CatalogKey
from pickflow.run.layout import ASSIGNMENTS_TABLE, RunLayout
from pickflow.run.settings.report import GatherParams
from pickflow.schemas import ASSIGNMENTS, EVENTS, MATCHES, PICKS, REFERENCE_PICKS, Table
from pickflow.suggestions import suggestion
from pickflow.travel_times.files import read_velocity_model
from pickflow.travel_times.layers import VelocityModel, homogeneous, travel_time_s
from pickflow.viewer.gather import Annotate, Choice, StationGather
from pickflow.viewer.packing import packed_samples, packed_shares
from pickflow.viewer.sources import annotate_with, waveforms_of
from pickflow.viewer.waveforms import gather_for_event

_NEAREST_S = 30.0  # chosen: error of a time that was read from a plot or another catalog
# ASSUME: only for triangles at stations that have no pick of the event.
_SPEEDS_KM_S = (6.0, 3.5)
_SHOWN: Any = {"n_best": 0, "n_worst": 0, "margin_s": 5.0, "context_s": 40.0, "highpass_hz": 1.0}  # as `report`
_BACKEND = "auto"
_MOMENT = pd.Timedelta(seconds=1)  # chosen


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """
    Data that show the events of one catalog.

    Parameters
    ----------
    run : RunLayout
        Folders of the run.
    catalog : CatalogKey
        Catalog of the events.
    events, assignments, picks, stations, matches, reference, picks_of_reference : DataFrame
        `EVENTS`, `ASSIGNMENTS`, `PICKS`, `STATIONS`, `MATCHES`, `EVENTS` and `REFERENCE_PICKS`; empty where
        the run has none.
    model : VelocityModel
        Predicts arrivals at stations without a pick of the event.
    params : GatherParams
        Number of stations, margins and filter.
    with_probabilities : bool
        Whether the picker of the catalog is used, where the run has it.
    """

    run: RunLayout
    catalog: CatalogKey
    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame
    stations: pd.DataFrame
    matches: pd.DataFrame
    reference: pd.DataFrame
    picks_of_reference: pd.DataFrame
    model: VelocityModel
    params: GatherParams
    with_probabilities: bool


def open_run(
    results: Path, catalog: str | None, n_stations: int, velocity_file: str | None, with_probabilities: bool
) -> Viewer:
    """
    Read the tables of one of a run's catalogs.

    Parameters
    ----------
    results : Path
        ``results/<run>``.
    catalog : str or None
        ``signal/model/weights/associator``; None: the first one.
    n_stations : int
        Largest number of stations that are shown.
    velocity_file : str or None
        Velocity model of the predicted arrivals; None: a half space of 6.0 and 3.5 km/s.
    with_probabilities : bool
        Whether the picker of the catalog is used, where the run has it.

    Raises
    ------
    ValueError
        If there is no such run or catalog; names those that exist.
    """
    run = RunLayout(results)
    key = run.choose_catalog(catalog)
    days = run.days_of_picks(key.pick_set)
    return Viewer(
        run=run,
        catalog=key,
        events=read_table(run.catalog(key), EVENTS),
        assignments=read_table(run.catalog(key, ASSIGNMENTS_TABLE), ASSIGNMENTS),
        picks=read_tables([run.picks(key.pick_set, day) for day in days], PICKS),
        stations=read_stations_of_run(run, days),
        matches=_read(run.finding("matches", key), MATCHES),
        reference=_read(run.finding("reference"), EVENTS),
        picks_of_reference=_read(run.finding("reference_picks"), REFERENCE_PICKS),
        model=read_velocity_model(velocity_file) if velocity_file else homogeneous(*_SPEEDS_KM_S),
        params=GatherParams(n_stations=n_stations, **_SHOWN),
        with_probabilities=with_probabilities,
    )


def _read(path: Path, table: Table) -> pd.DataFrame:
    return read_table(path, table) if path.exists() else conform(pd.DataFrame(), table)


def first_event(viewer: Viewer) -> str:
    """
    Identifier of the event with the most picks, or of the first missed one.

    Raises
    ------
    ValueError
        If there is none.
    """
    if len(viewer.events):
        return str(viewer.events.sort_values(["n_picks", "time"], ascending=[False, True]).event_id.iloc[0])
    return find_event(viewer, event_list(viewer)[0]["id"] if event_list(viewer) else "")


def event_list(viewer: Viewer) -> list[dict[str, Any]]:
    """Events of the catalog and missed ones of the reference in order of time, ready for JSON."""
    partner = viewer.matches.dropna(subset=["event_id", "reference_id"]).set_index("event_id").reference_id
    new = set(viewer.matches.event_id[viewer.matches.reference_id.isna()].dropna())
    missed_ids = set(viewer.matches.reference_id[viewer.matches.event_id.isna()].dropna())
    rows = []
    for row in viewer.events.to_dict("records"):
        name = row["event_id"]
        status = "matched" if name in partner.index else "new" if name in new else "event"
        rows.append(_list_row(row, status, partner.get(name)))
    rows += [
        _list_row(row, "missed", None) for row in viewer.reference.to_dict("records") if row["event_id"] in missed_ids
    ]
    return sorted(rows, key=lambda row: (row["time"], row["id"]))


def _list_row(row: dict[Any, Any], status: str, partner: str | None) -> dict[str, Any]:
    numbers = {
        "latitude": "latitude_deg", "longitude": "longitude_deg", "depth": "depth_km", "magnitude": "magnitude",
        "magnitude_uncertainty": "magnitude_uncertainty", "rms": "rms_residual_s", "gap": "azimuthal_gap_deg",
        "horizontal_uncertainty": "horizontal_uncertainty_km", "depth_uncertainty": "depth_uncertainty_km",
    }  # fmt: skip
    return {
        "id": row["event_id"], "time": pd.Timestamp(row["time"]).isoformat().replace("+00:00", "Z"), "status": status,
        "partner": partner, "n_picks": int(row["n_picks"]), "n_stations": int(row["n_stations"]),
        "magnitude_type": row["magnitude_type"], "n_magnitude_stations": int(row["n_magnitude_stations"]),
        "quality": row["quality"], **{key: _finite(row[column]) for key, column in numbers.items()},
    }  # fmt: skip


def _finite(value: Any, digits: int = 4) -> float | None:
    return round(float(value), digits) if value is not None and math.isfinite(value) else None


def find_event(viewer: Viewer, query: str) -> str:
    """
    Identifier of an event by its identifier or by a time near its origin.

    Raises
    ------
    ValueError
        Naming the nearest one.
    """
    rows = event_list(viewer)
    if not rows:
        raise ValueError(f"catalog {viewer.catalog} has no event")
    names = [row["id"] for row in rows]
    if query in names:
        return query
    moment = _moment_of(query)
    if moment is None:
        raise ValueError(f"event {query!r} is not in {viewer.catalog}; {suggestion(query, names, cutoff=0.0)}")
    distance_s = [abs((pd.Timestamp(row["time"]) - moment).total_seconds()) for row in rows]
    nearest = int(np.argmin(distance_s))
    if distance_s[nearest] > _NEAREST_S:
        raise ValueError(
            f"no event of {viewer.catalog} within {_NEAREST_S:g} s of {query}; the nearest is {names[nearest]!r} at"
            f" {rows[nearest]['time']}"
        )
    return names[nearest]


def _moment_of(text: str) -> pd.Timestamp | None:
    """A time as users write it, in UTC unless it says otherwise; None for any other text."""
    try:
        moment = pd.Timestamp(text)
    except ValueError:
        return None
    if pd.isna(moment):  # pandas reads "nat", "nan" and an empty text as no time at all
        return None
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment


def event_content(viewer: Viewer, event_id: str) -> dict[str, Any]:
    """
    Content of the page of one event, ready for JSON.

    Parameters
    ----------
    viewer : Viewer
        See `open_run`.
    event_id : str
        Of the catalog, or of a missed event of the reference.

    Returns
    -------
    dict
        Waveforms are 16-bit integers in base64, each scaled to its own maximum; probabilities 8-bit ones.

    Raises
    ------
    ValueError
        If there is no such event.
    """
    rows = {row["id"]: row for row in event_list(viewer)}
    if event_id not in rows:
        raise ValueError(f"event {event_id!r} is not in {viewer.catalog}")
    is_event = viewer.events.event_id == event_id
    table = viewer.events[is_event] if is_event.any() else viewer.reference[viewer.reference.event_id == event_id]
    event = {str(key): value for key, value in table.iloc[0].to_dict().items()}
    gather = gather_for_event(
        Choice(kind="best", event=event, note=""),
        viewer.stations,
        viewer.picks,
        viewer.assignments,
        viewer.picks_of_reference,
        waveforms_of(viewer.run),
        _annotate(viewer),
        partial(_travel_time, viewer.model),
        viewer.params,
    )
    partner = rows[event_id]["partner"]
    reference = viewer.reference[viewer.reference.event_id == (partner or event_id)]
    places = places_between(viewer.stations, event["time"], event["time"] + _MOMENT).dropna(subset=["latitude_deg"])
    return {
        "event": rows[event_id],
        "reference": _list_row(reference.iloc[0].to_dict(), "reference", None) if len(reference) else None,
        "start_s": round(gather.start_s, 3),
        "end_s": round(gather.end_s, 3),
        "records": [_record(station) for station in gather.stations],
        "stations": [
            [row["network"], row["station"], _finite(row["latitude_deg"]), _finite(row["longitude_deg"])]
            for row in places.to_dict("records")
        ],
        "arrivals": _arrivals(viewer, event, partner or event_id),
    }


def _annotate(viewer: Viewer) -> Annotate | None:
    picks = viewer.catalog.pick_set
    if not viewer.with_probabilities or not viewer.run.model(picks.model, picks.weights, "card.json").exists():
        return None
    return annotate_with(viewer.run, picks, _BACKEND)


def _travel_time(model: VelocityModel, phase: str, distance_km: float, depth_km: float) -> float:
    return float(travel_time_s(model, phase, distance_km, depth_km))


def _record(station: StationGather) -> dict[str, Any]:
    return {
        "name": f"{station.network}.{station.station}",
        "channel": station.channel,
        "components": station.components,
        "distance_km": round(station.distance_km, 2),
        "rate_hz": _rate_hz(station.time_s),
        "start_s": round(float(station.time_s[0]), 4),
        "waveforms": [packed_samples(row) for row in station.waveform],
        "probability_rate_hz": _rate_hz(station.probability_time_s),
        "probability_start_s": round(float(station.probability_time_s[0]), 4),
        "probabilities": list(map(packed_shares, station.probability))
        if np.isfinite(station.probability).any()
        else [],
        "picks": [[phase, round(time_s, 3), bool(is_assigned)] for phase, time_s, is_assigned in station.picks],
        "manual": [[phase, round(time_s, 3)] for phase, time_s in station.manual],
        "predicted": {phase: round(time_s, 3) for phase, time_s in station.predicted_s.items()},
    }


def _rate_hz(times_s: np.ndarray) -> float:
    return round((len(times_s) - 1) / float(times_s[-1] - times_s[0]), 6) if len(times_s) > 1 else 1.0


def _arrivals(viewer: Viewer, event: dict[str, Any], reference_id: str) -> list[dict[str, Any]]:
    """Picks of the event with residuals, and their difference from the analysts' picks."""
    rows = viewer.assignments[viewer.assignments.event_id == event["event_id"]].merge(viewer.picks, on="pick_id")
    manual = viewer.picks_of_reference[viewer.picks_of_reference.event_id == reference_id]
    times = {(row.network, row.station, row.phase): row.time for row in manual.itertuples()}
    arrivals = []
    for row in rows.sort_values(["distance_km", "station", "phase"]).itertuples():
        codes = ((network, row.station, row.phase) for network in (row.network, ""))  # without a network it is of any
        manual_time = next((times[code] for code in codes if code in times), None)
        delay = row.time - event["time"]
        arrivals.append(
            {
                "station": f"{row.network}.{row.station}",
                "phase": row.phase,
                "distance_km": _finite(row.distance_km, 1),
                "azimuth": _finite(row.azimuth_deg, 0),
                "time_s": round(delay.total_seconds(), 3),
                "residual": _finite(row.residual_s, 3),
                "probability": _finite(row.probability, 2),
                "manual": None if manual_time is None else round((row.time - manual_time).total_seconds(), 3),
            }
        )
    return arrivals
