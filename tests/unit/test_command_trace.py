"""``pickflow trace`` over all runs below ``results/``: one that is damaged is named, and the others are searched."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from pickflow.command_line import main
from pickflow.io.tables import conform, write_table
from pickflow.provenance import provenance, sha256_of_file
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.layout import RunLayout, manifest_of
from pickflow.schemas import EVENTS, MANIFEST, PICKS

DAY = "2024-03-05"
PICK_SET = PickSetKey("none", "PhaseNet", "stead")
CATALOG = CatalogKey(PICK_SET, "pyocto")
PICK = {
    "pick_id": "p0123456789abcdef", "network": "XA", "station": "AAA", "location": "", "channel": "HH", "phase": "P",
    "time": pd.Timestamp(f"{DAY}T10:00Z"), "starttime": pd.Timestamp(f"{DAY}T10:00Z"),
    "endtime": pd.Timestamp(f"{DAY}T10:00Z"), "probability": 0.5, "amplitude_m_s": 1e-6, "snr_db": 9.0,
}  # fmt: skip
STATION_DAY = {
    "network": "XA", "station": "AAA", "date": DAY, "reason": "ok", "remarks": "ok", "detail": "", "usable": True,
    "location": "", "channel": "HH", "components": "ENZ", "alternatives": "", "sampling_rate_hz": 100.0,
    "coverage": 1.0, "n_gaps": 0, "sensitivity_counts_per_unit": np.nan,
}  # fmt: skip


def write_run(name):
    """A run of one pick and no event."""
    run = RunLayout.of(name)
    folder = run.waveforms(DAY)
    folder.mkdir(parents=True)
    waveforms = folder / "XA.AAA.mseed"
    waveforms.write_bytes(b"samples")
    manifest = pd.DataFrame([{**STATION_DAY, "sha256": sha256_of_file(waveforms)}])
    write_table(manifest, MANIFEST, manifest_of(folder), provenance("download", {}, {}))
    card = run.model("PhaseNet", "stead", "card.json")
    card.parent.mkdir(parents=True)
    card.write_text(json.dumps({"sha256": "0" * 64}))
    inputs = {f"waveforms/{DAY}/manifest.parquet": sha256_of_file(manifest_of(folder))}
    write_table(pd.DataFrame([PICK]), PICKS, run.picks(PICK_SET, DAY), provenance("pick", {}, inputs))
    write_table(conform(pd.DataFrame(), EVENTS), EVENTS, run.catalog(CATALOG), provenance("magnitude", {}, {}))
    return run


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_run("friuli"), write_run("veneto")


def garble_catalog(run):
    run.catalog(CATALOG).write_bytes(b"PAR1")
    return "catalog.parquet: not a readable Parquet file"


def garble_card(run):
    run.model("PhaseNet", "stead", "card.json").write_text("{")
    return "card.json: not JSON"


def forget_origin(run):
    write_table(pd.DataFrame([PICK]), PICKS, run.picks(PICK_SET, DAY), {})
    return f"{DAY}.parquet: does not say what it was made from"


def test_a_pick_is_traced_in_every_run_that_has_it(runs, capsys):
    assert main(["trace", "p0123", "--json"]) == 0
    output = capsys.readouterr()
    assert [item["table"].split("/")[1] for item in json.loads(output.out)] == ["friuli", "veneto"]
    assert output.err == ""


@pytest.mark.parametrize("damage", [garble_catalog, garble_card, forget_origin])
def test_a_damaged_run_is_named_and_the_next_is_searched(damage, runs, capsys):
    reason = damage(runs[0])
    assert main(["trace", "p0123", "--json"]) == 1
    output = capsys.readouterr()
    assert [item["table"].split("/")[1] for item in json.loads(output.out)] == ["veneto"]
    assert output.err.startswith("WARNING results/friuli was not searched to its end: results/friuli/")
    assert reason in output.err
    assert main(["trace", "p0123", "--run", "friuli"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("ERROR results/friuli/")


def test_a_table_from_elsewhere_ends_the_chain(runs, tmp_path, capsys):
    foreign = tmp_path / "stations.parquet"
    pd.DataFrame({"station": ["AAA"]}).to_parquet(foreign)
    origin = provenance("pick", {"stations_file": str(foreign)}, {"stations.parquet": sha256_of_file(foreign)})
    write_table(pd.DataFrame([PICK]), PICKS, runs[0].picks(PICK_SET, DAY), origin)
    assert main(["trace", "p0123", "--run", "friuli", "--json"]) == 0
    [item] = json.loads(capsys.readouterr().out)
    assert {file["path"]: file["state"] for file in item["files"]}[str(foreign)] == "same"
