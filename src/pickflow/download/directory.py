"""Folders of waveform files in any format, naming and nesting: an index says what is where."""

from __future__ import annotations

import logging
import os
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any

import obspy
import pandas as pd
import pyarrow as pa

from pickflow.codes import StationCode
from pickflow.download.reading import read_waveforms
from pickflow.download.remarks import Remark
from pickflow.io.tables import conform, read_table, write_table
from pickflow.provenance import content_id, provenance
from pickflow.schemas import TIME, Table

logger = logging.getLogger(__name__)

NO_NETWORK = "XX"  # FDSN's code for "none assigned": older formats have no network code
DATES = re.compile(r"(?<!\d)(?:(\d{4})[-_.]?(\d{2})[-_.]?(\d{2})|(\d{4})[-_.]?(\d{3}))(?!\d)")

# One row for every channel of every file; what is wrong with a file is in `problem`, as a reason code.
INDEX = Table(
    "directory_index",
    pa.schema(
        [
            ("path", pa.string()),
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
    What every file below a folder holds; only new and changed files are opened.

    Parameters
    ----------
    root : Path
        Folder, searched with all that is below it; hidden files and folders are passed over.
    cache : Path
        Folder that keeps the index between calls.

    Returns
    -------
    DataFrame
        Of `INDEX`.
    """
    stored = cache / f"{content_id('index-', root.resolve())}.parquet"
    known = _read_index(stored)
    unchanged = {(row.path, row.size, row.mtime_ns) for row in known[["path", "size", "mtime_ns"]].itertuples()}
    kept, rows = [], []
    for path in _files(root):
        status = path.stat()
        identity = (str(path.relative_to(root)), status.st_size, status.st_mtime_ns)
        if identity in unchanged:
            kept.append(identity[0])
        else:
            rows += _index_file(path, identity)
    old = known[known["path"].isin(kept)]
    if not rows and len(old) == len(known):
        return known
    fresh = pd.DataFrame(rows, columns=INDEX.schema.names)
    index = conform(pd.concat([frame for frame in (old, fresh) if not frame.empty] or [fresh]), INDEX)
    write_table(index, INDEX, stored, provenance("download", {"folder": str(root)}, {}))
    return index


def _read_index(stored: Path) -> pd.DataFrame:
    try:
        return read_table(stored, INDEX)
    except ValueError:  # none yet, or of an earlier version of pickflow: it is only a cache
        return conform(pd.DataFrame(), INDEX)


def _files(root: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [path for name in names if not name.startswith(".") and (path := Path(folder, name)).is_file()]
    return sorted(found)


def _index_file(path: Path, identity: tuple[str, int, int]) -> list[dict[str, Any]]:
    stream, remarks = read_waveforms(path, headonly=True)
    problem, detail = (remarks[0].code, remarks[0].detail) if remarks else ("", "")
    if problem:
        logger.warning("%s: %s (%s)", path, problem, detail)
    common = dict(zip(("path", "size", "mtime_ns"), identity, strict=True)) | {"problem": problem, "detail": detail}
    spans: dict[tuple[str, str, str, str], list[obspy.UTCDateTime]] = {}
    for trace in stream:
        stats = trace.stats
        key = (stats.network.strip() or NO_NETWORK, stats.station.strip(), stats.location, stats.channel)
        start, end = spans.setdefault(key, [stats.starttime, stats.endtime])
        spans[key] = [min(start, stats.starttime), max(end, stats.endtime)]
    if not spans:
        spans = {("", "", "", ""): [obspy.UTCDateTime(0), obspy.UTCDateTime(0)]}
    return [
        common
        | dict(zip(("network", "station", "location", "channel"), codes, strict=True))
        | {"starttime": pd.Timestamp(start.ns, tz="UTC"), "endtime": pd.Timestamp(end.ns, tz="UTC")}
        for codes, (start, end) in spans.items()
    ]


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
    a day if its path names the day, or no day at all.
    """
    of_station = (index["network"] == code.network) & (index["station"] == code.station)
    in_time = (index["starttime"] < pd.Timestamp(endtime)) & (index["endtime"] >= pd.Timestamp(starttime))
    files = sorted({root / path for path in index.loc[of_station & in_time, "path"]})
    unreadable = index.loc[(index["station"] == "") & (index["problem"] != ""), ["path", "problem", "detail"]]
    name = re.compile(rf"(?:^|[^A-Za-z0-9]){code.network}[._/-]{re.escape(code.station)}(?:[^A-Za-z0-9]|$)")
    remarks = [
        Remark(problem, detail)
        for path, problem, detail in unreadable.astype(str).to_numpy().tolist()
        if name.search(path) and _of_day(path, day)
    ]
    return files, remarks


def _of_day(path: str, day: str) -> bool:
    moment = date.fromisoformat(day)
    ordinal = (str(moment.year), f"{moment.timetuple().tm_yday:03d}")
    named = [
        (year, month, of_month) == tuple(day.split("-")) if year else (year2, of_year) == ordinal
        for year, month, of_month, year2, of_year in DATES.findall(path)
    ]
    return any(named) if named else True
