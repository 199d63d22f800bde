"""Figures of one catalog: events in time, residuals, picks per station."""

from __future__ import annotations

import matplotlib
import matplotlib.dates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pickflow.report import drawing

# Chosen: a station is suspicious if its median residual differs by this much from those of the other stations.
_SUSPICIOUS_S = 0.25
_FEWEST_FOR_SUSPICION = 5  # chosen: residuals of a phase; a median of fewer is uncertain
_LARGEST_CLOCK_RATIO = 1.35  # chosen: halfway between 1 (clock) and 1.7 (slow ground)


def draw_timeline(
    name: str,
    events: pd.DataFrame,
    reference: pd.DataFrame | None,
    misses: pd.DataFrame,
    span: tuple[pd.Timestamp, pd.Timestamp],
) -> drawing.Illustration:
    """
    Events in time (by magnitude, else by number of picks), and their cumulative number below.

    Parameters
    ----------
    name : str
        Unique on the page.
    events : DataFrame
        `EVENTS` with a column `status`.
    reference, misses : DataFrame
        Reference events, and those of them without a counterpart; the reference is None if there is none.
    span : tuple of Timestamp
        Start and end of the run.
    """
    if events.empty and (reference is None or reference.empty):
        return drawing.no_figure("No events, so nothing to show in time.")
    figure = drawing.new_figure(drawing.WIDE_PX, 380)
    upper = drawing.add_axes(figure, 70, 28, drawing.WIDE_PX - 88, 186)
    lower = drawing.add_axes(figure, 70, 236, drawing.WIDE_PX - 88, 104, share_x=upper)
    quantity, label = (
        ("magnitude", "Magnitude") if events["magnitude"].notna().any() else ("n_picks", "Picks per event")
    )
    _draw_stems(upper, events, misses, quantity)
    upper.set_ylabel(label)
    upper.tick_params(labelbottom=False)
    _draw_cumulative(lower, events["time"], span, drawing.MATCHED_COLOUR, "catalog")
    if reference is not None:
        _draw_cumulative(lower, reference["time"], span, drawing.INK, "reference")
    lower.set_ylabel("Cumulative\nnumber")
    lower.set_ylim(bottom=0)
    lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    drawing.legend(lower, "upper left", 1)
    _time_axis(lower, span)
    for axes in (upper, lower):
        axes.grid(True)
    caption = f"{label} of every event in time; a jump or a flat stretch of the cumulative number that the reference "
    caption += "lacks points at the network or the pipeline rather than at the Earth."
    if reference is None:
        caption = f"{label} of every event in time, and the cumulative number; a flat stretch may be an outage."
    return drawing.illustrate(figure, name, caption)


def _draw_stems(axes: Axes, events: pd.DataFrame, misses: pd.DataFrame, quantity: str) -> None:
    dense = len(events) + len(misses) > drawing.N_VECTOR_POINTS
    for status, label, colour, marker in (
        ("matched", "in the reference", drawing.MATCHED_COLOUR, "o"),
        ("unjudged", "not judged" if len(events["status"].unique()) > 1 else "event", "#9bb8c4", "o"),
        ("unmatched", "not in the reference", drawing.UNMATCHED_COLOUR, "D"),
    ):
        rows = events[(events["status"] == status) & events[quantity].notna()]
        if rows.empty:
            continue
        axes.scatter(
            _naive(rows["time"]), rows[quantity], s=6 if dense else 26, marker=marker, color=colour, label=label,
            facecolors="white" if marker == "D" and not dense else colour, linewidths=0 if dense else 1.1,
            rasterized=dense, zorder=3,
        )  # fmt: skip
    if events.empty:
        axes.set_yticks([])
    elif quantity == "n_picks":
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if quantity == "magnitude" and misses["magnitude"].notna().any():
        sized = misses.dropna(subset=["magnitude"])
        axes.scatter(
            _naive(sized["time"]), sized["magnitude"], s=8 if dense else 26, marker="x", color=drawing.INK,
            label="missed", linewidths=0.7 if dense else 1.2, rasterized=dense, zorder=4,
        )  # fmt: skip
    elif len(misses):
        axes.scatter(
            _naive(misses["time"]), np.full(len(misses), 0.02), transform=axes.get_xaxis_transform(), s=26, marker="x",
            color=drawing.INK, linewidths=1.2, label="missed", clip_on=False, zorder=4, rasterized=dense,
        )  # fmt: skip
    drawing.legend(axes, "lower left", 4, (0.0, 1.0))


def _draw_cumulative(
    axes: Axes, times: pd.Series, span: tuple[pd.Timestamp, pd.Timestamp], colour: str, label: str
) -> None:
    ordered = np.sort(_naive(times))
    thinned = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), 800)).astype(int)) if len(ordered) else []
    ends = _naive(pd.Series(span))
    x = np.concatenate([ends[:1], ordered[thinned], ends[1:]]) if len(ordered) else ends
    y = np.concatenate([[0], np.asarray(thinned) + 1, [len(ordered)]]) if len(ordered) else np.zeros(2)
    axes.plot(x, y, drawstyle="steps-post", color=colour, linewidth=1.5, label=label)


def draw_residuals(name: str, arrivals: pd.DataFrame) -> drawing.Illustration:
    """
    Histograms of the travel-time residuals of P and S.

    Parameters
    ----------
    name : str
        Unique on the page.
    arrivals : DataFrame
        Assignments merged with their picks: phase, residual_s.
    """
    if arrivals.empty:
        return drawing.no_figure("No pick belongs to an event, so there are no residuals.")
    limit_s = max(0.1, float(arrivals["residual_s"].abs().quantile(0.99)) * 1.05)
    figure = drawing.new_figure(drawing.HALF_PX, 250)
    axes = drawing.add_axes(figure, 62, 28, drawing.HALF_PX - 76, 176)
    for phase, colour in drawing.PHASE_COLOURS.items():
        residual_s = arrivals.loc[arrivals["phase"] == phase, "residual_s"]
        if residual_s.empty:
            continue
        median, low, high = residual_s.quantile([0.5, 0.16, 0.84]).round(3) + 0.0
        axes.hist(
            residual_s.clip(-limit_s, limit_s), bins=list(np.linspace(-limit_s, limit_s, 42)), histtype="stepfilled",
            color=(colour, 0.25), edgecolor=colour, linewidth=1.2,
            label=f"{phase}: median {median:+.2f} s, ±{(high - low) / 2:.2f} s, n = {len(residual_s):,}",
        )  # fmt: skip
    axes.axvline(0, color=drawing.GREY, linewidth=0.8)
    axes.set(xlabel="Residual, observed − predicted (s)", ylabel="Picks", xlim=(-limit_s, limit_s))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    drawing.legend(axes, "upper right", 1)
    axes.set_ylim(top=1.35 * axes.get_ylim()[1])
    return drawing.illustrate(
        figure, name,
        "Residuals of P and S (± is half of the central 68 %); centres away from zero point at the velocity model.",
    )  # fmt: skip


def station_residuals(arrivals: pd.DataFrame) -> pd.DataFrame:
    """
    Median and spread of the residuals by station and phase.

    Returns
    -------
    DataFrame
        Columns station (``network.station``), phase, n, median_s, low_s and high_s (16 % and 84 %).
    """
    names = (arrivals["network"] + "." + arrivals["station"]).str.lstrip(".")
    grouped = arrivals.assign(name=names).groupby(["name", "phase"])["residual_s"]
    rows = [(station, phase, len(values), *values.quantile([0.5, 0.16, 0.84])) for (station, phase), values in grouped]
    return pd.DataFrame(rows, columns=["station", "phase", "n", "median_s", "low_s", "high_s"])


def suspicious_stations(statistics: pd.DataFrame) -> list[str]:
    """
    Sentences about stations whose P and S are both late or both early by much.

    A clock shifts P and S by the same time, slow ground (and a wrong distance) S by Vp/Vs ≈ 1.7 times as much.
    """
    reliable = statistics[statistics["n"] >= _FEWEST_FOR_SUSPICION]
    table = reliable.pivot_table(index="station", columns="phase", values="median_s").reindex(columns=["P", "S"])
    table = table - table.median()
    same_sign = (np.sign(table["P"]) == np.sign(table["S"])) & (table.abs().min(axis=1) > _SUSPICIOUS_S)
    return [
        f"{station}: P comes {abs(p_s):.2f} s and S {abs(s_s):.2f} s {'later' if p_s > 0 else 'earlier'} "
        "than elsewhere; "
        + ("check its clock." if s_s / p_s < _LARGEST_CLOCK_RATIO else "the ground below it, or its coordinates?")
        for station, p_s, s_s in table[same_sign].itertuples()
    ]


def draw_station_residuals(name: str, arrivals: pd.DataFrame) -> drawing.Illustration:
    """Median and central 68 % of the residuals of each station, P and S."""
    if arrivals.empty:
        return drawing.no_figure("No pick belongs to an event, so there are no residuals by station.")
    statistics = station_residuals(arrivals)
    largest = statistics.assign(size=statistics["median_s"].abs()).groupby("station")["size"].max()
    stations = sorted(largest.sort_values(ascending=False, kind="stable").index[: drawing.N_STATIONS_SHOWN])
    figure = drawing.new_figure(drawing.HALF_PX, 30 + drawing.ROW_PX * len(stations) + 44)
    axes = drawing.add_axes(figure, 84, 24, drawing.HALF_PX - 100, drawing.ROW_PX * len(stations))
    for phase, offset in (("P", -0.17), ("S", 0.17)):
        rows = statistics[(statistics["phase"] == phase) & statistics["station"].isin(stations)]
        y = np.array([stations.index(station) for station in rows["station"]]) + offset
        axes.hlines(y, rows["low_s"], rows["high_s"], color=drawing.PHASE_COLOURS[phase], linewidth=1.6, alpha=0.55)
        axes.scatter(rows["median_s"], y, s=20, color=drawing.PHASE_COLOURS[phase], zorder=3, label=phase)
    axes.axvline(0, color=drawing.GREY, linewidth=0.8, zorder=0)
    _station_axis(axes, stations)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Residual: median and central 68 % (s)")
    drawing.legend(axes, "lower right", 2, (1.0, 1.0))
    caption = "Residuals by station: P and S shifted by the same time mean a clock, S shifted more the ground."
    if len(stations) < len(largest):
        caption += f" The {len(stations)} of {len(largest)} stations with the largest median are shown."
    return drawing.illustrate(figure, name, " ".join([caption, *suspicious_stations(statistics)]))


def draw_picks_per_station(name: str, picks: pd.DataFrame, stations: pd.DataFrame) -> drawing.Illustration:
    """
    Number of P (to the left) and S picks (to the right) of each station, dark where they belong to an event.

    Parameters
    ----------
    name : str
        Unique on the page.
    picks : DataFrame
        `PICKS` with a column `assigned`.
    stations : DataFrame
        `STATIONS`; those without picks are shown as well.
    """
    if picks.empty:
        return drawing.no_figure("Nothing was picked; the ledger says what was recorded.")
    names = (picks["network"] + "." + picks["station"]).str.lstrip(".")
    known_names = set((stations["network"] + "." + stations["station"]).str.lstrip(".")) | set(names)
    order = names.value_counts().reindex(sorted(known_names), fill_value=0).sort_values(ascending=False, kind="stable")
    labels = sorted(order.index[: drawing.N_STATIONS_SHOWN])
    counts = picks.assign(name=names).groupby(["name", "phase", "assigned"]).size()
    figure = drawing.new_figure(drawing.HALF_PX, 30 + drawing.ROW_PX * len(labels) + 44)
    axes = drawing.add_axes(figure, 84, 24, drawing.HALF_PX - 150, drawing.ROW_PX * len(labels))
    _draw_pick_bars(axes, counts, labels)
    share = picks.assign(name=names).groupby("name")["assigned"].agg(lambda assigned: 1 - assigned.mean())
    for row, station in enumerate(labels):
        text = f"{share[station]:.0%}" if station in share else "–"
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9.5, color=drawing.INK)
    axes.text(1.02, 1.0, "no event", transform=axes.transAxes, va="bottom", fontsize=9.5, color=drawing.GREY)
    _station_axis(axes, labels)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _position: f"{abs(value):,.0f}")
    zero = _share_left_of_zero(axes)
    label_y = -34 / (drawing.ROW_PX * len(labels))
    for text, x in (("← P picks", zero - 0.03), ("S picks →", zero + 0.03)):
        align = "right" if x < zero else "left"
        axes.text(x, label_y, text, transform=axes.transAxes, ha=align, va="center")
    caption = "Picks by station, pale where no event claims them: a station with a large pale share is noisy, "
    caption += "or hears what the others do not."
    if len(labels) < len(order):
        caption += f" The {len(labels)} of {len(order)} stations with the most picks are shown."
    return drawing.illustrate(figure, name, caption)


def _draw_pick_bars(axes: Axes, counts: pd.Series, labels: list[str]) -> None:
    rows = np.arange(len(labels))
    for phase, sign in (("P", -1), ("S", 1)):
        in_event, free = (
            np.array([counts.get((station, phase, is_assigned), 0) for station in labels])
            for is_assigned in (True, False)
        )
        axes.barh(rows, sign * in_event, height=0.72, color=drawing.PHASE_COLOURS[phase], label=f"{phase} of an event")
        axes.barh(
            rows,
            sign * free,
            left=sign * in_event,
            height=0.72,
            color=drawing.PHASE_COLOURS[phase],
            alpha=0.28,
            label=f"{phase} of no event",
        )
    axes.axvline(0, color="white", linewidth=1.0)


def _share_left_of_zero(axes: Axes) -> float:
    low, high = axes.get_xlim()
    return -low / (high - low)


def _station_axis(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize=9.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x", color=drawing.FAINT)


def _naive(times: pd.Series) -> np.ndarray:
    return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()


def _time_axis(axes: Axes, span: tuple[pd.Timestamp, pd.Timestamp]) -> None:
    locator = matplotlib.dates.AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))
    axes.set_xlim(*_naive(pd.Series(span)))
