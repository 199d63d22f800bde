"""Content of a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from pickflow.report.compression import CompressionContent
from pickflow.run.keys import CatalogKey
from pickflow.viewer.gather import Gather, TravelTime


@dataclass(frozen=True, kw_only=True)
class CatalogContent:
    """
    One catalog of a run.

    Attributes
    ----------
    key : CatalogKey
        Signal, picker, weights and associator.
    events, assignments, picks, matches : DataFrame
        `EVENTS`, `ASSIGNMENTS`, `PICKS` (all of them, assigned or not), `MATCHES` (empty without a reference).
    corrections : DataFrame
        `STATION_CORRECTIONS`; empty if the catalog was not relocated.
    pick_matches, pick_scores, event_scores, missed_events, new_events : DataFrame
        `PICK_MATCHES`, `SCORES`, `SCORES`, `MISSED_EVENTS` and `NEW_EVENTS`; empty without a reference.
    gathers : tuple of Gather
        Events to show with waveforms; see `choose_events` and `gather_for_event`.
    """

    key: CatalogKey
    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame
    matches: pd.DataFrame
    corrections: pd.DataFrame
    pick_matches: pd.DataFrame
    pick_scores: pd.DataFrame
    event_scores: pd.DataFrame
    missed_events: pd.DataFrame
    new_events: pd.DataFrame
    gathers: tuple[Gather, ...]

    @property
    def with_status(self) -> pd.DataFrame:
        """Events with a column `status`: matched, unmatched or unjudged."""
        matched = self.events.event_id.isin(self.matches.event_id[self.matches.reference_id.notna()].dropna())
        unmatched = self.events.event_id.isin(self.matches.event_id[self.matches.reference_id.isna()].dropna())
        return self.events.assign(status=np.select([matched, unmatched], ["matched", "unmatched"], "unjudged"))


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """
    Content of the whole report.

    Attributes
    ----------
    run : str
        Name of the run.
    starttime, endtime : datetime
        Time span of the run, UTC.
    config_summary : mapping of str to str
        The few settings a reader needs first (source, velocity model, reference), shown below the title.
    summary : mapping
        Content of ``summary.json``.
    stations, ledger : DataFrame
        `STATIONS` and `LEDGER`; without a run there is no ledger (None).
    reference : DataFrame or None
        `EVENTS` of the reference that can be compared; None if there is no reference.
    catalogs : tuple of CatalogContent
        In the order of the configuration.
    compressions : tuple of CompressionContent
        One for each teacher.
    travel_time_s : callable or None
        ``(phase, distance_km, depth_km) -> seconds`` of the curves in the record section.
    provenance : mapping
        Versions, parameters and digests, folded at the bottom; values of keys that may be secrets are hidden.
    """

    run: str
    starttime: datetime
    endtime: datetime
    config_summary: Mapping[str, str]
    summary: Mapping[str, Any]
    stations: pd.DataFrame
    ledger: pd.DataFrame | None
    reference: pd.DataFrame | None
    catalogs: tuple[CatalogContent, ...]
    compressions: tuple[CompressionContent, ...]
    travel_time_s: TravelTime | None
    provenance: Mapping[str, Any]
