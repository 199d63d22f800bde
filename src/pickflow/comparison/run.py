"""All catalogs of a run, compared with the reference and those of students with their teachers'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pickflow.comparison.events import compare_events
from pickflow.comparison.picks import PickComparison, compare_picks
from pickflow.comparison.reference import ReferenceSet
from pickflow.comparison.seismicity import wadati, wadati_arrivals
from pickflow.comparison.summary import against_teacher, catalog_numbers, summarize, teachers_of
from pickflow.comparison.tables import Findings, RunTables
from pickflow.comparison.unmatched import KINDS, WHY, missed_events, new_events, properties
from pickflow.io.tables import conform
from pickflow.run.grid import Candidate
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import EVENTS, MISSED_EVENTS, NEW_EVENTS, REFERENCE_PICKS


def compare_run(
    run: str,
    tables: RunTables,
    compressions: Sequence[Mapping[str, Any]],
    reference: ReferenceSet | None,
    params: AnalyzeParams,
    ledger: pd.DataFrame,
) -> Findings:
    """
    Compare every catalog of a run with a reference.

    Parameters
    ----------
    run : str
        Its name.
    tables : RunTables
        See `read_run`.
    compressions : sequence of mapping
        Contents of the files ``compression.json``; catalogs of students are compared with their teacher's.
    reference : ReferenceSet or None
        See `load_reference`.
    params : AnalyzeParams
        Gives the tolerances.
    ledger : DataFrame
        Table `LEDGER` of the run; empty for catalogs without one.
    """
    pick_sets = {name: compare_picks(picks, reference, params) for name, picks in tables.picks.items()}
    catalogs = {name: _compare_catalog(name, tables, pick_sets, reference, params) for name in tables.events}
    teachers = teachers_of(compressions)
    numbers = []
    for name, catalog in catalogs.items():
        events, teacher = tables.events[name], _catalog_of_teacher(name, teachers)
        agreement = None if teacher is None else against_teacher(events, tables.events[teacher], params)
        numbers.append(
            catalog_numbers(name, tables.picks_of(name), events, catalog.reference, catalog.vp_vs, agreement)
        )
    return Findings(
        summary=summarize(run, ledger, numbers, compressions),
        ledger=ledger,
        reference=conform(pd.DataFrame(), EVENTS) if reference is None else reference.events,
        reference_picks=conform(pd.DataFrame(), REFERENCE_PICKS) if reference is None else reference.picks,
        pick_matches={name: picks.matches for name, picks in pick_sets.items()},
        pick_scores={name: picks.scores for name, picks in pick_sets.items()},
        matches={name: catalog.matches for name, catalog in catalogs.items()},
        event_scores={name: catalog.scores for name, catalog in catalogs.items()},
        missed_events={name: catalog.misses for name, catalog in catalogs.items()},
        new_events={name: catalog.new for name, catalog in catalogs.items()},
        wadati={name: catalog.wadati for name, catalog in catalogs.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _CatalogFindings:
    """Tables and numbers of one catalog; see `Findings`."""

    matches: pd.DataFrame
    scores: pd.DataFrame
    misses: pd.DataFrame
    new: pd.DataFrame
    wadati: pd.DataFrame
    reference: dict[str, Any]
    vp_vs: tuple[float, float]


def _compare_catalog(
    name: CatalogKey,
    tables: RunTables,
    pick_sets: Mapping[PickSetKey, PickComparison],
    reference: ReferenceSet | None,
    params: AnalyzeParams,
) -> _CatalogFindings:
    """Compare one catalog with the reference; see `compare_run`."""
    events, assignments, picks = tables.events[name], tables.assignments[name], tables.picks_of(name)
    compared, compared_picks = compare_events(events, reference, params), pick_sets[name.pick_set]
    ratios, vp_vs = wadati(wadati_arrivals(events, assignments, picks))
    misses, new = conform(pd.DataFrame(), MISSED_EVENTS), conform(pd.DataFrame(), NEW_EVENTS)
    numbers = dict(compared.numbers)
    if reference is not None:
        reference_events = pd.concat([reference.events, reference.further_events]).drop_duplicates("event_id")
        described = properties(events, assignments, picks, reference_events)
        new = new_events(described, compared.matches, reference.events, params)
        misses = missed_events(
            events, assignments, picks, tables.stations, reference, compared.matches, compared_picks.matches, params
        )
        numbers |= {"missed": _n(misses.why, WHY), "new": _n(new.kind, KINDS)}
        numbers |= {"picks": compared_picks.numbers} if compared_picks.numbers else {}
    return _CatalogFindings(
        matches=compared.matches, scores=compared.scores, misses=misses, new=new, wadati=ratios, reference=numbers,
        vp_vs=vp_vs,
    )  # fmt: skip


def _n(values: pd.Series, names: Iterable[str]) -> dict[str, int]:
    counts = values.value_counts()
    return {name: int(counts[name]) for name in names if name in counts}


def _catalog_of_teacher(catalog: CatalogKey, teachers: Mapping[Candidate, Candidate]) -> CatalogKey | None:
    picks = catalog.pick_set
    teacher = teachers.get(Candidate(picks.model, picks.weights))
    return None if teacher is None else CatalogKey(PickSetKey(picks.signal, *teacher), catalog.associator)
