"""Single events of a run in a browser: waveforms, picks, probabilities, residuals and a map."""

from __future__ import annotations

import base64
import difflib
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pickflow.analyze.gather import Annotate, Choice, GatherParams, StationGather, gather_for_event
from pickflow.analyze.run import annotate_with, waveforms_of
from pickflow.analyze.tables import pick_set
from pickflow.io.tables import conform, read_table, read_tables
from pickflow.io.velocity import read_velocity_model
from pickflow.schemas import ASSIGNMENTS, EVENTS, MATCHES, PICKS, REFERENCE_PICKS, STATIONS, Table
from pickflow.travel_times import VelocityModel, homogeneous, travel_time_s

_NEAREST_S = 30.0
# ASSUME: only for triangles at stations that have no pick of the event.
_SPEEDS_KM_S = (6.0, 3.5)
_SHOWN: Any = {"n_best": 0, "n_worst": 0, "margin_s": 5.0, "context_s": 40.0, "highpass_hz": 1.0}
_BACKEND = "auto"
_FULL_SCALE = 32767


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """
    What is needed to show the events of one catalog.

    Parameters
    ----------
    results : Path
        ``results/<run>``.
    catalog : str
        ``signal/model/weights/associator``.
    events, assignments, picks, stations, matches, reference, picks_of_reference : DataFrame
        `EVENTS`, `ASSIGNMENTS`, `PICKS`, `STATIONS`, `MATCHES`, `EVENTS` and `REFERENCE_PICKS`; what the run does not
        have is empty.
    model : VelocityModel
        Predicts arrivals at stations without a pick of the event.
    params : GatherParams
        Number of stations, margins and filter.
    with_probabilities : bool
        Whether the picker of the catalog is used, where the run has it.
    """

    results: Path
    catalog: str
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
    Read what a run has of one of its catalogs.

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
    paths = sorted((results / "catalog").glob("*/*/*/*/catalog.parquet"))
    names = [path.parent.relative_to(results / "catalog").as_posix() for path in paths]
    if not names:
        raise ValueError(f"{results}: no catalog; give the folder of a run, results/<run>, that has ended")
    if catalog is not None and catalog not in names:
        raise ValueError(f"catalog {catalog!r} is not in {results}; it has {', '.join(names)}")
    name = catalog or names[0]
    analysis, folder = results / "analysis", results / "catalog" / name
    return Viewer(
        results=results,
        catalog=name,
        events=read_table(folder / "catalog.parquet", EVENTS),
        assignments=read_table(folder / "assignments.parquet", ASSIGNMENTS),
        picks=read_tables(sorted((results / "picks" / pick_set(name)).glob("????-??-??.parquet")), PICKS),
        stations=_read(results / "inventory" / "stations.parquet", STATIONS),
        matches=_read(analysis / name / "matches.parquet", MATCHES),
        reference=_read(analysis / "reference.parquet", EVENTS),
        picks_of_reference=_read(analysis / "reference_picks.parquet", REFERENCE_PICKS),
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
    missed = set(viewer.matches.reference_id[viewer.matches.event_id.isna()].dropna())
    rows = []
    for row in viewer.events.to_dict("records"):
        name = row["event_id"]
        status = "matched" if name in partner.index else "new" if name in new else "event"
        rows.append(_listed(row, status, partner.get(name)))
    rows += [_listed(row, "missed", None) for row in viewer.reference.to_dict("records") if row["event_id"] in missed]
    return sorted(rows, key=lambda row: (row["time"], row["id"]))


def _listed(row: dict[Any, Any], status: str, partner: str | None) -> dict[str, Any]:
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


def find_event(viewer: Viewer, wanted: str) -> str:
    """
    Identifier of an event by its identifier or by a time near its origin.

    Raises
    ------
    ValueError
        Naming the nearest one.
    """
    listed = event_list(viewer)
    if not listed:
        raise ValueError(f"catalog {viewer.catalog} has no event")
    names = [row["id"] for row in listed]
    if wanted in names:
        return wanted
    try:
        moment = pd.Timestamp(wanted)
    except ValueError:
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.0)
        raise ValueError(f"event {wanted!r} is not in {viewer.catalog}; the most similar name is {near[0]!r}") from None
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment
    distance_s = [abs((pd.Timestamp(row["time"]) - moment).total_seconds()) for row in listed]
    nearest = int(np.argmin(distance_s))
    if distance_s[nearest] > _NEAREST_S:
        raise ValueError(
            f"no event of {viewer.catalog} within {_NEAREST_S:g} s of {wanted}; the nearest is {names[nearest]!r} at"
            f" {listed[nearest]['time']}"
        )
    return names[nearest]


def event_content(viewer: Viewer, event_id: str) -> dict[str, Any]:
    """
    All that is shown of one event, ready for JSON.

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
    listed = {row["id"]: row for row in event_list(viewer)}
    if event_id not in listed:
        raise ValueError(f"event {event_id!r} is not in {viewer.catalog}")
    ours = viewer.events.event_id == event_id
    table = viewer.events[ours] if ours.any() else viewer.reference[viewer.reference.event_id == event_id]
    event = {str(key): value for key, value in table.iloc[0].to_dict().items()}
    gather = gather_for_event(
        Choice(kind="best", event=event, note=""),
        viewer.stations,
        viewer.picks,
        viewer.assignments,
        viewer.picks_of_reference,
        waveforms_of(viewer.results),
        _annotate(viewer),
        partial(_travel_time, viewer.model),
        viewer.params,
    )
    partner = listed[event_id]["partner"]
    reference = viewer.reference[viewer.reference.event_id == (partner or event_id)]
    return {
        "event": listed[event_id],
        "reference": _listed(reference.iloc[0].to_dict(), "reference", None) if len(reference) else None,
        "start_s": round(gather.start_s, 3),
        "end_s": round(gather.end_s, 3),
        "records": [_record(station) for station in gather.stations],
        "stations": [
            [row["network"], row["station"], _finite(row["latitude_deg"]), _finite(row["longitude_deg"])]
            for row in viewer.stations.dropna(subset=["latitude_deg", "longitude_deg"]).to_dict("records")
        ],
        "arrivals": _arrivals(viewer, event, partner or event_id),
    }


def _annotate(viewer: Viewer) -> Annotate | None:
    signal, model, weights, _ = viewer.catalog.split("/")
    card = viewer.results / "models" / model / weights / "card.json"
    if not viewer.with_probabilities or signal != "none" or not card.exists():
        return None
    return annotate_with(viewer.results, model, weights, _BACKEND)


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
        "waveforms": [_packed(row) for row in station.waveform],
        "probability_rate_hz": _rate_hz(station.probability_time_s),
        "probability_start_s": round(float(station.probability_time_s[0]), 4),
        "probabilities": list(map(_packed_bytes, station.probability))
        if np.isfinite(station.probability).any()
        else [],
        "picks": [[phase, round(time_s, 3), bool(assigned)] for phase, time_s, assigned in station.picks],
        "manual": [[phase, round(time_s, 3)] for phase, time_s in station.manual],
        "predicted": {phase: round(time_s, 3) for phase, time_s in station.predicted_s.items()},
    }


def _rate_hz(times_s: np.ndarray) -> float:
    return round((len(times_s) - 1) / float(times_s[-1] - times_s[0]), 6) if len(times_s) > 1 else 1.0


def _packed(values: np.ndarray) -> str:
    """Samples as little-endian 16-bit integers of full scale, in base64; gaps are -32768."""
    peak = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    scaled = np.round(values * (_FULL_SCALE / peak if peak else 0.0))
    whole = np.where(np.isfinite(values), np.nan_to_num(scaled), -_FULL_SCALE - 1).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode()


def _packed_bytes(values: np.ndarray) -> str:
    return base64.b64encode(np.round(255 * np.clip(np.nan_to_num(values), 0, 1)).astype("u1").tobytes()).decode()


def _arrivals(viewer: Viewer, event: dict[str, Any], reference_id: str) -> list[dict[str, Any]]:
    """Picks of the event with residuals, and their difference from the analysts' picks."""
    rows = viewer.assignments[viewer.assignments.event_id == event["event_id"]].merge(viewer.picks, on="pick_id")
    manual = viewer.picks_of_reference[viewer.picks_of_reference.event_id == reference_id]
    times = {(row.station, row.phase): row.time for row in manual.itertuples()}
    arrivals = []
    for row in rows.sort_values(["distance_km", "station", "phase"]).itertuples():
        theirs = times.get((row.station, row.phase))
        after = row.time - event["time"]
        arrivals.append(
            {
                "station": f"{row.network}.{row.station}",
                "phase": row.phase,
                "distance_km": _finite(row.distance_km, 1),
                "azimuth": _finite(row.azimuth_deg, 0),
                "time_s": round(after.total_seconds(), 3),
                "residual": _finite(row.residual_s, 3),
                "probability": _finite(row.probability, 2),
                "manual": None if theirs is None else round((row.time - theirs).total_seconds(), 3),
            }
        )
    return arrivals
