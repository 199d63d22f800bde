"""The picker from its command line to the results, as a user runs it from a folder of their own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from pickflow.command_line.picker.options import parse_options
from pickflow.command_line.picker.work import run_picker
from tests.conftest import ROOT
from tests.snakemake_runner import SMALL, snakemake
from tests.waveform_fixture import DAY, trace

pytestmark = pytest.mark.slow


def picker(*arguments, directory):
    """Run scripts/picker.py in a folder, without a terminal."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "picker.py", *map(str, arguments)],
        cwd=directory, env={**os.environ, "OMP_NUM_THREADS": "1", "DISPLAY": ""}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The small synthetic archive."""
    directory = tmp_path_factory.mktemp("archive")
    snakemake("results/small/synthetic", directory=directory, config=SMALL)
    return directory / "results" / "small" / "synthetic"


@pytest.fixture(scope="module")
def first(archive, tmp_path_factory):
    """A run of the archive with files told apart, everything shown, and no screen to show it on."""
    directory = tmp_path_factory.mktemp("a user's folder")
    files = [archive / name for name in ("stations.xml", "velocity.nd", "reference.quakeml")]
    words = ["-v", "-D", "260116", "260116", "--directory", archive / "sds", "-F", *files, "--run", "first"]
    words += [
        "-M",
        "PickflowNet",
        "--pyocto",
        "--pyrocko",
        "--timing",
        "-G",
        "station",
        "--interactive",
        "--cores",
        "1",
    ]
    return directory, words, picker(*words, directory=directory)


def test_a_run_ends_with_a_report_catalogs_and_tables(first):
    directory, _, process = first
    assert process.returncode == 0, process.stderr[-3000:]
    results = directory / "results" / "first"
    catalog = results / "catalog" / "none" / "PickflowNet" / "bundled" / "pyocto"
    for path in ("report.html", "picks_by_group.csv", *(catalog / f"catalog.{end}" for end in ("csv", "markers"))):
        assert (results / path).is_file()
        assert str((results / path).relative_to(directory)) in process.stdout
    assert len(pd.read_csv(catalog / "catalog.csv")) >= 1
    picks = pd.read_csv(results / "picks_by_group.csv", index_col="station")
    tables = pd.concat(
        map(pd.read_parquet, (results / "picks" / "none" / "PickflowNet" / "bundled").glob("*-??.parquet"))
    )
    assert picks["n_picks"].to_dict() == tables["station"].value_counts().reindex(picks.index, fill_value=0).to_dict()
    assert picks["n_in_events"].sum() == len(pd.read_parquet(catalog / "assignments.parquet"))


def test_what_is_shown_is_what_was_asked_for(first):
    directory, _, process = first
    assert "reference events found" in process.stdout
    assert "pick/none.PickflowNet.bundled.2026-01-16.log: INFO" in process.stdout
    assert any(line.split()[:2] == ["pick", "1"] for line in process.stdout.splitlines())
    assert "No terminal or no screen" in process.stdout
    config = yaml.safe_load((directory / "results" / "first" / "picker.yaml").read_text())
    assert (config["starttime"], config["endtime"]) == ("2026-01-16T00:00:00Z", "2026-01-17T00:00:00Z")


def test_the_command_that_is_shown_finds_nothing_left_to_do(first, tmp_path):
    _, _, process = first
    line_of_command = next(line for line in process.stdout.splitlines() if line.startswith("OMP_NUM_THREADS="))
    words = shlex.split(line_of_command)[1:]
    again = subprocess.run([*words, "--dry-run"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "Nothing to be done" in again.stdout + again.stderr


def test_the_same_command_does_nothing_again_and_silently(first):
    directory, words, _ = first
    report = directory / "results" / "first" / "report.html"
    before = report.stat().st_mtime_ns
    process = picker(*[word for word in words if word != "-v"], "--silent", directory=directory)
    assert process.returncode == 0, process.stderr[-3000:]
    assert report.stat().st_mtime_ns == before
    assert process.stderr == ""
    assert all(line.startswith(("results/first/", "No terminal")) for line in process.stdout.splitlines())


def test_without_waveforms_in_the_range_nothing_runs(archive, tmp_path):
    words = ["-v", "-D", "980101", "980110", "--directory", archive / "sds"]
    process = picker(*words, "-M", "PhaseNet", "EQTransformer", "-W", "instance", "original", directory=tmp_path)
    assert process.returncode == 2
    assert "no waveforms of *.* from 1998-01-01 to 1998-01-10" in process.stderr
    assert "there are waveforms on 2026-01-15 to 2026-01-16" in process.stderr
    assert not (tmp_path / "results").exists()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of five minutes of one station, of which nobody knows the place, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for channel in ("HHZ", "HHN", "HHE"):
        trace(channel).write(f"data/{channel}.mseed", format="MSEED")
    return tmp_path


def test_weights_that_cannot_be_had_are_left_out_and_the_others_pick(folder, monkeypatch, capfd):
    # A repository that refuses every connection, as on a node without internet.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    words = ["-d", "data", "-M", "PhaseNet", "PickflowNet", "-W", "jma_wc", "bundled", "--run", "r", "--cores", "1"]
    assert run_picker(parse_options(words), words) == 1
    output = capfd.readouterr()
    assert "weights PhaseNet/jma_wc: not in the cache" in output.err
    assert "PhaseNet/jma_wc: was left out" in output.err
    config = yaml.safe_load((folder / "results" / "r" / "picker.yaml").read_text())
    assert config["pick"]["pairs"] == ["PickflowNet/bundled"]
    # Without coordinates the picks are all that there can be.
    assert "nothing can be associated" in output.err
    assert pd.read_csv(folder / "results" / "r" / "picks_by_group.csv")["n_picks"].sum() >= 2
    assert not (folder / "results" / "r" / "catalog").exists()


def test_a_workflow_that_fails_says_why_and_ends_with_1(folder, capfd):
    words = ["-d", "data", "-M", "PickflowNet", "--run", "r", "--cores", "1", "--silent"]
    options = parse_options(words)
    (folder / "results" / "r").mkdir(parents=True)
    # What the station table should be is a folder that is not empty: the first job cannot write it.
    (folder / "results" / "r" / "inventory" / "stations.parquet" / "in the way").mkdir(parents=True)
    assert run_picker(options, words) == 1
    assert "the workflow failed" in capfd.readouterr().err
    assert DAY in (folder / "results" / "r" / "picker.yaml").read_text()
