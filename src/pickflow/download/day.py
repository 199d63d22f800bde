"""One day of all stations: waveform files, and a manifest row for every station."""

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

from pickflow.codes import StationCode, station_file
from pickflow.download.directory import directory_files, directory_index
from pickflow.download.fdsn import fetch_waveforms, servers_of
from pickflow.download.merging import cut
from pickflow.download.metadata import ChannelEpoch, channel_epochs
from pickflow.download.reading import is_waveform, read_waveforms
from pickflow.download.record import Record, empty_columns, make_record
from pickflow.download.remarks import Remark, verdict
from pickflow.download.sds import sds_day, sds_files
from pickflow.download.webservice import ServiceError
from pickflow.io.atomic import StorageError
from pickflow.io.places import places_between
from pickflow.io.tables import conform
from pickflow.io.waveforms import write_stream
from pickflow.provenance import sha256_of_file
from pickflow.run.settings.download import DownloadParams
from pickflow.schemas import MANIFEST
from pickflow.secrets import printable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StationDay:
    """What a worker needs for one station and day."""

    code: StationCode
    day: str
    window: tuple[datetime, datetime]
    span: tuple[datetime, datetime]  # the window with padding
    located: bool
    place_remark: str  # remark on the station's place; empty: none
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
        The requested part of the day, half-open; files reach ``padding_s`` further on both sides where there are data.
    stations : DataFrame
        Of `STATIONS`: the requested stations; their places of the day count.
    inventory : Inventory
        Metadata that the data are compared with.
    params : DownloadParams
        The source and its settings.
    folder : str or Path
        Folder of ``{network}.{station}.mseed``; files of an earlier attempt are replaced or removed.
    parallel_map : callable
        Like `map`, for threads, processes or Dask; gets a picklable function and picklable items.

    Returns
    -------
    DataFrame
        Of `MANIFEST`: exactly one row for every requested station.
    """
    padding = timedelta(seconds=params.padding_s)
    span = (window[0] - padding, window[1] + padding)
    stations = places_between(stations, *window)
    codes = [StationCode(*codes) for codes in stations[["network", "station"]].itertuples(index=False)]
    located = dict(zip(codes, np.isfinite(stations["latitude_deg"].to_numpy(float)), strict=True))
    place_remarks = dict(zip(codes, stations["remark"].fillna(""), strict=True))
    epochs = channel_epochs(inventory, span)
    sources = _sources(codes, day, span, params)
    tasks = [
        StationDay(
            code=code,
            day=day,
            window=window,
            span=span,
            located=bool(located[code]),
            place_remark=place_remarks[code],
            epochs=epochs.get(code, []),
            files=sources[code][0],
            servers=sources[code][1],
            remarks=sources[code][2],
            params=params,
            output=station_file(folder, *code),
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
        listings = {code: directory_files(index, root, code, *span, day) for code in codes}
        return {code: (files, (), remarks) for code, (files, remarks) in listings.items()}
    day_files = {code: sds_files(root, code, *span, params.channel_priority) for code in codes}
    return {
        code: (files, (), [Remark("no_channel", f"there is {', '.join(unused)}")] if unused and not files else [])
        for code, (files, unused) in day_files.items()
    }


def process_station(task: StationDay) -> dict[str, Any]:
    """
    Fetch, check and write one station-day; a row of the manifest.

    Only a failure to write is raised: a full disk concerns all stations. A file of an earlier attempt is replaced, not
    removed first: a worker of that attempt may still run, and would remove a file that is being read.
    """
    remarks = list(task.remarks)
    try:
        stream, source_remarks = _fetch(task)
        record = make_record(stream, task.window, task.epochs, task.params)
        remarks += source_remarks
    except StorageError:  # concerns all stations
        raise
    except Exception as error:  # an error of one station does not affect the others
        logger.exception("%s %s: download failed", task.code, task.day)
        remarks.append(Remark("download_failed", f"{type(error).__name__} while reading or judging"))
        record = Record(obspy.Stream(), [], empty_columns())
    explained = any(remark.code not in ("truncated_file", "damaged_file") for remark in remarks)
    remarks += [remark for remark in record.remarks if remark.code != "no_data" or not explained]
    if record.stream:
        write_stream(record.stream, task.output)
        record.columns["sha256"] = sha256_of_file(task.output)
    else:
        task.output.unlink(missing_ok=True)  # of an earlier attempt
    if not task.located:
        remarks.append(Remark("no_metadata", task.place_remark or "the inventory has no coordinates"))
    elif task.place_remark:
        remarks.append(Remark("metadata_mismatch", task.place_remark))
    summary = verdict(remarks, bool(record.stream))
    codes = {"network": task.code.network, "station": task.code.station, "date": task.day}
    return codes | record.columns | summary._asdict()


def _fetch(task: StationDay) -> tuple[obspy.Stream, list[Remark]]:
    """Data of the source of a station in the padded window."""
    if task.params.source == "fdsn":
        stream, remarks = fetch_waveforms(task.code, task.span, task.window, task.epochs, task.servers, task.params)
    else:
        stream, remarks = obspy.Stream(), []
        for path in task.files:
            part, file_remarks = read_waveforms(path, *task.span)
            if not part and not file_remarks and task.params.source == "sds" and path.name.endswith(sds_day(task.day)):
                file_remarks = [Remark("no_data", f"{printable(path.name)} has no samples of the day")]
            stream += part
            remarks += file_remarks
    station_traces, foreign_names = _of_station(stream, task)
    if foreign_names and (task.params.source != "directory" or not station_traces):
        remarks.append(Remark("no_data", f"the files hold {', '.join(sorted(foreign_names))}"))
    return station_traces, remarks


def _of_station(stream: obspy.Stream, task: StationDay) -> tuple[obspy.Stream, set[str]]:
    """
    Traces of the station, cut to the padded window, and the names of the others.

    Without a network code, the station's decides. Channels of text stay whole: they have no times.
    """
    station_traces, foreign_names = obspy.Stream(), set()
    for trace in stream:
        trace.stats.network = trace.stats.network.strip() or task.code.network
        if (trace.stats.network, trace.stats.station.strip()) != task.code:
            foreign_names.add(printable(trace.id))
        elif not is_waveform(trace):
            station_traces.append(trace)
        elif part := cut(trace, *task.span):
            station_traces.append(part)
    return station_traces, foreign_names
