"""What the intervals of the lab say, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pickflow.lab.bootstrap import LEVEL, MIN_BLOCKS
from pickflow.lab.content import LabContent
from pickflow.lab.earthml import COLUMNS

_MEASURES = {"f1_0.3s": "F1 within 0.3 s", "equal_recall_0.3s": "recall at an equal number of picks"}
_MOST_NAMES = 6


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign; a dash if it is not known."""
    return "–" if not np.isfinite(value) else f"{value:+.{digits}f}".replace("-", "−")


def verdict_sentence(content: LabContent) -> str:
    """The first sentence of the page."""
    rows = _differences(content, list(_MEASURES))
    names = set(rows.variant[rows.verdict.isin(["better", "worse"])])
    same = set(rows.variant[rows.verdict == "no difference"]) - names
    n_others = len(content.variants) - 1
    n_unknown = n_others - len(names) - len(same)
    reference = content.table.params.reference
    if not n_others:
        return f"Only {reference} was tested: there is nothing to compare it with."
    if content.table.n_blocks < MIN_BLOCKS:
        return f"There are too few {content.table.params.blocks}s to say whether anything differs from {reference}."
    if n_unknown == n_others:
        return f"No F1 and no recall is known, of P or of S, so that nothing can be told from {reference}."
    known = " that are known" if (rows.verdict == "unknown").any() else ""
    remainder = f" Of {n_unknown} no interval is known." if n_unknown else ""
    if not names:
        return (
            f"On these records none of {n_others} variants can be told from {reference}: all intervals{known} hold 0."
            f"{remainder}"
        )
    remainder = (f" The intervals{known} of {len(same)} hold 0." if same else "") + remainder
    return (
        f"Of {n_others} variants, {len(names)} can be told from {reference} by F1 within 0.3 s or by recall at an equal"
        f" number of picks, of P or of S.{remainder}"
    )


def sentences(content: LabContent) -> list[str]:
    """What the intervals say, and what they do not."""
    parts = (_by_measure, _equals, _by_chance, _resolution, _trainings, _touched, _theirs)
    return [sentence for part in parts for sentence in part(content)]


def _differences(content: LabContent, scores: list[str]) -> pd.DataFrame:
    rows = content.table.intervals
    return rows[rows.phase.isin(["P", "S"]) & rows.score.isin(scores) & (rows.verdict != "reference")]


def _by_measure(content: LabContent) -> Iterator[str]:
    for phase in ("P", "S"):
        for score, label in _MEASURES.items():
            rows = _differences(content, [score])
            rows = rows[rows.phase == phase].sort_values("difference", kind="stable")
            parts = [
                f"{verdict} than {content.table.params.reference}: {_names(rows[rows.verdict == verdict])}"
                for verdict in ("worse", "better")
                if (rows.verdict == verdict).any()
            ]
            n_same = int((rows.verdict == "no difference").sum())
            if n_same:
                parts.append(f"no difference can be seen in {n_same} of {len(rows)}")
            if parts:
                yield f"{phase}, {label}: {'; '.join(parts)}."


def _names(rows: pd.DataFrame) -> str:
    first_rows = rows.head(_MOST_NAMES)
    texts = [f"{name} ({signed(by)})" for name, by in zip(first_rows.variant, first_rows.difference, strict=True)]
    return ", ".join(texts) + (f" and {len(rows) - _MOST_NAMES} more" if len(rows) > _MOST_NAMES else "")


def _equals(content: LabContent) -> Iterator[str]:
    """Variants with the same scores, such as BC and Salvation, which are one network."""
    rows = content.table.scores[content.table.scores.variant.isin(content.variants)]
    groups: dict[str, list[str]] = {}
    for variant, scores in rows.groupby("variant", sort=False):
        groups.setdefault(scores.drop(columns="variant").to_csv(index=False), []).append(str(variant))
    for names in groups.values():
        if len(names) > 1:
            yield f"{', '.join(names)}: the same scores to the last digit, as of one network under several names."


def _by_chance(content: LabContent) -> Iterator[str]:
    rows = content.table.intervals
    rows = rows[rows.verdict.isin(["better", "worse", "no difference"])]
    n_differences = int(rows.verdict.isin(["better", "worse"]).sum())
    if len(rows):
        yield (
            f"All tables together hold {len(rows):,} comparisons, many of them of the same picks. If nothing differed,"
            f" about {len(rows) * (1 - LEVEL):.0f} intervals would miss 0 by chance; {n_differences:,} do."
        )


def _resolution(content: LabContent) -> Iterator[str]:
    n_records = int((content.table.records.part == "test").sum())
    for phase in ("P", "S"):
        rows = _differences(content, ["f1_0.3s"])
        rows = rows[rows.phase == phase]
        half = float(((rows.difference_high - rows.difference_low) / 2).median())
        if np.isfinite(half):
            yield (
                f"{phase}: differences in F1 of less than about {half:.3f} cannot be seen with {n_records:,} records in"
                f" {content.table.n_blocks:,} blocks."
            )


def _trainings(content: LabContent) -> Iterator[str]:
    n_seeds = content.table.scores.groupby("variant").seed.nunique()
    if (n_seeds == 1).all():
        yield "Each variant was trained once: the intervals do not say how another training of it would do."
    else:
        yield f"Means over {n_seeds.min()} to {n_seeds.max()} trainings; the intervals hold the spread between them."


def _touched(content: LabContent) -> Iterator[str]:
    """Pickers of the same teachers and data know the same records."""
    table = content.table.touched[content.table.touched.n_touched > 0]
    for (n_touched, n_records, sets), rows in table.groupby(["n_touched", "n_records", "sets"], sort=False):
        names = list(rows.variant)
        pickers = f"{', '.join(names[:_MOST_NAMES])}" + (
            f" and {n} more" if (n := len(names) - _MOST_NAMES) > 0 else ""
        )
        verbs = "knows, or may know," if len(names) == 1 else "know, or may know,"
        training = "its training" if len(names) == 1 else "their training"
        yield (
            f"{pickers} {verbs} {n_touched:,} of {n_records:,} test records from {training} ({sets}): what is scored on"
            " them is not held out."
        )


def _theirs(content: LabContent) -> Iterator[str]:
    table = content.table.earthml.set_index("variant")
    rows = content.table.intervals
    clear = set(rows.variant[(rows.verdict == "better") & rows.score.str.contains("f1|equal_recall")])
    names = [
        f"{name} ({table.n_better[name]})"
        for name in content.variants[1:]
        if table.n_better[name] > table.n_worse[name] and name not in clear
    ]
    if names:
        n_judged = int(table.n_judged.iloc[0])
        yield (
            f"Counted as in the EarthML studies, better on more of {n_judged} numbers (of {len(COLUMNS) + 1} columns)"
            f" than worse: {', '.join(names)}; no F1 and no recall at an equal number of picks confirms it."
        )
