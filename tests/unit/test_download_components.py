"""Which sensor is used, and what the record of a station-day says."""

from __future__ import annotations

import numpy as np
import obspy
import pytest

from pickflow.codes import StationCode
from pickflow.download.metadata import channel_epochs
from pickflow.download.record import make_record
from pickflow.download.remarks import Remark, verdict
from tests.waveform_fixture import END, START, channel_of, download_params, inventory_of, station_stream, trace

PARAMS = download_params(path=".")


def record(stream, channels=None, params=PARAMS):
    epochs = channel_epochs(inventory_of({"AAA": channels}))[StationCode("XA", "AAA")] if channels else []
    return make_record(stream, (START, END), epochs, params)


def codes(result):
    return [remark.code for remark in result.remarks]


def sensor(band, location="", letters="ZNE", **kwargs):
    return station_stream(channels=[band + letter for letter in letters], location=location, **kwargs)


def constant(channel, **kwargs):
    return trace(channel, data=np.full(30_000, 5, np.int32), **kwargs)


def test_an_accelerometer_and_a_velocity_sensor_are_never_mixed():
    result = record(sensor("EH", letters="Z") + sensor("HN"))
    assert (result.columns["channel"], result.columns["components"]) == ("HN", "ZNE")
    assert {piece.stats.channel[:2] for piece in result.stream} == {"HN"}
    assert result.columns["alternatives"] == "--.EH"


def test_location_codes_are_never_mixed():
    result = record(sensor("HH", "00", "Z") + sensor("HH", "10", "NE"))
    assert {piece.stats.location for piece in result.stream} == {"10"}
    assert codes(result) == ["two_components", "duplicate_location"]


@pytest.mark.parametrize(
    ("bands", "chosen"), [(["BH", "HH"], "HH"), (["HN", "EH"], "EH"), (["SH", "HN", "BH"], "BH"), (["HN"], "HN")]
)
def test_of_complete_sensors_the_channel_priority_decides(bands, chosen):
    stream = sum((sensor(band) for band in bands), obspy.Stream())
    assert record(stream).columns["channel"] == chosen


@pytest.mark.parametrize(("locations", "chosen"), [(["10", "00"], "00"), (["20", ""], ""), (["20", "30"], "20")])
def test_of_equal_sensors_the_location_priority_decides(locations, chosen):
    stream = sum((sensor("HH", location) for location in locations), obspy.Stream())
    assert record(stream).columns["location"] == chosen


@pytest.mark.parametrize("letters", ["ZNE", "Z12", "123", "Z23", "012"])
def test_component_sets_are_known(letters):
    assert record(sensor("HH", letters=letters)).columns["components"] == letters


def test_components_of_another_set_are_left_out_and_named():
    result = record(sensor("HH", letters="ZNE1"))
    assert result.columns["components"] == "ZNE"
    assert codes(result) == ["metadata_mismatch"]


def test_components_that_no_set_knows_are_named():
    result = record(sensor("HH", letters="ZNER"))
    assert result.columns["components"] == "ZNE"
    assert [tuple(remark) for remark in result.remarks] == [
        ("metadata_mismatch", "component R does not belong to ZNE"),
    ]


def test_a_sensor_without_any_known_component_is_named():
    result = record(sensor("HH", letters="RT"))
    assert [tuple(remark) for remark in result.remarks] == [("no_channel", "there is only --.HHR, --.HHT")]


def test_channel_codes_that_are_too_short_are_named():
    nameless = sensor("HH", letters="Z")
    nameless[0].stats.channel = "Z"
    assert [tuple(remark) for remark in record(nameless).remarks] == [("no_channel", "there is only --.Z")]
    result = record(sensor("HH") + nameless)
    assert Remark("no_channel", "--.Z left out: no waveforms of a component") in result.remarks
    assert len(result.stream) == 3


def test_a_dead_component_is_dropped_and_a_live_sensor_preferred():
    dead = obspy.Stream([constant("HHZ")]) + sensor("HH", letters="NE")
    assert record(dead.copy()).columns["components"] == "NE"
    assert codes(record(dead.copy())) == ["dead_component", "two_components"]
    assert record(dead + sensor("BH")).columns["channel"] == "BH"


def test_a_dead_sensor_gives_no_waveforms():
    result = record(obspy.Stream([constant("HHZ"), constant("HHN")]))
    assert codes(result) == ["dead_channel"]
    assert not result.stream


def test_constants_for_hours_are_dead_even_if_they_change():
    data = np.repeat(np.array([5, 9], np.int32), 40_000)
    result = record(obspy.Stream([trace("HHZ", data=data)]))
    assert codes(result) == ["dead_channel"]


def test_an_epoch_that_changes_during_the_day_contradicts_nothing():
    change = obspy.UTCDateTime(START) + 100
    old = [channel_of("HH" + letter, rate=50.0, end=change) for letter in "ZNE"]
    new = [channel_of("HH" + letter, start=change) for letter in "ZNE"]
    assert record(sensor("HH"), old + new).remarks == []


def test_a_sensor_with_a_minute_of_data_does_not_displace_a_whole_one():
    assert record(sensor("HH", seconds=60) + sensor("EH")).columns["channel"] == "EH"


def test_components_of_different_rates_are_used_where_no_other_sensor_is_whole():
    mixed = sensor("HH", letters="Z") + sensor("HH", letters="NE", rate=200.0)
    result = record(mixed.copy(), [channel_of("HHZ"), channel_of("HHN", rate=200.0), channel_of("HHE", rate=200.0)])
    assert result.columns["components"] == "ZNE"
    assert [tuple(remark) for remark in result.remarks] == [("wrong_rate", "--.HH: Z 100 Hz, N 200 Hz, E 200 Hz")]
    assert [piece.stats.sampling_rate for piece in result.stream] == [100.0, 200.0, 200.0]
    assert record(mixed + sensor("EN")).columns["channel"] == "EN"


@pytest.mark.parametrize("rate", [1.0, 20.0, 1000.0])
def test_a_component_whose_rate_is_far_from_the_others_costs_itself_alone(rate):
    result = record(sensor("HH", letters="NE") + sensor("HH", letters="Z", rate=rate))
    assert result.columns["components"] == "NE"
    assert result.columns["sampling_rate_hz"] == 100.0
    assert any(f"Z {rate:g} Hz, N 100 Hz, E 100 Hz; Z left out" in remark.detail for remark in result.remarks)


def test_bands_outside_the_priorities_are_named_and_not_used():
    result = record(sensor("LH"))
    assert codes(result) == ["no_channel"]
    assert "LHZ" in result.remarks[0].detail


def test_too_little_coverage_is_told_with_its_number():
    result = record(sensor("HH", seconds=30), params=download_params(path=".", min_coverage=0.5))
    assert codes(result) == ["gap_too_long"]
    assert "10.00 %" in result.remarks[0].detail


def test_lower_case_channel_codes_are_understood():
    assert record(sensor("hh", letters="zne")).columns["components"] == "ZNE"


def test_the_sensitivity_is_that_of_the_vertical_in_metres():
    channels = [channel_of("HHZ", sensitivity=2e9), channel_of("HHN"), channel_of("HHE")]
    channels[0].response.instrument_sensitivity.input_units = "nm/s"
    assert record(sensor("HH"), channels).columns["sensitivity_counts_per_unit"] == pytest.approx(2e18)


def test_an_inventory_with_all_epochs_and_rates_right_has_nothing_to_remark():
    assert record(sensor("HH"), [channel_of("HH" + letter) for letter in "ZNE"]).remarks == []


def test_the_worst_remark_is_the_reason_and_all_are_listed():
    summary = verdict([Remark("gap", "a gap"), Remark("clock_jump", "a jump"), Remark("gap", "another")], True)
    assert (summary.reason, summary.remarks) == ("clock_jump", "clock_jump,gap")
    assert summary.detail == "a jump; a gap; another"


def test_an_unusable_file_beside_good_ones_is_told_in_the_detail_only():
    summary = verdict([Remark("empty_file", "HHE is empty"), Remark("two_components", "")], True)
    assert (summary.reason, summary.detail) == ("two_components", "HHE is empty")
