"""The synthetic night from end to end: the demo keeps its promises, and a killed run loses nothing."""

import json
import os
import shutil
import signal

import pytest
import yaml

from pickflow.closing import closing_words
from pickflow.io.tables import read_table
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
    words = closing_words(demo)
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
    expected, found = tables_of(undisturbed), tables_of(tmp_path)
    assert len(expected) > 40
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
