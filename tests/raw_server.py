"""A server on loopback that sends exactly the bytes it is told to, good or bad, and remembers what it was asked."""

from __future__ import annotations

import gzip
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.loopback import running


class RawServer(ThreadingHTTPServer):
    """`answer` is bytes, or a function that gets the handler and yields bytes; `asked` holds path, headers, body."""

    daemon_threads = True

    def __init__(self, answer, context=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.requests, self.n_sent = answer, [], 0
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "http" if context is None else "https"

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Be quiet about clients that hang up."""


def raw(answer, context=None):
    """Run such a server in a thread."""
    return running(RawServer(answer, context))


def response(status=200, body=b"", **headers):
    """A whole answer; headers with underscores."""
    lines = [f"HTTP/1.1 {status} x", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if "Content_Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def endless(head=b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", piece=bytes(1 << 16), pause_s=0.0):
    """Bytes without an end, after a head."""

    def send(handler):
        yield head
        while True:
            yield piece
            threading.Event().wait(pause_s)

    return send


def bomb(n_megabytes):
    """Zeros of that many MB, in gzip."""
    return response(200, gzip.compress(bytes(n_megabytes * 1_000_000), 6), Content_Encoding="gzip")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Be quiet."""

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.path, dict(self.headers), body))
        answer = self.server.answer
        with suppress(OSError):
            for piece in [answer] if isinstance(answer, bytes) else answer(self):
                self.wfile.write(piece)
                self.wfile.flush()
                self.server.n_sent += len(piece)
        self.close_connection = True

    def do_POST(self):
        self.do_GET()

    def do_PROPFIND(self):
        self.do_GET()
