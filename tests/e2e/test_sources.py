"""One network, three ways to its waveforms (SDS archive, folder of files, data centre): the picks are the same."""

import json
import shutil

import obspy
import pandas as pd
import pytest

from tests.fdsn_server import serving
from tests.snakemake_runner import SMALL, snakemake

pytestmark = pytest.mark.slow
PICKS = "picks/none/PickflowNet/bundled/2026-01-16.parquet"
STATIONS = ["SY.ALBA", "SY.BORA", "SY.CIMA"]
COLUMNS = ["network", "station", "channel", "phase", "time", "probability"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The small synthetic archive, and the picks that come from it."""
    directory = tmp_path_factory.mktemp("archive")
    config = {**SMALL, "download": {**SMALL["download"], "stations": STATIONS}}
    snakemake(f"results/small/{PICKS}", directory=directory, config=config)
    return directory / "results" / "small"


def picks_from(download, directory):
    config = {**SMALL, "download": {"stations": STATIONS, **download}}
    snakemake(f"results/small/{PICKS}", directory=directory, config=config)
    return pd.read_parquet(directory / "results" / "small" / PICKS)[COLUMNS]


def test_a_folder_of_files_of_any_name_gives_the_same_picks(archive, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for number, path in enumerate(sorted((archive / "synthetic" / "sds").rglob("*.D.2026.*"))):
        shutil.copy(path, folder / f"record {number}.bin")
    (folder / "notes.txt").write_text("no waveforms here")
    (folder / "empty.mseed").write_bytes(b"")
    inventory = [str(archive / "synthetic" / "stations.xml")]
    picks = picks_from({"source": "directory", "path": str(folder), "inventory": inventory}, tmp_path)
    assert len(picks) > 5
    pd.testing.assert_frame_equal(picks, pd.read_parquet(archive / PICKS)[COLUMNS])


def test_a_data_centre_that_fails_now_and_then_gives_the_same_picks(archive, tmp_path):
    stream = obspy.Stream()
    for path in sorted((archive / "synthetic" / "sds").rglob("*.D.2026.*")):
        stream += obspy.read(str(path))
    inventory = obspy.read_inventory(str(archive / "synthetic" / "stations.xml"))
    with serving(stream, inventory) as server:
        server.fail(500, "cut", 429, retry_after="0")
        fdsn = {"servers": [server.url], "backoff_s": 0.01, "max_requests_per_second": 100}
        picks = picks_from({"source": "fdsn", "fdsn": fdsn}, tmp_path)
    pd.testing.assert_frame_equal(picks, pd.read_parquet(archive / PICKS)[COLUMNS])


def test_stations_that_nobody_has_are_rows_of_the_ledger(archive, tmp_path):
    shutil.copytree(archive / "synthetic", tmp_path / "synthetic")
    paths = {"path": str(tmp_path / "synthetic" / "sds"), "inventory": [str(tmp_path / "synthetic" / "stations.xml")]}
    config = {
        **SMALL,
        "download": {"source": "sds", "stations": ["SY.ALBA", "XX.GONE"], **paths},
        "associate": {"velocity_model": {"p_km_s": 6.0, "s_km_s": 3.5}},
        "analyze": {},
    }
    snakemake(directory=tmp_path, config=config)
    summary = json.loads((tmp_path / "results" / "small" / "summary.json").read_text())
    assert summary["ledger"] == {"no_data": 2, "ok": 2}
    assert summary["catalogs"][0]["n_events"] == 0
    assert summary["catalogs"][0]["reference"] is None
