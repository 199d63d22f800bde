"""The synthetic night from end to end: the demo keeps its promises, and a killed run loses nothing."""

import json
import os
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pickflow.command_line import main
from pickflow.command_line.trace.lineage import trace
from pickflow.io.tables import read_table
from pickflow.provenance import code_digest, sha256_of_file
from pickflow.run.outcome import outcome_text
from pickflow.schemas import LEDGER
from tests.snakemake_runner import SMALL, snakemake, start, tables_of, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    directory = tmp_path_factory.mktemp("demo")
    snakemake("--cores", "2", directory=directory)
    return directory / "results" / "demo"


def test_the_bundled_picker_with_pyocto_finds_the_hidden_events(demo):
    catalog = json.loads((demo / "summary.json").read_text())["catalogs"][0]
    assert (catalog["model"], catalog["weights"], catalog["associator"]) == ("PickflowNet", "bundled", "pyocto")
    assert catalog["reference"]["n"] >= 20
    assert catalog["reference"]["recall"] >= 0.9
    assert catalog["reference"]["precision"] >= 0.9


def test_every_station_day_is_accounted_for(demo):
    ledger = read_table(demo / "analysis" / "ledger.parquet", LEDGER)
    assert len(ledger) == 12 * 2
    assert not ledger.duplicated(["network", "station", "date"]).any()
    assert (ledger.loc[ledger["reason"] == "ok", "n_picks"] > 0).all()


def test_the_last_words_name_report_and_numbers(demo):
    words = outcome_text(demo)
    assert "recall" in words
    assert "CPU-seconds per full station-day" in words
    assert (demo / "report.html").stat().st_size < 8e6


def test_the_student_is_smaller_and_stands_beside_its_teacher(demo):
    summary = json.loads((demo / "summary.json").read_text())
    (teacher, student), (_, catalog) = summary["compression"][0]["models"], summary["catalogs"]
    assert student["name"] == catalog["weights"] == "bundled-safe-s50"
    assert student["macs"] <= 0.5 * teacher["macs"]
    assert student["n_parameters"] < teacher["n_parameters"]
    assert student["n_screened"]["gap"] > 0
    assert catalog["reference"]["recall"] >= 0.8
    assert catalog["teacher"]["matched"] + catalog["teacher"]["lost"] == summary["catalogs"][0]["n_events"]
    assert (demo / "models" / "PickflowNet" / student["name"] / "certificate.json").exists()
    assert "Teacher and students" in (demo / "report.html").read_text()


TAUGHT = {**SMALL, "compress": {"target": {"macs": 0.5}, "n_windows": 48, "n_path": 6}}
CATALOG = "catalog/none/PickflowNet/bundled/pyocto"
LATENCY = "results/small/compress/PickflowNet/bundled/latency.json"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    snakemake(directory=directory, config=TAUGHT)
    return directory


def start_and_kill(stage, config, directory):
    """Start a run, or go on with it, and kill all its processes when a stage has begun."""
    process = start(directory=directory, config=config)
    wait_for(directory / "results" / "small" / "logs" / stage, "*.log", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.nightly
def test_a_run_killed_twice_in_the_middle_ends_with_the_same_bytes(undisturbed, tmp_path):
    config = tmp_path / "test-config.yaml"
    config.write_text(yaml.safe_dump(TAUGHT))
    start_and_kill("pick", config, tmp_path)
    start_and_kill("compress", config, tmp_path)
    assert not (tmp_path / "results" / "small" / "summary.json").exists()
    snakemake(directory=tmp_path, config=config)
    # Times are measured: with those of the other run, the page is the same as well.
    shutil.copy(undisturbed / LATENCY, tmp_path / LATENCY)
    snakemake("--forcerun", "report", directory=tmp_path, config=config)
    expected, tables = tables_of(undisturbed), tables_of(tmp_path)
    assert len(expected) > 40
    assert expected.keys() == tables.keys()
    assert [name for name in expected if expected[name] != tables[name]] == []


def test_every_event_leads_to_its_traces_and_weights(undisturbed):
    run = undisturbed / "results" / "small"
    events = pd.read_parquet(run / CATALOG / "catalog.parquet")
    assert len(events) >= 3
    for event in events.itertuples():
        record = next(item for item in trace(run, event.event_id) if CATALOG in item["table"])
        assert len(record["arrivals"]) == event.n_picks
        assert {file["state"] for file in record["files"]} == {"same"}
        assert {stage["code"] for stage in record["stages"].values()} == {code_digest()}
        stages = {label.split()[0] for label in record["stages"]}
        assert stages == {"inventory", "download", "pick", "associate", "locate", "magnitude"}
        for arrival in record["arrivals"]:
            assert arrival["trace"].startswith("SY.")
            assert arrival["waveforms_sha256"] == sha256_of_file(arrival["waveforms"])
            assert arrival["weights_sha256"] == sha256_of_file(run / "models/PickflowNet/bundled/model.safetensors")


def test_a_pick_leads_there_as_well(undisturbed):
    run = undisturbed / "results" / "small"
    pick = pd.read_parquet(run / "picks/none/PickflowNet/bundled/2026-01-16.parquet").iloc[0]
    record = next(trace(run, pick["pick_id"]))
    assert record["kind"] == "pick"
    assert record["arrivals"][0]["trace"] == f"{pick['network']}.{pick['station']}.{pick['location']}.{pick['channel']}"
    assert {label.split()[0] for label in record["stages"]} == {"inventory", "download", "pick"}


def test_a_file_that_changed_or_is_gone_is_named(undisturbed, tmp_path, capsys):
    run = undisturbed / "results" / "small"
    copy = tmp_path / "small"
    shutil.copytree(run, copy)
    event = pd.read_parquet(copy / CATALOG / "catalog.parquet").iloc[0]["event_id"]
    assert main(["trace", event, "--run", str(copy)]) == 0
    output = capsys.readouterr().out
    assert "files are as they were" in output
    arrivals = next(trace(copy, event))["arrivals"]
    changed_file, removed_file = arrivals[0]["waveforms"], arrivals[-1]["waveforms"]
    assert changed_file != removed_file
    with open(changed_file, "r+b") as file:
        file.seek(1000)
        file.write(b"\xff\xff\xff\xff")
    Path(removed_file).unlink()
    assert main(["trace", event, "--run", str(copy), "--json"]) == 1
    states = {file["path"]: file["state"] for file in json.loads(capsys.readouterr().out)[0]["files"]}
    assert states[changed_file] == "CHANGED"
    assert states[removed_file] == "gone"


def test_a_name_that_is_no_name_or_too_short_is_said(undisturbed, capsys):
    run = undisturbed / "results" / "small"
    assert main(["trace", "e", "--run", str(run)]) == 2
    assert "is the beginning of" in capsys.readouterr().err
    assert main(["trace", "nothing", "--run", str(run)]) == 1
    assert "no event or pick 'nothing'" in capsys.readouterr().err
