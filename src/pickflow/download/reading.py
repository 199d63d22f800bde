"""Reading waveform files and answers of servers that may be empty, foreign, truncated or damaged."""

from __future__ import annotations

import glob
import io
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import obspy
from obspy.core.util.base import ENTRY_POINTS
from obspy.core.util.misc import buffered_load_entry_point
from obspy.io.mseed.util import get_record_information

from pickflow.download.remarks import Remark

NEVER_READ = ("PICKLE",)  # unpickling runs whatever the file says
PLUGIN = "obspy.plugin.waveform"


def read_waveforms(
    path: Path, starttime: datetime | None = None, endtime: datetime | None = None, headonly: bool = False
) -> tuple[obspy.Stream, list[Remark]]:
    """
    Read a waveform file of any format that ObsPy knows, except pickles.

    Parameters
    ----------
    path : Path
        File; its name does not matter.
    starttime, endtime : datetime, optional
        Only what lies in between; formats without an index are read whole.
    headonly : bool
        Leave the samples out.

    Returns
    -------
    stream : Stream
        Empty if nothing can be read.
    remarks : list of Remark
        ``empty_file``, ``foreign_file`` or ``truncated_file``; never an exception because of the content of a file.
    """
    try:
        if path.stat().st_size == 0:
            return obspy.Stream(), [Remark("empty_file", f"{path.name} is empty")]
        name = detect_format(path)
        if name == "MSEED":
            return _read_miniseed(path.name, path.read_bytes(), starttime, endtime, headonly)
    except OSError as error:
        return obspy.Stream(), [Remark("foreign_file", f"{path.name}: {error.strerror}")]
    if name is None:
        return obspy.Stream(), [Remark("foreign_file", f"{path.name} is not a waveform file")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream = obspy.read(glob.escape(str(path)), format=name, headonly=headonly)
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        return obspy.Stream(), [Remark("foreign_file", f"{path.name} looks like {name}, unreadable: {_line(error)}")]
    if starttime is not None and endtime is not None and not headonly:
        stream.trim(obspy.UTCDateTime(starttime), obspy.UTCDateTime(endtime))
    return stream, []


def detect_format(path: Path) -> str | None:
    """Name of ObsPy's waveform format of a file, None if there is none; pickles are never opened."""
    for name, entry_point in ENTRY_POINTS["waveform"].items():
        if name in NEVER_READ:
            continue
        try:
            is_format = buffered_load_entry_point(entry_point.dist.name, f"{PLUGIN}.{entry_point.name}", "isFormat")
            if is_format(str(path)):
                return name
        except Exception:  # noqa: S112 - a detector that fails on a foreign file has said no
            continue
    return None


def read_answer(
    source: str, body: bytes, starttime: datetime | None = None, endtime: datetime | None = None
) -> tuple[obspy.Stream, list[Remark]]:
    """
    Read the MiniSEED that a data centre sent.

    Parameters
    ----------
    source : str
        Name of the data centre, for the remarks.
    body : bytes
        What it sent.
    starttime, endtime : datetime, optional
        As in `read_waveforms`, which also describes what is returned.
    """
    return _read_miniseed(f"answer of {source}", body, starttime, endtime, headonly=False)


def _read_miniseed(
    name: str, content: bytes, starttime: datetime | None, endtime: datetime | None, headonly: bool
) -> tuple[obspy.Stream, list[Remark]]:
    options: dict[str, Any] = {"format": "MSEED", "headonly": headonly}
    if starttime is not None and endtime is not None:
        options |= {"starttime": obspy.UTCDateTime(starttime), "endtime": obspy.UTCDateTime(endtime)}
    try:
        information = get_record_information(io.BytesIO(content))
        record_length = int(information["record_length"])
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        return obspy.Stream(), [Remark("foreign_file", f"{name} has no MiniSEED record: {_line(error)}")]
    n_whole = len(content) // record_length * record_length
    remarks = []
    if n_whole < len(content):
        detail = f"{name} ends {len(content) - n_whole} bytes into a record"
        remarks.append(Remark("truncated_file", detail))
    if n_whole == 0:
        return obspy.Stream(), remarks
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return obspy.read(io.BytesIO(content[:n_whole]), **options), remarks
    except Exception:  # a damaged record makes libmseed reject all of them
        stream, n_damaged = _read_record_by_record(content[:n_whole], record_length, options)
    detail = f"{name}: {n_damaged} damaged records left out"
    return stream, [*remarks, Remark("truncated_file" if stream else "foreign_file", detail)]


def _read_record_by_record(content: bytes, record_length: int, options: dict[str, Any]) -> tuple[obspy.Stream, int]:
    stream, n_damaged = obspy.Stream(), 0
    for offset in range(0, len(content), record_length):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stream += obspy.read(io.BytesIO(content[offset : offset + record_length]), **options)
        except Exception:
            n_damaged += 1
    return stream, n_damaged


def _line(error: Exception) -> str:
    """First line of what an exception says; some of ObsPy's tell whole stories."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
