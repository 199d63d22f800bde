"""Data sets in SeisBench's format, written block by block."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.io.atomic import atomic_path, write_text

ORIGIN_FILE = "origin.json"
DIGEST = "sha256"  # attribute of the file with the waveforms: a digest of its samples and probabilities


class Block(NamedTuple):
    """
    Traces that are stored in one bucket.

    Parameters
    ----------
    metadata : DataFrame
        A row for each trace, with its ``trace_name``.
    traces : list of ndarray, shape (n_components, n_samples)
        All of one type; lengths and numbers of components may differ.
    probabilities : list of ndarray, shape (2, n_samples)
        Of P and S at each sample; empty, or one for each trace, NaN for a trace that has none.
    """

    metadata: pd.DataFrame
    traces: list[NDArray]
    probabilities: list[NDArray]


def write_waveform_set(
    folder: str | Path, blocks: Iterable[Block], data_format: Mapping[str, Any], origin: Mapping[str, Any]
) -> None:
    """
    Write a data set that SeisBench can read, whole or not at all, with the same bytes for the same content.

    Parameters
    ----------
    folder : str or Path
        Gets ``metadata.csv``, ``waveforms.hdf5`` and ``origin.json``; what is there is replaced.
    blocks : iterable of Block
        Consumed lazily: one block is in memory at a time.
    data_format : mapping
        Of SeisBench: ``dimension_order`` (which is ``CW``), ``component_order``, ``sampling_rate``, ``unit`` …
    origin : mapping
        What the set was made from, as JSON.

    Raises
    ------
    ValueError
        If there is no trace.
    """
    frames = []
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        with h5py.File(temporary / "waveforms.hdf5", "w") as file:
            file.create_group("data")
            for name, value in data_format.items():
                file[f"data_format/{name}"] = value
            digest = hashlib.sha256()
            for number, block in enumerate(blocks):
                bucket = f"bucket{number}"
                locations = _write_bucket(file, f"data/{bucket}", block.traces, digest)
                if block.probabilities:
                    _write_bucket(file, f"probability/{bucket}", block.probabilities, digest)
                names = [f"{bucket}${location}" for location in locations]
                original = block.metadata.trace_name
                frames.append(block.metadata.assign(trace_name=names, trace_name_original=original))
            file.attrs[DIGEST] = digest.hexdigest()
        if not frames:
            raise ValueError(f"{folder}: a data set needs at least one trace")
        pd.concat(frames, ignore_index=True).to_csv(temporary / "metadata.csv", index=False)
        text = json.dumps(dict(origin), indent=2, sort_keys=True) + "\n"
        write_text(temporary / ORIGIN_FILE, text)


def _write_bucket(file: h5py.File, name: str, traces: list[NDArray], digest: Any) -> list[str]:
    """Write traces as one array, padded with zeros; where each lies in it."""
    shape = np.max([trace.shape for trace in traces], axis=0)
    stored = np.zeros((len(traces), *shape), dtype=traces[0].dtype)
    for row, trace in enumerate(traces):
        stored[row, : trace.shape[0], : trace.shape[1]] = trace
    file.create_dataset(name, data=stored, track_times=False)
    digest.update(f"{name} {stored.shape} {stored.dtype.str}".encode())
    digest.update(stored.data)
    return [f"{row},:{trace.shape[0]},:{trace.shape[1]}" for row, trace in enumerate(traces)]
