"""Waveform files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import obspy

from pickflow.io.atomic import atomic_path

STEIM2_REACH = 2**29  # differences beyond have no place in STEIM2


def write_stream(stream: obspy.Stream, path: str | Path) -> None:
    """
    Write MiniSEED atomically: STEIM2 for integers that it can hold, the rest as it is.

    Raises
    ------
    ValueError
        If the stream is empty: MiniSEED cannot say "nothing"; the manifest does.
    """
    if not stream:
        raise ValueError(f"{path}: nothing to write; a station-day without data has a manifest row and no file")
    ready = obspy.Stream([_encodable(trace) for trace in stream])
    ready.sort(keys=["network", "station", "location", "channel", "starttime"])
    with atomic_path(path) as temporary:
        ready.write(str(temporary), format="MSEED")


def _encodable(trace: obspy.Trace) -> obspy.Trace:
    header = {key: trace.stats[key] for key in ("network", "station", "location", "channel")}
    header |= {"starttime": trace.stats.starttime, "sampling_rate": trace.stats.sampling_rate}
    samples = np.ma.getdata(trace.data)
    if samples.dtype.kind in "iu":
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
    try:
        return obspy.read(str(path), format="MSEED")
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        raise ValueError(f"{path}: not readable as MiniSEED ({error})") from error
