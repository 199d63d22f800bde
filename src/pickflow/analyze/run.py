"""From the tables of a run to its findings, and from these to what the report shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import obspy
import pandas as pd

from pickflow.analyze.compression import CompressionContent
from pickflow.analyze.gather import Annotate, Gather, GatherParams, choose_events, gather_for_event
from pickflow.analyze.ledger import build_ledger
from pickflow.analyze.reference import AnalyzeParams, load_reference
from pickflow.analyze.report import CatalogContent, ReportContent
from pickflow.analyze.summary import against_teacher, catalog_numbers, compare, summarize, teachers_of, unjudged_events
from pickflow.analyze.tables import Findings, RunTables
from pickflow.annotate import Picker, PickerOptions
from pickflow.io.tables import conform
from pickflow.io.waveforms import read_stream
from pickflow.models.loading import load_model
from pickflow.schemas import EVENTS
from pickflow.travel_times import VelocityModel, travel_time_s

logger = logging.getLogger(__name__)


def analyze_run(
    run: str,
    tables: RunTables,
    compressions: Sequence[Mapping[str, Any]],
    window: tuple[datetime, datetime],
    params: AnalyzeParams,
) -> Findings:
    """
    Hold every catalog of a run against the reference, and account for every station-day.

    Parameters
    ----------
    run : str
        Its name.
    tables : RunTables
        See `read_run`.
    compressions : sequence of mapping
        Contents of the files ``compression.json``; catalogs of students are held against their teacher's.
    window : tuple of datetime
        Half-open [start, end) of the run.
    params : AnalyzeParams
        See ``workflow/schemas/analyze.schema.yaml``.
    """
    reference = load_reference(params, window, tables.stations)
    ledger = build_ledger(
        tables.manifests,
        list(tables.pick_ledgers.values()),
        list(tables.picks.values()),
        list(tables.assignments.values()),
    )
    comparisons = {
        name: compare(events, tables.picks_of(name), reference, params) for name, events in tables.events.items()
    }
    teachers = teachers_of(compressions)
    numbers = []
    for name, comparison in comparisons.items():
        events, teacher = tables.events[name], _catalog_of_teacher(name, teachers)
        kept = None if teacher is None else against_teacher(events, tables.events[teacher], params)
        numbers.append(catalog_numbers(name, tables.picks_of(name), events, comparison, kept))
    return Findings(
        summary=summarize(run, ledger, numbers, compressions),
        ledger=ledger,
        reference=conform(pd.DataFrame(), EVENTS) if reference is None else reference.events,
        matches={name: comparison.matches for name, comparison in comparisons.items()},
    )


def _catalog_of_teacher(catalog: str, teachers: Mapping[str, str]) -> str | None:
    signal, model, weights, associator = catalog.split("/")
    teacher = teachers.get(f"{model}/{weights}")
    return None if teacher is None else f"{signal}/{teacher}/{associator}"


def report_content(
    results: Path,
    config: Mapping[str, Any],
    window: tuple[datetime, datetime],
    tables: RunTables,
    findings: Findings,
    model: VelocityModel,
    params: GatherParams,
) -> ReportContent:
    """
    All that the report shows, with waveforms and probabilities of the best and the worst events.

    Parameters
    ----------
    results : Path
        ``results/<run>``, for waveforms and models.
    config : mapping
        Completed configuration.
    window : tuple of datetime
        Half-open [start, end) of the run.
    tables, findings
        See `read_run` and `analyze_run`.
    model : VelocityModel
        Predicts the arrivals that are drawn.
    params : GatherParams
        How many events, and how they are drawn.
    """
    source = config["analyze"]["reference"]
    has_reference = bool(source["file"] or source["server"])
    reference = findings.reference if has_reference else None
    catalogs = []
    for name, events in tables.events.items():
        matches = findings.matches[name]
        unjudged = unjudged_events(events, matches) if has_reference else frozenset()
        signal, architecture, weights, associator = name.split("/")
        annotate = _annotate(results / "models" / architecture / weights, config) if signal == "none" else None
        assignments, picks = tables.assignments[name], tables.picks_of(name)
        gathers: list[Gather] = [
            gather_for_event(
                choice,
                tables.stations,
                picks,
                assignments,
                partial(_read_waveforms, results / "waveforms"),
                annotate,
                partial(_travel_time_s, model),
                params,
            )
            for choice in choose_events(events, matches, reference, unjudged, params)
        ]
        catalogs.append(
            CatalogContent(
                signal=signal,
                model=architecture,
                weights=weights,
                associator=associator,
                events=events,
                assignments=assignments,
                picks=picks,
                matches=matches,
                unjudged=unjudged,
                gathers=tuple(gathers),
            )
        )
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
            CompressionContent(compression=entry, latency=_latency(results, **entry["teacher"]))
            for entry in findings.summary["compression"]
        ),
        provenance={"configuration": config},
    )


def _latency(results: Path, model: str, weights: str) -> dict[str, Any]:
    return json.loads((results / "compress" / model / weights / "latency.json").read_text())


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


def _annotate(folder: Path, config: Mapping[str, Any]) -> Annotate:
    return _picker(folder, config["pick"]["backend"]).annotate


@lru_cache(maxsize=4)
def _picker(folder: Path, backend: str) -> Picker:
    return Picker(load_model(folder), PickerOptions(backend=backend), cache=folder)


@lru_cache(maxsize=64)
def _read_waveforms(folder: Path, network: str, station: str, date: str) -> obspy.Stream | None:
    path = folder / date / f"{network}.{station}.mseed"
    return read_stream(path) if path.exists() else None


def _travel_time_s(model: VelocityModel, phase: str, distance_km: float, depth_km: float) -> float:
    return float(travel_time_s(model, phase, distance_km, depth_km))
