"""The tables of a run, read by the paths that all runs have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pickflow.io.tables import read_table, read_tables
from pickflow.schemas import ASSIGNMENTS, EVENTS, LEDGER, MANIFEST, MATCHES, PICK_LEDGER, PICKS, STATIONS


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
    events, assignments : dict of str to DataFrame
        `EVENTS` and `ASSIGNMENTS` by catalog, ``signal/model/weights/associator``.
    """

    stations: pd.DataFrame
    manifests: list[pd.DataFrame]
    picks: dict[str, pd.DataFrame]
    pick_ledgers: dict[str, pd.DataFrame]
    events: dict[str, pd.DataFrame]
    assignments: dict[str, pd.DataFrame]

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
        If a table is not what it should be.
    """
    pick_sets = list(dict.fromkeys(pick_set(catalog) for catalog in catalogs))
    folders = {name: results / "picks" / name for name in pick_sets}
    return RunTables(
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
    )


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What `analyze` found: the summary, `LEDGER`, the reference's `EVENTS`, and `MATCHES` by catalog."""

    summary: dict[str, Any]
    ledger: pd.DataFrame
    reference: pd.DataFrame
    matches: dict[str, pd.DataFrame]


def read_findings(results: Path, catalogs: Sequence[str]) -> Findings:
    """Read what `analyze` wrote below ``results/<run>``."""
    analysis = results / "analysis"
    return Findings(
        summary=json.loads((results / "summary.json").read_text()),
        ledger=read_table(analysis / "ledger.parquet", LEDGER),
        reference=read_table(analysis / "reference.parquet", EVENTS),
        matches={name: read_table(analysis / name / "matches.parquet", MATCHES) for name in catalogs},
    )
