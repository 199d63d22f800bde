import pytest

from pickflow.codes import StationCode, is_acceleration, matches, parse_station, rank


def test_station_codes_have_one_dot():
    assert parse_station("CI.CCC") == StationCode("CI", "CCC")
    assert str(parse_station("CI.*")) == "CI.*"


@pytest.mark.parametrize("text", ["CCC", "CI.CCC.HHZ", "CI CCC", "", "CI."])
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
