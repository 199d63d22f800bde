"""Files appear whole or not at all, also after `kill -9` and on a full disk."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial"  # end of the name of folders that hold what is not whole yet
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class StorageError(ValueError):
    """
    A file cannot be written, or is not what was written.

    It ends the job. A row of the ledger would be wrong: the fault is not the station's, and the row would stay.
    """


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """
    Temporary path beside ``path`` that replaces it when the block ends well, and vanishes when it does not.

    Yields
    ------
    Path
        A file (or folder) that does not exist yet, in the folder of ``path`` and with its name's ending.

    Raises
    ------
    StorageError
        If the disk is full.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=PARTIAL, dir=target.parent))
        temporary = folder / target.name
        try:
            yield temporary
            if temporary.is_dir() and target.is_dir():
                shutil.rmtree(target)
            os.replace(temporary, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise StorageError(
            f"{target}: no space left on the disk, or the quota is used up; make room and start the same command again"
        ) from error


def remove_partial(folder: str | Path) -> list[Path]:
    """Remove what writers that were killed left below a folder; nobody may be writing there."""
    left = sorted(Path(folder).rglob(f".*{PARTIAL}"))
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return left


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, text.encode())
