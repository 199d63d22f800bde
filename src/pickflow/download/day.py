"""One day of all stations: waveform files, and a manifest row for every station whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pandas as pd

from pickflow.codes import StationCode
from pickflow.download.directory import directory_files, directory_index
from pickflow.download.fdsn import fetch_waveforms, servers_of
from pickflow.download.metadata import ChannelEpoch, channel_epochs
from pickflow.download.params import DownloadParams
from pickflow.download.reading import read_waveforms
from pickflow.download.record import Record, make_record, nothing
from pickflow.download.remarks import Remark, verdict
from pickflow.download.sds import sds_files
from pickflow.download.webservice import ServiceError
from pickflow.io.tables import conform
from pickflow.io.waveforms import write_stream
from pickflow.provenance import sha256_of_file
from pickflow.schemas import MANIFEST

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StationDay:
    """All that a worker needs for one station and day."""

    code: StationCode
    day: str
    window: tuple[datetime, datetime]
    span: tuple[datetime, datetime]  # the window with padding
    located: bool
    epochs: list[ChannelEpoch]
    files: list[Path]
    servers: tuple[str, ...]
    remarks: list[Remark]
    params: DownloadParams
    output: Path


def download_day(
    day: str,
    window: tuple[datetime, datetime],
    stations: pd.DataFrame,
    inventory: obspy.Inventory,
    params: DownloadParams,
    folder: str | Path,
    parallel_map: Callable[..., Iterable[Any]] = map,
) -> pd.DataFrame:
    """
    Waveforms of a day, one file for every usable station.

    Parameters
    ----------
    day : str
        ``YYYY-MM-DD``.
    window : tuple of datetime
        The asked part of the day, half-open; files reach ``padding_s`` further on both sides where there are data.
    stations : DataFrame
        Of `STATIONS`: the stations asked for.
    inventory : Inventory
        What the data are held against.
    params : DownloadParams
        The source and its settings.
    folder : str or Path
        Where ``{network}.{station}.mseed`` go; files of an earlier attempt are replaced or removed.
    parallel_map : callable
        Like `map`, for threads, processes or Dask; gets a picklable function and picklable items.

    Returns
    -------
    DataFrame
        Of `MANIFEST`: exactly one row for every station asked for.
    """
    padding = timedelta(seconds=params.padding_s)
    span = (window[0] - padding, window[1] + padding)
    codes = [StationCode(*codes) for codes in stations[["network", "station"]].itertuples(index=False)]
    located = dict(zip(codes, np.isfinite(stations["latitude_deg"].to_numpy(float)), strict=True))
    epochs = channel_epochs(inventory)
    sources = _sources(codes, day, span, params)
    tasks = [
        StationDay(
            code=code,
            day=day,
            window=window,
            span=span,
            located=bool(located[code]),
            epochs=epochs.get(code, []),
            files=sources[code][0],
            servers=sources[code][1],
            remarks=sources[code][2],
            params=params,
            output=Path(folder) / f"{code}.mseed",
        )
        for code in codes
    ]
    return conform(pd.DataFrame(list(parallel_map(process_station, tasks))), MANIFEST)


def _sources(
    codes: list[StationCode], day: str, span: tuple[datetime, datetime], params: DownloadParams
) -> dict[StationCode, tuple[list[Path], tuple[str, ...], list[Remark]]]:
    """Files, servers and remarks of each station."""
    root = Path(params.path or ".")
    if params.source == "fdsn":
        try:
            servers = servers_of(codes, *span, params)
        except ServiceError as error:
            return {code: ([], (), [Remark(error.code, f"routing: {error.detail}")]) for code in codes}
        return {code: ([], servers[code], []) for code in codes}
    if params.source == "directory":
        index = directory_index(root, Path(params.cache))
        found = {code: directory_files(index, root, code, *span, day) for code in codes}
        return {code: (files, (), remarks) for code, (files, remarks) in found.items()}
    listed = {code: sds_files(root, code, *span, params.channel_priority) for code in codes}
    return {
        code: (files, (), [Remark("no_channel", f"there is {', '.join(others)}")] if others and not files else [])
        for code, (files, others) in listed.items()
    }


def process_station(task: StationDay) -> dict[str, Any]:
    """
    Fetch, judge and write one station-day; a row of the manifest.

    Only a failure to write is raised: a full disk concerns all stations. A file of an earlier attempt is replaced, not
    removed first: that attempt may have left a worker behind, which would take away a file that is being read.
    """
    remarks = list(task.remarks)
    try:
        stream, found = _fetch(task)
        record = make_record(stream, task.window, task.epochs, task.params)
        remarks += found
    except Exception as error:  # one station's trouble is not the others'
        logger.exception("%s %s: download failed", task.code, task.day)
        remarks.append(Remark("download_failed", f"{type(error).__name__} while reading or judging"))
        record = Record(obspy.Stream(), [], nothing())
    explained = any(remark.code != "truncated_file" for remark in remarks)
    remarks += [remark for remark in record.remarks if remark.code != "no_data" or not explained]
    if record.stream:
        write_stream(record.stream, task.output)
        record.columns["sha256"] = sha256_of_file(task.output)
    else:
        task.output.unlink(missing_ok=True)  # of an earlier attempt
    if not task.located:
        remarks.append(Remark("no_metadata", "the inventory has no coordinates"))
    summary = verdict(remarks, bool(record.stream))
    codes = {"network": task.code.network, "station": task.code.station, "date": task.day}
    return codes | record.columns | summary._asdict()


def _fetch(task: StationDay) -> tuple[obspy.Stream, list[Remark]]:
    """What the source has of a station in the padded window."""
    if task.params.source == "fdsn":
        stream, remarks = fetch_waveforms(task.code, task.span, task.window, task.epochs, task.servers, task.params)
    else:
        stream, remarks = obspy.Stream(), []
        for path in task.files:
            part, found = read_waveforms(path, *task.span)
            stream += part
            remarks += found
    kept = _of_station(stream, task)
    if stream and not kept:
        remarks.append(Remark("no_data", f"the files hold {', '.join(sorted({trace.id for trace in stream}))}"))
    return kept, remarks


def _of_station(stream: obspy.Stream, task: StationDay) -> obspy.Stream:
    """Traces of the station, cut to the padded window; without a network code, the station's decides."""
    kept = obspy.Stream()
    for trace in stream:
        trace.stats.network = trace.stats.network.strip() or task.code.network
        if (trace.stats.network, trace.stats.station.strip()) == task.code:
            start, end = map(obspy.UTCDateTime, task.span)
            trace.trim(start, end - trace.stats.delta / 2, nearest_sample=False)
            kept.append(trace)
    return kept
