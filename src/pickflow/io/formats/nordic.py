"""SEISAN's Nordic format, read by ObsPy: event by event, and line by line where a line is odd."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING, Any

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.cards import lines_of, weight_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.times import time_id
from pickflow.io.formats.with_obspy import OTHER_ORIGIN, pick_of, place_of, preferred_of, size_of

if TYPE_CHECKING:  # files of other formats do without ObsPy
    from obspy.core import event as quakeml

PHASE_HEADER = " STAT SP IPHASW D HRMM SECON CODA AMPLIT PERI AZIMU VELO AIN AR TRES W  DIS CAZ7"
_TYPES_WITHOUT_ITEMS = set("2356789EFHIMPSN")
_START = re.compile(r" (\d{4}) .?([ \d]\d)([ \d]\d).([ \d]\d)([ \d]\d) ?([ \d.]{4})")
_SAME_EVENT_S = 60.0  # chosen: lines of type 1 that differ by more are of two events
_NUMBERS = {"latitude": slice(23, 30), "longitude": slice(30, 38), "depth": slice(38, 43)}

Line = tuple[int, str]


def parse_nordic(text: str, name: str) -> Bulletin:
    """
    Events of SEISAN's Nordic format, old or new; an event ends with an empty line, or with the next line of type 1.

    Other lines of type 1 within a minute, where there are lines of other types, are other origins of the same event;
    they are set aside. Weights 0 to 4 are those of HYPO71, and 9 (S-P only) is none.
    """
    reading = Reading(name, "nordic", lines_of(text))
    ids: dict[str, int] = {}
    block: list[Line] = []
    for number, line in enumerate([*reading.lines, ""], 1):
        if line.strip():
            block.append((number, line.rstrip()))
        elif block:
            for event in _events_of(block):
                _read_event(reading, event, ids)
            block = []
    return reading.bulletin()


def _type(line: str) -> str:
    return line[79:80] or " "


def _start_s(line: str) -> float | None:
    """Time of a line of type 1 in seconds, nearly: months have 31 days."""
    parts = _START.match(line)
    if parts is None or not parts[6].strip(" .").replace(".", "", 1).isdigit():
        return None
    year, month, day, hour, minute = (int(part) for part in parts.groups()[:5])
    return (((year * 12 + month) * 31 + day) * 24 + hour) * 3600.0 + minute * 60 + float(parts[6])


def _events_of(block: list[Line]) -> list[list[Line]]:
    """A block between empty lines as events: compact files have nothing but lines of type 1, one for each event."""
    compact = not any(_type(line) in _TYPES_WITHOUT_ITEMS or _is_phase(line) for _, line in block)
    events: list[list[Line]] = []
    start_s: float | None = None
    for number, line in block:
        if _type(line) == "1":
            this_s = _start_s(line)
            is_near = start_s is not None and this_s is not None and abs(this_s - start_s) <= _SAME_EVENT_S
            if compact or not is_near:
                events.append([])
                start_s = this_s
        elif not events:
            events.append([])
        events[-1].append((number, line))
    return events


def _is_phase(line: str) -> bool:
    """A line of type 4, or without a type, that is not the header of the phases."""
    return _type(line) in " 4" and not line.startswith(" STAT") and bool(line[1:5].strip())


def _read_event(reading: Reading, lines: list[Line], ids: dict[str, int]) -> None:
    first, *lines_below = lines
    if _type(first[1]) != "1":
        for number, _ in lines:
            reading.reject(number, "a line without a line of type 1 above it")
        return
    for number, line in lines_below:
        if _type(line) == "1":
            reading.set_aside(number, OTHER_ORIGIN, "origin")
        elif _type(line) in _TYPES_WITHOUT_ITEMS or line.startswith(" STAT"):
            reading.header(number)
    readable_lines = [line for line in lines_below if _type(line[1]) in "EHI7" or _is_phase(line[1])]
    event, readable_lines = _without_odd_lines(reading, first, readable_lines)
    if event is None:
        return
    origin = event.origins[0]
    event_id = free_id(_identifier(lines) or time_id(origin.time), ids)
    row: dict[str, Any] = {"event_id": event_id, "time": None}
    with reading.item(first[0], "event"):
        row |= size_of(preferred_of(event.magnitudes, event.preferred_magnitude_id))
        row |= place_of(origin)
    reading.add_event(row, first[0])
    for reason in _lost_numbers(first[1], origin):
        reading.reject(first[0], reason, "value")
    if event.event_type:
        reading.descriptions.append({"event_id": event_id, "event_type": str(event.event_type)})
    _add_phases(reading, readable_lines, event, event_id)


def _lost_numbers(line: str, origin: quakeml.Origin) -> list[str]:
    """ObsPy takes a number that it cannot read for none."""
    return [
        f"{name} {line[columns]!r} is no number"
        for name, columns in _NUMBERS.items()
        if line[columns].strip() and getattr(origin, name) is None
    ]


def _identifier(lines: list[Line]) -> str:
    """The identifier of the line of type I, if there is one: ``ID:20240101035059``."""
    matches = (re.search(r"\bID:\s*(\d{14})", line) for _, line in lines if _type(line) == "I")
    return next((match[1] for match in matches if match), "")


def _obspy_event(lines: list[str]) -> quakeml.Event:
    """
    One event.

    Raises
    ------
    ValueError
        If ObsPy cannot read it.
    """
    if not any(_type(line) == "7" for line in lines):
        lines = [lines[0], PHASE_HEADER, *lines[1:]]
    text = "\n".join(_without_4(line) for line in lines) + "\n\n"
    import obspy

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            [event] = obspy.read_events(io.BytesIO(text.encode("latin-1", "replace")), format="NORDIC")
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        raise ValueError(f"ObsPy cannot read this line ({error})") from error
    return event


def _without_odd_lines(reading: Reading, first: Line, lines: list[Line]) -> tuple[quakeml.Event | None, list[Line]]:
    """An event, and those of its lines that ObsPy can read; others are rejected."""
    try:
        event = _obspy_event([first[1], *(line for _, line in lines)])
        if len(event.picks) == sum(_has_time(line) for _, line in lines):
            return event, lines
    except ValueError:
        pass
    headers = [line for _, line in lines if _type(line) == "7"]
    readable_lines = []
    for number, line in lines:
        try:
            event = _obspy_event([first[1], *headers, line] if _type(line) != "7" else [first[1], line])
            if _is_phase(line) and not event.picks:
                raise ValueError("ObsPy finds no phase with a time in it")
            readable_lines.append((number, line))
        except ValueError as error:
            reading.reject(number, str(error), "pick" if _is_phase(line) else "line")
    try:
        return _obspy_event([first[1], *(line for _, line in readable_lines)]), readable_lines
    except ValueError as error:
        reading.reject(first[0], str(error), "event")
        for number, line in readable_lines:
            if _is_phase(line):
                reading.reject(number, "a phase of an event that could not be read", "pick")
        return None, []


def _without_4(line: str) -> str:
    """A phase without the letter of its type, which the manual allows, and ObsPy does not read."""
    return line[:79] if _type(line) == "4" else line


def _has_time(line: str) -> bool:
    return _is_phase(line) and bool(line[18:28].strip())


def _add_phases(reading: Reading, lines: list[Line], event: quakeml.Event, event_id: str) -> None:
    """Picks, which ObsPy gives in order."""
    timed = [line for line in lines if _has_time(line[1])]
    arrivals = {arrival.pick_id.id: arrival for arrival in event.origins[0].arrivals}
    keys: set[tuple[str, str, Any]] = set()
    for (number, _), pick in zip(timed, event.picks, strict=True):
        with reading.item(number, "pick"):
            row = pick_of(pick, arrivals.get(pick.resource_id.id))
            key = (row["station"], row["phase_hint"], row["time"])
            if key in keys:
                raise ValueError("the same pick stands above")
            keys.add(key)
            reading.add_pick(row | {"event_id": event_id, "weight": _weight(pick)}, number)
    for number, line in lines:
        if _is_phase(line) and not _has_time(line):
            with reading.item(number, "pick"):
                phase_of(_hint(line))  # amplitudes need no time
                raise ValueError("no time")


def _weight(pick: quakeml.Pick) -> float:
    """Weight of the code that ObsPy keeps beside a pick; 9 asks for S-P only, and the time itself is not used."""
    code = str((pick.get("extra") or {}).get("nordic_pick_weight", {}).get("value", " "))
    return 0.0 if code == "9" else weight_of(code)


def _hint(line: str) -> str:
    """Name of the phase, in the old form or the new one, which has it further behind."""
    return line[10:18].strip() or line[16:24].strip()
