"""Two catalogs in files, held against each other without a run of the workflow."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pickflow.analyze.content import CatalogContent, ReportContent
from pickflow.analyze.reference import AnalyzeParams, ReferenceSet, picks_of_events, reference_picks
from pickflow.analyze.report import write_report
from pickflow.analyze.run import hold_against
from pickflow.analyze.tables import Findings, RunTables, pick_set
from pickflow.io.atomic import write_text
from pickflow.io.catalogs import select_events
from pickflow.io.formats import read_bulletin, read_ogs
from pickflow.io.tables import conform, read_table, read_tables
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATION_CORRECTIONS, STATIONS
from pickflow.windows import parse_time

_CATALOG_FILE = "catalog.parquet"


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """
    A catalog in files.

    Parameters
    ----------
    name : str
        ``signal/model/weights/associator`` of a run's catalog; else the file's name in place of the model.
    events, assignments, picks, stations : DataFrame
        `EVENTS`, `ASSIGNMENTS`, `PICKS` and `STATIONS`; what the files do not have is empty.
    """

    name: str
    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame
    stations: pd.DataFrame

    @property
    def label(self) -> str:
        """For people."""
        return self.name.strip("/").removeprefix("none/").replace("/", " ")

    def span(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """First and last time of events and picks; None if there are none."""
        times = pd.concat([self.events.time, self.picks.time])
        return None if times.empty else (times.min(), times.max())


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
    folder = path.parent if path.name == _CATALOG_FILE else path
    if folder.is_dir():
        return _read_folder(folder)
    bulletin = read_bulletin(path)
    if bulletin.format.startswith("ogs-"):
        bulletin = read_ogs(path)
    events = bulletin.events[bulletin.events.latitude_deg.notna()].reset_index(drop=True)
    picks = bulletin.picks.reset_index(drop=True).assign(pick_id=[f"p{row:08d}" for row in range(len(bulletin.picks))])
    same = picks.assign(starttime=picks.time, endtime=picks.time, amplitude_m_s=np.nan, snr_db=np.nan)
    return Catalog(
        name=f"/{path.name}//",
        events=events,
        assignments=conform(picks[picks.event_id.isin(events.event_id)], ASSIGNMENTS),
        picks=conform(same, PICKS),
        stations=conform(pd.DataFrame(), STATIONS),
    )


def _read_folder(folder: Path) -> Catalog:
    if not (folder / _CATALOG_FILE).exists():
        raise ValueError(f"{folder}: no {_CATALOG_FILE}; give a catalog folder of a run, or a file")
    name = "/".join(folder.resolve().parts[-4:])
    results = folder.resolve().parents[4]
    tables = sorted((results / "picks" / pick_set(name)).glob("????-??-??.parquet"))
    stations = results / "inventory" / "stations.parquet"
    assignments = folder / "assignments.parquet"
    return Catalog(
        name=name,
        events=read_table(folder / _CATALOG_FILE, EVENTS),
        assignments=read_table(assignments, ASSIGNMENTS)
        if assignments.exists()
        else conform(pd.DataFrame(), ASSIGNMENTS),
        picks=read_tables(tables, PICKS),
        stations=read_table(stations, STATIONS) if stations.exists() else conform(pd.DataFrame(), STATIONS),
    )


def compare_files(
    ours: str | Path, reference: str | Path, params: AnalyzeParams, starttime: str | None, endtime: str | None
) -> tuple[Findings, ReportContent]:
    """
    Hold a catalog in files against another one.

    Parameters
    ----------
    ours, reference : str or Path
        See `read_catalog`.
    params : AnalyzeParams
        Gives region and tolerances; its reference is not used.
    starttime, endtime : str or None
        See `common_window`.

    Returns
    -------
    tuple of Findings and ReportContent
        See `compare_catalogs`.
    """
    catalogs = read_catalog(ours), read_catalog(reference)
    return compare_catalogs(*catalogs, common_window(*catalogs, params, starttime, endtime), params)


def common_window(
    ours: Catalog, reference: Catalog, params: AnalyzeParams, starttime: str | None, endtime: str | None
) -> tuple[datetime, datetime]:
    """
    Half-open time span of a comparison: as asked for, else where both have events or picks, and a tolerance more.

    Raises
    ------
    ValueError
        If there is none.
    """
    spans = [span for span in (ours.span(), reference.span()) if span is not None]
    if not spans:
        raise ValueError(f"neither {ours.label} nor {reference.label} has an event or a pick")
    # The first event of one side must not be lost because the other one has it a little later.
    slack = pd.Timedelta(seconds=params.event_time_tolerance_s)
    first, last = max(span[0] for span in spans) - slack, min(span[1] for span in spans) + slack
    start = parse_time(starttime) if starttime else first.to_pydatetime(warn=False)
    end = parse_time(endtime) if endtime else last.to_pydatetime(warn=False)
    if start >= end:
        raise ValueError(
            f"{ours.label} and {reference.label} have no time in common: it would be from {start.isoformat()} to"
            f" {end.isoformat()}; are these the same days?"
        )
    return start, end


def compare_catalogs(
    ours: Catalog, reference: Catalog, window: tuple[datetime, datetime], params: AnalyzeParams
) -> tuple[Findings, ReportContent]:
    """
    Hold one catalog against another.

    Parameters
    ----------
    ours, reference : Catalog
        See `read_catalog`.
    window : tuple of datetime
        See `common_window`.
    params : AnalyzeParams
        Gives region and tolerances; its reference is not used.

    Returns
    -------
    tuple of Findings and ReportContent
        The tables, and what the page shows.
    """
    held = _reference_set(ours, reference, window, params)
    inside = (ours.events.time >= pd.Timestamp(window[0])) & (ours.events.time < pd.Timestamp(window[1]))
    tables = RunTables(
        stations=ours.stations,
        manifests=[],
        picks={pick_set(ours.name): ours.picks},
        pick_ledgers={},
        events={ours.name: ours.events[inside].reset_index(drop=True)},
        assignments={ours.name: ours.assignments[ours.assignments.event_id.isin(ours.events.event_id[inside])]},
        corrections={ours.name: conform(pd.DataFrame(), STATION_CORRECTIONS)},
    )
    findings = hold_against(f"{ours.label} against {reference.label}", tables, [], held, params)
    return findings, _content(ours, reference, window, tables, findings, params)


def _reference_set(
    ours: Catalog, reference: Catalog, window: tuple[datetime, datetime], params: AnalyzeParams
) -> ReferenceSet:
    region = None if params.region is None else asdict(params.region)
    events = select_events(reference.events, *window, region)
    slack = pd.Timedelta(seconds=params.event_time_tolerance_s).to_pytimedelta()
    near = select_events(reference.events, window[0] - slack, window[1] + slack)
    owners = reference.assignments[["pick_id", "event_id", "distance_km"]].drop_duplicates("pick_id")
    picks = reference.picks.merge(owners, "left", "pick_id")
    if not reference.name.startswith("/"):
        picks = picks[picks.event_id.notna()]  # of a run of ours, the picks that an event claims
    picks = picks_of_events(picks, events, window)
    stations = ours.stations if len(ours.stations) else reference.stations
    return ReferenceSet(
        events=events,
        others=conform(near[~near.event_id.isin(events.event_id)], EVENTS),
        picks=reference_picks(picks, reference.events, stations),
        other_picks=None,
        window=window,
        region=region,
    )


def _content(
    ours: Catalog,
    reference: Catalog,
    window: tuple[datetime, datetime],
    tables: RunTables,
    findings: Findings,
    params: AnalyzeParams,
) -> ReportContent:
    name = ours.name
    signal, model, weights, associator = name.split("/")
    catalog = CatalogContent(
        signal=signal, model=model, weights=weights, associator=associator, events=tables.events[name],
        assignments=tables.assignments[name], picks=ours.picks, matches=findings.matches[name],
        corrections=tables.corrections[name], pick_matches=findings.pick_matches[pick_set(name)],
        pick_scores=findings.pick_scores[pick_set(name)], event_scores=findings.event_scores[name],
        missed_events=findings.missed_events[name], new_events=findings.new_events[name], gathers=(),
    )  # fmt: skip
    tolerances = f"{params.event_time_tolerance_s:g} s and {params.event_distance_tolerance_km:g} km for events,"
    return ReportContent(
        run=findings.summary["run"], starttime=window[0], endtime=window[1],
        config_summary={
            "Catalog": ours.label, "Reference": reference.label,
            "Tolerances": f"{tolerances} {params.pick_time_tolerance_s:g} s for picks",
        },
        summary=findings.summary, stations=ours.stations if len(ours.stations) else reference.stations,
        ledger=None, reference=findings.reference, catalogs=(catalog,), compressions=(), travel_time_s=None,
        provenance={"catalog": ours.label, "reference": reference.label},
    )  # fmt: skip


def comparison_words(findings: Findings) -> str:
    """Summary of a comparison of two catalogs, a few lines."""
    numbers = findings.summary["catalogs"][0]
    scores = numbers["reference"]
    lines = [
        f"Events   {numbers['n_events']:,} against {scores['n']:,}: {scores['matched']:,} matched,"
        f" {scores['n'] - scores['matched']:,} missed, {scores['n_false']:,} new",
        f"         recall {scores['recall']:.3f}, precision {scores['precision']:.3f}, F1 {scores['f1']:.3f}",
        f"         median errors {_known(scores['median_time_error_s'], 's')},"
        f" {_known(scores['median_epicentral_error_km'], 'km')},"
        f" depth {_known(scores['median_depth_error_km'], 'km')},"
        f" magnitude {_known(scores['median_magnitude_error'], '')}",
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
                f" {picks['precision']:.3f}, F1 {picks['f1']:.3f}; median {_known(picks['median_time_error_s'], 's')},"
                f" MAD {_known(picks['mad_time_error_s'], 's')}"
            )
    return "\n".join(lines)


def _known(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.3f} {unit}".rstrip()


def write_comparison(findings: Findings, content: ReportContent, folder: Path) -> list[Path]:
    """
    Write the tables of a comparison as CSV, its page and its numbers.

    Parameters
    ----------
    findings, content
        See `compare_catalogs`.
    folder : Path
        Is made.

    Returns
    -------
    list of Path
        What was written, the page first.
    """
    (name,), (picks,) = findings.matches, findings.pick_matches
    tables = {
        "matches": findings.matches[name],
        "missed_events": findings.missed_events[name],
        "new_events": findings.new_events[name],
        "event_scores": findings.event_scores[name],
        "pick_matches": findings.pick_matches[picks],
        "pick_scores": findings.pick_scores[picks],
        "wadati": findings.wadati[name],
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "report.html", write_report(content))
    paths = [folder / "report.html"]
    for table, frame in tables.items():
        if len(frame):
            paths.append(folder / f"{table}.csv")
            write_text(paths[-1], frame.to_csv(index=False, lineterminator="\n"))
    return paths
