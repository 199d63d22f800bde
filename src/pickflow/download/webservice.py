"""
Requests to FDSN web services: pace, retries, access.

ObsPy's client is not used for requests: it hides status codes and Retry-After, and has no retries.
Secrets stay inside this module; they are in no message, file name or table.
"""

from __future__ import annotations

import email.utils
import functools
import logging
import os
import random
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from obspy.clients.fdsn.header import URL_MAPPINGS
from requests.auth import AuthBase, HTTPDigestAuth

from pickflow import __version__
from pickflow.download.params import FdsnParams
from pickflow.download.throttle import turn
from pickflow.provenance import sha256_of_bytes

logger = logging.getLogger(__name__)

NO_DATA = (204, 404)
UNAUTHORIZED = (401, 403)
REDIRECTS = (301, 302, 307, 308)
MAX_REDIRECTS = 3
LONGEST_WAIT_S = 600.0
LONGEST_CONNECT_S = 15.0
# Where no attempt reached a server, the next request is given up soon and without a repetition if it does not reach it
# either: a node without internet would otherwise wait for minutes at every station.
SHORT_CONNECT_S = 2.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CANNOT_BE_REACHED = "cannot be reached"

_unreachable: set[str] = set()  # hosts with ports


class ServiceError(Exception):
    """A server did not answer with what was asked; `code` is a reason code of the ledger."""

    def __init__(self, code: str, detail: str, status: int | None = None):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status


class Access(NamedTuple):
    """How a server is asked: its dataselect method, the authentication, and who asks (for the cache; no secret)."""

    method: str
    auth: AuthBase | None
    identity: str


def base_url(server: str) -> str:
    """
    Base URL of a data centre.

    Parameters
    ----------
    server : str
        A name that ObsPy knows (``EIDA``, ``INGV``, ``EARTHSCOPE``) or a URL without user and password.

    Raises
    ------
    ValueError
        If the name is not known or the URL holds credentials.
    """
    if "://" not in server:
        try:
            return URL_MAPPINGS[server.upper()].rstrip("/")
        except KeyError:
            known = ", ".join(sorted(URL_MAPPINGS))
            raise ValueError(f"download.fdsn.servers: {server!r} is neither a URL nor one of {known}") from None
    parts = urlsplit(server)
    if parts.username or parts.password:
        raise ValueError(
            f"download.fdsn.servers: the URL of {parts.hostname} holds a user or password; "
            "use download.fdsn.user and download.fdsn.password_env"
        )
    return server.rstrip("/").removesuffix("/fdsnws")


def access(base: str, params: FdsnParams) -> Access:
    """
    Access to restricted data of a server, by EIDA token or by user and password.

    Raises
    ------
    ServiceError
        ``unauthorized`` if the server rejects the token, or the password is not in the environment.
    """
    if params.token_file:
        return _access_by_token(base, params)
    if params.user and params.password_env:
        password = os.environ.get(params.password_env)
        if password is None:
            raise ServiceError("unauthorized", "the environment variable of download.fdsn.password_env is not set")
        return Access("queryauth", HTTPDigestAuth(params.user, password), f"user {params.user}")
    return Access("query", None, "anonymous")


@functools.lru_cache(maxsize=256)
def _access_by_token(base: str, params: FdsnParams) -> Access:
    token = Path(str(params.token_file)).read_bytes()
    parts = urlsplit(base)
    if parts.hostname not in LOOPBACK:
        parts = parts._replace(scheme="https")  # a token never travels in clear text
    try:
        answer = post(f"{urlunsplit(parts)}/fdsnws/dataselect/1/auth", token, params)
    except ServiceError as error:
        if error.status in (404, 405, 501):
            return Access("query", None, "anonymous")
        if error.status is not None and error.status < 500:
            raise ServiceError(
                "unauthorized", f"{parts.hostname} rejects the token of download.fdsn.token_file"
            ) from None
        raise
    user, separator, password = answer.decode(errors="replace").strip().partition(":")
    if not separator:
        return Access("query", None, "anonymous")
    return Access("queryauth", HTTPDigestAuth(user, password), "token")


def post(url: str, body: bytes, params: FdsnParams, auth: AuthBase | None = None) -> bytes:
    """
    Ask a server, again and again if need be.

    Retries wait ``backoff_s`` · 2ⁿ with jitter (seeded by the request), or as long as the server's Retry-After says.

    Parameters
    ----------
    url : str
        Method of a web service.
    body : bytes
        Sent by POST; GET if empty.
    params : FdsnParams
        Pace, retries and time limit.
    auth : AuthBase, optional
        Authentication.

    Returns
    -------
    bytes
        Empty if the server has no data.

    Raises
    ------
    ServiceError
        ``unauthorized`` or ``server_error``.
    """
    host = urlsplit(url).hostname or url
    jitter = random.Random(sha256_of_bytes(url.encode() + body))  # noqa: S311 - spreads retries, protects nothing
    trouble, status, wait_s = "", None, 0.0
    place = urlsplit(url).netloc
    for attempt in range(params.retries + 1):
        if attempt:
            time.sleep(wait_s)
        wait_s = params.backoff_s * 2**attempt * jitter.uniform(0.5, 1.5)
        try:
            with turn(place, params.max_requests_per_second, params.connections):
                response = _send(url, body, (_connect_s(place, params), params.timeout_s), auth)
        except requests.RequestException as error:
            trouble, status = _name_of(error), None
            _tell(host, trouble, attempt, params.retries, place not in _unreachable)
            if trouble == CANNOT_BE_REACHED and place in _unreachable:
                break
            continue
        _unreachable.discard(place)
        if response.status_code == 200:
            return response.content
        trouble, status = f"HTTP {response.status_code}", response.status_code
        if status in NO_DATA and not url.endswith("/auth"):
            return b""
        if status in UNAUTHORIZED:
            raise ServiceError("unauthorized", f"{host} refuses access ({trouble})", status)
        if status != 429 and status < 500:
            raise ServiceError("server_error", f"{host} does not accept the request ({trouble})", status)
        wait_s = _retry_after_s(response, wait_s)
        logger.info("%s: %s (attempt %d)", host, trouble, attempt + 1)
    if trouble == CANNOT_BE_REACHED:
        _unreachable.add(place)
    raise ServiceError("server_error", f"{host}: {trouble} after {attempt + 1} attempts", status)


def _connect_s(place: str, params: FdsnParams) -> float:
    return min(SHORT_CONNECT_S if place in _unreachable else LONGEST_CONNECT_S, params.timeout_s)


def _tell(host: str, trouble: str, attempt: int, retries: int, is_new: bool) -> None:
    """Say at once, also on the console, that nobody is there: what follows are waits."""
    loud = trouble == CANNOT_BE_REACHED and attempt == 0 and is_new
    level, more = (logging.WARNING, f", {retries} more follow") if loud else (logging.INFO, "")
    logger.log(level, "%s: %s (attempt %d%s)", host, trouble, attempt + 1, more)


def _send(url: str, body: bytes, timeout_s: tuple[float, float], auth: AuthBase | None) -> requests.Response:
    """Send, following redirects without turning POST into GET, and without taking the password to another host."""
    headers = {"User-Agent": f"pickflow/{__version__}"}
    for _ in range(MAX_REDIRECTS + 1):
        method = "POST" if body else "GET"
        response = requests.request(
            method, url, data=body or None, headers=headers, timeout=timeout_s, auth=auth, allow_redirects=False
        )
        target = response.headers.get("Location")
        if response.status_code not in REDIRECTS or not target:
            return response
        target = urljoin(url, target)
        if urlsplit(target).hostname != urlsplit(url).hostname:
            auth = None
            if url.endswith("/auth"):
                return response
        url = target
    return response


def _name_of(error: requests.RequestException) -> str:
    if isinstance(error, requests.ReadTimeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "connection cut in the middle of the answer"
    return CANNOT_BE_REACHED


def _retry_after_s(response: requests.Response, otherwise_s: float) -> float:
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return min(float(text), LONGEST_WAIT_S)
    moment = email.utils.parsedate_to_datetime(text) if text and ":" in text else None
    return otherwise_s if moment is None else min(max(0.0, moment.timestamp() - time.time()), LONGEST_WAIT_S)
