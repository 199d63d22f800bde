"""Secrets: found by their value, and in nothing that is written."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from pickflow import secrets
from pickflow.provenance import provenance
from pickflow.run.configuration import ConfigError, complete

SECRET = "sEcr3t-of-this+test"
TIMES = {"run": "x", "starttime": "2024-01-01", "endtime": "2024-01-02"}


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(secrets, "_values", set())
    monkeypatch.setattr(logging.Handler, "handleError", logging.Handler.handleError)
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize(
    "config",
    [
        {"weights": {"repository": f"https://me:{SECRET}@host/mirror"}},
        {"download": {"fdsn": {"servers": ["INGV", f"http://me:{SECRET}@host:8080"]}}},
        {"download": {"fdsn": {"servers": [f"https://host/?token={SECRET}"]}}},
        {"download": {"fdsn": {"routing": f"https://{SECRET}@host"}}},
        {"download": {"path": f"sftp://me:{SECRET}@host/sds"}},
        {"download": {"inventory": [f"https://host/stations.xml?X-Amz-Signature={SECRET}"]}},
        {"download": {"fdsn": {"user": "me", "password_env": SECRET}}},
        {"download": {"fdsn": {"token_file": "-----BEGIN PGP MESSAGE-----\n" + SECRET}}},
        {"download": {"fdsn": {"token_file": SECRET * 20}}},
        {"weights": {"files": {"PhaseNet/x": f"https://me:{SECRET}@host/x"}}},
        {"compute": {"dask": {"address": f"tls://me:{SECRET}@host:8786"}}},
        {"analyze": {"reference": {"server": f"https://me:{SECRET}@host"}}},
        {"unknown": [{"deep": f"https://me:{SECRET}@host"}]},
        {f"https://me:{SECRET}@host": 1},
    ],
    ids=str,
)
def test_a_secret_in_any_key_of_the_configuration_is_refused_without_repeating_it(config):
    with pytest.raises(ConfigError, match="config key") as error:
        complete({**TIMES, **config})
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("text", ["https://host/x?year=2024", "/data/a@b/sds", "me@host", "a://b/c@d", "<results>/x"])
def test_what_holds_no_secret_is_not_refused(text):
    assert complete({**TIMES, "download": {"path": text}})["download"]["path"] == text


def test_the_error_names_the_way_out():
    with pytest.raises(ConfigError, match=r"weights\.user, .* weights\.password_env"):
        complete({**TIMES, "weights": {"repository": "https://me:secret@host"}})


def test_the_secrets_that_a_configuration_points_to_are_known_by_value(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("first-line-of-token\nsecond-line\n")
    monkeypatch.setenv("MY_WORD", SECRET)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:word-of-proxy@proxy:3128")
    monkeypatch.setenv("https_proxy", "me:word-of-bare-proxy@proxy:3128")
    monkeypatch.setenv("ALL_PROXY", "socks5://me:word/of/socks@proxy:1080")
    monkeypatch.setenv("SNAKEMAKE_STORAGE_S3_SECRET_KEY", "key-of-the-bucket")
    monkeypatch.setenv("SOME_TOKEN_FILE", str(tmp_path / "token"))
    config = {"download": {"fdsn": {"password_env": "MY_WORD", "token_file": str(tmp_path / "token")}}}
    secrets.remember_of(config)
    for value in (
        SECRET,
        "sEcr3t-of-this%2Btest",
        "second-line",
        "word-of-proxy",
        "word-of-bare-proxy",
        "key-of-the-bucket",
    ):
        assert secrets.redact(f"a {value} b") == "a *** b"
    named = f"{tmp_path / 'token'} and MY_WORD"
    assert secrets.redact(named) == named


@pytest.mark.parametrize(
    ("text", "redacted_text"),
    [
        ("http://me:word@host/x", "http://***@host/x"),
        ("https://token@host and ftp://a:b@c", "https://***@host and ftp://***@c"),
        ("'Authorization': 'Basic bWU6d29yZA=='", "'Authorization': '***"),
        ("Authorization: Digest username=me", "Authorization: ***"),
        ("https://me:wo@rd@host/x", "https://***@host/x"),
        ("https://me:wo/rd@host/x", "https://***@host/x"),
        ("https://to/ken+of/me==@data.centre.org/x", "https://***@data.centre.org/x"),
        ("https://data.centre.org/a@b.c and s3://bucket/a@b.c", "https://data.centre.org/a@b.c and s3://bucket/a@b.c"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://host:80/a@b", "https://host:80/a@b"),
    ],
)
def test_users_of_urls_and_authorizations_are_hidden_though_nobody_knows_them(text, redacted_text):
    assert secrets.redact(text) == redacted_text


def test_no_logger_or_traceback_lets_a_secret_out(capsys):
    secrets.remember(SECRET)
    secrets.install()
    handler = logging.StreamHandler()
    logger = logging.getLogger("someone.else")
    logger.addHandler(handler)
    try:
        logger.warning("it is %s", SECRET)
        try:
            raise RuntimeError(SECRET)
        except RuntimeError:
            logger.exception("failed with %r", {"key": SECRET})
    finally:
        logger.removeHandler(handler)
    log_text = capsys.readouterr().err
    assert SECRET not in log_text
    assert log_text.count("***") == 3
    assert "RuntimeError: ***" in log_text


def test_what_a_broken_handler_tells_holds_no_secret(capsys):
    class Broken(logging.Handler):
        def emit(self, record):
            try:
                raise OSError("the disk of " + SECRET)
            except OSError:
                self.handleError(record)

    secrets.remember(SECRET)
    secrets.install()
    Broken().handle(logging.makeLogRecord({"msg": "x"}))
    log_text = capsys.readouterr().err
    assert "OSError: the disk of ***" in log_text
    assert SECRET not in log_text


def test_no_provenance_holds_a_secret():
    secrets.remember(SECRET)
    parameters = {"a": [{"b": f"x{SECRET}"}], SECRET: 1, "url": "http://me:word@host"}
    document = json.dumps(provenance("pick", parameters, {}))
    assert SECRET not in document
    assert "word" not in document


SCRIPT = f"""
import sys, types
from pickflow.run.job import start_job
config = {{"download": {{"fdsn": {{"password_env": "MY_WORD"}}}}}}
job = types.SimpleNamespace(log=["results/x/logs/weights/x.log"], config=config)
start_job(job)
print("printed {SECRET}", file=sys.stderr)
import logging, warnings
logging.getLogger("x").warning("logged {SECRET}")
warnings.warn("warned {SECRET}")
raise ValueError("raised {SECRET}")
"""


def test_a_script_that_fails_writes_no_secret_to_log_and_console(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_WORD", SECRET)
    process = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    log = (tmp_path / "results/x/logs/weights/x.log").read_text()
    assert process.returncode == 1
    for word in ("printed", "logged", "raised"):
        assert f"{word} ***" in process.stderr
    for word in ("logged", "warned", "raised"):
        assert f"{word} ***" in log
    assert SECRET not in process.stdout + process.stderr + log
