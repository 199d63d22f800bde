"""Every fault of the synthetic network is seen by the download stage, and nothing is seen where there is none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pickflow.download import download_day, fetch_inventory, requested_stations
from pickflow.run.settings.download import DownloadParams
from pickflow.run.settings.synthesize import FAULTS, SynthesizeParams
from pickflow.synthesize import with_every_fault, write_archive
from pickflow.windows import parse_time

START = parse_time("2026-01-15T12:00:00Z")
END = START + timedelta(minutes=20)
GOOD = "ok"
EXPECTED = {fault: {fault} for fault in FAULTS} | {"dead_channel": {"dead_channel", "dead_component"}}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Rows of a network in which each fault has a station of its own, and two stations are well."""
    folder = tmp_path_factory.mktemp("faults")
    names = [*FAULTS, "well1", "well2"]
    params = with_every_fault(SynthesizeParams(), START, END, n_well=2, n_events=4, min_spacing_s=60.0)
    write_archive(params, folder)
    download = DownloadParams(
        path=str(folder / "sds"), inventory=(str(folder / "stations.xml"),), cache=str(folder / "cache")
    )
    inventory = fetch_inventory(download, START, END)
    stations = requested_stations(inventory, download)
    rows = download_day("2026-01-15", (START, END), stations, inventory, download, folder / "waveforms")
    assert len(rows) == len(stations) == len(names)
    return dict(zip(names, rows.to_dict("records"), strict=True))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_gives_its_reason(manifest, fault):
    row = manifest[fault]
    assert row["reason"] in EXPECTED[fault], (row["remarks"], row["detail"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_gives_no_reason_of_another(manifest, fault):
    allowed = EXPECTED[fault] | ({"gap"} if fault == "clock_jump" else set())
    assert set(manifest[fault]["remarks"].split(",")) <= allowed, manifest[fault]["detail"]


@pytest.mark.parametrize("station", ["well1", "well2"])
def test_a_station_without_fault_is_ok(manifest, station):
    assert manifest[station]["reason"] == GOOD, manifest[station]["detail"]
    assert manifest[station]["coverage"] == pytest.approx(1.0, abs=1e-4)
