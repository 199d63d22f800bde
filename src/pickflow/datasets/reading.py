"""Data sets of which the samples are read when they are asked for, and those in SeisBench's format."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.datasets.metadata import read_metadata
from pickflow.datasets.reasons import LABELS_ONLY, REASONS, Refusal
from pickflow.datasets.records import PARTS, Record, to_unit_peak
from pickflow.datasets.samples import prepare_samples
from pickflow.datasets.splits import Split, parts_of
from pickflow.datasets.storage import parse_place, read_arrays, read_layout, stored_digest
from pickflow.datasets.table import ACCOUNT, COLUMNS, Judgement, empty_account, make_table
from pickflow.provenance import sha256_of_bytes, sha256_of_file

logger = logging.getLogger(__name__)

_SET = "a data set is a folder with metadata.csv and waveforms.hdf5"


# A row of the table of a data set, by the names of its columns.
Trace = Mapping[str, Any]
# Position of a trace among those asked for; its samples, shape (3, n_samples), and probability, shape (2, n_samples) or
# None, or why there are none.
Reading = tuple[int, tuple[NDArray, NDArray | None] | Refusal]


class Source(Protocol):
    """Where samples come from."""

    def read(self, traces: Sequence[Trace]) -> Iterator[Reading]:
        """Read traces in the order that is fastest."""

    def digest(self) -> str:
        """Another one for other content, as far as can be seen without reading all samples."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """
    Traces of a data set; their samples are read when asked for, and kept nowhere.

    Parameters
    ----------
    name : str
        Name of the set.
    table : DataFrame
        A row for each trace: ``name``, ``dataset``, ``event`` (empty for noise), ``station``, ``kind``, ``part``,
        ``n_samples``, ``p_sample`` and ``s_sample`` (at 100 Hz; NaN where there is none), and columns that describe the
        trace or say where it lies.
    sources : tuple of Source
        Where samples come from; the column ``source`` of the table counts them.
    refused : DataFrame
        What the metadata alone already exclude; see `left_out`.
    splits : dict of str to Split
        How the parts came about, by the name of the set.
    """

    name: str
    table: pd.DataFrame
    sources: tuple[Source, ...]
    refused: pd.DataFrame = field(default_factory=empty_account)
    splits: dict[str, Split] = field(default_factory=dict)
    # What reading showed: details, by set, trace and reason.
    _unread: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the traces."""
        return len(self.table)

    @property
    def left_out(self) -> pd.DataFrame:
        """
        What is not used: ``name``, ``reason`` (a key of `pickflow.datasets.reasons.REASONS`) and ``detail``.

        Damaged samples, and labels in padding, are known when they are read: `examined` reads all of them.
        """
        unread = [(name, reason, detail) for (_, name, reason), detail in sorted(self._unread.items())]
        if not unread:
            return self.refused
        return pd.concat([self.refused, pd.DataFrame(unread, columns=list(ACCOUNT))], ignore_index=True)

    @property
    def phases(self) -> tuple[str, ...]:
        """Phases of which the set has arrivals; a network must not learn that the others are not there."""
        return tuple(phase for phase in "PS" if self.table[f"{phase.lower()}_sample"].notna().any())

    def select(self, part: str | None = None, kind: str | None = None) -> Dataset:
        """Traces of one part, of one kind, or both."""
        condition = pd.Series(True, index=self.table.index)
        if part is not None:
            condition &= self.table.part == part
        if kind is not None:
            condition &= self.table.kind == kind
        return self.take(np.flatnonzero(condition.to_numpy()))

    def take(self, rows: Sequence[int] | NDArray) -> Dataset:
        """Traces at positions of the table, in their order."""
        return replace(self, table=self.table.iloc[np.asarray(rows, dtype=int)].reset_index(drop=True))

    def read(self, rows: Sequence[int] | NDArray | None = None) -> list[Record]:
        """
        Read records.

        Parameters
        ----------
        rows : sequence of int, or None
            Positions in the table; None for all.

        Returns
        -------
        list of Record
            In the order asked for, without those that cannot be used, which `left_out` names from then on.
        """
        traces = self.traces(rows)
        n_unread = len(self._unread)
        records: dict[int, Record] = {}
        for number, source in enumerate(self.sources):
            positions = [at for at, trace in enumerate(traces) if trace["source"] == number]
            for index, reading in source.read([traces[at] for at in positions]):
                trace = traces[positions[index]]
                record = reading if isinstance(reading, Refusal) else _record(trace, *reading)
                if isinstance(record, Refusal):
                    self.refuse(trace["dataset"], trace["name"], record)
                    continue
                records[positions[index]] = record
                for refusal in _labels_outside(trace, record):
                    self.refuse(trace["dataset"], trace["name"], refusal)
        if len(self._unread) > n_unread:
            (_, name, reason), detail = list(self._unread.items())[-1]
            n_new, meaning = len(self._unread) - n_unread, REASONS[reason]
            logger.warning("%s: %d left out, such as %s: %s: %s", self.name, n_new, name, meaning, detail)
        return [records[at] for at in sorted(records)]

    def traces(self, rows: Sequence[int] | NDArray | None = None) -> list[Trace]:
        """Rows of the table at positions, or all of them."""
        columns = self._columns
        positions = range(len(self)) if rows is None else rows
        return [{name: column[row] for name, column in columns.items()} for row in positions]

    @cached_property
    def _columns(self) -> dict[str, NDArray]:
        """Columns of the table: a row of a DataFrame costs more than the samples of a trace."""
        return {str(name): self.table[name].to_numpy() for name in self.table}

    def refuse(self, dataset: str, name: str, refusal: Refusal) -> None:
        """Note a trace, or a label of it, that cannot be used."""
        self._unread[dataset, name, refusal.reason] = refusal.detail

    def blocks(self, n_records: int = 256) -> Iterator[list[Record]]:
        """
        Read all records a few at a time, in the order of the table.

        Parameters
        ----------
        n_records : int
            Of a block; no more than that many are in memory.
        """
        for start in range(0, len(self), n_records):
            yield self.read(range(start, min(start + n_records, len(self))))

    def examined(self, n_records: int = 256) -> Dataset:
        """Read everything once; the set without what cannot be read, or has the samples of a record before it."""
        names: dict[bytes, tuple[str, str]] = {}
        for record in (record for block in self.blocks(n_records) for record in block):
            content = hashlib.sha256(record.samples[record.samples.any(axis=1)]).digest()
            first = names.setdefault(content, (record.dataset, record.name))
            if first != (record.dataset, record.name):
                self.refuse(record.dataset, record.name, Refusal("duplicate", f"its samples are those of {first[1]}"))
        keys = list(zip(self.table.dataset, self.table.name, strict=True))
        unread = {tuple(trace) for *trace, reason in self._unread if reason not in LABELS_ONLY}
        table = self.table.copy(deep=False)
        for phase in "ps":
            outside = np.array([(*key, f"{phase}_outside") in self._unread for key in keys], dtype=bool)
            table[f"{phase}_sample"] = table[f"{phase}_sample"].mask(outside)
        return replace(self, table=table).take(np.flatnonzero([key not in unread for key in keys]))


def _record(row: Trace, samples: NDArray, probability: NDArray | None) -> Record | Refusal:
    """A record with the labels that lie within its samples; none, if an earthquake had some and has none left."""
    arrivals = _arrivals(row)
    picks = {phase: at for phase, at in arrivals.items() if 0 <= at < samples.shape[1]}
    if arrivals and not picks and row["kind"] == "event":
        return Refusal("no_label", f"{' and '.join(arrivals)} outside of the {samples.shape[1]} samples at 100 Hz")
    return Record(
        name=row["name"],
        dataset=row["dataset"],
        station=row["station"],
        event=row["event"],
        kind=row["kind"],
        part=row["part"],
        samples=to_unit_peak(samples),
        picks=picks,
        probability=probability,
    )


def _arrivals(row: Trace) -> dict[str, float]:
    arrivals = {phase: float(row[f"{phase.lower()}_sample"]) for phase in "PS"}
    return {phase: at for phase, at in arrivals.items() if not np.isnan(at)}


def _labels_outside(row: Trace, record: Record) -> Iterator[Refusal]:
    """Labels in what was padding: the metadata alone do not tell."""
    for phase, at in _arrivals(row).items():
        if phase not in record.picks:
            yield Refusal(f"{phase.lower()}_outside", f"sample {at:g} of {record.samples.shape[1]} at 100 Hz")


@dataclass(frozen=True)
class FolderSource:
    """Traces of a folder in SeisBench's format."""

    folder: Path

    def read(self, traces: Sequence[Trace]) -> Iterator[Reading]:
        """See `Source`."""
        probabilities = self.read_probabilities(traces)
        for index, stored in self.read_stored(traces):
            samples = stored if isinstance(stored, Refusal) else prepare_samples(stored, traces[index])
            probability = probabilities.get(index)
            if isinstance(samples, Refusal):
                yield index, samples
            elif isinstance(probability, Refusal):
                yield index, probability
            else:
                yield index, (samples, None if probability is None else probability[:, : samples.shape[1]])

    def digest(self) -> str:
        """Of the metadata, and of the sizes of the files with the waveforms and the digests in those of ours."""
        metadata = [sha256_of_file(path) for path in sorted(self.folder.glob("metadata*.csv"))]
        files = sorted(self.folder.glob("waveforms*.hdf5"))
        waveforms = [(path.stat().st_size, stored_digest(path)) for path in files]
        return sha256_of_bytes(f"{metadata} {waveforms}".encode())

    def read_probabilities(self, traces: Sequence[Trace]) -> dict[int, NDArray | Refusal]:
        """Probabilities of P and S of traces that have them, shape (2, n_samples), or why they cannot be read."""
        soft = [index for index, trace in enumerate(traces) if trace["soft"]]
        probabilities: dict[int, NDArray | Refusal] = {}
        for at, stored in self.read_stored([traces[index] for index in soft], "probability"):
            if isinstance(stored, Refusal):
                probabilities[soft[at]] = Refusal(stored.reason, f"probability: {stored.detail}")
            elif not np.isnan(probability := stored[:, : int(traces[soft[at]]["n_stored"])]).all():
                probabilities[soft[at]] = probability
        return probabilities

    def read_stored(self, traces: Sequence[Trace], content: str = "data") -> Iterator[tuple[int, NDArray | Refusal]]:
        """Samples as they are in the file, and where in the sequence each trace is."""
        for chunk in sorted({trace["chunk"] for trace in traces}):
            positions = [at for at, trace in enumerate(traces) if trace["chunk"] == chunk]
            path = self.folder / f"waveforms{chunk}.hdf5"
            for index, stored in read_arrays(path, [traces[at] for at in positions], content):
                yield positions[index], stored


def open_dataset(
    folder: str | Path,
    name: str | None = None,
    split: Split | None = None,
    chunks: Sequence[str] | None = None,
    components: str = "",
) -> Dataset:
    """
    Open a set in SeisBench's format: its metadata are read, its samples are not.

    Parameters
    ----------
    folder : str or Path
        Holds ``metadata.csv`` and ``waveforms.hdf5``, or ``metadata<chunk>.csv`` and ``waveforms<chunk>.hdf5``.
    name : str or None
        Name of the set; None for that of the folder.
    split : Split or None
        How its traces are shared out to parts; None for `Split` with its defaults.
    chunks : sequence of str or None
        Which chunks; None for all.
    components : str
        Letters of the stored components, where neither the files nor the metadata say them.

    Raises
    ------
    ValueError
        If there is no such set or chunk, or nothing in it can be used: the reasons are named.
    """
    folder, split = Path(folder), split or Split()
    name = name or folder.name
    tables, accounts = [], []
    for chunk in _choose_chunks(folder, chunks):
        table, account = _open_chunk(folder, name, chunk, components)
        tables.append(table)
        accounts.append(account)
    table = pd.concat([part for part in tables if len(part)] or tables[:1], ignore_index=True)
    account = pd.concat([part for part in accounts if len(part)] or accounts[:1], ignore_index=True)
    table, account = with_parts(table, account, split)
    if table.empty:
        raise ValueError(f"{folder}: no trace can be used: {_counts(account)}; see docs/datasets.md for the reasons")
    if len(account):
        logger.warning("%s: left out: %s", name, _counts(account))
    for part in PARTS:
        if not (table.part == part).any():
            logger.warning("%s: the part %s is empty: too few events or stations; try another seed", name, part)
    return Dataset(name=name, table=table, sources=(FolderSource(folder),), refused=account, splits={name: split})


def _counts(account: pd.DataFrame) -> str:
    counts = Counter(account.reason)
    return ", ".join(f"{n} × {reason} ({REASONS[reason]})" for reason, n in counts.most_common())


def _choose_chunks(folder: Path, chunks: Sequence[str] | None) -> list[str]:
    """Chunks of a folder: those of its list, or of the names of its files."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder; {_SET}")
    listed = folder / "chunks"
    available = listed.read_text().split() if listed.is_file() else []
    if not available:
        names = [path.name for path in folder.iterdir()]
        metadata = {name[8:-4] for name in names if name.startswith("metadata") and name.endswith(".csv")}
        waveforms = {name[9:-5] for name in names if name.startswith("waveforms") and name.endswith(".hdf5")}
        available = sorted(metadata | waveforms)
    if not available:
        raise ValueError(f"{folder}: no metadata.csv; {_SET}")
    absent = sorted(set(chunks or ()) - set(available))
    if absent:
        raise ValueError(f"{folder}: no chunk {absent[0]!r}; there are {', '.join(repr(chunk) for chunk in available)}")
    return list(available if chunks is None else chunks)


def _open_chunk(folder: Path, name: str, chunk: str, components: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table and account of a chunk; a file that is not there, or damaged, costs the chunk alone."""
    metadata_path, waveforms_path = folder / f"metadata{chunk}.csv", folder / f"waveforms{chunk}.hdf5"
    if not metadata_path.is_file():
        return _without(metadata_path.name, "file_missing", f"there is no {metadata_path.name}")
    try:
        metadata = read_metadata(metadata_path)
    except ValueError as error:
        return _without(metadata_path.name, "file_damaged", str(error))
    judgement = Judgement(metadata.original_name.mask(metadata.original_name == "", metadata.place))
    everything = pd.Series(True, index=metadata.index)
    if not waveforms_path.is_file():
        judgement.refuse(everything, "file_missing", lambda _: f"there is no {waveforms_path.name}")
        return pd.DataFrame(), judgement.account
    try:
        layout = read_layout(waveforms_path, sorted({_array(place) for place in metadata.place}))
    except OSError as error:
        message = str(error)
        judgement.refuse(everything, "file_damaged", lambda _: f"{waveforms_path.name}: {message}")
        return pd.DataFrame(), judgement.account
    table, account = make_table(metadata, layout, name, chunk, components)
    return table.assign(source=0), account


def _array(place: str) -> str:
    try:
        return parse_place(place).array
    except ValueError:
        return place


def _without(name: str, reason: str, detail: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.DataFrame(), pd.DataFrame([(name, reason, detail)], columns=list(ACCOUNT))


def with_parts(table: pd.DataFrame, account: pd.DataFrame, split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    Give each trace of a table its part, by `parts_of`.

    Returns
    -------
    table, account : DataFrame
        Without the traces that belong to no part, and with those.
    """
    if table.empty:
        return table, account
    again = table.name.duplicated()  # chunks may overlap
    judgement = Judgement(table.name)
    judgement.refuse(again, "duplicate", lambda at: "its name occurs before, in another chunk")
    table = table.assign(part=parts_of(table, split))
    apart = table.part == ""
    if split.by == "column":
        judgement.refuse(apart, "no_part", lambda at: f"split {table.split[at]!r}")
    else:
        judgement.refuse(apart, "parts_differ", lambda at: f"{table.event[at]} at {table.station[at]}")
    further_columns = [name for name in table if name not in COLUMNS]
    usable = table.loc[judgement.usable_traces, [*COLUMNS, *further_columns]].reset_index(drop=True)
    return usable, pd.concat(
        [part for part in (account, judgement.account) if len(part)] or [account], ignore_index=True
    )
