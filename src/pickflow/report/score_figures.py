"""Figures of picks against a reference, and of precision and recall of picks and events by groups and by threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pickflow.report import drawing

_COLOURS = {**drawing.PHASE_COLOURS, "": drawing.MATCHED_COLOUR}
_LABELS = {
    "distance_km": "Distance (km)",
    "magnitude": "Magnitude",
    "hour": "Hour of day (UTC)",
    "n_picks": "Picks per event",
}
_DASHED: Any = (0, (4, 2))


def draw_pick_residuals(name: str, matches: pd.DataFrame) -> drawing.Illustration:
    """
    Histograms of our picks - those of the reference, P and S.

    Parameters
    ----------
    name : str
        Unique on the page.
    matches : DataFrame
        Table `PICK_MATCHES`.
    """
    matched = matches[matches.verdict == "matched"]
    if matched.empty:
        return drawing.no_figure("No pick matches one of the reference, so there are no time differences to show.")
    figure = drawing.new_figure(drawing.HALF_PX, 270)
    axes = drawing.add_axes(figure, 62, 62, drawing.HALF_PX - 76, 160)
    limit = max(0.05, 1.02 * float(matched.time_error_s.abs().quantile(0.99)))
    for phase, colour in drawing.PHASE_COLOURS.items():
        error = matched.time_error_s[matched.phase == phase]
        if error.empty:
            continue
        median = float(error.median())
        mad = float((error - median).abs().median())
        axes.hist(
            error.clip(-limit, limit), bins=list(np.linspace(-limit, limit, 52)), histtype="stepfilled",
            color=(colour, 0.25), edgecolor=colour, linewidth=1.2,
            label=f"{phase}: mean {1e3 * error.mean():+.0f} ms, median {1e3 * median:+.0f} ms, MAD {1e3 * mad:.0f} ms,"
            f" n = {len(error):,}",
        )  # fmt: skip
    axes.axvline(0, color=drawing.GREY, linewidth=0.8)
    axes.set(xlabel="Pick − reference (s)", ylabel="Picks", xlim=(-limit, limit))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    drawing.legend(axes, "lower left", 1, (-0.03, 1.0))
    caption = "Time of our picks minus that of the analysts'; a median off zero is a habit of one side."
    return drawing.illustrate(figure, name, caption)


def draw_confusion(name: str, confusion: Mapping[str, Mapping[str, int]]) -> drawing.Illustration:
    """Matrix of the reference's phases (rows) and ours (columns), with shares of the row."""
    names = ("P", "S", "none")
    counts = np.array([[confusion[row].get(column, 0) for column in names] for row in names], float)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    share[2, :] = 0.0
    figure = drawing.new_figure(drawing.HALF_PX, 250)
    axes = drawing.add_axes(figure, 130, 44, 300, 170)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.3, aspect="auto")
    for (row, column), n in np.ndenumerate(counts):
        if (row, column) == (2, 2):
            continue
        text = f"{n:,.0f}" + (f"\n{share[row, column]:.1%}" if row < 2 and total[row] else "")
        dark = share[row, column] > 0.65
        axes.text(column, row, text, ha="center", va="center", fontsize=10.5, color="white" if dark else drawing.INK)
    axes.set_xticks(range(3), ["P", "S", "not picked"])
    axes.set_yticks(range(3), ["P", "S", "not in it"])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xlabel("ours")
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("reference")
    for spine in axes.spines.values():
        spine.set(visible=True, color=drawing.FAINT)
    caption = (
        "Which phase the reference has, and which one we have there; shares are of the row. The last row counts the"
    )
    return drawing.illustrate(figure, name, caption + " judged picks that the reference lacks.")


def draw_threshold_curves(name: str, table: pd.DataFrame) -> drawing.Illustration:
    """
    Precision, recall and F1 of P and S against the threshold of the probability.

    Parameters
    ----------
    name : str
        Unique on the page.
    table : DataFrame
        Table `SCORES` of a pick set.
    """
    curves = table[table.by == "threshold"]
    if curves.empty:
        return drawing.no_figure("The picks have no probabilities, so there is no curve over the threshold.")
    figure = drawing.new_figure(drawing.HALF_PX, 300)
    axes = drawing.add_axes(figure, 62, 72, drawing.HALF_PX - 76, 178)
    for phase in drawing.PHASE_COLOURS:
        rows = curves[curves.phase == phase].sort_values("low")
        for column, style, width in (("f1", "-", 1.8), ("recall", _DASHED, 1.1), ("precision", (0, (1, 1.5)), 1.3)):
            axes.plot(
                rows.low, rows[column], color=drawing.PHASE_COLOURS[phase], linestyle=style, linewidth=width,
                label=f"{phase} {'F1' if column == 'f1' else column}",
            )  # fmt: skip
    axes.set(xlabel="Threshold of the probability", ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axes.grid(True)
    drawing.legend(axes, "lower left", 2, (-0.03, 1.0))
    best = []
    for phase in drawing.PHASE_COLOURS:
        rows = curves[(curves.phase == phase) & curves.f1.notna()].reset_index(drop=True)
        if len(rows):
            best.append(f"{phase} {rows.f1.max():.2f} at {rows.low[int(rows.f1.argmax())]:.2f}")
    caption = "Scores of the picks above a threshold. It starts at the one that the run was picked with."
    return drawing.illustrate(figure, name, caption + (f" Largest F1: {', '.join(best)}." if best else ""))


def draw_groups(name: str, table: pd.DataFrame, groups: Sequence[str]) -> drawing.Illustration:
    """
    Recall (filled) and precision (open) by groups, one panel for each, with the number of reference rows as bars.

    Parameters
    ----------
    name : str
        Unique on the page.
    table : DataFrame
        Table `SCORES` of a pick set or a catalog.
    groups : sequence of str
        Values of its column ``grouping``.
    """
    drawable = [grouping for grouping in groups if (table.by == grouping).any()]
    if not drawable:
        return drawing.no_figure("Nothing is known about distance, magnitude or time of what was compared.")
    subject = "Events" if (table.subject == "events").any() else "Picks"
    figure = drawing.new_figure(drawing.WIDE_PX, 290)
    width = (drawing.WIDE_PX - 70 - 56 * len(drawable)) / len(drawable)
    explained: set[str] = set()
    for index, grouping in enumerate(drawable):
        axes = drawing.add_axes(figure, 56 + index * (width + 62), 40, width, 190)
        _draw_group(axes, table[table.by == grouping], _LABELS[grouping])
        labels = set(axes.get_legend_handles_labels()[1])
        if not labels <= explained:
            drawing.legend(axes, "lower left", 4, (-0.05, 1.0))
            explained |= labels
    figure.axes[0].set_ylabel("Recall and precision")
    caption = f"{subject}: recall (filled, of the reference) and precision (open, of what can be judged)."
    caption += " Grey bars are the share of the reference in each group; groups of fewer than 5 are left out."
    return drawing.illustrate(figure, name, caption)


def _draw_group(axes: Axes, rows: pd.DataFrame, label: str) -> None:
    bins = rows.groupby("low").n_reference.sum().sort_index()
    places = {low: index for index, low in enumerate(bins.index)}
    total = bins.sum()
    if total:
        axes.bar(range(len(bins)), bins / total, width=0.9, color=drawing.FAINT, zorder=0)
    for phase in _COLOURS:
        part = rows[rows.phase == phase].sort_values("low")
        x, colour = part.low.map(places).to_numpy(float), _COLOURS[phase]
        prefix = f"{phase} " if phase else ""
        recall = part.recall.where(part.n_reference >= 5).to_numpy(float)
        precision = part.precision.where(part.n_judged >= 5).to_numpy(float)
        if np.isfinite(recall).any():
            axes.plot(x, recall, "-o", color=colour, markersize=4.5, linewidth=1.3, label=f"{prefix}recall")
        if np.isfinite(precision).any():
            axes.plot(
                x, precision, linestyle=_DASHED, marker="o", color=colour, markersize=4.5, markerfacecolor="white",
                linewidth=1.0, label=f"{prefix}precision",
            )  # fmt: skip
    names = [f"{round(float(low), 3) + 0.0:g}" for low in bins.index]
    step = max(1, -(-len(names) // 9))
    axes.set_xticks(range(0, len(names), step), names[::step])
    axes.set(xlabel=f"{label}, from", ylim=(0, 1.03), xlim=(-0.6, len(bins) - 0.4))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))


def draw_station_scores(name: str, table: pd.DataFrame) -> drawing.Illustration:
    """Recall of P and S at each station of the reference."""
    rows = table[(table.by == "station") & (table.n_reference > 0)]
    if rows.empty:
        return drawing.no_figure("The reference has no pick at the stations of the run.")
    n = rows.groupby("bin").n_reference.sum().sort_values(ascending=False, kind="stable")
    stations = sorted(n.index[: drawing.N_STATIONS_SHOWN])
    figure = drawing.new_figure(drawing.HALF_PX, 30 + drawing.ROW_PX * len(stations) + 44)
    axes = drawing.add_axes(figure, 84, 24, drawing.HALF_PX - 150, drawing.ROW_PX * len(stations))
    for phase, offset in (("P", -0.17), ("S", 0.17)):
        part = rows[(rows.phase == phase) & rows.bin.isin(stations)]
        y = np.array([stations.index(station) for station in part.bin]) + offset
        axes.hlines(y, 0, part.recall, color=drawing.PHASE_COLOURS[phase], linewidth=1.4, alpha=0.5)
        axes.scatter(part.recall, y, s=18, color=drawing.PHASE_COLOURS[phase], label=phase, zorder=3)
    for row, station in enumerate(stations):
        axes.text(1.03, row, f"{n[station]:,}", transform=axes.get_yaxis_transform(), va="center", fontsize=9.5)
    axes.text(1.03, 1.0, "picks", transform=axes.transAxes, va="bottom", fontsize=9.5, color=drawing.GREY)
    axes.set_yticks(range(len(stations)), stations, fontsize=9.5)
    axes.set_ylim(len(stations) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(0, 1.0), xlabel="Recall of the analysts' picks")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axes.grid(True, axis="x")
    drawing.legend(axes, "lower right", 2, (1.0, 1.0))
    caption = "Share of the reference's picks that were found, by station, with their number at the right."
    if len(stations) < len(n):
        caption += f" The {len(stations)} of {len(n)} stations with the most are shown."
    return drawing.illustrate(figure, name, caption)


def draw_comparison(
    name: str, picks: Mapping[str, pd.DataFrame], events: Mapping[str, pd.DataFrame]
) -> drawing.Illustration:
    """
    Precision against recall of all pick sets (over the threshold) and catalogs (over the least number of picks).

    Parameters
    ----------
    name : str
        Unique on the page.
    picks, events : mapping of str to DataFrame
        Tables `SCORES` by the name to show, best first.
    """
    panels: list[tuple[str, Mapping[str, pd.DataFrame], str, str]] = [
        (f"{phase} picks", picks, phase, "threshold") for phase in drawing.PHASE_COLOURS
    ]
    panels = [*panels, ("Events", events, "", "min_n_picks")]
    panels = [panel for panel in panels if any(_points(t, panel[2], panel[3]).size for t in panel[1].values())]
    if not panels:
        return drawing.no_figure("There is no reference to compare the catalogs with.")
    n_legend = max(len(panel[1]) for panel in panels)
    figure = drawing.new_figure(drawing.WIDE_PX, 330 + 17 * n_legend)
    width = min(280.0, (drawing.WIDE_PX - 70 - 44 * len(panels)) / len(panels))
    for index, (title, tables, phase, grouping) in enumerate(panels):
        axes = drawing.add_axes(figure, 58 + index * (width + 52), 28, width, 250)
        _draw_iso_f1(axes)
        for row, (label, table) in enumerate(tables.items()):
            colour = drawing.SERIES_COLOURS[row % len(drawing.SERIES_COLOURS)]
            points = _points(table, phase, grouping)
            style = ("-", _DASHED, (0, (1, 1.5)))[row // len(drawing.SERIES_COLOURS) % 3]
            axes.plot(*points.T, color=colour, linestyle=style, linewidth=1.4, label=label)
            whole = _points(table, phase, "all")
            axes.plot(*whole.T, "o", color=colour, markersize=5.5, clip_on=False, zorder=4)
        axes.set(title=title, xlim=(0, 1), ylim=(0, 1.0), xlabel="Recall")
        axes.set_ylabel("" if index else "Precision")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, 0))
        if index in (0, len(panels) - 1):
            drawing.legend(axes, "upper left", 1, (-0.05, -0.2))
    caption = (
        "Every catalog and pick set: the mark is all of it; along the curve, picks need a larger probability, events"
    )
    return drawing.illustrate(
        figure, name, caption + " more picks. Up and to the right is better; grey lines have the same F1."
    )


def _points(table: pd.DataFrame, phase: str, grouping: str) -> np.ndarray:
    """Recall and precision along a curve, shape (n, 2)."""
    rows = table[(table.phase == phase) & (table.by == grouping)].sort_values("low")
    return rows[["recall", "precision"]].dropna().to_numpy(float)


def _draw_iso_f1(axes: Axes) -> None:
    for level in (0.2, 0.4, 0.6, 0.8, 0.9):
        recall = np.linspace(level / (2 - level) + 1e-6, 1, 60)
        axes.plot(recall, level * recall / (2 * recall - level), color=drawing.FAINT, linewidth=0.9, zorder=0)
        axes.text(0.995, level / (2 - level), f"{level:g}", fontsize=8.5, color=drawing.GREY, ha="right", va="bottom")
