"""Agreement of a student's picks with its teacher's, in the blocks of time that it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import obspy

from pickflow.annotate import Picker
from pickflow.annotate.segments import NS_PER_S
from pickflow.compress.windows import BLOCK_S, N_BLOCKS, Record
from pickflow.datasets.records import TOLERANCES_S

PHASES = ("P", "S")
# Chosen: thresholds that a student may get.
THRESHOLDS = np.round(np.concatenate([np.arange(0.04, 0.1, 0.02), np.arange(0.1, 0.71, 0.05)]), 2)


class BlockPicks(NamedTuple):
    """Times of the picks in a block in ns since 1970, sorted, and their probabilities, by phase."""

    times_ns: dict[str, np.ndarray]
    probabilities: dict[str, np.ndarray]

    def select(self, thresholds: Mapping[str, float]) -> BlockPicks:
        """The picks that reach the threshold of their phase."""
        is_above = {phase: self.probabilities[phase] >= thresholds[phase] for phase in self.times_ns}
        return BlockPicks(
            {phase: times[is_above[phase]] for phase, times in self.times_ns.items()},
            {phase: values[is_above[phase]] for phase, values in self.probabilities.items()},
        )


def blocks_of(records: Sequence[Record], number: int) -> list[obspy.Stream]:
    """Every fourth block of the records: ``TEST_BLOCK`` is the one that no student is fitted on."""
    block_ns = BLOCK_S * NS_PER_S
    blocks = []
    for record in records:
        if not record.stream:
            continue
        first_ns = min(trace.stats.starttime.ns for trace in record.stream)
        last_ns = max(trace.stats.endtime.ns for trace in record.stream)
        for count in range(first_ns // block_ns, last_ns // block_ns + 1):
            if count % N_BLOCKS == number:
                start = obspy.UTCDateTime(ns=count * block_ns)
                block = record.stream.slice(start, start + BLOCK_S, nearest_sample=False)
                if block:
                    blocks.append(block)
    return blocks


def pick_blocks(picker: Picker, blocks: Sequence[obspy.Stream]) -> list[BlockPicks]:
    """Picks of P and S in each block."""
    block_picks = []
    for block in blocks:
        picks, _, _ = picker.pick(block)
        by_phase = {phase: [pick for pick in picks if pick.phase == phase] for phase in PHASES}
        block_picks.append(
            BlockPicks(
                {
                    phase: np.array([pick.time_ns for pick in group], dtype=np.int64)
                    for phase, group in by_phase.items()
                },
                {phase: np.array([pick.probability for pick in group]) for phase, group in by_phase.items()},
            )
        )
    return block_picks


def agreement(picks: Sequence[BlockPicks], reference: Sequence[BlockPicks]) -> dict[str, Any]:
    """
    F1 of picks against other picks.

    Parameters
    ----------
    picks, reference : sequence of BlockPicks
        Of the same blocks.

    Returns
    -------
    dict
        ``p_f1`` and ``s_f1``, each by tolerance (``0.1s``, ``0.3s``, ``0.5s``); without any pick on both sides, 1.
    """
    scores: dict[str, Any] = {}
    for phase in PHASES:
        pairs = [
            (block_picks.times_ns[phase], block_reference.times_ns[phase])
            for block_picks, block_reference in zip(picks, reference, strict=True)
        ]
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


def best_thresholds(picks: Sequence[BlockPicks], reference: Sequence[BlockPicks], default: float) -> dict[str, float]:
    """
    Thresholds at which picks agree best with others (F1 at 0.3 s); the nearest to the default of equally good ones.

    Parameters
    ----------
    picks : sequence of BlockPicks
        Made with the lowest of `THRESHOLDS`.
    reference : sequence of BlockPicks
        Of the same blocks.
    default : float
        Also for a phase without picks.
    """
    thresholds = {}
    for phase in PHASES:
        scores = {}
        for threshold in THRESHOLDS.tolist():
            selected = [block_picks.select(dict.fromkeys(PHASES, threshold)) for block_picks in picks]
            scores[threshold] = agreement(selected, reference)[f"{phase.lower()}_f1"]["0.3s"]
        best = max(scores.values())
        candidates = [threshold for threshold, score in scores.items() if score == best]
        thresholds[phase] = (
            min(candidates, key=lambda threshold: abs(threshold - default))
            if len(candidates) < len(scores)
            else default
        )
    return thresholds
