"""How much a student picks like its teacher, in the blocks of time that it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import obspy

from pickflow.annotate import Picker
from pickflow.annotate.segments import NS_PER_S
from pickflow.compress.windows import BLOCK_S, N_BLOCKS, Record

TOLERANCES_S = (0.1, 0.3, 0.5)


class BlockPicks(NamedTuple):
    """Times of the picks in a test block in ns since 1970, sorted, by phase."""

    times_ns: dict[str, np.ndarray]


def test_blocks(records: Sequence[Record]) -> list[obspy.Stream]:
    """The parts of the records that no student was fitted on."""
    block_ns = BLOCK_S * NS_PER_S
    blocks = []
    for record in records:
        if not record.stream:
            continue
        first_ns = min(trace.stats.starttime.ns for trace in record.stream)
        last_ns = max(trace.stats.endtime.ns for trace in record.stream)
        for number in range(first_ns // block_ns, last_ns // block_ns + 1):
            if number % N_BLOCKS == N_BLOCKS - 1:
                start = obspy.UTCDateTime(ns=number * block_ns)
                block = record.stream.slice(start, start + BLOCK_S, nearest_sample=False)
                if block:
                    blocks.append(block)
    return blocks


def pick_blocks(picker: Picker, blocks: Sequence[obspy.Stream]) -> list[BlockPicks]:
    """Picks of P and S in each block."""
    found = []
    for block in blocks:
        picks, _, _ = picker.pick(block)
        times = {
            phase: np.array([p.time_ns for p in picks if p.phase == phase], dtype=np.int64) for phase in ("P", "S")
        }
        found.append(BlockPicks(times))
    return found


def agreement(found: Sequence[BlockPicks], wanted: Sequence[BlockPicks]) -> dict[str, Any]:
    """
    F1 of picks against other picks.

    Parameters
    ----------
    found, wanted : sequence of BlockPicks
        Of the same blocks.

    Returns
    -------
    dict
        ``p_f1`` and ``s_f1``, each by tolerance (``0.1s``, ``0.3s``, ``0.5s``); without any pick on both sides, 1.
    """
    scores: dict[str, Any] = {}
    for phase in ("P", "S"):
        pairs = [(one.times_ns[phase], other.times_ns[phase]) for one, other in zip(found, wanted, strict=True)]
        n_picks = sum(left.size + right.size for left, right in pairs)
        scores[f"{phase.lower()}_f1"] = {
            f"{tolerance:g}s": 2 * sum(n_matches(*pair, tolerance) for pair in pairs) / n_picks if n_picks else 1.0
            for tolerance in TOLERANCES_S
        }
    return scores


def n_matches(left_ns: np.ndarray, right_ns: np.ndarray, tolerance_s: float) -> int:
    """Pairs of sorted times within a tolerance, each time in one pair at most."""
    reach = round(tolerance_s * NS_PER_S)
    matched = i = j = 0
    while i < left_ns.size and j < right_ns.size:
        difference = int(left_ns[i] - right_ns[j])
        if abs(difference) <= reach:
            matched, i, j = matched + 1, i + 1, j + 1
        elif difference < 0:
            i += 1
        else:
            j += 1
    return matched


def mean_f1(scores: Mapping[str, Any], tolerance: str = "0.3s") -> float:
    """Mean of the F1 of P and S."""
    return (scores["p_f1"][tolerance] + scores["s_f1"][tolerance]) / 2
