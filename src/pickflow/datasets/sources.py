"""Data sets by name: those of SeisBench, which are downloaded, the subsets of STEAD, and folders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from pickflow.datasets.memory import join
from pickflow.datasets.reading import Dataset, open_dataset
from pickflow.datasets.splits import Split
from pickflow.datasets.subsets import SUBSETS, build_subset
from pickflow.models.seisbench_internals import data_set_folder
from pickflow.suggestions import suggestion

logger = logging.getLogger(__name__)

# Sets that SeisBench keeps in two: earthquakes and noise.
PAIRS = {"INSTANCE": ("InstanceCounts", "InstanceNoise"), "PNWAll": ("PNW", "PNWNoise"), "CWAAll": ("CWA", "CWANoise")}
_BASES = ("WaveformBenchmarkDataset", "BenchmarkDataset", "DummyDataset", "ChunkedDummyDataset")


def known_names() -> list[str]:
    """Names that `dataset_by_name` knows."""
    return sorted([*_classes(), *PAIRS, *SUBSETS], key=str.lower)


def check_name(name: str) -> None:
    """
    Refuse the name of a data set that SeisBench does not have.

    Raises
    ------
    ValueError
        Naming the nearest one.
    """
    if name.lower() not in map(str.lower, known_names()):
        raise ValueError(_unknown(name))


def _classes() -> dict[str, type]:
    import seisbench.data  # loads Matplotlib

    kinds = {name: getattr(seisbench.data, name, None) for name in seisbench.data.__all__}
    base = seisbench.data.WaveformBenchmarkDataset
    return {
        name: kind
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, base) and name not in _BASES
    }


def dataset_by_name(name: str, split: Split | None = None, chunks: Sequence[str] | None = None) -> Dataset:
    """
    Open a data set by its name, and download it first if need be.

    Parameters
    ----------
    name : str
        A data set of SeisBench (``STEAD``, ``ETHZ``, ``InstanceCounts`` …, in any letters), one of `PAIRS`, a subset
        of STEAD (`pickflow.datasets.subsets.SUBSETS`), which is drawn when it is asked for first, or a folder in
        SeisBench's format. Sets lie in SeisBench's cache, which the environment variable SEISBENCH_CACHE_ROOT names.
    split : Split or None
        See `open_dataset`.
    chunks : sequence of str or None
        Only these are downloaded and read; None for all.

    Raises
    ------
    ValueError
        If there is no such set, or it is not there and cannot be downloaded.
    """
    by_letters = {title.lower(): title for title in known_names()}
    title = by_letters.get(name.lower())
    if title is None and Path(name).is_dir():
        return open_dataset(name, split=split, chunks=chunks)
    if title is None:
        raise ValueError(_unknown(name))
    if title in SUBSETS:
        return _subset(title, split)
    if title in PAIRS:
        return join(title, [dataset_by_name(member, split, chunks) for member in PAIRS[title]])
    kind = _classes()[title]
    folder = data_set_folder(kind)
    if not _is_there(folder, chunks):
        _download(title, kind, folder, chunks)
    return open_dataset(folder, title, split, chunks)


def _unknown(name: str) -> str:
    if "/" in name:
        return f"{name}: there is no such folder"
    return f"no data set {name!r}: {suggestion(name, known_names())} (a folder is written with its path)"


def _is_there(folder: Path, chunks: Sequence[str] | None) -> bool:
    listed = folder / "chunks"
    names = chunks if chunks is not None else listed.read_text().split() if listed.is_file() else [""]
    files = [folder / file for chunk in names for file in (f"metadata{chunk}.csv", f"waveforms{chunk}.hdf5")]
    return all(file.is_file() for file in files)


def _download(name: str, kind: type, folder: Path, chunks: Sequence[str] | None) -> None:
    """Let SeisBench download a set."""
    import seisbench

    logger.warning("%s is not in %s: SeisBench downloads it from %s", name, folder, seisbench.remote_data_root)
    try:
        available = kind.available_chunks()  # type: ignore[attr-defined]
        absent = sorted(set(chunks or ()) - set(available))
        if absent:
            raise ValueError(f"it has no chunk {absent[0]!r}; its chunks are {', '.join(map(repr, available))}")
        kind(chunks=None if chunks is None else list(chunks), component_order="ZNE")
    except Exception as error:  # of requests, of SeisBench, of the file system
        raise ValueError(
            f"data set {name}: it is not in {folder}, and SeisBench cannot download it from "
            f"{seisbench.remote_data_root} ({error}). Without internet, copy the folder from a machine that has it; "
            f"another cache is named by SEISBENCH_CACHE_ROOT; of a download that was cut off, remove *.partial there"
        ) from error


def _subset(name: str, split: Split | None) -> Dataset:
    import seisbench

    folder = Path(seisbench.cache_data_root) / name.lower()
    if _is_there(folder, None):
        return open_dataset(folder, name, split)
    return build_subset(dataset_by_name("STEAD"), name, folder, split=split)
