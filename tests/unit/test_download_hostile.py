"""Data centres that answer with anything: the day stays to be asked for, and what is asked costs a bounded amount."""

from __future__ import annotations

import io
import os

import pytest

from pickflow.download import download_day, fetch_inventory, requested_stations, require_answers, routing, throttle
from pickflow.download.throttle import turn
from pickflow.download.webservice import LONGEST_WAIT_S, ServiceError, access, retry_after_s
from pickflow.io.atomic import StorageError
from tests.raw_server import bomb, endless, raw, response
from tests.waveform_fixture import DAY, END, START, download_params, inventory_of, station_stream

FAST = {"backoff_s": 0.01, "max_requests_per_second": 1000, "retries": 1, "timeout_s": 0.5, "max_answer_s": 1}
HTML = b"<html><body>Service down</body></html>"


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.chdir(tmp_path)


def parameters(url, **fdsn):
    return download_params(source="fdsn", stations=["XA.*"], fdsn={"servers": [url], **FAST, **fdsn})


def day_of(url, **fdsn):
    params = parameters(url, **fdsn)
    inventory = inventory_of(["AAA"])
    manifest = download_day(DAY, (START, END), requested_stations(inventory, params), inventory, params, "waveforms")
    return manifest, params


def miniseed(*codes, **options):
    content = io.BytesIO()
    for code in codes:
        station_stream(code, **options).write(content, format="MSEED")
    return content.getvalue()


def document(declaration):
    content = io.BytesIO()
    inventory_of(["AAA"]).write(content, format="STATIONXML")
    head, root = content.getvalue().split(b"?>", 1)
    return head + b"?>" + declaration + root


ANSWERS = {
    "Retry-After of a superscript": response(503, Retry_After="\xb2"),
    "Retry-After of no date": response(429, Retry_After="soon: maybe"),
    "Retry-After of another world": response(503, Retry_After="Wed, 21 Oct 9999 23:28:00 -2359"),
    "redirect to nowhere": response(302, Location="http://[::1"),
    "redirect to a file": response(307, Location="file:///etc/passwd"),
    "bomb": bomb(20),
    "endless": endless(),
    "slow": endless(b"HTTP/1.1 200 x\r\nX: ", b"x", 0.05),
    "no HTTP": b"\x00\xff\r\n\r\n",
    "HTML": response(200, HTML * 20),
    "another station": response(200, miniseed("BBB")),
    "another day": response(200, miniseed("AAA", starttime=START.replace(year=2019))),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_day_that_got_no_usable_answer_is_asked_for_again_and_its_inventory_says_why(name):
    with raw(ANSWERS[name]) as server:
        manifest, params = day_of(server.url)
        assert manifest["reason"].tolist() == ["server_error"]
        with pytest.raises(ValueError, match=r"no answer for 1 of 1 stations"):
            require_answers(manifest, params)
        with pytest.raises(ValueError, match=r"download\.fdsn\.servers: "):
            fetch_inventory(parameters(server.url, max_answer_mb=1), START, END)


def test_of_an_answer_with_other_stations_the_right_one_is_used():
    with raw(response(200, miniseed("AAA", "BBB"))) as server:
        assert day_of(server.url)[0]["reason"].tolist() == ["ok"]


def test_data_that_end_just_before_the_time_asked_for_are_no_error():
    before = miniseed("AAA", starttime=START.replace(hour=9, minute=45))
    with raw(response(200, before)) as server:
        assert day_of(server.url)[0]["reason"].tolist() == ["no_data"]


def test_the_largest_answer_follows_the_time_asked_for():
    body = miniseed("AAA")
    with raw(response(200, body + bytes(5_000_000))) as server:
        assert day_of(server.url)[0]["reason"].tolist() == ["server_error"]
        assert day_of(server.url, max_answer_mb=1e6)[0]["usable"].all()


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [("7", 7), ("", 1), ("-5", 1), ("\xb2", 1), ("1e9", 1), ("Wed, 41 Oct 2020 23:28:00 GMT", 1), ("9" * 400, None)],
)
def test_a_retry_after_is_seconds_or_a_date_or_is_not_believed(text, wait_s):
    seconds = retry_after_s(text, 1)
    assert seconds > LONGEST_WAIT_S if wait_s is None else seconds == wait_s


@pytest.mark.parametrize(
    "body",
    [HTML, b"ftp://127.0.0.1/fdsnws/dataselect/1/query\nXA AAA -- HHZ 2024-03-05T00:00:00 2024-03-06T00:00:00\n"],
    ids=["HTML", "no web address"],
)
def test_a_routing_service_that_sends_no_routes_is_not_nobody_has_any(monkeypatch, body):
    with raw(response(200, body)) as server:
        monkeypatch.setitem(routing.ROUTING_URLS, "eida-routing", server.url)
        params = parameters("http://127.0.0.1:9", routing="eida-routing", servers=[])
        with pytest.raises(ServiceError, match="no route"):
            routing.routes("dataselect", ["XA AAA -- HH? 2024-03-05 2024-03-06"], params.fdsn)


def test_a_token_is_not_taken_along_to_another_port(tmp_path):
    (tmp_path / "token").write_text("a-token-of-eida")
    with (
        raw(response(200, b"me:word")) as other_server,
        raw(response(307, Location=other_server.url + "/auth")) as server,
    ):
        with pytest.raises(ServiceError, match="no password or token goes"):
            access(server.url, parameters(server.url, token_file=str(tmp_path / "token")).fdsn)
        assert other_server.requests == []


def test_what_is_no_user_and_password_in_exchange_for_a_token_is_an_error(tmp_path):
    (tmp_path / "token").write_text("a-token-of-eida")
    with raw(response(200, HTML)) as server, pytest.raises(ServiceError, match="no user and password"):
        access(server.url, parameters(server.url, token_file=str(tmp_path / "token")).fdsn)


@pytest.mark.parametrize(
    "declaration",
    [b'<!DOCTYPE x [<!ENTITY y "internal">]>', b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">'],
    ids=["entity", "external"],
)
def test_metadata_with_a_document_type_are_refused(declaration):
    with raw(response(200, document(declaration))) as server, pytest.raises(ValueError, match="document type"):
        fetch_inventory(parameters(server.url), START, END)


def others_folder(tmp_path, monkeypatch, make):
    """Our name in a temporary directory is taken; what is in the state folder afterwards."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    monkeypatch.setattr(throttle.tempfile, "gettempdir", lambda: str(shared))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    make(shared / f"pickflow-turns-{os.getuid()}")
    with turn("host", 1000, 1):
        pass
    return list((tmp_path / "state").rglob("*.pace"))


def test_a_folder_of_locks_that_others_can_write_to_is_not_used(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("important")

    def make(folder):
        folder.mkdir()
        folder.chmod(0o777)
        for name in ("pace", "0"):
            (folder / f"{throttle.content_id('', 'host')}.{name}").symlink_to(victim)

    assert len(others_folder(tmp_path, monkeypatch, make)) == 1
    assert victim.read_text() == "important"


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_folder_of_locks_that_is_none_is_not_used(tmp_path, monkeypatch, kind):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    make = (lambda path: path.symlink_to(elsewhere)) if kind == "link" else (lambda path: path.write_text(""))
    assert len(others_folder(tmp_path, monkeypatch, make)) == 1
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_a_lock_that_is_a_link_is_not_written_to(tmp_path, monkeypatch, link):
    victim = tmp_path / "victim"
    victim.write_text("important")
    monkeypatch.setattr(throttle.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = tmp_path / f"pickflow-turns-{os.getuid()}"
    folder.mkdir(mode=0o700)
    link(victim, folder / f"{throttle.content_id('', 'host')}.pace")
    with pytest.raises(StorageError, match="remove it"), turn("host", 1000, 1):
        pass
    assert victim.read_text() == "important"


def test_without_a_private_folder_the_job_ends_and_says_what_to_set(tmp_path, monkeypatch):
    monkeypatch.setattr(throttle.tempfile, "gettempdir", lambda: str(tmp_path / "a-file" / "x"))
    (tmp_path / "a-file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a-file" / "y"))
    with raw(response(204)) as server, pytest.raises(StorageError, match="set TMPDIR or XDG_STATE_HOME"):
        day_of(server.url)


def test_a_user_without_a_home_takes_turns_in_the_temporary_directory(tmp_path, monkeypatch):
    def nobody(_):
        raise KeyError("no entry for this user, as in many containers")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with turn("host", 1000, 1):
        assert [path.name for path in tmp_path.iterdir()] == [f"pickflow-turns-{os.getuid()}"]
