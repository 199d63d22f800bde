"""What the picker shows after a run: picks counted by day, network and station; time and memory of the steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pickflow.io.tables import read_table, read_tables
from pickflow.schemas import ASSIGNMENTS, PICK_LEDGER, PICKS

COUNTS = ("n_picks", "n_p", "n_s", "n_in_events")
_STATION_DAY = ["date", "network", "station"]
# Columns of Snakemake's benchmark files: wall time, CPU time, largest resident memory.
_BENCHMARK = {"s": "wall_s", "cpu_time": "cpu_s", "max_rss": "memory_mb"}


class CatalogName(NamedTuple):
    """Where a catalog lies below a run; no associator where there are picks alone."""

    signal: str
    model: str
    weights: str
    associator: str | None


def picks_by_group(
    results: Path, catalogs: Sequence[CatalogName], days: Sequence[str], groups: Sequence[str]
) -> pd.DataFrame:
    """
    Picks of each catalog, counted by groups.

    Parameters
    ----------
    results : Path
        ``results/<run>`` of a run that has ended well.
    catalogs : sequence of CatalogName
        Of the run.
    days : sequence of str
        Of the run, ``YYYY-MM-DD``; tables of other days, left by an earlier run of the same name, do not count.
    groups : sequence of str
        Some of date, network, station.

    Returns
    -------
    DataFrame
        ``signal``, ``model``, ``weights``, ``associator``, the groups, and the counts: all picks, P, S, and those that
        belong to events. Every station-day asked for counts, also those without a pick.
    """
    columns = list(dict.fromkeys(groups))
    frames = []
    for catalog in catalogs:
        counted = _station_days(results, catalog, days).groupby(columns, as_index=False)[list(COUNTS)].sum()
        for position, (name, part) in enumerate(catalog._asdict().items()):
            counted.insert(position, name, part or "")
        frames.append(counted)
    return pd.concat(frames, ignore_index=True)


def _station_days(results: Path, catalog: CatalogName, days: Sequence[str]) -> pd.DataFrame:
    """One row for each station-day of a catalog's picks."""
    folder = results.joinpath("picks", *catalog[:3])
    ledger = read_tables([folder / f"{day}.ledger.parquet" for day in days], PICK_LEDGER)
    claimed: set[str] = set()
    if catalog.associator:
        path = results.joinpath("catalog", *catalog[:3], catalog.associator, "assignments.parquet")
        claimed = set(read_table(path, ASSIGNMENTS)["pick_id"])
    in_events = []
    for day in days:
        picks = read_table(folder / f"{day}.parquet", PICKS)
        mine = picks.loc[picks["pick_id"].isin(claimed), ["network", "station"]]
        in_events.append(mine.value_counts().rename("n_in_events").reset_index().assign(date=day))
    table = ledger.merge(pd.concat(in_events), how="left", on=_STATION_DAY)
    return table.assign(n_picks=table["n_p"] + table["n_s"], n_in_events=table["n_in_events"].fillna(0).astype(int))


def time_by_rule(results: Path) -> pd.DataFrame:
    """
    Time and memory of the steps of a run, from the benchmarks of its jobs, also those of an earlier start.

    Returns
    -------
    DataFrame
        ``rule``, ``jobs``, ``wall_s`` and ``cpu_s`` (sums over the jobs), ``memory_mb`` (of the largest job); NaN where
        a job was too short to be measured.
    """
    rows = []
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        line = pd.read_csv(path, sep="\t", na_values=["-"]).rename(columns=_BENCHMARK).iloc[0]
        rule = path.relative_to(results / "benchmarks").parts[0]
        rows.append({"rule": rule, **{name: line.get(name) for name in _BENCHMARK.values()}})
    jobs = pd.DataFrame(rows, columns=["rule", *_BENCHMARK.values()])
    by_rule = jobs.groupby("rule", as_index=False).agg(
        jobs=("rule", "size"), wall_s=("wall_s", "sum"), cpu_s=("cpu_s", "sum"), memory_mb=("memory_mb", "max")
    )
    return by_rule.sort_values("cpu_s", ascending=False, kind="stable").reset_index(drop=True)


def as_text(table: pd.DataFrame, most: int = 60) -> str:
    """A table for people; of a long one the first rows."""
    text = table.head(most).to_string(index=False, float_format=lambda value: f"{value:.1f}")
    return text + (f"\n… and {len(table) - most} rows more" if len(table) > most else "")
