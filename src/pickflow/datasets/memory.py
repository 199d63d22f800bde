"""Data sets of records that are in memory, and several sets as one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pickflow.datasets.families import families_of
from pickflow.datasets.reading import Dataset, Reading, Trace
from pickflow.datasets.records import SAMPLING_RATE_HZ, Record
from pickflow.datasets.splits import Split
from pickflow.datasets.table import Judgement, recording_of


@dataclass(frozen=True)
class MemorySource:
    """Records that are there already."""

    records: Sequence[Record]

    def read(self, traces: Sequence[Trace]) -> Iterator[Reading]:
        """See `pickflow.datasets.reading.Source`."""
        for index, trace in enumerate(traces):
            record = self.records[int(trace["row"])]
            yield index, (record.samples, record.probability)

    def digest(self) -> str:
        """Of names, samples and labels."""
        digest = hashlib.sha256()
        for record in self.records:
            digest.update(f"{record.name} {sorted(record.picks.items())}".encode() + record.samples.tobytes())
            if record.probability is not None:
                digest.update(record.probability.tobytes())
        return digest.hexdigest()


def dataset_of(records: Sequence[Record], name: str) -> Dataset:
    """
    Data set of records, with their parts.

    Parameters
    ----------
    records : sequence of Record
        They stay in memory.
    name : str
        Name of the set.

    Raises
    ------
    ValueError
        If there is no record.
    """
    if not records:
        raise ValueError(f"{name}: a data set needs at least one record")
    rows = [
        {
            "name": record.name,
            "dataset": record.dataset,
            "event": record.event,
            "station": record.station,
            "kind": record.kind,
            "part": record.part,
            "n_samples": record.samples.shape[1],
            "p_sample": record.picks.get("P", np.nan),
            "s_sample": record.picks.get("S", np.nan),
            "row": row,
            "source": 0,
            "recording": recording_of(record.name),
            "start_time": "",
            "magnitude": np.nan,
            "distance_km": np.nan,
            "rate_hz": SAMPLING_RATE_HZ,
            "split": record.part,
        }
        for row, record in enumerate(records)
    ]
    splits = {dataset: Split(by="column") for dataset in sorted({record.dataset for record in records})}
    return Dataset(name=name, table=pd.DataFrame(rows), sources=(MemorySource(records),), splits=splits)


def join(name: str, datasets: Sequence[Dataset]) -> Dataset:
    """
    Several sets as one; each keeps its parts, and its name in the column ``dataset``.

    A trace that is in two sets of a collection, such as STEAD and STEADmicro, is used once, with its part in the first.

    Parameters
    ----------
    name : str
        Name of the whole.
    datasets : sequence of Dataset
        What is left out of each is left out of the whole.

    Raises
    ------
    ValueError
        If two sets have the same name: their records could not be told apart.
    """
    names = pd.concat([pd.Series(dataset.table.dataset.unique()) for dataset in datasets])
    if names.duplicated().any():
        raise ValueError(f"{name}: two sets are called {names[names.duplicated()].iloc[0]!r}; give one another name")
    tables, first = [], 0
    for dataset in datasets:
        tables.append(dataset.table.assign(source=dataset.table.source + first))
        first += len(dataset.sources)
    table = pd.concat(tables, ignore_index=True)
    judgement = Judgement(table.name)
    again = pd.DataFrame({"family": families_of(table), "name": table.name}).duplicated()
    again &= ~table.name.str.contains("$", regex=False)  # the place in a bucket is no name
    judgement.refuse(again, "duplicate", lambda at: f"it is in another set than {table.dataset[at]} as well")
    return replace(
        datasets[0],
        name=name,
        table=table[judgement.usable_traces].reset_index(drop=True),
        sources=tuple(source for dataset in datasets for source in dataset.sources),
        splits={name: split for dataset in datasets for name, split in dataset.splits.items()},
        refused=pd.concat([*(dataset.left_out for dataset in datasets), judgement.account], ignore_index=True),
        _unread={},
    )
