"""Turns towards a server, shared by all threads and processes of a machine."""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pickflow.provenance import content_id

POLL_S = 0.02


@contextmanager
def turn(host: str, max_requests_per_second: float, connections: int) -> Iterator[None]:
    """
    Wait until a server may be asked, and hold one of its connections meanwhile.

    Locks of the operating system count the connections and keep the pace, so that concurrent day jobs share one budget
    per server, and a killed process gives its turn back.

    Parameters
    ----------
    host : str
        Server, any name that is the same for all requests to it.
    max_requests_per_second : float
        Pace of the starts of requests.
    connections : int
        Requests at the same time.
    """
    folder = Path(tempfile.gettempdir(), f"pickflow-turns-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    name = content_id("", host)
    connection = _first_free([folder / f"{name}.{index}" for index in range(connections)])
    try:
        _keep_pace(folder / f"{name}.pace", 1.0 / max_requests_per_second)
        yield
    finally:
        connection.close()


def _first_free(paths: list[Path]) -> IO[str]:
    """Lock one of the files; closing it unlocks."""
    for path in itertools.cycle(paths):
        file = open(path, "a")  # noqa: SIM115 - the lock lives as long as the file is open
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            time.sleep(POLL_S)
        else:
            return file
    raise AssertionError("there is at least one connection")


def _keep_pace(path: Path, interval_s: float) -> None:
    """Sleep until ``interval_s`` after the previous call, of any process, has begun."""
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        elapsed_s = time.time() - os.fstat(file.fileno()).st_mtime if file.tell() else interval_s
        if 0 <= elapsed_s < interval_s:
            time.sleep(interval_s - elapsed_s)
        file.truncate(0)
        file.write("x")
        file.flush()
