"""Figure of a compression: how well teacher and students pick against what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pickflow.report import drawing

_WIDTH_PX, _PANEL_PX, _HEIGHT_PX = 920, (244, 146), 402  # layout, chosen
_LOOK = {"safe": ("#2a788e", "o", "SAFE"), "magnitude": (drawing.UNMATCHED_COLOUR, "D", "magnitude")}
_TUNED_LINE: Any = (0, (4, 2))
_PHASES = ("P", "S")
# Chosen: a curve ends in networks that pick nothing; points this far below the worst student are not shown.
_SHOWN_BELOW = 0.15


class Point(NamedTuple):
    """
    A network in the figure.

    Parameters
    ----------
    method : str
        ``teacher``, ``safe`` or ``magnitude``.
    label : str
        Written beside the mark.
    cost : float
        On the panel's axis.
    f1 : mapping of str to float
        By phase, for picks within 0.3 s.
    int8 : bool
        Drawn as an outline.
    """

    method: str
    label: str
    cost: float
    f1: Mapping[str, float]
    int8: bool


def fastest_ms(latency: Mapping[str, Any]) -> float | None:
    """Time per window at batch 1 in the fastest of the runtimes that were measured, in ms."""
    measured = [(latency.get(f"{runtime}_ms") or {}).get("1") for runtime in ("torch", "onnxruntime", "kernels")]
    return min((float(value) for value in measured if value is not None), default=None)


def draw_trade_off(
    name: str, compression: Mapping[str, Any], latency: Mapping[str, Mapping[str, Any]]
) -> drawing.Illustration:
    """
    F1 of P and of S against MACs, parameters and milliseconds.

    Parameters
    ----------
    name : str
        Unique on the page.
    compression, latency : mapping
        Contents of ``compression.json`` and ``latency.json``; see ``docs/data-formats.md``.
    """
    models = compression["models"]
    if not any(model["method"] != "teacher" for model in models):
        return drawing.no_figure("No student was made, so there is no trade-off to show.")
    times = {model["name"]: fastest_ms(latency.get(model["name"], {})) for model in models}
    panels = [
        ("MACs per window", [_point(model, model["macs"]) for model in models], "macs"),
        ("Parameters", [_point(model, model["n_parameters"]) for model in models], "n_parameters"),
        ("Time per window (ms)", [_point(model, times[model["name"]]) for model in models], None),
    ]
    floor, top = _limits(models)
    figure = drawing.new_figure(_WIDTH_PX, _HEIGHT_PX)
    cut_off = False
    for column, (label, points, key) in enumerate(panels):
        upper = None
        for row, phase in enumerate(_PHASES):
            axes = drawing.add_axes(figure, 58 + 304 * column, 34 + 168 * row, *_PANEL_PX, share_x=upper)
            upper = upper or axes
            if key:
                cut_off |= _draw_curve(axes, compression["curve"], key, phase) < floor
            _draw_points(axes, [point for point in points if point.cost > 0], phase)
            costs = [point.cost for point in points] + [entry[key] for entry in compression["curve"] if key]
            _cost_axis(axes, label if row else "", [cost for cost in costs if cost > 0])
            axes.set_ylim(floor, top)
            axes.yaxis.set_major_locator(MaxNLocator(5))
            axes.set_ylabel("" if column else f"F1 of {phase}")
    _legend(figure.axes[0], models, compression["curve"])
    return drawing.illustrate(figure, name, _caption(cut_off))


def _caption(cut_off: bool) -> str:
    text = (
        "F1 of picks within 0.3 s against cost (logarithmic): the dashed line is the teacher's, large marks are"
        " students, small ones networks of other sizes; time is that of the fastest runtime for one window."
    )
    return text + (" Networks that pick much worse are cut off." if cut_off else "")


def _point(model: Mapping[str, Any], cost: float | None) -> Point:
    level = "" if model["level"] is None or model["int8"] else str(model["level"])
    f1 = {phase: _number(model[f"{phase.lower()}_f1"]["0.3s"]) for phase in _PHASES}
    return Point(model["method"], level, _number(cost), f1, bool(model["int8"]))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _limits(models: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    scores = [value for model in models for value in _point(model, 1.0).f1.values() if math.isfinite(value)]
    # Slightly below 0, so that the mark of a network that picks nothing is not cut.
    return max(-0.06, min(scores, default=0.0) - _SHOWN_BELOW), max(scores, default=1.0) + 0.04


def _draw_curve(axes: Axes, curve: Sequence[Mapping[str, Any]], key: str, phase: str) -> float:
    """Draw the curve of each method, tuned or not, and give the least F1 of all."""
    lowest = math.inf
    for method, (colour, marker, _) in _LOOK.items():
        for is_tuned in (False, True):
            stage_points = [
                point for point in curve if point["method"] == method and (point["stage"] == "tuned") is is_tuned
            ]
            pairs = [(point[key], _number(point[f"{phase.lower()}_f1_0.3s"])) for point in stage_points]
            pairs = sorted(pair for pair in pairs if pair[0] > 0 and math.isfinite(pair[1]))
            lowest = min([lowest, *(f1 for _, f1 in pairs)])
            axes.plot(
                [cost for cost, _ in pairs], [f1 for _, f1 in pairs], color=colour, marker=marker, markersize=2.6,
                linewidth=1.0, linestyle=_TUNED_LINE if is_tuned else "-", alpha=0.6,
            )  # fmt: skip
    return lowest


def _draw_points(axes: Axes, points: Sequence[Point], phase: str) -> None:
    for point in points:
        if point.method == "teacher":
            axes.axhline(point.f1[phase], color=drawing.GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
            axes.scatter([point.cost], [point.f1[phase]], s=130, marker="*", color=drawing.INK, zorder=4)
            continue
        colour, marker, _ = _LOOK[point.method]
        axes.scatter(
            [point.cost], [point.f1[phase]], s=46, marker=marker, linewidths=1.4, zorder=5, edgecolors=colour,
            facecolors="white" if point.int8 else colour,
        )  # fmt: skip
        is_low = point.f1[phase] < 0.3
        axes.annotate(
            point.label, (point.cost, point.f1[phase]), xytext=(0, 6 if is_low else -14), textcoords="offset points",
            ha="center", fontsize=9.5, color=colour, zorder=6,
        )  # fmt: skip


def _cost_axis(axes: Axes, label: str, costs: Sequence[float]) -> None:
    axes.set_xscale("log")
    # Explicit: networks that pick nothing have a cost but no mark.
    axes.set_xlim(min(costs, default=1.0) / 1.4, max(costs, default=10.0) * 1.4)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=9))
    axes.xaxis.set_major_formatter(lambda value, _position: drawing.short_number(value))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True)
    axes.set_xlabel(label)
    axes.tick_params(labelbottom=bool(label), labelsize=9.5)
    axes.tick_params(axis="x", which="minor", length=0)


def _legend(axes: Axes, models: Sequence[Mapping[str, Any]], curve: Sequence[Mapping[str, Any]]) -> None:
    methods = {model["method"] for model in models}
    handles = [Line2D([], [], color=drawing.INK, marker="*", markersize=11, linestyle="", label="teacher")]
    for method, (colour, marker, label) in _LOOK.items():
        if method in methods:
            handles.append(Line2D([], [], color=colour, marker=marker, markersize=6.5, linestyle="-", label=label))
    if any(point["stage"] == "tuned" for point in curve):
        handles.append(Line2D([], [], color=drawing.GREY, linestyle=_TUNED_LINE, label="after tuning"))
    if any(model["int8"] for model in models):
        handles.append(
            Line2D(
                [],
                [],
                color=drawing.GREY,
                marker="o",
                markerfacecolor="white",
                markersize=6.5,
                linestyle="",
                label="int8",
            )
        )
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.04, 1.04), ncols=len(handles), frameon=False,
        fontsize=10.5, columnspacing=1.6, handletextpad=0.5, borderpad=0.2,
    )  # fmt: skip
