"""Reading waveform files and answers of servers that may be empty, foreign, truncated or damaged."""

from __future__ import annotations

import glob
import io
import logging
import stat
import warnings
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import obspy
from obspy.core.util.base import ENTRY_POINTS
from obspy.core.util.misc import buffered_load_entry_point

from pickflow.download.gse import read_gse
from pickflow.download.remarks import Remark
from pickflow.io.miniseed import RATES_HZ, YEARS, Records, begins_with_record, read_headers, record_at, walk
from pickflow.io.record_times import with_record_times
from pickflow.secrets import printable

logger = logging.getLogger(__name__)

NEVER_READ = ("PICKLE",)  # unpickling executes code of the file
PLUGIN = "obspy.plugin.waveform"
LOOK_BYTES = 1 << 20  # MiniSEED has a record within these
# First bytes of frequent files that are not waveforms, and the remedy.
KNOWN_FOREIGN = {
    b"\x1f\x8b": "is compressed (gzip): unpack it",
    b"BZh": "is compressed (bzip2): unpack it",
    b"\xfd7zXZ\0": "is compressed (xz): unpack it",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd): unpack it",
    b"PK\x03\x04": "is a ZIP archive: unpack it",
    b"MS\x03": "is MiniSEED 3, which ObsPy does not read: make MiniSEED 2 of it",
}


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
        Only records in between, and some more; formats without an index are read whole.
    headonly : bool
        Leave the samples out.

    Returns
    -------
    stream : Stream
        Empty if nothing can be read; `is_waveform` tells channels of text and of states.
    remarks : list of Remark
        ``empty_file``, ``foreign_file``, ``truncated_file`` or ``damaged_file``; never an exception because of the
        content of a file.
    """
    label = printable(path.name)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would never end
            return obspy.Stream(), [Remark("foreign_file", f"{label} is not a regular file")]
        if status.st_size == 0:
            return obspy.Stream(), [Remark("empty_file", f"{label} is empty")]
        with path.open("rb") as file:
            beginning = file.read(LOOK_BYTES)
        name = "MSEED" if begins_with_record(beginning) else detect_format(path)
        if name == "MSEED":
            return _read_miniseed(label, path.read_bytes(), starttime, endtime, headonly)
    except OSError as error:
        return obspy.Stream(), [Remark("foreign_file", f"{label}: {error.strerror}")]
    if name is None:
        descriptions = (advice for begin, advice in KNOWN_FOREIGN.items() if beginning.startswith(begin))
        return obspy.Stream(), [Remark("foreign_file", f"{label} {next(descriptions, 'is not a waveform file')}")]
    return _read_format(path, name, starttime, endtime, headonly)


def _read_format(
    path: Path, name: str, starttime: datetime | None, endtime: datetime | None, headonly: bool
) -> tuple[obspy.Stream, list[Remark]]:
    problems: list[str] = []
    label = printable(path.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name in ("GSE1", "GSE2"):
                stream, problems = read_gse(path.read_bytes(), name, headonly)
            else:
                stream = obspy.read(glob.escape(str(path)), format=name, headonly=headonly)
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        return obspy.Stream(), [Remark("foreign_file", f"{label} looks like {name}, unreadable: {_line(error)}")]
    stream, remarks = _valid_traces(stream, label)
    if problems:
        detail = f"{label}: {len(problems)} of {len(problems) + len(stream)} waveforms left out ({problems[0]})"
        remarks.append(Remark("damaged_file" if stream else "foreign_file", detail))
    if starttime is not None and endtime is not None and not headonly:
        stream.trim(obspy.UTCDateTime(starttime), obspy.UTCDateTime(endtime))
    return stream, remarks


def detect_format(path: Path) -> str | None:
    """Name of ObsPy's waveform format of a file, None if there is none; pickles are never opened."""
    for name, entry_point in ENTRY_POINTS["waveform"].items():
        if name in NEVER_READ:
            continue
        try:
            is_format = buffered_load_entry_point(entry_point.dist.name, f"{PLUGIN}.{entry_point.name}", "isFormat")
            if is_format(str(path)):
                return name
        except Exception:  # noqa: S112 - a detector that fails does not recognise the file
            continue
    return None


def is_waveform(trace: obspy.Trace) -> bool:
    """Whether a trace has samples at times: logs, and states without a rate, have none."""
    return bool(trace.data.dtype.kind in "iuf" and 0 < trace.stats.sampling_rate < np.inf)


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
        Its answer.
    starttime, endtime : datetime, optional
        As in `read_waveforms`, which also describes the result.
    """
    return _read_miniseed(f"answer of {source}", body, starttime, endtime, headonly=False)


def _read_miniseed(
    name: str, content: bytes, starttime: datetime | None, endtime: datetime | None, headonly: bool
) -> tuple[obspy.Stream, list[Remark]]:
    layout = walk(content)
    damage = Counter({"length": layout.n_untrue} if layout.n_untrue else {})
    remarks, stream = [], obspy.Stream()
    if layout.n_cut_bytes:
        remarks.append(Remark("truncated_file", f"{name} ends {layout.n_cut_bytes} bytes into a record"))
    if len(layout.places):
        records = read_headers(content, layout.places)
        in_span = records.within(starttime, endtime)
        damage += Counter(records.fault[in_span & (records.fault != "")].tolist())
        rows = np.flatnonzero(in_span & (records.fault == "") & (records.n_samples > 0))
        parts = [record_at(content, offset, length) for offset, length, _ in layout.places[rows].tolist()]
        stream, n_unreadable = _decode(parts, records.part(rows), headonly)
        damage += Counter({"samples": n_unreadable})
        stream, doubts = _valid_traces(stream, name)
        remarks += doubts
    n_damaged = damage.total()
    problems = (
        [f"{n_damaged} damaged record{'s'[: n_damaged > 1]} left out ({', '.join(sorted(damage))})"] if damage else []
    )
    problems += [f"{layout.n_foreign_bytes} bytes are no records"] if layout.n_foreign_bytes else []
    if problems:
        remarks.append(
            Remark("damaged_file" if len(layout.places) else "foreign_file", f"{name}: {', '.join(problems)}")
        )
    return stream, remarks


def _decode(parts: list[bytes], records: Records, headonly: bool) -> tuple[obspy.Stream, int]:
    """Traces of records, and the number that libmseed cannot read: it rejects or drops all because of one."""
    if not parts:
        return obspy.Stream(), 0
    stream = _libmseed(parts, headonly)
    if stream is not None:
        return (stream if headonly else with_record_times(stream, records)), 0
    if len(parts) == 1:
        return obspy.Stream(), 1
    middle = len(parts) // 2
    first, n_first = _decode(parts[:middle], records.part(slice(middle)), headonly)
    second, n_second = _decode(parts[middle:], records.part(slice(middle, None)), headonly)
    return first + second, n_first + n_second


def _libmseed(parts: list[bytes], headonly: bool) -> obspy.Stream | None:
    """Traces of records; None if it cannot read all of them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream = obspy.read(io.BytesIO(b"".join(parts)), format="MSEED", headonly=headonly)
    except Exception:  # ObsPy raises bare exceptions of many kinds; the record is found by halves
        return None
    n_records = sum(trace.stats.mseed.number_of_records for trace in stream)
    return stream if n_records == len(parts) else None


def _valid_traces(stream: obspy.Stream, name: str) -> tuple[obspy.Stream, list[Remark]]:
    """Traces with possible codes and times, and a remark on the others."""
    valid, problems = obspy.Stream(), []
    for trace in stream:
        year, rate = trace.stats.starttime.year, trace.stats.sampling_rate
        if trace.data.ndim != 1 or not trace.stats.npts:
            problems.append(f"{printable(trace.id)} has no samples")
        elif not YEARS[0] <= year <= YEARS[1] or not (rate == 0 or RATES_HZ[0] <= rate <= RATES_HZ[1]):
            problems.append(f"{printable(trace.id)} has the year {year} and {rate:g} Hz")
        else:
            valid.append(trace)
    if not problems:
        return stream, []
    return valid, [
        Remark("damaged_file" if valid else "foreign_file", f"{name}: {problems[0]}, {len(problems)} left out")
    ]


def _line(error: Exception) -> str:
    """First line of an exception; some of ObsPy's are long."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
