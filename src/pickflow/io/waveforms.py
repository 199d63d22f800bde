"""Waveform files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import obspy

from pickflow.io.atomic import StorageError, write_bytes
from pickflow.io.miniseed import read_headers, walk
from pickflow.io.record_times import with_record_times
from pickflow.provenance import sha256_of_bytes

INT32 = np.iinfo(np.int32)
STEIM2_REACH = 2**29  # larger differences do not fit into STEIM2


def write_stream(stream: obspy.Stream, path: str | Path) -> None:
    """
    Write MiniSEED atomically: STEIM2 for integers that it can hold, floats for those beyond 32 bits, the rest as it is.

    Raises
    ------
    ValueError
        If the stream is empty: MiniSEED has no empty files; the manifest has a row.
    """
    if not stream:
        raise ValueError(f"{path}: nothing to write; a station-day without data has a manifest row and no file")
    encodable = obspy.Stream([_encodable(trace) for trace in stream])
    encodable.sort(keys=["network", "station", "location", "channel", "starttime"])
    # ObsPy loses the errors of a full disk in a callback when it writes into a file.
    content = io.BytesIO()
    encodable.write(content, format="MSEED")
    write_bytes(path, content.getvalue())


def _encodable(trace: obspy.Trace) -> obspy.Trace:
    header = {key: trace.stats[key] for key in ("network", "station", "location", "channel")}
    header |= {"starttime": trace.stats.starttime, "sampling_rate": trace.stats.sampling_rate}
    samples = np.ma.getdata(trace.data)
    if samples.dtype.kind in "iu" and INT32.min <= samples.min(initial=0) and samples.max(initial=0) <= INT32.max:
        samples = samples.astype(np.int32)
        if samples.size > 1 and np.ptp(samples.astype(np.int64)) >= STEIM2_REACH:
            header["mseed"] = {"encoding": "INT32"}
    elif samples.dtype != np.float32:
        samples = samples.astype(np.float64)
    return obspy.Trace(np.ascontiguousarray(samples), header)


def read_stream(path: str | Path) -> obspy.Stream:
    """
    Read a waveform file that pickflow wrote.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    return _parse(Path(path).read_bytes(), path)


def read_station_day(path: str | Path, row: Mapping[str, Any]) -> obspy.Stream:
    """
    Read the waveforms of a station-day and compare them with its row of the manifest.

    Parameters
    ----------
    path : str or Path
        The file.
    row : mapping
        Row of `MANIFEST`; ``sha256`` is that of the file.

    Raises
    ------
    StorageError
        If the file is absent, or not the one that the manifest names: it was changed since.
    """
    day = Path(path).parent
    remedy = f"delete the folder {day} and start the same command again, it is made anew"
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise StorageError(f"{path}: the manifest beside it has this file, and it is not there; {remedy}") from None
    if sha256_of_bytes(content) != row["sha256"]:
        raise StorageError(f"{path}: its sha256 is not {row['sha256']}, as the manifest beside it says; {remedy}")
    return _parse(content, path)


def _parse(content: bytes, path: str | Path) -> obspy.Stream:
    try:
        stream = obspy.read(io.BytesIO(content), format="MSEED")
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        raise ValueError(f"{path}: not readable as MiniSEED ({error})") from error
    places = walk(content).places
    return with_record_times(stream, read_headers(content, places)) if len(places) else stream
