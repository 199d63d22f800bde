"""What a picker predicts on labelled records, in the tables that the lab compares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pickflow.datasets.records import SAMPLING_RATE_HZ, Record
from pickflow.io.tables import conform
from pickflow.lab.detections import paired_detections
from pickflow.lab.records import record_key
from pickflow.lab.scores import THRESHOLDS
from pickflow.schemas import LABELLED_RECORDS, PREDICTIONS
from pickflow.train.evaluate import manual_time_s, pick_records

LOWEST_THRESHOLD = float(THRESHOLDS[0])


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """
    What a picker predicts on records.

    Attributes
    ----------
    picks, records : DataFrame
        `PREDICTIONS` and `LABELLED_RECORDS`; every record has a row, and a reason if it could not be picked.
    """

    picks: pd.DataFrame
    records: pd.DataFrame


def predict(model: Any, records: Iterable[Record], threshold: float = LOWEST_THRESHOLD) -> Predictions:
    """
    Pick records with everything that a picker sees above a low threshold.

    Parameters
    ----------
    model : seisbench.models.WaveformModel
        In evaluation mode. Its detections are those of its label Detection; without one they are made of its picks, see
        `pickflow.lab.detections`.
    records : iterable of Record
        Consumed lazily: they need not be in memory together.
    threshold : float
        Of P, S and detections.

    Returns
    -------
    Predictions

    Raises
    ------
    ValueError
        If two records of a set have one name.
    """
    has_detections = "Detection" in list(model.labels)
    thresholds = {"P": threshold, "S": threshold} | ({"Detection": threshold} if has_detections else {})
    rows: list[dict[str, Any]] = []
    names: list[str] = []

    def usable() -> Iterator[Record]:
        for record in records:
            row = record_row(record, model.in_samples or 0)
            rows.append(row)
            if not row["reason"]:
                names.append(row["record"])
                yield record

    picks = pick_records(model, usable(), thresholds)
    picks["record"] = [names[position] for position in picks.record]
    if not has_detections:
        picks = pd.concat([picks, paired_detections(picks)], ignore_index=True)
    return Predictions(
        picks=conform(picks, PREDICTIONS), records=conform(pd.DataFrame(rows), LABELLED_RECORDS)
    )  # fmt: skip


def record_row(record: Record, in_samples: int) -> dict[str, Any]:
    """
    Row of `LABELLED_RECORDS` for a record.

    Parameters
    ----------
    record : Record
        Labels outside of it do not exist.
    in_samples : int
        Window of the picker.
    """
    n_samples = record.samples.shape[1]
    reason, detail = "", ""
    if n_samples < in_samples:
        reason, detail = "shorter_than_window", f"{n_samples} samples, the picker needs {in_samples}"
    elif not np.isfinite(record.samples).all():
        reason, detail = "not_finite", "samples are NaN or infinite"
    elif not record.samples.any():
        reason, detail = "no_signal", "all samples are 0"
    times_s = {f"{phase.lower()}_s": manual_time_s(record, phase) for phase in "PS"}
    return {
        "record": record_key(record.dataset, record.name), "dataset": record.dataset, "station": record.station,
        "event": record.event, "kind": record.kind, "part": record.part, "n_samples": n_samples,
        "duration_s": n_samples / SAMPLING_RATE_HZ,
        **{name: np.nan if time_s is None else time_s for name, time_s in times_s.items()},
        "reason": reason, "detail": detail,
    }  # fmt: skip
