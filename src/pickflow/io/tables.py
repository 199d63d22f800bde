"""Tables in Parquet, checked against their contract, with provenance in the metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pickflow.io.atomic import StorageError, atomic_path
from pickflow.run.layout import MANIFEST_FILE
from pickflow.schemas import LEDGER, MANIFEST, PICK_LEDGER, STATIONS, Table

PROVENANCE_KEY = b"pickflow"
# There is a row for every requested station, and a run requests at least one.
_NEVER_EMPTY = {table.name for table in (STATIONS, MANIFEST, PICK_LEDGER, LEDGER)}


def conform(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """
    Columns, types, order and uniqueness of a table contract.

    Parameters
    ----------
    frame : DataFrame
        At least the columns of the contract; more are dropped, optional ones that are absent become null
        (integers: 0). An empty frame needs no columns.
    table : Table
        The contract.

    Returns
    -------
    DataFrame
        Sorted, with a fresh index.

    Raises
    ------
    ValueError
        If a column is missing, cannot be converted, or the key is not unique.
    """
    if frame.empty:
        return _to_pandas(table.schema.empty_table())
    integer = {name for name in table.optional if pa.types.is_integer(table.schema.field(name).type)}
    frame = frame.assign(**{name: 0 if name in integer else None for name in table.optional if name not in frame})
    missing = [name for name in table.schema.names if name not in frame]
    if missing:
        raise ValueError(f"table {table.name}: column {missing[0]!r} is missing; it has {', '.join(frame.columns)}")
    ordered = frame[table.schema.names].sort_values(list(table.sort), kind="stable").reset_index(drop=True)
    duplicate = ordered.duplicated(list(table.key))
    if duplicate.any():
        row = ordered.loc[duplicate, list(table.key)].iloc[0].to_dict()
        raise ValueError(f"table {table.name}: {row} occurs more than once")
    try:
        return _to_pandas(pa.Table.from_pandas(ordered, schema=table.schema, preserve_index=False))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ValueError(f"table {table.name}: {error}") from error


def _to_pandas(arrow: pa.Table) -> pd.DataFrame:
    return arrow.replace_schema_metadata(None).to_pandas(integer_object_nulls=True)


def write_table(frame: pd.DataFrame, table: Table, path: str | Path, provenance: Mapping[str, Any]) -> None:
    """
    Write a table as Parquet, atomically and with the same bytes for the same content.

    Parameters
    ----------
    frame : DataFrame
        See `conform`.
    table : Table
        The contract.
    path : str or Path
        File to write.
    provenance : mapping
        See `pickflow.provenance.provenance`.
    """
    table_frame = conform(frame, table)
    _refuse_emptiness(table_frame, table, path)
    arrow = pa.Table.from_pandas(table_frame, schema=table.schema, preserve_index=False)
    metadata = {PROVENANCE_KEY: json.dumps(dict(provenance), sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary, compression="zstd", write_page_checksum=True)


def _again(path: str | Path) -> str:
    """Remedy of a damaged table; a manifest belongs to the output of its whole folder."""
    item = f"folder {Path(path).parent}" if Path(path).name == MANIFEST_FILE else "file"
    return f"if the run made it, delete the {item} and start the same command again: it is made anew"


def _refuse_emptiness(frame: pd.DataFrame, table: Table, path: str | Path) -> None:
    if table.name in _NEVER_EMPTY and frame.empty:
        raise StorageError(
            f"{path}: a {table.name} has a row for every station asked for, and this one has none; {_again(path)}"
        )


def read_table(path: str | Path, table: Table) -> pd.DataFrame:
    """
    Read a Parquet table and check it against its contract.

    Raises
    ------
    StorageError
        If the file is not such a table, is damaged, or lacks its rows.
    """
    try:
        arrow = pq.read_table(path, page_checksum_verification=True)
        metadata = arrow.schema.metadata or {}
        frame = arrow.replace_schema_metadata(None).to_pandas()
    except Exception as error:  # a damaged footer makes Arrow and pandas raise anything
        raise StorageError(f"{path}: not a readable Parquet file ({error}); {_again(path)}") from error
    unknown = sorted(set(frame.columns) - set(table.schema.names))
    if unknown and PROVENANCE_KEY in metadata:
        raise StorageError(f"{path}: a {table.name} of this version has no column {unknown[0]!r}; {_again(path)}")
    try:
        frame = conform(frame, table)
    except ValueError as error:
        raise StorageError(f"{path}: {error}; {_again(path)}") from error
    _refuse_emptiness(frame, table, path)
    return frame


def read_tables(paths: Iterable[str | Path], table: Table) -> pd.DataFrame:
    """Read several tables of one contract into one."""
    frames = [frame for path in paths if not (frame := read_table(path, table)).empty]
    return conform(pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), table)


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Provenance that `write_table` put into a Parquet file."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        origin = json.loads(metadata.get(PROVENANCE_KEY, b"{}"))
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path}: not a readable Parquet file ({error}); {_again(path)}") from error
    if not isinstance(origin, dict):
        raise StorageError(f"{path}: its provenance is no object of names and values; {_again(path)}")
    return origin


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
