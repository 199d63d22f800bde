"""The ledger as a matrix of stations and days."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, to_rgb

from pickflow.report import drawing
from pickflow.schemas import REASONS

_OK_COLOUR = "#cfe3d6"
_NO_PICKS_COLOUR = "#b4bcc3"
# Not usable: dark; used with a remark: light. Colours are taken in the order in which codes occur.
_LOST_COLOURS = (
    "#1b2a41",
    "#7b2d26",
    "#4a3b76",
    "#0b4f4a",
    "#8c5a0f",
    "#5b6770",
    "#a23e6f",
    "#2f5d9b",
    "#62622a",
    "#000000",
)
_REMARK_COLOURS = (
    "#f2c14e", "#9cc9e8", "#e8a87c", "#c9b6e4", "#b5d16c", "#f4a6b7", "#7fcac3", "#d8c9a3", "#c7cfd6", "#e3d4ff",
    "#ffd9b0", "#a7b8ff", "#d7e8a0", "#f6c6e0", "#b0e0d8", "#dcdcdc",
)  # fmt: skip
_N_DAYS_SHOWN, _N_STATIONS_SHOWN = 400, 150  # chosen: a year and its margins, and legible names
_LARGEST_PX, _WIDEST_CELL_PX = 900, 92  # layout, chosen


class LegendRow(NamedTuple):
    """A reason code that occurs in the ledger."""

    reason: str
    meaning: str
    usable: bool
    n: int
    colour: str


def ledger_legend(ledger: pd.DataFrame) -> list[LegendRow]:
    """Reason codes that occur, worst first, with their meaning, number of station-days and colour."""
    counts = ledger["reason"].value_counts()
    unusable_colours, remarks = iter(_LOST_COLOURS * 2), iter(_REMARK_COLOURS * 2)
    special = {"ok": _OK_COLOUR, "no_picks": _NO_PICKS_COLOUR}
    return [
        LegendRow(
            reason, meaning.meaning, meaning.usable, int(counts[reason]),
            special.get(reason) or next(remarks if meaning.usable else unusable_colours),
        )
        for reason, meaning in REASONS.items()
        if reason in counts
    ]  # fmt: skip


def draw_ledger(name: str, ledger: pd.DataFrame) -> drawing.Illustration:
    """
    Draw every requested station-day in the colour of its reason.

    Parameters
    ----------
    name : str
        Unique on the page.
    ledger : DataFrame
        `LEDGER`. More than 400 days are drawn in blocks (the worst reason counts), and of more than 150 stations those
        with the most unusable days.
    """
    if ledger.empty:
        return drawing.no_figure("The ledger is empty: no station-day was asked for.")
    matrix, picks, note = _matrix(ledger)
    n_rows, n_columns = matrix.shape
    cell_width = min(_WIDEST_CELL_PX, (_LARGEST_PX - 90) / n_columns)
    cell_height = float(np.clip(1400 / n_rows, 8, 20))
    width, height = n_columns * cell_width, n_rows * cell_height
    figure = drawing.new_figure(84 + width + 24, 10 + height + 40)
    axes = drawing.add_axes(figure, 84, 10, width, height)
    legend = ledger_legend(ledger)
    codes = [row.reason for row in legend]
    order = matrix.map(codes.index, na_action="ignore").to_numpy(dtype=float)
    axes.pcolormesh(
        np.ma.masked_invalid(order), cmap=ListedColormap([row.colour for row in legend]),
        norm=BoundaryNorm(np.arange(len(codes) + 1) - 0.5, len(codes)), rasterized=matrix.size > 1500,
        edgecolors="white" if cell_width > 6 else "none", linewidth=1.0 if cell_width > 6 else 0,
    )  # fmt: skip
    axes.invert_yaxis()
    if cell_width > 34 and cell_height >= 14:
        _write_counts(axes, picks, order, [row.colour for row in legend])
    _label(axes, matrix, cell_width, cell_height)
    return drawing.illustrate(figure, name, _caption(cell_width > 34 and cell_height >= 14) + note)


def _caption(with_counts: bool) -> str:
    text = "Every station-day: a change along a row is a station that broke or was repaired, a column a common cause."
    return text + (" The number is that of the picks." if with_counts else "")


def _matrix(ledger: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Reasons and numbers of picks by station and day (or block of days), and a note on what is left out."""
    note = ""
    table = ledger.assign(name=ledger["network"] + "." + ledger["station"])
    n_unusable = (~table["usable"].astype(bool)).groupby(table["name"]).sum()
    if len(n_unusable) > _N_STATIONS_SHOWN:
        stations = n_unusable.sort_values(ascending=False, kind="stable").index[:_N_STATIONS_SHOWN]
        table = table[table["name"].isin(stations)]
        note += f" The {_N_STATIONS_SHOWN} of {len(n_unusable)} stations with the most unusable days are shown."
    days = sorted(table["date"].unique())
    per_block = -(-len(days) // _N_DAYS_SHOWN)
    if per_block > 1:
        block = {day: days[index - index % per_block] for index, day in enumerate(days)}
        table = table.assign(date=table["date"].map(block))
        note += f" Each column is {per_block} days, in the colour of the worst."
    order = list(REASONS)
    cells = table.assign(rank=table["reason"].map(order.index)).groupby(["name", "date"])
    reasons = cells["rank"].min().map(dict(enumerate(order))).unstack()
    return reasons, cells["n_picks"].sum().unstack(), note


def _write_counts(axes: Axes, picks: pd.DataFrame, order: np.ndarray, colours: list[str]) -> None:
    for (row, column), n_picks in np.ndenumerate(picks.to_numpy(dtype=float)):
        if np.isfinite(n_picks):
            dark = np.dot(to_rgb(colours[int(order[row, column])]), (0.3, 0.59, 0.11)) < 0.5
            axes.text(
                column + 0.5, row + 0.5, f"{n_picks:,.0f}", ha="center", va="center_baseline", fontsize=9.5,
                color="white" if dark else drawing.INK,
            )  # fmt: skip


def _label(axes: Axes, matrix: pd.DataFrame, cell_width: float, cell_height: float) -> None:
    step = max(1, int(np.ceil(72 / cell_width)))
    columns = np.arange(0, matrix.shape[1], step)
    axes.set_xticks(columns + 0.5, [matrix.columns[index] for index in columns], fontsize=9.5)
    axes.set_yticks(np.arange(len(matrix)) + 0.5, matrix.index, fontsize=min(9.5, cell_height + 0.5))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=drawing.FAINT)
