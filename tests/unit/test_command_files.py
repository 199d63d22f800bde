"""Commands on files, without a run: ``pickflow associate``, ``export`` and ``train``."""

import json

import numpy as np
import onnxruntime
import pytest
import yaml

from pickflow.command_line import main, report, train
from pickflow.io.formats import read_bulletin
from pickflow.io.tables import write_table
from pickflow.schemas import PICKS
from pickflow.travel_times.files import nd_text
from tests.association_fixture import LAYERS, make_scene
from tests.conftest import ROOT
from tests.snakemake_runner import SMALL

BUNDLED = ROOT / "src" / "pickflow" / "models" / "bundled" / "PickflowNet"


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """Picks of three known events, the stations and the layers, in files of a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    scene = make_scene([600.0, 1800.0, 3000.0], n_noise=10)
    write_table(scene.picks, PICKS, tmp_path / "picks.parquet", {})
    (tmp_path / "layers.nd").write_text(nd_text(LAYERS))
    stations = "".join(
        f'<Station code="{row.station}"><Latitude>{row.latitude_deg}</Latitude>'
        f"<Longitude>{row.longitude_deg}</Longitude><Elevation>{row.elevation_m}</Elevation><Site><Name>x</Name></Site></Station>"
        for row in scene.stations.itertuples()
    )
    (tmp_path / "stations.xml").write_text(
        '<FDSNStationXML xmlns="http://www.fdsn.org/xml/station/1" schemaVersion="1.1"><Source>x</Source>'
        f'<Created>2026-01-01T00:00:00Z</Created><Network code="SY">{stations}</Network></FDSNStationXML>'
    )
    return scene


def test_picks_in_a_file_become_the_events_that_made_them(scene, capsys):
    words = ["associate", "picks.parquet", "--stations", "stations.xml", "--velocity", "layers.nd"]
    assert main([*words, "--method", "stack", "--to", "csv", "--out", "catalog.csv"]) == 0
    assert "catalog.csv: 3 events" in capsys.readouterr().out
    events = read_bulletin("catalog.csv").events
    assert np.abs((events.time - scene.events.time).dt.total_seconds()).max() < 1.0


def test_picks_without_a_network_get_that_of_the_only_station_of_the_name(scene, capsys):
    lines = ["station,phase,time,probability"]
    lines += [f"{row.station},{row.phase},{row.time.isoformat()},{row.probability}" for row in scene.picks.itertuples()]
    with open("picks.csv", "w") as file:
        file.write("\n".join(lines) + "\n")
    words = ["associate", "picks.csv", "--stations", "stations.xml", "--velocity", "layers.nd", "--method", "stack"]
    assert main([*words, "--out", "catalog.xml"]) == 0
    assert "catalog.xml: 3 events" in capsys.readouterr().out
    picks = read_bulletin("catalog.xml").picks
    assert set(picks.network) == {"SY"}


def test_a_picker_is_exported_with_its_difference_from_torch(tmp_path, capsys):
    assert main(["export", str(BUNDLED), "--out", str(tmp_path / "picker.onnx")]) == 0
    output = capsys.readouterr().out
    card = json.loads((BUNDLED / "card.json").read_text())
    session = onnxruntime.InferenceSession((tmp_path / "picker.onnx").read_bytes())
    shape = session.get_inputs()[0].shape[1:]
    assert shape == [len(card["component_order"]), card["in_samples"]]
    assert f"{shape[0]} components {card['component_order']} x {shape[1]} samples" in output
    difference = float(output.partition("torch by ")[2].split()[0])
    assert 0 <= difference < 1e-4


def test_what_is_no_picker_is_not_exported(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "picker.onnx")]) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("status", [0, 3])
def test_training_is_a_target_of_the_workflow(status, monkeypatch, capsys):
    commands = []
    monkeypatch.setattr(train, "run_process", lambda command: commands.append(command) or status)
    assert main(["train", "--cores", "1"]) == status
    assert commands[0][1] == "train"
    assert str(ROOT / "config" / "train.yaml") in commands[0]
    assert ("PickflowNet/mine: results/train/trained" in capsys.readouterr().out) == (status == 0)


def test_a_report_is_made_from_a_configuration_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(SMALL))
    commands = []
    monkeypatch.setattr(report, "run_process", lambda command: commands.append(command) or 4)
    assert main(["report", "my-run", "--make"]) == 2
    assert commands == []
    assert main(["report", "my.yaml", "--make"]) == 4
    assert commands[0][1] == "report"
    assert "my-run: there is no such configuration" in capsys.readouterr().err
