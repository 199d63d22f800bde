"""
Phase cards of OGS (Istituto Nazionale di Oceanografia e di Geofisica Sperimentale), similar to HYPO71: ``.dat``.

References
----------
Lee, W. H. K., and J. C. Lahr (1975), HYPO71 (revised), USGS Open-File Report 75-311.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.cards import Card, lines_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.times import add_seconds, full_year, moment, time_id

# A local earthquake's phases arrive within this time: a card further off has a wrong date, hour or minute.
MAX_SPREAD_S = 600.0
_END = re.compile(r" {17}[1-9]\d? *D? *")


def parse_dat(text: str, name: str) -> Bulletin:
    """
    Phase cards: a card is a station, an event is a block of cards that ends with a ``1`` in column 18.

    The identifier of an event is its year and the number on its cards, as in the ``.txt``: ``2024_00193``.
    """
    reading = Reading(name, "ogs-dat", lines_of(text))
    ids: dict[str, int] = {}
    block: list[dict[str, Any]] = []
    for number, line in enumerate(reading.lines, 1):
        if not line.strip() or _END.fullmatch(line.rstrip()):
            reading.header(number)
            if line.strip():
                _close(reading, block, ids)
                block = []
            continue
        with reading.item(number, "pick"):
            card = _read_card(Card(line)) | {"line": number}
            # A lost end card shows in the next event's number.
            if block and card["number"] and block[-1]["number"] and card["number"] != block[-1]["number"]:
                _close(reading, block, ids)
                block = []
            block.append(card)
    _close(reading, block, ids)
    return reading.bulletin()


def _read_card(card: Card) -> dict[str, Any]:
    """Number and phases of a card; errors of S alone are in ``faults``."""
    station = card.field(0, 4)
    if not re.fullmatch(r"[A-Za-z0-9_]+", station):
        raise ValueError(f"{station!r} in columns 1-4 is no station; a block of cards ends with a 1 in column 18")
    year = full_year(card.text[8:11])
    names = ("month", "day", "hour", "minute")
    month, day, hour, minute = (
        card.whole(start, start + 2, label) for start, label in zip(range(11, 19, 2), names, strict=True)
    )
    start = moment(year, month, day, hour, minute)
    # ASSUME tenths of a second: 240 goes with MD 1.6 at 16 km. Cards of explosions have it a column further left.
    common = {"station": station, "coda_s": card.number(68, 75, "duration", decimals=1)}
    phases: list[dict[str, Any]] = []
    faults: list[str] = []
    seconds = card.number(19, 24, "seconds of P", decimals=2)
    if math.isfinite(seconds):
        phases.append(common | read_phase(card, 4, start, seconds))
    try:
        seconds = card.number(31, 36, "seconds of S", decimals=2)
        if math.isfinite(seconds):
            phases.append(common | read_phase(card, 36, start, seconds))
    except ValueError as error:
        faults.append(str(error))
    if not phases and not faults:
        raise ValueError("neither P nor S has a time")
    faults += drop_early_s(phases)
    return {"year": year, "number": card.field(75, 79), "phases": phases, "faults": faults}


def read_phase(card: Card, index: int, minute: datetime, seconds: float) -> dict[str, Any]:
    """Onset, name, polarity and weight from column `index` on, at some seconds of a minute."""
    name = card.letter(index + 1)
    if name not in "PS" or name != ("P" if index in (4, 26) else "S"):
        raise ValueError(f"{name!r} in column {index + 2} is not the phase that a time stands for")
    return {
        "phase": name,
        "phase_hint": name,
        "onset": card.onset(index),
        "polarity": card.polarity(index + 2),
        "weight": card.weight(index + 3),
        "time": add_seconds(minute, seconds),
    }


def drop_early_s(phases: list[dict[str, Any]]) -> list[str]:
    """Remove an S that is not after its P; the reason, if so."""
    if len(phases) < 2 or phases[1]["time"] > phases[0]["time"]:
        return []
    early_s = (phases[0]["time"] - phases[1]["time"]).total_seconds()
    phases.pop()
    return [f"S is {early_s:.2f} s before P, which was read"]


def _close(reading: Reading, block: list[dict[str, Any]], ids: dict[str, int]) -> None:
    """An event from its cards."""
    times = [phase["time"] for card in block for phase in card["phases"]]
    if not times:
        for card in block:
            reading.reject(card["line"], "; ".join(card["faults"]), "pick")
        return
    middle = sorted(times)[len(times) // 2]
    number = next((card["number"] for card in block if card["number"]), "")
    identifier = f"{block[0]['year']}_{int(number):05d}" if number.isdigit() else time_id(min(times))
    event_id = free_id(identifier, ids)
    reading.add_event({"event_id": event_id, "time": None}, block[0]["line"])
    lines_of_phases: dict[tuple[str, str, datetime], int] = {}
    for card in block:
        add_phases(reading, card, event_id, middle, lines_of_phases)


def add_phases(
    reading: Reading,
    card: dict[str, Any],
    event_id: str,
    middle: datetime,
    lines_of_phases: dict[tuple[str, str, datetime], int],
) -> None:
    """
    Phases of a line become picks, unless they are far from the event, or stand on an earlier line already.

    Parameters
    ----------
    reading : Reading
        Receives picks and faults.
    card : dict
        line, phases, faults.
    event_id : str
        Of the event.
    middle : datetime
        Its origin, or the median of its arrivals.
    lines_of_phases : dict
        Line of each (station, phase, time) so far; grows.
    """
    faults = list(card["faults"])
    for phase in card["phases"]:
        away_s = (phase["time"] - middle).total_seconds()
        key = (phase["station"], phase["phase"], phase["time"])
        if abs(away_s) > MAX_SPREAD_S:
            relation = "after" if away_s > 0 else "before"
            faults.append(f"{phase['phase']} is {abs(away_s):.0f} s {relation} its event: a wrong date, hour or minute")
        elif key in lines_of_phases:
            faults.append(f"{phase['phase']} stands on line {lines_of_phases[key]} already")
        else:
            lines_of_phases[key] = card["line"]
            reading.add_pick(phase | {"event_id": event_id}, card["line"])
    if faults:
        reading.reject(card["line"], "; ".join(faults), "pick")
