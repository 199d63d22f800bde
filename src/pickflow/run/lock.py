"""
One run of a name at a time, and none beside remaining jobs of a killed one.

Locks of the operating system on ranges of one file, which end with their process, also after `kill -9`, and which work
between hosts on parallel file systems. The run holds the first byte, each of its jobs a byte of its own.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import socket
import stat
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pickflow.run.layout import RunLayout

RUN_BYTE = 0  # of the run itself
JOB_BYTES = 2**40  # jobs lie in [1, JOB_BYTES]
POLL_S = 0.5  # chosen
FLOCK = "hhqqi"  # struct flock of Linux with 64 bits: type, whence, start, length, process
HELD = (errno.EACCES, errno.EAGAIN)
NO_FILE = (errno.EISDIR, errno.ELOOP, errno.ENXIO)

logger = logging.getLogger(__name__)
# A process loses its locks when it closes the file, so this stays open until it ends.
_open: dict[Path, int] = {}


class RunLockedError(ValueError):
    """Another process holds the run, or the file of its lock cannot be used."""


class LockState(NamedTuple):
    """Whether a run is held, and the note of the process that holds it, or held it and was killed."""

    is_held: bool
    note: dict[str, str]


def hold_run(folder: str | Path, warn: Callable[[str], None]) -> bool:
    """
    Hold a run until this process ends, and wait for remaining jobs of an earlier one.

    Parameters
    ----------
    folder : str or Path
        ``results/<run>``.
    warn : callable
        Called with messages.

    Returns
    -------
    bool
        Whether an earlier run was killed: it may have left incomplete files.

    Raises
    ------
    RunLockedError
        If another process holds it, naming host, process and since when; or if the file of the lock cannot be opened
        or written. The content of the file never prevents a start.
    """
    path = RunLayout(folder).lock
    file = _file(path)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, RUN_BYTE)
    except OSError as error:
        if error.errno in HELD:
            raise RunLockedError(_refusal(path, _note(file) or {}, file)) from None
        warn(f"{path}: this file system has no locks ({error.strerror}); take care that this run is started only once")
        return False
    previous = _note(file)
    host = socket.gethostname()
    if previous is None:
        warn(f"{path}: what stands there is no note of a run; it is taken for one that did not end by itself")
    elif previous and previous["host"] != host:
        warn(
            f"{path}: the run before, {_process_of(previous)}, did not end by itself; make sure that it no longer runs"
        )
    _wait_for_jobs(file, warn)
    try:
        _write_note(file, {"host": host, "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")})
    except OSError as error:
        raise RunLockedError(_unusable(path, error)) from error
    return previous != {}


def end_run(folder: str | Path) -> None:
    """Note in the file that the run has ended; the lock remains until the process ends."""
    path = RunLayout(folder).lock
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
    run = RunLayout.of_log(log)
    if run is None:
        return
    path, name = run.lock, str(Path(log).relative_to(run.folder))
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


def lock_state(folder: str | Path) -> LockState:
    """Whether another process holds a run, and its note; changes nothing."""
    try:
        file = os.open(RunLayout(folder).lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return LockState(False, {})
    try:
        return LockState(_query(file, RUN_BYTE, 1)[0] != fcntl.F_UNLCK, _note(file) or {})
    except OSError:  # of a file system without locks
        return LockState(False, {})
    finally:
        os.close(file)


def _file(path: Path) -> int:
    if path not in _open:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Through a link another file would be emptied.
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise RunLockedError(_unusable(path, error)) from error
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise RunLockedError(_unusable(path, None))
        _open[path] = file
    return _open[path]


def _unusable(path: Path, error: OSError | None) -> str:
    kind = "a folder, link or device" if error is None or error.errno in NO_FILE else error.strerror
    return (
        f"{path}: the lock of the run cannot be used ({kind}); if nobody is at work there, delete it, look at room and"
        " rights of the folder (df, ls -ld), and start the same command again"
    )


def _wait_for_jobs(file: int, report: Callable[[str], None]) -> None:
    is_reported = False
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, JOB_BYTES, 1)
        except OSError as error:
            if error.errno not in HELD:
                raise
        else:
            fcntl.lockf(file, fcntl.LOCK_UN, JOB_BYTES, 1)
            return
        if not is_reported:
            holder = _holder(file, 1, JOB_BYTES)
            report(f"a job of an earlier run, which was killed, is still at work ({holder}); waiting for its end")
            is_reported = True
        time.sleep(POLL_S)


def _holder(file: int, start: int, length: int) -> str:
    """Process that holds bytes of the file; of another host only its existence."""
    process = _query(file, start, length)[4]
    return f"process {process}" if process > 0 else "on another host"


def _query(file: int, start: int, length: int) -> tuple[int, ...]:
    """The lock that conflicts with one on bytes of the file, as `FLOCK` describes it."""
    request = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    return struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, request))


def _note(file: int) -> dict[str, str] | None:
    """Process that holds the run, or held it and was killed; empty if it ended, None for other content."""
    text = os.pread(file, 4096, 0)
    try:
        note = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    is_note = isinstance(note, dict) and (not note or {"host", "pid", "since"} <= note.keys())
    return {key: str(value)[:100] for key, value in note.items()} if is_note else None


def _write_note(file: int, note: dict[str, str | int]) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(note).encode(), 0)


def _process_of(note: dict[str, str]) -> str:
    return f"process {note['pid']} on {note['host']} since {note['since']}" if note else "a process that is starting"


def _refusal(path: Path, note: dict[str, str], file: int) -> str:
    return (
        f"{path}: the run {path.parent.name!r} is already going on here: {_process_of(note)}; the lock is held by"
        f" {_holder(file, RUN_BYTE, 1)}. Wait for its end or stop it; another run needs another name (config key run)"
        " or another directory. If there is no such process (a network disk may keep the lock of a dead host), delete"
        " this file"
    )
