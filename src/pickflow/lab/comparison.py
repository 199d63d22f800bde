"""Predictions of one phase beside the labels of the records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.lab.records import detection_end_s

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

_ROUNDING = 6  # decimals of s: a difference of times that are samples is then exact at a tolerance


@dataclass(frozen=True, kw_only=True)
class PhaseComparison:
    """
    All predictions of a phase on records, the most probable first.

    Attributes
    ----------
    n_records : int
        Rows of the table of records, also of those that are not judged.
    has_label, is_noise : ndarray of bool, shape (n_records,)
        A record is judged if it has a label of the phase or is noise: in an event without a label nobody knows whether
        a prediction is right.
    hours : ndarray, shape (n_records,)
        Length of the records.
    record : ndarray of int, shape (n_picks,)
        Row of the record of each prediction.
    probability : ndarray, shape (n_picks,)
        Not increasing.
    distance_s : ndarray, shape (n_picks,)
        From the label: for a pick the difference of times, for a detection the gap between it and the earthquake (0
        if they overlap); infinite in noise.
    """

    n_records: int
    has_label: NDArray[np.bool_]
    is_noise: NDArray[np.bool_]
    hours: Floats
    record: Index
    probability: Floats
    distance_s: Floats

    def hits(self, tolerance_s: float) -> Index:
        """Places, in the order of probability, of the first prediction of each record within a tolerance."""
        near = np.flatnonzero(self.distance_s <= tolerance_s)
        return np.sort(near[np.unique(self.record[near], return_index=True)[1]])

    def n_above(self, threshold: float) -> int:
        """Number of predictions with at least a probability."""
        return int(np.searchsorted(-self.probability, -threshold, side="right"))


def compare_phase(picks: pd.DataFrame, records: pd.DataFrame, phase: str) -> PhaseComparison:
    """
    Hold the predictions of a phase against the labels.

    Parameters
    ----------
    picks, records : DataFrame
        `PREDICTIONS` and `LABELLED_RECORDS`; predictions on other records, or on records that are not judged, are
        dropped.
    phase : str
        P, S or Detection; a detection's label is the earthquake, from P to S + 1.4 (S - P). A record whose S is not
        after its P has none.
    """
    begin_s, end_s = label_times(records, phase)
    has_label = np.isfinite(begin_s) & np.isfinite(end_s)
    is_noise = records.kind.to_numpy(str) == "noise"
    phase_picks = picks[picks.phase == phase]
    row = pd.Index(records.record).get_indexer(pd.Index(phase_picks.record))
    is_scored = (row >= 0) & (has_label | is_noise)[row]
    phase_picks, row = phase_picks[is_scored], row[is_scored].astype(np.int64)
    time_s, probability = phase_picks.time_s.to_numpy(float), phase_picks.probability.to_numpy(float)
    last_s = phase_picks.end_s.to_numpy(float) if phase == "Detection" else time_s
    gap_s = np.maximum(np.maximum(time_s - end_s[row], begin_s[row] - last_s), 0.0)
    distance_s = np.where(has_label[row], np.round(gap_s, _ROUNDING), np.inf)
    order = np.lexsort((time_s, row, -probability))
    return PhaseComparison(
        n_records=len(records), has_label=has_label, is_noise=is_noise,
        hours=records.duration_s.to_numpy(float) / 3600, record=row[order], probability=probability[order],
        distance_s=distance_s[order],
    )  # fmt: skip


def label_times(records: pd.DataFrame, phase: str) -> tuple[Floats, Floats]:
    """
    Begin and end of what is to be found in each record.

    Parameters
    ----------
    records : DataFrame
        `LABELLED_RECORDS`.
    phase : str
        See `compare_phase`.

    Returns
    -------
    begin_s, end_s : ndarray, shape (n_records,)
        In s since the start of the record; one of them NaN where there is no label.
    """
    p_s, s_s = (records[f"{name}_s"].to_numpy(float) for name in "ps")
    if phase == "Detection":
        return p_s, np.where(s_s >= p_s, detection_end_s(p_s, s_s), np.nan)
    manual_s = p_s if phase == "P" else s_s
    return manual_s, manual_s
