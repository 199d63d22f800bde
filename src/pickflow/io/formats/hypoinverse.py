"""Archives (``.arc``) and summaries (``.sum``) of HYPOINVERSE-2000 in its year-2000 form."""

from __future__ import annotations

import math
import re
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, NotUsedError, Reading
from pickflow.io.formats.cards import Card, lines_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.times import add_seconds, moment, time_id

# A year, month, day, hour, minute and seconds, then degrees; a station line begins with its name.
HYPOINVERSE_HEADER = r"[12]\d{3}[ \d]{8}[ \d.]{4}[ \d]{2}[ NSns][ \d.]{4}[ \d]{3}[ EWew][ \d.]{4}"
_HEADER = re.compile(HYPOINVERSE_HEADER)
_PHASE = re.compile(r"\S.{16}[12]\d{3}[ \d]{8}")
UNUSED_CODES = tuple("56789")  # weights that mean, as 4 does, that the time itself is not used
_UNKNOWN_ERROR_KM = 99.0  # the largest that is written: not determined
_LETTERS = {"D": "Md", "L": "ML", "W": "Mw", "B": "mb", "S": "Ms", "X": "Mx", "P": "Mp"}


def parse_hypoinverse(text: str, name: str) -> Bulletin:
    """
    Events and phases of HYPOINVERSE (Klein, 2002).

    Latitudes are north and longitudes west where no letter says otherwise. An event ends with its terminator, whose
    station is blank. Shadow lines (``$``) hold what the program does not use.
    """
    reading = Reading(name, "hypoinverse", lines_of(text))
    ids: dict[str, int] = {}
    event_id: str | None = None
    for number, line in enumerate(reading.lines, 1):
        if _HEADER.match(line):
            event_id = None
            with reading.item(number, "event"):
                event_id = _add_event(reading, Card(line), number, ids)
        elif _is_end(line):
            reading.header(number)
            event_id = event_id if line.startswith("$") or not line.strip() else None
        elif event_id is None:
            reading.reject(number, "a phase without an event above it that could be read", "pick")
        else:
            with reading.item(number, "pick"):
                _add_phases(reading, Card(line), event_id, number)
    return reading.bulletin()


def _is_end(line: str) -> bool:
    """A shadow line, a terminator, or an empty line."""
    return line.startswith("$") or not line[:5].strip()


def _add_event(reading: Reading, card: Card, number: int, ids: dict[str, int]) -> str:
    """
    Read a line of an event; its identifier.

    Raises
    ------
    ValueError
        If a column has an impossible value.
    """
    second = card.number(12, 16, "seconds", decimals=2)
    if math.isnan(second):
        raise ValueError("no seconds in columns 13-16")
    year, month, day, hour, minute = (card.whole(start, end, label) for label, start, end in _DATE)
    time = moment(year, month, day, hour, minute, second)
    event = {
        "time": time,
        "latitude_deg": _degrees(card, 16, 18, "S"),
        "longitude_deg": _degrees(card, 23, 26, "W "),
        "depth_km": card.number(31, 36, "depth", decimals=2),
        "n_picks": card.number(39, 42, "number of phases"),
        "azimuthal_gap_deg": card.number(42, 45, "gap"),
        "rms_residual_s": card.number(48, 52, "RMS", decimals=2),
        "n_s": card.number(82, 85, "number of S"),
        "horizontal_uncertainty_km": _error(card, 85, 89, "horizontal error"),
        "depth_uncertainty_km": _error(card, 89, 93, "depth error"),
        **_magnitude(card),
    }
    duration = _sized(card, (70, 73), (100, 104))
    event_id = free_id(card.field(136, 146) or time_id(time), ids)
    reading.add_event(event | {"event_id": event_id}, number)
    reading.descriptions.append({"event_id": event_id, "duration_magnitude": duration})
    return event_id


_DATE = (("year", 0, 4), ("month", 4, 6), ("day", 6, 8), ("hour", 8, 10), ("minute", 10, 12))


def _degrees(card: Card, start: int, end: int, negative: str) -> float:
    """Degrees, a letter, and minutes behind it."""
    degrees = card.number(start, end, "degrees")
    minutes = card.number(end + 1, end + 5, "minutes", decimals=2)
    value = degrees + minutes / 60
    if math.isnan(value) or minutes > 60 or value > (90 if end - start == 2 else 180):
        raise ValueError(f"{card.text[start : end + 5]!r} in columns {start + 1}-{end + 5} are no degrees and minutes")
    return -value if card.letter(end).upper() in negative else value


def _error(card: Card, start: int, end: int, name: str) -> float:
    value = card.number(start, end, name, decimals=2)
    return math.nan if value == 0 or value >= _UNKNOWN_ERROR_KM else value


def _sized(card: Card, value: tuple[int, int], weight: tuple[int, int]) -> float:
    """A magnitude, which is none without readings."""
    readings = card.number(*weight, "weight of the magnitude", decimals=1)
    return card.number(*value, "magnitude", decimals=2) if readings > 0 else math.nan


def _magnitude(card: Card) -> dict[str, Any]:
    """The preferred magnitude, else that of amplitudes, else that of durations."""
    choices = (
        (card.letter(146), (147, 150), (150, 154), None),
        ("X", (36, 39), (96, 100), (104, 107)),
        ("D", (70, 73), (100, 104), (107, 110)),
    )
    for letter, columns, weight, spread in choices:
        value = _sized(card, columns, weight)
        if not math.isnan(value):
            return {
                "magnitude": value,
                "magnitude_type": _LETTERS.get(letter.upper(), f"M{letter}".strip()),
                "magnitude_uncertainty": math.nan if spread is None else card.number(*spread, "scatter", decimals=2),
                "n_magnitude_stations": int(card.number(*weight, "weight of the magnitude", decimals=1)),
            }
    return {}


def _add_phases(reading: Reading, card: Card, event_id: str, number: int) -> None:
    """P and S of a line of a station; an error in one does not affect the other."""
    if not _PHASE.match(card.text):
        raise ValueError("neither an event, a phase nor an end")
    places = ("year", 17, 21), ("month", 21, 23), ("day", 23, 25), ("hour", 25, 27), ("minute", 27, 29)
    minute = moment(*(card.whole(start, end, label) for label, start, end in places))
    station_values = {
        "event_id": event_id,
        "network": card.field(5, 7),
        "station": card.field(0, 5),
        "location": card.field(111, 113).strip("-"),
        "channel": card.field(9, 12),
        "distance_km": card.number(74, 78, "distance", decimals=1),
        "azimuth_deg": card.number(91, 94, "azimuth"),
        "coda_s": card.number(87, 91, "coda") or math.nan,
    }
    readings = []
    for phase, columns in (("P", (13, 16, 29, 34)), ("S", (46, 49, 41, 50))):
        with reading.item(number, "pick"):
            values = _phase(card, phase, *columns)
            readings.append(values)
            if values is not None:
                reading.add_pick(station_values | values | {"time": add_seconds(minute, values.pop("second"))}, number)
    if readings == [None, None]:
        raise NotUsedError("neither a P nor an S: a reading of amplitude or duration alone", "amplitude")


def _phase(card: Card, phase: str, remark: int, weight: int, seconds: int, residual: int) -> dict[str, Any] | None:
    """Values of a P or an S, by the columns where they begin; None if there is none."""
    hint = card.field(remark, remark + 2)
    second = card.number(seconds, seconds + 5, f"seconds of {phase}", decimals=2)
    if not hint and not second > 0:
        return None
    onset = hint[0].lower() if len(hint) == 2 and hint[0].lower() in ("i", "e") else ""
    hint = (hint[1:] if onset else hint) or phase
    hint = hint[0].upper() + hint[1:]
    if phase_of(hint) != phase:
        raise ValueError(f"phase {hint!r} stands where a {phase} must")
    if math.isnan(second):
        raise ValueError(f"no seconds of {phase}")
    return {
        "phase": phase,
        "phase_hint": hint,
        "onset": onset,
        "polarity": card.polarity(15) if phase == "P" else "",
        "weight": 0.0 if card.letter(weight) in UNUSED_CODES else card.weight(weight),
        "residual_s": card.number(residual, residual + 4, f"residual of {phase}", decimals=2),
        "second": second,
    }
