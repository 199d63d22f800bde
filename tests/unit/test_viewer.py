"""Single events in a browser: the list, the content of an event, the errors, and the server."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace
from http.client import HTTPConnection

import numpy as np
import pandas as pd
import pytest

from pickflow.io.tables import conform, write_table
from pickflow.schemas import ASSIGNMENTS, EVENTS
from pickflow.viewer.content import event_content, event_list, find_event, first_event, open_run
from pickflow.viewer.server import make_server, show, write_page
from tests.viewer_fixture import CATALOG, write_run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A run with tables of a catalog and the waveforms of its first day at three stations."""
    return write_run(tmp_path_factory.mktemp("viewer") / "friuli")


@pytest.fixture(scope="module")
def viewer(results):
    return open_run(results, None, 15, None, with_probabilities=True)


def test_the_list_has_every_event_and_every_missed_one_in_order_of_time(viewer):
    listed = event_list(viewer)
    n_missed = viewer.matches.event_id.isna().sum()
    assert len(listed) == len(viewer.events) + n_missed
    assert sum(row["status"] == "missed" for row in listed) == n_missed
    assert [row["time"] for row in listed] == sorted(row["time"] for row in listed)
    assert all((row["partner"] is None) == (row["status"] != "matched") for row in listed)


def test_an_event_has_its_waveforms_picks_and_residuals(viewer):
    event = next(row for row in event_list(viewer) if row["status"] == "matched" and row["time"] < "2024-03-09T12")
    content = json.loads(json.dumps(event_content(viewer, event["id"]), allow_nan=False))
    assert content["event"] == event
    assert content["reference"]["id"] == event["partner"]
    assert len(content["arrivals"]) == event["n_picks"]
    assert 1 <= len(content["records"]) <= 3
    record = content["records"][0]
    samples = np.frombuffer(base64.b64decode(record["waveforms"][0]), "<i2")
    assert np.abs(samples[samples > -32768]).max() == 32767
    seconds = (content["end_s"] - content["start_s"]) * record["rate_hz"]
    assert len(samples) == pytest.approx(seconds, abs=2)
    assert record["probabilities"] == []
    assert any(row["manual"] is not None for row in content["arrivals"])


def test_picks_of_the_analysts_are_shown_at_their_station(viewer):
    missed = next(row for row in event_list(viewer) if row["status"] != "new" and row["time"] < "2024-03-09T12")
    content = event_content(viewer, missed["id"])
    phases_in_view = {
        (record["name"].split(".")[1], phase) for record in content["records"] for phase, _ in record["manual"]
    }
    theirs = viewer.picks_of_reference
    near = theirs[theirs.event_id == (missed["partner"] or missed["id"])]
    names = {record["name"].split(".")[1] for record in content["records"]}
    assert {(row.station, row.phase) for row in near.itertuples() if row.station in names} <= phases_in_view


def test_manual_picks_of_a_station_of_another_network_are_not_compared(viewer):
    event = next(row for row in event_list(viewer) if row["status"] == "matched" and row["time"] < "2024-03-09T12")

    def delays(manual):
        arrivals = event_content(replace(viewer, picks_of_reference=manual), event["id"])["arrivals"]
        return [arrival["manual"] for arrival in arrivals]

    manual = viewer.picks_of_reference
    known = delays(manual)
    assert any(delay is not None for delay in known)
    late = manual.assign(network="ZZ", time=manual.time + pd.Timedelta(seconds=1))
    assert set(delays(late)) == {None}
    assert delays(pd.concat([manual, late])) == delays(pd.concat([late, manual])) == known
    assert delays(manual.assign(network="")) == known


def test_an_event_without_any_waveform_is_still_shown(viewer):
    late = next(row for row in event_list(viewer) if row["time"] > "2024-03-10T06" and row["status"] == "matched")
    content = event_content(viewer, late["id"])
    assert content["records"] == []
    assert content["arrivals"]


def test_events_are_found_by_identifier_and_by_time_and_the_nearest_is_named(viewer):
    event = viewer.events.iloc[4]
    assert find_event(viewer, event.event_id) == event.event_id
    assert find_event(viewer, (event.time + pd.Timedelta(seconds=3)).isoformat()) == event.event_id
    with pytest.raises(ValueError, match=f"did you mean '{event.event_id}'"):
        find_event(viewer, f"{event.event_id}x")
    with pytest.raises(ValueError, match="within 30 s of 2020-01-01; the nearest is"):
        find_event(viewer, "2020-01-01")
    for text in ("nat", "NaN", ""):
        with pytest.raises(ValueError, match=f"event '{text}' is not in {CATALOG}; did you mean"):
            find_event(viewer, text)
    best = viewer.events.sort_values(["n_picks", "time"], ascending=[False, True]).iloc[0]
    assert first_event(viewer) == best.event_id


def test_unknown_runs_catalogs_and_empty_catalogs_are_named(results, tmp_path):
    with pytest.raises(ValueError, match="no catalog; give the folder of a run"):
        open_run(tmp_path, None, 15, None, with_probabilities=False)
    with pytest.raises(ValueError, match=f"catalog 'none/x' is not in .*; it has {CATALOG}"):
        open_run(results, "none/x", 15, None, with_probabilities=False)
    place = tmp_path / "run" / "catalog" / CATALOG
    for table, name in ((EVENTS, "catalog"), (ASSIGNMENTS, "assignments")):
        write_table(conform(pd.DataFrame(), table), table, place / f"{name}.parquet", {})
    empty = open_run(tmp_path / "run", None, 15, None, with_probabilities=False)
    with pytest.raises(ValueError, match="has no event"):
        first_event(empty)


def test_a_page_of_one_event_needs_nothing_from_elsewhere(viewer, tmp_path):
    show(viewer, None, tmp_path / "event.html", 0, print)
    page = (tmp_path / "event.html").read_text()
    assert not any(word in page for word in ("src=", "@import", "http:", "https:"))
    assert page == write_page(viewer, first_event(viewer), event_content(viewer, first_event(viewer)))


def test_names_cannot_end_the_script_of_the_page(viewer):
    content = event_content(viewer, first_event(viewer))
    content["event"] = content["event"] | {"id": "</script><b>"}
    assert "</script><b>" not in write_page(viewer, "x", content)


def _ask(port, path, host=None):
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_server_answers_this_machine_only(viewer):
    first = first_event(viewer)
    with make_server(viewer, first, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.server_port
        assert server.server_address[0] == "127.0.0.1"
        assert _ask(port, "/") == (200, write_page(viewer, first))
        status, text = _ask(port, f"/event?id={first}")
        assert (status, json.loads(text)) == (200, json.loads(json.dumps(event_content(viewer, first))))
        assert _ask(port, "/event?id=nothing") == (404, f"event 'nothing' is not in {CATALOG}")
        assert _ask(port, "/../../etc/passwd")[0] == 404
        assert _ask(port, "/", host=f"evil.example:{port}")[0] == 403
        with pytest.raises(ValueError, match=f"port {port} cannot be used"):
            make_server(viewer, first, port)
        server.shutdown()
        thread.join()
