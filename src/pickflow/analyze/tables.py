"""The tables of a run, read by the paths that all runs have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pickflow.io.completeness import check_days, check_picks
from pickflow.io.tables import conform, read_table, read_tables, write_table
from pickflow.schemas import (
    ASSIGNMENTS,
    EVENTS,
    LEDGER,
    MANIFEST,
    MATCHES,
    MISSED_EVENTS,
    NEW_EVENTS,
    PICK_LEDGER,
    PICK_MATCHES,
    PICKS,
    REFERENCE_PICKS,
    SCORES,
    STATION_CORRECTIONS,
    STATIONS,
    WADATI,
    Table,
)


@dataclass(frozen=True, kw_only=True)
class RunTables:
    """
    Tables of a run.

    Attributes
    ----------
    stations : DataFrame
        `STATIONS`.
    manifests : list of DataFrame
        `MANIFEST`, one a day.
    picks, pick_ledgers : dict of str to DataFrame
        `PICKS` and `PICK_LEDGER` by ``signal/model/weights``.
    events, assignments, corrections : dict of str to DataFrame
        `EVENTS`, `ASSIGNMENTS` and `STATION_CORRECTIONS` (empty: none were estimated) by catalog,
        ``signal/model/weights/associator``.
    """

    stations: pd.DataFrame
    manifests: list[pd.DataFrame]
    picks: dict[str, pd.DataFrame]
    pick_ledgers: dict[str, pd.DataFrame]
    events: dict[str, pd.DataFrame]
    assignments: dict[str, pd.DataFrame]
    corrections: dict[str, pd.DataFrame]

    def picks_of(self, catalog: str) -> pd.DataFrame:
        """Picks that a catalog was made of."""
        return self.picks[pick_set(catalog)]


def pick_set(catalog: str) -> str:
    """``signal/model/weights`` of ``signal/model/weights/associator``."""
    return catalog.rpartition("/")[0]


def read_run(results: Path, catalogs: Sequence[str], days: Sequence[str]) -> RunTables:
    """
    Read the tables of a run that has its catalogs.

    Parameters
    ----------
    results : Path
        ``results/<run>``.
    catalogs : sequence of str
        ``signal/model/weights/associator``.
    days : sequence of str
        ``YYYY-MM-DD``.

    Raises
    ------
    ValueError
        If a table is not what it should be, or lacks rows.
    """
    pick_sets = list(dict.fromkeys(pick_set(catalog) for catalog in catalogs))
    folders = {name: results / "picks" / name for name in pick_sets}
    tables = RunTables(
        stations=read_table(results / "inventory" / "stations.parquet", STATIONS),
        manifests=[read_table(results / "waveforms" / day / "manifest.parquet", MANIFEST) for day in days],
        picks={
            name: read_tables([folder / f"{day}.parquet" for day in days], PICKS) for name, folder in folders.items()
        },
        pick_ledgers={
            name: read_tables([folder / f"{day}.ledger.parquet" for day in days], PICK_LEDGER)
            for name, folder in folders.items()
        },
        events={name: read_table(results / "catalog" / name / "catalog.parquet", EVENTS) for name in catalogs},
        assignments={
            name: read_table(results / "catalog" / name / "assignments.parquet", ASSIGNMENTS) for name in catalogs
        },
        corrections={
            name: _read_corrections(results / "catalog" / name / "station_corrections.parquet") for name in catalogs
        },
    )
    _check_rows(tables, results, days)
    return tables


def _check_rows(tables: RunTables, results: Path, days: Sequence[str]) -> None:
    asked = list(tables.stations[["network", "station"]].itertuples(index=False, name=None))
    check_days(asked, dict(zip(days, tables.manifests, strict=True)), f"{results}/waveforms/<date>")
    for name, ledger in tables.pick_ledgers.items():
        by_day = {day: ledger[ledger["date"] == day] for day in days}
        check_days(asked, by_day, f"{results}/picks/{name}/<date>.ledger.parquet")
        check_picks(tables.picks[name], ledger, results / "picks" / name)


def _read_corrections(path: Path) -> pd.DataFrame:
    """Station corrections, if the catalog was relocated."""
    return read_table(path, STATION_CORRECTIONS) if path.exists() else conform(pd.DataFrame(), STATION_CORRECTIONS)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """
    What `analyze` found.

    Attributes
    ----------
    summary : dict
        Content of ``summary.json``.
    ledger, reference, reference_picks : DataFrame
        `LEDGER`, `EVENTS` and `REFERENCE_PICKS`.
    pick_matches, pick_scores : dict of str to DataFrame
        `PICK_MATCHES` and `SCORES` by ``signal/model/weights``.
    matches, event_scores, missed_events, new_events, wadati : dict of str to DataFrame
        `MATCHES`, `SCORES`, `MISSED_EVENTS`, `NEW_EVENTS` and `WADATI` by catalog.
    """

    summary: dict[str, Any]
    ledger: pd.DataFrame
    reference: pd.DataFrame
    reference_picks: pd.DataFrame
    pick_matches: dict[str, pd.DataFrame]
    pick_scores: dict[str, pd.DataFrame]
    matches: dict[str, pd.DataFrame]
    event_scores: dict[str, pd.DataFrame]
    missed_events: dict[str, pd.DataFrame]
    new_events: dict[str, pd.DataFrame]
    wadati: dict[str, pd.DataFrame]


# Name of a field of `Findings`, which is that of the file as well, and its contract.
_OF_RUN = {"ledger": LEDGER, "reference": EVENTS, "reference_picks": REFERENCE_PICKS}
_OF_PICK_SET = {"pick_matches": PICK_MATCHES, "pick_scores": SCORES}
_OF_CATALOG = {
    "matches": MATCHES,
    "event_scores": SCORES,
    "missed_events": MISSED_EVENTS,
    "new_events": NEW_EVENTS,
    "wadati": WADATI,
}


def write_findings(findings: Findings, folder: Path, origin: Mapping[str, Any]) -> None:
    """
    Write all tables below a folder, those of a pick set or a catalog in folders of its name.

    Parameters
    ----------
    findings : Findings
        See `analyze_run`.
    folder : Path
        ``results/<run>/analysis``.
    origin : mapping
        See `pickflow.provenance.provenance`.
    """
    for name, table in _OF_RUN.items():
        write_table(getattr(findings, name), table, folder / f"{name}.parquet", origin)
    for name, table in (_OF_PICK_SET | _OF_CATALOG).items():
        for place, frame in getattr(findings, name).items():
            write_table(frame, table, folder / place / f"{name}.parquet", origin)


def read_findings(results: Path, catalogs: Sequence[str]) -> Findings:
    """Read what `analyze` wrote below ``results/<run>``."""
    analysis, pick_sets = results / "analysis", dict.fromkeys(pick_set(catalog) for catalog in catalogs)

    def read(tables: Mapping[str, Table], places: Iterable[str]) -> dict[str, Any]:
        return {
            name: {place: read_table(analysis / place / f"{name}.parquet", table) for place in places}
            for name, table in tables.items()
        }

    of_run: dict[str, Any] = {name: read_table(analysis / f"{name}.parquet", table) for name, table in _OF_RUN.items()}
    return Findings(
        summary=json.loads((results / "summary.json").read_text()),
        **of_run,
        **read(_OF_PICK_SET, pick_sets),
        **read(_OF_CATALOG, catalogs),
    )
