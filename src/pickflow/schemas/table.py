"""What a contract of a table is."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

TIME = pa.timestamp("ns", tz="UTC")


class Table(NamedTuple):
    """A table contract: name, Arrow schema, sort order, unique key, columns that are null (integers: 0) if absent."""

    name: str
    schema: pa.Schema
    sort: tuple[str, ...]
    key: tuple[str, ...]
    optional: tuple[str, ...] = ()
