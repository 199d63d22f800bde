"""Intervals of scores by drawing records anew, the same ones for all pickers, so that differences are paired."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.lab.comparison import Floats, Index

BLOCKS = ("event", "station")
# Fewer blocks hardly differ when they are drawn anew, and their interval is too narrow to say anything.
MIN_BLOCKS = 10
LEVEL = 0.95
VERDICTS = ("better", "worse", "no difference", "unknown")


class Interval(NamedTuple):
    """Bounds of a value; NaN where they are not known."""

    low: float
    high: float


def block_of_records(records: pd.DataFrame, by: str) -> Index:
    """
    Number of the block of each record.

    Parameters
    ----------
    records : DataFrame
        `LABELLED_RECORDS`.
    by : str
        ``event``: all records of an event are one block, each record of noise (and of an unknown event) is its own.
        ``station``: all records of a station, events and noise, are one block.

    Raises
    ------
    ValueError
        If ``by`` is something else.
    """
    if by not in BLOCKS:
        raise ValueError(f"lab: records cannot be drawn by {by!r}; known are {', '.join(BLOCKS)}")
    names = [records[name].fillna("").to_numpy(str) for name in ("dataset", by, "record")]
    alone = (by == "event") & ((names[1] == "") | (records.kind.to_numpy(str) == "noise"))
    keys = [
        (dataset, name, record if single else "") for dataset, name, record, single in zip(*names, alone, strict=True)
    ]
    return np.asarray(pd.factorize(pd.Series(keys, dtype=object))[0], dtype=np.int64)


def draw_blocks(n_blocks: int, n_draws: int, seed: int) -> NDArray[np.float32]:
    """
    How often each block is in each draw of as many blocks as there are, with replacement.

    Returns
    -------
    ndarray, shape (n_draws, n_blocks)
    """
    generator = np.random.default_rng(seed)
    weights = np.empty((n_draws, n_blocks), np.float32)
    for draw in weights:
        draw[:] = np.bincount(generator.integers(n_blocks, size=n_blocks), minlength=n_blocks)
    return weights


def sum_draws(record_sums: Floats, block: Index, weights: NDArray[np.float32]) -> Floats:
    """
    Sums over the records of each draw.

    Parameters
    ----------
    record_sums : ndarray, shape (n_records, n_sums)
        What each record contributes.
    block : ndarray of int, shape (n_records,)
        See `block_of_records`.
    weights : ndarray, shape (n_draws, n_blocks)
        See `draw_blocks`.

    Returns
    -------
    ndarray, shape (n_draws, n_sums)
    """
    by_block = np.zeros((weights.shape[1], record_sums.shape[1]))
    np.add.at(by_block, block, record_sums)
    # Draw by draw: in double precision all weights together are large.
    return np.stack([draw.astype(float) @ by_block for draw in weights])


def mean_of_trainings(draws: Floats, seed: int, name: str) -> Floats:
    """
    Mean over the trainings of a variant, which are drawn anew too, so that an interval holds their spread.

    Parameters
    ----------
    draws : ndarray, shape (n_trainings, n_draws)
        A score of each training in each draw of records.
    seed : int
        Of the draws.
    name : str
        Of the variant: variants draw independently, in whatever order they come.

    Returns
    -------
    ndarray, shape (n_draws,)
    """
    n_trainings, n_draws = draws.shape
    if n_trainings == 1:
        return draws[0]
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    chosen = generator.integers(n_trainings, size=(n_trainings, n_draws))
    return np.asarray(np.take_along_axis(draws, chosen, axis=0).mean(axis=0))


def interval(draws: Floats, n_blocks: int, level: float = LEVEL) -> Interval:
    """
    Percentile interval (Efron and Tibshirani 1993, chapter 13).

    Parameters
    ----------
    draws : ndarray, shape (n_draws,)
        Values of a score; those that are not known (NaN) are left out.
    n_blocks : int
        With fewer than `MIN_BLOCKS` the interval is not known.
    level : float
        Its coverage.
    """
    finite_draws = draws[np.isfinite(draws)]
    if n_blocks < MIN_BLOCKS or not finite_draws.size:
        return Interval(np.nan, np.nan)
    low, high = np.quantile(finite_draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def verdict(difference: Interval, higher_is_better: bool) -> str:
    """
    What an interval of a difference to the reference says.

    Returns
    -------
    str
        One of `VERDICTS`: ``no difference`` if it holds 0, ``unknown`` if there is none.
    """
    if not np.isfinite([difference.low, difference.high]).all():
        return "unknown"
    if difference.low <= 0 <= difference.high:
        return "no difference"
    return "better" if (difference.low > 0) is higher_is_better else "worse"
