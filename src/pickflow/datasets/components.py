"""Records of three components from sets that keep each component as a trace of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.datasets.reading import Dataset, Reading, Source, Trace
from pickflow.datasets.reasons import Refusal
from pickflow.provenance import sha256_of_bytes


@dataclass(frozen=True)
class ComponentSource:
    """Traces of single components, put together."""

    sources: tuple[Source, ...]
    members: tuple[tuple[Trace, ...], ...]

    def read(self, traces: Sequence[Trace]) -> Iterator[Reading]:
        """See `pickflow.datasets.reading.Source`."""
        single = [(at, member) for at, trace in enumerate(traces) for member in self.members[int(trace["row"])]]
        parts: dict[int, list[tuple[NDArray, NDArray | None]]] = {at: [] for at in range(len(traces))}
        refusals: dict[int, Refusal] = {}
        for number, source in enumerate(self.sources):
            traces_of_source = [(at, member) for at, member in single if member["source"] == number]
            for position, reading in source.read([member for _, member in traces_of_source]):
                if isinstance(reading, Refusal):
                    refusals[traces_of_source[position][0]] = reading
                else:
                    parts[traces_of_source[position][0]].append(reading)
        for at, components in parts.items():
            if at in refusals:
                yield at, refusals[at]
            else:
                yield at, components[0] if len(components) == 1 else _together([samples for samples, _ in components])

    def digest(self) -> str:
        """Of the sources, and of which traces are put together."""
        names = [[str(member["name"]) for member in members] for members in self.members]
        return sha256_of_bytes(f"{[source.digest() for source in self.sources]} {names}".encode())


def _together(components: list[NDArray]) -> tuple[NDArray, None] | Refusal:
    """Sum of arrays that have one component each; of the length of the shortest."""
    n_samples = min(component.shape[1] for component in components)
    rows = [component[:, :n_samples] for component in components]
    signals = [row[row.any(axis=1)] for row in rows]
    if any(
        np.array_equal(signal, signal_before) for at, signal in enumerate(signals) for signal_before in signals[:at]
    ):
        return Refusal("duplicate", "two components have the same samples")
    return np.sum(rows, axis=0), None


def join_components(dataset: Dataset) -> Dataset:
    """
    Put the traces of one recording together that have one component each, and the same arrivals.

    Parameters
    ----------
    dataset : Dataset
        Such as a set in which ``AT_CRAG_BHZ_2010`` and ``AT_CRAG_BHN_2010`` are traces of their own.

    Returns
    -------
    Dataset
        A row for each recording, which has its name; traces with arrivals or probabilities of their own, or of a
        component that occurs twice, stay as they are.
    """
    table = dataset.table
    single = np.array([len(str(letters)) == 1 for letters in table.components]) & ~table.soft.to_numpy(bool)
    columns = ["dataset", "recording", "p_sample", "s_sample"]
    keys = table[[*columns, "part"]].assign(
        alone=np.where(single, -1, np.arange(len(table))),
        again=table.groupby([*columns, "components"], dropna=False).cumcount(),
    )
    groups = sorted(map(list, keys.groupby(list(keys), dropna=False, sort=False).indices.values()))
    first = [positions[0] for positions in groups]
    names = table.recording.iloc[first].reset_index(drop=True)
    several = pd.Series([len(positions) > 1 for positions in groups]) & ~names.duplicated()
    joined = table.iloc[first].reset_index(drop=True)
    joined = joined.assign(
        name=names.where(several, joined.name),
        components=["".join(table.components.iloc[positions]) for positions in groups],
        n_samples=[table.n_samples.iloc[positions].min() for positions in groups],
        row=range(len(groups)),
        source=0,
    )
    traces = dataset.traces()
    members = tuple(tuple(traces[at] for at in positions) for positions in groups)
    return replace(dataset, table=joined, sources=(ComponentSource(dataset.sources, members),))
