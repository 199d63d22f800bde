"""The digest of a day changes with what holds on that day, and with nothing else."""

import re

import pytest
from obspy.core.inventory import Channel, Inventory, Network, Station

from pickflow.download.epochs import epochs_of
from pickflow.io.inventory import stations_table, write_inventory
from pickflow.run.stations_of_days import BEGIN, END, Epoch, StationsOfDays, request_of, text

REQUEST = {"settings": {}, "span": [], "files": {}}
DAYS = ("2024-05-01", "2024-05-02", "2024-05-03")


def digests(epochs, codes=("XX.A",), days=DAYS):
    stations = StationsOfDays(text(REQUEST, codes, epochs), REQUEST)
    return [stations.digest(day) for day in days]


def which_differ(digests_before, digests_after):
    return [day for day, before, after in zip(DAYS, digests_before, digests_after, strict=True) if before != after]


LASTING = Epoch(BEGIN, END, "A HHZ")
OTHER = Epoch(BEGIN, END, "B HHZ")


def test_an_epoch_that_ends_changes_its_last_day_and_those_after_it():
    before = digests([LASTING, OTHER])
    assert which_differ(before, digests([Epoch(BEGIN, "2024-05-02T12:00:00", "A HHZ"), OTHER])) == list(DAYS[1:])


def test_what_changes_on_other_days_changes_nothing():
    before = digests([LASTING, OTHER])
    later = [Epoch(BEGIN, "2024-07-01T00:00:00", "A HHZ"), Epoch("2024-07-01T00:00:00", END, "A HHZ with a new sensor")]
    assert which_differ(before, digests([*later, OTHER])) == []


def test_the_hour_around_a_day_belongs_to_it():
    before = digests([LASTING])
    assert which_differ(before, digests([LASTING, Epoch("2024-05-03T00:30:00", "2024-05-03T00:40:00", "x")])) == [
        *DAYS[1:]
    ]


def test_another_station_changes_every_day():
    assert which_differ(digests([LASTING]), digests([LASTING], codes=("XX.A", "XX.B"))) == list(DAYS)


def test_the_order_of_epochs_means_nothing():
    assert digests([LASTING, OTHER]) == digests([OTHER, LASTING])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"asked": 1}', '{"asked": {}, "stations": 3, "epochs": [3]}'])
def test_without_an_inventory_nothing_is_known(content):
    stations = StationsOfDays(content, REQUEST)
    assert not stations.is_current
    assert stations.digest(DAYS[0]) == "not known yet"


def test_another_file_of_the_same_name_is_another_request(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stations.xml").write_text("one")
    before = request_of({"inventory": ["stations.xml"]}, [])
    assert request_of({"inventory": ["stations.xml"]}, []) == before
    (tmp_path / "stations.xml").write_text("two")
    assert request_of({"inventory": ["stations.xml"]}, []) != before


@pytest.fixture
def inventory_file(tmp_path):
    channels = [
        Channel(code, "", latitude=46.0, longitude=13.0, elevation=100.0, depth=0.0, sample_rate=100.0)
        for code in ("HHZ", "HHN")
    ]
    station = Station("A", latitude=46.0, longitude=13.0, elevation=100.0, channels=channels)
    inventory = Inventory([Network("XX", [station])], source="a test")
    write_inventory(inventory, tmp_path / "stations.xml")
    return tmp_path / "stations.xml", stations_table(inventory)


def digests_of_file(path, stations):
    return digests(epochs_of(path, stations))


def test_a_rate_counts_and_a_remark_for_people_does_not(inventory_file):
    path, stations = inventory_file
    whole = path.read_text()
    before = digests_of_file(path, stations)
    remarked = re.sub(r"</Channel>", "<Sensor><Description>new paint</Description></Sensor></Channel>", whole, count=1)
    assert remarked != whole
    path.write_text(remarked)
    assert digests_of_file(path, stations) == before
    faster = whole.replace("<SampleRate>100.0", "<SampleRate>200.0")
    assert faster != whole
    path.write_text(faster)
    assert which_differ(before, digests_of_file(path, stations)) == list(DAYS)


def test_stations_that_nobody_asked_for_do_not_count(inventory_file):
    path, stations = inventory_file
    before = digests_of_file(path, stations[:0])
    path.write_text(path.read_text().replace("<SampleRate>100.0", "<SampleRate>200.0"))
    assert digests_of_file(path, stations[:0]) == before
