"""The script that compares two runs says each difference, and passes over provenance alone."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.snakemake_runner import ROOT


def write(folder, code):
    (folder / "picks").mkdir(parents=True)
    (folder / "logs").mkdir()
    frame = pd.DataFrame({"name": ["a", "b"], "value": [1.0, float("nan")]})
    metadata = {b"pickflow": json.dumps({"code": code}).encode()}
    pq.write_table(pa.Table.from_pandas(frame).replace_schema_metadata(metadata), folder / "picks" / "x.parquet")
    (folder / "summary.json").write_text(json.dumps({"provenance": {"code": code}, "n_events": 3}))
    (folder / "report.html").write_text(f"<p>made by {code}</p>")
    (folder / "logs" / "x.log").write_text(code)
    (folder / "day.mseed").write_bytes(b"record")


@pytest.fixture
def runs(tmp_path):
    for name, code in (("one", "0123456789abcdef"), ("other", "fedcba9876543210")):
        write(tmp_path / name, code)
    return tmp_path / "one", tmp_path / "other"


def compare(runs):
    command = [sys.executable, ROOT / "benchmarks" / "same_results.py", *runs]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout.splitlines()


def test_runs_that_differ_in_provenance_alone_are_the_same(runs):
    assert compare(runs) == (0, ["3 files, all the same"])


def test_each_difference_is_a_line(runs):
    second_run = runs[1]
    table = pq.read_table(second_run / "picks" / "x.parquet")
    pq.write_table(table.set_column(1, "value", pa.array([1.0, 2.0])), second_run / "picks" / "x.parquet")
    (second_run / "summary.json").write_text(json.dumps({"n_events": 4}))
    (second_run / "day.mseed").write_bytes(b"another")
    shutil.copy(second_run / "day.mseed", second_run / "more.mseed")
    assert compare(runs) == (
        1,
        [
            f"more.mseed: only in {second_run}",
            "day.mseed: the bytes differ",
            "picks/x.parquet: values differ in value",
            "summary.json: the content differs",
        ],
    )
