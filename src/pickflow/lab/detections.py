"""Detections of pickers that have picks only: each pair of P and S is an earthquake."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pickflow.lab.comparison import Floats
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
    # Arrays from here on: a slice of a table costs more than the pairs of a record.
    is_p, is_s = ((picks.phase == phase).to_numpy(bool) for phase in "PS")
    numbers = picks[["time_s", "probability"]].to_numpy(float)
    rows = [
        pair
        for name, places in picks.groupby("record").indices.items()
        for pair in _pairs(str(name), numbers[places[is_p[places]]], numbers[places[is_s[places]]])
    ]
    return pd.DataFrame(rows, columns=["record", "phase", "time_s", "end_s", "probability"])


def _pairs(record: str, p: Floats, s: Floats) -> Iterator[tuple[str, str, float, float, float]]:
    """Detections of a record, from the times and probabilities of its picks."""
    difference_s = s[None, :, 0] - p[:, None, 0]
    probability = np.minimum(p[:, None, 1], s[None, :, 1])
    first, second = np.nonzero((difference_s > 0) & (difference_s <= LONGEST_S_MINUS_P_S))
    order = np.lexsort((first, difference_s[first, second], -probability[first, second]))
    paired: tuple[set[int], set[int]] = (set(), set())
    for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if i not in paired[0] and j not in paired[1]:
            paired[0].add(i)
            paired[1].add(j)
            yield record, "Detection", p[i, 0], float(detection_end_s(p[i, 0], s[j, 0])), probability[i, j]
