"""Data sets of ours as folders in SeisBench's format: records, or traces of another set as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.datasets.reading import Dataset, FolderSource
from pickflow.datasets.reasons import Refusal
from pickflow.datasets.records import COMPONENTS, SAMPLING_RATE_HZ, Record
from pickflow.datasets.samples import n_before_padding, orient
from pickflow.datasets.splits import SEISBENCH_PARTS
from pickflow.io.waveform_sets import Block, write_waveform_set

# SeisBench reads traces faster from few large arrays; this many of a minute are 20 MB.
BLOCK_TRACES = 256
_METADATA_ROWS = 50_000
_CATEGORIES = {"event": "earthquake_local", "noise": "noise"}


def write_records(folder: str | Path, records: Iterable[Record], origin: Mapping[str, Any]) -> None:
    """
    Write records as a data set; their parts become its column ``split``.

    Parameters
    ----------
    folder : str or Path
        Where to.
    records : iterable of Record
        Consumed lazily. Probabilities are kept of those that have them.
    origin : mapping
        What they were made from.
    """
    data_format = {
        "dimension_order": "CW",
        "component_order": COMPONENTS,
        "sampling_rate": SAMPLING_RATE_HZ,
        "unit": "arbitrary",
        "instrument_response": "not restituted",
    }
    write_waveform_set(folder, map(_record_block, _blocks(records)), data_format, origin)


def _blocks(items: Iterable) -> Iterator[list]:
    for _, group in groupby(enumerate(items), lambda numbered: numbered[0] // BLOCK_TRACES):
        yield [item for _, item in group]


def _record_block(records: list[Record]) -> Block:
    rows = []
    for record in records:
        network, _, code = record.station.partition(".")
        rows.append(
            {
                "trace_name": record.name,
                "station_network_code": network,
                "station_code": code,
                "source_id": record.event,
                "trace_category": _CATEGORIES[record.kind],
                "trace_sampling_rate_hz": SAMPLING_RATE_HZ,
                "trace_npts": record.samples.shape[1],
                "trace_p_arrival_sample": record.picks.get("P", np.nan),
                "trace_s_arrival_sample": record.picks.get("S", np.nan),
                "split": SEISBENCH_PARTS[record.part],
            }
        )
    traces: list[NDArray] = [record.samples for record in records]
    return Block(pd.DataFrame(rows), traces, _probabilities([record.probability for record in records], traces))


def _probabilities(probabilities: Sequence[NDArray | None], traces: Sequence[NDArray]) -> list[NDArray]:
    """Probabilities of a block: NaN for traces without, nothing if no trace has them."""
    if all(probability is None for probability in probabilities):
        return []
    return [
        np.full((2, trace.shape[1]), np.nan, np.float32) if probability is None else probability[:, : trace.shape[1]]
        for probability, trace in zip(probabilities, traces, strict=True)
    ]


def copy_traces(dataset: Dataset, folder: str | Path, origin: Mapping[str, Any]) -> None:
    """
    Write traces of a folder in SeisBench's format into another one, with all their metadata and their probabilities.

    Samples are as they are stored, without padding behind them.

    Parameters
    ----------
    dataset : Dataset
        What `open_dataset` gave, or a part of it. What cannot be read is left out, as its `left_out` says.
    folder : str or Path
        Where to.
    origin : mapping
        What the set is.

    Raises
    ------
    ValueError
        If the traces do not come from one folder.
    """
    if len(dataset.sources) != 1 or not isinstance(dataset.sources[0], FolderSource):
        raise ValueError(f"{dataset.name}: only traces of one folder can be copied; write_records writes any")
    source = dataset.sources[0]
    table = dataset.table.sort_values(["chunk", "metadata_row"]).reset_index(drop=True)
    data_format = {"dimension_order": "CW", "unit": "as in the original", "instrument_response": "not restituted"}
    for name, column in (("component_order", "components"), ("sampling_rate", "rate_hz")):
        if table[column].nunique() == 1:
            data_format[name] = table[column].iloc[0]
    write_waveform_set(folder, _copied_blocks(dataset, source, table), data_format, origin)


def _copied_blocks(dataset: Dataset, source: FolderSource, table: pd.DataFrame) -> Iterator[Block]:
    for chunk, traces in table.groupby("chunk", sort=True):
        path = source.folder / f"metadata{chunk}.csv"
        parts = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            encoding_errors="replace",
            chunksize=_METADATA_ROWS,
        )
        for first, metadata in enumerate(parts):
            rows = traces.metadata_row.between(first * _METADATA_ROWS, (first + 1) * _METADATA_ROWS - 1)
            for block in _blocks(traces[rows].itertuples()):
                yield from _copied_block(dataset, source, traces.loc[[row.Index for row in block]], metadata)


def _copied_block(
    dataset: Dataset, source: FolderSource, traces: pd.DataFrame, metadata: pd.DataFrame
) -> Iterator[Block]:
    """A block, or one for each type of samples; nothing if no trace can be read."""
    stored: dict[int, NDArray] = {}
    probabilities: dict[int, NDArray] = {}
    rows = cast(list[dict[str, Any]], traces.to_dict("records"))
    probability_of = source.read_probabilities(rows)
    for position, trace in source.read_stored(rows):
        row, index, probability = rows[position], traces.index[position], probability_of.get(position)
        for part in (trace, probability):
            if isinstance(part, Refusal):
                dataset.refuse(row["dataset"], row["name"], part)
        if isinstance(trace, Refusal) or isinstance(probability, Refusal):
            continue
        whole = orient(trace, row["dimensions"])[:, : row["n_stored"]]
        # In the copy every length is known, and zeros at an end would be samples.
        stored[index] = np.ascontiguousarray(whole[:, : n_before_padding(whole, row["length_known"])])
        if probability is not None:
            probabilities[index] = probability
    for dtype in sorted({trace.dtype.str for trace in stored.values()}):
        of_type = traces.loc[[index for index in traces.index if index in stored and stored[index].dtype.str == dtype]]
        originals = metadata.loc[of_type.metadata_row].reset_index(drop=True)
        columns = [name for name in originals if str(name).strip().lower() not in ("trace_name", "trace_name_original")]
        block = originals[columns].assign(
            trace_name=of_type.name.to_list(),
            trace_component_order=of_type.components.to_list(),
            trace_sampling_rate_hz=of_type.rate_hz.to_list(),
        )
        samples = [stored[index] for index in of_type.index]
        yield Block(block, samples, _probabilities([probabilities.get(index) for index in of_type.index], samples))
