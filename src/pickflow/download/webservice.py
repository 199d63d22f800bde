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
import re
import time
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from obspy.clients.fdsn.header import URL_MAPPINGS
from requests.auth import AuthBase

from pickflow import secrets
from pickflow.download.throttle import turn
from pickflow.io.web import CANNOT_BE_REACHED, Digest, Limits, WebError, address_of, ask
from pickflow.provenance import sha256_of_bytes
from pickflow.run.settings.download import FdsnParams

logger = logging.getLogger(__name__)

NO_DATA = (204, 404)  # FDSN web services, as UNAUTHORIZED
UNAUTHORIZED = (401, 403)
LONGEST_WAIT_S = 600.0  # chosen: of Retry-After; a longer one ends the retries
LONGEST_CONNECT_S = 15.0  # chosen
# Chosen: where no attempt reached a server, the next request stops soon and without retries if it fails too: a node
# without internet would otherwise wait for minutes at every station.
SHORT_CONNECT_S = 2.0
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MB = 1_000_000
SMALL_MB = 1.0  # chosen, for versions, users and passwords
# End of messages on servers that do not answer.
WITHOUT_INTERNET = "on a node without internet, run the targets download_all and weights_all on a login node first"
USER_AND_PASSWORD = re.compile(r"([^\s:<>]+):(\S+)")

_unreachable: set[str] = set()  # hosts with ports


class ServiceError(Exception):
    """A server did not answer a request; `code` is a reason code of the ledger."""

    def __init__(self, code: str, detail: str, status: int | None = None):
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.status = status


class Access(NamedTuple):
    """Access to a server: its dataselect method, the authentication, and the user (for the cache; no secret)."""

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
            names = ", ".join(sorted(URL_MAPPINGS))
            raise ValueError(f"download.fdsn.servers: {server!r} is neither a URL nor one of {names}") from None
    if secrets.credentials_in(server):
        raise ValueError(
            "download.fdsn.servers: a URL holds a user or password; "
            "use download.fdsn.user and download.fdsn.password_env"
        )
    try:
        address_of(server)
    except ValueError as error:
        raise ValueError(f"download.fdsn.servers: {error}") from None
    return server.rstrip("/").removesuffix("/fdsnws")


def access(base: str, params: FdsnParams) -> Access:
    """
    Access to restricted data of a server, by EIDA token or by user and password.

    Raises
    ------
    ServiceError
        ``unauthorized`` if the server rejects the token, or the password is not in the environment.
    """
    _host_and_address(base)
    if params.token_file:
        return _access_by_token(base, params)
    if params.user and params.password_env:
        password = os.environ.get(params.password_env)
        if password is None:
            raise ServiceError("unauthorized", "the environment variable of download.fdsn.password_env is not set")
        secrets.remember(password)
        return Access("queryauth", Digest(params.user, password), f"user {params.user}")
    return Access("query", None, "anonymous")


@functools.lru_cache(maxsize=256)
def _access_by_token(base: str, params: FdsnParams) -> Access:
    token = Path(str(params.token_file)).read_bytes()
    secrets.remember(token)
    parts = urlsplit(base)
    if parts.hostname not in LOOPBACK:
        parts = parts._replace(scheme="https")  # a token is never sent in clear text
    try:
        answer = post(f"{urlunsplit(parts)}/fdsnws/dataselect/1/auth", token, params, max_mb=SMALL_MB, secret=True)
    except ServiceError as error:
        if error.status in (404, 405, 501):
            return Access("query", None, "anonymous")
        if error.status is not None and error.status < 500:
            raise ServiceError(
                "unauthorized", f"{parts.hostname} rejects the token of download.fdsn.token_file"
            ) from None
        raise
    match = USER_AND_PASSWORD.fullmatch(answer.decode(errors="replace").strip())
    if not match:
        raise ServiceError("server_error", f"{parts.hostname} answers a token with what is no user and password")
    secrets.remember(match[2])
    return Access("queryauth", Digest(match[1], match[2]), "token")


def post(
    url: str,
    body: bytes,
    params: FdsnParams,
    auth: AuthBase | None = None,
    *,
    max_mb: float | None = None,
    secret: bool = False,
) -> bytes:
    """
    Send a request to a server, with retries.

    Retries wait ``backoff_s`` · 2ⁿ with jitter (seeded by the request), or as long as the server's Retry-After;
    one of more than `LONGEST_WAIT_S` ends them.

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
    max_mb : float, optional
        Largest answer in MB; that of the parameters if not given.
    secret : bool
        Whether the body is secret, as a token is.

    Returns
    -------
    bytes
        Empty if the server has no data.

    Raises
    ------
    ServiceError
        ``unauthorized`` or ``server_error``.
    """
    host, address = _host_and_address(url)
    jitter = random.Random(sha256_of_bytes(url.encode() + body))  # noqa: S311 - spreads retries, protects nothing
    max_bytes = int((params.max_answer_mb if max_mb is None else max_mb) * MB)
    method = "POST" if body else "GET"
    problem, status, wait_s = "", None, 0.0
    for attempt in range(params.retries + 1):
        if attempt:
            time.sleep(wait_s)
        wait_s = params.backoff_s * 2**attempt * jitter.uniform(0.5, 1.5)
        limits = Limits(max_bytes, _connect_s(address, params), params.timeout_s, params.max_answer_s)
        try:
            with turn(address, params.max_requests_per_second, params.connections):
                answer = ask(url, limits, method=method, body=body, auth=auth, secret=secret)
        except WebError as error:
            problem, status = error.detail, None
            _log_problem(host, problem, attempt, params.retries, address not in _unreachable)
            if not error.temporary:
                raise ServiceError("server_error", f"{host}: {problem}") from error
            if problem == CANNOT_BE_REACHED and address in _unreachable:
                break
            continue
        _unreachable.discard(address)
        if answer.status == 200:
            return answer.body
        problem, status = f"HTTP {answer.status}", answer.status
        if status in NO_DATA and not secret:
            return b""
        _stop_at_refusal(host, answer.status)
        wait_s = retry_after_s(answer.headers.get("Retry-After", ""), wait_s)
        logger.info("%s: %s (attempt %d)", host, problem, attempt + 1)
        if wait_s > LONGEST_WAIT_S:
            problem += f", asks to come back in {wait_s:.0f} s,"
            break
    if problem == CANNOT_BE_REACHED:
        _unreachable.add(address)
    raise ServiceError("server_error", f"{host}: {problem} after {attempt + 1} attempts", status)


def _host_and_address(url: str) -> tuple[str, str]:
    """Host, and host with port; the answer of a routing service may be no address."""
    try:
        return address_of(url)[1], urlsplit(url).netloc
    except ValueError as error:
        raise ServiceError("server_error", str(error)) from None


def _stop_at_refusal(host: str, status: int) -> None:
    """Raise for a status that a retry does not change."""
    if status in UNAUTHORIZED:
        raise ServiceError("unauthorized", f"{host} refuses access (HTTP {status})", status)
    if status != 429 and status < 500:
        raise ServiceError("server_error", f"{host} does not accept the request (HTTP {status})", status)


def _connect_s(address: str, params: FdsnParams) -> float:
    return min(SHORT_CONNECT_S if address in _unreachable else LONGEST_CONNECT_S, params.timeout_s)


def _log_problem(host: str, problem: str, attempt: int, retries: int, is_new: bool) -> None:
    """Report at once, also on the console, that a server is not reached, because waits follow."""
    is_first = problem == CANNOT_BE_REACHED and attempt == 0 and is_new
    level, retry_text = (logging.WARNING, f", {retries} more follow") if is_first else (logging.INFO, "")
    logger.log(level, "%s: %s (attempt %d%s)", host, problem, attempt + 1, retry_text)


def retry_after_s(text: str, otherwise_s: float) -> float:
    """Seconds that a Retry-After header asks for; `otherwise_s` where it cannot be read."""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return otherwise_s
