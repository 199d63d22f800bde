"""Inventories as people have them: what is wrong costs itself alone."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest

from pickflow.io.inventory import read_inventory, stations_table, write_inventory
from tests.waveform_fixture import inventory_of

GOOD = "BBB"


@pytest.fixture
def changed_inventory(tmp_path):
    """A function that writes an inventory of AAA and BBB with a change of the text of AAA, and reads it again."""

    def write_and_read(*changes, name="stations.xml"):
        path = tmp_path / name
        inventory_of(["AAA", GOOD]).write(str(path), format="STATIONXML")
        head, aaa, tail_of_aaa = path.read_text().partition('<Station code="AAA">')
        body, tail, text_of_bbb = tail_of_aaa.partition('<Station code="BBB">')
        for old, new in changes:
            assert old in aaa + body, old
            aaa, _, body = (aaa + body).replace(old, new, 1).partition("\0")
        path.write_text(head + aaa + body + tail + text_of_bbb)
        return read_inventory([path])

    return write_and_read


def rows_of(inventory):
    return {row["station"]: row for row in stations_table(inventory).to_dict("records")}


def test_a_sound_inventory_has_no_remarks(changed_inventory):
    assert all(row["remark"] is None for row in rows_of(changed_inventory()).values())


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (">46.0<", ">146.0<", "latitude 146.0"),
        (">46.0<", ">north<", "latitude north"),
        (">46.0<", ">NaN<", "latitude NaN"),
        (">46.0<", "><", "latitude missing"),
        (">13.0<", ">413.0<", "longitude 413.0"),
        ('<Latitude unit="DEGREES">46.0</Latitude>', "", "latitude missing"),
    ],
)
def test_coordinates_that_are_none_cost_their_station_its_place_and_nothing_else(changed_inventory, old, new, word):
    rows = rows_of(changed_inventory((old, new)))
    assert math.isnan(rows["AAA"]["latitude_deg"]) or "those of its channels" in rows["AAA"]["remark"]
    assert word in rows["AAA"]["remark"]
    assert rows[GOOD]["latitude_deg"] == 46.5
    assert rows[GOOD]["remark"] is None


def test_swapped_coordinates_that_are_out_of_range_are_told(changed_inventory):
    rows = rows_of(changed_inventory((">46.0<", ">113.0<"), (">13.0<", ">46.0<")))
    assert "are they swapped?" in rows["AAA"]["remark"]


def test_an_elevation_that_is_missing_is_sea_level(changed_inventory):
    rows = rows_of(changed_inventory(('<Elevation unit="METERS">100.0</Elevation>', "")))
    assert rows["AAA"]["elevation_m"] == 0.0
    assert "elevation is missing" in rows["AAA"]["remark"]
    assert rows["AAA"]["latitude_deg"] == 46.0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (">-90.0</Dip>", ">-900.0</Dip>"),
        (">0.0</Azimuth>", ">-7.0</Azimuth>"),
        ("<SampleRate>100.0</SampleRate>", "<SampleRate>fast</SampleRate>"),
        ("<Value>1000000000.0</Value>", "<Value>many</Value>"),
        ('<Station code="AAA">', '<Station code="AAA" startDate="yesterday">'),
        ("<Depth", "<Deep"),
    ],
)
def test_a_bad_field_takes_neither_its_station_nor_the_others_along(changed_inventory, old, new):
    changes = [(old, new), ("</Depth>", "</Deep>")] if old == "<Depth" else [(old, new)]
    inventory = changed_inventory(*changes)
    assert set(rows_of(inventory)) == {"AAA", GOOD}
    channels = {station.code: len(station) for network in inventory for station in network}
    assert channels == {"AAA": 3, GOOD: 3}


def test_what_was_mended_is_told_again_when_the_file_of_the_run_is_read(changed_inventory, tmp_path):
    mended = changed_inventory((">46.0<", ">146.0<"))
    write_inventory(mended, tmp_path / "run.xml")
    assert rows_of(read_inventory([tmp_path / "run.xml"])).keys() == rows_of(mended).keys()
    assert "latitude 146.0" in rows_of(read_inventory([tmp_path / "run.xml"]))["AAA"]["remark"]


def test_a_path_with_brackets_is_a_path(tmp_path):
    inventory_of(["AAA"]).write(str(tmp_path / "inv[1].xml"), format="STATIONXML")
    inventory_of(["OTHER"]).write(str(tmp_path / "inv1.xml"), format="STATIONXML")
    assert set(rows_of(read_inventory([tmp_path / "inv[1].xml"]))) == {"AAA"}


@pytest.mark.parametrize("path", ["http://127.0.0.1:9/stations.xml", "*.xml"])
def test_an_address_or_a_pattern_is_no_path(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inventory_of(["AAA"]).write("a.xml", format="STATIONXML")
    with pytest.raises(ValueError, match="No such file"):
        read_inventory([path])


def test_a_gzipped_inventory_is_read(tmp_path):
    inventory_of(["AAA"]).write(str(tmp_path / "a.xml"), format="STATIONXML")
    (tmp_path / "a.xml.gz").write_bytes(gzip.compress((tmp_path / "a.xml").read_bytes()))
    assert set(rows_of(read_inventory([tmp_path / "a.xml.gz"]))) == {"AAA"}


def test_random_damage_never_raises_anything_but_the_documented_error(tmp_path):
    path = tmp_path / "stations.xml"
    inventory_of(["AAA", GOOD]).write(str(path), format="STATIONXML")
    content, random, refusals = path.read_bytes(), np.random.default_rng(5), []
    for _ in range(60):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 3):
            damaged[place] = random.integers(32, 127)
        path.write_bytes(bytes(damaged))
        try:
            stations_table(read_inventory([path]))
        except ValueError as error:
            refusals.append(str(error))
    assert all("stations.xml: not a readable StationXML file" in refusal for refusal in refusals)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(' xmlns="http://www.fdsn.org/xml/station/1"', "").encode(),
        lambda text: b"\n \n" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace('<Station code="AAA">', '<Station code="AAA"><!--Forl\xec-->').encode("latin-1"),
    ],
    ids=["without a namespace", "after blank lines", "in UTF-16", "with a byte order mark", "in another encoding"],
)
def test_how_a_file_is_written_does_not_cost_it(tmp_path, change):
    inventory_of(["AAA", GOOD]).write(str(tmp_path / "a.xml"), format="STATIONXML")
    (tmp_path / "a.xml").write_bytes(change((tmp_path / "a.xml").read_text()))
    inventory = read_inventory([tmp_path / "a.xml"])
    assert {station.code: len(station) for network in inventory for station in network} == {"AAA": 3, GOOD: 3}


def test_the_error_of_a_file_that_is_no_inventory_shows_how_it_begins(tmp_path):
    (tmp_path / "a.xml").write_text("<html><body>Please log in</body></html>")
    with pytest.raises(ValueError, match=r"a\.xml: .*begins with b'<html><body>Please") as error:
        read_inventory([tmp_path / "a.xml"])
    assert "obspy" not in str(error.value)
