"""Events of ObsPy as rows of tables, with a list of all objects that are left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pickflow.io.formats.bulletin import MEASUREMENT, NotUsedError, Reading
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.times import FIRST_YEAR, LAST_YEAR
from pickflow.travel_times.sphere import KM_PER_DEGREE

if TYPE_CHECKING:  # files of other formats do without ObsPy
    import obspy
    from obspy.core import event as quakeml

_POLARITY = {"positive": "U", "negative": "D"}
_ONSET = {"impulsive": "i", "emergent": "e"}
OTHER_ORIGIN = "another origin of its event is preferred"
OTHER_MAGNITUDE = "another magnitude of its event is preferred"
_REJECTED = "has the evaluation status 'rejected'"


def add_event(reading: Reading, event: quakeml.Event, event_id: str, remarks: Sequence[str] = ()) -> None:
    """
    An event of ObsPy with its picks; each pick, amplitude and other origin counts as an object, in the place of a line.

    Origins that are not preferred, amplitudes, and picks that no arrival of the preferred origin names are set aside.

    Parameters
    ----------
    reading : Reading
        Receives what is read and what is rejected.
    event : Event
        As ObsPy reads it.
    event_id : str
        Its unique identifier.
    remarks : sequence of str
        Messages on what could not be read.
    """
    origin = preferred_of(event.origins, event.preferred_origin_id)
    magnitude = preferred_of(event.magnitudes, event.preferred_magnitude_id)
    number = reading.add_object(event_id)
    refusal = _refusal(event, origin)
    if refusal:
        reading.set_aside(number, refusal, "event")
        _count_aside(reading, event, refusal)
        return
    row: dict[str, Any] = {"time": pd.NaT, **size_of(magnitude)}
    with reading.item(number, "event"):
        if origin is not None:
            try:
                row |= place_of(origin)
                reading.count("origin", n_read=1)
            except ValueError as error:
                reading.count("origin", n_rejected=1)
                reading.reject(number, f"its origin: {error}", "event")
    for remark in remarks:
        reading.reject(number, remark, "value")
    reading.add_event({"event_id": event_id, **row}, number)
    if event.event_type:
        reading.descriptions.append({"event_id": event_id, "event_type": str(event.event_type)})
    for candidate in event.origins:
        if candidate is not origin:
            reading.set_aside(reading.add_object(f"{event_id} origin {candidate.time}"), OTHER_ORIGIN, "origin")
            reading.count_aside("arrival", OTHER_ORIGIN, len(candidate.arrivals))
    for amplitude in event.amplitudes:
        text = f"{event_id} amplitude {amplitude.type} {amplitude.generic_amplitude}"
        reading.set_aside(reading.add_object(text), MEASUREMENT, "amplitude")
    reading.count("magnitude", n_read=magnitude is not None)
    reading.count_aside("magnitude", OTHER_MAGNITUDE, max(len(event.magnitudes) - 1, 0))
    reading.count_aside("station magnitude", MEASUREMENT, len(event.station_magnitudes))
    reading.count_aside("focal mechanism", MEASUREMENT, len(event.focal_mechanisms))
    _add_picks(reading, event, event_id, origin)


def _refusal(event: quakeml.Event, origin: quakeml.Origin | None) -> str:
    """Why its agency does not count an event; empty if it does."""
    if event.event_type == "not existing":
        return f"the type of the event is {event.event_type!r}"
    if origin is not None and origin.evaluation_status == "rejected":
        return f"the preferred origin {_REJECTED}"
    return ""


def _count_aside(reading: Reading, event: quakeml.Event, reason: str) -> None:
    kinds = {
        "origin": event.origins,
        "pick": event.picks,
        "amplitude": event.amplitudes,
        "magnitude": event.magnitudes,
        "station magnitude": event.station_magnitudes,
        "focal mechanism": event.focal_mechanisms,
        "arrival": [arrival for origin in event.origins for arrival in origin.arrivals],
    }
    for kind, items in kinds.items():
        reading.count_aside(kind, reason, len(items))


def _add_picks(reading: Reading, event: quakeml.Event, event_id: str, origin: quakeml.Origin | None) -> None:
    arrivals = {_id(arrival.pick_id): arrival for arrival in origin.arrivals} if origin is not None else {}
    keys: set[tuple[Any, ...]] = set()
    outcomes: Counter[str] = Counter()
    for pick in event.picks:
        code = pick.waveform_id.get_seed_string() if pick.waveform_id else ""
        number = reading.add_object(f"{event_id} {code} {pick.phase_hint} {pick.time}")
        arrival = arrivals.get(_id(pick.resource_id))
        with reading.item(number, "pick"):
            if arrivals and arrival is None:
                raise NotUsedError("no arrival of the preferred origin names it")
            if pick.evaluation_status == "rejected":
                raise NotUsedError(f"the pick {_REJECTED}")
            row = pick_of(pick, arrival)
            key = (row["network"], row["station"], row["location"], row["channel"], row["phase"], row["time"])
            if key in keys:
                raise ValueError("the same pick stands above")
            keys.add(key)
            reading.add_pick(row | {"event_id": event_id}, number)
        outcomes[reading.outcome(number)] += arrival is not None
    pick_ids = {_id(pick.resource_id) for pick in event.picks}
    missing_ids = [pick_id for pick_id in arrivals if pick_id not in pick_ids]
    for pick_id in missing_ids:
        reading.reject(
            reading.add_object(f"{event_id} {pick_id}"), "an arrival without its pick in the event", "arrival"
        )
    n_twice = 0 if origin is None else len(origin.arrivals) - len(arrivals)
    reading.count("arrival", n_read=outcomes["read"], n_rejected=outcomes["rejected"])
    reading.count_aside("arrival", "its pick is not used", outcomes["set_aside"])
    reading.count_aside("arrival", "another arrival names the same pick", n_twice)


def _id(resource: quakeml.ResourceIdentifier | None) -> str:
    return "" if resource is None else resource.id


def preferred_of(objects: list[Any], preferred: quakeml.ResourceIdentifier | None) -> Any:
    """The object that is preferred, or else the first; None if there are none."""
    identifier = _id(preferred)
    first = objects[0] if objects else None
    return next((item for item in objects if identifier and _id(item.resource_id) == identifier), first)


def place_of(origin: quakeml.Origin) -> dict[str, Any]:
    """
    Columns of `EVENTS` from an origin.

    Raises
    ------
    ValueError
        If it has no time, or one that nanoseconds do not hold.
    """
    from obspy.core.event import OriginQuality, OriginUncertainty

    quality, extent = origin.quality or OriginQuality(), origin.origin_uncertainty or OriginUncertainty()
    horizontal = extent.max_horizontal_uncertainty or extent.horizontal_uncertainty or _larger_error_m(origin)
    return {
        "time": _time(origin.time),
        "latitude_deg": origin.latitude,
        "longitude_deg": origin.longitude,
        "depth_km": _over_1000(origin.depth),
        "n_picks": quality.used_phase_count or 0,
        "n_stations": quality.used_station_count or 0,
        "rms_residual_s": quality.standard_error,
        "azimuthal_gap_deg": quality.azimuthal_gap,
        "time_uncertainty_s": _uncertainty(origin.time_errors),
        "horizontal_uncertainty_km": _over_1000(horizontal),
        "depth_uncertainty_km": _over_1000(_uncertainty(origin.depth_errors)),
        "quality": _comment(origin.comments, "quality"),
    }


def size_of(magnitude: quakeml.Magnitude | None) -> dict[str, Any]:
    """Columns of `EVENTS` from a magnitude."""
    if magnitude is None or magnitude.mag is None:
        return {}
    return {
        "magnitude": magnitude.mag,
        "magnitude_type": magnitude.magnitude_type,
        "magnitude_uncertainty": _uncertainty(magnitude.mag_errors),
        "n_magnitude_stations": magnitude.station_count or 0,
    }


def _time(time: obspy.UTCDateTime | None) -> pd.Timestamp:
    if time is None:
        raise ValueError("no time")
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError(f"year {time.year} is not within {FIRST_YEAR} to {LAST_YEAR}")
    return pd.Timestamp(time.ns, tz="UTC")


def _larger_error_m(origin: quakeml.Origin) -> float | None:
    """The larger of the errors to the north and to the east; ObsPy loses the latter at the equator."""
    north, east = _uncertainty(origin.latitude_errors), _uncertainty(origin.longitude_errors)
    if origin.latitude is None or (north is None and east is None):
        return None
    return max(north or 0.0, (east or 0.0) * np.cos(np.radians(origin.latitude))) * KM_PER_DEGREE * 1000


def _uncertainty(errors: quakeml.QuantityError | None) -> float | None:
    return None if errors is None else errors.uncertainty


def _over_1000(metres: float | None) -> float:
    return np.nan if metres is None else metres / 1000


def _comment(comments: list[quakeml.Comment], key: str) -> str | None:
    """Value of a comment ``key=value``."""
    values = [comment.text.split("=", 1)[1] for comment in comments if (comment.text or "").startswith(f"{key}=")]
    return values[0] if values else None


def pick_of(pick: quakeml.Pick, arrival: quakeml.Arrival | None) -> dict[str, Any]:
    """
    Columns of `BULLETIN_PICKS` from a pick and its arrival.

    Raises
    ------
    ValueError
        If it has no time, or is neither P nor S.
    """
    hint = (arrival.phase if arrival is not None else None) or pick.phase_hint or ""
    from obspy.core.event import WaveformStreamID

    code = pick.waveform_id or WaveformStreamID()
    row = {
        "network": code.network_code or "",
        "station": code.station_code or "",
        "location": code.location_code or "",
        "channel": code.channel_code or "",
        "phase": phase_of(hint),
        "phase_hint": hint,
        "time": _time(pick.time),
        "time_uncertainty_s": _uncertainty(pick.time_errors),
        "weight": _comment_number(pick, "weight"),
        "polarity": _POLARITY.get(str(pick.polarity), ""),
        "onset": _ONSET.get(str(pick.onset), ""),
        "probability": _comment_number(pick, "probability"),
    }
    if arrival is not None:
        distance = arrival.distance
        row |= {
            "weight": row["weight"] if arrival.time_weight is None else arrival.time_weight,
            "residual_s": arrival.time_residual,
            "distance_km": None if distance is None else distance * KM_PER_DEGREE,
            "azimuth_deg": arrival.azimuth,
        }
    return row


def _comment_number(pick: quakeml.Pick, key: str) -> float | None:
    text = _comment(pick.comments, key)
    return float(text) if text and re.fullmatch(r"\d+(\.\d*)?", text, re.ASCII) else None
