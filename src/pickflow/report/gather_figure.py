"""Stations of one event in rows: waveforms, picks, predicted arrivals and probabilities."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pickflow.report import drawing
from pickflow.viewer.gather import PHASES, Gather, StationGather

_WIDTH_PX, _LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 920, 92, 34, 30, 40  # layout, chosen, as _ROW_PX
_ROW_PX = 64
# Within a row of height 1, upwards from its bottom: probabilities, a horizontal component, the vertical one.
_PROBABILITY_BASE, _PROBABILITY_HEIGHT = 0.04, 0.24
_TRACE_CENTRES = {1: (0.64,), 2: (0.77, 0.47)}
_TRACE_HALF_HEIGHTS = {1: 0.30, 2: 0.19}
_HORIZONTAL_COLOUR = "#8b959d"


def draw_gather(name: str, gather: Gather) -> drawing.Illustration:
    """
    Draw the stations of a gather as rows, nearest on top.

    Parameters
    ----------
    name : str
        Unique on the page.
    gather : Gather
        From `gather_for_event`.
    """
    if not gather.stations:
        return drawing.no_figure("No station has waveforms of this event.")
    n_rows = len(gather.stations)
    figure = drawing.new_figure(_WIDTH_PX, _TOP_PX + n_rows * _ROW_PX + _BOTTOM_PX)
    width_px = _WIDTH_PX - _LEFT_PX - _RIGHT_PX
    axes = drawing.add_axes(figure, _LEFT_PX, _TOP_PX, width_px, n_rows * _ROW_PX)
    for row, station in enumerate(gather.stations):
        _draw_station(axes, station, float(n_rows - 1 - row), width_px)
    _finish(axes, gather)
    return drawing.illustrate(figure, name, _caption(gather))


def _caption(gather: Gather) -> str:
    return {
        "best": "Do the picks (solid) sit on the onsets and on the predicted arrivals (triangles) at every station?",
        "largest_error": "Look for a station whose picks disagree with their predicted arrivals (triangles).",
        "missed": "Is there a signal at the predicted arrivals (triangles), and does the probability rise there?",
        "unmatched": "An earthquake that the reference lacks? Real ones show P and S with moveout on several stations.",
    }[gather.kind]


def _draw_station(axes: Axes, station: StationGather, bottom: float, width_px: int) -> None:
    rows = _shown_components(station.waveform)
    for index, centre in enumerate(_TRACE_CENTRES[len(rows)]):
        times_s, values = drawing.envelope(station.time_s, rows[index], width_px)
        peak = np.fmax.reduce(np.abs(values), initial=0.0) or 1.0
        axes.plot(
            times_s, bottom + centre + _TRACE_HALF_HEIGHTS[len(rows)] * values / peak,
            color=drawing.INK if index == 0 else _HORIZONTAL_COLOUR, linewidth=0.6, solid_joinstyle="round", zorder=2,
        )  # fmt: skip
    base = bottom + _PROBABILITY_BASE
    axes.axhline(base, color=drawing.GREY, linewidth=0.4, zorder=1)
    for phase, probability in zip(PHASES, station.probability, strict=True):
        _draw_probability(axes, station.probability_time_s, probability, base, drawing.PHASE_COLOURS[phase])
    for phase, time_s, is_assigned in station.picks:
        axes.plot(
            [time_s, time_s], [bottom + _PROBABILITY_BASE, bottom + 0.97], color=drawing.PHASE_COLOURS[phase],
            linewidth=1.5 if is_assigned else 1.0, linestyle="-" if is_assigned else (0, (1.5, 2)), zorder=3,
        )  # fmt: skip
    for phase, time_s in station.manual:
        axes.plot(
            [time_s], [bottom + 0.14], marker="d", markersize=6, markerfacecolor="white", linestyle="none", zorder=4,
            markeredgecolor=drawing.PHASE_COLOURS[phase], markeredgewidth=1.2,
        )  # fmt: skip
    for phase, time_s in station.predicted_s.items():
        axes.plot(
            [time_s], [bottom + 0.95], marker="v", markersize=6, markerfacecolor="white", clip_on=False,
            markeredgecolor=drawing.PHASE_COLOURS[phase], markeredgewidth=1.1, linestyle="none", zorder=4,
        )  # fmt: skip


def _shown_components(waveform: np.ndarray) -> np.ndarray:
    """Vertical (the first) and the stronger one of the horizontal components, as far as they exist."""
    if len(waveform) == 1:
        return waveform
    peaks = np.nanmax(np.nan_to_num(np.abs(waveform[1:]), nan=-1.0), axis=1)
    return waveform[[0, 1 + int(np.argmax(peaks))]]


def _draw_probability(axes: Axes, times_s: np.ndarray, values: np.ndarray, base: float, colour: str) -> None:
    if not np.isfinite(values).any():
        return
    step = max(1, len(values) // 600)
    n_bins = -(-len(values) // step)
    padded = np.pad(values, (0, n_bins * step - len(values)), constant_values=np.nan)
    highest = np.nan_to_num(np.fmax.reduce(padded.reshape(n_bins, step), axis=1), nan=0.0)
    # Flat stretches need no points: most of a probability curve is nothing.
    keep = np.ones(n_bins, dtype=bool)
    keep[1:-1] = (highest[1:-1] > 0.01) | (highest[:-2] > 0.01) | (highest[2:] > 0.01)
    times_s, highest = times_s[::step][keep], highest[keep]
    axes.fill_between(
        times_s, base, base + _PROBABILITY_HEIGHT * highest, color=colour, alpha=0.35, linewidth=0, zorder=1.5
    )
    line = np.where(highest > 0.01, base + _PROBABILITY_HEIGHT * highest, np.nan)
    axes.plot(times_s, line, color=colour, linewidth=0.8, zorder=1.6)


def _finish(axes: Axes, gather: Gather) -> None:
    n_rows = len(gather.stations)
    axes.set(xlim=(gather.start_s, gather.end_s), ylim=(0, n_rows), xlabel="Time after the origin (s)")
    axes.set_yticks(
        [n_rows - 0.5 - row for row in range(n_rows)],
        [f"{station.network}.{station.station}\n{station.distance_km:.0f} km" for station in gather.stations],
        fontsize=10,
    )
    for row, station in enumerate(gather.stations):
        label = f"{station.channel}{station.components[0]}" + ("\n+ hor." if len(station.waveform) > 1 else "")
        axes.text(
            1.006,
            n_rows - 0.36 - row,
            label,
            transform=axes.get_yaxis_transform(),
            fontsize=8.5,
            color=drawing.GREY,
            va="center",
        )
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=drawing.GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
    axes.grid(True, axis="x")
    _legend(axes, gather)


def _hollow_marker(marker: str, label: str) -> Line2D:
    grey = drawing.GREY
    return Line2D([], [], linestyle="none", marker=marker, markerfacecolor="white", markeredgecolor=grey, label=label)


def _legend(axes: Axes, gather: Gather) -> None:
    states = {state for station in gather.stations for _, _, state in station.picks}
    entries: list[Line2D | Patch] = [
        Line2D([], [], color=drawing.PHASE_COLOURS[phase], label=f"{phase} pick") for phase in PHASES
    ]
    if False in states:
        entries.append(Line2D([], [], color=drawing.GREY, linestyle=(0, (1.5, 2)), label="pick of no or another event"))
    if any(station.predicted_s for station in gather.stations):
        entries.append(_hollow_marker("v", "predicted"))
    if any(station.manual for station in gather.stations):
        entries.append(_hollow_marker("d", "reference's"))
    if any(np.isfinite(station.probability).any() for station in gather.stations):
        entries.append(Patch(color=drawing.GREY, alpha=0.4, label="probability, 0 to 1"))
    with matplotlib.rc_context({"legend.frameon": False, "legend.fontsize": 10.5}):
        axes.legend(
            handles=entries, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(entries), columnspacing=1.3,
            handlelength=1.4, handletextpad=0.5, borderpad=0.2,
        )  # fmt: skip
