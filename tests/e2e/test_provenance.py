"""From any row of a catalog back to the trace, the weights, the parameters and the code."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pickflow.command_line import main
from pickflow.command_line.trace import trace
from pickflow.provenance import code_digest, sha256_of_file
from tests.snakemake_runner import SMALL, snakemake

pytestmark = pytest.mark.slow
CATALOG = "catalog/none/PickflowNet/bundled/pyocto"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("provenance")
    snakemake(directory=directory, config=SMALL)
    return directory / "results" / "small"


def test_every_event_leads_to_its_traces_and_weights(run):
    events = pd.read_parquet(run / CATALOG / "catalog.parquet")
    assert len(events) >= 3
    for event in events.itertuples():
        (found,) = trace(run, event.event_id)
        assert len(found["arrivals"]) == event.n_picks
        assert {file["state"] for file in found["files"]} == {"same"}
        assert {made["code"] for made in found["stages"].values()} == {code_digest()}
        stages = {label.split()[0] for label in found["stages"]}
        assert stages == {"inventory", "download", "pick", "associate", "locate", "magnitude"}
        for arrival in found["arrivals"]:
            assert arrival["trace"].startswith("SY.")
            assert arrival["waveforms_sha256"] == sha256_of_file(arrival["waveforms"])
            assert arrival["weights_sha256"] == sha256_of_file(run / "models/PickflowNet/bundled/model.safetensors")


def test_a_pick_leads_there_as_well(run):
    pick = pd.read_parquet(run / "picks/none/PickflowNet/bundled/2026-01-16.parquet").iloc[0]
    (found,) = trace(run, pick["pick_id"])
    assert found["kind"] == "pick"
    assert found["arrivals"][0]["trace"] == f"{pick['network']}.{pick['station']}.{pick['location']}.{pick['channel']}"
    assert {label.split()[0] for label in found["stages"]} == {"inventory", "download", "pick"}


def test_a_file_that_changed_or_is_gone_is_named(run, tmp_path, capsys):
    copy = tmp_path / "small"
    shutil.copytree(run, copy)
    event = pd.read_parquet(copy / CATALOG / "catalog.parquet").iloc[0]["event_id"]
    assert main(["trace", event, "--run", str(copy)]) == 0
    shown = capsys.readouterr().out
    assert "files are as they were" in shown
    arrivals = next(trace(copy, event))["arrivals"]
    changed, gone = arrivals[0]["waveforms"], arrivals[-1]["waveforms"]
    assert changed != gone
    with open(changed, "r+b") as file:
        file.seek(1000)
        file.write(b"\xff\xff\xff\xff")
    Path(gone).unlink()
    assert main(["trace", event, "--run", str(copy), "--json"]) == 1
    states = {file["path"]: file["state"] for file in json.loads(capsys.readouterr().out)[0]["files"]}
    assert states[changed] == "CHANGED"
    assert states[gone] == "gone"


def test_a_name_that_is_no_name_or_too_short_is_said(run, capsys):
    assert main(["trace", "e", "--run", str(run)]) == 1
    assert "is the beginning of" in capsys.readouterr().err
    assert main(["trace", "nothing", "--run", str(run)]) == 1
    assert "no event or pick 'nothing'" in capsys.readouterr().err
