"""What keeps a file from being written is named, and nothing half written remains."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.io import atomic
from pickflow.io.atomic import StorageError, atomic_path, write_bytes, write_text, writing
from pickflow.io.inventory import write_inventory
from pickflow.io.quakeml import write_quakeml
from pickflow.io.tables import write_table
from pickflow.io.waveforms import write_stream
from pickflow.run.job import log_to
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATIONS

TROUBLES = {
    errno.ENOSPC: r"no space left on the disk, or the quota is used up \([\d.,]+ MB and [\d,]+ files free",
    errno.EDQUOT: "no space left on the disk, or the quota",
    errno.EROFS: "read-only",
    errno.EACCES: "may not be written by you; look at owner",
    errno.EPERM: "may not be written by you",
    errno.ENAMETOOLONG: "too long .* choose shorter names",
    errno.EIO: "the disk fails",
    errno.EFBIG: "larger than",
    errno.EMFILE: "too many files",
}


def stations(path):
    row = {"network": "XX", "station": "AAA", "latitude_deg": 1.0, "longitude_deg": 2.0, "elevation_m": 3.0}
    write_table(pd.DataFrame([row]), STATIONS, path, {})


def waveforms(path):
    write_stream(obspy.Stream([obspy.Trace(np.arange(100, dtype=np.int32), {"station": "AAA"})]), path)


def catalog(path):
    empty = [pd.DataFrame(columns=table.schema.names) for table in (EVENTS, ASSIGNMENTS, PICKS)]
    write_quakeml(*empty, path)


WRITERS = {
    "text": lambda path: write_text(path, "new"),
    "bytes": lambda path: write_bytes(path, b"new"),
    "table": stations,
    "waveforms": waveforms,
    "inventory": lambda path: write_inventory(obspy.Inventory(), path),
    "quakeml": catalog,
}


def failing(number):
    def fail(*arguments, **keywords):
        raise OSError(number, os.strerror(number))

    return fail


def write_half(path, error):
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "results" / "file"
    path.parent.mkdir()
    path.write_bytes(b"old")
    yield path
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("number", TROUBLES, ids=lambda number: errno.errorcode[number])
@pytest.mark.parametrize(("owner", "function"), [(os, "replace"), (tempfile, "mkdtemp"), (Path, "write_bytes")])
def test_a_file_that_cannot_be_written_is_named_with_the_way_out(number, owner, function, old, monkeypatch):
    monkeypatch.setattr(owner, function, failing(number))
    with pytest.raises(StorageError, match=rf"results/file: .*{TROUBLES[number]}"):
        write_bytes(old, b"new")
    monkeypatch.undo()


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_writer_says_that_the_disk_is_full(write, old, monkeypatch):
    monkeypatch.setattr(os, "replace", failing(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"results/file: no space left on the disk.* free"):
        write(old)
    monkeypatch.undo()


def test_the_words_of_a_library_that_hides_the_number_are_known(old):
    with pytest.raises(StorageError, match="no space left on the disk"):
        write_half(old, RuntimeError("I/O error: No space left on device (os error 28)"))


def test_other_errors_stay_what_they_are(old):
    with pytest.raises(KeyError):
        write_half(old, KeyError("name"))


def test_a_name_as_long_as_a_file_system_allows_can_be_written(tmp_path):
    write_text(tmp_path / ("x" * 255), "whole")
    assert (tmp_path / ("x" * 255)).read_text() == "whole"
    with pytest.raises(StorageError, match="too long"):
        write_text(tmp_path / ("x" * 256), "whole")


def test_what_lies_in_the_way_is_said(tmp_path):
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StorageError, match="something else is in its place"):
        write_text(tmp_path / "file" / "below", "x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("x")
    with pytest.raises(StorageError, match="something else is in its place"):
        write_text(tmp_path / "folder", "x")


def test_a_log_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("logging.FileHandler.__init__", failing(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"job\.log: no space left"):
        log_to(tmp_path / "logs" / "job.log")


def test_the_free_space_of_a_place_that_cannot_be_asked_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.os, "statvfs", failing(errno.EIO))
    with pytest.raises(StorageError, match="free space unknown"), writing(tmp_path / "file"):
        failing(errno.ENOSPC)()
