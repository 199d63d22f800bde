"""The numbers of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pickflow.comparison.matching import match_events
from pickflow.comparison.seismicity import frequency_magnitude
from pickflow.run.grid import Candidate
from pickflow.run.keys import CatalogKey
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import REASONS


def against_teacher(events: pd.DataFrame, teacher: pd.DataFrame, params: AnalyzeParams) -> dict[str, int]:
    """
    Compare a student's catalog with its teacher's: numbers of events ``matched``, ``lost`` and ``new``.

    Parameters
    ----------
    events, teacher : DataFrame
        Tables `EVENTS` of the student and of the teacher.
    params : AnalyzeParams
        Gives the tolerances.
    """
    pairs = match_events(events, teacher, params.event_time_tolerance_s, params.event_distance_tolerance_km)
    n_matched = len(pairs.left)
    return {"matched": n_matched, "lost": len(teacher) - n_matched, "new": len(events) - n_matched}


def teachers_of(compressions: Sequence[Mapping[str, Any]]) -> dict[Candidate, Candidate]:
    """The teacher of each student."""
    return {
        Candidate(entry["teacher"]["model"], model["name"]): Candidate(**entry["teacher"])
        for entry in compressions
        for model in entry["models"]
        if model["method"] != "teacher"
    }


def catalog_numbers(
    catalog: CatalogKey,
    picks: pd.DataFrame,
    events: pd.DataFrame,
    reference: Mapping[str, Any],
    vp_vs: tuple[float, float],
    teacher: Mapping[str, int] | None,
) -> dict[str, Any]:
    """
    Entry of a catalog in the summary.

    Parameters
    ----------
    catalog : CatalogKey
        Signal, picker, weights and associator.
    picks, events : DataFrame
        Tables `PICKS` (assigned or not) and `EVENTS`.
    reference : mapping
        Scores against the reference; empty without one.
    vp_vs : tuple of float
        See `wadati`.
    teacher : mapping or None
        See `against_teacher`; None for a picker that is no student.
    """
    return {
        **catalog.parts(),
        "n_picks": len(picks),
        "n_events": len(events),
        "reference": dict(reference) or None,
        "magnitudes": _magnitudes(events),
        "vp_vs": _vp_vs(vp_vs),
        "quality": {str(name): int(n) for name, n in events.quality.value_counts().sort_index().items()},
        "teacher": None if teacher is None else dict(teacher),
    }


def _magnitudes(events: pd.DataFrame) -> dict[str, Any] | None:
    relation = frequency_magnitude(events.magnitude.to_numpy(float))
    if relation is None:
        return None
    return {
        "n": int(relation.n.sum()),
        "completeness": relation.completeness,
        "n_complete": relation.n_complete,
        "b": _finite(relation.b),
        "b_uncertainty": _finite(relation.b_uncertainty),
    }


def _vp_vs(ratio: tuple[float, float]) -> dict[str, Any] | None:
    return {"ratio": _finite(ratio[0]), "uncertainty": _finite(ratio[1])} if np.isfinite(ratio[0]) else None


def _finite(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def summarize(
    run: str,
    ledger: pd.DataFrame,
    catalogs: Sequence[Mapping[str, Any]],
    compressions: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """
    Content of ``summary.json``.

    Parameters
    ----------
    run : str
        Name of the run.
    ledger : DataFrame
        Table `LEDGER`.
    catalogs : sequence of mapping
        See `catalog_numbers`.
    compressions : sequence of mapping
        Contents of the files ``compression.json``.

    Returns
    -------
    dict
        ``run``, ``station_days``, ``ledger`` (counts by reason, in the order of `REASONS`), ``catalogs`` and
        ``compression``.
    """
    counts = ledger.reason.value_counts()
    return {
        "run": run,
        "station_days": len(ledger),
        "ledger": {reason: int(counts[reason]) for reason in REASONS if reason in counts},
        "catalogs": [dict(catalog) for catalog in catalogs],
        "compression": [dict(compression) for compression in compressions],
    }
