"""Two catalogs in files, compared without a run of the workflow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pickflow.comparison.reference import ReferenceSet, picks_of_events, reference_picks
from pickflow.comparison.run import compare_run
from pickflow.comparison.sources import select_events
from pickflow.comparison.tables import Findings, RunTables
from pickflow.io.formats import Bulletin, Catalog, catalog_folder, read_folder, read_with_companions
from pickflow.io.tables import conform
from pickflow.run.keys import CatalogKey
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import ASSIGNMENTS, EVENTS, LEDGER, PICKS, STATION_CORRECTIONS, STATIONS
from pickflow.windows import parse_time

_LISTED = 3  # rejected lines of a file in the summary


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """
    One catalog compared with another.

    Attributes
    ----------
    catalog, reference : Catalog
        See `read_catalog`.
    window : tuple of datetime
        Half-open [start, end) of the comparison.
    params : AnalyzeParams
        Region and tolerances.
    tables : RunTables
        Our catalog inside of the window.
    findings : Findings
        With ``time`` and ``not_read`` in the summary.
    """

    catalog: Catalog
    reference: Catalog
    window: tuple[datetime, datetime]
    params: AnalyzeParams
    tables: RunTables
    findings: Findings


def read_catalog(path: str | Path) -> Catalog:
    """
    Read a catalog: a folder ``catalog/<signal>/<model>/<weights>/<associator>`` of a run, or a file of any format.

    Of an OGS bulletin all files of the same name are read. Events without an origin are left out; their picks stay.

    Raises
    ------
    ValueError
        If it cannot be read; see `pickflow.io.formats.read_bulletin`.
    """
    path = Path(path)
    folder = catalog_folder(path)
    if folder is not None:
        return read_folder(folder)
    bulletin = read_with_companions(path)
    events = bulletin.events[bulletin.events.latitude_deg.notna()].reset_index(drop=True)
    picks = bulletin.picks.reset_index(drop=True).assign(pick_id=[f"p{row:08d}" for row in range(len(bulletin.picks))])
    rows = picks.assign(starttime=picks.time, endtime=picks.time, amplitude_m_s=np.nan, snr_db=np.nan)
    return Catalog(
        key=CatalogKey.foreign(path.name),
        events=events,
        assignments=conform(picks[picks.event_id.isin(events.event_id)], ASSIGNMENTS),
        picks=conform(rows, PICKS),
        stations=conform(pd.DataFrame(), STATIONS),
        not_read=_not_read(bulletin, path.name),
    )


def _not_read(bulletin: Bulletin, name: str) -> tuple[str, ...]:
    lines = bulletin.rejections(_LISTED)
    n_unlocated = int(bulletin.events.latitude_deg.isna().sum())
    if n_unlocated:
        lines.insert(0, f"events without an origin, left out: {n_unlocated}")
    return tuple(line if line.startswith(" ") else f"{name}: {line}" for line in lines)


def compare_files(
    catalog: str | Path, reference: str | Path, params: AnalyzeParams, starttime: str | None, endtime: str | None
) -> Comparison:
    """
    Compare a catalog in files with another one.

    Parameters
    ----------
    catalog, reference : str or Path
        See `read_catalog`.
    params : AnalyzeParams
        Gives region and tolerances; its reference is not used.
    starttime, endtime : str or None
        See `common_window`.
    """
    catalogs = read_catalog(catalog), read_catalog(reference)
    return compare_catalogs(*catalogs, common_window(*catalogs, params, starttime, endtime), params)


def common_window(
    catalog: Catalog, reference: Catalog, params: AnalyzeParams, starttime: str | None, endtime: str | None
) -> tuple[datetime, datetime]:
    """
    Half-open time span of a comparison: the given one, else where both have events or picks, and a tolerance more.

    Raises
    ------
    ValueError
        If there is none.
    """
    spans = [span for span in (catalog.span(), reference.span()) if span is not None]
    if not spans:
        raise ValueError(f"neither {catalog.label} nor {reference.label} has an event or a pick")
    # The first event of one side must not be lost because the other one has it a little later.
    slack = pd.Timedelta(seconds=params.event_time_tolerance_s)
    first, last = max(span[0] for span in spans) - slack, min(span[1] for span in spans) + slack
    start = parse_time(starttime) if starttime else first.to_pydatetime(warn=False)
    end = parse_time(endtime) if endtime else last.to_pydatetime(warn=False)
    if start >= end:
        raise ValueError(
            f"{catalog.label} and {reference.label} have no time in common: it would be from {start.isoformat()} to"
            f" {end.isoformat()}; are these the same days?"
        )
    return start, end


def compare_catalogs(
    catalog: Catalog, reference: Catalog, window: tuple[datetime, datetime], params: AnalyzeParams
) -> Comparison:
    """
    Compare one catalog with another.

    Parameters
    ----------
    catalog, reference : Catalog
        See `read_catalog`.
    window : tuple of datetime
        See `common_window`.
    params : AnalyzeParams
        Gives region and tolerances; its reference is not used.
    """
    reference_set = _reference_set(catalog, reference, window, params)
    rows = (catalog.events.time >= pd.Timestamp(window[0])) & (catalog.events.time < pd.Timestamp(window[1]))
    tables = RunTables(
        stations=catalog.stations,
        manifests=[],
        picks={catalog.key.pick_set: catalog.picks},
        pick_ledgers={},
        events={catalog.key: catalog.events[rows].reset_index(drop=True)},
        assignments={
            catalog.key: catalog.assignments[catalog.assignments.event_id.isin(catalog.events.event_id[rows])]
        },
        corrections={catalog.key: conform(pd.DataFrame(), STATION_CORRECTIONS)},
    )
    title, no_ledger = f"{catalog.label} against {reference.label}", conform(pd.DataFrame(), LEDGER)
    findings = compare_run(title, tables, [], reference_set, params, no_ledger)
    findings.summary["time"] = [moment.isoformat(timespec="seconds") for moment in window]
    findings.summary["not_read"] = [*catalog.not_read, *reference.not_read]
    return Comparison(
        catalog=catalog, reference=reference, window=window, params=params, tables=tables, findings=findings
    )


def _reference_set(
    catalog: Catalog, reference: Catalog, window: tuple[datetime, datetime], params: AnalyzeParams
) -> ReferenceSet:
    region = None if params.region is None else params.region.model_dump()
    events = select_events(reference.events, *window, region)
    slack = pd.Timedelta(seconds=params.event_time_tolerance_s).to_pytimedelta()
    nearby = select_events(reference.events, window[0] - slack, window[1] + slack)
    events_of_picks = reference.assignments[["pick_id", "event_id", "distance_km"]].drop_duplicates("pick_id")
    picks = reference.picks.merge(events_of_picks, "left", "pick_id")
    if not reference.key.is_foreign:
        picks = picks[picks.event_id.notna()]  # of a run, the picks of its events
    picks = picks_of_events(picks, events, window)
    stations = catalog.stations if len(catalog.stations) else reference.stations
    return ReferenceSet(
        events=events,
        further_events=conform(nearby[~nearby.event_id.isin(events.event_id)], EVENTS),
        picks=reference_picks(picks, reference.events, stations),
        further_picks=None,
        window=window,
        region=region,
    )


def comparison_text(findings: Findings) -> str:
    """Summary of a comparison of two catalogs, a few lines."""
    numbers = findings.summary["catalogs"][0]
    scores = numbers["reference"]
    lines = [
        "Time     {} to {}: what lies outside is left out".format(*findings.summary["time"]),
        f"Events   {numbers['n_events']:,} against {scores['n']:,}: {scores['matched']:,} matched,"
        f" {scores['n'] - scores['matched']:,} missed, {scores['n_false']:,} new",
        f"         recall {scores['recall']:.3f}, precision {scores['precision']:.3f}, F1 {scores['f1']:.3f}",
        f"         median errors {_text(scores['median_time_error_s'], 's')},"
        f" {_text(scores['median_epicentral_error_km'], 'km')},"
        f" depth {_text(scores['median_depth_error_km'], 'km')},"
        f" magnitude {_text(scores['median_magnitude_error'], '')}",
    ]
    if numbers["n_events"] and scores["n"] and not scores["matched"]:
        lines.append("         do both have locations, and are the tolerances wide enough?")
    for label, counts in (("Missed", scores.get("missed")), ("New", scores.get("new"))):
        if counts:
            lines.append(f"{label:<9}" + ", ".join(f"{n:,} {code.replace('_', ' ')}" for code, n in counts.items()))
    for phase in ("P", "S"):
        picks: dict[str, Any] = scores.get("picks", {}).get(phase, {})
        if picks:
            lines.append(
                f"{phase} picks  {picks['matched']:,} of {picks['n']:,}: recall {picks['recall']:.3f}, precision"
                f" {picks['precision']:.3f}, F1 {picks['f1']:.3f}; median {_text(picks['median_time_error_s'], 's')},"
                f" MAD {_text(picks['mad_time_error_s'], 's')}"
            )
    return "\n".join([*lines, *findings.summary["not_read"]])


def _text(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.3f} {unit}".rstrip()
