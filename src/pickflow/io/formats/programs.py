"""Files of association and location programs, separated by blanks: HypoDD and REAL."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.cards import lines_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.times import add_seconds, moment

UNKNOWN_MAGNITUDE = -9.0  # HypoDD has no way to leave a magnitude out


def read_float(text: str, name: str) -> float:
    """A finite number; `name` is for the message."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} {text!r} is no number") from None
    if not math.isfinite(value) or not text.isascii() or "_" in text:
        raise ValueError(f"{name} {text!r} is no number")
    return value


def read_int(text: str, name: str) -> int:
    """A whole number without sign; `name` is for the message."""
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{name} {text!r} is no whole number")
    return int(text)


def _nan_if(value: float, unknown: float) -> float:
    return math.nan if value == unknown else value


def _parse(
    reading: Reading,
    is_event: Callable[[list[str]], bool],
    event_of: Callable[[list[str]], dict[str, Any]],
    phase_in: Callable[[list[str], dict[str, Any]], dict[str, Any]],
) -> Bulletin:
    """Lines of events, each followed by its phases; those below an event that could not be read are rejected."""
    ids: dict[str, int] = {}
    event: dict[str, Any] | None = None
    for number, line in enumerate(reading.lines, 1):
        fields = line.split()
        if not fields:
            reading.header(number)
        elif is_event(fields):
            event = None
            with reading.item(number, "event"):
                event = event_of(fields)
                event["event_id"] = free_id(event["event_id"], ids)
                reading.add_event(event, number)
        else:
            with reading.item(number, "pick"):
                if event is None:
                    raise ValueError("a phase without an event above it that could be read")
                reading.add_pick(phase_in(fields, event), number)
    return reading.bulletin()


def parse_hypodd(text: str, name: str) -> Bulletin:
    """
    Phases of HypoDD (``phase.dat``): a line with ``#`` and 14 numbers for an event, then its phases.

    Errors of 0 are unknown, and so is a magnitude of -9 (as `write_catalog` writes it).
    """
    reading = Reading(name, "hypodd", lines_of(text))
    return _parse(reading, lambda fields: fields[0].startswith("#"), _hypodd_event, _hypodd_phase)


def _hypodd_event(line: list[str]) -> dict[str, Any]:
    fields = " ".join(line).replace("#", " ", 1).split()
    if len(fields) != 14:
        raise ValueError(f"{len(fields)} numbers behind the #, an event of HypoDD has 14")
    names = ("year", "month", "day", "hour", "minute")
    year, month, day, hour, minute = (read_int(field, label) for field, label in zip(fields[:5], names, strict=True))
    labels = ("second", "latitude", "longitude", "depth", "magnitude", "horizontal error", "depth error", "RMS")
    second, latitude, longitude, depth, magnitude, horizontal, vertical, rms = (
        math.nan if label == "magnitude" and field.lower() == "nan" else read_float(field, label)
        for field, label in zip(fields[5:13], labels, strict=True)
    )
    return {
        "event_id": fields[13],
        "time": moment(year, month, day, hour, minute, second),
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "depth_km": depth,
        "magnitude": _nan_if(magnitude, UNKNOWN_MAGNITUDE),
        "horizontal_uncertainty_km": _nan_if(horizontal, 0.0),
        "depth_uncertainty_km": _nan_if(vertical, 0.0),
        "rms_residual_s": _nan_if(rms, 0.0),
    }


def _hypodd_phase(fields: list[str], event: dict[str, Any]) -> dict[str, Any]:
    if len(fields) != 4:
        raise ValueError(f"{len(fields)} words, a phase of HypoDD has 4: station, travel time, weight, phase")
    station, travel_time, weight, hint = fields
    seconds = read_float(travel_time, "travel time")
    return {
        "event_id": event["event_id"],
        "station": station,
        "phase": phase_of(hint),
        "phase_hint": hint,
        "time": add_seconds(event["time"], seconds),
        "weight": abs(read_float(weight, "weight")),  # negative: HypoDD keeps it in any case
    }


def parse_real(text: str, name: str) -> Bulletin:
    """
    Events (``catalog_sel.txt``) or events with phases (``phase_sel.txt``) of REAL (Zhang et al., 2019).

    A phase's time is the origin plus its travel time. The identifier is ``year-month-day-number``, since REAL numbers
    anew every day.
    """
    reading = Reading(name, "real", lines_of(text))
    return _parse(reading, lambda fields: len(fields) >= 10 and ":" in fields[4], _real_event, _real_phase)


def _real_event(cells: list[str]) -> dict[str, Any]:
    year, month, day = (read_int(cell, name) for cell, name in zip(cells[1:4], ("year", "month", "day"), strict=True))
    clock = cells[4].split(":")
    if len(clock) != 3:
        raise ValueError(f"time {cells[4]!r} is not hours:minutes:seconds")
    hour, minute, second = read_int(clock[0], "hour"), read_int(clock[1], "minute"), read_float(clock[2], "second")
    rms, latitude, longitude, depth = (
        read_float(cell, name)
        for cell, name in zip(cells[6:10], ("RMS", "latitude", "longitude", "depth"), strict=True)
    )
    values: dict[str, Any] = {}
    if len(cells) >= 15:  # a catalog: magnitude, its scatter, counts of P, S and both; newer ones end with the gap
        values["magnitude"] = _nan_if(read_float(cells[10], "magnitude"), -100.0)
        values["n_p"], values["n_s"], values["n_picks"] = (read_int(cell, "number of picks") for cell in cells[12:15])
        values["azimuthal_gap_deg"] = read_float(cells[-1], "gap") if len(cells) >= 17 else math.nan
    return {
        "event_id": f"{year}-{month:02d}-{day:02d}-{cells[0]}",
        "time": moment(year, month, day, hour, minute, second),
        "rms_residual_s": rms,
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "depth_km": depth,
        **values,
    }


def _real_phase(fields: list[str], event: dict[str, Any]) -> dict[str, Any]:
    if len(fields) < 7:
        raise ValueError(f"{len(fields)} words, a phase of REAL has 7 or more")
    network, station, hint = fields[:3]
    seconds = read_float(fields[4], "travel time")
    return {
        "event_id": event["event_id"],
        "network": network,
        "station": station,
        "phase": phase_of(hint),
        "phase_hint": hint,
        "time": add_seconds(event["time"], seconds),
        "residual_s": read_float(fields[6], "residual"),
        "weight": read_float(fields[7], "weight") if len(fields) > 7 else math.nan,
        "azimuth_deg": read_float(fields[8], "azimuth") if len(fields) > 8 else math.nan,
    }
