"""
Secrets of a process, and their removal from all output.

They are known by their value: passwords and tokens from where the configuration points to them, those that a server
gives in exchange, keys in the environment. Code that reads a secret passes it to `remember`; code that writes uses
`redact`.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

HIDDEN = "***"
# Chosen: shorter values occur in normal text; of the environment, where names only suggest secrets, even longer ones.
SHORTEST = 4
SHORTEST_OF_ENVIRONMENT = 8
LONGEST = 1_000_000  # bytes of a file, chosen
MOST_SHOWN = 120  # characters, chosen
_WORDS = "pass(word|wd|phrase)?|pwd|secret|token|api_?key|access_?key|private_?key|credentials?|signature|sig|auth"
# Names of variables of the environment and of parameters of URLs that hold a secret.
_SECRET_NAME = re.compile(rf"(?i)(^|[_.-])({_WORDS})([_.-]|$)|(?:password|passwd|secret|token|apikey)\Z")
# User and password of a URL; passwords with a slash are not allowed there, and written all the same.
_USER_OF_URL = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]*://)([^\s/?#'"]+|[^\s/?#'":@]+:(?!\d+([/?#]|\Z))[^\s'"]+)@""")
# A token alone with a slash in it, which looks like a path: the part before the slash is no host of the internet.
_TOKEN_OF_URL = re.compile(r"""(https?://)([^\s/?#'":@.]+/[^\s?#'"@]*)@(?=[\w-]+\.\w)""")
_HEADER = re.compile(r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?)(basic|bearer|digest)?\s*[^\r\n]+")
_values: set[str] = set()
_tell_of_broken_handler = logging.Handler.handleError


def remember(*values: str | bytes) -> None:
    """Register values as secrets of this process: as they are, line by line, and as encoded in URLs."""
    for value in values:
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        for part in (text, text.strip(), *text.splitlines()):
            for form in (part, quote(part, safe=""), unquote(part)):
                if len(form) >= SHORTEST:
                    _values.add(form)


def redact(text: str) -> str:
    """The text without secrets: those remembered, users and passwords of URLs, headers of authorization."""
    for value in sorted(_values, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    for pattern in (_USER_OF_URL, _TOKEN_OF_URL):
        text = pattern.sub(rf"\1{HIDDEN}@", text)
    return _HEADER.sub(rf"\1{HIDDEN}", text)


def redact_all(value: Any) -> Any:
    """The same for every text in nested mappings and lists."""
    if isinstance(value, Mapping):
        return {redact(str(key)): redact_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_all(item) for item in value]
    return redact(value) if isinstance(value, str) else value


def printable(text: str, length: int = MOST_SHOWN) -> str:
    """Foreign text for a message: one line of bounded length, without control characters and secrets."""
    return "".join(letter if letter.isprintable() else "?" for letter in redact(text)[:length])


def texts_of(section: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each text of a configuration with its key, at any depth; also of keys that users name."""
    if isinstance(section, Mapping):
        for name, value in section.items():
            path = f"{key}.{name}" if key else str(name)
            yield key or "the top level", str(name)
            yield from texts_of(value, path)
    elif isinstance(section, (list, tuple)):
        for item in section:
            yield from texts_of(item, key)
    elif isinstance(section, str):
        yield key, section


def credentials_in(text: str) -> str | None:
    """Kind of the credentials of a URL: a user, or a parameter with a name of secrets; None without."""
    if _USER_OF_URL.search(text) or _TOKEN_OF_URL.search(text):
        return "a user or password"
    if "://" not in text:
        return None
    try:
        names = [name for name, _ in parse_qsl(urlsplit(text).query, keep_blank_values=True)]
    except ValueError:
        return None
    secret = [name for name in names if _SECRET_NAME.search(name)]
    return f"the parameter {printable(secret[0])}" if secret else None


def remember_of(config: Mapping[str, Any]) -> None:
    """
    Register the secrets of a run: the variables and files that its configuration names.

    Parameters
    ----------
    config : mapping
        Keys that end with ``_env`` name variables, those that end with ``token_file`` a file.
    """
    remember_environment()
    for key, text in texts_of(config):
        if key.endswith("_env"):
            remember(os.environ.get(text, ""))
        elif key.endswith("token_file"):
            try:
                with open(text, "rb") as file:
                    remember(file.read(LONGEST))
            except OSError:  # the code that needs it reports the error
                continue


def remember_environment() -> None:
    """Register the secrets of the environment: by the names of the variables, and passwords in addresses."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= SHORTEST_OF_ENVIRONMENT and not Path(value).is_absolute():
            remember(value)
        is_proxy = name.lower().endswith("_proxy")  # which may be written without a scheme
        user = _USER_OF_URL.match(value if "://" in value or not is_proxy else f"http://{value}")
        remember(user[2].partition(":")[2]) if user else None


def install() -> None:
    """Remove secrets from all messages of this process: of any logger, to any handler, tracebacks included."""
    make = logging.LogRecord

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        with suppress(Exception):  # a message that does not fit its arguments: logging itself says so
            text = record.getMessage()
            if (message := redact(text)) != text:
                record.msg, record.args = message, None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record

    def tell_redacted(handler: logging.Handler, record: logging.LogRecord) -> None:
        with redirect_stderr(Redacted(sys.stderr)):  # with the traceback of what was being handled
            _tell_of_broken_handler(handler, record)

    logging.setLogRecordFactory(make_redacted)
    logging.Handler.handleError = tell_redacted  # type: ignore[assignment, method-assign]


class Redacted:
    """A stream, such as stderr, that writes texts without secrets."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, such as a line."""
        return int(self._stream.write(redact(text)))

    def writelines(self, texts: Iterable[str]) -> None:
        """Write each of them."""
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
