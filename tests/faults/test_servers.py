"""Data centres that fail for an hour, and nodes without internet: the day is made later, and is the same then."""

from __future__ import annotations

import shutil
import time

import pytest

from pickflow.download import download_day, requested_stations, require_answers, webservice
from pickflow.schemas import MANIFEST
from tests.fdsn_server import serving
from tests.snakemake_runner import tables_of
from tests.waveform_fixture import DAY, END, START, download_params, inventory_of, station_stream

CODES = ("AAA", "BBB", "CCC")
FAST = {"backoff_s": 0.01, "max_requests_per_second": 1000, "retries": 1, "timeout_s": 5}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


def download(url, **fdsn):
    """The day from a server, as the script does it: its manifest, or an error."""
    params = download_params(source="fdsn", stations=["XA.*"], fdsn={"servers": [url], **FAST, **fdsn})
    inventory = inventory_of(list(CODES))
    stations = requested_stations(inventory, params)
    manifest = download_day(DAY, (START, END), stations, inventory, params, "results/small/waveforms")
    require_answers(manifest, params)
    return manifest


def all_stations():
    return sum((station_stream(code, seconds=300) for code in CODES[1:]), station_stream(CODES[0], seconds=300))


def test_a_day_of_a_server_that_answers_500_is_asked_for_again_and_then_the_same(tmp_path, faults):
    with serving(all_stations()) as server:
        undisturbed = download(server.url)
        expected = tables_of(tmp_path)
        for folder in ("results", "cache"):
            shutil.rmtree(folder)
        server.refused = "XA BBB"
        with pytest.raises(ValueError, match="download of 2024-03-05: no answer for 1 of 3 stations: XA.BBB") as caught:
            download(server.url)
        for part in ("127.0.0.1: HTTP 500 after 2 attempts", "cache/fdsn", "same command", "server_errors: accept"):
            assert part in str(caught.value)
        server.refused = None
        n_requests = len(server.requests)
        again = download(server.url)
        assert [body.split()[1] for _, body in server.requests[n_requests:]] == ["BBB"]
    faults.injected("a server that answers 500")
    faults.same_table(undisturbed, again)
    assert tables_of(tmp_path) == expected
    assert len(expected) == 3


def test_stations_that_a_server_does_not_have_are_no_reason_to_ask_again():
    with serving(station_stream("AAA")) as server:
        manifest = download(server.url)
    assert manifest["reason"].tolist() == ["ok", "no_data", "no_data"]
    assert list(manifest.columns) == MANIFEST.schema.names


def test_a_server_that_cannot_be_reached_is_told_at_once_and_costs_its_waits_once(caplog, faults, monkeypatch):
    monkeypatch.setattr(webservice, "_unreachable", set())  # ports of servers that are gone are given again
    with serving(station_stream()) as server:
        dead_url = server.url
    begin = time.monotonic()
    with pytest.raises(ValueError, match="no answer for 3 of 3 stations.*on a login node"):
        download(dead_url, backoff_s=4.0)
    elapsed_s = time.monotonic() - begin
    assert 2.0 < elapsed_s < 12.0
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["127.0.0.1: cannot be reached (attempt 1, 1 more follow)"]
    faults.injected("a server that cannot be reached")


def test_a_server_that_comes_back_is_used_as_before():
    with serving(all_stations()) as server:
        port = server.server_address[1]
    with pytest.raises(ValueError, match="cannot be reached"):
        download(f"http://127.0.0.1:{port}")
    with serving(all_stations(), port=port) as server:
        server.fail(500)
        assert download(server.url)["usable"].sum() == 2 + 1
