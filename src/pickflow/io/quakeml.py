"""Catalogs as QuakeML, and as objects of ObsPy."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pandas as pd
from obspy.core import event as quakeml
from obspy.core.event.header import EventType

from pickflow.io.atomic import atomic_path
from pickflow.io.formats.arrivals import arrivals_of
from pickflow.io.tables import conform
from pickflow.schemas import AMPLITUDES, EVENTS
from pickflow.travel_times.sphere import KM_PER_DEGREE

logger = logging.getLogger(__name__)

_CONFIDENCE_PERCENT = 68.0  # of one standard deviation
_QUALITY_FIELDS = {
    "used_phase_count": "n_picks",
    "associated_phase_count": "n_picks",
    "used_station_count": "n_stations",
    "standard_error": "rms_residual_s",
    "azimuthal_gap": "azimuthal_gap_deg",
}
_POLARITY = {"U": "positive", "D": "negative"}
_ONSET = {"i": "impulsive", "e": "emergent"}
# Characters that QuakeML's identifiers may not have; = and / separate their parts.
_FORBIDDEN = re.compile(r"[^\w\-.*()+?~',;#&]", re.ASCII)


def write_quakeml(
    events: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    path: str | Path,
    agency: str = "pickflow",
    associator: str = "",
    amplitudes: pd.DataFrame | None = None,
) -> None:
    """
    Write a catalog as QuakeML 1.2, valid and with the same bytes for the same content.

    Parameters
    ----------
    events, assignments, picks, amplitudes : DataFrame
        See `obspy_catalog`.
    path : str or Path
        Where to.
    agency : str
        Author of the catalog.
    associator : str
        Becomes the method of the origins; empty: none.

    Raises
    ------
    ValueError
        If an assignment's pick is not among the picks, or two events get the same identifier.
    """
    catalog = obspy_catalog(events, assignments, picks, agency, associator, amplitudes)
    with atomic_path(path) as temporary:
        catalog.write(str(temporary), format="QUAKEML", validate=True)


def obspy_catalog(
    events: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    agency: str = "pickflow",
    associator: str = "",
    amplitudes: pd.DataFrame | None = None,
) -> quakeml.Catalog:
    """
    A catalog as objects of ObsPy, without times of creation.

    Parameters
    ----------
    events, assignments, picks : DataFrame
        Tables `EVENTS`, `ASSIGNMENTS` and `PICKS`; picks that belong to no event are left out, and events without a
        place get no origin. Events may have a column event_type, such as ``suspected explosion``; else all are
        earthquakes.
    agency, associator : str
        See `write_quakeml`.
    amplitudes : DataFrame, optional
        Table `AMPLITUDES`; those that are known become amplitudes and station magnitudes.

    Raises
    ------
    ValueError
        If an assignment's pick is not among the picks, or two events get the same identifier.
    """
    arrivals = arrivals_of(assignments, picks)
    groups = arrivals.groupby("event_id").groups
    table = conform(events, EVENTS)
    types = dict(zip(events.event_id, events.event_type, strict=True)) if "event_type" in events else {}
    _check_names(table.event_id)
    info = quakeml.CreationInfo(agency_id=agency)
    sizes = conform(pd.DataFrame() if amplitudes is None else amplitudes, AMPLITUDES)
    sizes = sizes[sizes.amplitude_mm.notna()]
    size_groups = sizes.groupby("event_id").groups
    return quakeml.Catalog(
        [
            _event(
                row,
                arrivals.loc[groups.get(row.event_id, [])],
                sizes.loc[size_groups.get(row.event_id, [])],
                info,
                associator,
                types.get(row.event_id) or "earthquake",
            )
            for row in table.itertuples(index=False)
        ],
        resource_id=_resource("catalog", agency),
        creation_info=info,
    )


def _check_names(identifiers: pd.Series) -> None:
    names = identifiers.map(_clean)
    if names.duplicated().any():
        duplicates = identifiers[names == names[names.duplicated()].iloc[0]]
        raise ValueError(f"events {' and '.join(duplicates)} get the same QuakeML identifier; rename one")


def _clean(identifier: str) -> str:
    return _FORBIDDEN.sub("_", identifier)


def _resource(*parts: object) -> quakeml.ResourceIdentifier:
    return quakeml.ResourceIdentifier("smi:local/pickflow/" + "/".join(_clean(str(part)) for part in parts))


def _error(value: float, factor: float = 1.0) -> quakeml.QuantityError:
    """One standard deviation, or nothing."""
    if value is None or not np.isfinite(value):
        return quakeml.QuantityError()
    return quakeml.QuantityError(uncertainty=value * factor, confidence_level=_CONFIDENCE_PERCENT)


def _event(
    row: Any, arrivals: pd.DataFrame, sizes: pd.DataFrame, info: quakeml.CreationInfo, associator: str, type_: str
) -> quakeml.Event:
    automatic = {"evaluation_mode": "automatic", "creation_info": info}
    located = np.isfinite(row.latitude_deg) and np.isfinite(row.longitude_deg) and not pd.isna(row.time)
    origins = [_origin(row, arrivals, automatic, associator)] if located else []
    magnitudes = [_magnitude(row, located, automatic)] if np.isfinite(row.magnitude) else []
    event = quakeml.Event(
        resource_id=_resource("event", row.event_id),
        event_type=_event_type(type_),
        event_type_certainty="suspected",
        creation_info=info,
        origins=origins,
        picks=[_pick(arrival, automatic, located) for arrival in arrivals.itertuples(index=False)],
        magnitudes=magnitudes,
    )
    for size in sizes.itertuples(index=False):
        _add_size(event, size, row, located, info)
    if origins:
        event.preferred_origin_id = origins[0].resource_id
    if magnitudes:
        event.preferred_magnitude_id = magnitudes[0].resource_id
    return event


def _event_type(text: str) -> str:
    """QuakeML's word for a type, without ``suspected``, which is its certainty."""
    type_ = text.removeprefix("suspected ").strip()
    return type_ if type_ in EventType else "other event"


def _origin(row: Any, arrivals: pd.DataFrame, automatic: Mapping[str, Any], associator: str) -> quakeml.Origin:
    extent = None
    if np.isfinite(row.horizontal_uncertainty_km):
        extent = quakeml.OriginUncertainty(
            horizontal_uncertainty=row.horizontal_uncertainty_km * 1000,
            preferred_description="horizontal uncertainty",
            confidence_level=_CONFIDENCE_PERCENT,
        )
    comments = []
    if row.quality:
        comment_id = _resource("comment", row.event_id, "quality")
        comments = [quakeml.Comment(text=f"quality={row.quality}", resource_id=comment_id)]
    return quakeml.Origin(
        resource_id=_resource("origin", row.event_id),
        time=_utc(row.time),
        time_errors=_error(row.time_uncertainty_s),
        latitude=row.latitude_deg,
        longitude=row.longitude_deg,
        depth=None if np.isnan(row.depth_km) else row.depth_km * 1000,
        depth_errors=_error(row.depth_uncertainty_km, 1000),
        origin_uncertainty=extent,
        method_id=_resource("associator", associator) if associator else None,
        quality=_quality(row, arrivals),
        arrivals=[_arrival(arrival) for arrival in arrivals.itertuples(index=False)],
        comments=comments,
        **automatic,
    )


def _magnitude(row: Any, located: bool, automatic: Mapping[str, Any]) -> quakeml.Magnitude:
    return quakeml.Magnitude(
        resource_id=_resource("magnitude", row.event_id),
        mag=row.magnitude,
        mag_errors=_error(row.magnitude_uncertainty),
        magnitude_type=row.magnitude_type or None,
        station_count=row.n_magnitude_stations or None,
        origin_id=_resource("origin", row.event_id) if located else None,
        **automatic,
    )


def _add_size(event: quakeml.Event, size: Any, row: Any, located: bool, info: quakeml.CreationInfo) -> None:
    """Wood-Anderson amplitude of a station, and the magnitude made of it."""
    key = f"{size.network}.{size.station}"
    code = quakeml.WaveformStreamID(
        network_code=size.network,
        station_code=size.station,
        location_code=size.location or None,
        channel_code=size.channel or None,
    )
    amplitude = quakeml.Amplitude(
        resource_id=_resource("amplitude", row.event_id, key),
        generic_amplitude=size.amplitude_mm / 1000,
        type="AML",
        unit="m",
        category="point",
        snr=None if np.isnan(size.snr_db) else 10 ** (size.snr_db / 20),
        waveform_id=code,
        evaluation_mode="automatic",
        creation_info=info,
    )
    event.amplitudes.append(amplitude)
    if located and np.isfinite(size.magnitude):
        event.station_magnitudes.append(
            quakeml.StationMagnitude(
                resource_id=_resource("stationmagnitude", row.event_id, key),
                origin_id=_resource("origin", row.event_id),
                mag=size.magnitude,
                station_magnitude_type=row.magnitude_type or "ML",
                amplitude_id=amplitude.resource_id,
                waveform_id=code,
                creation_info=info,
            )
        )


def _quality(row: Any, arrivals: pd.DataFrame) -> quakeml.OriginQuality:
    fields = {field: getattr(row, column) for field, column in _QUALITY_FIELDS.items()}
    quality = {field: value for field, value in fields.items() if not pd.isna(value)}
    if arrivals.distance_km.notna().any():
        quality["minimum_distance"] = arrivals.distance_km.min() / KM_PER_DEGREE
        quality["maximum_distance"] = arrivals.distance_km.max() / KM_PER_DEGREE
    return quakeml.OriginQuality(**quality)


def _pick(arrival: Any, automatic: Mapping[str, Any], located: bool) -> quakeml.Pick:
    """A pick; its weight is in its arrival, or in a comment where the event has no origin."""
    pick_id = arrival.pick_id
    values = {"probability": arrival.probability, "weight": np.nan if located else arrival.weight}
    comments = [
        quakeml.Comment(text=f"{key}={value:.4f}", resource_id=_resource("comment", pick_id, key))
        for key, value in values.items()
        if np.isfinite(value)
    ]
    return quakeml.Pick(
        resource_id=_resource("pick", pick_id),
        time=_utc(arrival.time),
        time_errors=_error(arrival.time_uncertainty_s),
        phase_hint=arrival.phase,
        onset=_ONSET.get(arrival.onset),
        polarity=_POLARITY.get(arrival.polarity),
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
        time_residual=_or_none(arrival.residual_s),
        time_weight=_or_none(arrival.weight),
        distance=_or_none(arrival.distance_km / KM_PER_DEGREE),
        azimuth=_or_none(arrival.azimuth_deg),
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _utc(time: pd.Timestamp) -> obspy.UTCDateTime:
    return obspy.UTCDateTime(ns=time.value)
