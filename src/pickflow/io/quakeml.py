"""QuakeML: writing our catalogs, reading those of others."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pandas as pd
from obspy.core import event as quakeml

from pickflow.io.atomic import atomic_path
from pickflow.io.tables import conform
from pickflow.schemas import EVENTS

logger = logging.getLogger(__name__)

PICK_COLUMNS = ["event_id", "network", "station", "phase", "time", "time_uncertainty_s"]
_CONFIDENCE_PERCENT = 68.0  # of one standard deviation
_KM_PER_DEG = 111.195  # 6371 km sphere
_QUALITY_FIELDS = {
    "used_phase_count": "n_picks",
    "associated_phase_count": "n_picks",
    "used_station_count": "n_stations",
    "standard_error": "rms_residual_s",
    "azimuthal_gap": "azimuthal_gap_deg",
}


def write_quakeml(
    events: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    path: str | Path,
    agency: str = "pickflow",
    associator: str = "",
) -> None:
    """
    Write a catalog as QuakeML 1.2, valid and with the same bytes for the same content.

    Parameters
    ----------
    events, assignments, picks : DataFrame
        Tables `EVENTS`, `ASSIGNMENTS` and `PICKS`; picks that belong to no event are left out.
    path : str or Path
        Where to.
    agency : str
        Who made the catalog.
    associator : str
        Becomes the method of the origins; empty: none.

    Raises
    ------
    ValueError
        If an assignment's pick is not among the picks.
    """
    columns = ["pick_id", "network", "station", "location", "channel", "phase", "time", "probability"]
    arrivals = assignments.merge(picks[[*columns, "time_uncertainty_s"]], on="pick_id", how="left")
    lost = arrivals.time.isna()
    if lost.any():
        raise ValueError(f"pick {arrivals.pick_id[lost].iloc[0]} of an assignment is not among the picks given")
    arrivals = arrivals.sort_values(["time", "pick_id"], kind="stable")
    groups = arrivals.groupby("event_id").groups
    rows = conform(events, EVENTS).itertuples(index=False)
    info = quakeml.CreationInfo(agency_id=agency)
    catalog = quakeml.Catalog(
        [_event(row, arrivals.loc[groups.get(row.event_id, [])], info, associator) for row in rows],
        resource_id=_resource("catalog", agency),
        creation_info=info,
    )
    with atomic_path(path) as temporary:
        catalog.write(str(temporary), format="QUAKEML", validate=True)


def _resource(*parts: object) -> quakeml.ResourceIdentifier:
    return quakeml.ResourceIdentifier("smi:local/pickflow/" + "/".join(map(str, parts)))


def _event(row: Any, arrivals: pd.DataFrame, info: quakeml.CreationInfo, associator: str) -> quakeml.Event:
    automatic = {"evaluation_mode": "automatic", "creation_info": info}
    origin_id = _resource("origin", row.event_id)
    picks = [_pick(arrival, automatic) for arrival in arrivals.itertuples(index=False)]
    origin = quakeml.Origin(
        resource_id=origin_id,
        time=_utc(row.time),
        latitude=row.latitude_deg,
        longitude=row.longitude_deg,
        depth=None if np.isnan(row.depth_km) else row.depth_km * 1000,
        method_id=_resource("associator", associator) if associator else None,
        quality=_quality(row, arrivals),
        arrivals=[_arrival(arrival) for arrival in arrivals.itertuples(index=False)],
        **automatic,
    )
    magnitudes = []
    if np.isfinite(row.magnitude):
        magnitudes = [
            quakeml.Magnitude(
                resource_id=_resource("magnitude", row.event_id),
                mag=row.magnitude,
                magnitude_type=row.magnitude_type or None,
                origin_id=origin_id,
                **automatic,
            )
        ]
    event = quakeml.Event(
        resource_id=_resource("event", row.event_id),
        event_type="earthquake",
        event_type_certainty="suspected",
        creation_info=info,
        origins=[origin],
        picks=picks,
        magnitudes=magnitudes,
    )
    event.preferred_origin_id = origin_id
    if magnitudes:
        event.preferred_magnitude_id = magnitudes[0].resource_id
    return event


def _quality(row: Any, arrivals: pd.DataFrame) -> quakeml.OriginQuality:
    known = {field: getattr(row, column) for field, column in _QUALITY_FIELDS.items()}
    quality = {field: value for field, value in known.items() if not pd.isna(value)}
    if len(arrivals):
        quality["minimum_distance"] = arrivals.distance_km.min() / _KM_PER_DEG
        quality["maximum_distance"] = arrivals.distance_km.max() / _KM_PER_DEG
    return quakeml.OriginQuality(**quality)


def _pick(arrival: Any, automatic: Mapping[str, Any]) -> quakeml.Pick:
    pick_id = arrival.pick_id
    comments = []
    if np.isfinite(arrival.probability):
        text = f"probability={arrival.probability:.4f}"
        comments = [quakeml.Comment(text=text, resource_id=_resource("comment", pick_id, "probability"))]
    errors = quakeml.QuantityError()
    if np.isfinite(arrival.time_uncertainty_s):
        errors = quakeml.QuantityError(uncertainty=arrival.time_uncertainty_s, confidence_level=_CONFIDENCE_PERCENT)
    return quakeml.Pick(
        resource_id=_resource("pick", pick_id),
        time=_utc(arrival.time),
        time_errors=errors,
        phase_hint=arrival.phase,
        waveform_id=quakeml.WaveformStreamID(
            network_code=arrival.network,
            station_code=arrival.station,
            location_code=arrival.location or None,
            channel_code=arrival.channel or None,
        ),
        comments=comments,
        **automatic,
    )


def _arrival(arrival: Any) -> quakeml.Arrival:
    return quakeml.Arrival(
        resource_id=_resource("arrival", arrival.event_id, arrival.pick_id),
        pick_id=_resource("pick", arrival.pick_id),
        phase=arrival.phase,
        time_residual=arrival.residual_s,
        distance=arrival.distance_km / _KM_PER_DEG,
        azimuth=arrival.azimuth_deg,
    )


def _utc(time: pd.Timestamp) -> obspy.UTCDateTime:
    return obspy.UTCDateTime(ns=time.value)


def parse_quakeml(content: bytes, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    Events and picks of a QuakeML document.

    Parameters
    ----------
    content : bytes
        The document.
    name : str
        Its name, for messages.

    Returns
    -------
    events : DataFrame
        Table `EVENTS`, of preferred or else first origins and magnitudes.
    picks : DataFrame
        `PICK_COLUMNS`: the arrivals of these origins, or all picks with a phase hint where there are no arrivals. The
        uncertainty is what the document says, at whatever level of confidence; NaN where it says nothing.

    Raises
    ------
    ValueError
        If ObsPy cannot read it.
    """
    try:
        catalog = obspy.read_events(io.BytesIO(content), format="QUAKEML")
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        raise ValueError(f"{name}: not readable as QuakeML ({error})") from error
    located = [event for event in catalog if event.preferred_origin() or event.origins]
    if len(located) < len(catalog):
        logger.warning("%s: %d events without an origin are left out", name, len(catalog) - len(located))
    full = [event.resource_id.id for event in located]
    short = [identifier.replace("=", "/").rsplit("/", 1)[-1] for identifier in full]
    names = short if len(set(short)) == len(short) else full
    picks = [row for event, event_id in zip(located, names, strict=True) for row in _read_picks(event, event_id)]
    pick_table = pd.DataFrame(picks, columns=PICK_COLUMNS).drop_duplicates(ignore_index=True)
    pick_table["time"] = pd.to_datetime(pick_table.time, utc=True)
    pick_table["time_uncertainty_s"] = pick_table.time_uncertainty_s.astype(float)
    rows = [_read_event(event, event_id) for event, event_id in zip(located, names, strict=True)]
    return conform(pd.DataFrame(rows), EVENTS), pick_table


def _read_event(event: quakeml.Event, event_id: str) -> dict[str, Any]:
    origin = event.preferred_origin() or event.origins[0]
    magnitude = event.preferred_magnitude() or (event.magnitudes[0] if event.magnitudes else None)
    quality = origin.quality or quakeml.OriginQuality()
    phases = [_phase_letter(arrival.phase) for arrival in origin.arrivals]
    return {
        "event_id": event_id,
        "time": pd.Timestamp(origin.time.ns, tz="UTC"),
        "latitude_deg": origin.latitude,
        "longitude_deg": origin.longitude,
        "depth_km": np.nan if origin.depth is None else origin.depth / 1000,
        "n_picks": len(phases) or quality.used_phase_count or 0,
        "n_p": phases.count("P"),
        "n_s": phases.count("S"),
        "n_stations": quality.used_station_count or 0,
        "rms_residual_s": _or_nan(quality.standard_error),
        "azimuthal_gap_deg": _or_nan(quality.azimuthal_gap),
        "magnitude": _or_nan(magnitude.mag if magnitude else None),
        "magnitude_type": magnitude.magnitude_type if magnitude else None,
    }


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _phase_letter(phase: str | None) -> str:
    """P or S of Pg, Pn, P1, Sg, …; nothing for others."""
    letter = (phase or "")[:1].upper()
    return letter if letter in ("P", "S") else ""


def _read_picks(event: quakeml.Event, event_id: str) -> list[tuple[str, str, str, str, pd.Timestamp, float]]:
    origin = event.preferred_origin() or event.origins[0]
    phase_of = {arrival.pick_id.id: arrival.phase for arrival in origin.arrivals}
    # A catalog of picks without arrivals says with the hint what they are.
    chosen = [pick for pick in event.picks if not phase_of or pick.resource_id.id in phase_of]
    named = [(pick, _phase_letter(phase_of.get(pick.resource_id.id) or pick.phase_hint)) for pick in chosen]
    return [
        (
            event_id,
            pick.waveform_id.network_code or "",
            pick.waveform_id.station_code or "",
            phase,
            pd.Timestamp(pick.time.ns, tz="UTC"),
            _or_nan(pick.time_errors.uncertainty),
        )
        for pick, phase in named
        if phase and pick.waveform_id is not None
    ]
