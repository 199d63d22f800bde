"""Picks of P and S from the waveforms of a station-day."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import obspy
import pandas as pd
import seisbench.models

from pickflow.codes import band_instrument, is_acceleration
from pickflow.io.tables import conform, records
from pickflow.io.waveforms import read_stream
from pickflow.models.loading import load_model
from pickflow.models.preparation import prepare
from pickflow.provenance import content_id
from pickflow.schemas import PICK_LEDGER, PICKS

logger = logging.getLogger(__name__)
PHASES = ("P", "S")
SIGNAL_WINDOW_S = 1.0
NOISE_WINDOW_S = (-4.0, -0.5)
AMPLITUDE_WINDOW_S = 3.0


@dataclass(frozen=True, kw_only=True)
class PickParams:
    """Parameters of picking; see ``workflow/schemas/pick.schema.yaml``."""

    p_threshold: float | None
    s_threshold: float | None
    overlap_samples: int | None
    stacking: str
    batch_size: int


def annotate_arguments(params: PickParams) -> dict[str, float | int | str]:
    """Keyword arguments of SeisBench's `annotate` and `classify`; what is None stays as the weights say."""
    arguments: dict[str, float | int | str | None] = {
        "P_threshold": params.p_threshold,
        "S_threshold": params.s_threshold,
        "overlap": params.overlap_samples,
        "stacking": params.stacking,
        "batch_size": params.batch_size,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def pick_stream(
    stream: obspy.Stream,
    model: seisbench.models.WaveformModel,
    params: PickParams,
    window: tuple[datetime, datetime],
    sensitivity_counts_per_unit: float = float("nan"),
) -> tuple[pd.DataFrame, list[str]]:
    """
    P and S picks of one station.

    Parameters
    ----------
    stream : Stream
        One instrument of one station, padded beyond the window where data exist.
    model : WaveformModel
        A SeisBench picker, or ours.
    params : PickParams
        Thresholds and windows.
    window : tuple of datetime
        Half-open [start, end); picks outside are dropped, so that days join without a double or a lost pick.
    sensitivity_counts_per_unit : float
        Counts per m/s (or m/s²); NaN if unknown.

    Returns
    -------
    picks : DataFrame
        `PICKS`.
    rates : list of str
        What was resampled.
    """
    ready, scale, rates = prepare(stream, model.sampling_rate)
    if not ready:
        return conform(pd.DataFrame(), PICKS), rates
    start, end = (obspy.UTCDateTime(moment) for moment in window)
    found = model.classify(ready, **annotate_arguments(params)).picks
    first = stream[0].stats
    rows = []
    for pick in found:
        if pick.phase not in PHASES or not start <= pick.peak_time < end:
            continue
        amplitude, snr_db = measure(ready, pick.peak_time, pick.phase)
        rows.append(
            {
                "network": first.network,
                "station": first.station,
                "location": first.location,
                "channel": band_instrument(first.channel),
                "phase": pick.phase,
                "time": _timestamp(pick.peak_time),
                "starttime": _timestamp(pick.start_time),
                "endtime": _timestamp(pick.end_time),
                "probability": float(pick.peak_value),
                # ASSUME a flat response around the corner frequencies of local earthquakes.
                "amplitude_m_s": np.nan
                if is_acceleration(first.channel[:2])
                else amplitude * scale / sensitivity_counts_per_unit,
                "snr_db": snr_db,
            }
        )
    picks = pd.DataFrame(rows)
    if rows:
        key = ["network", "station", "location", "channel", "phase", "time", "probability"]
        picks["pick_id"] = [content_id("p", *row) for row in picks[key].itertuples(index=False)]
    return conform(picks, PICKS), rates


def _timestamp(time: obspy.UTCDateTime) -> pd.Timestamp:
    return pd.Timestamp(time.ns, unit="ns", tz="UTC")


def measure(stream: obspy.Stream, time: obspy.UTCDateTime, phase: str) -> tuple[float, float]:
    """
    Amplitude and signal-to-noise ratio at a pick.

    Parameters
    ----------
    stream : Stream
        Waveforms, components named as `prepare` does.
    time : UTCDateTime
        The pick.
    phase : {"P", "S"}
        P is measured on the vertical, S on the horizontals; on what there is where those are missing.

    Returns
    -------
    amplitude : float
        Peak within 3 s after the pick, above the mean before it, in the stream's unit; NaN without samples.
    snr_db : float
        Peak within 1 s after the pick over the noise's standard deviation, in dB; NaN without samples.
    """
    traces = [trace for trace in stream if (trace.stats.channel[-1] == "Z") == (phase == "P")] or list(stream)
    best = (float("nan"), float("nan"))
    for trace in traces:
        noise = _samples(trace, time + NOISE_WINDOW_S[0], time + NOISE_WINDOW_S[1])
        signal = _samples(trace, time, time + AMPLITUDE_WINDOW_S)
        if noise.size < 10 or not signal.size:
            continue
        signal = np.abs(signal - noise.mean())
        peak = signal[: max(1, round(SIGNAL_WINDOW_S * trace.stats.sampling_rate))].max()
        deviation = noise.std()
        snr_db = float(20 * np.log10(peak / deviation)) if deviation > 0 and peak > 0 else float("nan")
        if not best[0] >= signal.max():
            best = (float(signal.max()), snr_db)
    return best


def _samples(trace: obspy.Trace, start: obspy.UTCDateTime, end: obspy.UTCDateTime) -> np.ndarray:
    first, last = (round((moment - trace.stats.starttime) * trace.stats.sampling_rate) for moment in (start, end))
    return np.asarray(trace.data[max(first, 0) : max(last, 0)], dtype=np.float64)


class StationTask(NamedTuple):
    """All that a worker needs to pick one station-day; small, so that it travels cheaply."""

    row: dict[str, Any]  # of the manifest
    waveforms: Path
    model: Path
    device: str
    params: PickParams
    window: tuple[datetime, datetime]


@lru_cache(maxsize=2)
def _model(folder: Path, device: str) -> seisbench.models.WaveformModel:
    return load_model(folder, device)


def pick_station_day(task: StationTask) -> tuple[pd.DataFrame, dict[str, Any], float]:
    """
    Picks of one station-day and its row of the pick ledger; whatever goes wrong becomes a reason.

    Returns
    -------
    picks : DataFrame
        `PICKS`.
    row : dict
        One row of `PICK_LEDGER`.
    cpu_s : float
        CPU time of reading and picking, in s; the start of the worker and the loading of the model are not in it.
    """
    _model(task.model, task.device)
    started_s = time.process_time()
    picks, row = _pick_or_explain(task)
    return picks, row, time.process_time() - started_s


def _pick_or_explain(task: StationTask) -> tuple[pd.DataFrame, dict[str, Any]]:
    code = {key: task.row[key] for key in ("network", "station", "date")}
    nothing = conform(pd.DataFrame(), PICKS)
    if not task.row["usable"]:
        return nothing, {**code, "reason": task.row["reason"], "detail": task.row["detail"], "n_p": 0, "n_s": 0}
    try:
        stream = read_stream(task.waveforms)
        model = _model(task.model, task.device)
        sensitivity = task.row["sensitivity_counts_per_unit"]
        picks, rates = pick_stream(stream, model, task.params, task.window, sensitivity)
    except Exception as error:  # one station must not take the day with it, whatever its record does to a model
        logger.exception("%s: picking failed", task.waveforms)
        detail = f"{type(error).__name__}: {error}"
        return nothing, {**code, "reason": "pick_failed", "detail": detail, "n_p": 0, "n_s": 0}
    counts = {f"n_{phase.lower()}": int((picks["phase"] == phase).sum()) for phase in PHASES}
    reason, detail = ("resampled", "; ".join(rates)) if rates else ("ok", "")
    longest_s = max(trace.stats.npts * trace.stats.delta for trace in stream)
    if model.in_samples and model.sampling_rate and longest_s < model.in_samples / model.sampling_rate:
        reason, detail = (
            "too_short",
            f"longest piece {longest_s:.1f} s, window {model.in_samples / model.sampling_rate:g} s",
        )
    elif picks.empty:
        reason, detail = "no_picks", detail
    return picks, {**code, "reason": reason, "detail": detail, **counts}


def pick_day(
    manifest: pd.DataFrame,
    waveforms: Path,
    model: Path,
    params: PickParams,
    window: tuple[datetime, datetime],
    device: str,
    station_map: Callable[..., Iterable[Any]],
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """
    Picks of a day, station by station.

    Parameters
    ----------
    manifest : DataFrame
        `MANIFEST` of the day.
    waveforms : Path
        Folder with ``network.station.mseed``.
    model : Path
        Folder with ``model.safetensors`` and ``card.json``.
    params : PickParams
        Thresholds and windows.
    window : tuple of datetime
        The part of the day that belongs to the run, half-open.
    device : str
        A torch device.
    station_map : callable
        ``station_map(function, items)``, in order.

    Returns
    -------
    picks, ledger : DataFrame
        `PICKS`, and `PICK_LEDGER` with one row for each row of the manifest.
    cpu_s : float
        CPU time of reading and picking, in s.
    """
    tasks = [
        StationTask(row, waveforms / f"{row['network']}.{row['station']}.mseed", model, device, params, window)
        for row in records(manifest)
    ]
    results = list(station_map(pick_station_day, tasks))
    frames = [picks for picks, _, _ in results if not picks.empty]
    picks = conform(pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), PICKS)
    ledger = conform(pd.DataFrame([row for _, row, _ in results]), PICK_LEDGER)
    return picks, ledger, sum(cpu_s for _, _, cpu_s in results)
