"""Waveforms of a set in SeisBench's format: where each trace lies in an HDF5 file, and how many are read at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from pickflow.datasets.reasons import Refusal
from pickflow.io.waveform_sets import DIGEST

# Rows of a bucket are read together if few lie between them that nobody asked for, and they are not too many.
_GAP_ROWS = 8
_READ_BYTES = 32e6
_MOST_COMPONENTS = 4  # three and a hydrophone: the shorter of two axes is that of the components, if nothing says so


class Place(NamedTuple):
    """Where a trace lies: in which array, in which row of it (-1 if it has no rows), and what of that it is."""

    array: str
    row: int
    cut: str


@dataclass(frozen=True, kw_only=True)
class Layout:
    """
    How the traces of a file are stored.

    Parameters
    ----------
    rate_hz : float
        Of all traces; NaN if the file does not say so.
    components : str
        Letters of the components in their order; empty if the file does not say so.
    dimensions : str
        ``CW`` (components, samples) or ``WC``; empty if the file does not say so.
    shapes : dict of str to tuple of int
        Shape of each array. A file may be one array for all, without a name: its rows are those of the metadata.
    soft_arrays : frozenset of str
        Names of the arrays of which it holds soft labels beside the samples.
    """

    rate_hz: float
    components: str
    dimensions: str
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    soft_arrays: frozenset[str] = frozenset()


def parse_place(name: str) -> Place:
    """
    Where a trace lies, by its name in the metadata.

    Parameters
    ----------
    name : str
        Such as ``bucket0$5,:3,:6000``, or the name of an array.

    Raises
    ------
    ValueError
        If what follows the dollar is no list of numbers and slices.
    """
    array, dollar, text = name.partition("$")
    if not dollar:
        return Place(array, -1, "")
    first, _, location = text.partition(",")
    _parse_location(text)
    return Place(array, -1, text) if ":" in first else Place(array, int(first), location)


@lru_cache(maxsize=4096)
def _parse_dimension(text: str) -> int | slice:
    numbers = [int(part) if part else None for part in text.split(":")]
    return int(text) if ":" not in text else slice(*numbers)


def _parse_location(text: str) -> list[int | slice]:
    return [_parse_dimension(part.strip()) for part in text.split(",")]


def read_layout(path: Path, arrays: Sequence[str]) -> Layout:
    """
    Look at a file without reading samples.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    arrays : sequence of str
        Names of arrays; those that are not there have no shape.

    Raises
    ------
    OSError
        If the file is damaged.
    """
    with h5py.File(path) as file:
        node = file.get("data")
        if node is None:
            raise OSError("there is no group 'data' in it")
        whole = isinstance(node, h5py.Dataset)
        nodes = {"": node} if whole else {name: _array(node, name) for name in arrays}
        return Layout(
            rate_hz=_number(file, "sampling_rate"),
            components=_text(file, "component_order").upper(),
            dimensions=_text(file, "dimension_order").upper().removeprefix("N"),
            soft_arrays=frozenset(name for name in nodes if _holds(file, f"probability/{name}".rstrip("/"))),
            shapes={name: array.shape for name, array in nodes.items() if array is not None and array.ndim},
        )


def stored_digest(path: Path) -> str:
    """Digest of samples and probabilities that a file of ours has in it; empty for others."""
    try:
        with h5py.File(path) as file:
            return str(file.attrs.get(DIGEST, ""))
    except OSError:
        return ""


def _holds(file: h5py.File, name: str) -> bool:
    """Whether there is an array, or a damaged group that may have it: then reading it says so."""
    try:
        return name in file
    except (KeyError, OSError, RuntimeError, ValueError):
        return True


def _array(group: h5py.Group, name: str) -> h5py.Dataset | None:
    """An array; None if there is none, or it is damaged."""
    try:
        node = group[name]
    except (KeyError, OSError, RuntimeError, ValueError):
        return None
    return node if isinstance(node, h5py.Dataset) else None


def _text(file: h5py.File, key: str) -> str:
    node = file.get(f"data_format/{key}")
    value = node[()] if isinstance(node, h5py.Dataset) else b""
    parts = value.ravel().tolist() if isinstance(value, np.ndarray) else [value]
    words = [part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in parts]
    # Components may be a list of channels: their last letters count.
    return words[0] if len(words) == 1 else "".join(word[-1:] for word in words)


def _number(file: h5py.File, key: str) -> float:
    try:
        return float(file[f"data_format/{key}"][()])
    except (KeyError, TypeError, ValueError):
        return float("nan")


@lru_cache(maxsize=65536)
def trace_shape(shape: tuple[int, ...], has_row: bool, cut: str, dimensions: str) -> tuple[int, int, str]:
    """
    Number of components and samples of a stored trace.

    Parameters
    ----------
    shape : tuple of int
        Of its array.
    has_row : bool
        Whether the array has a row for each trace.
    cut : str
        What of the row is the trace, as in the metadata: ``:3,:6000``.
    dimensions : str
        See `Layout`.

    Returns
    -------
    tuple of int, int, str
        Components, samples, and ``CW`` or ``WC``.
    """
    sizes = list(shape[1:] if has_row else shape)
    for axis, index in enumerate(_parse_location(cut)[: len(sizes)] if cut else []):
        sizes[axis] = len(range(*index.indices(sizes[axis]))) if isinstance(index, slice) else 0
    sizes = [size for size in sizes if size]
    if len(sizes) == 1:
        return 1, sizes[0], "W"
    if len(sizes) != 2:
        return 0, 0, dimensions
    if dimensions not in ("CW", "WC"):
        dimensions = "WC" if sizes[1] <= _MOST_COMPONENTS < sizes[0] else "CW"
    return sizes[dimensions.index("C")], sizes[dimensions.index("W")], dimensions


def read_arrays(
    path: Path, traces: Sequence[Mapping[str, Any]], content: str = "data"
) -> Iterator[tuple[int, NDArray | Refusal]]:
    """
    Read traces as they are stored, many of a bucket at once.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    traces : sequence of mapping
        ``array``, ``row`` and ``cut`` of each.
    content : str
        ``data``, or ``probability``, of which all samples of a row are read.

    Yields
    ------
    tuple of int, ndarray or Refusal
        Position of a trace in the sequence, and its samples or why there are none.
    """
    try:
        file = h5py.File(path, rdcc_nbytes=int(_READ_BYTES))
    except OSError as error:
        yield from ((index, Refusal("unreadable", f"{path.name}: {error}")) for index in range(len(traces)))
        return
    places = [
        _Request(trace["array"], int(trace["row"]), trace["cut"] if content == "data" else "", index)
        for index, trace in enumerate(traces)
    ]
    with file:
        for name, bucket in groupby(sorted(places), lambda place: place.array):
            array = _array(file, f"{content}/{name}".rstrip("/"))
            if array is None:
                yield from ((place.position, Refusal("unreadable", f"array {name!r} is gone")) for place in bucket)
            else:
                yield from _read_bucket(array, list(bucket))


class _Request(NamedTuple):
    """A `Place`, and which trace of those asked for lies there."""

    array: str
    row: int
    cut: str
    position: int


def _read_bucket(array: h5py.Dataset, places: Sequence[_Request]) -> Iterator[tuple[int, NDArray | Refusal]]:
    """Read runs of neighbouring rows, each no larger than may be in memory."""
    row_bytes = max(array.dtype.itemsize * int(np.prod(array.shape[1:])), 1)
    most_rows = max(int(_READ_BYTES // row_bytes), 1)
    run: list[_Request] = []
    for place in places:
        if run and (place.row - run[-1].row > _GAP_ROWS or place.row - run[0].row >= most_rows):
            yield from _read_rows(array, run)
            run = []
        run.append(place)
    yield from _read_rows(array, run)


def _read_rows(array: h5py.Dataset, run: Sequence[_Request]) -> Iterator[tuple[int, NDArray | Refusal]]:
    first, last = run[0].row, run[-1].row
    try:
        stored = array[()] if first < 0 else array[first : last + 1]
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        if len(run) > 1:  # one damaged block costs its own traces alone
            for place in run:
                yield from _read_rows(array, [place])
        else:
            yield run[0].position, Refusal("unreadable", str(error))
        return
    for place in run:
        trace = stored if first < 0 else stored[place.row - first]
        trace = trace[tuple(_parse_location(place.cut))] if place.cut else trace
        is_number = trace.dtype.kind in "iuf"
        yield place.position, trace if is_number else Refusal("unreadable", f"samples of type {trace.dtype}")
