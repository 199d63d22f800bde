"""Files that the picker is given: which is what, and what a folder of waveforms holds."""

from __future__ import annotations

import json
import shutil
from datetime import date

import pandas as pd
import pytest

from pickflow.command_line.parser import UsageError
from pickflow.command_line.picker.files import Selection, check_key, scan_folder, sort_files
from pickflow.travel_times.files import nd_text
from pickflow.travel_times.layers import homogeneous
from tests.picker_fixture import ON_DAY, configuration, network_file, plan, usual_bands, waveform_folder
from tests.waveform_fixture import trace


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of waveforms, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return waveform_folder(tmp_path)


@pytest.fixture
def stations(tmp_path):
    return network_file(tmp_path)


def test_files_are_told_apart_by_what_they_hold(tmp_path, stations):
    (tmp_path / "model.nd").write_text(nd_text(homogeneous(6.0, 3.46)))
    (tmp_path / "layers.txt").write_text("# top\nDepth; vp; vs\n0; 5.85; 3.29\n22; 6.8; 3.8\n")
    table = tmp_path / "events.dat"
    table.write_text("time,latitude,longitude,depth,mag,id\n2024-03-05T10:02:30,46.3,13.1,8,2.1,e1\n")
    inputs = sort_files([stations, tmp_path / "layers.txt", table])
    assert inputs == ((stations,), tmp_path / "layers.txt", table)
    assert sort_files([tmp_path / "model.nd"]).velocity == tmp_path / "model.nd"
    with pytest.raises(UsageError, match="there can be one velocity model, these are 2"):
        sort_files([tmp_path / "model.nd", tmp_path / "layers.txt"])
    (tmp_path / "list.csv").write_text("station,latitude,longitude\nAAA,46.3,13.1\n")
    with pytest.raises(UsageError, match=r"list\.csv: neither StationXML, nor a velocity model"):
        sort_files([tmp_path / "list.csv"])
    (tmp_path / "list.csv").unlink()
    with pytest.raises(UsageError, match="velocity model"):
        sort_files([tmp_path])


def test_a_bulletin_of_ogs_is_one_whatever_files_of_it_are_given(shared):
    files = sorted((shared / "data" / "ogs-2024").glob("RSFVG-2024.*"))
    assert len(files) == 4
    assert sort_files(files).reference in files
    assert sort_files([*files[:1], shared / "data" / "ogs-2024" / "velocity_1d.nd"]).velocity


def test_bulletins_of_one_name_and_two_endings_are_two(tmp_path):
    table = "time,latitude,longitude,depth,mag,id\n2024-03-05T10:02:30,46.3,13.1,8,2.1,e1\n"
    for names in (("bulletin.2023", "bulletin.2024"), ("events.dat", "events.csv"), ("events.dat", "events.txt")):
        files = [tmp_path / name for name in names]
        for path in files:
            path.write_text(table)
        assert sort_files(files[:1]).reference == files[0]
        assert sort_files([files[0], files[0]]).reference == files[0]
        with pytest.raises(UsageError, match="there can be one bulletin, these are 2: "):
            sort_files(files)


def test_supporting_files_land_in_the_configuration(folder, tmp_path, stations):
    (tmp_path / "model.nd").write_text(nd_text(homogeneous(6.0, 3.46)))
    (tmp_path / "events.csv").write_text("id,time,latitude,longitude\ne1,2024-03-05T10:02:30,46.3,13.1\n")
    config = configuration("-d", folder, *ON_DAY, "-F", "network.xml", "model.nd", "events.csv")
    assert config["download"]["inventory"] == [str(stations)]
    assert config["associate"]["velocity_model"] == {"file": str(tmp_path / "model.nd")}
    assert config["analyze"] == {"reference": {"file": str(tmp_path / "events.csv")}}


def test_station_xml_in_the_directory_is_taken_and_beside_it_is_named(folder, stations):
    planned = plan("-d", folder, *ON_DAY)
    assert "nothing can be associated" in planned.warnings[0]
    assert f"-F {stations}" in planned.warnings[0]
    assert planned.target == "picks_all"
    shutil.copy(stations, folder / "stations.xml")
    planned = plan("-d", folder, *ON_DAY)
    assert planned.config["download"]["inventory"] == [str(folder / "stations.xml")]
    assert planned.target is None


def test_a_key_is_named_but_what_it_holds_is_told_to_nobody(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    key = tmp_path / "token"
    key.write_text("-----BEGIN PGP MESSAGE-----\nvery secret\n")
    key.chmod(0o600)
    assert check_key(key) == []
    key.chmod(0o644)
    assert "chmod 600" in check_key(key)[0]
    key.write_text("name:very secret")
    assert "does not look like an EIDA token" in check_key(key)[1]
    planned = plan("--download", *ON_DAY, "-N", "OX", "-K", key)
    assert "secret" not in json.dumps([planned.config, planned.warnings])


def test_an_sds_archive_is_known_as_one(tmp_path):
    folder = tmp_path / "2024" / "XA" / "AAA" / "HHZ.D"
    folder.mkdir(parents=True)
    for day in ("065", "067"):
        (folder / f"XA.AAA..HHZ.D.2024.{day}").write_bytes(b"-")
    everything = Selection(("*.*",), tuple(usual_bands()), None)
    holding = scan_folder(tmp_path, tmp_path / "cache", everything)
    assert holding == ("sds", (date(2024, 3, 5), date(2024, 3, 7)))
    with pytest.raises(
        UsageError, match="from 2024-03-06 to 2024-03-06; there are waveforms on 2024-03-05, 2024-03-07"
    ):
        scan_folder(tmp_path, tmp_path / "cache", everything._replace(days=(date(2024, 3, 6), date(2024, 3, 6))))


def test_an_sds_file_of_a_day_that_cannot_be_is_left_out_alone_with_the_reason(tmp_path, caplog):
    for year, days in {"2023": ["366"], "2024": ["000", "067", "999"], "0000": ["001"], "9999": ["365"]}.items():
        folder = tmp_path / year / "XA" / "AAA" / "HHZ.D"
        folder.mkdir(parents=True)
        for day in days:
            (folder / f"XA.AAA..HHZ.D.{year}.{day}").write_bytes(b"-")
    everything = Selection(("*.*",), tuple(usual_bands()), None)
    assert scan_folder(tmp_path, tmp_path / "cache", everything) == ("sds", (date(2024, 3, 7),))
    assert [message.rpartition("/")[2] for message in caplog.messages] == [
        "XA.AAA..HHZ.D.0000.001: left out, the year 0000 is not between 1850 and 2200",
        "XA.AAA..HHZ.D.2023.366: left out, '2023366': 2023 has the days 001 to 365, not 366",
        "XA.AAA..HHZ.D.2024.000: left out, '2024000': 2024 has the days 001 to 366, not 000",
        "XA.AAA..HHZ.D.2024.999: left out, '2024999': 2024 has the days 001 to 366, not 999",
        "XA.AAA..HHZ.D.9999.365: left out, the year 9999 is not between 1850 and 2200",
    ]


def test_a_record_that_reaches_a_little_over_midnight_is_of_one_day(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    start = pd.Timestamp("2024-03-05T22:00Z").to_pydatetime()
    trace(starttime=start, seconds=7230, rate=1).write("data/a.mseed", format="MSEED")
    everything = Selection(("*.*",), ("??",), None)
    assert scan_folder(tmp_path / "data", tmp_path / "cache", everything).days == (date(2024, 3, 5),)
