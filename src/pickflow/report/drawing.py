"""Common look of all figures, and matplotlib figures as small, reproducible inline SVG."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito (2008): distinguishable with any colour vision.
PHASE_COLOURS = {"P": "#0072b2", "S": "#d55e00"}
UNMATCHED_COLOUR = "#b0148c"
MATCHED_COLOUR = "#2a788e"
# One for each catalog of a comparison, again from Okabe and Ito.
SERIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7d8790", "#1f2a33")
INK = "#1f2a33"
GREY = "#7d8790"
FAINT = "#dfe4e8"
DEPTH_COLOURS = "viridis_r"
# Chosen: more points become one picture inside the SVG, because a browser is slow with 20,000 circles.
N_VECTOR_POINTS = 1000
WIDE_PX, HALF_PX = 920, 500  # chosen, as all sizes of figures: the width of the page's column, and about half of it
# Figures with a row for each station.
N_STATIONS_SHOWN, ROW_PX = 40, 17
_PIXELS_PER_INCH = 72  # one SVG unit is then one CSS pixel, and font sizes are in CSS pixels
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pickflow",
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "axes.titlesize": 11.5,
    "axes.labelsize": 11.0,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.7,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "lines.linewidth": 1.2,
    "savefig.facecolor": "none",
}
# Characters that XML forbids, and those that change the direction of the text around them.
_ILLEGIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, kw_only=True)
class Illustration:
    """A drawn figure (or, with an empty ``svg``, the reason for its absence) and the sentence below it."""

    svg: str
    caption: str
    width_px: int


def new_figure(width_px: float, height_px: float) -> Figure:
    """Figure of a size in CSS pixels, in the common style and outside of any global state."""
    with matplotlib.rc_context(_STYLE):
        return Figure(figsize=(width_px / _PIXELS_PER_INCH, height_px / _PIXELS_PER_INCH), dpi=_PIXELS_PER_INCH)


def add_axes(
    figure: Figure, left_px: float, top_px: float, width_px: float, height_px: float, share_x: Axes | None = None
) -> Axes:
    """Axes at a position in CSS pixels, counted from the top left corner of the figure."""
    width, height = figure.get_size_inches() * _PIXELS_PER_INCH
    box = (left_px / width, 1 - (top_px + height_px) / height, width_px / width, height_px / height)
    with matplotlib.rc_context(_STYLE):
        axes = figure.add_axes(box, sharex=share_x)
        axes.set_axisbelow(True)
    return axes


def legend(axes: Axes, location: Any, n_columns: int, anchor: tuple[float, float] | None = None) -> None:
    """Legend of everything that has a label, if there is any."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc=location, bbox_to_anchor=anchor, ncols=n_columns, frameon=False, fontsize=10.5, columnspacing=1.3,
            handlelength=1.2, handletextpad=0.5, borderpad=0.2,
        )  # fmt: skip


def illustrate(figure: Figure, name: str, caption: str) -> Illustration:
    """
    Turn a figure into inline SVG.

    Parameters
    ----------
    figure : Figure
        Drawn with `new_figure` and `add_axes`.
    name : str
        Unique on the page; it keeps the identifiers inside the SVG apart from those of other figures.
    caption : str
        What to look at, in one sentence; also read out by screen readers.

    Returns
    -------
    Illustration
        The same figure gives the same bytes.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, dpi=2 * _PIXELS_PER_INCH)
    width_px = round(float(figure.get_figwidth()) * _PIXELS_PER_INCH)
    return Illustration(svg=_inline(buffer.getvalue(), name), caption=caption, width_px=width_px)


def short_number(value: float) -> str:
    """A number on a logarithmic axis: 2 M, 500 k."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def make_legible(text: str) -> str:
    """The text with a mark in place of characters that XML forbids or that change the direction of the text."""
    return _ILLEGIBLE.sub("\ufffd", text)


def no_figure(reason: str) -> Illustration:
    """Placeholder of a figure without data, with the reason."""
    return Illustration(svg="", caption=reason, width_px=0)


def _inline(svg: str, name: str) -> str:
    body = make_legible(svg[svg.index("<svg") :])
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'(<svg [^>]*?)width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg [^>]*?)height="[^"]*"', r'\1role="img"', body, count=1)
    references = set(re.findall(r'(?:url\(|href=")#([^)"]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda match: match.group(0) if match.group(1) in references else "", body)
    body = re.sub(r'(url\(|href="| id=")(#?)([^)":]+)(?=[)"])', rf"\1\2{name}-\3", body)
    body = re.sub(r'd="(M [^"CQ]+)"', lambda match: f'd="{_relative(match.group(1))}"', body)
    # Only inside the tags: visible text keeps its digits.
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag.group(0)), body)
    return re.sub(r">\s*\n\s*<", ">\n<", body).strip()


def _relative(path: str) -> str:
    """Write a path of straight lines as steps of tenths of a pixel: a third of the bytes."""
    subpaths = []
    for subpath in path.split("M")[1:]:
        points = np.round(np.array(re.findall(r"[-\d.]+", subpath), dtype=float) * 10).astype(int).reshape(-1, 2)
        start = f"M{points[0, 0] / 10:g} {points[0, 1] / 10:g}"
        steps = " ".join(f"{step / 10:g}" for step in np.diff(points, axis=0).ravel())
        subpaths.append(start + (f"l{steps}" if steps else "") + "z" * subpath.count("z"))
    return "".join(subpaths).replace(" -", "-").replace(" 0.", " .").replace("-0.", "-.").replace("l0.", "l.")


def envelope(times: np.ndarray, values: np.ndarray, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Thin a curve to its extremes, so that it looks the same with far fewer points.

    Parameters
    ----------
    times, values : ndarray, shape (n_samples,)
        The curve; NaN where there is none.
    n_columns : int
        Width of the drawing, in pixels: two points are kept for each.

    Returns
    -------
    tuple of ndarray
        Times and values of at most about ``2 * n_columns`` points.
    """
    step = len(values) // n_columns
    if step <= 2:
        return times, values
    n_bins = len(values) // step
    bins = values[: n_bins * step].reshape(n_bins, step)
    low, high = np.fmin.reduce(bins, axis=1), np.fmax.reduce(bins, axis=1)
    return np.repeat(times[: n_bins * step : step], 2), np.stack([low, high], axis=1).ravel()
