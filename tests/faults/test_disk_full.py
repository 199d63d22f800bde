"""A disk that is full: an error that names the file, and nothing half written with a final name."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.denoise import denoise_day
from pickflow.io.atomic import StorageError, write_text
from pickflow.io.tables import conform, write_table
from pickflow.io.waveforms import write_stream
from pickflow.provenance import sha256_of_file
from pickflow.run.settings.denoise import DenoiseParams
from pickflow.schemas import MANIFEST, STATIONS
from tests.faults.conftest import RUNS, SHORT
from tests.snakemake_runner import snakemake


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB, which can be made larger."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def enlarge(disk, size="400m"):
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def write_waveforms(path):
    samples = np.random.default_rng(0).integers(-(2**20), 2**20, 1_000_000).astype(np.int32)
    write_stream(obspy.Stream([obspy.Trace(samples, {"station": "AAA", "channel": "HHZ"})]), path)


def write_stations(path):
    codes = [f"S{index:06d}" for index in range(200_000)]
    numbers = np.random.default_rng(0).normal(size=(len(codes), 3))
    frame = pd.DataFrame(numbers, columns=["latitude_deg", "longitude_deg", "elevation_m"])
    write_table(frame.assign(network="XX", station=codes), STATIONS, path, {})


@pytest.mark.parametrize(
    "write",
    [write_waveforms, write_stations, lambda path: write_text(path, "x" * 3_000_000)],
    ids=["mseed", "parquet", "text"],
)
def test_a_full_disk_is_named_and_what_was_there_stays(small_disk, tmp_path, write, faults):
    target = small_disk / "results" / "file"
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(StorageError, match=r"results/file: no space left on the disk.*start the same command again"):
        write(target)
    assert target.read_bytes() == b"old"
    assert list(target.parent.iterdir()) == [target]
    enlarge(small_disk)
    write(target)
    write(tmp_path / "elsewhere")
    assert target.read_bytes() == (tmp_path / "elsewhere").read_bytes()
    faults.injected("a full disk")


def test_a_full_disk_is_not_charged_to_the_station(small_disk, tmp_path, faults):
    write_waveforms(tmp_path / "in" / "XX.AAA.mseed")
    row = {name: "" for name in MANIFEST.schema.names} | {"network": "XX", "station": "AAA", "usable": True}
    row |= {"sampling_rate_hz": 1.0, "coverage": 1.0, "n_gaps": 0, "sensitivity_counts_per_unit": 1.0}
    manifest = conform(pd.DataFrame([row | {"sha256": sha256_of_file(tmp_path / "in" / "XX.AAA.mseed")}]), MANIFEST)
    params = DenoiseParams(minimum_frequency_hz=0.1, maximum_frequency_hz=0.4, corners=4)
    with pytest.raises(StorageError, match=r"XX\.AAA\.mseed: no space left"):
        denoise_day(manifest, tmp_path / "in", small_disk / "out", "bandpass", params, None, "cpu", 16, map)
    faults.injected("a full disk under a denoiser")


@RUNS
@pytest.mark.slow
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(small_disk, undisturbed, faults):
    enlarge(small_disk, "6m")
    run = snakemake(directory=small_disk, config=SHORT, check=False)
    assert run.returncode != 0
    assert "no space left on the disk" in run.stdout + run.stderr
    assert "results/small/" in (run.stdout + run.stderr).split("no space left on the disk")[0].splitlines()[-1]
    enlarge(small_disk)
    snakemake(directory=small_disk, config=SHORT)
    faults.injected("a full disk under a run")
    faults.nothing_is_lost(undisturbed, small_disk)
