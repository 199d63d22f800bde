"""Events that the picks of each variant make of a continuous record."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from pickflow.comparison.events import compare_events
from pickflow.comparison.reference import ReferenceSet
from pickflow.comparison.summary import against_teacher
from pickflow.run.settings.analyze import AnalyzeParams

_BULLETIN_COLUMNS = {"matched": "reference_matched", "recall": "reference_recall",
                     "precision": "reference_precision", "f1": "reference_f1"}  # fmt: skip


def count_events(
    catalogs: Mapping[str, pd.DataFrame],
    picks: Mapping[str, pd.DataFrame],
    reference: str,
    params: AnalyzeParams,
    bulletin: ReferenceSet | None = None,
) -> pd.DataFrame:
    """
    Count what each variant's catalog has, and what it shares with a bulletin and with the catalog of one variant.

    Parameters
    ----------
    catalogs, picks : mapping of str to DataFrame
        Tables `EVENTS` and `PICKS` of the same record and associator, by variant.
    reference : str
        The variant whose catalog the others are compared with.
    params : AnalyzeParams
        Gives the tolerances.
    bulletin : ReferenceSet, optional
        See `pickflow.comparison.reference.load_reference`.

    Returns
    -------
    DataFrame
        A row for each ``variant``: ``continuous_n_picks``, ``n_events``; ``shared``, ``lost`` and ``new`` events beside
        those of the reference; and against the bulletin ``reference_matched``, ``reference_recall``,
        ``reference_precision``, ``reference_f1``.

    Raises
    ------
    ValueError
        If the reference has no catalog.
    """
    if reference not in catalogs:
        raise ValueError(f"lab: {reference} has no catalog; there are those of {', '.join(catalogs) or 'nobody'}")
    rows = []
    for variant, events in catalogs.items():
        agreement = against_teacher(events, catalogs[reference], params)
        row = {"variant": variant, "continuous_n_picks": len(picks[variant]), "n_events": len(events)}
        row |= {"shared": agreement["matched"], "lost": agreement["lost"], "new": agreement["new"]}
        if bulletin is not None:
            numbers = compare_events(events, bulletin, params).numbers
            row |= {column: numbers[key] for key, column in _BULLETIN_COLUMNS.items()}
        rows.append(row)
    return pd.DataFrame(rows)
