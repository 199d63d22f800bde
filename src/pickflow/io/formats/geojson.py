"""Events in GeoJSON, as sent by the services of USGS and EMSC."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.programs import read_float
from pickflow.io.formats.times import read_time

_NUMBERS = {
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
            event, description = _event(feature)
            if event["event_id"] in identifiers:
                raise ValueError(f"event {event['event_id']} stands above already")
            identifiers.add(event["event_id"])
            reading.add_event(event, number)
            reading.descriptions.append(description)
    return reading.bulletin()


def _event(feature: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Event and description of a feature.

    Raises
    ------
    ValueError
        If it is none, or has no identifier or time.
    """
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        raise ValueError("no feature with properties")
    values = {str(key).lower(): value for key, value in properties.items()}
    geometry = feature.get("geometry") or {}
    point = geometry.get("coordinates") if isinstance(geometry, dict) else None
    longitude, latitude, depth = (list(point) + [None] * 3)[:3] if isinstance(point, list) else (None, None, None)
    event_id = str(feature.get("id") or values.get("unid") or values.get("code") or "")
    if not event_id:
        raise ValueError("no id")
    event = {
        "event_id": event_id,
        "time": _time(values.get("time")),
        "latitude_deg": _number(latitude, "latitude"),
        "longitude_deg": _number(longitude, "longitude"),
        # EMSC writes heights into the geometry, and the depth beside it.
        "depth_km": _number(values.get("depth", depth), "depth"),
        "magnitude_type": str(values.get("magtype") or ""),
        **{column: _number(values.get(key.lower()), key) for column, key in _NUMBERS.items()},
    }
    type_ = str(values.get("type") or "").replace("_", " ")
    place_name = str(values.get("place") or values.get("flynn_region") or "")
    return event, {"event_id": event_id, "event_type": type_, "place": place_name}


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
