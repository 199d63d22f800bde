"""
Requests to servers, none of which is trusted: their answers are bounded in size, time and memory.

Every reply becomes an answer or a `WebError`. Requests with a secret go to one scheme, host and port only.
"""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPDigestAuth

from pickflow import __version__
from pickflow.secrets import MOST_SHOWN, printable

WITH_BODY = (200, 207)  # bodies of other statuses are not read: they may be endless
TEMPORARY = (429, 500, 502, 503, 504)  # RFC 9110 and RFC 6585: a later request may succeed
REDIRECTS = (301, 302, 307, 308)
MAX_REDIRECTS = 3  # chosen: a data centre that has moved needs one or two
CANNOT_BE_REACHED = "cannot be reached"
CHUNK_BYTES = 1 << 16  # chosen; limits are checked between chunks
# Chosen: slower transfers, after one silence, are taken for an attack.
MIN_BYTES_PER_S = 1000
DEFAULT_PORTS = {"http": 80, "https": 443}
BAD_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidProxyURL,
    urllib3.exceptions.LocationParseError,
)


class WebError(Exception):
    """A server gave no usable answer; `temporary`: a repetition may succeed."""

    def __init__(self, detail: str, temporary: bool = False):
        self.detail = printable(detail, 2 * MOST_SHOWN)
        super().__init__(self.detail)
        self.temporary = temporary


class Limits(NamedTuple):
    """Limits of an answer: bytes received and unpacked; seconds to connect, of silence, and in all."""

    max_bytes: int
    connect_s: float
    silence_s: float
    whole_s: float


class Answer(NamedTuple):
    """Status, headers and body; of a refusal only its text, for messages."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    refusal: str = ""


class Digest(HTTPDigestAuth):
    """User and password that are never sent in clear; the body of the challenge is not read: it may be endless."""

    def handle_401(self, r: requests.Response, **kwargs: Any) -> requests.Response:
        """Answer a challenge."""
        if r.status_code == 401:
            r.raw.close()
            r._content, r._content_consumed = b"", True  # type: ignore[attr-defined]
        return super().handle_401(r, **kwargs)  # type: ignore[no-untyped-call, no-any-return]


def ask(
    url: str,
    limits: Limits,
    *,
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    auth: AuthBase | None = None,
    secret: bool = False,
) -> Answer:
    """
    One request, with the redirects that it leads to.

    Parameters
    ----------
    url : str
        Address, http or https.
    limits : Limits
        Limits of the answer.
    method : str
        Kept by redirects.
    body : bytes
        What is sent.
    headers : mapping, optional
        Further ones.
    auth : AuthBase, optional
        User and password, sent to the scheme, host and port of `url` only.
    secret : bool
        Whether body or headers are secret too; a request with `auth` always is.

    Returns
    -------
    Answer
        Of any status.

    Raises
    ------
    WebError
        No server, silence, an invalid, too large or too slow answer, or a redirect that is not followed.
    """
    try:
        address_of(url)
    except ValueError as error:
        raise WebError(str(error)) from None
    begin = time.monotonic()
    for _ in range(MAX_REDIRECTS + 1):
        remaining_limits = limits._replace(whole_s=limits.whole_s - (time.monotonic() - begin))
        answer = _once(url, remaining_limits, method, body, dict(headers or {}), auth)
        target = answer.headers.get("Location")
        if answer.status not in REDIRECTS or not target:
            return answer
        url = _redirected(url, target, secret or auth is not None)
    raise WebError(f"redirects more than {MAX_REDIRECTS} times")


def fetch_with_retries(url: str, limits: Limits, retries: int, **options: Any) -> Answer:
    """The same, repeated after 1, 2, 4 ... s while the failure is temporary."""
    for attempt in range(retries):
        try:
            answer = ask(url, limits, **options)
        except WebError as error:
            if not error.temporary:
                raise
        else:
            if answer.status not in TEMPORARY:
                return answer
        time.sleep(2.0**attempt)
    return ask(url, limits, **options)


def address_of(url: str) -> tuple[str, str, int]:
    """
    Scheme, host and port.

    Raises
    ------
    ValueError
        If it is no address of the web, or holds a user or password.
    """
    with suppress(ValueError):  # of impossible hosts and ports
        parts = urlsplit(url)
        if parts.scheme in DEFAULT_PORTS and parts.hostname and "@" not in parts.netloc:
            return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
    raise ValueError(f"{printable(url)} is no http or https address without user and password")


def _redirected(url: str, location: str, secret: bool) -> str:
    source = address_of(url)
    try:
        target = urljoin(url, location)
        goal = address_of(target)
    except ValueError:
        raise WebError(f"redirects to {printable(location)!r}, which is no web address") from None
    if source[0] == "https" and goal[0] == "http":
        raise WebError(f"redirects from https to http ({goal[1]}:{goal[2]}), which is not followed")
    if secret and source != goal:
        raise WebError(
            f"redirects to {goal[0]}://{goal[1]}:{goal[2]}, where no password or token goes unless the configuration"
            " names that address"
        )
    return target


def _once(url: str, limits: Limits, method: str, body: bytes, headers: dict[str, str], auth: AuthBase | None) -> Answer:
    headers = {"User-Agent": f"pickflow/{__version__}", "Accept-Encoding": "gzip", **headers}
    timeout = (limits.connect_s, limits.silence_s)
    with _watch(limits.whole_s) as watch, _Session() as session:
        for scheme in DEFAULT_PORTS:
            session.mount(f"{scheme}://", _Adapter(watch))
        try:
            response = session.request(
                method,
                url,
                data=body or None,
                headers=headers,
                timeout=timeout,
                auth=auth or _anonymous,
                allow_redirects=False,
                stream=True,
            )
            with response:
                whole = response.status_code in WITH_BODY
                content, refusal = (_body(response, limits), "") if whole else (b"", _refusal(response))
            if watch.is_over:  # the end of a connection may look like the end of an answer
                raise TimeoutError
            return Answer(response.status_code, response.headers, content, refusal)
        except WebError:
            raise
        except BAD_ADDRESS:  # their text may contain a part of a password
            raise WebError("the address, or that of the proxy in HTTP_PROXY or HTTPS_PROXY, cannot be used") from None
        except Exception as error:  # requests, urllib3, http.client, ssl and codecs raise many types
            raise _web_error(error, watch, limits) from error


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No authentication: else requests would take one from ~/.netrc, by the name of the host alone."""
    return request


def _web_error(error: Exception, watch: _Watch, limits: Limits) -> WebError:
    text = str(error)
    if watch.is_over:
        return WebError(f"no whole answer within {limits.whole_s:.0f} s", temporary=True)
    if isinstance(error, requests.exceptions.SSLError):
        reason = getattr(error.args[0], "reason", error) if error.args else error
        return WebError(f"no secure connection ({printable(str(reason))})", temporary=True)
    if isinstance(error, (requests.ConnectionError, requests.Timeout)) and not watch.sockets:
        return WebError(CANNOT_BE_REACHED, temporary=True)
    if isinstance(error, (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError)) or "timed out" in text:
        return WebError("no answer in time", temporary=True)
    if isinstance(error, (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)):
        return WebError("connection cut in the middle of the answer", temporary=True)
    if isinstance(error, requests.ConnectionError):
        return WebError(f"hangs up, or sends what is no HTTP ({printable(text)})", temporary=True)
    return WebError(f"an answer that is no HTTP ({type(error).__name__}: {printable(text)})")


def _body(response: requests.Response, limits: Limits) -> bytes:
    """Read in chunks, so that memory stays within the limit."""
    pieces: list[bytes] = []
    begin, n_sent, n_bytes = time.monotonic(), 0, 0
    unpack = _unpacking(response.headers.get("Content-Encoding", ""))
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
        n_sent += len(chunk)
        chunk = unpack(chunk, limits.max_bytes + 1 - n_bytes)
        pieces.append(chunk)
        n_bytes += len(chunk)
        if max(n_sent, n_bytes) > limits.max_bytes:
            raise WebError(f"an answer of more than {limits.max_bytes / 1e6:g} MB")
        if time.monotonic() - begin > limits.silence_s + n_sent / MIN_BYTES_PER_S:
            raise WebError(f"less than {MIN_BYTES_PER_S} bytes a second", temporary=True)
    length = response.headers.get("Content-Length", "")
    if not unpack.is_whole or (length.isascii() and length.isdigit() and n_sent < int(length[:18])):
        raise WebError("connection cut in the middle of the answer", temporary=True)
    return b"".join(pieces)


def _refusal(response: requests.Response) -> str:
    """Beginning of the text of a refusal, as far as it arrives at once."""
    if response.status_code < 400 or response.status_code == 401:
        return ""
    try:
        return printable(response.raw.read1(MOST_SHOWN, decode_content=False).decode(errors="replace").strip())
    except (urllib3.exceptions.HTTPError, OSError):  # the status is enough
        return ""


class _Plain:
    """Bytes as they come."""

    is_whole = True

    def __call__(self, chunk: bytes, max_bytes: int) -> bytes:
        return chunk


class _Gzip:
    """Members of gzip, one after another."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(31)
        self.is_whole = False

    def __call__(self, chunk: bytes, max_bytes: int) -> bytes:
        content = b""
        while chunk and len(content) < max_bytes:
            if self._member.eof:
                self._member = zlib.decompressobj(31)
            try:
                content += self._member.decompress(chunk, max_bytes - len(content))
            except zlib.error:
                raise WebError("an answer whose compression is damaged", temporary=True) from None
            chunk = self._member.unused_data
        self.is_whole = self._member.eof
        return content


def _unpacking(encoding: str) -> _Plain | _Gzip:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return _Gzip()
    raise WebError(f"an answer in the encoding {printable(encoding)!r}, which was not asked for")


class _Watch:
    """
    Ends the connections of a request when its time is over.

    Time limits of sockets are of silence: a byte now and then, in a header too, would block a reader without end.
    """

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.is_over = False
        self._lock = threading.Lock()

    def register(self, connection: socket.socket) -> socket.socket:
        """Register a connection, by a second descriptor that remains when TLS takes over the first."""
        with self._lock:
            self.sockets.append(connection.dup())
        if self.is_over:
            self.end()
        return connection

    def end(self) -> None:
        """End all connections: readers get an error at once."""
        with self._lock:
            self.is_over = True
            for connection in self.sockets:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # it has ended by itself
                    continue

    def close(self) -> None:
        """Close the descriptors."""
        with self._lock:
            for connection in self.sockets:
                connection.close()


@contextmanager
def _watch(whole_s: float) -> Iterator[_Watch]:
    watch = _Watch()
    timer = threading.Timer(max(0.0, whole_s), watch.end)
    timer.daemon = True
    timer.start()
    try:
        yield watch
    finally:
        timer.cancel()
        timer.join()
        watch.close()


class _Session(requests.Session):
    """Follows no redirect, nor reads its body to prepare for it."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: redirects are judged here, not by requests."""
        return None


class _Adapter(HTTPAdapter):
    """Registers each connection with a watch."""

    def __init__(self, watch: _Watch):
        self._watch = watch
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Of direct connections."""
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._watch_manager(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Of connections by a proxy."""
        return self._watch_manager(super().proxy_manager_for(*args, **kwargs))  # type: ignore[no-untyped-call]

    def _watch_manager(self, manager: Any) -> Any:
        pools = manager.pool_classes_by_scheme.items()
        manager.pool_classes_by_scheme = {scheme: _watched_pool(pool, self._watch) for scheme, pool in pools}
        return manager


def _watched_pool(pool: Any, watch: _Watch) -> Any:
    """The same class of pools, with its connections registered at a watch."""
    plain = pool.ConnectionCls

    def connect(self: Any) -> socket.socket:
        return watch.register(plain._new_conn(self))

    return type(pool.__name__, (pool,), {"ConnectionCls": type(plain.__name__, (plain,), {"_new_conn": connect})})
