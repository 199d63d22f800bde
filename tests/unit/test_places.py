"""Where stations are, and when."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from obspy import Inventory, UTCDateTime
from obspy.core.inventory import Channel, Network, Station

from pickflow.io.places import NO_EPOCH, places_at, places_between, places_in_run, stations_table
from tests.costs import MOST_GROWTH, growth


def time(text):
    return pd.Timestamp(text, tz="UTC")


def station(code="MOV", latitude=46.0, longitude=13.0, elevation=100.0, start="2010-01-01", end=None, channels=()):
    epoch = {"start_date": UTCDateTime(start) if start else None, "end_date": UTCDateTime(end) if end else None}
    return Station(code, latitude, longitude, elevation, channels=list(channels), **epoch)


def channel(latitude=46.0, longitude=13.0, elevation=100.0, start="2010-01-01", end=None, code="HHZ"):
    end_date = UTCDateTime(end) if end else None
    start_date = UTCDateTime(start) if start else None
    return Channel(code, "", latitude, longitude, elevation, 0.0, start_date=start_date, end_date=end_date)


def table_of(*stations):
    return stations_table(Inventory(networks=[Network("AA", stations=list(stations))], source="tests"))


def on(table, day):
    [row] = places_between(table, time(day), time(day) + pd.Timedelta(days=1)).to_dict("records")
    return row


def test_each_day_has_the_place_of_its_own_epoch():
    table = table_of(station(end="2020-01-01"), station(latitude=46.5, start="2020-01-01"))
    assert on(table, "2019-12-31")["latitude_deg"] == 46.0
    assert on(table, "2020-01-01")["latitude_deg"] == 46.5
    assert table.remark.isna().all()


def test_a_code_that_was_used_again_has_no_place_between_its_experiments():
    table = table_of(station(start="2017-01-01", end="2018-01-01"), station(latitude=-20.0, start="2019-01-01"))
    row = on(table, "2018-06-01")
    assert np.isnan(row["latitude_deg"])
    assert np.isnan(row["longitude_deg"])
    assert row["remark"] == NO_EPOCH
    assert on(table, "2019-06-01")["latitude_deg"] == -20.0


def test_a_run_has_the_places_that_hold_in_it_whole():
    table = table_of(
        station(end="2012-01-01"), station(latitude=46.5, start="2012-01-01", end="2020-01-01"),
        station(latitude=47.0, start="2020-01-01"), station("OLD", end="2011-01-01"),
    )  # fmt: skip
    rows = places_in_run(table, time("2019-12-31"), time("2020-01-03"))
    assert rows.station.tolist() == ["MOV", "MOV", "OLD"]
    assert rows.latitude_deg.tolist()[:2] == [46.5, 47.0]
    assert rows.starttime[0] == time("2012-01-01")
    assert np.isnan(rows.latitude_deg[2])


@pytest.mark.parametrize("end", ["2020-01-02", "2020-01-03"])
def test_the_places_of_a_run_can_be_narrowed_again(end):
    table = table_of(station(), station("OLD", end="2011-01-01"), station("SHORT", start="2020-01-02T12:00:00"))
    window = (time("2019-12-31"), time(end))
    narrowed_once = places_in_run(table, time("2019-12-31"), time("2020-01-03"))
    pd.testing.assert_frame_equal(places_in_run(narrowed_once, *window), places_in_run(table, *window))


def test_a_longer_run_does_not_change_the_rows_of_a_day():
    table = table_of(station(end="2015-05-03"), station(latitude=46.5, start="2015-05-03"))
    short = places_in_run(table, time("2015-05-01"), time("2015-05-02"))
    longer = places_in_run(table, time("2015-05-01"), time("2015-05-09"))
    assert len(short) < len(longer)
    assert on(short, "2015-05-01") == on(longer, "2015-05-01")


def test_the_day_of_a_move_has_the_place_of_most_of_it():
    table = table_of(station(end="2020-01-01T20:00:00"), station(latitude=46.5, start="2020-01-01T20:00:00"))
    assert on(table, "2020-01-01")["latitude_deg"] == 46.0


def test_picks_are_of_the_place_of_their_time():
    table = table_of(station(end="2020-01-01"), station(latitude=46.5, start="2020-01-01"))
    times = pd.Series([time("2020-01-01T00:00:01"), time("2019-12-31T23:59:59"), time("2009-01-01")])
    codes = pd.DataFrame({"network": "AA", "station": ["MOV", "MOV", "MOV"]})
    latitude = places_at(codes, times, table).latitude_deg
    assert latitude.tolist()[:2] == [46.5, 46.0]
    assert np.isnan(latitude[2])


def test_epochs_that_say_the_same_are_one_row():
    table = table_of(station(end="2015-01-01"), station(start="2015-01-01"))
    assert len(table) == 1
    assert table.starttime[0] == time("2010-01-01")
    assert table.endtime.isna().all()


@pytest.mark.parametrize("end", ["2599-12-31", "9999-12-31", None])
def test_an_open_end_is_open_however_it_is_written(end):
    assert on(table_of(station(end=end)), "2024-01-01")["latitude_deg"] == 46.0


def test_a_missing_start_is_open():
    assert on(table_of(station(start=None, end="2015-01-01")), "1980-01-01")["latitude_deg"] == 46.0


def test_an_epoch_that_ends_before_it_begins_is_taken_as_open_and_told():
    row = on(table_of(station(start="2015-01-01", end="2014-01-01")), "2016-01-01")
    assert row["latitude_deg"] == 46.0
    assert "before it begins" in row["remark"]


def test_of_two_epochs_at_once_the_one_that_begins_last_is_taken_and_told():
    row = on(table_of(station(latitude=46.5, start="2012-01-01"), station(start="2010-01-01")), "2015-01-01")
    assert row["latitude_deg"] == 46.5
    assert "56 km apart" in row["remark"]


def test_a_station_that_moved_by_its_channels_only_is_where_they_are():
    channels = [channel(end="2015-01-01"), channel(latitude=46.5, start="2015-01-01")]
    table = table_of(station(channels=channels))
    assert on(table, "2014-06-01")["latitude_deg"] == 46.0
    row = on(table, "2016-06-01")
    assert row["latitude_deg"] == 46.5
    assert "56 km from the station" in row["remark"]


def test_channels_that_were_always_elsewhere_do_not_move_their_station():
    row = on(table_of(station(channels=[channel(latitude=1.0, longitude=1.0)])), "2016-06-01")
    assert row["latitude_deg"] == 46.0
    assert "the station's are taken" in row["remark"]


def test_channels_that_disagree_leave_the_station_where_it_is():
    channels = [channel(), channel(latitude=46.2, code="HHN")]
    assert on(table_of(station(channels=channels)), "2016-06-01")["latitude_deg"] == 46.0


def test_a_channel_whose_epoch_goes_on_after_the_stations_gives_its_place():
    row = on(table_of(station(end="2012-01-01", channels=[channel(latitude=46.1)])), "2013-01-01")
    assert row["latitude_deg"] == 46.1
    assert "those of its channels" in row["remark"]


def test_zero_latitude_and_longitude_stand_for_unknown():
    row = on(table_of(station(latitude=0.0, longitude=0.0)), "2016-01-01")
    assert np.isnan(row["latitude_deg"])
    assert "stand for unknown" in row["remark"]
    with_channel = on(table_of(station(latitude=0.0, longitude=0.0, channels=[channel()])), "2016-01-01")
    assert with_channel["latitude_deg"] == 46.0


def test_the_equator_is_a_place():
    assert on(table_of(station(latitude=0.0)), "2016-01-01")["latitude_deg"] == 0.0


def test_an_elevation_in_km_is_seen_beside_those_of_the_channels():
    row = on(table_of(station(elevation=1.234, channels=[channel(elevation=1234.0)])), "2016-01-01")
    assert row["elevation_m"] == 1234.0
    assert "in km" in row["remark"]


def test_an_elevation_outside_the_earth_is_unknown():
    row = on(table_of(station(elevation=123456.0)), "2016-01-01")
    assert np.isnan(row["elevation_m"])
    assert row["latitude_deg"] == 46.0
    assert "elevation of 123456 m" in row["remark"]


def test_a_bad_station_leaves_the_others_as_they_are():
    good = station("GOOD", latitude=47.0)
    alone = table_of(good)
    together = table_of(station(latitude=0.0, longitude=0.0, elevation=1e9, start="2020-01-01", end="1990-01-01"), good)
    assert together[together.station == "GOOD"].reset_index(drop=True).equals(alone)


def test_a_response_without_a_place_says_nothing_against_the_place_that_another_file_gives():
    nowhere = station(latitude=0.0, longitude=0.0, elevation=123456.0, start=None)
    assert on(table_of(nowhere), "2016-01-01")["remark"] == "its latitude and longitude are 0, which stand for unknown"
    row = on(table_of(nowhere, station()), "2016-01-01")
    assert (row["latitude_deg"], row["elevation_m"], row["remark"]) == (46.0, 100.0, None)


def test_ten_times_the_epochs_cost_ten_times_as_much():
    days = [UTCDateTime(86400.0 * day) for day in range(2001)]
    epochs = [
        station(latitude=40.0 + number % 7, start=start, end=end, channels=[channel(start=start, end=end)])
        for number, (start, end) in enumerate(pairwise(days))
    ]

    def tabulate(n):
        assert len(table_of(*epochs[:n])) == n

    assert growth(tabulate, 200, 2_000) < MOST_GROWTH


def test_a_channel_without_dates_is_where_it_is_in_the_epoch_of_its_station_only():
    table = table_of(station(end="2012-01-01", channels=[channel(start=None)]))
    assert on(table, "2011-06-01")["latitude_deg"] == 46.0
    assert on(table, "2013-06-01")["remark"] == NO_EPOCH
