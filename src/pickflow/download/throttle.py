"""Rate limit of requests to a server, shared by all threads and processes of a user on a machine."""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import platform
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from pickflow.io.atomic import StorageError
from pickflow.provenance import content_id

logger = logging.getLogger(__name__)

POLL_S = 0.02  # chosen: shorter than answers take


@contextmanager
def turn(host: str, max_requests_per_second: float, connections: int) -> Iterator[None]:
    """
    Wait until a request to a server is allowed, and hold one of its connections meanwhile.

    Locks of the operating system count the connections and keep the pace, so that concurrent day jobs share one budget
    per server, and a killed process releases its connection.

    Parameters
    ----------
    host : str
        Server, any name that is the same for all requests to it.
    max_requests_per_second : float
        Pace of the starts of requests.
    connections : int
        Requests at the same time.

    Raises
    ------
    StorageError
        If there is no folder for the locks that belongs to this user alone.
    """
    folder = _private_folder()
    try:
        name = content_id("", host)
        connection = _first_free(folder, [f"{name}.{index}" for index in range(connections)])
        try:
            _keep_pace(folder, f"{name}.pace", 1.0 / max_requests_per_second)
            yield
        finally:
            connection.close()
    finally:
        os.close(folder)


def _private_folder() -> int:
    """
    Descriptor of the folder of the locks: in the temporary directory, or else in the user's own state folder.

    Other users may write into the temporary directory of a login node: a folder of this name may be theirs.
    """
    temporary = Path(tempfile.gettempdir(), f"pickflow-turns-{os.getuid()}")
    state = Path(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"))
    problems = []
    paths = (temporary, state / "pickflow" / f"turns-{platform.node()}")
    for path in filter(Path.is_absolute, paths):  # a user of a container may have no home: ~ is then not expanded
        try:
            return _open_folder(path)
        except OSError as error:
            problems.append(f"{path} ({error.strerror})")
            logger.info("not used for the locks that pace requests: %s", problems[-1])
    raise StorageError(
        f"no folder for the locks that pace requests to data centres: {', '.join(problems)}; set TMPDIR or"
        " XDG_STATE_HOME to a folder that only you can write to"
    )


def _open_folder(path: Path) -> int:
    """Open a folder, created if necessary, that is no link, owned by this user and closed to others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    status = os.fstat(folder)
    if status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077:
        return folder
    os.close(folder)
    raise PermissionError(
        0, f"belongs to user {status.st_uid}, mode {stat.S_IMODE(status.st_mode):o}; need our own, 700"
    )


def _open_lock(folder: int, name: str) -> IO[str]:
    """Open a lock file of the folder; anything but a plain file of this user is not touched."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, mode=0o600, dir_fd=folder)
    except OSError as error:
        raise StorageError(f"lock {name} of the folder pickflow-turns: {error.strerror}; remove it") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid() or status.st_nlink != 1:
        os.close(descriptor)
        raise StorageError(f"lock {name} of the folder pickflow-turns is no plain file of yours; remove it")
    return os.fdopen(descriptor, "r+")


def _first_free(folder: int, names: list[str]) -> IO[str]:
    """Lock one of the files; closing it unlocks."""
    for name in itertools.cycle(names):
        file = _open_lock(folder, name)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            time.sleep(POLL_S)
        else:
            return file
    raise AssertionError("there is at least one connection")


def _keep_pace(folder: int, name: str, interval_s: float) -> None:
    """Sleep until ``interval_s`` after the previous call, of any process, has begun."""
    with _open_lock(folder, name) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        status = os.fstat(file.fileno())
        elapsed_s = time.time() - status.st_mtime if status.st_size else interval_s
        if 0 <= elapsed_s < interval_s:
            time.sleep(interval_s - elapsed_s)
        file.truncate(0)
        file.write("x")
        file.flush()
