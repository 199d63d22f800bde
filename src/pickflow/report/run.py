"""From the tables and findings of a run to the content of its report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

import pandas as pd

from pickflow.comparison.tables import Findings, RunTables
from pickflow.comparison.unmatched import KINDS, WHY
from pickflow.io.documents import read_json
from pickflow.report.compression import CompressionContent
from pickflow.report.content import CatalogContent, ReportContent
from pickflow.run.keys import CatalogKey
from pickflow.run.layout import RunLayout
from pickflow.run.settings.report import GatherParams
from pickflow.travel_times.layers import VelocityModel, travel_time_s
from pickflow.viewer.choice import choose_events
from pickflow.viewer.sources import annotate_with, waveforms_of
from pickflow.viewer.waveforms import gather_for_event


def report_content(
    run: RunLayout,
    config: Mapping[str, Any],
    window: tuple[datetime, datetime],
    tables: RunTables,
    findings: Findings,
    model: VelocityModel,
    params: GatherParams,
) -> ReportContent:
    """
    Content of the report, with waveforms and probabilities of the best and the worst events.

    Parameters
    ----------
    run : RunLayout
        For waveforms and models.
    config : mapping
        Completed configuration.
    window : tuple of datetime
        Half-open [start, end) of the run.
    tables, findings
        See `read_run` and `analyze_run`.
    model : VelocityModel
        Predicts the arrivals that are drawn.
    params : GatherParams
        Number of events, and settings of their figures.
    """
    source = config["analyze"]["reference"]
    has_reference = bool(source["file"] or source["server"])
    reference = findings.reference if has_reference else None
    catalogs = [
        _catalog_content(run, config, name, tables, findings, reference, model, params) for name in tables.events
    ]
    return ReportContent(
        run=config["run"],
        starttime=window[0],
        endtime=window[1],
        config_summary=_config_summary(config),
        summary=findings.summary,
        stations=tables.stations,
        ledger=findings.ledger,
        reference=reference,
        catalogs=tuple(catalogs),
        compressions=tuple(
            CompressionContent(compression=entry, latency=read_json(run.latency(**entry["teacher"])))
            for entry in findings.summary["compression"]
        ),
        travel_time_s=partial(_travel_time_s, model),
        provenance={"configuration": config},
    )


def _catalog_content(
    run: RunLayout,
    config: Mapping[str, Any],
    name: CatalogKey,
    tables: RunTables,
    findings: Findings,
    reference: pd.DataFrame | None,
    model: VelocityModel,
    params: GatherParams,
) -> CatalogContent:
    events, assignments, picks = tables.events[name], tables.assignments[name], tables.picks_of(name)
    misses, new = findings.missed_events[name], findings.new_events[name]
    notes = dict(zip(misses.event_id, misses.why.map(WHY), strict=True))
    notes |= dict(zip(new.event_id, new.kind.map(KINDS), strict=True))
    annotate = annotate_with(run, name.pick_set, config["pick"]["backend"])
    gathers = [
        gather_for_event(
            choice, tables.stations, picks, assignments, findings.reference_picks, waveforms_of(run), annotate,
            partial(_travel_time_s, model), params,
        )
        for choice in choose_events(events, findings.matches[name], reference, notes, params)
    ]  # fmt: skip
    return CatalogContent(
        key=name,
        events=events,
        assignments=assignments,
        picks=picks,
        matches=findings.matches[name],
        corrections=tables.corrections[name],
        pick_matches=findings.pick_matches[name.pick_set],
        pick_scores=findings.pick_scores[name.pick_set],
        event_scores=findings.event_scores[name],
        missed_events=misses,
        new_events=new,
        gathers=tuple(gathers),
    )


def _config_summary(config: Mapping[str, Any]) -> dict[str, str]:
    download, velocity, source = (
        config["download"],
        config["associate"]["velocity_model"],
        config["analyze"]["reference"],
    )
    layers = f"{velocity['p_km_s']:g} and {velocity['s_km_s']:g} km/s"
    return {
        "Source": download["path"] or ", ".join(download["fdsn"]["servers"]) or str(download["fdsn"]["routing"]),
        "Velocity model": velocity["file"] or layers,
        "Reference": source["file"] or source["server"] or "none",
    }


def _travel_time_s(model: VelocityModel, phase: str, distance_km: float, depth_km: float) -> float:
    return float(travel_time_s(model, phase, distance_km, depth_km))
