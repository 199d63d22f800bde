"""Figures of the experiment: F1 against the weights that are left, and against what is done to the waveforms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pickflow.implicit.experiment.perturbation import KINDS
from pickflow.implicit.experiment.scores import PHASES
from pickflow.report import drawing

# Method, penalty and whether it was fitted again: colour, line and label.
LOOKS = {
    ("lasso", "element", True): ("#0072b2", "-", "lasso, fitted again"),
    ("lasso", "element", False): ("#0072b2", ":", "lasso"),
    ("lasso", "group", True): ("#009e73", "-", "group lasso, fitted again"),
    ("lasso", "group", False): ("#009e73", ":", "group lasso"),
    ("magnitude", "element", True): ("#d55e00", "-", "magnitude, fitted again"),
    ("magnitude", "element", False): ("#d55e00", ":", "magnitude"),
}
TEACHER_LOOK = (drawing.INK, "--", "teacher")
KIND_LABELS = {
    "noise": "added noise / window (rms)",
    "gain": "gains (s.d. of the logarithm)",
    "dropout": "samples lost (share)",
    "gap_s": "gap (s)",
}
_LEFT_PX, _TOP_PX, _STEP_PX, _HEIGHT_PX = 58, 66, 210, 150


def draw_sparsity(scores: pd.DataFrame) -> Figure:
    """
    F1 of P and S against the share of weights that are left, a row for each picker and data set.

    Parameters
    ----------
    scores : DataFrame
        `IMPLICIT_SCORES`.
    """
    plain = scores[(scores.perturbation == "none") & (scores.bound == "none")]
    rows = list(plain.groupby(["form", "model", "weights", "data"], sort=True))
    figure = drawing.new_figure(drawing.WIDE_PX, _TOP_PX + _STEP_PX * len(rows))
    for row, (name, part) in enumerate(rows):
        for column, phase in enumerate(PHASES):
            axes = drawing.add_axes(figure, _LEFT_PX + 440 * column, _TOP_PX + _STEP_PX * row, 400, _HEIGHT_PX)
            _draw_lines(axes, part[part.phase == phase])
            axes.set_title(f"{title_of(name[:3])}, {name[3]}: {phase}", fontsize=10.5)
            axes.set_xlabel("weights that are left (%)" if row == len(rows) - 1 else "")
            axes.set_ylabel("" if column else "F1 within 0.3 s")
    _legend(figure)
    return figure


def draw_perturbation(scores: pd.DataFrame) -> Figure:
    """
    F1 of the teacher and of its students of one size against the level of each perturbation.

    Parameters
    ----------
    scores : DataFrame
        `IMPLICIT_SCORES`.
    """
    rows = [
        (name, phase, part[part.phase == phase])
        for name, part in perturbed_students(scores).groupby(["form", "model", "weights", "data"], sort=True)
        for phase in PHASES
    ]
    kinds = [kind for kind in KINDS if (scores.perturbation == kind).any()]
    figure = drawing.new_figure(drawing.WIDE_PX, _TOP_PX + _STEP_PX * max(len(rows), 1))
    width = 840 / max(len(kinds), 1)
    for row, (name, phase, part) in enumerate(rows):
        for column, kind in enumerate(kinds):
            axes = drawing.add_axes(figure, _LEFT_PX + width * column, _TOP_PX + _STEP_PX * row, width - 36, _HEIGHT_PX)
            _draw_levels(axes, part[part.perturbation.isin(["none", kind])])
            axes.set_title("" if column else f"{title_of(name[:3])}, {name[3]}: {phase}", fontsize=10.5)
            axes.set_xlabel(KIND_LABELS[kind] if row == len(rows) - 1 else "", fontsize=9.5)
            axes.set_ylabel("" if column else "F1 within 0.3 s")
    _legend(figure)
    return figure


def perturbed_students(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of the students that were perturbed, unperturbed ones included."""
    names = ["form", "model", "weights", "method", "penalty", "bound", "refit", "ratio"]
    chosen = scores[scores.perturbation != "none"][names].drop_duplicates()
    return scores.merge(chosen, on=names)


def title_of(name: Any) -> str:
    """Form, model and weights in words."""
    form, model, weights = map(str, name)
    return f"{model} {weights} {'as one equation' if form == 'whole' else 'by layers'}"


def _draw_lines(axes: Axes, scores: pd.DataFrame) -> None:
    teacher = scores[scores.method == "teacher"].iloc[0]
    colour, line, label = TEACHER_LOOK
    axes.axhspan(teacher.f1_low, teacher.f1_high, color=drawing.FAINT, linewidth=0)
    axes.axhline(teacher.f1, color=colour, linestyle=line, label=label, linewidth=1.0)
    for (method, penalty, refit), (colour, line, label) in LOOKS.items():
        curve = scores[(scores.method == method) & (scores.penalty == penalty) & (scores.refit == refit)]
        if curve.empty:
            continue
        curve = curve.sort_values("n_nonzero")
        share = 100 * curve.n_nonzero / curve.n_weights
        axes.plot(share, curve.f1, color=colour, linestyle=line, marker="o", markersize=3.5, label=label)
        axes.vlines(share, curve.f1_low, curve.f1_high, color=colour, linewidth=0.7, alpha=0.6)
    axes.set_ylim(-0.02, 1.02)
    axes.grid(True)


def _draw_levels(axes: Axes, scores: pd.DataFrame) -> None:
    looks = {("teacher", "none", False): TEACHER_LOOK, **LOOKS}
    places = {level: place for place, level in enumerate(sorted(scores.level.unique()))}
    for (method, penalty, refit), (colour, line, label) in looks.items():
        curve = scores[(scores.method == method) & (scores.penalty == penalty) & (scores.refit == refit)]
        if curve.empty:
            continue
        curve = curve.sort_values("level")
        at = np.array([places[level] for level in curve.level], dtype=float)
        axes.plot(at, curve.f1, color=colour, linestyle=line, marker="o", markersize=3.5, label=label)
        axes.vlines(at, curve.f1_low, curve.f1_high, color=colour, linewidth=0.7, alpha=0.6)
    axes.set_xticks(list(places.values()), [f"{level:g}" for level in places])
    axes.set_ylim(-0.02, 1.02)
    axes.grid(True, axis="y")


def _legend(figure: Figure) -> None:
    if figure.axes:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        height = float(figure.get_figheight())
        figure.legend(
            handles, labels, loc="upper left", ncols=4, frameon=False, fontsize=10,
            bbox_to_anchor=(_LEFT_PX / drawing.WIDE_PX, 1 - 0.04 / height),
        )  # fmt: skip
