"""The same probabilities and picks as SeisBench, by the command that the documentation names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))
# Rounding in float32, SeisBench's above all: in the window that differs most (PhaseNet/stead, CI.DTP) torch is 4.3e-5
# from the same network in float64, and the kernels 6e-6.
TOLERANCE = {"PhaseNet": 5e-5, "PhaseNetLight": 5e-5, "EQTransformer": 2e-4, "PickflowNet": 2e-4}
REAL = ["PhaseNet/original_converted", "PhaseNet/stead", "PhaseNet/volpick", "EQTransformer/original_converted"]
REAL += ["EQTransformer/volpick", "PhaseNetLight/ethz"]


def parity(*arguments):
    command = [sys.executable, str(ROOT / "benchmarks" / "parity.py"), *arguments]
    process = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.returncode == 0, process.stderr[-2000:]
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]


def assert_equal(row):
    assert row["n_picks"] == row["n_picks_seisbench"], row
    assert row["picks_within_one_sample"] == 1.0, row
    assert row["picks_equal"] >= 0.995, row
    assert row["max_abs_diff"] <= TOLERANCE[row["model"]], row


@pytest.mark.slow
def test_every_fault_gives_the_same_picks():
    rows = parity("--only", "PickflowNet/bundled", "--minutes", "12", "--records", "12")
    faults = next(row for row in rows if row["data"] == "synthetic_faults")
    assert faults["n_picks"] > 50
    for row in rows:
        assert_equal(row)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "seisbench_cache").is_dir(), reason=f"no weights in {SHARED}; set PICKFLOW_SHARED")
def test_all_weights_give_the_same_picks_on_real_records():
    rows = parity("--only", *REAL, "--minutes", "12", "--records", "3")
    assert {f"{row['model']}/{row['weights']}" for row in rows} == set(REAL)
    for row in rows:
        assert_equal(row)


@pytest.mark.nightly
@pytest.mark.slow
def test_the_fast_mode_finds_nearly_the_same_picks():
    (row, *_) = parity("--only", "PickflowNet/bundled", "--minutes", "12", "--records", "12", "--mode", "fast")
    assert abs(row["n_picks"] - row["n_picks_seisbench"]) <= 0.03 * row["n_picks_seisbench"], row
    assert row["picks_equal"] >= 0.9, row
