"""How well a picker finds manual picks: precision, recall, F1, errors and false picks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from seisbench.models.base import WaveformModel

from pickflow.annotate import Picker, PickerOptions
from pickflow.annotate.picker import TimedPick
from pickflow.datasets.records import SAMPLING_RATE_HZ, TOLERANCES_S, Record
from pickflow.datasets.streams import record_stream


def pick_records(model: Any, records: Iterable[Record], thresholds: Mapping[str, float]) -> pd.DataFrame:
    """
    Picks of a model on labelled records, and its detections of earthquakes.

    Parameters
    ----------
    model : seisbench.models.WaveformModel
        With its own overlap and stacking; windows are counted from the start of a record, as SeisBench does. Of
        anything else, its ``classify`` is used, which has no detections.
    records : iterable of Record
        What to pick; consumed lazily.
    thresholds : mapping of str to float
        Of P and S; of Detection only if detections are wanted.

    Returns
    -------
    DataFrame
        ``record`` (position among the records), ``phase`` (P, S or Detection), ``time_s`` (since the record's start; of
        a detection its beginning), ``end_s`` (of a detection; NaN) and ``probability``.
    """
    if isinstance(model, WaveformModel):
        options = PickerOptions(
            p_threshold=thresholds["P"], s_threshold=thresholds["S"], detection_threshold=thresholds.get("Detection"),
            grid="record",
        )  # fmt: skip
        picks_of_records = Picker(model, options).pick_many(map(record_stream, records))
        rows = [(index, *_times_s(pick), pick.probability) for index, pick in picks_of_records]
    else:
        arguments = {f"{phase}_threshold": thresholds[phase] for phase in "PS"}
        rows = [
            (index, pick.phase, pick.peak_time.timestamp, math.nan, pick.peak_value)
            for index, record in enumerate(records)
            for pick in model.classify(record_stream(record), **arguments).picks
        ]
    picks = pd.DataFrame(rows, columns=["record", "phase", "time_s", "end_s", "probability"])
    return picks.astype({"record": int, "time_s": float, "end_s": float, "probability": float})


def _times_s(pick: TimedPick) -> tuple[str, float, float]:
    """Phase, time and end of a pick or detection, since the record's start."""
    if pick.phase in ("P", "S"):
        return pick.phase, pick.time_ns / 1e9, math.nan
    return pick.phase, pick.starttime_ns / 1e9, pick.endtime_ns / 1e9


def manual_time_s(record: Record, phase: str) -> float | None:
    """Time of a manual pick since the start of its record, in s; None where there is none."""
    at = record.picks.get(phase)
    return None if at is None else at / SAMPLING_RATE_HZ


def evaluate(model: Any, records: Sequence[Record], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """
    Compare a model's picks with the manual ones.

    Parameters
    ----------
    model, records, thresholds
        See `pick_records`.

    Returns
    -------
    dict
        For each phase: ``n`` manual picks, ``n_picks`` picks, precision, recall and F1 at 0.1, 0.3 and 0.5 s, mean
        absolute error (s) of the matches at 0.5 s, and ``false_picks`` farther than 0.5 s from any manual pick of the
        phase. A real arrival that nobody labelled counts as false.
    """
    picks = pick_records(model, records, thresholds)
    scores = {}
    for phase in ("P", "S"):
        picks_of_phase = picks[picks.phase == phase]
        pick_times_s = [
            picks_of_phase.time_s[picks_of_phase.record == index].to_numpy() for index in range(len(records))
        ]
        scores[phase] = phase_scores(pick_times_s, [manual_time_s(record, phase) for record in records])
    return scores


def phase_scores(pick_times_s: Sequence[np.ndarray], manual: Sequence[float | None]) -> dict[str, Any]:
    """
    Scores of one phase.

    Parameters
    ----------
    pick_times_s : sequence of ndarray
        Times of the picks of each record in s.
    manual : sequence of float or None
        Time of the manual pick of each record; None where there is none.
    """
    n_manual = sum(time is not None for time in manual)
    n_found = sum(times.size for times in pick_times_s)
    errors = [
        float(times[np.argmin(np.abs(times - time))] - time)
        for times, time in zip(pick_times_s, manual, strict=True)
        if time is not None and times.size
    ]
    scores: dict[str, Any] = {"n": n_manual, "n_picks": int(n_found)}
    for tolerance in TOLERANCES_S:
        hits = sum(abs(error) <= tolerance for error in errors)
        precision, recall = hits / max(n_found, 1), hits / max(n_manual, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-12)
        scores[f"{tolerance:g}s"] = {"precision": precision, "recall": recall, "f1": f1}
    matched = [abs(error) for error in errors if abs(error) <= TOLERANCES_S[-1]]
    scores["mae_s"] = float(np.mean(matched)) if matched else None
    scores["false_picks"] = int(n_found - len(matched))
    return scores
