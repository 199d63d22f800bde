import itertools
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickflow.windows import ONE_DAY, day_window, days_between, neighbours, parse_time

moments = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


def test_a_time_without_zone_is_utc():
    assert parse_time("2019-07-04T16:50:10") == datetime(2019, 7, 4, 16, 50, 10, tzinfo=UTC)
    assert parse_time("2019-07-04T18:50:10+02:00") == parse_time("2019-07-04T16:50:10Z")
    assert parse_time(date(2019, 7, 4)) == parse_time("2019-07-04")


@pytest.mark.parametrize("text", ["", "yesterday", "2019-13-01", None])
def test_what_is_not_a_time_is_named(text):
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text)


def test_an_empty_range_is_an_error():
    with pytest.raises(ValueError, match="later"):
        days_between(parse_time("2020-01-02"), parse_time("2020-01-02"))


def test_the_end_at_midnight_does_not_touch_the_next_day():
    assert days_between(parse_time("2020-02-28"), parse_time("2020-03-01")) == ["2020-02-28", "2020-02-29"]


@given(start=moments, length=st.timedeltas(timedelta(seconds=1), timedelta(days=9)))
def test_the_days_cover_the_range_once(start, length):
    end = start + length
    parts = [day_window(day, start, end) for day in days_between(start, end)]
    assert parts[0][0] == start
    assert parts[-1][1] == end
    assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(parts))
    assert all(timedelta(0) < after - before <= ONE_DAY for before, after in parts)


def test_neighbours_stay_inside_the_run():
    days = ["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"]
    assert neighbours("2020-01-01", days) == days[:2]
    assert neighbours("2020-01-03", days) == days[1:]
