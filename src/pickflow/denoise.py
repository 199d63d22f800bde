"""Processing of the waveforms before picking."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import obspy
import pandas as pd
import scipy.signal
import seisbench.models

from pickflow.codes import station_file
from pickflow.io.atomic import StorageError
from pickflow.io.tables import conform, records
from pickflow.io.waveforms import read_station_day, write_stream
from pickflow.models.loading import load_model
from pickflow.provenance import sha256_of_file
from pickflow.run.settings.denoise import DenoiseParams
from pickflow.sampling.pieces import by_channel, make_pieces
from pickflow.sampling.timeline import timed_traces
from pickflow.schemas import MANIFEST

logger = logging.getLogger(__name__)
NYQUIST_MARGIN = 0.9  # chosen: room for the filter to fall below the Nyquist frequency


def bandpass(stream: obspy.Stream, params: DenoiseParams) -> obspy.Stream:
    """
    Butterworth bandpass of every contiguous piece, causal; samples keep the times of the record.

    Parameters
    ----------
    stream : Stream
        Any rates; not modified.
    params : DenoiseParams
        Corners in Hz.

    Returns
    -------
    Stream
        float64; pieces too short to filter are dropped.

    Raises
    ------
    ValueError
        If a trace's Nyquist frequency lies below the lower corner.
    """
    output = obspy.Stream()
    for traces in by_channel(stream):
        trace = traces[0]
        maximum_hz = min(params.maximum_frequency_hz, NYQUIST_MARGIN * trace.stats.sampling_rate / 2)
        if maximum_hz <= params.minimum_frequency_hz:
            raise ValueError(
                f"{trace.id}: at {trace.stats.sampling_rate:g} Hz nothing is left above denoise.minimum_frequency_hz"
                f" ({params.minimum_frequency_hz:g} Hz); lower it or leave the channel out"
            )
        corners = [params.minimum_frequency_hz, maximum_hz]
        sections = scipy.signal.butter(params.corners, corners, "bandpass", output="sos", fs=trace.stats.sampling_rate)
        for piece in make_pieces(traces, trace.stats.sampling_rate):
            if piece.samples.size > 3 * params.corners:
                # A filter that starts on an offset rings; the first sample is a better guess of it than the mean.
                samples = np.asarray(piece.samples[:], dtype=np.float64)
                clean = scipy.signal.sosfilt(sections, samples - samples[0])
                output.traces += timed_traces(clean, piece.timeline, _codes(trace))
    return output


def _codes(trace: obspy.Trace) -> dict[str, str]:
    return {name: trace.stats[name] for name in ("network", "station", "location", "channel")}


def deepdenoise(stream: obspy.Stream, model: seisbench.models.WaveformModel, batch_size: int) -> obspy.Stream:
    """
    Denoise every contiguous piece with SeisBench's DeepDenoiser (Zhu et al. 2019, doi:10.1109/TGRS.2019.2926772).

    Parameters
    ----------
    stream : Stream
        Any scale; each trace is scaled before the network and scaled back after it.
    model : WaveformModel
        A DeepDenoiser.
    batch_size : int
        Windows per forward pass.

    Returns
    -------
    Stream
        float32, at the model's rate but for the error of the record's clock, whose times the samples keep; pieces
        shorter than the model's window are dropped.
    """
    cleaned = obspy.Stream()
    for traces in by_channel(stream):
        for piece in make_pieces(traces, model.sampling_rate):
            samples = np.asarray(piece.samples[:], dtype=np.float64)
            samples = samples - np.mean(samples)
            scale = float(np.std(samples)) or 1.0
            start = obspy.UTCDateTime(ns=piece.timeline.start_ns)
            header = {**_codes(traces[0]), "starttime": start, "sampling_rate": model.sampling_rate}
            for output in model.annotate(obspy.Stream([obspy.Trace(samples / scale, header)]), batch_size=batch_size):
                first = (output.stats.starttime - start) * model.sampling_rate
                clean = (np.nan_to_num(output.data) * scale).astype(np.float32)
                # SeisBench gives the output other codes and times.
                cleaned.traces += timed_traces(clean, piece.timeline, _codes(traces[0]), first)
    if stream and not cleaned:
        logger.warning("%s: every piece is shorter than the denoiser's window", stream[0].id)
    return cleaned


class StationTask(NamedTuple):
    """What a worker needs to denoise one station-day."""

    row: dict[str, Any]  # of the manifest
    source: Path
    target: Path
    method: str
    params: DenoiseParams
    model: Path | None
    device: str
    batch_size: int


@lru_cache(maxsize=1)
def _model(folder: Path, device: str) -> seisbench.models.WaveformModel:
    return load_model(folder, device)


def denoise_station_day(task: StationTask) -> dict[str, Any]:
    """Denoise one station-day into a file and return its row of the manifest; a failure becomes a reason."""
    if not task.row["usable"]:
        return task.row
    try:
        stream = read_station_day(task.source, task.row)
        if task.method == "bandpass":
            clean = bandpass(stream, task.params)
        else:
            clean = deepdenoise(stream, _model(Path(str(task.model)), task.device), task.batch_size)
        write_stream(clean, task.target)
    except StorageError:
        raise
    except Exception as error:  # one station must not fail the whole day
        logger.exception("%s: %s failed", task.source, task.method)
        return {**task.row, "reason": "denoise_failed", "usable": False, "detail": f"{task.method}: {error}"}
    return {**task.row, "sha256": sha256_of_file(task.target)}


def denoise_day(
    manifest: pd.DataFrame,
    source: Path,
    target: Path,
    method: str,
    params: DenoiseParams,
    model: Path | None,
    device: str,
    batch_size: int,
    station_map: Callable[..., Iterable[Any]],
) -> pd.DataFrame:
    """
    Denoise a day, station by station.

    Parameters
    ----------
    manifest : DataFrame
        `MANIFEST` of the day.
    source, target : Path
        Folders with ``network.station.mseed``.
    method : {"bandpass", "deepdenoiser"}
        Kind of processing.
    params : DenoiseParams
        Corners of the bandpass.
    model : Path or None
        Folder of the denoiser.
    device : str
        A torch device.
    batch_size : int
        Windows per forward pass.
    station_map : callable
        ``station_map(function, items)``, in order.

    Returns
    -------
    DataFrame
        `MANIFEST` of the denoised day.
    """
    tasks = [
        StationTask(row, path, target / path.name, method, params, model, device, batch_size)
        for row in records(manifest)
        for path in [station_file(source, row["network"], row["station"])]
    ]
    return conform(pd.DataFrame(list(station_map(denoise_station_day, tasks))), MANIFEST)
