"""Folders of waveform files in any format, naming and nesting, by an index of their content."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import obspy
import pandas as pd
import pyarrow as pa

from pickflow.codes import StationCode, code_problem
from pickflow.download.reading import read_waveforms
from pickflow.download.remarks import Remark
from pickflow.io.tables import conform, read_table, write_table
from pickflow.provenance import content_id, provenance
from pickflow.schemas import TIME, Table
from pickflow.secrets import printable
from pickflow.versions import STAGE_VERSIONS

logger = logging.getLogger(__name__)

LONGEST_PATH = 4096  # PATH_MAX of Linux
NO_NETWORK = "XX"  # FDSN's code for "none assigned": older formats have no network code
COMPANIONS = (".csv", ".ini", ".jpg", ".json", ".log", ".md", ".pdf", ".png", ".txt", ".xml", ".yaml", ".yml")
DATES = re.compile(r"(?<!\d)(?:(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})|(\d{4})[-_.]?(\d{3}))(?!\d)")

# One row for every channel of every file; what is wrong with a file is in `problem`, as a reason code.
INDEX = Table(
    "directory_index",
    pa.schema(
        [
            ("path", pa.binary()),  # as stored: names are bytes, not always UTF-8
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("network", pa.string()),
            ("station", pa.string()),
            ("location", pa.string()),
            ("channel", pa.string()),
            ("starttime", TIME),
            ("endtime", TIME),
            ("problem", pa.string()),
            ("detail", pa.string()),
        ]
    ),
    sort=("path", "network", "station", "location", "channel"),
    key=("path", "network", "station", "location", "channel"),
)


def directory_index(root: Path, cache: Path) -> pd.DataFrame:
    """
    Content of every file below a folder; only new and changed files are opened.

    Parameters
    ----------
    root : Path
        Folder, searched with all that is below it as in `regular_files`.
    cache : Path
        Folder that keeps the index between calls.

    Returns
    -------
    DataFrame
        Of `INDEX`.
    """
    index_path = cache / f"{content_id('index-', root.resolve(), STAGE_VERSIONS['download'])}.parquet"
    old_index = _read_index(index_path)
    identities = {(row.path, row.size, row.mtime_ns) for row in old_index[["path", "size", "mtime_ns"]].itertuples()}
    paths, rows = [], []
    for path, status in sorted(regular_files(root)):
        identity = (os.fsencode(path.relative_to(root)), status.st_size, status.st_mtime_ns)
        if identity in identities:
            paths.append(identity[0])
        else:
            rows += _index_file(path, identity)
    valid = old_index[old_index["path"].isin(paths)]
    if not rows and len(valid) == len(old_index):
        return old_index
    new_rows = pd.DataFrame(rows, columns=INDEX.schema.names)
    index = conform(pd.concat([frame for frame in (valid, new_rows) if not frame.empty] or [new_rows]), INDEX)
    write_table(index, INDEX, index_path, provenance("download", {"folder": str(root)}, {}))
    return index


def _read_index(path: Path) -> pd.DataFrame:
    try:
        return read_table(path, INDEX)
    except ValueError:  # none yet, or of an earlier version of pickflow: it is only a cache
        return conform(pd.DataFrame(), INDEX)


def regular_files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """
    Files below a folder, each once, in no order; links are followed, other objects and unreachable files are logged.

    Parameters
    ----------
    root : Path
        Folder; hidden files and folders below it are skipped.
    """
    visited = {_identity(status) for status in [_status(root)] if status}
    for folder, folders, names in os.walk(root, followlinks=True, onerror=lambda error: logger.warning("%s", error)):
        entries = {name: Path(folder, name) for name in sorted(folders + names) if not name.startswith(".")}
        folders.clear()
        for name, path in entries.items():
            status = _status(path)
            if status is None or _identity(status) in visited:
                continue
            visited.add(_identity(status))
            if stat.S_ISDIR(status.st_mode):
                folders.append(name)
            else:
                yield path, status


def _status(path: Path) -> os.stat_result | None:
    """Of a file or folder; None, and a line of the log, for anything else."""
    try:
        status = path.stat()
    except OSError as error:
        logger.warning("%s: left out (%s)", _printable(path), error.strerror)
        return None
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        return status
    logger.warning("%s: left out (neither a file nor a folder)", _printable(path))
    return None


def _printable(path: Path) -> str:
    return printable(str(path), LONGEST_PATH)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _index_file(path: Path, identity: tuple[bytes, int, int]) -> list[dict[str, Any]]:
    """Rows of a file: one for every channel, and one without codes for content that belongs to no station."""
    stream, remarks = read_waveforms(path, headonly=True)
    name = printable(path.name)
    spans: dict[tuple[str, str, str, str], list[obspy.UTCDateTime]] = {}
    for trace in stream:
        stats = trace.stats
        codes = (
            stats.network.strip() or NO_NETWORK,
            stats.station.strip(),
            stats.location.strip(),
            stats.channel.strip(),
        )
        if problem := code_problem(*codes):
            remarks.append(Remark("foreign_file", f"{name}: {problem}" if codes[1] else f"{name}: no station code"))
            codes = ("", "", "", "")
        start, end = spans.setdefault(codes, [stats.starttime, stats.endtime])
        spans[codes] = [min(start, stats.starttime), max(end, stats.endtime)]
    if not spans and not remarks:
        remarks = [Remark("foreign_file", f"{name} holds no samples")]
    remarks = list(dict.fromkeys(remarks))
    for remark in remarks:
        logger.warning("%s: %s (%s)", _printable(path), *remark)
    if not spans:
        spans = {("", "", "", ""): [obspy.UTCDateTime(0), obspy.UTCDateTime(0)]}
    code, detail = remarks[0] if remarks else ("", "")
    return [
        dict(zip(("path", "size", "mtime_ns"), identity, strict=True))
        | dict(zip(("network", "station", "location", "channel"), codes, strict=True))
        | {"starttime": _timestamp(start), "endtime": _timestamp(end), "problem": code, "detail": detail}
        for codes, (start, end) in spans.items()
    ]


def _timestamp(time: obspy.UTCDateTime) -> pd.Timestamp:
    """Time in the range of nanoseconds; an absurd rate makes a record last for centuries."""
    return pd.Timestamp(min(time.ns, pd.Timestamp.max.value), tz="UTC")


def directory_stations(index: pd.DataFrame) -> list[StationCode]:
    """Stations that an index holds waveforms of."""
    codes = index.loc[index["station"] != "", ["network", "station"]].drop_duplicates()
    return sorted(StationCode(*row) for row in codes.itertuples(index=False))


def directory_files(
    index: pd.DataFrame, root: Path, code: StationCode, starttime: datetime, endtime: datetime, day: str
) -> tuple[list[Path], list[Remark]]:
    """
    Files with samples of a station in [starttime, endtime), and the unusable files that seem to be the station's.

    A file that cannot be read belongs to a station if its path names it (``NET.STA``, ``NET_STA``, ``NET/STA``), and to
    a day if its path names the day, or no day at all; notes and pictures beside the waveforms belong to no station.
    """
    of_station = index[(index["network"] == code.network) & (index["station"] == code.station)]
    in_time = (of_station["starttime"] < pd.Timestamp(endtime)) & (of_station["endtime"] >= pd.Timestamp(starttime))
    files = sorted({root / os.fsdecode(path) for path in of_station.loc[in_time, "path"]})
    unreadable = index.loc[(index["station"] == "") & (index["problem"] != ""), ["path", "problem", "detail"]]
    codes = f"{re.escape(code.network)}[._/-]{re.escape(code.station)}"
    name = re.compile(rf"(?:^|[^A-Za-z0-9]){codes}(?:[^A-Za-z0-9]|$)")
    remarks = [
        Remark(problem, detail)
        for path, problem, detail in ((os.fsdecode(row[0]), *row[1:]) for row in unreadable.to_numpy().tolist())
        if name.search(path) and _of_day(path, day) and Path(path).suffix.lower() not in COMPANIONS
    ]
    if not files and len(of_station):
        first, last = of_station["starttime"].min(), of_station["endtime"].max()
        remarks.append(
            Remark("no_data", f"the folder has it from {first:%Y-%m-%dT%H:%M:%S} to {last:%Y-%m-%dT%H:%M:%S}")
        )
    return files, remarks


def _of_day(path: str, day: str) -> bool:
    moment = date.fromisoformat(day)
    ordinal = (str(moment.year), f"{moment.timetuple().tm_yday:03d}")
    is_day = [
        (year, month, of_month) == tuple(day.split("-")) if year else (year2, of_year) == ordinal
        for year, month, of_month, year2, of_year in DATES.findall(path)
    ]
    return any(is_day) if is_day else True
