"""Servers of the tests, on loopback."""

from __future__ import annotations

import threading
from contextlib import contextmanager


@contextmanager
def running(server):
    """Run a server of `socketserver` in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
