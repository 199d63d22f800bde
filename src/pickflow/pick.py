"""Picks of P and S from the waveforms of a station-day."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import obspy
import pandas as pd

from pickflow.annotate import Picker, PickerOptions, TimedPick
from pickflow.annotate.segments import Samples, Segment
from pickflow.codes import band_instrument, is_acceleration, station_file
from pickflow.io.atomic import StorageError
from pickflow.io.tables import conform, records
from pickflow.io.waveforms import read_station_day
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.provenance import content_id
from pickflow.quality.picks import artefact_reasons
from pickflow.quality.uncertainty import time_uncertainty_s
from pickflow.run.settings.pick import PickParams
from pickflow.schemas import PICK_LEDGER, PICKS

logger = logging.getLogger(__name__)
PHASES = ("P", "S")
# Chosen, after and before a pick; see `snr_db` and `amplitude_m_s` in docs/data-formats.md.
SIGNAL_WINDOW_S = 1.0
NOISE_WINDOW_S = (-4.0, -0.5)
AMPLITUDE_WINDOW_S = 3.0
# Chosen: windows of this many stations share the batches of a GPU; more would only keep more records in memory.
STATIONS_PER_GPU_GROUP = 8


def _options(params: PickParams) -> PickerOptions:
    """The parameters that concern the engine."""
    names = {field.name for field in fields(PickerOptions)} & set(PickParams.model_fields)
    return PickerOptions(**{name: getattr(params, name) for name in names})


class StationPicks(NamedTuple):
    """Picks of one station, and the facts about them for the ledger."""

    picks: pd.DataFrame  # of `PICKS`
    rates: list[str]  # remarks on what was resampled
    artefacts: Counter[str]  # picks that were dropped, by reason
    longest_s: float  # longest piece of the record


def pick_stream(
    stream: obspy.Stream,
    picker: Picker,
    window: tuple[datetime, datetime],
    *,
    sensitivity_counts_per_unit: float = float("nan"),
    uncertainty: Mapping[str, Any] | None = None,
    drop_artefacts: bool = True,
    timed_picks: Sequence[TimedPick] | None = None,
) -> StationPicks:
    """
    P and S picks of one station.

    Parameters
    ----------
    stream : Stream
        One instrument of one station, padded beyond the window where data exist.
    picker : Picker
        A model and its options.
    window : tuple of datetime
        Half-open [start, end); picks outside are dropped, so that no pick at a border of days is doubled or lost.
    sensitivity_counts_per_unit : float
        Counts per m/s (or m/s²); NaN if unknown.
    uncertainty : mapping or None
        Table of `pickflow.quality.uncertainty` out of the model's card.
    drop_artefacts : bool
        Drop the picks on edges of gaps, steps, spikes and padding that no wave explains.
    timed_picks : sequence of TimedPick or None
        The picker's output, if it is there already.
    """
    if timed_picks is None:
        timed_picks, segments, rates = picker.pick(stream)
    else:
        segments, rates = picker.segments(stream)
    start_ns, end_ns = (pd.Timestamp(moment).value for moment in window)
    window_picks = [pick for pick in timed_picks if start_ns <= pick.time_ns < end_ns]
    artefacts: Counter[str] = Counter()
    if drop_artefacts and window_picks:
        times_ns = np.array([pick.time_ns for pick in window_picks], dtype=np.int64)
        reasons = artefact_reasons(stream, times_ns, np.array([pick.phase for pick in window_picks]))
        artefacts = Counter(str(reason) for reason in reasons if reason)
        window_picks = [pick for pick, reason in zip(window_picks, reasons, strict=True) if not reason]
    longest_s = max((segment.n_samples / segment.rate_hz for segment in segments), default=0.0)
    picks = _table(window_picks, stream, segments, picker.component_order, sensitivity_counts_per_unit, uncertainty)
    return StationPicks(picks, rates, artefacts, longest_s)


def _table(
    timed_picks: Sequence[TimedPick],
    stream: obspy.Stream,
    segments: list[Segment],
    component_order: str,
    sensitivity_counts_per_unit: float,
    uncertainty: Mapping[str, Any] | None,
) -> pd.DataFrame:
    if not timed_picks:
        return conform(pd.DataFrame(), PICKS)
    picks = pd.DataFrame(timed_picks)
    for name in ("time", "starttime", "endtime"):
        picks[name] = pd.to_datetime(picks[f"{name}_ns"], unit="ns", utc=True)
    stats = stream[0].stats
    codes = {"network": stats.network, "station": stats.station, "location": stats.location}
    picks = picks.assign(**codes, channel=band_instrument(stats.channel))
    starts_ns = np.array([segment.start_ns for segment in segments])
    measured = np.array(
        [measure(segments, starts_ns, pick.time_ns, pick.phase, component_order) for pick in timed_picks]
    )
    # ASSUME a flat response around the corner frequencies of local earthquakes.
    is_velocity = not is_acceleration(stats.channel[:2])
    picks["amplitude_m_s"] = measured[:, 0] / sensitivity_counts_per_unit if is_velocity else np.nan
    picks["snr_db"] = measured[:, 1]
    picks["time_uncertainty_s"] = time_uncertainty_s(uncertainty, picks["phase"], picks["probability"])
    key = ["network", "station", "location", "channel", "phase", "time", "probability"]
    picks["pick_id"] = [content_id("p", *row) for row in picks[key].itertuples(index=False)]
    return conform(picks, PICKS)


def measure(
    segments: Sequence[Segment], starts_ns: np.ndarray, time_ns: int, phase: str, component_order: str
) -> tuple[float, float]:
    """
    Amplitude and signal-to-noise ratio at a pick.

    Parameters
    ----------
    segments : sequence of Segment
        The record, in order of time.
    starts_ns : ndarray of int64, shape (n_segments,)
        When they start, ns since 1970.
    time_ns : int
        The pick.
    phase : {"P", "S"}
        P is measured on the vertical, S on the horizontals; on the other components where those are missing.
    component_order : str
        Of the segments.

    Returns
    -------
    amplitude : float
        Peak within 3 s after the pick, above the mean before it, in the record's unit; NaN without samples.
    snr_db : float
        Peak within 1 s after the pick over the noise's standard deviation, in dB; NaN without samples.
    """
    position = int(np.searchsorted(starts_ns, time_ns, side="right")) - 1
    best = (float("nan"), float("nan"))
    if position < 0:
        return best
    segment = segments[position]
    rate_hz = segment.rate_hz
    index = segment.index_at(time_ns)
    components = [(letter, samples) for letter, samples in zip(component_order, segment.components, strict=True)]
    recordings = [(letter, samples) for letter, samples in components if samples is not None]
    channels = [samples for letter, samples in recordings if (letter == "Z") == (phase == "P")]
    for samples in channels or [samples for _, samples in recordings]:
        noise = _between(samples, index, NOISE_WINDOW_S, rate_hz)
        signal = _between(samples, index, (0.0, AMPLITUDE_WINDOW_S), rate_hz)
        if noise.size < 10 or not signal.size:
            continue
        signal = np.abs(signal - noise.mean())
        peak = signal[: max(1, round(SIGNAL_WINDOW_S * rate_hz))].max()
        deviation = noise.std()
        snr_db = float(20 * np.log10(peak / deviation)) if deviation > 0 and peak > 0 else float("nan")
        if not best[0] >= signal.max():
            best = (float(signal.max()), snr_db)
    return best


def _between(samples: Samples, index: int, span_s: tuple[float, float], rate_hz: float) -> np.ndarray:
    first, last = (max(index + round(second * rate_hz), 0) for second in span_s)
    return np.asarray(samples[first:last], dtype=np.float64)


class StationTask(NamedTuple):
    """What a worker needs to pick one station-day; small, because it is sent over the network."""

    row: dict[str, Any]  # of the manifest
    waveforms: Path
    model: Path
    device: str
    params: PickParams
    window: tuple[datetime, datetime]


@lru_cache(maxsize=2)
def _picker(folder: Path, device: str, options: PickerOptions) -> tuple[Picker, dict[str, Any]]:
    """Picker of a model folder, and its card."""
    card = read_card(folder)
    picker = Picker(load_model(folder, device), options, cache=folder)
    logger.info("%s/%s: backend %s, mode %s", card["model"], card["weights"], picker.backend, options.mode)
    return picker, card


Result = tuple[pd.DataFrame, dict[str, Any], float]


def pick_stations(tasks: Sequence[StationTask]) -> list[Result]:
    """
    Picks of some stations of a day and their rows of the pick ledger; a failure becomes a reason.

    The windows of all of them share batches, so that a GPU is busy, and the next record is read while one is picked.

    Parameters
    ----------
    tasks : sequence of StationTask
        Of one model.

    Returns
    -------
    list of (picks, row, cpu_s)
        `PICKS`; one row of `PICK_LEDGER`; CPU time of reading and picking in s, the start of the worker and the loading
        of the model not counted.
    """
    first = tasks[0]
    picker, card = _picker(first.model, first.device, _options(first.params))
    if len(tasks) == 1:
        started_s = time.process_time()
        picks, row = _pick_or_explain(first, picker, card)
        return [(picks, row, time.process_time() - started_s)]
    started_s = time.process_time()
    try:
        station_picks = _pick_together(tasks, picker)
    except Exception:  # one bad record fails the shared batch: repeat one by one
        logger.exception("picking %d stations together failed; each is tried alone", len(tasks))
        station_picks = {}
    results = [_pick_or_explain(task, picker, card, station_picks.get(index)) for index, task in enumerate(tasks)]
    share_s = (time.process_time() - started_s) / len(tasks)
    return [(picks, row, share_s) for picks, row in results]


def _pick_together(tasks: Sequence[StationTask], picker: Picker) -> dict[int, tuple[obspy.Stream, list[TimedPick]]]:
    """Stream and picks of each task whose record can be read."""
    indices: list[int] = []
    station_picks: dict[int, tuple[obspy.Stream, list[TimedPick]]] = {}

    def streams(reader: ThreadPoolExecutor) -> Iterator[obspy.Stream]:
        reads = [(index, reader.submit(read_station_day, task.waveforms, task.row)) for index, task in usable[:1]]
        for next_task in [*usable[1:], None]:
            index, reading = reads.pop()
            if next_task is not None:
                reads.append((next_task[0], reader.submit(read_station_day, next_task[1].waveforms, next_task[1].row)))
            try:
                stream = reading.result()
            except ValueError:
                continue  # it is read again alone, which gives the reason
            indices.append(index)
            station_picks[index] = (stream, [])
            yield stream

    usable = [(index, task) for index, task in enumerate(tasks) if task.row["usable"]]
    if usable:
        with ThreadPoolExecutor(1) as reader:
            for position, pick in picker.pick_many(streams(reader)):
                station_picks[indices[position]][1].append(pick)
    return {index: (stream, sorted(picks)) for index, (stream, picks) in station_picks.items()}


def _pick_or_explain(
    task: StationTask,
    picker: Picker,
    card: Mapping[str, Any],
    record: tuple[obspy.Stream, list[TimedPick]] | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    code = {key: task.row[key] for key in ("network", "station", "date")}
    no_picks = conform(pd.DataFrame(), PICKS)
    empty = {"n_p": 0, "n_s": 0, "n_artefacts": 0}
    if not task.row["usable"]:
        return no_picks, {**code, "reason": task.row["reason"], "detail": task.row["detail"], **empty}
    try:
        stream = record[0] if record else read_station_day(task.waveforms, task.row)
        result = pick_stream(
            stream,
            picker,
            task.window,
            sensitivity_counts_per_unit=task.row["sensitivity_counts_per_unit"],
            uncertainty=card.get("time_uncertainty"),
            drop_artefacts=task.params.drop_artefacts,
            timed_picks=record[1] if record else None,
        )
    except StorageError:
        raise
    except Exception as error:  # one station must not fail the whole day
        logger.exception("%s: picking failed", task.waveforms)
        detail = f"{type(error).__name__}: {error}"
        return no_picks, {**code, "reason": "pick_failed", "detail": detail, **empty}
    counts = {f"n_{phase.lower()}": int((result.picks["phase"] == phase).sum()) for phase in PHASES}
    reason, detail = _reason(result, picker, card)
    return result.picks, {**code, "reason": reason, "detail": detail, **counts, "n_artefacts": result.artefacts.total()}


def _reason(result: StationPicks, picker: Picker, card: Mapping[str, Any]) -> tuple[str, str]:
    """Reason code of a station-day that was picked, and its sentence."""
    details = list(result.rates)
    if result.artefacts:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(result.artefacts.items()))
        details.append(f"artefacts dropped: {counts}")
    detail = "; ".join(details)
    if picker.in_samples and card.get("sampling_rate_hz"):
        window_s = picker.in_samples / card["sampling_rate_hz"]
        if result.longest_s < window_s:
            return "too_short", f"longest piece {result.longest_s:.1f} s, window {window_s:g} s"
    if result.picks.empty:
        return "no_picks", detail
    return ("resampled" if result.rates else "ok"), detail


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
        StationTask(row, station_file(waveforms, row["network"], row["station"]), model, device, params, window)
        for row in records(manifest)
    ]
    n_together = 1 if device == "cpu" else STATIONS_PER_GPU_GROUP
    groups = [tasks[first : first + n_together] for first in range(0, len(tasks), n_together)]
    results = [result for group in station_map(pick_stations, groups) for result in group]
    frames = [picks for picks, _, _ in results if not picks.empty]
    picks = conform(pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), PICKS)
    ledger = conform(pd.DataFrame([row for _, row, _ in results]), PICK_LEDGER)
    return picks, ledger, sum(cpu_s for _, _, cpu_s in results)
