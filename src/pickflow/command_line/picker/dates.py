"""Dates as users of the picker write them: two-digit years, calendar days or days of the year."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(T00:00:00(\.0+)?Z?)?")
# Two-digit years from here on are of the 20th century, as in strptime.
_PIVOT = 69


def gregorian_date(text: str) -> date:
    """
    Read ``YYMMDD``; ``YYYYMMDD`` and ``YYYY-MM-DD`` are understood too.

    Raises
    ------
    ValueError
        If it is neither, or no day of the calendar.
    """
    if _ISO.fullmatch(text):
        return _calendar_day(text, int(text[:4]), int(text[5:7]), int(text[8:10]))
    if not re.fullmatch(r"\d{6}|\d{8}", text, re.ASCII):
        raise ValueError(f"{text!r} is not a date; write YYMMDD, such as 980131, or 1998-01-31")
    return _calendar_day(text, _year(text[:-4]), int(text[-4:-2]), int(text[-2:]))


def julian_date(text: str) -> date:
    """
    Read ``YYDDD``, DDD being the day of the year from 001, or ``YYYYDDD``; else as `gregorian_date`.

    Raises
    ------
    ValueError
        If it is none of these, or the year has no such day.
    """
    if not re.fullmatch(r"\d{5}|\d{7}", text, re.ASCII):
        try:
            return gregorian_date(text)
        except ValueError as error:
            raise ValueError(f"{error}; with -J also YYDDD, the year and the day in it, such as 98031") from None
    year, day = _year(text[:-3]), int(text[-3:])
    length = 366 if calendar.isleap(year) else 365
    if not 1 <= day <= length:
        raise ValueError(f"{text!r}: {year} has the days 001 to {length}, not {day:03d}")
    return date(year, 1, 1) + timedelta(days=day - 1)


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (1900 if year >= _PIVOT else 2000)


def _calendar_day(text: str, year: int, month: int, day: int) -> date:
    if not 1 <= month <= 12:
        raise ValueError(f"{text!r}: there is no month {month:02d}; write YYMMDD: year, month, day")
    try:
        return date(year, month, day)
    except ValueError:
        if year < 1:
            raise ValueError(f"{text!r}: there is no year {year}") from None
        last = calendar.monthrange(year, month)[1]
        raise ValueError(f"{text!r}: {year}-{month:02d} has the days 01 to {last}, not {day:02d}") from None


def date_ranges(days: list[date], max_ranges: int = 4) -> str:
    """Text of days, such as ``1998-01-01 to 1998-01-10, 1998-02-03``; the first ranges only."""
    ranges: list[list[date]] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1][1] = day
        else:
            ranges.append([day, day])
    texts = [f"{first}" if first == last else f"{first} to {last}" for first, last in ranges[:max_ranges]]
    if len(ranges) > max_ranges:
        texts.append(f"… {ranges[-1][1]}")
    return ", ".join(texts)
