"""Detections of pickers that have picks only: each pair of P and S is an earthquake."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pickflow.lab.records import detection_end_s

# P and S of 250 km at 6 km/s and a ratio of velocities of 1.73.
LONGEST_S_MINUS_P_S = 30.0


def paired_detections(picks: pd.DataFrame) -> pd.DataFrame:
    """
    Detections from P to S + 1.4 (S - P), as probable as the less probable of both picks.

    Pairs are made from the most probable to the least, of equally probable ones the shorter first; a pick is in one
    pair at most. The detections above a threshold are therefore those of the picks above it.

    Parameters
    ----------
    picks : DataFrame
        `PREDICTIONS` of P and S.

    Returns
    -------
    DataFrame
        `PREDICTIONS` with the phase Detection.
    """
    rows = [row for name, record_picks in picks.groupby("record") for row in _pairs(str(name), record_picks)]
    return pd.DataFrame(rows, columns=["record", "phase", "time_s", "end_s", "probability"])


def _pairs(record: str, picks: pd.DataFrame) -> Iterator[tuple[str, str, float, float, float]]:
    p, s = (picks[picks.phase == phase] for phase in "PS")
    p_s, s_s = p.time_s.to_numpy(float), s.time_s.to_numpy(float)
    difference_s = s_s[None, :] - p_s[:, None]
    probability = np.minimum(p.probability.to_numpy(float)[:, None], s.probability.to_numpy(float)[None, :])
    first, second = np.nonzero((difference_s > 0) & (difference_s <= LONGEST_S_MINUS_P_S))
    order = np.lexsort((first, difference_s[first, second], -probability[first, second]))
    paired: tuple[set[int], set[int]] = (set(), set())
    for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if i not in paired[0] and j not in paired[1]:
            paired[0].add(i)
            paired[1].add(j)
            yield record, "Detection", p_s[i], float(detection_end_s(p_s[i], s_s[j])), probability[i, j]
