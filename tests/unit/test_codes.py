import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pickflow.codes import StationCode, code_problem, is_acceleration, matches, parse_station, rank, station_file

NO_CODES = [
    "", ".", "..", "/", "/etc/XA", "../XA", "A/B", "A\\B", "C:", "A.B", "-rf", "A\0", "AAA\n", "\nAAA", "A B", " AAA",
    "AAA ", "*", "?", "[A", "(", "$HOME", "A;B", "Å", "１２", "NINELONG9", "A" * 100_000, None, float("nan"), 7,
]  # fmt: skip


def test_station_codes_have_one_dot():
    assert parse_station("CI.CCC") == StationCode("CI", "CCC")
    assert str(parse_station("CI.*")) == "CI.*"


@pytest.mark.parametrize("text", ["CCC", "CI.CCC.HHZ", "CI CCC", "", "CI.", "CI.CCC\n", "CI./C", "NINELONG9.CCC"])
def test_what_is_not_a_station_is_named(text):
    with pytest.raises(ValueError, match="not network.station"):
        parse_station(text)


def test_patterns_match_whole_codes():
    assert matches(StationCode("CI", "CCC"), ["PB.*", "CI.C*"])
    assert not matches(StationCode("CI", "CCC"), ["CI.CC", "ci.ccc"])


def test_the_empty_location_is_written_as_two_dashes():
    assert rank("", ["--", "00", "*"]) == 0
    assert rank("10", ["--", "00", "*"]) == 2
    assert rank("10", ["--", "00"]) == 2


def test_accelerometers_are_told_from_velocity_sensors():
    assert is_acceleration("HN")
    assert is_acceleration("EN")
    assert not is_acceleration("HH")


@pytest.mark.parametrize("code", ["X", "CI", "XA2024", "a_", "B-7_x", "12345678"])
def test_a_path_is_made_of_codes_as_source_identifiers_have_them(code):
    assert code_problem(code, code, "", "") == ""
    assert station_file("day", code, code) == Path("day", f"{code}.{code}.mseed")


@pytest.mark.parametrize("code", NO_CODES)
def test_no_path_is_made_of_what_is_no_code(code):
    for codes in ((code, "AAA"), ("XA", code)):
        assert " code " in code_problem(*codes)
        with pytest.raises(ValueError, match="no file for such a station"):
            station_file("day", *codes)


@pytest.mark.parametrize("code", [code for code in NO_CODES if code not in ("", "-rf")])
def test_locations_and_channels_that_are_no_codes_are_named(code):
    assert code_problem("XA", "AAA", location=code).startswith("location code")
    assert code_problem("XA", "AAA", channel=code).startswith("channel code")
    assert len(code_problem("XA", "AAA", channel=code)) < 150
    assert "\n" not in code_problem("XA", "AAA", channel=code)


@given(network=st.text(), station=st.text())
def test_a_path_of_codes_lies_in_its_folder_whatever_they_are(network, station):
    try:
        path = station_file("/day", network, station)
    except ValueError:
        return
    assert os.path.normpath(path) == str(path)
    assert path.parent == Path("/day")
