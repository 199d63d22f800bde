"""The synthetic night from end to end: the demo keeps its promises, and a killed run loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from pickflow.closing import closing_words
from pickflow.io.tables import read_table
from pickflow.schemas import LEDGER
from tests.snakemake_runner import ROOT, SMALL, snakemake

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


def tables_of(directory):
    """Bytes of every table, catalog and page of a run, by path."""
    results = directory / "results" / "small"
    kinds = ("*.parquet", "*.csv", "*.quakeml", "*.json", "*.html", "*.mseed", "*.safetensors", "*.xml")
    paths = [path for kind in kinds for path in results.rglob(kind)]
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in paths
        if path.relative_to(results).parts[0] not in ("logs", "cache", "benchmarks")
    }


def test_a_run_killed_in_the_middle_ends_with_the_same_bytes(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir()
    killed.mkdir()
    snakemake(directory=undisturbed, config=SMALL)
    (killed / "test-config.yaml").write_text(yaml.safe_dump(SMALL))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(killed)]
    command += ["--configfile", str(killed / "test-config.yaml"), "--cores", "1"]
    process = subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300
    while not list((killed / "results" / "small").glob("logs/pick/*.log")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (killed / "results" / "small" / "summary.json").exists()
    snakemake("--unlock", directory=killed, config=killed / "test-config.yaml")
    snakemake("--rerun-incomplete", directory=killed, config=killed / "test-config.yaml")
    expected, found = tables_of(undisturbed), tables_of(killed)
    assert len(expected) > 30
    assert expected.keys() == found.keys()
    assert [name for name in expected if expected[name] != found[name]] == []
