"""Time windows: UTC days and half-open intervals [start, end)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

ONE_DAY = timedelta(days=1)
# Chosen: before the first seismographs, and the far future; a time outside is a typing error.
EARLIEST, LATEST = datetime(1850, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MOST_DAYS = 20_000  # chosen: 55 years


def parse_time(text: str | datetime | date) -> datetime:
    """
    Read a UTC time written as ISO 8601.

    Parameters
    ----------
    text : str, datetime or date
        ``2019-07-04``, ``2019-07-04T16:50:10`` or ``2019-07-04T16:50:10Z``. YAML may have parsed it already.

    Returns
    -------
    datetime
        Aware, in UTC; a time without a zone is taken as UTC.

    Raises
    ------
    ValueError
        If the text is not a time.
    """
    if isinstance(text, datetime):
        moment = text
    elif isinstance(text, date):
        moment = datetime.combine(text, time())
    else:
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            raise ValueError(f"{text!r} is not a time; write it as 2019-07-04T16:50:10Z") from None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is not a time of our calendar in UTC") from None


def days_between(starttime: datetime, endtime: datetime) -> list[str]:
    """
    UTC days touched by [starttime, endtime), as ``YYYY-MM-DD``.

    Raises
    ------
    ValueError
        If the interval is empty, outside of the years 1850 to 2200, or of more days than a run can have.
    """
    for moment in (starttime, endtime):
        if not EARLIEST <= moment <= LATEST:
            raise ValueError(f"{moment.isoformat()} is not between {EARLIEST.year} and {LATEST.year}; correct the year")
    if (endtime - starttime) / ONE_DAY > MOST_DAYS:
        raise ValueError(
            f"from {starttime.isoformat()} to {endtime.isoformat()} are {(endtime - starttime).days} days, and a run"
            f" has {MOST_DAYS} at most; make several runs"
        )
    if endtime <= starttime:
        raise ValueError(f"endtime {endtime.isoformat()} must be later than starttime {starttime.isoformat()}")
    return [day.isoformat() for day in _dates(starttime.date(), endtime)]


def _dates(day: date, endtime: datetime) -> Iterator[date]:
    while datetime.combine(day, time(), tzinfo=UTC) < endtime:
        yield day
        day += ONE_DAY


def day_window(day: str, starttime: datetime, endtime: datetime) -> tuple[datetime, datetime]:
    """
    Part of [starttime, endtime) that lies in a UTC day.

    Parameters
    ----------
    day : str
        ``YYYY-MM-DD``.

    Returns
    -------
    tuple of datetime
        Half-open [start, end).
    """
    midnight = parse_time(day)
    return max(midnight, starttime), min(midnight + ONE_DAY, endtime)


def span_of(days: Sequence[str]) -> tuple[datetime, datetime]:
    """From the midnight before the first of some days, ``YYYY-MM-DD``, to the one after the last."""
    return parse_time(min(days)), parse_time(max(days)) + ONE_DAY


def neighbours(day: str, days: list[str]) -> list[str]:
    """Days out of ``days`` that are the day before, the day itself or the day after, in order."""
    centre = date.fromisoformat(day)
    dates = {(centre + timedelta(days=offset)).isoformat() for offset in (-1, 0, 1)}
    return [candidate for candidate in days if candidate in dates]
