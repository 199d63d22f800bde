"""Times of catalogs: from their parts, from text and from numbers, in the years that nanoseconds can hold."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd

# 64 bits of nanoseconds since 1970 end in 1677 and 2262; a year is left for what is added.
FIRST_YEAR, LAST_YEAR = 1679, 2260
# ASSUME two digits from 70 on are years of the last century: digital networks begin about then.
_FIRST_OF_TWO_DIGITS = 70
_LONGEST_S = 366 * 86_400.0  # of what is added to a time
# Numbers stand for times from 1973 to 2099, or from 1900 if they are negative: units then do not overlap.
_UNITS_PER_S = (1, 10**3, 10**6, 10**9)
_EARLIEST_S, _LATEST_S, _BEFORE_1970_S = 10**8, 4_102_444_800, -2_208_988_800
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,2})?", re.ASCII)
_COMPACT = re.compile(
    r"((?:19|20)\d\d)(0[1-9]|1[0-2])([0-3]\d)(?:([0-2]\d)(?:([0-5]\d)([0-6]\d(?:\.\d*)?)?)?)?", re.ASCII
)
_COMPACT_MS = re.compile(r"(\d{14})(\d{3})", re.ASCII)
_WRITTEN = re.compile(
    r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|-(\d{3}))(?:(?:T|[ ,;]+)(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:[.,]\d*)?))?)?"
    r" *(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


def moment(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: float = 0.0) -> datetime:
    """
    A time from its parts, in UTC; hours (up to 48), minutes and seconds may pass into the next day, hour or minute.

    Raises
    ------
    ValueError
        If there is no such day, it lies outside the years that nanoseconds can hold, or a part is out of all bounds.
    """
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ValueError(f"year {year} is not within {FIRST_YEAR} to {LAST_YEAR}")
    try:
        day_start = datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"date {year}-{month:02d}-{day:02d}: {error}") from None
    if not 0 <= hour <= 48 or not 0 <= minute <= 60:
        raise ValueError(f"{hour:02d}:{minute:02d} is no hour and minute")
    return add_seconds(day_start + timedelta(hours=hour, minutes=minute), second)


def add_seconds(time: datetime, seconds: float) -> datetime:
    """
    A time and some seconds more, to the microsecond.

    Raises
    ------
    ValueError
        If these are more than a year, or no number.
    """
    if not abs(seconds) <= _LONGEST_S:
        raise ValueError(f"{seconds:g} s from {time:%Y-%m-%d %H:%M} is no time of an earthquake")
    return time + timedelta(microseconds=round(seconds * 1_000_000))


def full_year(text: str) -> int:
    """
    Year of two digits, or of three as programs count from 1900 (124 is 2024).

    Two digits from 70 on are of the 20th century, others of the 21st.

    Raises
    ------
    ValueError
        If it is no year.
    """
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit():
        raise ValueError(f"year {text!r} is no number")
    year = int(digits[:9])
    if len(digits) > 2:
        return 1900 + year if year < 1000 else year
    return 1900 + year if year >= _FIRST_OF_TWO_DIGITS else 2000 + year


def time_id(time: datetime) -> str:
    """Identifier of an event that has no other: its time, to a hundredth of a second."""
    return time.strftime("%Y%m%dT%H%M%S.%f")[:18]


def read_time(text: str) -> pd.Timestamp:
    """
    A time as people and programs write it, to the nanosecond, in UTC.

    ISO 8601 and its relatives (``2024-03-05T10:01:00.5Z``, ``2024/03/05 10:01:60``, ``2024-065T24:00``); numbers of
    seconds, milliseconds, microseconds or nanoseconds since 1970, by their size; ``20240305100100.5``.

    Parameters
    ----------
    text : str
        Without a zone, it is UTC.

    Returns
    -------
    Timestamp

    Raises
    ------
    ValueError
        If it is no time, or could be more than one: years with decimals, days of 1900 or of Julius, seconds of a day.
    """
    number = text.strip()
    if _NUMBER.fullmatch(number):
        return _from_number(number)
    match = _WRITTEN.fullmatch(number)
    if match is None:
        raise ValueError(f"{text!r} is no time")
    year, _, month, day, day_of_year, hour, minute, second, zone = match.groups()
    if day_of_year is not None:
        first = moment(int(year), 1, 1)
        if not 1 <= int(day_of_year) <= 366:
            raise ValueError(f"{text!r} is no time: no such day of a year")
        start = add_seconds(first, (int(day_of_year) - 1) * 86_400.0)
    else:
        start = moment(int(year), int(month), int(day))
    return _add(start, int(hour or 0), int(minute or 0), (second or "0").replace(",", "."), zone or "", text)


def _add(start: datetime, hour: int, minute: int, second: str, zone: str, text: str) -> pd.Timestamp:
    """Parts of a day to its start: 24:00 is the next one, and a minute may have 60 seconds."""
    seconds = Decimal(second)
    if hour > 24 or minute > 59 or seconds > 60 or (hour == 24 and (minute or seconds)):
        raise ValueError(f"{text!r} is no time: hours go to 24, minutes to 59, seconds to 60")
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)?", zone)
    away_s = 0 if offset is None else int(offset[1] + "1") * (int(offset[2]) * 3600 + int(offset[3] or 0) * 60)
    whole = (date(start.year, start.month, start.day) - date(1970, 1, 1)).days * 86_400 + hour * 3600 + minute * 60
    return _from_ns((whole - away_s) * 10**9 + round(seconds * 10**9), text)


def _from_ns(value: int, text: str) -> pd.Timestamp:
    try:
        return pd.Timestamp(value, unit="ns", tz="UTC")
    except (OverflowError, pd.errors.OutOfBoundsDatetime):
        raise ValueError(f"{text!r} is not within the years {FIRST_YEAR} to {LAST_YEAR}") from None


def _from_number(text: str) -> pd.Timestamp:
    """Since 1970, or year, month, day and so on in one number; ambiguous numbers are refused."""
    number = Decimal(text)
    milliseconds = _COMPACT_MS.fullmatch(text)
    compact = _COMPACT.fullmatch(text if milliseconds is None else f"{milliseconds[1]}.{milliseconds[2]}")
    epoch_ns = [
        int(number * 10**9 / per_s)
        for per_s in _UNITS_PER_S
        if _EARLIEST_S * per_s <= number < _LATEST_S * per_s or _BEFORE_1970_S * per_s <= number <= -_EARLIEST_S * per_s
    ]
    if compact is not None and not epoch_ns:
        year, month, day, hour, minute, second = compact.groups()
        start = moment(int(year), int(month), int(day))
        return _add(start, int(hour or 0), int(minute or 0), second or "0", "", text)
    if compact is not None or len(epoch_ns) != 1 or set(text) <= set("+-9."):
        raise ValueError(f"{text!r} is no time: neither seconds since 1970 nor year, month, day, … in one number")
    return _from_ns(epoch_ns[0], text)


def read_times(texts: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """
    Many times at once; see `read_time`.

    Parameters
    ----------
    texts : Series of str
        Empty: unknown.

    Returns
    -------
    times : Series of datetime64[ns, UTC]
        NaT where there is none.
    faults : ndarray of str, shape (n,)
        What is wrong with a text; empty: nothing.
    """
    plain = texts.str.fullmatch(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?Z?").to_numpy(bool)
    times = pd.to_datetime(texts.where(plain, None), utc=True, format="ISO8601", errors="coerce")
    stamps = times.to_numpy("datetime64[ns]", copy=True)
    faults = np.full(len(texts), "", object)
    values = texts.to_numpy(object)
    for index in np.flatnonzero(np.isnat(stamps) & (values != "")):
        try:
            stamps[index] = read_time(values[index]).to_datetime64()
        except ValueError as error:
            faults[index] = str(error)
    return pd.Series(stamps, texts.index).dt.tz_localize("UTC"), faults
