"""Events and travel times for VELEST (``.cnv``), in both of its forms of phases."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.cards import Card, lines_of, weight_of
from pickflow.io.formats.hypoinverse import UNUSED_CODES
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.locations import forget_zeros
from pickflow.io.formats.ogs_phases import MAX_SPREAD_S
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.programs import read_float
from pickflow.io.formats.times import add_seconds, full_year, moment, time_id

# Date, time, latitude with a letter, longitude with a letter.
VELEST_EVENT = (
    r"[ \d]\d[ \d]\d[ \d]\d [ \d]\d[ \d]\d [ \d]{2}\.[ \d]{2} [ \d]{2}\.[ \d]{4}[ NSns] [ \d]{3}\.[ \d]{4}[ EWew]"
)
_EVENT = re.compile(VELEST_EVENT)
_SINGLE = re.compile(r"  (.{4,6}?)  ([A-Za-z-])   ([ \d])  (.{2,8})")  # 2x,a6 (or a4),2x,a1,3x,i1,3x,f6.2
_IDENTIFIER = re.compile(r"EVID:\s*(\S+)")


def parse_velest(text: str, name: str) -> Bulletin:
    """
    Events of VELEST (Kissling et al., 1994), each with travel times, until an empty line.

    Six phases stand on a line (station, phase, weight code, travel time), or one. Longitudes are west where no letter
    says E, as VELEST reads them; two digits of a year are those of `full_year`. Where all magnitudes are 0, they are
    unknown.
    """
    reading = Reading(name, "velest", lines_of(text))
    ids: dict[str, int] = {}
    event: dict[str, Any] | None = None
    for number, line in enumerate(reading.lines, 1):
        if _EVENT.match(line):
            event = None
            with reading.item(number, "event"):
                event = _event(Card(line), ids)
                reading.add_event(event, number)
        elif not line.strip() or line.strip() == "9999":
            reading.header(number)
            event = None if line.strip() else event  # 9999 ends the file
        elif event is None:
            reading.reject(number, "a phase without an event above it that could be read", "pick")
        else:
            for part in _parts(line):
                with reading.item(number, "pick"):
                    reading.add_pick(_phase(part, event), number)
    forget_zeros(reading)
    return reading.bulletin()


def _event(card: Card, ids: dict[str, int]) -> dict[str, Any]:
    """
    Values of a line of an event.

    Raises
    ------
    ValueError
        If a column holds what cannot be there.
    """
    places = ("month", 2), ("day", 4), ("hour", 7), ("minute", 9)
    month, day, hour, minute = (card.whole(start, start + 2, label) for label, start in places)
    time = moment(full_year(card.field(0, 2)), month, day, hour, minute, card.number(12, 17, "seconds"))
    latitude, longitude = card.number(18, 25, "latitude"), card.number(27, 35, "longitude")
    # Programs write depth and magnitude in other columns than VELEST does; these two, or gap and RMS behind them.
    fields = card.text[36:].split("EVID")[0].split()
    depth, magnitude, gap, rms = [read_float(field, "a number behind the longitude") for field in fields[:4]] + [
        math.nan
    ] * (4 - len(fields[:4]))
    identifier = _IDENTIFIER.search(card.text)
    return {
        "event_id": free_id(identifier.group(1) if identifier else time_id(time), ids),
        "time": time,
        "latitude_deg": -latitude if card.letter(25) in "Ss" else latitude,
        "longitude_deg": longitude if card.letter(35) in "Ee" else -longitude,
        "depth_km": depth,
        "magnitude": magnitude,
        "azimuthal_gap_deg": gap if len(fields) == 4 else math.nan,
        "rms_residual_s": rms if len(fields) == 4 else math.nan,
    }


def _parts(line: str) -> list[tuple[str, str, str, str]]:
    """Station, phase, weight code and travel time of each phase of a line."""
    match = _SINGLE.fullmatch(line.rstrip())
    if match:
        return [match.groups()]  # type: ignore[list-item]
    width = next((width for width in (12, 14) if _is_row(line, width)), 12)
    chunks = [line[start : start + width] for start in range(0, len(line.rstrip()), width)]
    return [
        (chunk[: width - 8], chunk[width - 8 : width - 7], chunk[width - 7 : width - 6], chunk[width - 6 :])
        for chunk in chunks
    ]


def _is_row(line: str, width: int) -> bool:
    """Whether a line consists of phases of so many columns: stations of four, or of six letters."""
    text = line.rstrip()
    chunks = [text[start : start + width] for start in range(0, len(text), width)]
    return all(re.match(rf".{{{width - 8}}}[A-Za-z-][ \d][ \d.-]", chunk) for chunk in chunks)


def _phase(part: tuple[str, str, str, str], event: dict[str, Any]) -> dict[str, Any]:
    station, hint, code, travel_time = (text.strip() for text in part)
    phase = phase_of(hint)  # an S - P time is no time
    seconds = read_float(travel_time, "travel time")
    if abs(seconds) > MAX_SPREAD_S:
        raise ValueError(f"travel time {seconds:g} s is beyond {MAX_SPREAD_S:g} s")
    time: datetime = add_seconds(event["time"], seconds)
    return {
        "event_id": event["event_id"],
        "station": station,
        "phase": phase,
        "phase_hint": hint,
        "time": time,
        "weight": 0.0 if code in UNUSED_CODES else weight_of(code or " "),
    }
