"""A data set in three small tables: what is in each part, its earthquakes and records, and what is left out."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from pickflow.datasets.reading import Dataset
from pickflow.datasets.reasons import REASONS
from pickflow.datasets.records import PARTS, SAMPLING_RATE_HZ

_QUANTILES = {"least": 0.0, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, "most": 1.0}


class Description(NamedTuple):
    """
    What a data set holds.

    Attributes
    ----------
    counts : DataFrame
        A row for each part and one for all: ``part``, ``earthquake_records``, ``noise_records``, ``events``,
        ``stations``, ``p``, ``s``.
    properties : DataFrame
        A row for each property: ``property``, ``unit``, ``n`` records that have it, and its quantiles.
    left_out : DataFrame
        ``reason``, ``n`` and ``meaning``, most frequent first.
    """

    counts: pd.DataFrame
    properties: pd.DataFrame
    left_out: pd.DataFrame


def describe(dataset: Dataset) -> Description:
    """Describe a data set by its table, without reading samples."""
    table = dataset.table
    parts = [(part, table[table.part == part]) for part in PARTS]
    counts = pd.DataFrame([_counts(part, rows) for part, rows in [*parts, ("all", table)]])
    values = {
        ("magnitude", ""): table.magnitude,
        ("distance", "km"): table.distance_km,
        ("S - P", "s"): (table.s_sample - table.p_sample) / SAMPLING_RATE_HZ,
        ("P after the start", "s"): table.p_sample / SAMPLING_RATE_HZ,
        ("length", "s"): table.n_samples / SAMPLING_RATE_HZ,
        ("rate as stored", "Hz"): table.rate_hz,
    }
    properties = pd.DataFrame([_property(*name, column) for name, column in values.items()])
    return Description(counts, properties, _left_out(dataset))


def _counts(part: str, table: pd.DataFrame) -> dict[str, str | int]:
    events = table[table.kind == "event"]
    return {
        "part": part,
        "earthquake_records": len(events),
        "noise_records": len(table) - len(events),
        "events": events.event.nunique(),
        "stations": table.station.nunique(),
        "p": int(table.p_sample.notna().sum()),
        "s": int(table.s_sample.notna().sum()),
    }


def _property(name: str, unit: str, column: pd.Series) -> dict[str, str | int | float]:
    numbers = column.dropna()
    quantiles = {label: float(numbers.quantile(share)) for label, share in _QUANTILES.items()}  # NaN of nothing
    return {"property": name, "unit": unit, "n": len(numbers), **quantiles}


def _left_out(dataset: Dataset) -> pd.DataFrame:
    counts = dataset.left_out.reason.value_counts()
    rows = [(reason, int(n), REASONS[str(reason)]) for reason, n in counts.items()]
    return pd.DataFrame(rows, columns=["reason", "n", "meaning"])
