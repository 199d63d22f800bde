"""From the tables of a run to its findings, and from these to what the report shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import obspy
import pandas as pd

from pickflow.analyze.compression import CompressionContent
from pickflow.analyze.content import CatalogContent, ReportContent
from pickflow.analyze.events import compare_events
from pickflow.analyze.gather import Annotate, GatherParams, ReadWaveforms, choose_events, gather_for_event
from pickflow.analyze.ledger import build_ledger
from pickflow.analyze.picks import PickComparison, compare_picks
from pickflow.analyze.reference import AnalyzeParams, ReferenceSet, load_reference
from pickflow.analyze.seismicity import wadati, wadati_arrivals
from pickflow.analyze.summary import against_teacher, catalog_numbers, summarize, teachers_of
from pickflow.analyze.tables import Findings, RunTables, pick_set
from pickflow.analyze.unmatched import KINDS, WHY, missed_events, new_events, properties
from pickflow.annotate import Picker, PickerOptions
from pickflow.io.tables import conform
from pickflow.io.waveforms import read_stream
from pickflow.models.loading import load_model
from pickflow.schemas import EVENTS, MISSED_EVENTS, NEW_EVENTS, REFERENCE_PICKS
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
    return hold_against(run, tables, compressions, load_reference(params, window, tables.stations), params)


def hold_against(
    run: str,
    tables: RunTables,
    compressions: Sequence[Mapping[str, Any]],
    reference: ReferenceSet | None,
    params: AnalyzeParams,
) -> Findings:
    """Hold every catalog of a run against a reference that has been read; see `analyze_run`."""
    ledger = build_ledger(
        tables.manifests,
        list(tables.pick_ledgers.values()),
        list(tables.picks.values()),
        list(tables.assignments.values()),
    )
    pick_sets = {name: compare_picks(picks, reference, params) for name, picks in tables.picks.items()}
    catalogs = {name: analyze_catalog(name, tables, pick_sets, reference, params) for name in tables.events}
    teachers = teachers_of(compressions)
    numbers = []
    for name, catalog in catalogs.items():
        events, teacher = tables.events[name], _catalog_of_teacher(name, teachers)
        kept = None if teacher is None else against_teacher(events, tables.events[teacher], params)
        numbers.append(catalog_numbers(name, tables.picks_of(name), events, catalog.reference, catalog.vp_vs, kept))
    return Findings(
        summary=summarize(run, ledger, numbers, compressions),
        ledger=ledger,
        reference=conform(pd.DataFrame(), EVENTS) if reference is None else reference.events,
        reference_picks=conform(pd.DataFrame(), REFERENCE_PICKS) if reference is None else reference.picks,
        pick_matches={name: picks.matches for name, picks in pick_sets.items()},
        pick_scores={name: picks.scores for name, picks in pick_sets.items()},
        matches={name: catalog.matches for name, catalog in catalogs.items()},
        event_scores={name: catalog.scores for name, catalog in catalogs.items()},
        missed_events={name: catalog.missed for name, catalog in catalogs.items()},
        new_events={name: catalog.new for name, catalog in catalogs.items()},
        wadati={name: catalog.wadati for name, catalog in catalogs.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _CatalogFindings:
    """Tables and numbers of one catalog; see `Findings`."""

    matches: pd.DataFrame
    scores: pd.DataFrame
    missed: pd.DataFrame
    new: pd.DataFrame
    wadati: pd.DataFrame
    reference: dict[str, Any]
    vp_vs: tuple[float, float]


def analyze_catalog(
    name: str,
    tables: RunTables,
    pick_sets: Mapping[str, PickComparison],
    reference: ReferenceSet | None,
    params: AnalyzeParams,
) -> _CatalogFindings:
    """Hold one catalog against the reference; see `analyze_run`."""
    events, assignments, picks = tables.events[name], tables.assignments[name], tables.picks_of(name)
    compared, compared_picks = compare_events(events, reference, params), pick_sets[pick_set(name)]
    ratios, vp_vs = wadati(wadati_arrivals(events, assignments, picks))
    missed, new = conform(pd.DataFrame(), MISSED_EVENTS), conform(pd.DataFrame(), NEW_EVENTS)
    numbers = dict(compared.numbers)
    if reference is not None:
        known = pd.concat([reference.events, reference.others]).drop_duplicates("event_id")
        described = properties(events, assignments, picks, known)
        new = new_events(described, compared.matches, reference.events, params)
        missed = missed_events(
            events, assignments, picks, tables.stations, reference, compared.matches, compared_picks.matches, params
        )
        numbers |= {"missed": _n(missed.why, WHY), "new": _n(new.kind, KINDS)}
        numbers |= {"picks": compared_picks.numbers} if compared_picks.numbers else {}
    return _CatalogFindings(
        matches=compared.matches, scores=compared.scores, missed=missed, new=new, wadati=ratios, reference=numbers,
        vp_vs=vp_vs,
    )  # fmt: skip


def _n(values: pd.Series, names: Iterable[str]) -> dict[str, int]:
    counts = values.value_counts()
    return {name: int(counts[name]) for name in names if name in counts}


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
    catalogs = [
        _catalog_content(results, config, name, tables, findings, reference, model, params) for name in tables.events
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
            CompressionContent(compression=entry, latency=_latency(results, **entry["teacher"]))
            for entry in findings.summary["compression"]
        ),
        travel_time_s=partial(_travel_time_s, model),
        provenance={"configuration": config},
    )


def _catalog_content(
    results: Path,
    config: Mapping[str, Any],
    name: str,
    tables: RunTables,
    findings: Findings,
    reference: pd.DataFrame | None,
    model: VelocityModel,
    params: GatherParams,
) -> CatalogContent:
    signal, architecture, weights, associator = name.split("/")
    events, assignments, picks = tables.events[name], tables.assignments[name], tables.picks_of(name)
    missed, new = findings.missed_events[name], findings.new_events[name]
    notes = dict(zip(missed.event_id, missed.why.map(WHY), strict=True))
    notes |= dict(zip(new.event_id, new.kind.map(KINDS), strict=True))
    annotate = annotate_with(results, architecture, weights, config["pick"]["backend"]) if signal == "none" else None
    gathers = [
        gather_for_event(
            choice, tables.stations, picks, assignments, findings.reference_picks, waveforms_of(results), annotate,
            partial(_travel_time_s, model), params,
        )
        for choice in choose_events(events, findings.matches[name], reference, notes, params)
    ]  # fmt: skip
    return CatalogContent(
        signal=signal,
        model=architecture,
        weights=weights,
        associator=associator,
        events=events,
        assignments=assignments,
        picks=picks,
        matches=findings.matches[name],
        corrections=tables.corrections[name],
        pick_matches=findings.pick_matches[pick_set(name)],
        pick_scores=findings.pick_scores[pick_set(name)],
        event_scores=findings.event_scores[name],
        missed_events=missed,
        new_events=new,
        gathers=tuple(gathers),
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


def annotate_with(results: Path, model: str, weights: str, backend: str) -> Annotate:
    """Probabilities of a picker of a run."""
    return _picker(results / "models" / model / weights, backend).annotate


def waveforms_of(results: Path) -> ReadWaveforms:
    """Reader of the waveforms that a run downloaded; it gives None for a station-day without."""
    return partial(_read_waveforms, results / "waveforms")


@lru_cache(maxsize=4)
def _picker(folder: Path, backend: str) -> Picker:
    return Picker(load_model(folder), PickerOptions(backend=backend), cache=folder)


@lru_cache(maxsize=64)
def _read_waveforms(folder: Path, network: str, station: str, date: str) -> obspy.Stream | None:
    path = folder / date / f"{network}.{station}.mseed"
    return read_stream(path) if path.exists() else None


def _travel_time_s(model: VelocityModel, phase: str, distance_km: float, depth_km: float) -> float:
    return float(travel_time_s(model, phase, distance_km, depth_km))
