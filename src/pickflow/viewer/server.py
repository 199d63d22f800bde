"""The page of single events, alone or from a small server on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jinja2

from pickflow.io.atomic import write_text
from pickflow.viewer.content import Viewer, event_content, event_list, find_event, first_event

_HOST = "127.0.0.1"
# Host names that a request may have: with another one it comes from a foreign page (DNS rebinding).
_OUR_NAMES = ("127.0.0.1", "localhost")


def write_page(viewer: Viewer, event_id: str, content: dict[str, Any] | None = None) -> str:
    """
    HTML page of the viewer.

    Parameters
    ----------
    viewer : Viewer
        See `open_run`.
    event_id : str
        Event that is shown first.
    content : dict, optional
        See `event_content`: the page then shows this event only, and needs no server.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pickflow.viewer", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    start = {
        "run": viewer.run.folder.name, "catalog": str(viewer.catalog), "first": event_id, "content": content,
        "events": event_list(viewer) if content is None else [content["event"]],
    }  # fmt: skip
    text = json.dumps(start, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return environment.get_template("page.html.j2").render(title=viewer.run.folder.name, start=text)


def make_server(viewer: Viewer, event_id: str, port: int) -> ThreadingHTTPServer:
    """
    Server of the viewer for this machine only: ``/`` is the page, ``/event?id=`` an event as JSON.

    Parameters
    ----------
    viewer : Viewer
        See `open_run`.
    event_id : str
        Event that is shown first.
    port : int
        0: any free one; see ``server_port`` of the result.

    Raises
    ------
    ValueError
        If the port is taken.
    """
    one_at_a_time = Lock()  # the picker is not made for several threads

    @lru_cache(maxsize=32)
    def event(name: str) -> str:
        with one_at_a_time:
            return json.dumps(event_content(viewer, name), allow_nan=False, separators=(",", ":"))

    page = write_page(viewer, event_id)
    handler = partial(_Handler, page, event)
    try:
        return ThreadingHTTPServer((_HOST, port), handler)
    except OSError as error:
        raise ValueError(f"port {port} cannot be used ({error.strerror}); give another --port") from error


class _Handler(BaseHTTPRequestHandler):
    """Handles GET only, and only requests to the names of this machine."""

    def __init__(self, page: str, event: Callable[[str], str], *arguments: Any) -> None:
        self._page, self._event = page, event
        super().__init__(*arguments)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self.headers.get("Host", "").rpartition(":")[0] not in _OUR_NAMES:
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "only for this machine")
        elif url.path == "/":
            self._answer(HTTPStatus.OK, "text/html", self._page)
        elif url.path == "/event":
            try:
                content = self._event(parse_qs(url.query).get("id", [""])[0])
            except ValueError as error:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", str(error))
            else:
                self._answer(HTTPStatus.OK, "application/json", content)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", f"there is no {url.path}")

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing."""


def show(viewer: Viewer, event: str | None, path: Path | None, port: int, say_address: Callable[[str], None]) -> None:
    """
    Write the page of one event, or serve all of them until the process is interrupted.

    Parameters
    ----------
    viewer : Viewer
        See `open_run`.
    event : str or None
        See `find_event`; None: the event with the most picks.
    path : Path or None
        Where to write the page; None: serve.
    port : int
        See `make_server`.
    say_address : callable
        Called with the address when the server is ready.

    Raises
    ------
    ValueError
        If there is no such event, or the port is taken.
    """
    name = find_event(viewer, event) if event else first_event(viewer)
    if path is not None:
        write_text(path, write_page(viewer, name, event_content(viewer, name)))
        return
    with make_server(viewer, name, port) as server:
        say_address(f"http://{_HOST}:{server.server_port}/")
        server.serve_forever()
