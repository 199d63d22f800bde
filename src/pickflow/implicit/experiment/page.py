"""The page of the experiment, and its figures as pictures."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from pickflow.implicit.experiment.figures import LOOKS, draw_perturbation, draw_sparsity, perturbed_students, title_of
from pickflow.implicit.experiment.scores import PHASES
from pickflow.report.drawing import illustrate, no_figure
from pickflow.report.frame import render

_PICTURE_DPI = 150
_NAMES = ["form", "model", "weights"]


class Page(NamedTuple):
    """The page, and the two figures as PNG."""

    html: str
    sparsity: bytes
    perturbation: bytes


def make_page(
    run: str,
    scores: pd.DataFrame,
    fits: pd.DataFrame,
    certificates: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
) -> Page:
    """
    Show the experiment.

    Parameters
    ----------
    run : str
        Its name.
    scores, fits : DataFrame
        `IMPLICIT_SCORES` and `IMPLICIT_FITS` of all pickers.
    certificates : sequence of mapping
        One for each picker.
    provenance : mapping
        For the foot of the page.

    Returns
    -------
    Page
        The same tables give the same bytes.
    """
    sparsity, perturbation = draw_sparsity(scores), draw_perturbation(scores)
    figures = [
        illustrate(
            sparsity, "sparsity",
            "F1 against the share of the weights that are left, with intervals of 95 %; grey is the teacher's. Dotted"
            " lines are solutions as they are, drawn ones were fitted again to what the layers before make.",
        ),
        illustrate(
            perturbation, "perturbation",
            "F1 of the teacher and of students with equally many weights against the level of a perturbation, with"
            " intervals of 95 %; 0 is no perturbation.",
        )
        if (scores.perturbation != "none").any()
        else no_figure("Nothing was perturbed."),
    ]  # fmt: skip
    html = render(
        "pickflow.implicit.experiment",
        "page.html.j2",
        provenance,
        {"difference": _difference},
        run=run,
        figures=figures,
        pickers=[
            _picker(name, scores_of_picker, fits, certificates)
            for name, scores_of_picker in scores.groupby(_NAMES, sort=True)
        ],
    )
    return Page(html, _picture(sparsity), _picture(perturbation))


def _picture(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_PICTURE_DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _picker(
    name: Any, scores: pd.DataFrame, fits: pd.DataFrame, certificates: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    certificate = next(candidate for candidate in certificates if tuple(candidate[key] for key in _NAMES) == name)
    fits_of_picker = fits[(fits[_NAMES] == list(name)).all(axis=1)]
    plain = scores[scores.perturbation == "none"]
    return {
        "title": title_of(name),
        "certificate": certificate,
        "left_out": _left_out(certificate["left_out"]),
        "fits": _fits(fits_of_picker),
        "tables": [(data, _students(part)) for data, part in plain.groupby("data", sort=False)],
        "sentences": [_smallest(data, part) for data, part in plain.groupby("data", sort=False)]
        + [_robust(data, part) for data, part in perturbed_students(scores).groupby("data", sort=False)],
    }


def _left_out(records: Sequence[Mapping[str, str]]) -> list[str]:
    """How many records of each labelled set are left out, by reason."""
    counts = Counter((record["data"], record["reason"]) for record in records)
    return [f"{data}: {n} × {reason}" for (data, reason), n in sorted(counts.items())]


def _fits(fits: pd.DataFrame) -> list[dict[str, Any]]:
    """Sums over the layers of each lasso."""
    counts = ["n_features", "n_zero", "n_screened_safe", "n_screened_gap", "n_checked", "n_problems", "n_false"]
    rows = fits.groupby(["penalty", "bound", "ratio"], sort=False)[counts].sum().reset_index()
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _students(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """One row for each student: its F1 of P and S and their differences to the teacher's."""
    names = ["method", "penalty", "bound", "refit", "ratio", "n_nonzero", "n_weights"]
    ordered = scores.sort_values(["n_nonzero", "method", "penalty", "refit"], ascending=False, kind="stable")
    rows = []
    for student, scores_of_student in ordered.groupby(names, sort=False):
        named = dict(zip(names, student if isinstance(student, tuple) else (student,), strict=True))
        phases = {phase: scores_of_student[scores_of_student.phase == phase].iloc[0].to_dict() for phase in PHASES}
        rows.append({**named, "label": _label(named), "phases": phases})
    return rows


def _label(student: Mapping[str, Any]) -> str:
    if student["method"] == "teacher":
        return "teacher"
    if student["bound"] == "everywhere":
        return "lasso, bound of all rows"
    return LOOKS[student["method"], student["penalty"], bool(student["refit"])][2]


def _smallest(data: Any, scores: pd.DataFrame) -> str:
    """The smallest student of each method whose F1 of both phases is not shown to be lower than the teacher's."""
    rows = [row for row in _students(scores) if row["method"] != "teacher" and row["bound"] == "none"]
    as_good = [row for row in rows if all(phase["difference_high"] >= 0 for phase in row["phases"].values())]
    parts = []
    for _, _, label in LOOKS.values():
        sizes = [row["n_nonzero"] / row["n_weights"] for row in as_good if row["label"] == label]
        if any(row["label"] == label for row in rows):
            parts.append(f"{label} {100 * min(sizes):.0f} %" if sizes else f"{label} none")
    return (
        f"{data}: weights of the smallest student whose F1 of P and of S is not shown to be lower than the teacher's: "
        f"{'; '.join(parts)}."
    )


def _robust(data: Any, scores: pd.DataFrame) -> str:
    """How often a student under a perturbation is better or worse than the teacher under the same."""
    parts = []
    for key, (_, _, label) in LOOKS.items():
        part = scores[(scores.perturbation != "none") & (scores.method == key[0]) & (scores.penalty == key[1])]
        part = part[part.refit == key[2]]
        if len(part):
            better, worse = int((part.difference_low > 0).sum()), int((part.difference_high < 0).sum())
            parts.append(f"{label} better {better}, worse {worse}, no difference {len(part) - better - worse}")
    return f"{data}: F1 under perturbations against the teacher's under the same: {'; '.join(parts)}."


def _difference(phase: Mapping[str, Any]) -> str:
    """Difference to the teacher with its interval; one that holds 0 says so."""
    text = f"{phase['difference']:+.3f} [{phase['difference_low']:+.2f}, {phase['difference_high']:+.2f}]"
    return f"{text} ns" if phase["difference_low"] <= 0 <= phase["difference_high"] else text
