"""Servers that nobody has to trust: what they can cost, and where secrets go."""

from __future__ import annotations

import gzip
import ssl
import subprocess
import tracemalloc

import pytest

from pickflow.io.web import Digest, Limits, WebError, ask
from tests.raw_server import bomb, endless, raw, response

LIMITS = Limits(max_bytes=1_000_000, connect_s=2.0, silence_s=0.5, whole_s=1.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Context of a server, and the certificate to trust."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 2 -subj /CN=127.0.0.1"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=folder, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    return context, folder / "c.pem"


def failure(answer, limits=LIMITS, **options):
    with raw(answer) as server, pytest.raises(WebError) as error:
        ask(f"{server.url}/x", limits, **options)
    return error.value


@pytest.mark.parametrize(
    "answer",
    [
        response(200, b"abc"),
        response(200, gzip.compress(b"abc"), Content_Encoding="gzip"),
        response(200, gzip.compress(b"a") + gzip.compress(b"bc"), Content_Encoding="GZIP"),
        b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 x\r\nConnection: close\r\n\r\nabc",
    ],
    ids=["plain", "gzip", "two members", "chunked", "until the end"],
)
def test_an_answer_arrives_whole(answer):
    with raw(answer) as server:
        assert ask(server.url, LIMITS).body == b"abc"


@pytest.mark.parametrize("answer", [endless(), bomb(60)], ids=["endless", "bomb"])
def test_no_more_than_the_limit_is_ever_held(answer):
    tracemalloc.start()
    try:
        error = failure(answer)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.detail == "an answer of more than 1 MB"
    assert not error.temporary
    assert peak_bytes < 20_000_000 + 5 * len(answer if isinstance(answer, bytes) else b"")


def test_a_limit_is_of_the_wire_too():
    padding = b"".join(gzip.compress(b"") for _ in range(60_000))
    assert failure(response(200, padding, Content_Encoding="gzip")).detail == "an answer of more than 1 MB"


@pytest.mark.parametrize(
    ("head", "piece", "pause_s", "reason"),
    [
        (b"HTTP/1.1 200 x\r\nContent-Length: 1000\r\n\r\n", b"x", 0.05, "less than 1000 bytes a second"),
        (b"HTTP/1.1 200 x\r\nX: ", b"x", 0.05, "no whole answer within 1 s"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01, "no whole answer within 1 s"),
        (b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n", 0.01, "no whole answer within 1 s"),
        (b"HTTP/1.1 200 x\r\n\r\n", bytes(500), 0.01, "no whole answer within 1 s"),
        (b"HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\n", b"", 60.0, "no answer in time"),
    ],
    ids=["slow body", "slow header", "continue", "trailers", "long body", "silence"],
)
@pytest.mark.timeout(30)  # s; what these servers send has no end, so that a reader without a limit never comes back
def test_no_server_holds_a_reader_for_longer_than_the_limit(head, piece, pause_s, reason):
    error = failure(endless(head, piece, pause_s))
    assert (error.detail, error.temporary) == (reason, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\xff\r\n\r\n",
        b"HTTP/1.1 abc x\r\n\r\n",
        b"HTTP/1.1 200 x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 x\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        response(200, b"abc", Content_Length=10),
        response(200, b"no gzip", Content_Encoding="gzip"),
        response(200, gzip.compress(b"abc" * 99, mtime=0)[:-9], Content_Encoding="gzip"),
        response(200, b"abc", Content_Encoding="br"),
        response(200, b"abc", Content_Encoding="gzip, gzip"),
        response(302, Location="/x"),
        *(
            response(307, Location=place)
            for place in (
                "http://[::1",
                "http://127.0.0.1:99999999/",
                f"http://{'a' * 70}.b/",
                "http://.b/",
                "file:///etc/passwd",
                "ftp://127.0.0.1/",
                "http://user:word@127.0.0.1/",
                "//",
                "\xb2\xb3",
                "http://\x80/",
            )
        ),
        response(401, WWW_Authenticate="Digest x"),
    ],
    ids=lambda answer: repr(answer[:70]),
)
def test_what_is_no_answer_is_an_error_with_a_reason_of_one_line(answer):
    error = failure(answer, auth=Digest("me", "password"))
    assert error.detail.isprintable()
    assert 10 < len(error.detail) < 250


def test_the_endless_body_of_a_refusal_or_redirect_is_not_read():
    challenge = b'HTTP/1.1 401 x\r\nWWW-Authenticate: Digest realm="x", nonce="n"\r\n\r\n'
    with raw(endless(challenge)) as server:
        assert ask(server.url, LIMITS, auth=Digest("me", "password")).status == 401
    with raw(endless(b"HTTP/1.1 307 x\r\nLocation: /y\r\n\r\n")) as server, pytest.raises(WebError, match="3 times"):
        ask(server.url, LIMITS)


def test_a_password_is_given_as_a_digest_and_only_when_asked_for():
    def answer(handler):
        if "Authorization" in handler.headers:
            yield response(200, b"abc")
        else:
            yield response(401, WWW_Authenticate='Digest realm="x", nonce="n", qop="auth"')

    with raw(answer) as server:
        assert ask(server.url, LIMITS, auth=Digest("me", "password")).body == b"abc"
    first, second = (headers.get("Authorization") for _, headers, _ in server.requests)
    assert first is None
    assert second.startswith("Digest ")
    assert "password" not in second


@pytest.mark.parametrize("options", [{"auth": Digest("me", "password")}, {"secret": True}], ids=["password", "token"])
def test_a_secret_stays_with_scheme_host_and_port(options, tls, monkeypatch):
    context, certificate = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with raw(response(200, b"abc")) as other_server, raw(response(200, b"abc"), context) as secure:
        port, host = other_server.url + "/x", other_server.url.replace("127.0.0.1", "localhost")
        for place in (port, host, secure.url):
            with raw(response(307, Location=place)) as server, pytest.raises(WebError, match="no password or token"):
                ask(server.url, LIMITS, method="POST", body=b"token", **options)
        assert other_server.requests == secure.requests == []


def test_a_secret_follows_to_another_path_of_the_same_server():
    def answer(handler):
        yield response(200, b"abc") if handler.path == "/there" else response(307, Location="/there")

    with raw(answer) as server:
        assert ask(f"{server.url}/here", LIMITS, method="POST", body=b"token", secret=True).body == b"abc"
    assert [(path, body) for path, _, body in server.requests] == [("/here", b"token"), ("/there", b"token")]


def test_nothing_goes_from_https_to_http(tls, monkeypatch):
    context, certificate = tls
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    refused = pytest.raises(WebError, match="from https to http")
    with raw(response(200, b"abc")) as plain, raw(response(307, Location=plain.url), context) as secure, refused:
        ask(secure.url, LIMITS, method="POST", body=b"token")
    assert len(secure.requests) == 1
    assert plain.requests == []


def test_a_netrc_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret-word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with raw(response(200, b"abc")) as server:
        ask(server.url, LIMITS)
    assert "Authorization" not in server.requests[0][1]


def test_a_server_that_is_not_there_cannot_be_reached():
    with raw(b"") as server:
        url = server.url
    with pytest.raises(WebError, match="cannot be reached") as error:
        ask(url, LIMITS)
    assert error.value.temporary


def test_a_certificate_that_nobody_knows_is_named(tls):
    context, _ = tls
    with raw(response(200, b"abc"), context) as server, pytest.raises(WebError, match="verify failed: self-signed"):
        ask(server.url, LIMITS)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://127.0.0.1:abc/", "http://[::1/", "ftp://host/x"])
def test_an_address_that_is_none_is_named(url):
    with pytest.raises(WebError) as error:
        ask(url, LIMITS)
    assert url in str(error.value)


@pytest.mark.parametrize("proxy", ["http://me:sec/ret@[bad", "nonsense://::"])
def test_a_proxy_that_is_none_is_named_without_its_password(proxy, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(WebError, match="HTTP_PROXY") as error:
        ask("http://data.centre.invalid/", LIMITS)
    assert error.value.__suppress_context__
    assert "sec" not in str(error.value)
