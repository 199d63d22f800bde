"""Everything about a variant in one row, and tables as CSV."""

from __future__ import annotations

import pandas as pd

from pickflow.lab.records import PHASES
from pickflow.lab.table import JUDGED, LabTable, judged_scores


def joined_table(
    table: LabTable, costs: pd.DataFrame | None = None, events: pd.DataFrame | None = None
) -> pd.DataFrame:
    """
    Everything about a variant in one row, ready for CSV.

    Parameters
    ----------
    table : LabTable
        See `compare_pickers`.
    costs : DataFrame, optional
        A row for each ``variant``; see `pickflow.lab.costs`.
    events : DataFrame, optional
        A row for each ``variant``; see `pickflow.lab.events`.

    Returns
    -------
    DataFrame
        Means over seeds by phase (``p_f1_0.3s``), with ``…_spread``, ``…_low``, ``…_high``, ``…_difference``,
        ``…_difference_low``, ``…_difference_high`` and ``…_verdict`` of all scores in `JUDGED`; then what is known from
        training, costs, events, and the numbers of `earthml` as ``earthml_…``.
    """
    variants = list(table.earthml.variant)
    row_of = pd.DataFrame({"variant": variants, "n_seeds": [_n_seeds(table, name) for name in variants]})
    counted = [name for name in table.scores if name not in ("variant", "seed", "phase", *JUDGED)]
    means = table.scores.groupby(["variant", "phase"])[counted].mean()
    parts = [row_of.set_index("variant")]
    for phase in PHASES:
        phase_means = pd.DataFrame(means.xs(phase, level="phase"))
        parts.append(phase_means.reindex(variants).add_prefix(f"{phase.lower()}_"))
        parts += [_score_columns(table, phase, score).reindex(variants) for score in judged_scores(phase)]
    parts.append(table.touched.set_index("variant").reindex(variants))
    parts += [
        table_of_variants.set_index("variant").reindex(variants)
        for table_of_variants in (costs, events)
        if table_of_variants is not None
    ]
    parts.append(table.earthml.set_index("variant").add_prefix("earthml_"))
    return pd.concat(parts, axis=1).rename_axis("variant").reset_index()


def _score_columns(table: LabTable, phase: str, score: str) -> pd.DataFrame:
    """Value, spread, interval, difference and verdict of a score, with its name before theirs."""
    name = f"{phase.lower()}_{score}"
    rows = table.intervals[(table.intervals.phase == phase) & (table.intervals.score == score)].set_index("variant")
    columns = rows.drop(columns=["phase", "score", "n_seeds"]).add_prefix(f"{name}_")
    return columns.rename(columns={f"{name}_value": name})


def _n_seeds(table: LabTable, variant: str) -> int:
    return int(table.scores.seed[table.scores.variant == variant].nunique())


def csv_text(frame: pd.DataFrame) -> str:
    """A table as CSV, with six significant digits, ready for `pickflow.io.atomic.write_text`."""
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
