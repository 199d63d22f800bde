"""Atomic writing: a file appears whole or not at all, also after `kill -9` and on a full disk."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"  # end of the names of folders with incomplete files
_MOST_CHARACTERS = 100  # chosen: of the file's name in that of such a folder; file systems allow 255 bytes
_AGAIN = "and start the same command again"
_FULL = f"no space left on the disk, or the quota is used up ({{free}}); make room {_AGAIN}"
_FORBIDDEN = f"it may not be written by you; look at owner and mode of its folder (ls -ld {{folder}}) {_AGAIN}"
_OCCUPIED = f"something else is in its place, or a file where a folder is needed; move it away {_AGAIN}"
# Errors of file systems: meaning and remedy.
_ERRORS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: f"the file system is read-only; choose another directory, or have it mounted for writing, {_AGAIN}",
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ENAMETOOLONG: "its name is too long for the file system; choose shorter names of the run and of folders",
    errno.EFBIG: f"it is larger than the file system, or your limit (ulimit -f), allows; raise the limit {_AGAIN}",
    errno.EIO: f"the disk fails (input/output error); look at its health, {_AGAIN}",
    errno.ESTALE: f"the network disk has gone; mount it {_AGAIN}",
    errno.EMFILE: f"too many files are open; raise the limit (ulimit -n) {_AGAIN}",
    errno.EISDIR: _OCCUPIED,
    errno.ENOTDIR: _OCCUPIED,
    errno.EEXIST: _OCCUPIED,
    errno.ENOTEMPTY: _OCCUPIED,
}


class StorageError(ValueError):
    """
    A file cannot be written, or is not the one that was written.

    It ends the job. A row of the ledger would be wrong: the fault is not the station's, and the row would stay.
    """


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """
    Explain why a block could not write a file.

    Raises
    ------
    StorageError
        If the block ends with an error of the file system that a user can remedy: a full or read-only
        disk, no permission, a name too long …; naming the file, the free space where it matters, and the remedy.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # libraries wrap the system's error in their own types
        number = getattr(error, "errno", None) if isinstance(error, OSError) else None
        number = number or next((code for code in _ERRORS if os.strerror(code) in str(error)), None)
        if number not in _ERRORS:
            raise
        folder = Path(path).parent
        raise StorageError(f"{path}: {_ERRORS[number].format(free=_free(folder), folder=folder)}") from error


def _free(folder: Path) -> str:
    """Text on the free space."""
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path("."))
    try:
        status = os.statvfs(existing)
    except OSError:
        return "free space unknown"
    return f"{status.f_bavail * status.f_frsize / 1e6:,.1f} MB and {status.f_favail:,} files free below {existing}"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """
    Temporary path beside ``path`` that replaces it when the block succeeds, and is removed when it fails.

    Yields
    ------
    Path
        A file (or folder) that does not exist yet, in the folder of ``path`` and with its name's ending.

    Raises
    ------
    StorageError
        See `writing`.
    """
    target = Path(path)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name[:_MOST_CHARACTERS]}."
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=PARTIAL, dir=target.parent))
        temporary = folder / target.name
        try:
            yield temporary
            if temporary.is_dir() and target.is_dir():
                shutil.rmtree(target)
            os.replace(temporary, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_partial(folder: str | Path) -> list[Path]:
    """Remove partial files of killed writers below a folder, in which no process may be writing."""
    partial_paths = sorted(Path(folder).rglob(f".*{PARTIAL}"))
    for path in partial_paths:
        shutil.rmtree(path, ignore_errors=True)
    return partial_paths


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode())
