"""Tables in Parquet, checked against their contract, with provenance in the metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pickflow.io.atomic import atomic_path
from pickflow.schemas import Table

PROVENANCE_KEY = b"pickflow"


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
        Where to.
    provenance : mapping
        See `pickflow.provenance.provenance`.
    """
    arrow = pa.Table.from_pandas(conform(frame, table), schema=table.schema, preserve_index=False)
    metadata = {PROVENANCE_KEY: json.dumps(dict(provenance), sort_keys=True).encode()}
    with atomic_path(path) as temporary:
        pq.write_table(arrow.replace_schema_metadata(metadata), temporary, compression="zstd")


def read_table(path: str | Path, table: Table) -> pd.DataFrame:
    """
    Read a Parquet table and check it against its contract.

    Raises
    ------
    ValueError
        If the file is not such a table.
    """
    try:
        frame = pq.read_table(path).replace_schema_metadata(None).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error})") from error
    return conform(frame, table)


def read_tables(paths: Iterable[str | Path], table: Table) -> pd.DataFrame:
    """Read several tables of one contract into one."""
    frames = [frame for path in paths if not (frame := read_table(path, table)).empty]
    return conform(pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), table)


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Provenance that `write_table` put into a Parquet file."""
    metadata = pq.read_schema(path).metadata or {}
    return json.loads(metadata.get(PROVENANCE_KEY, b"{}"))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
