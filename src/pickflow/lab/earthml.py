"""
The numbers of the EarthML studies of EQTransformer, with their definitions and faults.

They are there to be compared with published ones. Their faults, all kept: a true positive is a pick anywhere in an
event's record, however far from the arrival; false positives and true negatives come from noise alone; errors are in
samples, over the event records in which both P and S were picked; only the first match of a record counts; a share of
nothing is undefined (NaN here, where the originals stop). `pickflow.lab.scores` has none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from pickflow.datasets.records import SAMPLING_RATE_HZ

# Thresholds, margins and lengths of EQTransformer's own test: Mousavi et al. 2020, 10.1038/s41467-020-17591-w
THRESHOLDS = {"Detection": 0.20, "P": 0.10, "S": 0.10}
SHORTEST_SAMPLES = 10  # of a detection
BEFORE_SAMPLES = 100  # P may be so much earlier than the detection
P_BEFORE_S_SAMPLES = 10  # and must be so much earlier than S
_KINDS = {"Detection": ("det", "d"), "P": ("p", "p"), "S": ("s", "s")}
_HIGHER = ("recall", "precision", "tp", "tn")


def _columns() -> dict[str, bool | None]:
    """Columns of the table in its order, and whether more is better; None: not judged."""
    names: dict[str, bool | None] = {}
    for phase, (share, number) in _KINDS.items():
        names |= {f"{share}_recall": True, f"{share}_precision": True}
        names |= {} if phase == "Detection" else {f"{number}_mae": False, f"{number}_rmse": False}
        names |= {f"{number}_{count}": count in _HIGHER for count in ("tp", "fp", "tn", "fn")}
    return {**names, "#events": None, "#noise": None}


COLUMNS = _columns()


class Match(NamedTuple):
    """A detection with its picks, in samples; NaN: none."""

    p: float
    s: float


def first_matches(picks: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """
    The first detection of each record that has a pick, with its picks.

    A detection of 10 samples or more has the first S inside it, and the most probable P from 100 samples before it to
    10 samples before S, or to its end. Picks outside of detections do not count.

    Parameters
    ----------
    picks, records : DataFrame
        `PREDICTIONS` and `LABELLED_RECORDS`.

    Returns
    -------
    DataFrame, one row for each record
        ``matched``, and ``p`` and ``s`` in samples (NaN: none).
    """
    confident_picks = picks[picks.probability >= picks.phase.map(THRESHOLDS)].sort_values(
        ["record", "time_s"], kind="stable"
    )
    matches = {
        str(name): match
        for name, record_picks in confident_picks.groupby("record")
        if (match := next(_matches(record_picks), None))
    }
    rows = [matches.get(name, Match(np.nan, np.nan)) for name in records.record]
    table = pd.DataFrame(rows, columns=list(Match._fields), index=records.index, dtype=float)
    return table.assign(matched=table.notna().any(axis=1))


def _matches(picks: pd.DataFrame) -> Iterator[Match]:
    """Matches of a record, in order of time."""
    at = {phase: (picks.phase == phase).to_numpy() for phase in THRESHOLDS}
    samples = np.round(picks.time_s.to_numpy(float) * SAMPLING_RATE_HZ)
    ends = np.round(picks.end_s.to_numpy(float) * SAMPLING_RATE_HZ)
    probability = picks.probability.to_numpy(float)
    for begin, end in zip(samples[at["Detection"]], ends[at["Detection"]], strict=True):
        if end - begin < SHORTEST_SAMPLES:
            continue
        inside = samples[at["S"] & (samples > begin) & (samples < end)]
        s = inside[0] if inside.size else np.nan
        until = s - P_BEFORE_S_SAMPLES if inside.size else end
        candidates = np.flatnonzero(at["P"] & (samples > begin - BEFORE_SAMPLES) & (samples < until))
        p = samples[candidates[np.argmax(probability[candidates])]] if candidates.size else np.nan
        if inside.size or candidates.size:
            yield Match(float(p), float(s))


def earthml_numbers(picks: pd.DataFrame, records: pd.DataFrame) -> dict[str, float]:
    """
    The 24 numbers of a picker.

    Parameters
    ----------
    picks, records : DataFrame
        `PREDICTIONS` and `LABELLED_RECORDS`.

    Returns
    -------
    dict of str to float
        By the names in `COLUMNS`; NaN where the originals divide by 0.
    """
    matches = first_matches(picks, records)
    is_noise = records.kind.to_numpy(str) == "noise"
    numbers: dict[str, float] = {"#events": float((~is_noise).sum()), "#noise": float(is_noise.sum())}
    for phase, (share, number) in _KINDS.items():
        has_pick = matches.matched if phase == "Detection" else matches[phase.lower()].notna()
        tp, fp = float((has_pick & ~is_noise).sum()), float((has_pick & is_noise).sum())
        numbers |= {f"{number}_tp": tp, f"{number}_fp": fp}
        numbers |= {f"{number}_tn": numbers["#noise"] - fp, f"{number}_fn": numbers["#events"] - tp}
        numbers[f"{share}_recall"] = tp / numbers["#events"] if numbers["#events"] else np.nan
        numbers[f"{share}_precision"] = tp / (tp + fp) if tp + fp else np.nan
        if phase != "Detection":
            manual = records[f"{phase.lower()}_s"].to_numpy(float) * SAMPLING_RATE_HZ
            is_matched = (~is_noise & matches.p.notna() & matches.s.notna()).to_numpy() & np.isfinite(manual)
            error = (matches[phase.lower()].to_numpy(float) - manual)[is_matched]
            numbers[f"{number}_mae"] = float(np.abs(error).mean()) if error.size else np.nan
            numbers[f"{number}_rmse"] = float(np.sqrt((error**2).mean())) if error.size else np.nan
    return {name: numbers[name] for name in COLUMNS}


def better_than(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """
    Compare numbers with those of a reference as the originals do: each for itself, however small the difference.

    Parameters
    ----------
    table : DataFrame, indexed by variant
        Columns are those of `COLUMNS`.
    reference : str
        One of the variants.

    Returns
    -------
    DataFrame, indexed by variant
        ``n_better``, ``n_equal``, ``n_worse`` and ``n_judged``, and the names of the numbers that are ``better`` and
        ``equal``. What is undefined is neither, and counts as worse.

    Raises
    ------
    ValueError
        If the reference is not among the variants.
    """
    if reference not in table.index:
        raise ValueError(f"lab: reference {reference} is not among the variants {', '.join(map(str, table.index))}")
    judged = {name: higher for name, higher in COLUMNS.items() if higher is not None}
    sign = pd.Series({name: 1.0 if higher else -1.0 for name, higher in judged.items()})
    gain = (table[list(judged)] - table.loc[reference, list(judged)]) * sign
    better, equal = gain > 0, gain == 0
    counted = pd.DataFrame({"n_better": better.sum(axis=1), "n_equal": equal.sum(axis=1)})
    counted = counted.assign(n_worse=len(judged) - counted.n_better - counted.n_equal, n_judged=len(judged))
    for name, chosen in (("better", better), ("equal", equal)):
        counted[name] = [" ".join(chosen.columns[row]) for row in chosen.to_numpy()]
    return counted
