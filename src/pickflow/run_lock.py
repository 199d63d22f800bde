"""
One run of a name at a time, and none beside the jobs that a killed one left behind.

Locks of the operating system on ranges of one file, which end with the process that holds them, also after `kill -9`,
and which parallel file systems keep between hosts. The run holds the first byte, each of its jobs a byte of its own.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

LOCK_FILE = ".lock"
RUN_BYTE = 0
JOB_BYTES = 2**40  # jobs lie in [1, JOB_BYTES]
POLL_S = 0.5
FLOCK = "hhqqi"  # struct flock of Linux with 64 bits: type, whence, start, length, process
HELD = (errno.EACCES, errno.EAGAIN)

logger = logging.getLogger(__name__)
# A process loses its locks when it closes the file, so this stays open until it ends.
_open: dict[Path, int] = {}


class RunLockedError(ValueError):
    """Another process holds the run."""


def hold_run(folder: str | Path, tell: Callable[[str], None]) -> bool:
    """
    Hold a run until this process ends, and wait for the jobs that an earlier one left behind.

    Parameters
    ----------
    folder : str or Path
        ``results/<run>``.
    tell : callable
        Gets sentences for people.

    Returns
    -------
    bool
        Whether an earlier run did not end by itself: it may have left files that are not whole.

    Raises
    ------
    RunLockedError
        If another process holds it, naming host, process and since when.
    """
    path = Path(folder, LOCK_FILE)
    file = _file(path)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, RUN_BYTE)
    except OSError as error:
        if error.errno in HELD:
            raise RunLockedError(_refusal(path, _note(file))) from None
        tell(f"{path}: this file system has no locks ({error.strerror}); take care that this run is started only once")
        return False
    before = _note(file)
    host = socket.gethostname()
    if before and before["host"] != host:
        tell(f"{path}: the run before, {_who(before)}, did not end by itself; make sure that it is no more")
    _wait_for_jobs(file, tell)
    _write_note(file, {"host": host, "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")})
    return bool(before)


def end_run(folder: str | Path) -> None:
    """Say in the file that the run ended by itself; the lock stays until the process ends."""
    path = Path(folder, LOCK_FILE)
    if path in _open:
        os.ftruncate(_open[path], 0)


def hold_job(log: str | Path) -> None:
    """
    Hold a job until this process ends; wait while another process has the same one.

    Parameters
    ----------
    log : str or Path
        Log of the job, below ``results/<run>/logs``; no other job has the same one.
    """
    folder = next((parent.parent for parent in Path(log).parents if parent.name == "logs"), None)
    if folder is None:
        return
    path, name = folder / LOCK_FILE, str(Path(log).relative_to(folder))
    byte = 1 + int(hashlib.sha256(name.encode()).hexdigest()[:12], 16) % JOB_BYTES
    file = _file(path)
    try:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError as error:
            if error.errno not in HELD:
                raise
            logger.warning("%s: another process is at the same job; waiting for its end", log)
            fcntl.lockf(file, fcntl.LOCK_EX, 1, byte)
    except OSError as error:
        logger.info("%s: this file system has no locks (%s)", path, error.strerror)


def _file(path: Path) -> int:
    if path not in _open:
        path.parent.mkdir(parents=True, exist_ok=True)
        _open[path] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    return _open[path]


def _wait_for_jobs(file: int, tell: Callable[[str], None]) -> None:
    told = False
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, JOB_BYTES, 1)
        except OSError as error:
            if error.errno not in HELD:
                raise
        else:
            fcntl.lockf(file, fcntl.LOCK_UN, JOB_BYTES, 1)
            return
        if not told:
            tell(f"a job of an earlier run, which was killed, is still at work ({_job_of(file)}); waiting for its end")
            told = True
        time.sleep(POLL_S)


def _job_of(file: int) -> str:
    """Which process holds a job; of another host only that there is one."""
    asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 1, JOB_BYTES, 0)
    process = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))[4]
    return f"process {process}" if process > 0 else "on another host"


def _note(file: int) -> dict[str, str]:
    """Who holds the run, or held it and did not end by itself; empty otherwise."""
    try:
        return json.loads(os.pread(file, 4096, 0))
    except ValueError:
        return {}


def _write_note(file: int, note: dict[str, str | int]) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(note).encode(), 0)


def _who(note: dict[str, str]) -> str:
    return f"process {note['pid']} on {note['host']} since {note['since']}" if note else "a process that is starting"


def _refusal(path: Path, note: dict[str, str]) -> str:
    return (
        f"{path}: the run {path.parent.name!r} is already going on here: {_who(note)}. Wait for its end or stop it; "
        "another run needs another name (config key run) or another directory"
    )
