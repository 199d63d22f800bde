"""The tables of a run, read by the paths that all runs have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pickflow.comparison.completeness import check_days, check_picks
from pickflow.io.documents import read_json
from pickflow.io.places import read_stations
from pickflow.io.tables import conform, read_table, read_tables, write_table
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.layout import ASSIGNMENTS_TABLE, CORRECTIONS_TABLE, RunLayout, manifest_of
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
    picks, pick_ledgers : dict of PickSetKey to DataFrame
        `PICKS` and `PICK_LEDGER` by set of picks.
    events, assignments, corrections : dict of CatalogKey to DataFrame
        `EVENTS`, `ASSIGNMENTS` and `STATION_CORRECTIONS` (empty: none were estimated) by catalog.
    """

    stations: pd.DataFrame
    manifests: list[pd.DataFrame]
    picks: dict[PickSetKey, pd.DataFrame]
    pick_ledgers: dict[PickSetKey, pd.DataFrame]
    events: dict[CatalogKey, pd.DataFrame]
    assignments: dict[CatalogKey, pd.DataFrame]
    corrections: dict[CatalogKey, pd.DataFrame]

    def picks_of(self, catalog: CatalogKey) -> pd.DataFrame:
        """Picks of a catalog, assigned or not."""
        return self.picks[catalog.pick_set]


def read_run(run: RunLayout, catalogs: Sequence[CatalogKey], days: Sequence[str]) -> RunTables:
    """
    Read the tables of a run that has its catalogs.

    Parameters
    ----------
    run : RunLayout
        Folders of the run.
    catalogs : sequence of CatalogKey
        Of the run.
    days : sequence of str
        ``YYYY-MM-DD``.

    Raises
    ------
    ValueError
        If a table violates its contract, or lacks rows.
    """
    pick_sets = list(dict.fromkeys(catalog.pick_set for catalog in catalogs))
    tables = RunTables(
        stations=read_stations(run.stations, days),
        manifests=[read_table(manifest_of(run.waveforms(day)), MANIFEST) for day in days],
        picks={key: read_tables([run.picks(key, day) for day in days], PICKS) for key in pick_sets},
        pick_ledgers={key: read_tables([run.ledger(key, day) for day in days], PICK_LEDGER) for key in pick_sets},
        events={key: read_table(run.catalog(key), EVENTS) for key in catalogs},
        assignments={key: read_table(run.catalog(key, ASSIGNMENTS_TABLE), ASSIGNMENTS) for key in catalogs},
        corrections={key: _read_corrections(run.catalog(key, CORRECTIONS_TABLE)) for key in catalogs},
    )
    _check_rows(tables, run, days)
    return tables


def _check_rows(tables: RunTables, run: RunLayout, days: Sequence[str]) -> None:
    stations = list(tables.stations[["network", "station"]].drop_duplicates().itertuples(index=False, name=None))
    check_days(stations, dict(zip(days, tables.manifests, strict=True)), str(run.waveforms("<date>")))
    for key, ledger in tables.pick_ledgers.items():
        by_day = {day: ledger[ledger["date"] == day] for day in days}
        check_days(stations, by_day, str(run.ledger(key, "<date>")))
        check_picks(tables.picks[key], ledger, run.picks(key, "<date>").parent)


def _read_corrections(path: Path) -> pd.DataFrame:
    """Station corrections, if the catalog was relocated."""
    return read_table(path, STATION_CORRECTIONS) if path.exists() else conform(pd.DataFrame(), STATION_CORRECTIONS)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """
    Results of `analyze`.

    Attributes
    ----------
    summary : dict
        Content of ``summary.json``.
    ledger, reference, reference_picks : DataFrame
        `LEDGER`, `EVENTS` and `REFERENCE_PICKS`.
    pick_matches, pick_scores : dict of PickSetKey to DataFrame
        `PICK_MATCHES` and `SCORES` by set of picks.
    matches, event_scores, missed_events, new_events, wadati : dict of CatalogKey to DataFrame
        `MATCHES`, `SCORES`, `MISSED_EVENTS`, `NEW_EVENTS` and `WADATI` by catalog.
    """

    summary: dict[str, Any]
    ledger: pd.DataFrame
    reference: pd.DataFrame
    reference_picks: pd.DataFrame
    pick_matches: dict[PickSetKey, pd.DataFrame]
    pick_scores: dict[PickSetKey, pd.DataFrame]
    matches: dict[CatalogKey, pd.DataFrame]
    event_scores: dict[CatalogKey, pd.DataFrame]
    missed_events: dict[CatalogKey, pd.DataFrame]
    new_events: dict[CatalogKey, pd.DataFrame]
    wadati: dict[CatalogKey, pd.DataFrame]


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


def write_findings(findings: Findings, run: RunLayout, origin: Mapping[str, Any]) -> None:
    """
    Write all tables, those of a set of picks or a catalog in folders of its name.

    Parameters
    ----------
    findings : Findings
        See `analyze_run`.
    run : RunLayout
        Folders of the run.
    origin : mapping
        See `pickflow.provenance.provenance`.
    """
    for name, table in _OF_RUN.items():
        write_table(getattr(findings, name), table, run.finding(name), origin)
    for name, table in (_OF_PICK_SET | _OF_CATALOG).items():
        for key, frame in getattr(findings, name).items():
            write_table(frame, table, run.finding(name, key), origin)


def read_findings(run: RunLayout, catalogs: Sequence[CatalogKey]) -> Findings:
    """Read the files of `analyze`."""
    pick_sets = dict.fromkeys(catalog.pick_set for catalog in catalogs)

    def read_tables_of(tables: Mapping[str, Table], keys: Iterable[CatalogKey | PickSetKey]) -> dict[str, Any]:
        return {
            name: {key: read_table(run.finding(name, key), table) for key in keys} for name, table in tables.items()
        }

    of_run: dict[str, Any] = {name: read_table(run.finding(name), table) for name, table in _OF_RUN.items()}
    return Findings(
        summary=read_json(run.summary, {"required": ["run", "ledger", "catalogs"]}),
        **of_run,
        **read_tables_of(_OF_PICK_SET, pick_sets),
        **read_tables_of(_OF_CATALOG, catalogs),
    )
