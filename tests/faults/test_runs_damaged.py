"""Files that are damaged, empty or gone between stages: refused by name, made anew, and then the same bytes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import obspy
import pandas as pd
import pytest

from pickflow.io.tables import read_provenance, read_table, write_table
from pickflow.schemas import LEDGER, MANIFEST, PICKS
from tests import snakemake_runner
from tests.faults.conftest import RUNS, SHORT, UP_TO_PICKS
from tests.faults.damage import empty, garble, remove, truncate
from tests.fdsn_server import serving
from tests.snakemake_runner import ROOT, command_of, snakemake, tables_of

pytestmark = [pytest.mark.slow, RUNS]
DAY = "2026-01-15"
PICK_SET = "picks/none/PickflowNet/bundled"
EVENTS = f"results/small/events/none/PickflowNet/bundled/pyocto/{DAY}.events.parquet"


def without_station(path):
    picks = read_table(path, PICKS)
    write_table(picks[picks.station != picks.station.iloc[0]], PICKS, path, read_provenance(path))


def secretly(damage, path):
    """Damage a file and leave its time as it was."""
    times = path.stat()
    damage(path)
    if path.exists():
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def refused(target, directory, *words, config=SHORT):
    """Output of a run that fails and says all of the words."""
    run = snakemake(target, directory=directory, config=config, check=False)
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert [word for word in words if word not in output] == [], output[-3000:]
    return output


def test_picks_that_are_not_what_was_written_stop_the_association(run_up_to, undisturbed, faults):
    directory = run_up_to("picks")
    path = directory / "results" / "small" / PICK_SET / f"{DAY}.parquet"
    for damage in (truncate, garble, empty, without_station):
        secretly(damage, path)
        faults.injected(f"picks: {damage.__name__}")
        name = f"results/small/{PICK_SET}/{DAY}.parquet"
        refused(EVENTS, directory, name, "start the same command again")
        shutil.copy2(undisturbed / name, path)
    empty(path)
    path.unlink()
    snakemake(directory=directory, config=SHORT)
    faults.nothing_is_lost(undisturbed, directory)


def test_waveforms_that_are_not_what_was_downloaded_stop_the_picking(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    folder = directory / "results" / "small" / "waveforms" / DAY
    path = folder / "SY.ALBA.mseed"
    whole = path.read_bytes()
    for damage in (truncate, garble, empty, remove):
        secretly(damage, path)
        faults.injected(f"waveforms: {damage.__name__}")
        name = f"results/small/waveforms/{DAY}/SY.ALBA.mseed"
        target = f"results/small/{PICK_SET}/{DAY}.parquet"
        refused(target, directory, name, f"delete the folder results/small/waveforms/{DAY} and start the same command")
        path.write_bytes(whole)
    remove(path)
    shutil.rmtree(folder)
    snakemake("picks_all", directory=directory, config=SHORT)
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)


def test_a_damaged_model_inventory_or_manifest_stops_the_next_stage(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    results = directory / "results" / "small"
    picks = f"results/small/{PICK_SET}/{DAY}.parquet"
    secretly(garble, results / "models/PickflowNet/bundled/model.safetensors")
    refused(picks, directory, "models/PickflowNet/bundled/model.safetensors: sha256 is not", "make or fetch the model")
    shutil.rmtree(results / "models")
    manifest = results / "waveforms" / DAY / "manifest.parquet"
    secretly(lambda path: write_empty(path, MANIFEST), manifest)
    refused(picks, directory, f"waveforms/{DAY}/manifest.parquet: a manifest has a row for every station asked for")
    secretly(truncate, results / "inventory" / "stations.xml")
    shutil.rmtree(results / "waveforms")
    refused("download_all", directory, "results/small/inventory/stations.xml: not a readable StationXML file")
    (results / "inventory" / "stations.xml").unlink()
    snakemake("picks_all", directory=directory, config=SHORT)
    for file_kind in ("model", "manifest without rows", "inventory"):
        faults.injected(f"damaged: {file_kind}")
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)


def write_empty(path, table):
    pd.DataFrame({name: [] for name in table.schema.names}).to_parquet(path)


def test_a_job_that_succeeds_without_a_result_is_not_believed(run_up_to, undisturbed, tmp_path, monkeypatch, faults):
    directory = run_up_to("waveforms")
    broken = tmp_path / "checkout"
    for name in ("workflow", "scripts", "profiles", "envs"):
        shutil.copytree(ROOT / name, broken / name)
    shutil.copy(ROOT / "Snakefile", broken)
    lines = "from pathlib import Path\n[Path(path).touch() for path in snakemake.output]\n"
    (broken / "scripts" / "pick.py").write_text(lines + "[Path(path).touch() for path in snakemake.log]\n")
    with monkeypatch.context() as patch:
        patch.setattr(snakemake_runner, "ROOT", broken)
        refused("picks_all", directory, f"results/small/{PICK_SET}", "unexpected empty output files")
    faults.injected("a job that succeeds with files of zero bytes")
    assert not list((directory / "results" / "small" / "picks").rglob("*.parquet"))
    snakemake("picks_all", directory=directory, config=SHORT)
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)


def test_a_jump_of_a_clock_in_the_data_is_a_row_of_the_ledger(tmp_path, faults):
    jump = {"fault": "clock_jump", "station": "SY.ALBA"}
    synthesize = {**SHORT["synthesize"], "faults": [jump]}
    stations = ["SY.ALBA", "SY.BORA", "SY.CIMA", "SY.DOLA"]
    config = {**SHORT, "synthesize": synthesize, "download": {**SHORT["download"], "stations": stations}}
    snakemake(directory=tmp_path, config=config)
    ledger = read_table(tmp_path / "results" / "small" / "analysis" / "ledger.parquet", LEDGER)
    rows = ledger[ledger.station == "ALBA"]
    assert len(rows) == 1
    assert rows.remarks.str.contains("clock_jump").all()
    assert rows.usable.all()
    assert (rows.n_picks > 0).any()
    faults.injected("a clock of a station that jumps")


STATIONS = ["SY.ALBA", "SY.BORA", "SY.CIMA"]


def data_centre(undisturbed):
    """The synthetic archive as a data centre has it, five minutes later: half of it on the next day."""
    archive = undisturbed / "results" / "small" / "synthetic"
    stream = sum((obspy.read(str(path)) for path in sorted((archive / "sds").rglob("*.D.2026.*"))), obspy.Stream())
    for trace in stream:
        trace.stats.starttime += 300.0
    return stream, obspy.read_inventory(str(archive / "stations.xml"))


def configuration(server, **fdsn):
    fast = {"backoff_s": 0.01, "max_requests_per_second": 100, "retries": 2}
    return {
        **{key: value for key, value in SHORT.items() if key != "synthesize"},
        "starttime": "2026-01-15T23:55:00Z",
        "endtime": "2026-01-16T00:05:00Z",
        "download": {"source": "fdsn", "stations": STATIONS, "fdsn": {"servers": [server.url], **fast, **fdsn}},
        "associate": {"velocity_model": {"p_km_s": 6.0, "s_km_s": 3.5}},
        "analyze": {},
    }


def test_a_day_of_a_failing_data_centre_is_made_later_and_other_days_go_on(undisturbed, tmp_path, monkeypatch, faults):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    whole, failed, accepted = (tmp_path / name for name in ("whole", "failed", "accepted"))
    for folder in (whole, failed, accepted):
        folder.mkdir()
    with serving(*data_centre(undisturbed)) as server:
        config = configuration(server)
        snakemake(directory=whole, config=config)
        server.refused = "2026-01-15T23:54"  # where the padded window of the first day begins
        output = snakemake("--keep-going", directory=failed, config=config, check=False)
        assert output.returncode != 0
        assert "download of 2026-01-15: no answer for 3 of 3 stations" in output.stdout + output.stderr
        assert "server_errors: accept" in output.stdout + output.stderr
        day_names = {path.name for path in (failed / "results" / "small" / "waveforms").glob("2026-*")}
        assert day_names == {"2026-01-16"}
        assert (failed / "results" / "small" / PICK_SET / "2026-01-16.parquet").exists()
        faults.injected("a data centre that answers 500 for a day")
        snakemake(directory=accepted, config=configuration(server, server_errors="accept"))
        server.refused = None
        snakemake("--keep-going", directory=failed, config=config)
        faults.nothing_is_lost(whole, failed)
        ledger = read_table(accepted / "results" / "small" / "analysis" / "ledger.parquet", LEDGER)
        assert ledger.reason.value_counts().to_dict() == {"ok": 3, "server_error": 3}
        again = snakemake("download_all", directory=accepted, config=config)
        assert "Nothing to be done" in again.stdout + again.stderr
    assert len(tables_of(whole)) > 20


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="a node without network needs root, unshare"
)
def test_a_node_without_internet_says_what_to_do(tmp_path, faults):
    download = {"source": "fdsn", "stations": ["OX.*"], "fdsn": {"servers": ["INGV"], "backoff_s": 0.2}}
    config = {**SHORT, "download": download, "pick": {"models": ["PhaseNet"], "weights": ["instance"]}}
    config |= {"associate": {"velocity_model": {"p_km_s": 6.0, "s_km_s": 3.5}}, "analyze": {}}
    for target, words in (
        ("download_all", ["webservices.ingv.it: cannot be reached", "download_all and weights_all on a login node"]),
        ("weights_all", ["weights PhaseNet/instance", "fetch them on a machine with internet (snakemake weights_all)"]),
    ):
        run = isolated(target, tmp_path, config)
        assert run.returncode != 0
        assert [word for word in words if word not in run.stdout + run.stderr] == [], run.stdout + run.stderr
        faults.injected(f"no internet: {target}")


def isolated(target, directory, config):
    command = command_of([target], directory, config)
    environment = {**os.environ, "SEISBENCH_CACHE_ROOT": str(Path(directory) / "seisbench"), "OMP_NUM_THREADS": "1"}
    return snakemake_runner.subprocess.run(
        ["unshare", "-n", *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
