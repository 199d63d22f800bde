"""What association and location programs write, separated by blanks: HypoDD and REAL."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pickflow.io.formats.bulletin import Bulletin, Reading, free_id
from pickflow.io.formats.cards import lines_of, moment

UNKNOWN_MAGNITUDE = -9.0  # HypoDD has no way to leave a magnitude out


def read_float(text: str, name: str) -> float:
    """A finite number; `name` is for the message."""
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} {text!r} is no number") from None
    if not math.isfinite(value):
        raise ValueError(f"{name} {text!r} is no number")
    return value


def read_int(text: str, name: str) -> int:
    """A whole number without sign; `name` is for the message."""
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{name} {text!r} is no whole number")
    return int(text)


def _known(value: float, unknown: float) -> float:
    return math.nan if value == unknown else value


def phase_of(hint: str) -> str:
    """
    P or S of Pg, Pn, P1, Sg, …

    Raises
    ------
    ValueError
        If it is another phase.
    """
    letter = hint[:1].upper()
    if letter not in ("P", "S"):
        raise ValueError(f"phase {hint!r} is neither P nor S")
    return letter


def _parse(
    text: str,
    reading: Reading,
    is_event: Callable[[list[str]], bool],
    event_of: Callable[[list[str]], dict[str, Any]],
    phase_in: Callable[[list[str], dict[str, Any]], dict[str, Any]],
) -> Bulletin:
    """Lines of events, each followed by its phases; those below an event that could not be read are rejected."""
    lines = lines_of(text)
    reading.n_lines = len(lines)
    taken: set[str] = set()
    event: dict[str, Any] | None = None
    for number, line in enumerate(lines, 1):
        words = line.split()
        try:
            if not words:
                reading.n_headers += 1
            elif is_event(words):
                event = None
                event = event_of(words)
                event["event_id"] = free_id(event["event_id"], taken)
                reading.events.append(event)
            elif event is None:
                raise ValueError("a phase without an event above it that could be read")
            else:
                reading.picks.append(phase_in(words, event))
        except ValueError as error:
            reading.reject(number, line, str(error))
    return reading.bulletin()


def parse_hypodd(text: str, name: str) -> Bulletin:
    """
    Phases of HypoDD (``phase.dat``): a line with ``#`` and 14 numbers for an event, then its phases.

    Errors of 0 are unknown, and so is a magnitude of -9 (as `write_catalog` writes it).
    """
    return _parse(text, Reading(name, "hypodd"), lambda words: words[0].startswith("#"), _hypodd_event, _hypodd_phase)


def _hypodd_event(line: list[str]) -> dict[str, Any]:
    words = " ".join(line).replace("#", " ", 1).split()
    if len(words) != 14:
        raise ValueError(f"{len(words)} numbers behind the #, an event of HypoDD has 14")
    names = ("year", "month", "day", "hour", "minute")
    year, month, day, hour, minute = (read_int(word, what) for word, what in zip(words[:5], names, strict=True))
    rest = ("second", "latitude", "longitude", "depth", "magnitude", "horizontal error", "depth error", "RMS")
    second, latitude, longitude, depth, magnitude, horizontal, vertical, rms = (
        math.nan if what == "magnitude" and word.lower() == "nan" else read_float(word, what)
        for word, what in zip(words[5:13], rest, strict=True)
    )
    return {
        "event_id": words[13],
        "time": moment(year, month, day, hour, minute, second),
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "depth_km": depth,
        "magnitude": _known(magnitude, UNKNOWN_MAGNITUDE),
        "horizontal_uncertainty_km": _known(horizontal, 0.0),
        "depth_uncertainty_km": _known(vertical, 0.0),
        "rms_residual_s": _known(rms, 0.0),
    }


def _hypodd_phase(words: list[str], event: dict[str, Any]) -> dict[str, Any]:
    if len(words) != 4:
        raise ValueError(f"{len(words)} words, a phase of HypoDD has 4: station, travel time, weight, phase")
    station, travel_time, weight, hint = words
    seconds = read_float(travel_time, "travel time")
    return {
        "event_id": event["event_id"],
        "station": station,
        "phase": phase_of(hint),
        "phase_hint": hint,
        "time": event["time"] + timedelta(microseconds=round(seconds * 1_000_000)),
        "weight": abs(read_float(weight, "weight")),  # negative: HypoDD keeps it in any case
    }


def parse_real(text: str, name: str) -> Bulletin:
    """
    Events (``catalog_sel.txt``) or events with phases (``phase_sel.txt``) of REAL (Zhang et al., 2019).

    A phase's time is the origin plus its travel time. The identifier is ``year-month-day-number``, since REAL numbers
    anew every day.
    """
    return _parse(
        text, Reading(name, "real"), lambda words: len(words) >= 10 and ":" in words[4], _real_event, _real_phase
    )


def _real_event(words: list[str]) -> dict[str, Any]:
    year, month, day = (read_int(word, what) for word, what in zip(words[1:4], ("year", "month", "day"), strict=True))
    clock = words[4].split(":")
    if len(clock) != 3:
        raise ValueError(f"time {words[4]!r} is not hours:minutes:seconds")
    hour, minute, second = read_int(clock[0], "hour"), read_int(clock[1], "minute"), read_float(clock[2], "second")
    rms, latitude, longitude, depth = (
        read_float(word, what)
        for word, what in zip(words[6:10], ("RMS", "latitude", "longitude", "depth"), strict=True)
    )
    known: dict[str, Any] = {}
    if len(words) >= 15:  # a catalog: magnitude, its scatter, counts of P, S and both; newer ones end with the gap
        known["magnitude"] = _known(read_float(words[10], "magnitude"), -100.0)
        known["n_p"], known["n_s"], known["n_picks"] = (read_int(word, "number of picks") for word in words[12:15])
        known["azimuthal_gap_deg"] = read_float(words[-1], "gap") if len(words) >= 17 else math.nan
    return {
        "event_id": f"{year}-{month:02d}-{day:02d}-{words[0]}",
        "time": moment(year, month, day, hour, minute, second),
        "rms_residual_s": rms,
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "depth_km": depth,
        **known,
    }


def _real_phase(words: list[str], event: dict[str, Any]) -> dict[str, Any]:
    if len(words) < 7:
        raise ValueError(f"{len(words)} words, a phase of REAL has 7 or more")
    network, station, hint = words[:3]
    seconds = read_float(words[4], "travel time")
    return {
        "event_id": event["event_id"],
        "network": network,
        "station": station,
        "phase": phase_of(hint),
        "phase_hint": hint,
        "time": event["time"] + timedelta(microseconds=round(seconds * 1_000_000)),
        "residual_s": read_float(words[6], "residual"),
        "weight": read_float(words[7], "weight") if len(words) > 7 else math.nan,
        "azimuth_deg": read_float(words[8], "azimuth") if len(words) > 8 else math.nan,
    }
