"""Locations as rows of numbers: hypoDD's ``.reloc`` and ``.loc``, and ZMAP."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

import numpy as np

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.cards import lines_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.programs import UNKNOWN_MAGNITUDE, read_float
from pickflow.io.formats.times import moment, time_id

_RELOC_COLUMNS = (18, 24)  # .loc, .reloc
_ZMAP_COLUMNS = range(9, 18)
# A year with decimals is within these of the date beside it, where it has two of them.
_YEAR_TOLERANCE = 0.02
_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def _numbers(line: str) -> list[float] | None:
    """Numbers of a line, NaN included; None if it holds anything else."""
    fields = re.split(r"[\s,;]+", line.strip())
    try:
        return [math.nan if "*" in field else float(field) for field in fields]
    except ValueError:
        return None


def looks_like_reloc(lines: list[str]) -> bool:
    """Whether the first lines have the columns of hypoDD's locations."""
    rows = [_numbers(line) for line in lines[:5]]
    return any(
        row is not None and len(row) in _RELOC_COLUMNS and _is_place(row[2], row[1]) and _is_date(row[10:15])
        for row in rows
    )


def looks_like_zmap(lines: list[str]) -> bool:
    """Whether the first lines have the columns of ZMAP."""
    rows = [_numbers(line) for line in lines[:5]]
    return any(
        row is not None
        and len(row) in _ZMAP_COLUMNS
        and _is_place(row[0], row[1])
        and 1500 <= row[2] < 2200
        and (math.isnan(row[3]) or _is_date([math.floor(row[2]), *row[3:5], *np.nan_to_num(row[7:9])]))
        for row in rows
    )


def _is_place(longitude: float, latitude: float) -> bool:
    return abs(longitude) <= 360 and abs(latitude) <= 90


def _is_date(parts: list[float]) -> bool:
    year, month, day, hour, minute = parts
    ranges = ((year, 1500, 2200), (month, 1, 12), (day, 1, 31), (hour, 0, 24), (minute, 0, 60))
    return all(low <= part <= high and part == int(part) for part, low, high in ranges)


def parse_reloc(text: str, name: str) -> Bulletin:
    """
    Locations of hypoDD (Waldhauser, 2001): ``hypoDD.reloc`` with 24 columns, ``hypoDD.loc`` with 18.

    The horizontal error is the larger one of EX and EY, in metres as EZ; errors of 0 and RMS below 0 are unknown. The
    RMS is that of the catalog's times, else that of cross-correlation. Counts of differential times are no picks.
    Where all magnitudes are 0, none is known.
    """
    reading = Reading(name, "hypodd-reloc", lines_of(text))
    ids: dict[str, int] = {}
    for number, line in enumerate(reading.lines, 1):
        if not line.strip() or line.strip()[:2].upper() == "ID":
            reading.header(number)
            continue
        with reading.item(number, "event"):
            reading.add_event(_relocated(line.split(), ids), number)
    forget_zeros(reading)
    return reading.bulletin()


def _relocated(fields: list[str], ids: dict[str, int]) -> dict[str, Any]:
    if len(fields) not in _RELOC_COLUMNS:
        raise ValueError(f"{len(fields)} columns, hypoDD's locations have 24, or 18 before they are moved")
    latitude, longitude, depth, *_ = (read_float(field, "place") for field in fields[1:4])
    errors_m = [math.nan if "*" in field else read_float(field, "error") for field in fields[7:10]]
    year, month, day, hour, minute = (_whole(field, "part of the date") for field in fields[10:15])
    time = moment(year, month, day, hour, minute, read_float(fields[15], "seconds"))
    magnitude = read_float(fields[16], "magnitude")
    rms_s = [math.nan if "*" in field else read_float(field, "RMS") for field in fields[21:23]]
    east, north, down = (math.nan if error <= 0 else error / 1000 for error in errors_m)
    return {
        "event_id": free_id(fields[0], ids),
        "time": time,
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "depth_km": depth,
        "horizontal_uncertainty_km": float(np.fmax(east, north)),
        "depth_uncertainty_km": down,
        "magnitude": math.nan if magnitude == UNKNOWN_MAGNITUDE else magnitude,
        "rms_residual_s": next((value for value in reversed(rms_s) if value > 0), math.nan),
    }


def _whole(text: str, name: str) -> int:
    value = read_float(text, name)
    if value != int(value):
        raise ValueError(f"{name} {text!r} is no whole number")
    return int(value)


def parse_zmap(text: str, name: str) -> Bulletin:
    """
    Events of ZMAP (Wiemer, 2001): longitude, latitude, year, month, day, magnitude, depth, hour, minute and more.

    Seconds may follow, and behind these the errors of CSEP: horizontal and of depth (km), and of the magnitude. The
    time is that of the date; a year with decimals counts alone where there is no date. Identifiers are times.
    """
    reading = Reading(name, "zmap", lines_of(text))
    rows = [_numbers(line) for line in reading.lines]
    is_decimal = any(row is not None and len(row) > 2 and row[2] % 1 != 0 for row in rows)
    ids: dict[str, int] = {}
    for number, (line, row) in enumerate(zip(reading.lines, rows, strict=True), 1):
        if not line.strip() or line.lstrip()[0] in "%#":
            reading.header(number)
            continue
        with reading.item(number, "event"):
            if row is None:
                raise ValueError("words that are no numbers")
            reading.add_event(_zmap_event(row, is_decimal, ids), number)
    return reading.bulletin()


def _zmap_event(row: list[float], is_decimal: bool, ids: dict[str, int]) -> dict[str, Any]:
    if len(row) not in _ZMAP_COLUMNS:
        raise ValueError(f"{len(row)} columns, ZMAP has 9 or more: longitude, latitude, year, month, day, magnitude, …")
    longitude, latitude, *_, magnitude, depth = row[:7]
    columns = row[7:]
    time = _zmap_time(row, is_decimal)
    horizontal, vertical, scatter = (columns[3:6] + [math.nan] * 3)[:3]
    return {
        "event_id": free_id(time_id(time), ids),
        "time": time,
        "latitude_deg": latitude,
        "longitude_deg": longitude,
        "depth_km": depth,
        "magnitude": magnitude,
        "horizontal_uncertainty_km": horizontal,
        "depth_uncertainty_km": vertical,
        "magnitude_uncertainty": scatter,
    }


def _zmap_time(row: list[float], is_decimal: bool) -> datetime:
    """
    Time of a row.

    Raises
    ------
    ValueError
        If there is none, or the year with decimals and the date contradict each other.
    """
    year, month, day = row[2:5]
    hour, minute = row[7:9]
    second = row[9] if len(row) > 9 and not math.isnan(row[9]) else 0.0
    if math.isnan(year):
        raise ValueError("no year")
    if math.isnan(month) or math.isnan(day) or month == 0:
        if year % 1 == 0:
            raise ValueError(f"year {year:g} without a month and a day")
        start, end = moment(int(year), 1, 1), moment(int(year) + 1, 1, 1)
        return start + (year % 1) * (end - start)
    date_hour = [int(part) for part in (month, day, np.nan_to_num(hour))]
    whole = int(year)
    if is_decimal and 1 <= month <= 12:  # 2024-12-31T23:50 may be 2025.0000 there
        share = (_DAYS[date_hour[0] - 1] + day - 1 + np.nan_to_num(hour) / 24) / 365
        if abs(year - share - round(year - share)) <= _YEAR_TOLERANCE:
            whole = round(year - share)
        elif year % 1 != 0:
            raise ValueError(f"year {year:g} and the date {month:g}-{day:g} contradict each other")
    return moment(whole, date_hour[0], date_hour[1], date_hour[2], int(np.nan_to_num(minute)), second)


def forget_zeros(reading: Reading) -> None:
    """Magnitudes of programs that must write one: where all are 0, they are unknown."""
    if all(event["magnitude"] == 0 or math.isnan(event["magnitude"]) for event in reading.events):
        reading.events = [event | {"magnitude": math.nan} for event in reading.events]
