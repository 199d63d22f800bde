"""Damaged data sets: every trace is read or named with a reason, and nothing else is raised than a clear error."""

from __future__ import annotations

import logging
import random
import shutil

import numpy as np
import pandas as pd
import pytest

from pickflow.datasets.reading import open_dataset
from pickflow.datasets.reasons import LABELS_ONLY, REASONS
from pickflow.datasets.splits import Split
from tests.dataset_fixture import noise_row, row, wave, write_set
from tests.fuzz.conftest import seeds
from tests.fuzz.test_catalogs import NASTY

N_TRACES = 12
FILES_A_SEED = 10
RATES = ["0", "-100", "nan", "1e-9", "1e12", "50", "99.99", "inf"]
ORDERS = ["", "Z", "ZZZ", "ENZ", "Z12", "XYQ", "ZNEH", "N"]
PLACES = ["bucket0$", "bucket0$99,:3,:900", "bucket0$-1,:3,:900", "bucket0$1,:900", "bucket0$a,:b"]
PLACES += ["../x", "$", "bucket0$1,::-1", "bucket0$1,:3,100:900", "bucket0$2,0,:900", "bucket0$3,:0,:900"]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Folders of sound sets: in a bucket, and in arrays of their own."""
    arrivals = {"trace_p_arrival_sample": 300.0, "trace_s_arrival_sample": 500.0}
    facts = {"trace_sampling_rate_hz": 100.0, "trace_component_order": "ZNE", "trace_start_time": "", "trace_npts": 900}
    rows = [row(f"e{index}", station_code=f"S{index}", **arrivals, **facts) for index in range(N_TRACES - 4)]
    rows += [noise_row(f"n{index}", station_code=f"S{index}", **facts) for index in range(4)]
    folder = tmp_path_factory.mktemp("good")
    traces = [wave(index, 900) for index in range(N_TRACES)]
    return [write_set(folder / str(bucket), rows, traces, bucket=bucket) for bucket in ("bucket0", None)]


def damage_metadata(rng, folder):
    table = pd.read_csv(folder / "metadata.csv", dtype=str, keep_default_na=False)
    for _ in range(rng.randint(1, 6)):
        column = rng.choice(list(table))
        values = NASTY
        if column == "trace_name":
            values = NASTY + PLACES
        elif column == "trace_sampling_rate_hz":
            values = RATES
        elif column == "trace_component_order":
            values = ORDERS
        table.loc[rng.randrange(len(table)), column] = rng.choice(values)
    if rng.random() < 0.2:
        table = table.drop(columns=rng.choice(list(table)))
    table.to_csv(folder / "metadata.csv", index=False)
    return len(table)


def damage_text(rng, folder):
    content = bytearray((folder / "metadata.csv").read_bytes())
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    end = rng.randrange(len(content)) if rng.random() < 0.3 else len(content)
    (folder / "metadata.csv").write_bytes(bytes(content[:end]))


def damage_samples(rng, folder):
    """Bytes of the samples, and the end of the file; HDF5's own structures are not made to be read when damaged."""
    path = folder / "waveforms.hdf5"
    content = bytearray(path.read_bytes())
    if rng.random() < 0.3:
        path.write_bytes(bytes(content[: rng.randrange(len(content))]))
        return
    start = content.find(wave(0, 900)[0, :4].tobytes())
    for _ in range(rng.randint(1, 200)):
        at = rng.randrange(start, start + 900 * 3 * 4)
        content[at] = rng.randrange(256)
    for _ in range(rng.randint(0, 3)):
        at = start + 4 * rng.randrange(900)
        content[at : at + 4] = np.float32(rng.choice([np.nan, np.inf, 3e38])).tobytes()
    path.write_bytes(bytes(content))


def read_all(folder, rng):
    dataset = open_dataset(folder, split=Split(by=rng.choice(["event", "station", "both", "column"])))
    examined_set = dataset.examined(5)
    for record in examined_set.read():
        assert record.samples.shape[0] == 3
        assert np.isfinite(record.samples).all()
        assert all(0 <= at < record.samples.shape[1] for at in record.picks.values())
        assert record.picks or record.kind == "noise" or record.samples.shape[1] < 900
    return examined_set


@pytest.mark.parametrize("seed", seeds(60))
@pytest.mark.parametrize("damage", [damage_metadata, damage_text, damage_samples])
def test_every_trace_of_a_damaged_set_is_read_or_named(seed, damage, good, tmp_path, fuzz, caplog):
    caplog.set_level(logging.CRITICAL)
    rng = random.Random(f"{seed} {damage.__name__}")
    for number in range(FILES_A_SEED):
        folder = tmp_path / str(number)
        shutil.copytree(rng.choice(good), folder)
        n_rows = damage(rng, folder)
        label = f"{damage.__name__} {seed} {number}"
        with fuzz.file(label, documented=(ValueError,)):
            examined_set = read_all(folder, rng)
            n_left_out = (~examined_set.left_out.reason.isin(LABELS_ONLY)).sum()
            if not set(examined_set.left_out.reason) <= set(REASONS):
                fuzz.lost(label, "a reason without a meaning")
            if damage is not damage_text and len(examined_set) + n_left_out != (n_rows or N_TRACES):
                fuzz.lost(label, f"{len(examined_set)} used and {n_left_out} named of {n_rows or N_TRACES}")
