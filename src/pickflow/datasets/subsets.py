"""STEADmini, STEADmicro and merged: random parts of STEAD, as data sets of their own."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pickflow.datasets.reading import Dataset, open_dataset
from pickflow.datasets.reasons import LABELS_ONLY
from pickflow.datasets.splits import Split
from pickflow.datasets.writing import copy_traces

logger = logging.getLogger(__name__)

# Traces of STEAD (Mousavi et al. 2019, https://github.com/smousavi05/STEAD): earthquakes and noise.
STEAD_COUNTS = {"event": 1_030_231, "noise": 235_426}


@dataclass(frozen=True)
class Subset:
    """Numbers of traces that are drawn of STEAD."""

    event: int
    noise: int


# Of the EarthML studies: a tenth, a hundredth, and the training set called merged.
SUBSETS = {
    "STEADmini": Subset(103_023, 23_542),
    "STEADmicro": Subset(10_302, 2_354),
    "merged": Subset(20_000, 23_543),
}


def build_subset(dataset: Dataset, name: str, folder: str | Path, seed: int = 0, split: Split | None = None) -> Dataset:
    """
    Draw a subset and write it as a data set.

    Parameters
    ----------
    dataset : Dataset
        STEAD, or a set of the same format and any size.
    name : str
        Of `SUBSETS`.
    folder : str or Path
        Where to.
    seed : int
        Of the choice. With one seed, a smaller subset is part of a larger one.
    split : Split or None
        Of the subset, see `open_dataset`.

    Raises
    ------
    ValueError
        See `subset_rows`.
    """
    rows = subset_rows(dataset, name, seed)
    origin = {"name": name, "part_of": dataset.name, "seed": seed, "n_traces": len(rows)}
    copy_traces(dataset.take(rows), folder, origin)
    return open_dataset(folder, name, split)


def subset_rows(dataset: Dataset, name: str, seed: int = 0) -> NDArray[np.int64]:
    """
    Which traces belong to a subset.

    Of all of STEAD, the subset has the numbers of the original studies. Of a smaller set it has the same share of the
    earthquakes, and of the noise, and at least one of each: the whole way can be tried on a set of another size.

    Returns
    -------
    ndarray of int
        Positions in the table, in its order.

    Raises
    ------
    ValueError
        If there is no such subset, or the set has too few earthquakes or too little noise for it.
    """
    if name not in SUBSETS:
        raise ValueError(f"no subset {name!r} of STEAD; there are {', '.join(SUBSETS)}")
    whole = is_whole_stead(dataset)
    if not whole:
        logger.warning("%s is not the whole STEAD: %s is the same share of it", dataset.name, name)
    ranks = np.array([_rank(trace, seed) for trace in dataset.table.name])
    rows: list[int] = []
    for kind, n_stead in STEAD_COUNTS.items():
        n_subset = getattr(SUBSETS[name], kind)
        candidates = np.flatnonzero((dataset.table.kind == kind).to_numpy())
        n_traces = n_subset if whole else max(round(len(candidates) * n_subset / n_stead), 1)
        if n_traces > len(candidates):
            raise ValueError(f"{dataset.name}: {len(candidates)} traces of {kind}, {name} needs {n_traces}")
        rows += candidates[np.argsort(ranks[candidates], kind="stable")[:n_traces]].tolist()
    return np.sort(np.array(rows, dtype=np.int64))


def is_whole_stead(dataset: Dataset) -> bool:
    """Whether a set has as many traces as STEAD, those that are left out included."""
    n_left_out = (~dataset.left_out.reason.isin(LABELS_ONLY)).sum()
    return len(dataset) + int(n_left_out) == sum(STEAD_COUNTS.values())


def _rank(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8], "big", signed=False) >> 1
