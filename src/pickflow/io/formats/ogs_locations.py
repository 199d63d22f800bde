"""Locations of OGS: with their phases (``.hpc``, ``.hpl``), as summary cards (``.pun``), and the catalog (``.txt``)."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.cards import Card, lines_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.ogs_phases import add_phases, drop_early_s, read_phase
from pickflow.io.formats.plausible import clean_name
from pickflow.io.formats.programs import read_float
from pickflow.io.formats.times import add_seconds, full_year, moment, read_time, time_id

_NOON = timedelta(hours=12)


def parse_hpc(text: str, name: str) -> Bulletin:
    """
    Locations, each followed by its phases; events without an origin (explosions) keep their P, but their S are listed:
    in the files of 2024 these have lost their last digit or their time.

    The identifier of an event is its origin time, ``20240101T035059.05``, or the minute where there is no origin.
    """
    reading = Reading(name, "ogs-hpc", lines_of(text))
    ids: dict[str, int] = {}
    event: dict[str, Any] | None = None
    lines_of_phases: dict[tuple[str, str, datetime], int] = {}
    for number, line in enumerate(reading.lines, 1):
        if not line.strip():
            reading.header(number)
        elif re.match(r"^ {6}[ \d]\d", line):
            event, lines_of_phases = None, {}
            with reading.item(number, "event"):
                event = _location(Card(line))
                event["event_id"] = free_id(event["event_id"], ids)
                reading.add_event(event, number)
        else:
            with reading.item(number, "pick"):
                if event is None:
                    raise ValueError("a phase without an event above it that could be read")
                card = _phase_line(Card(line), event) | {"line": number}
                add_phases(reading, card, event["event_id"], event["middle"], lines_of_phases)
    return reading.bulletin()


def _location(card: Card) -> dict[str, Any]:
    """Row of `EVENTS`, and its minute and the middle of its phases."""
    year = full_year(card.text[6:9])
    names = ("month", "day", "hour", "minute")
    starts = (9, 11, 14, 16)
    month, day, hour, minute = (card.whole(start, start + 2, label) for start, label in zip(starts, names, strict=True))
    start = moment(year, month, day, hour, minute)
    seconds = card.number(18, 24, "seconds", decimals=2)
    if not math.isfinite(seconds):  # the program's magnitude is not used: it had no distances
        return {"event_id": start.strftime("%Y%m%dT%H%M"), "time": None, "minute": start, "middle": start}
    time = add_seconds(start, seconds)
    rms_s = card.number(70, 74, "RMS", decimals=2)
    return {
        "event_id": time_id(time),
        "time": time,
        "minute": start,
        "middle": time,
        "latitude_deg": card.coordinate(25, 33, "latitude"),
        "longitude_deg": card.coordinate(34, 43, "longitude"),
        "depth_km": card.number(44, 50, "depth", decimals=2),
        "n_picks": _count(card, 57, 60, "number of readings"),
        "n_stations": _count(card, 157, 160, "number of stations"),
        "rms_residual_s": rms_s,
        "azimuthal_gap_deg": card.number(63, 67, "gap"),
        **_magnitude(card, 51, 57),
        "n_magnitude_stations": _count(card, 124, 127, "number of durations"),
        "horizontal_uncertainty_km": card.number(74, 79, "ERH", decimals=1),
        "depth_uncertainty_km": card.number(79, 84, "ERZ", decimals=1),
        "quality": card.field(85, 86) or None,
    }


def _count(card: Card, start: int, end: int, name: str) -> int:
    value = card.number(start, end, name)
    return int(value) if math.isfinite(value) else 0


def _magnitude(card: Card, start: int, end: int) -> dict[str, Any]:
    """The magnitude of HYPO71's cards is OGS's duration magnitude."""
    value = card.number(start, end, "magnitude", decimals=2)
    return {"magnitude": value, "magnitude_type": "Md" if math.isfinite(value) else None}


def _phase_line(card: Card, event: dict[str, Any]) -> dict[str, Any]:
    station = card.field(7, 11)
    if not re.fullmatch(r"[A-Za-z0-9_]+", station):
        raise ValueError(f"{station!r} in columns 8-11 is no station")
    clock = card.text[31:33].strip() or "0", card.text[33:35].strip() or "0"
    if not all(part.isascii() and part.isdigit() for part in clock):
        raise ValueError(f"hour and minute {card.text[31:35]!r} in columns 32-35 are no numbers")
    minute = event["minute"].replace(hour=0, minute=0) + timedelta(hours=int(clock[0]), minutes=int(clock[1]))
    if minute - event["minute"] < -_NOON:  # arrivals after midnight have no date
        minute += timedelta(days=1)
    elif minute - event["minute"] > _NOON:
        minute -= timedelta(days=1)
    common = {
        "station": station,
        "distance_km": card.number(11, 17, "distance", decimals=1),
        "azimuth_deg": card.number(17, 21, "azimuth"),
        "coda_s": card.number(95, 99, "duration", decimals=1),
    }
    phases: list[dict[str, Any]] = []
    faults: list[str] = []
    for index, start, end, residual in ((26, 35, 41, (59, 65)), (105, 109, 115, (121, 127))):
        letter = card.letter(index + 1)
        if letter == "S" and event["time"] is None:
            faults.append(
                "S of an event without an origin is cut or missing in this format, the .dat has it; P was read"
            )
            continue
        try:
            seconds = card.number(start, end, f"seconds of {'P' if index == 26 else 'S'}", decimals=2)
            if not math.isfinite(seconds):
                continue
            phase = common | read_phase(card, index, minute, seconds)
            phases.append(phase | {"residual_s": card.number(*residual, f"residual of {letter}", decimals=2)})
        except ValueError as error:
            faults.append(str(error))
    if not phases and not faults:
        raise ValueError("neither P nor S has a time")
    faults += drop_early_s(phases)
    return {"phases": phases, "faults": faults}


def parse_pun(text: str, name: str) -> Bulletin:
    """Summary cards: a line is an event, with duration magnitudes, without picks."""
    reading = Reading(name, "ogs-pun", lines_of(text))
    ids: dict[str, int] = {}
    for number, line in enumerate(reading.lines, 1):
        if not line.strip() or line.lstrip().startswith("DATE"):
            reading.header(number)
            continue
        with reading.item(number, "event"):
            event = _summary(Card(line))
            reading.add_event(event | {"event_id": free_id(event["event_id"], ids)}, number)
    return reading.bulletin()


def _summary(card: Card) -> dict[str, Any]:
    year = full_year(card.text[0:3])
    names = ("month", "day", "hour", "minute")
    month, day, hour, minute = (
        card.whole(start, start + 2, label) for start, label in zip(range(3, 11, 2), names, strict=True)
    )
    seconds = card.number(11, 17, "seconds", decimals=2)
    if not math.isfinite(seconds):
        raise ValueError("no seconds in columns 12-17")
    time = moment(year, month, day, hour, minute, seconds)
    return {
        "event_id": time_id(time),
        "time": time,
        "latitude_deg": card.coordinate(18, 26, "latitude"),
        "longitude_deg": card.coordinate(27, 36, "longitude"),
        "depth_km": card.number(37, 43, "depth", decimals=2),
        **_magnitude(card, 44, 50),
        "n_picks": _count(card, 50, 53, "number of readings"),
        "azimuthal_gap_deg": card.number(53, 57, "gap"),
        "rms_residual_s": card.number(62, 67, "RMS", decimals=2),
        "horizontal_uncertainty_km": card.number(67, 72, "ERH", decimals=1),
        "depth_uncertainty_km": card.number(72, 77, "ERZ", decimals=1),
        "quality": card.field(78, 79) or None,
    }


def parse_txt(text: str, name: str) -> Bulletin:
    """
    The catalog: a line is an event, with ML, MD, place and type.

    Its ``t_err`` is the root mean square of the residuals, as the other files say (all 1,890 located events of 2024);
    its ``v_err`` repeats ``h_err`` and is not read: the depth's uncertainty (ERZ) stands in ``.hpc`` and ``.pun``.
    """
    reading = Reading(name, "ogs-txt", lines_of(text))
    first = next((number for number, line in enumerate(reading.lines, 1) if line.strip()), 1)
    header = [column.strip() for column in reading.lines[first - 1].split(";")]
    identifiers: set[str] = set()
    reading.header(*range(1, first + 1))
    for number, line in enumerate(reading.lines[first:], first + 1):
        if not line.strip():
            reading.header(number)
            continue
        with reading.item(number, "event"):
            cells = [cell.strip() for cell in line.split(";")]
            if len(cells) != len(header):
                raise ValueError(f"{len(cells)} columns, but the header names {len(header)}")
            row = dict(zip(header, cells, strict=True))
            event = _catalog_row(row)
            if event["event_id"] in identifiers:
                raise ValueError(f"event {event['event_id']} stands above already")
            identifiers.add(event["event_id"])
            reading.add_event(event, number)
            description = {"event_type": row.get("event_type", "").strip("[]"), "place": row.get("place", "")}
            duration = {"duration_magnitude": _value(row, "md")}
            reading.descriptions.append({"event_id": event["event_id"], **description, **duration})
    return reading.bulletin()


def _catalog_row(row: dict[str, str]) -> dict[str, Any]:
    if not row.get("event-id"):
        raise ValueError("no event-id")
    if not row.get("origin_time(UTC)"):
        raise ValueError("no origin time")
    time = read_time(row["origin_time(UTC)"])
    magnitude = _value(row, "ml")
    return {
        "event_id": clean_name(row["event-id"]),
        "time": time,
        "latitude_deg": _value(row, "lat"),
        "longitude_deg": _value(row, "lon"),
        "depth_km": _value(row, "depth"),
        "rms_residual_s": _value(row, "t_err"),
        "horizontal_uncertainty_km": _value(row, "h_err"),
        "azimuthal_gap_deg": _value(row, "gap"),
        "magnitude": magnitude,
        "magnitude_type": "ML" if math.isfinite(magnitude) else None,
    }


def _value(row: dict[str, str], column: str) -> float:
    """A number, NaN for nothing and for dashes."""
    text = row.get(column, "")
    if not text.strip("-"):
        return math.nan
    return read_float(text, column)
