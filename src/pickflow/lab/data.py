"""The records that the pickers of the lab are trained and tested on, from the sources that a configuration names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
from seisbench.models.base import WaveformModel

from pickflow.datasets.agreement import agreed_labels
from pickflow.datasets.archive import archive_windows
from pickflow.datasets.components import join_components
from pickflow.datasets.description import describe
from pickflow.datasets.memory import join
from pickflow.datasets.provenance import fingerprint
from pickflow.datasets.reading import Dataset, open_dataset
from pickflow.datasets.records import PARTS, Record
from pickflow.datasets.run_windows import open_run
from pickflow.datasets.sources import dataset_by_name
from pickflow.datasets.splits import Split, part_of
from pickflow.datasets.synthetic import synthetic_record
from pickflow.datasets.table import digest_ranks
from pickflow.datasets.teachers import soft_labels
from pickflow.datasets.writing import write_records
from pickflow.progress import Progress
from pickflow.run.settings.lab import LabSource, LabSplit

_STORED = Split(by="column")  # what is written has its parts


def split_of(settings: LabSplit) -> Split:
    """How records are shared out, from the section ``lab.split``."""
    shares = (settings.train, settings.validation, 1 - settings.train - settings.validation)
    return Split(by=settings.by, seed=settings.seed, shares=shares)


def write_sources(
    sources: Sequence[LabSource],
    split: LabSplit,
    teachers: Sequence[WaveformModel],
    folder: Path,
    progress: Progress,
    teaching: Literal["mean", "agreement"] = "mean",
) -> None:
    """
    Write what cannot be read where it lies: synthetic records, windows of a run or an archive, and records with soft
    labels.

    Parameters
    ----------
    sources : sequence of LabSource
        See the section ``lab.sources``.
    split : LabSplit
        How records are shared out.
    teachers : sequence of WaveformModel
        What they say is stored with the records; none of them: manual picks are the labels.
    folder : Path
        Is made, and gets a folder for each such source.
    progress : callable
        Called as ``progress(source, records done, records in all)``; 0 in all if nobody knows.
    teaching : {"mean", "agreement"}
        What the teachers' probabilities become, see the section ``lab.teaching``.
    """
    folder.mkdir(parents=True, exist_ok=True)  # also where all sources are read where they lie
    for source in sources:
        if not _is_written(source, teachers):
            continue
        total, records = _records(source, split, teachers)
        labelled = _taught(source, records, teachers, teaching)
        origin = {"source": source.model_dump(), "split": split.model_dump(), "n_teachers": len(teachers)}
        write_records(folder / source.name, _counted(labelled, source.name, total, progress), origin)


def open_sources(sources: Sequence[LabSource], split: LabSplit, n_teachers: int, folder: Path) -> Dataset:
    """
    Open all sources as one set.

    Parameters
    ----------
    sources, split
        See `write_sources`.
    n_teachers : int
        Number of teachers.
    folder : Path
        What `write_sources` was given.

    Raises
    ------
    ValueError
        If a source cannot be read, or a part has no records.
    """
    opened = [
        _reopened(source, split, folder) if _is_written(source, range(n_teachers)) else _opened(source, split)
        for source in sources
    ]
    dataset = join("lab", opened)
    empty = [part for part in PARTS if not len(dataset.select(part=part))]
    if empty:
        raise ValueError(
            f"config key lab.sources: the part {empty[0]} has no records; name more or larger sets, "
            "or share them out otherwise with lab.split"
        )
    return dataset


def _is_written(source: LabSource, teachers: Sequence[Any]) -> bool:
    return source.kind in ("synthetic", "run", "archive") or len(teachers) > 0


def _reopened(source: LabSource, split: LabSplit, folder: Path) -> Dataset:
    """A source that was written, with the split that gave its parts, by which other sets can be compared with it."""
    dataset = open_dataset(folder / source.name, source.name, _STORED)
    if source.kind not in ("folder", "seisbench", "archive"):
        return dataset
    by = "station" if source.kind == "archive" else split.by
    return replace(dataset, splits={source.name: replace(split_of(split), by=by)})


def _opened(source: LabSource, split: LabSplit) -> Dataset:
    """A source that lies in files, or the part of it that is asked for."""
    if source.kind == "run":
        dataset = open_run(source.path or "", split=split_of(split), n_noise=source.n_noise)
    elif source.kind == "folder":
        dataset = join_components(open_dataset(source.path or "", source.name, split_of(split)))
    else:
        dataset = join_components(dataset_by_name(source.name, split_of(split)))
    kinds = {"event": source.n_events, "noise": source.n_noise}
    n_most = dataset.table.kind.map({kind: len(dataset) if n is None else n for kind, n in kinds.items()})
    return dataset.take(np.flatnonzero(digest_ranks(dataset.table, "kind") <= n_most))


def _taught(source: LabSource, records: Iterator[Record], teachers: Sequence[Any], teaching: str) -> Iterator[Record]:
    """Records with what teachers say of them."""
    if not teachers or source.kind == "archive":  # the windows of an archive have it already
        return records
    if teaching == "mean":
        return soft_labels(records, teachers)
    return records if source.kind == "synthetic" else agreed_labels(records, teachers)


def _records(source: LabSource, split: LabSplit, teachers: Sequence[Any]) -> tuple[int, Iterator[Record]]:
    """Number of records, 0 if it is not known, and the records."""
    if source.kind == "archive":
        return 0, archive_windows(source.path or "", source.name, split_of(split), teachers)
    if source.kind == "synthetic":
        return (source.n_events or 0) + (source.n_noise or 0), _synthetic(source, split)
    dataset = _opened(source, split).examined()
    return len(dataset), (record for block in dataset.blocks() for record in block)


def _synthetic(source: LabSource, split: LabSplit) -> Iterator[Record]:
    """The first records of each kind, in the order of the generator."""
    missing = {"event": source.n_events or 0, "noise": source.n_noise or 0}
    shares = split_of(split).shares
    for index in count():
        if not any(missing.values()):
            return
        record = synthetic_record(split.seed, index)
        if missing[record.kind]:
            missing[record.kind] -= 1
            yield replace(record, dataset=source.name, part=part_of(record.name, split.seed, shares))


def _counted(records: Iterator[Record], name: str, total: int, progress: Progress) -> Iterator[Record]:
    for n_done, record in enumerate(records, start=1):
        yield record
        progress(name, n_done, total)


def description_of(dataset: Dataset) -> dict[str, Any]:
    """Counts by part, properties and reasons of what is left out, as JSON, with a digest of the whole set."""
    description = describe(dataset)
    return {
        "fingerprint": fingerprint(dataset),
        "parts": description.counts.to_dict("records"),
        "properties": json.loads(description.properties.to_json(orient="records")),
        "left_out": description.left_out.to_dict("records"),
    }


def shuffled(dataset: Dataset) -> Dataset:
    """The same traces in an order that mixes the sources; always the same one."""
    return dataset.take(np.random.default_rng(0).permutation(len(dataset)))
