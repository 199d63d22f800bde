"""Figures of one catalog: events in time, residuals, picks per station."""

from __future__ import annotations

import matplotlib
import matplotlib.dates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pickflow.analyze.drawing import (
    FAINT,
    GREY,
    HALF_PX,
    INK,
    MATCHED_COLOUR,
    N_STATIONS_SHOWN,
    N_VECTOR_POINTS,
    PHASE_COLOURS,
    ROW_PX,
    UNMATCHED_COLOUR,
    WIDE_PX,
    Illustration,
    absent,
    add_axes,
    illustrate,
    legend,
    new_figure,
)

# A station is suspicious if its median residual stands out by this much from the other stations.
_SUSPICIOUS_S = 0.25
_FEWEST_FOR_SUSPICION = 5
_LARGEST_CLOCK_RATIO = 1.35


def draw_timeline(
    name: str,
    events: pd.DataFrame,
    reference: pd.DataFrame | None,
    missed: pd.DataFrame,
    span: tuple[pd.Timestamp, pd.Timestamp],
) -> Illustration:
    """
    Events in time (by magnitude, else by number of picks), and their cumulative number below.

    Parameters
    ----------
    name : str
        Unique on the page.
    events : DataFrame
        `EVENTS` with a column `status`.
    reference, missed : DataFrame
        Reference events, and those of them without a counterpart; the reference is None if there is none.
    span : tuple of Timestamp
        Start and end of the run.
    """
    if events.empty and (reference is None or reference.empty):
        return absent("No events, so nothing to show in time.")
    figure = new_figure(WIDE_PX, 380)
    upper = add_axes(figure, 70, 28, WIDE_PX - 88, 186)
    lower = add_axes(figure, 70, 236, WIDE_PX - 88, 104, share_x=upper)
    quantity, label = (
        ("magnitude", "Magnitude") if events["magnitude"].notna().any() else ("n_picks", "Picks per event")
    )
    _draw_stems(upper, events, missed, quantity)
    upper.set_ylabel(label)
    upper.tick_params(labelbottom=False)
    _draw_cumulative(lower, events["time"], span, MATCHED_COLOUR, "catalog")
    if reference is not None:
        _draw_cumulative(lower, reference["time"], span, INK, "reference")
    lower.set_ylabel("Cumulative\nnumber")
    lower.set_ylim(bottom=0)
    lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    legend(lower, "upper left", 1)
    _time_axis(lower, span)
    for axes in (upper, lower):
        axes.grid(True)
    caption = f"{label} of every event in time; a jump or a flat stretch of the cumulative number that the reference "
    caption += "lacks points at the network or the pipeline rather than at the Earth."
    if reference is None:
        caption = f"{label} of every event in time, and the cumulative number; a flat stretch may be an outage."
    return illustrate(figure, name, caption)


def _draw_stems(axes: Axes, events: pd.DataFrame, missed: pd.DataFrame, quantity: str) -> None:
    many = len(events) + len(missed) > N_VECTOR_POINTS
    for status, label, colour, marker in (
        ("matched", "in the reference", MATCHED_COLOUR, "o"),
        ("unjudged", "not judged" if len(events["status"].unique()) > 1 else "event", "#9bb8c4", "o"),
        ("unmatched", "not in the reference", UNMATCHED_COLOUR, "D"),
    ):
        some = events[(events["status"] == status) & events[quantity].notna()]
        if some.empty:
            continue
        axes.scatter(
            _naive(some["time"]), some[quantity], s=6 if many else 26, marker=marker, color=colour, label=label,
            facecolors="white" if marker == "D" and not many else colour, linewidths=0 if many else 1.1,
            rasterized=many, zorder=3,
        )  # fmt: skip
    if events.empty:
        axes.set_yticks([])
    elif quantity == "n_picks":
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if quantity == "magnitude" and missed["magnitude"].notna().any():
        known = missed.dropna(subset=["magnitude"])
        axes.scatter(
            _naive(known["time"]), known["magnitude"], s=8 if many else 26, marker="x", color=INK, label="missed",
            linewidths=0.7 if many else 1.2, rasterized=many, zorder=4,
        )  # fmt: skip
    elif len(missed):
        axes.scatter(
            _naive(missed["time"]), np.full(len(missed), 0.02), transform=axes.get_xaxis_transform(), s=26, marker="x",
            color=INK, linewidths=1.2, label="missed", clip_on=False, zorder=4, rasterized=many,
        )  # fmt: skip
    legend(axes, "lower left", 4, (0.0, 1.0))


def _draw_cumulative(
    axes: Axes, times: pd.Series, span: tuple[pd.Timestamp, pd.Timestamp], colour: str, label: str
) -> None:
    ordered = np.sort(_naive(times))
    thinned = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), 800)).astype(int)) if len(ordered) else []
    ends = _naive(pd.Series(span))
    x = np.concatenate([ends[:1], ordered[thinned], ends[1:]]) if len(ordered) else ends
    y = np.concatenate([[0], np.asarray(thinned) + 1, [len(ordered)]]) if len(ordered) else np.zeros(2)
    axes.plot(x, y, drawstyle="steps-post", color=colour, linewidth=1.5, label=label)


def draw_residuals(name: str, arrivals: pd.DataFrame) -> Illustration:
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
        return absent("No pick belongs to an event, so there are no residuals.")
    limit_s = max(0.1, float(arrivals["residual_s"].abs().quantile(0.99)) * 1.05)
    figure = new_figure(HALF_PX, 250)
    axes = add_axes(figure, 62, 28, HALF_PX - 76, 176)
    for phase, colour in PHASE_COLOURS.items():
        residual_s = arrivals.loc[arrivals["phase"] == phase, "residual_s"]
        if residual_s.empty:
            continue
        median, low, high = residual_s.quantile([0.5, 0.16, 0.84]).round(3) + 0.0
        axes.hist(
            residual_s.clip(-limit_s, limit_s), bins=list(np.linspace(-limit_s, limit_s, 42)), histtype="stepfilled",
            color=(colour, 0.25), edgecolor=colour, linewidth=1.2,
            label=f"{phase}: median {median:+.2f} s, ±{(high - low) / 2:.2f} s, n = {len(residual_s):,}",
        )  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="Residual, observed − predicted (s)", ylabel="Picks", xlim=(-limit_s, limit_s))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend(axes, "upper right", 1)
    axes.set_ylim(top=1.35 * axes.get_ylim()[1])
    return illustrate(
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
    enough = statistics[statistics["n"] >= _FEWEST_FOR_SUSPICION]
    table = enough.pivot_table(index="station", columns="phase", values="median_s").reindex(columns=["P", "S"])
    table = table - table.median()
    same_sign = (np.sign(table["P"]) == np.sign(table["S"])) & (table.abs().min(axis=1) > _SUSPICIOUS_S)
    return [
        f"{station}: P comes {abs(p_s):.2f} s and S {abs(s_s):.2f} s {'later' if p_s > 0 else 'earlier'} "
        "than elsewhere; "
        + ("check its clock." if s_s / p_s < _LARGEST_CLOCK_RATIO else "the ground below it, or its coordinates?")
        for station, p_s, s_s in table[same_sign].itertuples()
    ]


def draw_station_residuals(name: str, arrivals: pd.DataFrame) -> Illustration:
    """Median and central 68 % of the residuals of each station, P and S."""
    if arrivals.empty:
        return absent("No pick belongs to an event, so there are no residuals by station.")
    statistics = station_residuals(arrivals)
    worst = statistics.assign(size=statistics["median_s"].abs()).groupby("station")["size"].max()
    shown = sorted(worst.sort_values(ascending=False, kind="stable").index[:N_STATIONS_SHOWN])
    figure = new_figure(HALF_PX, 30 + ROW_PX * len(shown) + 44)
    axes = add_axes(figure, 84, 24, HALF_PX - 100, ROW_PX * len(shown))
    for phase, offset in (("P", -0.17), ("S", 0.17)):
        rows = statistics[(statistics["phase"] == phase) & statistics["station"].isin(shown)]
        y = np.array([shown.index(station) for station in rows["station"]]) + offset
        axes.hlines(y, rows["low_s"], rows["high_s"], color=PHASE_COLOURS[phase], linewidth=1.6, alpha=0.55)
        axes.scatter(rows["median_s"], y, s=20, color=PHASE_COLOURS[phase], zorder=3, label=phase)
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    _station_axis(axes, shown)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Residual: median and central 68 % (s)")
    legend(axes, "lower right", 2, (1.0, 1.0))
    caption = "Residuals by station: P and S shifted by the same time mean a clock, S shifted more the ground."
    if len(shown) < len(worst):
        caption += f" The {len(shown)} of {len(worst)} stations with the largest median are shown."
    return illustrate(figure, name, " ".join([caption, *suspicious_stations(statistics)]))


def draw_picks_per_station(name: str, picks: pd.DataFrame, stations: pd.DataFrame) -> Illustration:
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
        return absent("Nothing was picked; the ledger says what was recorded.")
    names = (picks["network"] + "." + picks["station"]).str.lstrip(".")
    asked = set((stations["network"] + "." + stations["station"]).str.lstrip(".")) | set(names)
    order = names.value_counts().reindex(sorted(asked), fill_value=0).sort_values(ascending=False, kind="stable")
    shown = sorted(order.index[:N_STATIONS_SHOWN])
    counts = picks.assign(name=names).groupby(["name", "phase", "assigned"]).size()
    figure = new_figure(HALF_PX, 30 + ROW_PX * len(shown) + 44)
    axes = add_axes(figure, 84, 24, HALF_PX - 150, ROW_PX * len(shown))
    _draw_pick_bars(axes, counts, shown)
    share = picks.assign(name=names).groupby("name")["assigned"].agg(lambda assigned: 1 - assigned.mean())
    for row, station in enumerate(shown):
        text = f"{share[station]:.0%}" if station in share else "–"
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9.5, color=INK)
    axes.text(1.02, 1.0, "no event", transform=axes.transAxes, va="bottom", fontsize=9.5, color=GREY)
    _station_axis(axes, shown)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _position: f"{abs(value):,.0f}")
    zero = _share_left_of_zero(axes)
    below = -34 / (ROW_PX * len(shown))
    for text, place in (("← P picks", zero - 0.03), ("S picks →", zero + 0.03)):
        align = "right" if place < zero else "left"
        axes.text(place, below, text, transform=axes.transAxes, ha=align, va="center")
    caption = "Picks by station, pale where no event claims them: a station with a large pale share is noisy, "
    caption += "or hears what the others do not."
    if len(shown) < len(order):
        caption += f" The {len(shown)} of {len(order)} stations with the most picks are shown."
    return illustrate(figure, name, caption)


def _draw_pick_bars(axes: Axes, counts: pd.Series, shown: list[str]) -> None:
    rows = np.arange(len(shown))
    for phase, sign in (("P", -1), ("S", 1)):
        inside, outside = (
            np.array([counts.get((station, phase, assigned), 0) for station in shown]) for assigned in (True, False)
        )
        axes.barh(rows, sign * inside, height=0.72, color=PHASE_COLOURS[phase], label=f"{phase} of an event")
        axes.barh(
            rows,
            sign * outside,
            left=sign * inside,
            height=0.72,
            color=PHASE_COLOURS[phase],
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
    axes.grid(True, axis="x", color=FAINT)


def _naive(times: pd.Series) -> np.ndarray:
    return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()


def _time_axis(axes: Axes, span: tuple[pd.Timestamp, pd.Timestamp]) -> None:
    locator = matplotlib.dates.AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(matplotlib.dates.ConciseDateFormatter(locator))
    axes.set_xlim(*_naive(pd.Series(span)))
