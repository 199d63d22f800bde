"""From the tables of a run to its findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pickflow.analyze.ledger import build_ledger
from pickflow.comparison.reference import load_reference
from pickflow.comparison.run import compare_run
from pickflow.comparison.tables import Findings, RunTables
from pickflow.run.settings.analyze import AnalyzeParams


def analyze_run(
    run: str,
    tables: RunTables,
    compressions: Sequence[Mapping[str, Any]],
    window: tuple[datetime, datetime],
    params: AnalyzeParams,
) -> Findings:
    """
    Compare every catalog of a run with the reference, and account for every station-day.

    Parameters
    ----------
    run : str
        Its name.
    tables : RunTables
        See `read_run`.
    compressions : sequence of mapping
        Contents of the files ``compression.json``; catalogs of students are compared with their teacher's.
    window : tuple of datetime
        Half-open [start, end) of the run.
    params : AnalyzeParams
        See `pickflow.run.settings.analyze`.
    """
    ledger = build_ledger(
        tables.manifests,
        list(tables.pick_ledgers.values()),
        list(tables.picks.values()),
        list(tables.assignments.values()),
    )
    return compare_run(run, tables, compressions, load_reference(params, window, tables.stations), params, ledger)
