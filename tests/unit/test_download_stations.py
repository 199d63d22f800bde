"""Which stations are asked for."""

from __future__ import annotations

import numpy as np
import obspy
import pytest
from obspy import Inventory, UTCDateTime
from obspy.core.inventory import Network, Station

from pickflow.download import download_day, requested_stations
from pickflow.download.fdsn import _without_duplicates
from pickflow.download.metadata import channel_epochs
from tests.waveform_fixture import DAY, END, START, download_params, inventory_of

# At 46.0, 46.5, 47.0 degrees north on one meridian.
INVENTORY = inventory_of(["AAA", "BBB", "CCC"])


def requested_codes(inventory=INVENTORY, **section):
    section.setdefault("inventory", ["given.xml"])
    table = requested_stations(inventory, download_params(path=".", **section))
    return [f"{row.network}.{row.station}" for row in table.itertuples()]


def test_patterns_choose_and_exceptions_take_away():
    assert requested_codes(stations=["XA.*"]) == ["XA.AAA", "XA.BBB", "XA.CCC"]
    assert requested_codes(stations=["*.?B?", "XA.CCC"]) == ["XA.BBB", "XA.CCC"]
    assert requested_codes(stations=["XA.*"], exclude=["XA.B*"]) == ["XA.AAA", "XA.CCC"]


def test_a_station_named_in_full_is_asked_for_even_if_unknown():
    table = requested_stations(INVENTORY, download_params(path=".", inventory=["x"], stations=["XA.AAA", "XB.NEW"]))
    assert table["station"].tolist() == ["AAA", "NEW"]
    assert np.isnan(table["latitude_deg"].iloc[1])


def test_a_rectangle_keeps_what_is_inside():
    rectangle = {"min_latitude_deg": 46.2, "max_latitude_deg": 46.8, "min_longitude_deg": 12, "max_longitude_deg": 14}
    assert requested_codes(domain={"rectangle": rectangle}) == ["XA.BBB"]


def test_a_rectangle_may_cross_the_date_line():
    inventory = inventory_of(["AAA"])
    inventory[0][0].longitude = -179.5
    edges = {"min_latitude_deg": 40, "max_latitude_deg": 50, "min_longitude_deg": 170, "max_longitude_deg": -170}
    assert requested_codes(inventory, domain={"rectangle": edges}) == ["XA.AAA"]


def test_a_ring_keeps_what_is_between_its_radii():
    circle = {"latitude_deg": 46.0, "longitude_deg": 13.0, "min_radius_km": 30, "max_radius_km": 80}
    assert requested_codes(domain={"circle": circle}) == ["XA.BBB"]


def test_of_stations_at_one_place_the_better_network_is_kept():
    inventory = inventory_of(["AAA"]) + inventory_of(["ZZZ"], network="XB")
    assert requested_codes(inventory, min_station_distance_km=1, network_priority=["XB", "*"]) == ["XB.ZZZ"]
    assert requested_codes(inventory, min_station_distance_km=1) == ["XA.AAA"]
    assert requested_codes(inventory) == ["XA.AAA", "XB.ZZZ"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"stations": ["XA.AAB*"]}, r"download\.stations: XA\.AAB\* .* none of the 3 stations; there are XA\.AAA"),
        ({"stations": ["AAA"]}, "is not network.station"),
    ],
)
def test_nothing_to_ask_for_is_an_error_that_names_what_there_is(section, message):
    with pytest.raises(ValueError, match=message):
        requested_codes(**section)


def test_an_empty_inventory_is_an_error():
    with pytest.raises(ValueError, match="no inventory or archive has any station"):
        requested_codes(obspy.Inventory())


HOSTILE = ["/elsewhere/XA", "../XA", "X/A", "X\nA", "XA\0", "X*", "(", "", "X" * 300]


@pytest.mark.parametrize("code", HOSTILE)
@pytest.mark.parametrize("kind", ["network", "station"])
def test_a_station_whose_code_is_none_is_named_and_those_beside_it_are_asked_for(code, kind, caplog):
    hostile = inventory_of(["BAD"])
    if kind == "network":
        hostile[0].code = code
    else:
        hostile[0][0].code = code
    assert requested_codes(hostile + INVENTORY, stations=["*.*"]) == ["XA.AAA", "XA.BBB", "XA.CCC"]
    assert repr(code)[:30] in caplog.text
    assert kind in caplog.text


def test_nothing_outside_the_folder_of_the_day_is_touched(tmp_path):
    victim = tmp_path / "victim" / "XA.AAA.mseed"
    victim.parent.mkdir()
    victim.write_text("not ours")
    table = requested_stations(INVENTORY, download_params(path=".", inventory=["x"], stations=["XA.AAA"]))
    table["network"] = f"{victim.parent}/XA"
    params = download_params(source="sds", path=str(tmp_path))
    with pytest.raises(ValueError, match="network code '/"):
        download_day(DAY, (START, END), table, INVENTORY, params, tmp_path / "day")
    assert victim.read_text() == "not ours"


@pytest.mark.parametrize("code", ["HHZ\nXB BBB", "../Z", "HH/"])
def test_a_channel_whose_code_is_none_is_named_and_those_beside_it_are_known(code, caplog):
    inventory = inventory_of(["AAA"])
    channels = len(inventory[0][0])
    inventory[0][0][0].code = code
    (epochs,) = channel_epochs(inventory).values()
    assert len(epochs) == channels - 1
    assert "channel code" in caplog.text


def test_epochs_of_one_station_at_two_data_centres_are_put_together_and_those_of_both_are_of_the_first():
    def inventory(latitude, *epochs):
        stations = [
            Station("MOV", latitude, 13.0, 0.0, start_date=UTCDateTime(start), end_date=UTCDateTime(end))
            for start, end in epochs
        ]
        return Inventory(networks=[Network("AA", stations=stations)], source="tests")

    old, new = ("2010-01-01", "2015-01-01"), ("2015-01-01", "2020-01-01")
    merged = _without_duplicates([inventory(46.0, old), inventory(47.0, old, new), inventory(48.0, new)])
    assert [station.latitude for network in merged for station in network] == [46.0, 47.0]
