"""What is done to the waveforms before picking."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import obspy
import pandas as pd
import seisbench.models

from pickflow.io.atomic import StorageError
from pickflow.io.tables import conform, records
from pickflow.io.waveforms import read_station_day, write_stream
from pickflow.models.loading import load_model
from pickflow.provenance import sha256_of_file
from pickflow.schemas import MANIFEST

logger = logging.getLogger(__name__)
NYQUIST_MARGIN = 0.9


@dataclass(frozen=True, kw_only=True)
class DenoiseParams:
    """Parameters of the bandpass; see ``workflow/schemas/denoise.schema.yaml``."""

    minimum_frequency_hz: float
    maximum_frequency_hz: float
    corners: int


def bandpass(stream: obspy.Stream, params: DenoiseParams) -> obspy.Stream:
    """
    Butterworth bandpass of every trace, causal.

    Parameters
    ----------
    stream : Stream
        Any rates; it is left as it is.
    params : DenoiseParams
        Corners in Hz.

    Returns
    -------
    Stream
        float64; traces too short to filter are dropped.

    Raises
    ------
    ValueError
        If a trace's Nyquist frequency lies below the lower corner.
    """
    filtered = []
    for trace in stream:
        maximum_hz = min(params.maximum_frequency_hz, NYQUIST_MARGIN * trace.stats.sampling_rate / 2)
        if maximum_hz <= params.minimum_frequency_hz:
            raise ValueError(
                f"{trace.id}: at {trace.stats.sampling_rate:g} Hz nothing is left above denoise.minimum_frequency_hz"
                f" ({params.minimum_frequency_hz:g} Hz); lower it or leave the channel out"
            )
        if len(trace) <= 3 * params.corners:
            continue
        clean = trace.copy()
        # A filter that starts on an offset rings; the first sample is a better guess of it than the mean.
        clean.data = np.asarray(clean.data, dtype=np.float64) - float(clean.data[0])
        clean.filter("bandpass", freqmin=params.minimum_frequency_hz, freqmax=maximum_hz, corners=params.corners)
        filtered.append(clean)
    return obspy.Stream(filtered)


def deepdenoise(stream: obspy.Stream, model: seisbench.models.WaveformModel, batch_size: int) -> obspy.Stream:
    """
    Denoise every trace with SeisBench's DeepDenoiser (Zhu et al. 2019, doi:10.1109/TGRS.2019.2926772).

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
        float32, at the model's rate; traces shorter than its window are dropped.
    """
    cleaned = obspy.Stream()
    for trace in stream:
        ready = trace.copy()
        ready.data = np.asarray(ready.data, dtype=np.float64) - np.mean(ready.data)
        scale = float(np.std(ready.data)) or 1.0
        ready.data = ready.data / scale
        for piece in model.annotate(obspy.Stream([ready]), batch_size=batch_size):
            # SeisBench names the output <model>_<channel>.
            piece.stats.channel = trace.stats.channel
            piece.stats.network, piece.stats.station = trace.stats.network, trace.stats.station
            piece.stats.location = trace.stats.location
            piece.data = (np.nan_to_num(piece.data) * scale).astype(np.float32)
            cleaned.append(piece)
    if stream and not cleaned:
        logger.warning("%s: every piece is shorter than the denoiser's window", stream[0].id)
    return cleaned


class StationTask(NamedTuple):
    """All that a worker needs to denoise one station-day."""

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
    except Exception as error:  # one station must not take the day with it
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
        What is done.
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
        StationTask(row, source / name, target / name, method, params, model, device, batch_size)
        for row in records(manifest)
        for name in [f"{row['network']}.{row['station']}.mseed"]
    ]
    return conform(pd.DataFrame(list(station_map(denoise_station_day, tasks))), MANIFEST)
