"""The page of two catalogs that were compared without a run of the workflow."""

from __future__ import annotations

from pathlib import Path

from pickflow.comparison.bulletins import Comparison
from pickflow.io.atomic import write_text
from pickflow.report.content import CatalogContent, ReportContent
from pickflow.report.page import write_report
from pickflow.run.layout import RunLayout


def comparison_content(comparison: Comparison) -> ReportContent:
    """Content of the page of a comparison."""
    subject, reference, params = comparison.catalog, comparison.reference, comparison.params
    tables, findings, name = comparison.tables, comparison.findings, comparison.catalog.key
    catalog = CatalogContent(
        key=name, events=tables.events[name],
        assignments=tables.assignments[name], picks=subject.picks, matches=findings.matches[name],
        corrections=tables.corrections[name], pick_matches=findings.pick_matches[name.pick_set],
        pick_scores=findings.pick_scores[name.pick_set], event_scores=findings.event_scores[name],
        missed_events=findings.missed_events[name], new_events=findings.new_events[name], gathers=(),
    )  # fmt: skip
    tolerances = f"{params.event_time_tolerance_s:g} s and {params.event_distance_tolerance_km:g} km for events,"
    return ReportContent(
        run=findings.summary["run"], starttime=comparison.window[0], endtime=comparison.window[1],
        config_summary={
            "Catalog": subject.label, "Reference": reference.label,
            "Tolerances": f"{tolerances} {params.pick_time_tolerance_s:g} s for picks",
            "Not read": "; ".join(findings.summary["not_read"]) or "nothing",
        },
        summary=findings.summary, stations=subject.stations if len(subject.stations) else reference.stations,
        ledger=None, reference=findings.reference, catalogs=(catalog,), compressions=(), travel_time_s=None,
        provenance={"catalog": subject.label, "reference": reference.label},
    )  # fmt: skip


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """
    Write the tables of a comparison as CSV, and its page.

    Parameters
    ----------
    comparison : Comparison
        See `pickflow.comparison.bulletins.compare_catalogs`.
    folder : Path
        Created if it does not exist.

    Returns
    -------
    list of Path
        The files written, the page first.
    """
    findings = comparison.findings
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
    paths = [RunLayout(folder).report]
    write_text(paths[0], write_report(comparison_content(comparison)))
    for table, frame in tables.items():
        if len(frame):
            paths.append(folder / f"{table}.csv")
            write_text(paths[-1], frame.to_csv(index=False, lineterminator="\n"))
    return paths
