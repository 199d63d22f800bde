"""``pickflow init``: a commented configuration from what there is, which check has nothing to say against."""

import builtins
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pickflow.command_line import main
from pickflow.command_line.proposal import _region
from pickflow.run.settings.pick import PickParams
from pickflow.travel_times.files import nd_text
from pickflow.travel_times.layers import homogeneous
from tests.fdsn_server import serving
from tests.picker_fixture import network_file, waveform_folder
from tests.waveform_fixture import inventory_of, trace


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of two stations' waveforms of one day, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    return waveform_folder(tmp_path)


def configuration_in(path="my.yaml"):
    return yaml.safe_load(Path(path).read_text())


def test_a_folder_becomes_a_configuration_that_passes_the_check(folder, tmp_path, capsys):
    network_file(tmp_path)
    assert main(["init", str(folder)]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert "a folder of files: 2 stations (XA.AAA, XA.BBB), channels HH at 100 Hz, 2024-03-05" in output.out
    config = configuration_in()
    assert config["run"] == "data-240305-240305"
    assert (config["starttime"], config["endtime"]) == ("2024-03-05T00:00:00Z", "2024-03-06T00:00:00Z")
    assert config["download"] == {
        "source": "directory",
        "path": str(folder),
        "inventory": [str(tmp_path / "network.xml")],
        "stations": ["XA.*"],
        "cache": "results/.cache",
    }
    assert main(["check", "my.yaml"]) == 0
    assert capsys.readouterr().err == ""


def test_beside_each_key_stands_its_description(folder, tmp_path):
    network_file(tmp_path)
    (tmp_path / "layers.nd").write_text(nd_text(homogeneous(6.0, 3.46)))
    assert main(["init", "data", "--velocity", "layers.nd", "--models", "PhaseNet", "--weights", "stead"]) == 0
    lines = (tmp_path / "my.yaml").read_text().splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r" *\w+:", line)]
    assert len(keys) > 12
    assert all(lines[number - 1].lstrip().startswith("# ") for number in keys)
    text = " ".join(line.strip("# ") for line in lines)
    described = PickParams.model_fields["weights"].description
    assert described in text
    assert configuration_in()["associate"]["velocity_model"] == {"file": "layers.nd"}
    assert configuration_in()["pick"] == {"models": ["PhaseNet"], "weights": ["stead"]}
    assert main(["init", "data", "--models", "PickflowNet", "--force"]) == 0
    assert configuration_in()["pick"] == {"models": ["PickflowNet"], "weights": ["bundled"]}
    assert max(map(len, lines)) <= 120


def test_without_stations_it_says_that_nothing_can_be_associated(folder, capsys):
    assert main(["init", "data"]) == 0
    assert "WARNING config key download.inventory: no StationXML" in capsys.readouterr().err


def test_an_archive_is_known_as_one_and_the_days_asked_for_count(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for day, start in (("065", "2024-03-05T10:00Z"), ("067", "2024-03-07T10:00Z")):
        place = tmp_path / "sds" / "2024" / "XA" / "AAA" / "HNZ.D"
        place.mkdir(parents=True, exist_ok=True)
        record = trace("HNZ", station="AAA", starttime=pd.Timestamp(start).to_pydatetime(), rate=50)
        record.write(str(place / f"XA.AAA..HNZ.D.2024.{day}"), format="MSEED")
    assert main(["init", "sds", "--starttime", "2024-03-06", "--out", "part.yaml", "--run", "mine"]) == 0
    config = configuration_in("part.yaml")
    assert config["download"]["source"] == "sds"
    assert config["run"] == "mine"
    assert (config["starttime"], config["endtime"]) == ("2024-03-06", "2024-03-08T00:00:00Z")
    assert "channels HN at 50 Hz, 2024-03-05, 2024-03-07" in (tmp_path / "part.yaml").read_text()


def test_names_that_are_no_codes_are_left_out_and_named(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    for network, station, channel in [
        ("XA", "AAA", "HHZ"),
        ("O{", "BBB", "HHZ"),
        ("X?", "CCC", "HHZ"),
        ("XA", "EEE", "H{Z"),
    ]:
        place = tmp_path / "sds" / "2024" / network / station / f"{channel}.D"
        place.mkdir(parents=True)
        trace().write(str(place / f"{network}.{station}..{channel}.D.2024.065"), format="MSEED")
    assert main(["init", "sds"]) == 0
    assert configuration_in()["download"]["stations"] == ["XA.*"]
    for name in ("'O{'", "'X?'", "'H{Z'"):
        assert name in caplog.text


def test_a_data_centre_is_asked_for_its_stations(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with serving([trace()], inventory_of(["AAA", "BBB"])) as server:
        words = ["--stations", "XA.*", "--starttime", "2024-03-05", "--endtime", "2024-03-07"]
        assert main(["init", server.url, *words]) == 0
        assert "level=channel" in server.requests_to("/fdsnws/station/1/query")[0]
    assert "a data centre: 2 stations (XA.AAA, XA.BBB)" in capsys.readouterr().out
    config = configuration_in()
    assert config["download"]["fdsn"] == {"servers": [server.url]}
    assert config["download"]["stations"] == ["XA.*"]
    assert config["endtime"] == "2024-03-07"


def test_what_is_there_is_never_overwritten_without_being_told(folder, tmp_path, capsys):
    (tmp_path / "my.yaml").write_text("mine")
    assert main(["init", "data"]) == 2
    assert "my.yaml exists and stays as it is" in capsys.readouterr().err
    assert (tmp_path / "my.yaml").read_text() == "mine"
    assert main(["init", "data", "--force"]) == 0
    assert configuration_in()["run"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "name a folder of waveforms or a data centre"),
        (["no/such/folder"], 2, "there is no such folder"),
        (["INGV"], 2, "a data centre needs --stations, --starttime and --endtime"),
        (
            ["INVG", "--stations", "IV.*", "--starttime", "2024-01-01", "--endtime", "2024-01-02"],
            1,
            "'INVG' is neither",
        ),
        (["data", "--stations", "YY.*"], 2, "data: there are no waveforms of YY.* that can be read\n"),
        (["data", "--models", "PhaseNot"], 1, "did you mean 'PhaseNet'"),
        (["data", "--starttime", "soon", "--endtime", "later"], 1, "'soon'"),
        (["data", "--velocity", "nowhere.nd"], 1, "'nowhere.nd' does not exist"),
    ],
)
def test_what_cannot_be_is_named(folder, words, status, message, capsys):
    assert main(["init", *words]) == status
    message_text = capsys.readouterr().err
    assert message in message_text
    assert "Traceback" not in message_text
    assert not Path("my.yaml").exists()


def test_waveforms_far_apart_need_times(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for year in ("1990", "2024"):
        place = tmp_path / "sds" / year / "XA" / "AAA" / "HHZ.D"
        place.mkdir(parents=True)
        record = trace(starttime=pd.Timestamp(f"{year}-03-05T10:00Z").to_pydatetime())
        record.write(str(place / f"XA.AAA..HHZ.D.{year}.064"), format="MSEED")
    assert main(["init", "sds"]) == 2
    assert "say with --starttime and --endtime which ones" in capsys.readouterr().err


def test_on_a_terminal_it_asks_for_what_it_needs(folder, monkeypatch, capsys):
    answers = iter(["", "data", "", "", "asked.yaml"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(builtins, "input", lambda prompt: next(answers))
    assert main(["init"]) == 0
    assert configuration_in("asked.yaml")["download"]["path"] == "data"
    assert capsys.readouterr().out.count("Where are the waveforms?") == 2


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((46.3, 13.0), ("instance", "ne-italy")),
        ((42.5, 13.2), ("instance", "italy")),
        ((46.8, 8.2), ("ethz", None)),
        ((35.7, -117.5), ("scedc", "california")),
        ((-20.0, -70.0), ("iquique", None)),
        ((38.0, 23.7), ("stead", None)),
    ],
)
def test_pickers_and_magnitudes_are_those_of_the_region(place, expected):
    assert _region([place, place, (0.0, 0.0)]) == expected
