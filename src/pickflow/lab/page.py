"""The page of the lab: one self-contained HTML file in the style of the report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pickflow.datasets.records import TOLERANCES_S
from pickflow.lab import figures, words
from pickflow.lab.bootstrap import MIN_BLOCKS
from pickflow.lab.comparison import label_times
from pickflow.lab.content import LabContent
from pickflow.lab.earthml import COLUMNS
from pickflow.report.frame import count, render

_MARKS = {"better": "▲", "worse": "▼", "no difference": "", "unknown": "", "reference": ""}
_N_LEFT_OUT_ROWS = 20
# Columns of the tables of P, S and Detection: score, heading, digits, whether its interval is shown.
_COLUMNS = (
    *((f"f1_{tolerance:g}s", f"F1\n{tolerance:g} s", 3, tolerance == 0.3) for tolerance in TOLERANCES_S),
    ("precision_0.3s", "Precision\n0.3 s", 3, False),
    ("recall_0.3s", "Recall\n0.3 s", 3, False),
    *(
        (f"equal_recall_{tolerance:g}s", f"Recall, equal\npicks, {tolerance:g} s", 3, tolerance == 0.3)
        for tolerance in TOLERANCES_S
    ),
    ("mae_s", "MAE of\nmatches (s)", 3, False),
    ("rmse_s", "RMSE of\nmatches (s)", 3, False),
    ("mae_all_s", "MAE of\nall (s)", 3, False),
    ("rmse_all_s", "RMSE of\nall (s)", 3, False),
    ("false_picks_per_station_hour", "False picks per\nstation-hour", 2, False),
)


class Cell(NamedTuple):
    """A number, what stands below it, and a mark with its meaning."""

    text: str
    below: str = ""
    mark: str = ""
    meaning: str = ""


def write_page(content: LabContent) -> str:
    """
    Write the page of the lab.

    Parameters
    ----------
    content : LabContent
        What it shows.

    Returns
    -------
    str
        HTML that needs nothing else: no script, no network. The same content gives the same bytes.
    """
    return render(
        "pickflow.lab", "page.html.j2", content.provenance, {},
        content=content,
        min_blocks=MIN_BLOCKS,
        subtitle=_subtitle(content),
        verdict=words.verdict_sentence(content),
        sentences=words.sentences(content),
        phases=[{"name": phase, **_phase_table(content, phase)} for phase in ("P", "S", "Detection")],
        sizes=_sizes(content),
        f1=figures.draw_differences("f1", content, "f1", "F1"),
        equal=figures.draw_differences("equal", content, "equal_recall", "Recall at an equal number of picks"),
        recall=figures.draw_recall_curves("recall", content),
        costs=figures.draw_costs("costs", content),
        trainings=None if content.trainings is None else figures.draw_trainings("trainings", content),
        earthml=_earthml_rows(content),
        earthml_columns=list(COLUMNS),
        data=_data_rows(content.table.records),
        left_out=_left_out(content),
        touched=content.table.touched.to_dict("records"),
    )  # fmt: skip


def _subtitle(content: LabContent) -> str:
    test = content.table.records[content.table.records.part == "test"]
    n_noise = int((test.kind == "noise").sum())
    n_events = test.event[test.event != ""].nunique()
    datasets = ", ".join(sorted(test.dataset.unique()))
    return (
        f"{len(content.variants)} pickers on {count(len(test) - n_noise)} records of {count(n_events)} events and"
        f" {count(n_noise)} of noise, at {count(test.station.nunique())} stations ({datasets})"
    )


def _phase_table(content: LabContent, phase: str) -> dict[str, Any]:
    """Headings, and a row of cells for each variant."""
    scores = set(content.table.intervals.score[content.table.intervals.phase == phase])
    columns = [column for column in _COLUMNS if column[0] in scores]
    means = content.table.scores[content.table.scores.phase == phase].groupby("variant").mean(numeric_only=True)
    rows = []
    for variant in content.variants:
        numbers = means.loc[variant].to_dict()
        counts = [_number(numbers[name], 0) for name in ("tp_0.3s", "fp_0.3s", "fn_0.3s", "tn")]
        cells = [
            _cell(content.interval(variant, phase, score), digits, with_interval)
            for score, _, digits, with_interval in columns
        ]
        rows.append({"name": variant, "cells": [Cell(_number(numbers["threshold"], 2)), *cells, *map(Cell, counts)]})
    headings = ["Threshold", *(heading for _, heading, _, _ in columns)]
    headings += [f"{kind}\n0.3 s" for kind in ("TP", "FP", "FN")] + ["TN"]
    return {"headings": headings, "rows": rows, **_labels(content.table.records, phase)}


def _labels(records: pd.DataFrame, phase: str) -> dict[str, Any]:
    """Number of labels in the test part, and whether the validation part has one, without which nothing is chosen."""
    has_label = np.isfinite(label_times(records, phase)).all(axis=0)
    numbers = {part: int((has_label & (records.part == part)).sum()) for part in ("validation", "test")}
    return {"n_labels": numbers["test"], "has_threshold": numbers["validation"] > 0}


def _cell(row: pd.Series, digits: int, with_interval: bool) -> Cell:
    below = f"{_number(row.low, digits)}–{_number(row.high, digits)}" if with_interval and np.isfinite(row.low) else ""
    spread = f" ± {_number(row.spread, digits)}" if np.isfinite(row.spread) else ""
    difference = f"{words.signed(row.difference, digits)}, {words.signed(row.difference_low, digits)} to"
    meaning = f"{row.verdict}: {difference} {words.signed(row.difference_high, digits)}"
    return Cell(_number(row.value, digits) + spread, below, _MARKS[row.verdict], meaning)


def _number(value: float, digits: int) -> str:
    return "–" if not np.isfinite(value) else f"{value:,.{digits}f}"


def _sizes(content: LabContent) -> dict[str, Any] | None:
    """Costs and events of each variant; None if neither is known."""
    columns: list[tuple[pd.DataFrame, str, str, int]] = []
    for frame, named in ((content.costs, _COST_HEADINGS), (content.events, _EVENT_HEADINGS)):
        if frame is not None:
            indexed = frame.set_index("variant").reindex(content.variants)
            columns += [(indexed, name, *heading) for name, heading in named.items() if name in indexed]
    if not columns:
        return None
    rows = [
        {"name": name, "cells": [_number(float(frame[column][name]), digits) for frame, column, _, digits in columns]}
        for name in content.variants
    ]
    remarks = [] if content.costs is None else [
        f"{row['variant']}: {row['remark']}" for row in content.costs.to_dict("records") if row["remark"]
    ]  # fmt: skip
    return {"headings": [heading for _, _, heading, _ in columns], "rows": rows, "remarks": remarks}


_COST_HEADINGS = {
    "n_parameters": ("Parameters", 0), "multiply_adds": ("Multiply-adds\nper window", 0),
}  # fmt: skip
_EVENT_HEADINGS = {
    "continuous_n_picks": ("Picks of the\ncontinuous record", 0), "n_events": ("Events", 0),
    "shared": ("Shared with\nthe reference's", 0), "lost": ("Lost", 0), "new": ("New", 0),
    "reference_matched": ("Found of\nthe bulletin", 0), "reference_recall": ("Recall", 3),
    "reference_precision": ("Precision", 3), "reference_f1": ("F1", 3),
}  # fmt: skip


def _earthml_rows(content: LabContent) -> list[dict[str, Any]]:
    table = content.table.earthml.set_index("variant").to_dict("index")
    rows = []
    for variant in content.variants:
        row = table[variant]
        better, equal = set(row["better"].split()), set(row["equal"].split())
        cells = [
            Cell(_number(row[name], _digits(name)), mark="▲" if name in better else "=" if name in equal else "")
            for name in COLUMNS
        ]
        is_reference = variant == content.table.params.reference
        rows.append({"name": variant, "is_reference": is_reference, "row": row, "cells": cells})
    return rows


def _digits(name: str) -> int:
    return 5 if name.endswith(("recall", "precision")) else 2 if name.endswith(("mae", "rmse")) else 0


def _data_rows(records: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for (dataset, part, kind), group in records.groupby(["dataset", "part", "kind"]):
        yield {
            "dataset": dataset, "part": part, "kind": kind, "n": len(group), "n_stations": group.station.nunique(),
            "n_events": group.event[group.event != ""].nunique(), "n_p": int(group.p_s.notna().sum()),
            "n_s": int(group.s_s.notna().sum()), "hours": float(group.duration_s.sum() / 3600),
        }  # fmt: skip


def _left_out(content: LabContent) -> dict[str, Any]:
    """What was left out, counted by reason, with some examples."""
    parts = [content.table.left_out.rename(columns={"record": "name"})[["name", "reason", "detail"]]]
    if content.account is not None:
        parts.append(content.account[["name", "reason", "detail"]])
    rows = pd.concat(parts, ignore_index=True)
    counts = rows.reason.value_counts()
    return {
        "counts": [(reason, int(counts[reason])) for reason in sorted(counts.index)],
        "rows": rows.head(_N_LEFT_OUT_ROWS).to_dict("records"),
        "n_more": max(0, len(rows) - _N_LEFT_OUT_ROWS),
    }
