"""Data centres: what they answer, how they fail, what is kept."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import obspy
import pytest

from pickflow.download import check_source, download_day, fetch_inventory, requested_stations, routing
from pickflow.download.throttle import turn
from pickflow.download.webservice import base_url
from tests.fdsn_server import serving
from tests.raw_server import raw, response
from tests.waveform_fixture import DAY, END, START, channel_of, download_params, inventory_of, station_stream, trace

FAST = {"backoff_s": 0.01, "max_requests_per_second": 1000, "retries": 2, "timeout_s": 0.5}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


def parameters(*servers, **fdsn):
    urls = [getattr(server, "url", server) for server in servers]
    return download_params(source="fdsn", stations=["XA.*"], fdsn={"servers": urls, **FAST, **fdsn})


def rows_of(server, params, inventory=None, codes=("AAA",), **kwargs):
    inventory = inventory_of(codes) if inventory is None else inventory
    stations = requested_stations(inventory, params)
    table = download_day(DAY, (START, END), stations, inventory, params, "waveforms", **kwargs)
    assert table["station"].tolist() == sorted(codes)
    return table.to_dict("records")


def test_waveforms_and_metadata_come_from_the_data_centre():
    inventory = inventory_of(["AAA", "BBB"])
    with serving(station_stream("AAA") + station_stream("BBB"), inventory) as server:
        params = parameters(server)
        fetched = fetch_inventory(params, START, END)
        rows = rows_of(server, params, fetched, codes=("AAA", "BBB"))
    assert [row["reason"] for row in rows] == ["ok", "ok"]
    assert rows[0]["sensitivity_counts_per_unit"] == 1e9
    stream = obspy.read("waveforms/XA.AAA.mseed")
    assert (stream.select(channel="HHZ")[0].data == trace("HHZ").data).all()


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ([], "ok"),
        ([204, 204], "no_data"),
        ([404, 404], "no_data"),
        ([401], "unauthorized"),
        ([403], "unauthorized"),
        ([500, 503], "ok"),
        ([500, 500, 500], "server_error"),
        ([429, 429, 429], "server_error"),
        ([413], "server_error"),
        (["cut"], "ok"),
        (["cut", "cut", "cut"], "server_error"),
        (["silent"], "ok"),
        (["truncate"], "truncated_file"),
        (["garbage", "garbage"], "server_error"),
    ],
    ids=str,
)
def test_a_failing_server_gives_its_reason_and_the_next_station_is_not_concerned(faults, reason):
    with serving(station_stream("AAA") + station_stream("BBB")) as server:
        server.fail(*faults)
        rows = rows_of(server, parameters(server), codes=("AAA", "BBB"))
    assert [row["reason"] for row in rows] == [reason, "ok"]


def test_retry_after_is_honoured():
    with serving(station_stream()) as server:
        server.fail(429, retry_after="1")
        begin = time.monotonic()
        assert rows_of(server, parameters(server))[0]["reason"] == "ok"
    assert time.monotonic() - begin >= 1.0


def test_of_a_truncated_answer_the_whole_records_are_used():
    with serving(station_stream()) as server:
        server.fail("truncate")
        row = rows_of(server, parameters(server))[0]
    assert row["usable"]
    assert 0.9 < row["coverage"] < 1.0


def test_an_answer_is_kept_and_not_asked_for_again():
    with serving(station_stream()) as server:
        params = parameters(server)
        first = rows_of(server, params)[0]
        n_requests = len(server.requests)
        assert rows_of(server, params)[0] == first
        assert len(server.requests) == n_requests


def test_a_damaged_answer_in_the_cache_is_asked_for_again(tmp_path):
    with serving(station_stream()) as server:
        params = parameters(server)
        first = rows_of(server, params)[0]
        for stored in (tmp_path / "cache" / "fdsn").rglob("*.body"):
            stored.write_bytes(stored.read_bytes()[:-1] + b"?")
        n_requests = len(server.requests)
        assert rows_of(server, params)[0] == first
        assert len(server.requests) == n_requests + 1


def test_a_truncated_answer_is_not_kept():
    with serving(station_stream()) as server:
        params = parameters(server)
        server.fail("truncate")
        assert rows_of(server, params)[0]["reason"] == "truncated_file"
        assert rows_of(server, params)[0]["reason"] == "ok"


def test_the_second_server_is_asked_when_the_first_has_nothing():
    with serving(obspy.Stream()) as first, serving(station_stream()) as second:
        assert rows_of(first, parameters(first, second))[0]["reason"] == "ok"


def test_a_server_that_is_down_is_an_error_of_the_station_and_told_when_metadata_are_fetched():
    with serving(station_stream()) as server:
        dead_url = server.url
    params = parameters(dead_url)
    assert rows_of(None, params)[0]["reason"] == "server_error"
    with pytest.raises(ValueError, match=r"download\.fdsn\.servers: 127\.0\.0\.1: cannot be reached"):
        fetch_inventory(params, START, END)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [((500, 500, 500), "HTTP 500 after 3 attempts"), (("garbage",), "sends unreadable StationXML")],
)
def test_without_responses_a_station_service_is_asked_for_channels_and_the_log_says_so(faults, reason, caplog):
    with serving(station_stream(), inventory_of(["AAA"])) as server:
        server.fail(*faults)
        inventory = fetch_inventory(parameters(server), START, END)
        levels = [body.splitlines()[0] for body in server.requests_to("/fdsnws/station")]
    assert levels == ["level=response"] * len(faults) + ["level=channel"]
    assert inventory[0][0].code == "AAA"
    assert f"{server.url}: no responses (" in caplog.text
    assert reason in caplog.text


def test_an_address_without_the_service_is_told_before_the_work():
    inventory_of(["AAA"]).write("stations.xml", format="STATIONXML")
    with serving(station_stream()) as server, raw(response(404)) as empty_server:
        good, bad = ({"servers": [address.url], **FAST} for address in (server, empty_server))
        section = {"source": "fdsn", "stations": ["XA.*"], "inventory": ["stations.xml"]}
        assert fetch_inventory(download_params(**section, fdsn=good), START, END)[0][0].code == "AAA"
        with pytest.raises(ValueError, match=rf"{empty_server.url}/fdsnws/dataselect/1/version .*check the address"):
            fetch_inventory(download_params(**section, fdsn=bad), START, END)


@pytest.mark.parametrize("dialect", ["eida-routing", "iris-federator"])
def test_routing_finds_the_data_centre(monkeypatch, dialect):
    with serving(station_stream(), inventory_of(["AAA"])) as server:
        path = {"eida-routing": "eidaws/routing", "iris-federator": "irisws/fedcatalog"}[dialect]
        monkeypatch.setitem(routing.ROUTING_URLS, dialect, f"{server.url}/{path}/1/query")
        params = parameters(routing=dialect)
        inventory = fetch_inventory(params, START, END)
        assert rows_of(server, params, inventory)[0]["reason"] == "ok"


def test_a_routing_service_that_fails_is_told_for_every_station(monkeypatch):
    monkeypatch.setitem(routing.ROUTING_URLS, "eida-routing", "http://127.0.0.1:9/query")
    rows = rows_of(None, parameters(routing="eida-routing"), codes=("AAA", "BBB"))
    assert [row["reason"] for row in rows] == ["server_error"] * 2


def test_a_route_that_is_no_address_costs_its_own_stations_alone(monkeypatch):
    lines = "XA AAA * * 2024-03-05T00:00:00 2024-03-06T00:00:00"
    with serving(station_stream("AAA") + station_stream("BBB"), inventory_of(["AAA", "BBB"])) as server:
        answer = f"{server.url}/fdsnws/dataselect/1/query\n{lines}\n\nhttp://[::1/fdsnws/dataselect/1/query\n"
        answer += lines.replace("AAA", "BBB")
        monkeypatch.setattr(routing, "post", lambda *_: answer.encode())
        first, second = rows_of(None, parameters(routing="eida-routing"), codes=("AAA", "BBB"))
    assert first["reason"] == "ok"
    assert (second["reason"], "no http or https address" in second["detail"]) == ("server_error", True)


def test_a_token_opens_restricted_data(tmp_path):
    token = b"-----BEGIN PGP MESSAGE-----"
    (tmp_path / "token").write_bytes(token)
    with serving(station_stream(), token=token, credentials=("me", "s3cret")) as server:
        row = rows_of(server, parameters(server, token_file=str(tmp_path / "token")))[0]
        assert server.requests_to("/fdsnws/dataselect/1/queryauth")
        assert not server.requests_to("/fdsnws/dataselect/1/query\n")
    assert row["reason"] == "ok"


def test_a_rejected_token_is_unauthorized(tmp_path):
    (tmp_path / "token").write_bytes(b"expired")
    with serving(station_stream(), token=b"valid", credentials=("me", "s3cret")) as server:
        row = rows_of(server, parameters(server, token_file=str(tmp_path / "token")))[0]
    assert row["reason"] == "unauthorized"


@pytest.mark.parametrize(("password", "reason"), [("s3cret", "ok"), ("wrong", "unauthorized")])
def test_user_and_password_open_restricted_data_and_appear_nowhere(monkeypatch, tmp_path, caplog, password, reason):
    monkeypatch.setenv("TEST_PASSWORD", password)
    caplog.set_level(logging.DEBUG)
    with serving(station_stream(), credentials=("me", "s3cret")) as server:
        row = rows_of(server, parameters(server, user="me", password_env="TEST_PASSWORD"))[0]
    assert row["reason"] == reason
    paths = [str(path) for path in tmp_path.rglob("*")]
    assert password not in caplog.text + str(row) + "".join(paths)
    assert not any(password.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_metadata_that_contradict_the_waveforms_are_named():
    wrong = [channel_of("HHZ", rate=50.0), channel_of("HHN"), channel_of("HHE")]
    horizontal = [channel_of("HHZ", dip=0.0), channel_of("HHN"), channel_of("HHE")]
    ended = [channel_of(code, end=obspy.UTCDateTime(2020, 1, 1)) for code in ("HHZ", "HHN", "HHE")]
    rotated_channels = [channel_of(code) for code in ("HHZ", "HH1", "HH2")]
    codes = ["AAA", "BBB", "CCC", "DDD"]
    inventory = inventory_of(dict(zip(codes, (wrong, horizontal, ended, rotated_channels), strict=True)))
    stream = sum((station_stream(code) for code in codes), obspy.Stream())
    with serving(stream, inventory) as server:
        params = parameters(server)
        rows = rows_of(server, params, fetch_inventory(params, START, END), codes)
    remarks_of_rows = [row["remarks"].split(",") for row in rows]
    assert ["wrong_rate"] in [remarks_of_rows[0]]
    assert all("metadata_mismatch" in remarks for remarks in remarks_of_rows[1:])
    assert "dip" in rows[1]["detail"]
    assert "2020-01-01" in rows[2]["detail"]


def test_with_an_inventory_only_the_best_sensor_is_asked_for():
    channels = [channel_of(band + letter) for band in ("HH", "HN") for letter in "ZNE"]
    sensors = station_stream() + station_stream(channels=("HNZ", "HNN", "HNE"))
    with serving(sensors) as server:
        row = rows_of(server, parameters(server), inventory_of({"AAA": channels}))[0]
        assert not any(" HN" in body for body in server.requests_to("/fdsnws/dataselect"))
    assert (row["channel"], row["alternatives"]) == ("HH", "--.HN")


def test_an_incomplete_sensor_makes_the_next_one_be_asked():
    channels = [channel_of(band + letter) for band in ("HH", "HN") for letter in "ZNE"]
    stream = station_stream(channels=("HHZ",)) + station_stream(channels=("HNZ", "HNN", "HNE"))
    with serving(stream) as server:
        row = rows_of(server, parameters(server), inventory_of({"AAA": channels}))[0]
    assert (row["channel"], row["components"]) == ("HN", "ZNE")


def test_stations_in_threads_share_the_connections_of_a_server():
    codes = [f"S{index}" for index in range(6)]
    stream = sum((station_stream(code, seconds=30) for code in codes), obspy.Stream())
    with serving(stream) as server, ThreadPoolExecutor(6) as pool:
        server.delay_s = 0.05
        rows = rows_of(server, parameters(server, connections=2), codes=codes, parallel_map=pool.map)
        assert server.most_busy <= 2
    assert all(row["usable"] for row in rows)


def test_the_pace_of_requests_is_kept():
    begin = time.monotonic()
    for _ in range(4):
        with turn(f"host-{begin}", max_requests_per_second=10, connections=1):
            pass
    assert time.monotonic() - begin >= 0.29


def test_a_name_that_obspy_knows_is_a_server():
    assert base_url("ingv").startswith("http")


@pytest.mark.parametrize(
    ("fdsn", "message"),
    [
        ({"servers": ["NOWHERE"]}, "'NOWHERE' is neither a URL"),
        ({"servers": ["http://me:s3cret@host"]}, "holds a user or password"),
        ({"servers": []}, "name a data centre"),
        ({"servers": ["INGV"], "token_file": "missing"}, "there is no file missing"),
        ({"servers": ["INGV"], "user": "me"}, "belong together"),
        ({"servers": ["INGV"], "user": "me", "password_env": "s3cret!"}, "not the name of an environment variable"),
        ({"servers": ["INGV"], "user": "me", "password_env": "S3CRET_UNSET"}, "is not set"),
    ],
)
def test_impossible_access_is_found_before_the_work_and_the_message_holds_no_secret(fdsn, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_source(download_params(source="fdsn", stations=["XA.*"], fdsn=fdsn), START, END)
    assert "s3cret" not in str(caught.value).lower()


def test_the_whole_world_is_not_asked_for():
    with pytest.raises(ValueError, match="whole world"):
        check_source(download_params(source="fdsn", fdsn={"servers": ["INGV"]}), START, END)


def test_a_password_in_the_configuration_is_refused_without_repeating_it():
    with pytest.raises(ValueError, match="password_env") as caught:
        parameters("INGV", user="me", password="s3cret")
    assert "s3cret" not in str(caught.value)
