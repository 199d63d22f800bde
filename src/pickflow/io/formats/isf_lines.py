"""Lines of IMS1.0 (ISF) and GSE2.0 bulletins, by their columns."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pickflow.io.formats.bulletin import MEASUREMENT, NotUsedError
from pickflow.io.formats.cards import Card
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.times import moment
from pickflow.travel_times.sphere import KM_PER_DEGREE

# Errors are those of 90 % in these formats (IMS1.0 rev. 3; GSE2.0); ours are of one standard deviation.
_ELLIPSE_90 = math.sqrt(-2 * math.log(0.1))  # half axes of a normal distribution in two dimensions
_LINE_90 = 1.644854  # in one dimension
# ASSUME P and S come within an hour after the origin, wherever on Earth, and origins are late by a minute at most.
_EARLIEST, _LATEST = timedelta(seconds=-60), timedelta(hours=1)
_POLARITY = {"c": "U", "d": "D"}
_TYPES = {
    "e": "earthquake",
    "r": "rock burst",
    "i": "induced or triggered event",
    "m": "mining explosion",
    "h": "chemical explosion",
    "x": "experimental explosion",
    "n": "nuclear explosion",
    "s": "landslide",  # in "ls" alone
}


@dataclass
class Origin:
    """An origin: its values, its identifier and author, and remarks of comments."""

    values: dict[str, Any]
    origin_id: str
    event_type: str
    magnitudes: list[dict[str, Any]]
    lines: list[int] = field(default_factory=list)
    is_prime: bool = False
    is_centroid: bool = False


@dataclass
class Phase:
    """A phase line whose day follows from the origin (`clock`), or that has its own date (`time`)."""

    values: dict[str, Any]
    arrival_id: str
    clock: timedelta | None
    time: datetime | None
    defines_time: bool


def _date(text: str) -> datetime:
    match = re.fullmatch(r"(\d{4})[/-]([ \d]\d)[/-]([ \d]\d)", text)
    if not match:
        raise ValueError(f"date {text!r} is not year/month/day")
    return moment(*(int(part) for part in match.groups()))


def _clock(text: str) -> timedelta:
    match = re.fullmatch(r"([ \d]?\d):([ \d]\d):([ \d]?\d(?:\.\d*)?)", text)
    if not match:
        raise ValueError(f"time {text!r} is not hours:minutes:seconds")
    hour, minute, second = (float(part) for part in match.groups())
    if hour > 23 or minute > 59:
        raise ValueError(f"time {text!r}: there is no such hour or minute")
    return timedelta(hours=hour, minutes=minute, microseconds=round(second * 1_000_000))


def _error(card: Card, start: int, end: int, name: str) -> float:
    """An error, which is unknown, or of a fixed value, where it is 0."""
    return card.number(start, end, name) or math.nan


def _place(card: Card, latitude: tuple[int, int], longitude: tuple[int, int]) -> dict[str, float]:
    return {
        "latitude_deg": card.number(*latitude, "latitude"),
        "longitude_deg": card.number(*longitude, "longitude"),
    }


def event_type(text: str) -> str:
    """Words for a code of two letters, such as ``ke`` (known earthquake); empty for ``uk``, unknown."""
    code = re.search(r"\b(?:[ks][eihmnrx]|[df]e|ls)\b", text.lower())
    return _TYPES[code.group()[1]] if code else ""


def ims_origin(line: str) -> Origin:
    """
    A line of an origin block of IMS1.0.

    Raises
    ------
    ValueError
        If a column has an impossible value.
    """
    card = Card(line)
    return Origin(
        values={
            "time": _date(card.field(0, 10)) + _clock(card.field(11, 22)),
            "time_uncertainty_s": _error(card, 24, 29, "error of the time"),
            "rms_residual_s": card.number(30, 35, "RMS"),
            **_place(card, (36, 44), (45, 54)),
            "horizontal_uncertainty_km": _error(card, 55, 60, "half axis") / _ELLIPSE_90,
            "depth_km": card.number(71, 76, "depth"),
            "depth_uncertainty_km": _error(card, 78, 82, "error of the depth") / _LINE_90,
            "n_picks": card.number(83, 87, "number of phases"),
            "n_stations": card.number(88, 92, "number of stations"),
            "azimuthal_gap_deg": card.number(93, 96, "gap"),
        },
        origin_id=card.field(128, 139).split(" ")[0],
        event_type=event_type(card.field(111, 117)),
        magnitudes=[],
    )


def ims_magnitude(line: str) -> tuple[str, dict[str, Any]]:
    """
    A line of a magnitude block: the origin that it belongs to, and the magnitude, NaN if it is a bound (``<``, ``>``).

    Raises
    ------
    ValueError
        If a column has an impossible value.
    """
    card = Card(line)
    value = card.number(6, 10, "magnitude")
    values = {
        "magnitude": math.nan if card.letter(5) in "<>" else value,
        "magnitude_type": card.field(0, 5),
        "magnitude_uncertainty": card.number(11, 14, "error of the magnitude"),
        "n_magnitude_stations": card.number(15, 19, "number of stations"),
    }
    return card.field(30, 41).split(" ")[0], values


def ims_phase(line: str) -> Phase:
    """
    A line of a phase block of IMS1.0.

    Raises
    ------
    NotUsedError
        If it is an amplitude.
    ValueError
        If it is neither a P nor an S, has no time, or a column has an impossible value.
    """
    card = Card(line)
    if not card.field(19, 40):
        raise NotUsedError(MEASUREMENT, "amplitude")
    values = _reading(card, phase=(19, 27), residual=(41, 46), quality=100)
    if not card.field(28, 40):
        raise ValueError(f"phase {values['phase_hint']!r} without a time")
    if card.field(126, 131) == "FDSN":  # ISF 2: authority of the codes, network, location; channel
        values |= {"network": card.field(132, 140), "location": card.field(141, 143).strip("-")}
        values["channel"] = card.field(156, 159).strip("?-")
    return Phase(
        values=values,
        arrival_id=card.field(114, 125).split(" ")[0],
        clock=_clock(card.field(28, 40)),
        time=None,
        defines_time=card.letter(73) == "T",
    )


def gse_origin(line: str) -> Origin:
    """
    First line of an origin of GSE2.0, with up to three magnitudes.

    Raises
    ------
    ValueError
        If a column has an impossible value.
    """
    card = Card(line)
    magnitudes = [
        {
            "magnitude": card.number(start + 2, start + 6, "magnitude"),
            "magnitude_type": card.field(start, start + 2),
            "n_magnitude_stations": card.number(start + 7, start + 9, "number of stations"),
        }
        for start in (71, 82, 93)
    ]
    return Origin(
        values={
            "time": _date(card.field(0, 10)) + _clock(card.field(11, 21)),
            **_place(card, (25, 33), (34, 43)),
            "depth_km": card.number(47, 52, "depth"),
            "n_picks": card.number(56, 60, "number of phases"),
            "n_stations": card.number(61, 65, "number of stations"),
            "azimuthal_gap_deg": card.number(66, 69, "gap"),
        },
        origin_id=card.field(114, 122),
        event_type="",
        magnitudes=magnitudes,
    )


def gse_errors(line: str, origin: Origin) -> None:
    """
    Second line of an origin of GSE2.0, with its errors; they are added to the origin.

    Raises
    ------
    ValueError
        If a column has an impossible value.
    """
    card = Card(line)
    values = {
        "rms_residual_s": card.number(5, 10, "RMS"),
        "time_uncertainty_s": _error(card, 15, 21, "error of the time"),
        "horizontal_uncertainty_km": _error(card, 25, 31, "half axis") / _ELLIPSE_90,
        "depth_uncertainty_km": _error(card, 49, 54, "error of the depth") / _LINE_90,
    }
    errors = [card.number(start, start + 3, "error of the magnitude") for start in (74, 85, 96)]
    origin.values |= values
    origin.event_type = event_type(card.text[102:112])
    for magnitude, error in zip(origin.magnitudes, errors, strict=True):
        magnitude["magnitude_uncertainty"] = error


def gse_phase(line: str) -> Phase:
    """
    A line of a phase block of GSE2.0.

    Raises
    ------
    ValueError
        If it is neither a P nor an S, has no time, or a column has an impossible value.
    """
    card = Card(line)
    values = _reading(card, phase=(23, 30), residual=(53, 58), quality=20)
    return Phase(
        values=values,
        arrival_id=card.field(124, 132),
        clock=None,
        time=_date(card.field(31, 41)) + _clock(card.field(42, 52)),
        defines_time=card.letter(84) == "T",
    )


def _reading(card: Card, phase: tuple[int, int], residual: tuple[int, int], quality: int) -> dict[str, Any]:
    station, hint = card.field(0, 5), card.field(*phase)
    name = phase_of(hint)
    if not station:
        raise ValueError("no station")
    onset = card.letter(quality + 1).lower()
    return {
        "station": station,
        "phase": name,
        "phase_hint": hint,
        "distance_km": card.number(6, 12, "distance") * KM_PER_DEGREE,
        "azimuth_deg": card.number(13, 18, "azimuth"),
        "residual_s": card.number(*residual, "residual"),
        "polarity": _POLARITY.get(card.letter(quality).lower(), ""),
        "onset": onset if onset in ("i", "e") else "",
    }


def phase_time(phase: Phase, origin: datetime) -> datetime:
    """
    Time of a phase: the day on which it comes after its origin.

    Raises
    ------
    ValueError
        If it comes on no day within an hour.
    """
    midnight = origin.replace(hour=0, minute=0, second=0, microsecond=0)
    if phase.time is not None:
        times = [phase.time]
    else:
        times = [midnight + timedelta(days=day) + (phase.clock or timedelta()) for day in (-1, 0, 1)]
    for time in times:
        if _EARLIEST <= time - origin <= _LATEST:
            return time
    raise ValueError(f"not within an hour after the origin at {origin:%Y-%m-%d %H:%M:%S}")
