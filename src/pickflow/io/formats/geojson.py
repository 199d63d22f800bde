"""Events in GeoJSON, as sent by the services of USGS and EMSC."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.plausible import clean_name
from pickflow.io.formats.programs import read_float
from pickflow.io.formats.times import read_time

_NUMBERS = {
    "depth_km": "depth",
    "magnitude": "mag",
    "azimuthal_gap_deg": "gap",
    "rms_residual_s": "rms",
    "n_stations": "nst",
    "horizontal_uncertainty_km": "horizontalError",
    "depth_uncertainty_km": "depthError",
    "magnitude_uncertainty": "magError",
    "n_magnitude_stations": "magNst",
}


def looks_like_geojson(lines: list[str]) -> bool:
    """Whether the first lines begin an object that names features."""
    return lines[0].lstrip().startswith("{") and any(name in "".join(lines) for name in ('"Feature', '"features"'))


def parse_geojson(text: str, name: str) -> Bulletin:
    """
    Events of a collection of features, or of one; features take the place of lines.

    Raises
    ------
    ValueError
        If it is no such JSON.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: not readable as GeoJSON ({error})") from error
    features = [content] if isinstance(content, dict) and content.get("type") == "Feature" else None
    if isinstance(content, dict) and isinstance(content.get("features"), list):
        features = content["features"]
    if features is None:
        raise ValueError(f"{name}: not readable as GeoJSON: neither a FeatureCollection nor a Feature")
    reading = Reading(name, "geojson")
    identifiers: set[str] = set()
    for feature in features:
        number = reading.add_object(json.dumps(feature))
        with reading.item(number, "event"):
            event, description, faults = _event(feature)
            if event["event_id"] in identifiers:
                raise ValueError(f"event {event['event_id']} stands above already")
            identifiers.add(event["event_id"])
            reading.add_event(event, number)
            reading.descriptions.append(description)
            for fault in faults:
                reading.reject(number, fault, "value")
    return reading.bulletin()


def _event(feature: Any) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """
    Event and description of a feature, and what is wrong with values that are left out.

    Raises
    ------
    ValueError
        If it is none, or has no identifier, no time or no readable place.
    """
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        raise ValueError("no feature with properties")
    values = {str(key).lower(): value for key, value in properties.items()}
    geometry = feature.get("geometry") or {}
    point = geometry.get("coordinates") if isinstance(geometry, dict) else None
    longitude, latitude, depth = (list(point) + [None] * 3)[:3] if isinstance(point, list) else (None, None, None)
    event_id = clean_name(feature.get("id") or values.get("unid") or values.get("code") or "")
    if not event_id:
        raise ValueError("no id")
    # EMSC writes heights into the geometry, and the depth beside it.
    numbers, faults = _numbers(values | {"depth": values.get("depth", depth)})
    event = {
        "event_id": event_id,
        "time": _time(values.get("time")),
        "latitude_deg": _number(latitude, "latitude"),
        "longitude_deg": _number(longitude, "longitude"),
        "magnitude_type": str(values.get("magtype") or ""),
        **numbers,
    }
    type_ = str(values.get("type") or "").replace("_", " ")
    place_name = str(values.get("place") or values.get("flynn_region") or "")
    return event, {"event_id": event_id, "event_type": type_, "place": place_name}, faults


def _numbers(values: dict[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Columns of numbers without which an event can be read, NaN where one is none; what is wrong with these."""
    numbers, faults = dict.fromkeys(_NUMBERS, math.nan), []
    for column, key in _NUMBERS.items():
        try:
            numbers[column] = _number(values.get(key.lower()), key)
        except ValueError as error:
            faults.append(f"{error}, and left out")
    return numbers, faults


def _time(value: Any) -> pd.Timestamp:
    """Milliseconds since 1970, or text."""
    if isinstance(value, str):
        return read_time(value)
    if value is None:
        raise ValueError("no time")
    return pd.Timestamp(round(_number(value, "time") * 1000) * 1000, tz="UTC")


def _number(value: Any, name: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name} {value!r} is no number")
    return read_float(str(value), name)
