"""What the fault tests share, and their count: faults injected, and rows lost in the comparisons that were made."""

from __future__ import annotations

import os
import shutil
from collections import Counter

import pandas as pd
import pytest

from tests.snakemake_runner import SMALL, snakemake, tables_of

# Ten minutes before midnight with six events.
SHORT = {**SMALL, "starttime": "2026-01-15T23:50:00Z", "endtime": "2026-01-16T00:00:00Z"}
# What there is when everything is picked.
UP_TO_PICKS = ("inventory", "models", "waveforms", "picks")
# Runs of the workflow that are disturbed take minutes.
RUNS = pytest.mark.skipif(os.environ.get("PICKFLOW_FAULTS") != "1", reason="minutes long: make test-faults")


class Faults:
    """Book of a test: what it broke, and how many rows of undisturbed tables it could not find again."""

    def __init__(self, node):
        self.node = node

    def injected(self, fault):
        self.node.user_properties.append(("fault", fault))

    def nothing_is_lost(self, undisturbed, disturbed_directory, folders=()):
        """Every table has the same rows and every file the same bytes as in a run that nobody disturbed."""
        run = "small"
        expected, tables = (
            {name: content for name, content in tables_of(directory).items() if in_folders(name, folders)}
            for directory in (undisturbed, disturbed_directory)
        )
        assert len(expected) > 10
        n_lost = n_compared = 0
        for name in expected:
            if name.endswith(".parquet"):
                rows = Counter(rows_of(undisturbed / "results" / run / name))
                n_compared += rows.total()
                path = disturbed_directory / "results" / run / name
                n_lost += (rows - Counter(rows_of(path) if path.exists() else ())).total()
        self.node.user_properties += [("rows", n_compared), ("lost", n_lost)]
        assert n_lost == 0
        assert expected.keys() == tables.keys()
        assert [name for name in expected if expected[name] != tables[name]] == []

    def same_table(self, expected, table):
        """A table has all rows of another."""
        rows = Counter(frame_rows(expected))
        n_lost = (rows - Counter(frame_rows(table))).total()
        self.node.user_properties += [("rows", rows.total()), ("lost", n_lost)]
        assert n_lost == 0
        pd.testing.assert_frame_equal(expected, table)


def in_folders(name, folders):
    return not folders or name.split("/")[0] in folders


def rows_of(path):
    return frame_rows(pd.read_parquet(path))


def frame_rows(frame):
    return frame.astype(str).itertuples(index=False, name=None)


@pytest.fixture
def faults(request):
    return Faults(request.node)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Folder of a run that nobody disturbed."""
    directory = tmp_path_factory.mktemp("undisturbed")
    snakemake(directory=directory, config=SHORT)
    return directory


@pytest.fixture
def run_up_to(undisturbed, tmp_path):
    """A copy of the undisturbed run without what comes after a stage."""
    stages = ["synthetic", "inventory", "models", "waveforms", "picks", "events", "located", "amplitudes", "catalog"]

    def copy(stage):
        shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
        results = tmp_path / "results" / "small"
        for later in [*stages[stages.index(stage) + 1 :], "analysis", "logs", "benchmarks"]:
            shutil.rmtree(results / later, ignore_errors=True)
        for name in ("summary.json", "report.html"):
            (results / name).unlink(missing_ok=True)
        return tmp_path

    return copy


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    entries = [entry for report in reports if report.when == "call" for entry in report.user_properties]
    n_faults = sum(name == "fault" for name, _ in entries)
    n_rows, n_lost = (sum(value for name, value in entries if name == kind) for kind in ("rows", "lost"))
    if n_faults:
        terminalreporter.write_line(f"{n_faults} faults injected, {n_lost} rows lost of {n_rows} that were compared")
