"""Map of stations and events with its depth sections."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pickflow.report import drawing
from pickflow.travel_times.sphere import KM_PER_DEGREE

_MAP_PX = 640  # layout, chosen, as all in px
_SECTION_PX = 180
_LEFT_PX, _TOP_PX, _GUTTER_PX, _BOTTOM_PX = 58, 34, 12, 44
_N_LABELLED_STATIONS = 40  # chosen: names of more overlap


@dataclass(frozen=True, kw_only=True)
class Extent:
    """A box on the map, in degrees."""

    west: float
    east: float
    south: float
    north: float

    @property
    def aspect(self) -> float:
        """Kilometres per degree of latitude over those per degree of longitude, in the middle of the box."""
        return 1 / max(0.05, float(np.cos(np.radians((self.south + self.north) / 2))))

    def contains(self, places: pd.DataFrame) -> pd.Series:
        """Which rows (`latitude_deg`, `longitude_deg`) lie inside."""
        return places["longitude_deg"].between(self.west, self.east) & places["latitude_deg"].between(
            self.south, self.north
        )


def extent_around(places: pd.DataFrame, trim_share: float = 0.0) -> Extent:
    """
    Box around places, with a margin, and neither too flat nor too narrow to be drawn.

    Parameters
    ----------
    places : DataFrame
        Columns `latitude_deg` and `longitude_deg`, at least one row.
    trim_share : float
        Share of the places to leave out at each side, 0 to 0.5: a few stray locations must not shrink the map.
    """
    latitude, longitude = places["latitude_deg"].dropna(), places["longitude_deg"].dropna()
    south, north = (float(latitude.quantile(share)) for share in (trim_share, 1 - trim_share))
    west, east = (float(longitude.quantile(share)) for share in (trim_share, 1 - trim_share))
    middle_latitude, middle_longitude = (south + north) / 2, (west + east) / 2
    shrink = max(0.05, float(np.cos(np.radians(middle_latitude))))
    height = max(1.16 * (north - south), 0.1)
    width = max(1.16 * (east - west) * shrink, 0.1)
    height, width = max(height, 0.62 * width), max(width, 0.85 * height)
    half_width = width / shrink / 2
    return Extent(
        west=middle_longitude - half_width,
        east=middle_longitude + half_width,
        south=middle_latitude - height / 2,
        north=middle_latitude + height / 2,
    )


def overview_extent(stations: pd.DataFrame, events: pd.DataFrame) -> Extent | None:
    """Box of all stations and nearly all events; None without coordinates."""
    columns = ["latitude_deg", "longitude_deg"]
    network = stations[columns].dropna()
    located = events[columns].dropna()
    if located.empty and network.empty:
        return None
    parts = [] if network.empty else [network]
    if len(located):
        cloud = extent_around(located, trim_share=0.01 if len(located) > 50 else 0.0)
        parts.append(located[cloud.contains(located)])
    return extent_around(pd.concat(parts))


def close_up_extent(overview: Extent, events: pd.DataFrame) -> Extent | None:
    """Box of the middle 90 % of the events, where it is much smaller than the overview; else None."""
    if len(events) < 5:
        return None
    cluster = extent_around(events, trim_share=0.05)
    return cluster if cluster.north - cluster.south < 0.4 * (overview.north - overview.south) else None


def draw_map(
    name: str,
    extent: Extent | None,
    stations: pd.DataFrame,
    events: pd.DataFrame,
    links: pd.DataFrame,
    misses: pd.DataFrame,
) -> drawing.Illustration:
    """
    Map with depth sections to its right (south-north) and below (west-east).

    Parameters
    ----------
    name : str
        Unique on the page.
    extent : Extent or None
        Area of the map; None if nothing has coordinates.
    stations : DataFrame
        `STATIONS`.
    events : DataFrame
        `EVENTS` with a column `status`: matched, unmatched or unjudged.
    links : DataFrame
        Matched pairs: latitude_deg, longitude_deg, depth_km and the reference's as reference_...
    misses : DataFrame
        Reference events without a counterpart.
    """
    if extent is None:
        return drawing.no_figure("No map: neither stations nor events have coordinates.")
    if events.empty and misses.empty:
        return drawing.no_figure("No map: no event was located.")
    height_px = _MAP_PX * (extent.north - extent.south) * extent.aspect / (extent.east - extent.west)
    figure = drawing.new_figure(
        _LEFT_PX + _MAP_PX + _GUTTER_PX + _SECTION_PX + 14,
        _TOP_PX + height_px + _GUTTER_PX + _SECTION_PX + _BOTTOM_PX,
    )
    plan = drawing.add_axes(figure, _LEFT_PX, _TOP_PX, _MAP_PX, height_px)
    section_ns = drawing.add_axes(figure, _LEFT_PX + _MAP_PX + _GUTTER_PX, _TOP_PX, _SECTION_PX, height_px)
    section_we = drawing.add_axes(figure, _LEFT_PX, _TOP_PX + height_px + _GUTTER_PX, _MAP_PX, _SECTION_PX)
    depths = pd.concat([events["depth_km"], misses["depth_km"]]).dropna()
    deepest_km = max(5.0, 1.08 * float(depths.quantile(0.995))) if len(depths) else 5.0
    scale = Normalize(0.0, max(deepest_km / 1.08, 1.0))
    axes_of = {
        plan: ("longitude_deg", "latitude_deg"),
        section_ns: ("depth_km", "latitude_deg"),
        section_we: ("longitude_deg", "depth_km"),
    }
    for axes, (x, y) in axes_of.items():
        _draw_links(axes, links, x, y)
        _draw_events(axes, events, x, y, scale)
        _draw_missed(axes, misses, x, y)
    _draw_stations(plan, stations, extent)
    _frame(plan, section_ns, section_we, extent, deepest_km)
    _legend(figure, events, misses, stations, links)
    corner = (_LEFT_PX + _MAP_PX + _GUTTER_PX, _TOP_PX + height_px + _GUTTER_PX)
    _scale_bar(figure, extent, corner[0], corner[1] + 140)
    if len(events):
        _colour_bar(figure, scale, corner[0], corner[1] + 40)
    return drawing.illustrate(figure, name, _caption(extent, events, misses))


def _caption(extent: Extent, events: pd.DataFrame, misses: pd.DataFrame) -> str:
    if events.empty:
        return "Stations, and the events of the reference, all missed."
    text = "Events coloured by depth, with depth sections along latitude (right) and longitude (below)"
    if (events["status"] == "unmatched").any() or len(misses):
        text += (
            "; look whether diamonds (not in the reference) and crosses (missed) lie inside the network or at its edge"
        )
    n_outside = int((~extent.contains(events)).sum())
    return text + (f". {n_outside} of {len(events)} events lie outside of this frame." if n_outside else ".")


def _draw_links(axes: Axes, links: pd.DataFrame, x: str, y: str) -> None:
    if len(links) > drawing.N_VECTOR_POINTS:
        return
    gap = np.full(len(links), np.nan)
    axes.plot(
        np.stack([links[x], links[f"reference_{x}"], gap], axis=1).ravel(),
        np.stack([links[y], links[f"reference_{y}"], gap], axis=1).ravel(),
        color=drawing.INK, linewidth=0.7, alpha=0.55, zorder=2,
    )  # fmt: skip


def _draw_events(axes: Axes, events: pd.DataFrame, x: str, y: str, scale: Normalize) -> None:
    dense = len(events) > drawing.N_VECTOR_POINTS
    size, unmatched = _marker_size(events), events["status"] == "unmatched"
    # One call for each size (largest first), not an array of sizes: the SVG then holds each marker once.
    for is_new, area in itertools.product((False, True), np.unique(size)[::-1]):
        part = events[(unmatched == is_new) & (size == area)]
        axes.scatter(
            part[x], part[y], s=area * (0.7 if is_new else 1.0), c=part["depth_km"], cmap=drawing.DEPTH_COLOURS,
            norm=scale, marker="D" if is_new else "o", rasterized=dense,
            edgecolors=drawing.UNMATCHED_COLOUR if is_new else "white",
            alpha=0.8 if dense else 0.95, linewidths=1.3 if is_new else (0.0 if dense else 0.5), zorder=3,
        )  # fmt: skip


def _marker_size(events: pd.DataFrame) -> np.ndarray:
    """Area of the markers, in square pixels: by magnitude (in steps of a half) where it is known."""
    base = 46.0 if len(events) < 300 else 20.0 if len(events) < 3000 else 5.0
    magnitude = events["magnitude"].to_numpy(dtype=float)
    if not np.isfinite(magnitude).any():
        return np.full(len(events), base)
    relative = np.round(2 * np.nan_to_num(magnitude - np.nanmedian(magnitude), nan=0.0)) / 2
    return base * np.clip(10 ** (0.35 * relative), 0.4, 9.0)


def _draw_missed(axes: Axes, misses: pd.DataFrame, x: str, y: str) -> None:
    is_dense = len(misses) > drawing.N_VECTOR_POINTS
    axes.scatter(
        misses[x], misses[y], s=7 if is_dense else 30, marker="x", c=drawing.INK, linewidths=0.6 if is_dense else 1.3,
        alpha=0.5 if is_dense else 1.0, zorder=4, rasterized=is_dense,
    )  # fmt: skip


def _draw_stations(plan: Axes, stations: pd.DataFrame, extent: Extent) -> None:
    visible = stations[extent.contains(stations)]
    plan.scatter(
        visible["longitude_deg"],
        visible["latitude_deg"],
        s=46,
        marker="^",
        c="white",
        edgecolors=drawing.INK,
        linewidths=0.9,
        zorder=5,
    )
    if len(visible) > _N_LABELLED_STATIONS:
        return
    for row in visible.itertuples():
        plan.annotate(
            str(row.station), (row.longitude_deg, row.latitude_deg), xytext=(0, -8), textcoords="offset points",
            ha="center", va="top", fontsize=8.5, color=drawing.INK, zorder=6, annotation_clip=True, clip_on=True,
        )  # fmt: skip


def _frame(plan: Axes, section_ns: Axes, section_we: Axes, extent: Extent, deepest_km: float) -> None:
    plan.set(xlim=(extent.west, extent.east), ylim=(extent.south, extent.north))
    section_ns.set(xlim=(-0.02 * deepest_km, deepest_km), ylim=plan.get_ylim(), xlabel="Depth (km)")
    section_we.set(xlim=plan.get_xlim(), ylim=(deepest_km, -0.02 * deepest_km), ylabel="Depth (km)")
    for axes in (plan, section_ns, section_we):
        axes.grid(True)
        for spine in axes.spines.values():
            spine.set(visible=True, color=drawing.FAINT)
    for axis, letters in ((plan.xaxis, "EW"), (plan.yaxis, "NS"), (section_ns.yaxis, "NS"), (section_we.xaxis, "EW")):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(_degrees(letters)))
    plan.tick_params(labelbottom=False, length=0)
    section_ns.tick_params(labelleft=False, length=0)
    section_ns.xaxis.set_major_locator(MaxNLocator(4))
    section_we.yaxis.set_major_locator(MaxNLocator(4))
    section_we.tick_params(length=0)


def _degrees(letters: str):  # type: ignore[no-untyped-def]  # the signature is matplotlib's
    def text(value: float, _position: int) -> str:
        return f"{abs(value):.6g}°{letters[0] if value >= 0 else letters[1]}"

    return text


def _scale_bar(figure: Figure, extent: Extent, left_px: float, top_px: float) -> None:
    width_km = (extent.east - extent.west) * KM_PER_DEGREE / extent.aspect
    steps = np.array([0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000])
    length_km = float(steps[np.argmin(abs(np.log(steps / (width_km / 6))))])
    length_px = length_km / width_km * _MAP_PX
    axes = drawing.add_axes(figure, left_px + 8, top_px, length_px, 20)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    axes.plot([0, 1], [0, 0], color=drawing.INK, linewidth=2.2, clip_on=False)
    axes.text(0, 0.35, f"{length_km:g} km", va="bottom")


def _legend(
    figure: Figure, events: pd.DataFrame, misses: pd.DataFrame, stations: pd.DataFrame, links: pd.DataFrame
) -> None:
    def mark(label: str, **style: object) -> Line2D:
        return Line2D([], [], linestyle="none", label=label, **style)  # type: ignore[arg-type]

    entries = []
    if len(stations):
        entries.append(mark("station", marker="^", color="white", markeredgecolor=drawing.INK, markersize=6.5))
    names = {"matched": "in the reference", "unjudged": "not judged"}
    kinds = [name for status, name in names.items() if (events["status"] == status).any()]
    if kinds:
        label = "event" if kinds == ["not judged"] else f"event {' or '.join(kinds)}"
        entries.append(mark(label, marker="o", color="#35b779", markersize=6))
    if (events["status"] == "unmatched").any():
        entries.append(
            mark(
                "not in the reference",
                marker="D",
                color="#b8dcc9",
                markeredgecolor=drawing.UNMATCHED_COLOUR,
                markersize=5,
            )
        )
    if len(misses):
        entries.append(mark("missed", marker="x", color=drawing.INK, markersize=5.5))
    if 0 < len(links) <= drawing.N_VECTOR_POINTS:
        entries.append(Line2D([], [], color=drawing.INK, linewidth=0.7, alpha=0.6, label="to the reference location"))
    with matplotlib.rc_context({"legend.frameon": False, "legend.fontsize": 10.5}):
        left_share = _LEFT_PX / (figure.get_figwidth() * 72)
        figure.legend(
            handles=entries, loc="upper left", bbox_to_anchor=(left_share - 0.012, 1.0), ncols=len(entries) or 1,
            columnspacing=1.2, handletextpad=0.3, handlelength=1.2, borderpad=0.6,
        )  # fmt: skip


def _colour_bar(figure: Figure, scale: Normalize, left_px: float, top_px: float) -> None:
    axes = drawing.add_axes(figure, left_px + 8, top_px + 30, _SECTION_PX - 16, 9)
    axes.imshow(
        np.linspace(0, 1, 128)[np.newaxis],
        cmap=drawing.DEPTH_COLOURS,
        aspect="auto",
        extent=(0.0, float(scale.vmax or 1.0), 0.0, 1.0),
    )
    axes.set(yticks=[], title="Depth (km)")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(colors=drawing.GREY, labelcolor=drawing.INK)
