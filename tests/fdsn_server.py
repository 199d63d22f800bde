"""
A small FDSN web service on loopback: dataselect, station, event, EIDA authentication and routing.

It serves the traces, inventory and catalog it was given, and fails in the ways it is told to: ``server.fail(...)``
queues faults, one for each coming request of data.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import deque
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import obspy

from tests.loopback import running

REALM = "FDSN"
NONCE = "0123456789abcdef"
FAULTS = ("cut", "truncate", "garbage", "silent")  # and any HTTP status as an integer


class FdsnServer(ThreadingHTTPServer):
    """What the service holds, what it was asked, and how it shall fail."""

    daemon_threads = True

    def __init__(self, stream, inventory=None, catalog=None, token=None, credentials=None, port=0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.stream, self.inventory, self.catalog = stream, inventory, catalog
        self.token, self.credentials = token, credentials
        self.requests: list[tuple[str, str]] = []
        self.faults: deque = deque()
        self.retry_after: str | None = None
        self.refused: str | None = None  # requests of data with this text are answered with 500
        self.delay_s = 0.0
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fail(self, *faults, retry_after=None):
        self.faults.extend(faults)
        self.retry_after = retry_after

    def requests_to(self, path):
        return [body for request_path, body in self.requests if request_path.startswith(path)]


def serving(*args, **kwargs):
    """Run a service in a thread."""
    return running(FdsnServer(*args, **kwargs))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Be quiet."""

    def do_GET(self):
        self._answer(b"")

    def do_POST(self):
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body):
        server = self.server
        path = urlsplit(self.path).path
        with server.lock:
            server.requests.append((path, body.decode(errors="replace") or urlsplit(self.path).query))
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
        try:
            if server.delay_s:
                threading.Event().wait(server.delay_s)
            self._route(path, body)
        finally:
            with server.lock:
                server.busy -= 1

    def _route(self, path, body):
        if path.endswith("/version"):
            self._send(200, b"1.1.1")
        elif path.endswith("/auth"):
            accepted = self.server.token is not None and body == self.server.token
            self._send(200, ":".join(self.server.credentials).encode()) if accepted else self._send(403, b"bad token")
        elif "routing" in path or "fedcatalog" in path:
            self._send(200, self._routes(path, body.decode()))
        elif path.endswith("/queryauth") and not self._authenticated(path):
            challenge = f'Digest realm="{REALM}", nonce="{NONCE}", qop="auth", algorithm=MD5'
            self._send(401, b"", {"WWW-Authenticate": challenge})
        elif "/dataselect/" in path:
            refused = self.server.refused is not None and self.server.refused in body.decode()
            self._send(500, b"") if refused else self._fail_or_send(self._waveforms(body.decode()))
        elif "/station/" in path:
            self._fail_or_send(self._stations(body.decode()))
        elif "/event/" in path:
            self._fail_or_send(self._events())
        else:
            self._send(404, b"")

    def _send(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fail_or_send(self, body):
        with self.server.lock:
            fault = self.server.faults.popleft() if self.server.faults else None
        if fault == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.close_connection = True
        elif fault == "truncate":
            self._send(200, body[:-100])
        elif fault == "garbage":
            self._send(200, b"<html>maintenance</html>" * 20)
        elif fault == "silent":
            threading.Event().wait(1.0)
            self.close_connection = True
        elif fault is not None:
            headers = {"Retry-After": self.server.retry_after} if self.server.retry_after else {}
            self._send(fault, b"", headers)
        else:
            self._send(200 if body else 204, body)

    def _authenticated(self, path):
        fields = dict(
            part.strip().replace('"', "").split("=", 1)
            for part in self.headers.get("Authorization", "").removeprefix("Digest ").split(",")
            if "=" in part
        )
        if not fields or self.server.credentials is None:
            return False
        user, password = self.server.credentials
        first = _md5(f"{user}:{REALM}:{password}")
        second = _md5(f"{self.command}:{path}")
        expected = _md5(f"{first}:{NONCE}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:{second}")
        return fields["username"] == user and fields["response"] == expected

    def _lines(self, body):
        return [line.split() for line in body.splitlines() if len(line.split()) == 6]

    def _waveforms(self, body):
        stream = obspy.Stream()
        for network, station, location, channel, start, end in self._lines(body):
            for trace in self.server.stream:
                code = (trace.stats.network, trace.stats.station, trace.stats.location or "--", trace.stats.channel)
                if all(map(fnmatchcase, code, (network, station, location, channel))):
                    stream += trace.slice(obspy.UTCDateTime(start), obspy.UTCDateTime(end))
        if not stream:
            return b""
        content = io.BytesIO()
        stream.write(content, format="MSEED", reclen=512)
        return content.getvalue()

    def _stations(self, body):
        if self.server.inventory is None:
            return b""
        patterns = {tuple(line[:2]) for line in self._lines(body)}
        inventory = obspy.Inventory()
        for network in self.server.inventory.copy():
            network.stations = [
                station
                for station in network
                if any(fnmatchcase(network.code, net) and fnmatchcase(station.code, sta) for net, sta in patterns)
            ]
            if network.stations:
                inventory.networks.append(network)
        if not inventory.networks:
            return b""
        content = io.BytesIO()
        inventory.write(content, format="STATIONXML")
        return content.getvalue()

    def _events(self):
        if self.server.catalog is None:
            return b""
        query = parse_qs(urlsplit(self.path).query)
        if query.get("format") == ["text"]:
            return _event_text(self.server.catalog)
        content = io.BytesIO()
        self.server.catalog.write(content, format="QUAKEML")
        return content.getvalue()

    def _routes(self, path, body):
        """Everything is here, in the dialect of the routing service asked."""
        lines = "\n".join(" ".join(line) for line in self._lines(body))
        if "fedcatalog" in path:
            services = f"DATASELECTSERVICE={self.server.url}/fdsnws/dataselect/1/\n"
            services += f"STATIONSERVICE={self.server.url}/fdsnws/station/1/"
            return f"minlat=0\n\nDATACENTER=TEST,http://nowhere.example\n{services}\n{lines}\n".encode()
        service = "station" if "service=station" in body else "dataselect"
        return f"{self.server.url}/fdsnws/{service}/1/query\n{lines}\n\n".encode()


def _event_text(catalog):
    header = "#EventID|Time|Latitude|Longitude|Depth/km|Author|Catalog|Contributor|ContributorID|MagType|Magnitude"
    rows = [header + "|MagAuthor|EventLocationName"]
    for event in catalog:
        origin = event.preferred_origin() or event.origins[0]
        magnitude = event.preferred_magnitude() or (event.magnitudes or [None])[0]
        size = (magnitude.magnitude_type, f"{magnitude.mag}") if magnitude else ("", "")
        place = (f"{origin.latitude}", f"{origin.longitude}", f"{(origin.depth or 0) / 1e3}")
        name = event.resource_id.id.split("/")[-1]
        time = str(origin.time).rstrip("Z")
        rows.append("|".join([name, time, *place, "test", "test", "test", name, *size, "test", "somewhere"]))
    return ("\n".join(rows) + "\n").encode()


def _md5(text):
    return hashlib.md5(text.encode()).hexdigest()
