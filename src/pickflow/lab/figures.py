"""Figures of the lab: differences with their intervals, recall against the number of picks, cost, training curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pickflow.datasets.records import TOLERANCES_S
from pickflow.lab.content import LabContent
from pickflow.report import drawing

PHASES = ("P", "S")
_VERDICT_COLOURS = {"better": "#009e73", "worse": "#d55e00"}  # Okabe and Ito (2008)
_ROW_PX = 20
_MOST_PICKS = 3.0  # for each manual one: beyond it all curves are flat
_DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)))
_COSTS = {"multiply_adds": "Multiply-adds", "n_parameters": "Parameters"}


def draw_differences(name: str, content: LabContent, measure: str, label: str) -> drawing.Illustration:
    """
    Differences of all variants to the reference, with intervals, for P and S at each tolerance.

    Parameters
    ----------
    name : str
        Unique on the page.
    content : LabContent
        With its table.
    measure, label : str
        ``f1`` or ``equal_recall``, and how it is called.
    """
    variants = content.variants[1:]
    rows = content.table.intervals
    rows = rows[rows.variant.isin(variants) & rows.phase.isin(PHASES) & rows.score.str.startswith(measure)]
    if not rows.difference_low.notna().any():
        return drawing.no_figure(f"There are no intervals of {label}: nothing to compare, or too few blocks.")
    height = _ROW_PX * len(variants) + 8
    figure = drawing.new_figure(drawing.WIDE_PX, 2 * (height + 58) + 22)
    left_px = 26 + 6.4 * max(map(len, variants))
    width = (drawing.WIDE_PX - left_px - 14 * len(TOLERANCES_S)) / len(TOLERANCES_S)
    for line, phase in enumerate(PHASES):
        phase_rows = rows[rows.phase == phase]
        limit = 1.05 * float(
            np.nanmax(phase_rows[["difference_low", "difference_high"]].abs().to_numpy(), initial=0.01)
        )
        for column, tolerance in enumerate(TOLERANCES_S):
            place = (left_px + column * (width + 14), 30 + line * (height + 62), width, height)
            axes = drawing.add_axes(figure, *place)
            forest_rows = (
                phase_rows[phase_rows.score == f"{measure}_{tolerance:g}s"].set_index("variant").reindex(variants)
            )
            _draw_forest(axes, forest_rows, limit)
            axes.set_yticks(range(len(variants)), variants if not column else [""] * len(variants))
            axes.set_title(f"{phase} within {tolerance:g} s")
    figure.axes[4].set_xlabel(f"{label}: variant − {content.table.params.reference}")
    caption = (
        f"{label} of each variant minus that of {content.table.params.reference}, with the 95 % interval of the paired"
        f" difference; orange is worse, green is better, grey is no difference."
    )
    return drawing.illustrate(figure, name, caption)


def _draw_forest(axes: Axes, rows: pd.DataFrame, limit: float) -> None:
    axes.axvline(0, color=drawing.GREY, linewidth=0.8)
    for place, row in enumerate(rows.to_dict("records")):
        colour = _VERDICT_COLOURS.get(row["verdict"], drawing.GREY)
        axes.plot([row["difference_low"], row["difference_high"]], [place, place], color=colour, linewidth=1.8)
        axes.plot([row["difference"]], [place], "o", color=colour, markersize=5)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(-limit, limit))
    axes.xaxis.set_major_locator(MaxNLocator(5, prune="both"))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")


def draw_recall_curves(name: str, content: LabContent) -> drawing.Illustration:
    """
    Recall of P and S within 0.3 s against the number of picks.

    Parameters
    ----------
    name : str
        Unique on the page.
    content : LabContent
        With its table.
    """
    curves = content.table.curves
    if curves.empty:
        return drawing.no_figure("No record of the test part has a label, so there is no recall.")
    n_columns = 5
    limit = float(np.clip(1.05 * curves.picks_per_label.max(), 1.2 * content.table.params.picks_per_label, _MOST_PICKS))
    n_lines = -(-len(content.variants) // n_columns)
    figure = drawing.new_figure(drawing.WIDE_PX, 330 + 18 * n_lines)
    for column, phase in enumerate(PHASES):
        axes = drawing.add_axes(figure, 58 + 450 * column, 26, 390, 240)
        axes.axvline(content.table.params.picks_per_label, color=drawing.GREY, linewidth=0.9, linestyle=(0, (3, 3)))
        for number, variant in enumerate(reversed(content.variants)):
            rows = curves[(curves.variant == variant) & (curves.phase == phase)]
            x, y = _thinned(rows.picks_per_label.to_numpy(float), rows.recall.to_numpy(float))
            axes.plot(x, y, label=variant, **_line_style(content, variant), zorder=2 + number / 100)
        axes.set(xlim=(0, limit), ylim=(0, 1.01), title=phase, xlabel="Picks per manual pick")
        axes.set_ylabel("" if column else "Recall within 0.3 s")
        axes.grid(True)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.axes[0].legend(
        handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(-0.08, -0.17), ncols=n_columns, frameon=False,
        fontsize=10.5, columnspacing=1.3, handlelength=1.8, handletextpad=0.5,
    )  # fmt: skip
    caption = (
        "Recall of the most probable picks, in events and in noise, whatever their probability; the table compares at"
        " the dashed line. A curve ends where a picker has no more picks; of several trainings the first is shown."
    )
    return drawing.illustrate(figure, name, caption)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most about 400 points: more cannot be seen."""
    step = max(1, len(x) // 400)
    keep = np.unique(np.append(np.arange(0, len(x), step), len(x) - 1)) if len(x) else np.empty(0, int)
    return x[keep], y[keep]


def _line_style(content: LabContent, variant: str) -> dict[str, Any]:
    place = content.variants.index(variant)
    if not place:
        return {"color": drawing.INK, "linewidth": 2.2}
    colours = drawing.SERIES_COLOURS[:-1]  # the last is the reference's
    dashes = _DASHES[(place - 1) // len(colours) % len(_DASHES)]
    return {"color": colours[(place - 1) % len(colours)], "linestyle": dashes, "linewidth": 1.3}


def draw_costs(name: str, content: LabContent) -> drawing.Illustration:
    """
    Multiply-adds and parameters beside F1 of P and S within 0.3 s, with intervals; the cheapest first.

    Parameters
    ----------
    name : str
        Unique on the page.
    content : LabContent
        With costs.
    """
    if content.costs is None or not content.costs[list(_COSTS)].notna().any().all():
        return drawing.no_figure("What the pickers cost is not known.")
    costs = content.costs.set_index("variant").reindex(content.variants)
    costs = costs.sort_values(list(_COSTS), kind="stable")
    variants = [str(variant) for variant in costs.index]
    height = _ROW_PX * len(variants) + 8
    left_px = 26 + 6.4 * max(map(len, variants))
    width = (drawing.WIDE_PX - left_px - 18 * 4) / 4
    figure = drawing.new_figure(drawing.WIDE_PX, height + 58)
    panels = [drawing.add_axes(figure, left_px + place * (width + 18), 8, width, height) for place in range(4)]
    for axes, (measure, label) in zip(panels, _COSTS.items(), strict=False):
        axes.plot(costs[measure].to_numpy(float), range(len(variants)), "o", color=drawing.INK, markersize=4.5)
        _cost_axis(axes, costs[measure].to_numpy(float))
        axes.set_xlabel(label)
    for axes, phase in zip(panels[2:], PHASES, strict=True):
        _draw_scores(axes, [content.interval(variant, phase, "f1_0.3s") for variant in variants])
        axes.set_xlabel(f"F1 of {phase}")
    for place, axes in enumerate(panels):
        axes.set_yticks(range(len(variants)), variants if not place else [""] * len(variants))
        axes.set_ylim(len(variants) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(True)
    caption = (
        "Cost of a window, and F1 within 0.3 s with its 95 % interval; the cheapest first. The line is the reference."
    )
    return drawing.illustrate(figure, name, caption)


def _cost_axis(axes: Axes, costs: np.ndarray) -> None:
    """Logarithmic if the costs differ by more than a few times."""
    if np.nanmax(costs) < 5 * np.nanmin(costs):
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.margins(x=0.12)
    else:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=5))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", which="minor", length=0)
    axes.xaxis.set_major_formatter(lambda value, _position: drawing.short_number(value))


def _draw_scores(axes: Axes, rows: list[pd.Series]) -> None:
    for place, row in enumerate(rows):
        is_reference = row.verdict == "reference"
        if is_reference:
            axes.axvline(row.value, color=drawing.GREY, linewidth=0.8, linestyle=(0, (3, 3)))
        colour = drawing.INK if is_reference else _VERDICT_COLOURS.get(row.verdict, drawing.GREY)
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.8)
        axes.plot([row.value], [place], "o", color=colour, markersize=5)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def draw_trainings(name: str, content: LabContent) -> drawing.Illustration:
    """
    Training curves of all variants, a panel for each measure.

    Parameters
    ----------
    name : str
        Unique on the page.
    content : LabContent
        With trainings.
    """
    curves = content.trainings
    if curves is None or curves.empty:
        return drawing.no_figure("No training curves were given.")
    measures = list(dict.fromkeys(curves.measure))[:4]
    n_lines = -(-len(measures) // 2)
    figure = drawing.new_figure(drawing.WIDE_PX, 250 * n_lines + 6)
    for place, measure in enumerate(measures):
        axes = drawing.add_axes(figure, 58 + 450 * (place % 2), 24 + 250 * (place // 2), 390, 180)
        measure_curves = curves[curves.measure == measure]
        for variant in content.variants:
            for _, rows in measure_curves[measure_curves.variant == variant].sort_values("epoch").groupby("seed"):
                axes.plot(rows.epoch, rows.value, **_line_style(content, variant))
        axes.set(title=measure, xlabel="Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(True)
    return drawing.illustrate(figure, name, "A line for each training, in the colours of the figure of recall.")
