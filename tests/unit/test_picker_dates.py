"""The picker's dates: how days are written, and which days a run has."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickflow.command_line.parser import UsageError
from pickflow.command_line.picker.configuration import range_of
from pickflow.command_line.picker.dates import date_ranges, gregorian_date, julian_date
from tests.picker_fixture import configuration, waveform_folder
from tests.waveform_fixture import trace


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of waveforms, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return waveform_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("980101", date(1998, 1, 1)),
        ("240229", date(2024, 2, 29)),
        ("690101", date(1969, 1, 1)),
        ("681231", date(2068, 12, 31)),
        ("19980131", date(1998, 1, 31)),
        ("1998-01-31", date(1998, 1, 31)),
        ("1998-01-31T00:00:00.000000Z", date(1998, 1, 31)),
    ],
)
def test_calendar_days_have_years_of_two_digits_or_four(text, day):
    assert gregorian_date(text) == day


@given(st.dates(date(1969, 1, 1), date(2068, 12, 31)))
def test_every_day_is_read_in_each_of_its_forms(day):
    assert gregorian_date(f"{day:%y%m%d}") == day
    assert [julian_date(f"{day:{form}}") for form in ("%y%j", "%Y%j", "%y%m%d", "%Y%m%d")] == [day] * 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("980231", "1998-02 has the days 01 to 28, not 31"),
        ("981301", "no month 13"),
        ("980100", "not 00"),
        ("9801", "write YYMMDD"),
        ("98010a", "write YYMMDD"),
        ("00000101", "no year 0"),
    ],
)
def test_days_that_do_not_exist_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        gregorian_date(text)


@pytest.mark.parametrize(("text", "message"), [("98366", "001 to 365, not 366"), ("98000", "not 000"), ("9", "YYDDD")])
def test_days_of_the_year_that_do_not_exist_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        julian_date(text)


def test_dates_are_sorted_and_the_last_day_is_included(folder):
    for words in (["-D", "240307", "240304"], ["-J", "24064", "24067"], ["-J", "240304", "240307"]):
        config = configuration("-d", folder, *words)
        assert (config["starttime"], config["endtime"]) == ("2024-03-04T00:00:00Z", "2024-03-08T00:00:00Z")


def test_without_dates_the_run_is_as_long_as_the_waveforms(folder):
    trace(starttime=pd.Timestamp("2024-03-09T10:00Z").to_pydatetime()).write(str(folder / "late"), format="MSEED")
    config = configuration("-d", folder)
    assert (config["starttime"], config["endtime"]) == ("2024-03-05T00:00:00Z", "2024-03-10T00:00:00Z")


def test_waveforms_far_apart_need_dates():
    with pytest.raises(UsageError, match="say with -D"):
        range_of(None, [date(1970, 1, 1), date(2024, 3, 5)])
    year = [date(2023, 1, 1) + timedelta(days=offset) for offset in range(400)]
    assert range_of(None, year) == (year[0], year[-1])


def test_days_are_told_as_ranges():
    days = [date(1998, 1, 1), date(1998, 1, 2), date(1998, 1, 4), date(1998, 1, 2)]
    assert date_ranges(days) == "1998-01-01 to 1998-01-02, 1998-01-04"
    assert date_ranges([date(1998, month, 1) for month in range(1, 10)]).endswith("1998-04-01, … 1998-09-01")
