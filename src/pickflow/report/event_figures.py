"""Figures of the events of one catalog: magnitudes, velocities, errors, uncertainties, and the unmatched ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pickflow.comparison.seismicity import FEWEST_MAGNITUDES, frequency_magnitude
from pickflow.report import drawing


class _Quantity(NamedTuple):
    """Column of a table, its label, the unit of its median, and whether its sign matters."""

    column: str
    label: str
    unit: str
    signed: bool


_ERRORS = (
    _Quantity("time_error_s", "Origin time (s)", "s", True),
    _Quantity("east_error_km", "Epicentre, to the east (km)", "km", True),
    _Quantity("north_error_km", "Epicentre, to the north (km)", "km", True),
    _Quantity("depth_error_km", "Depth (km)", "km", True),
    _Quantity("magnitude_error", "Magnitude", "", True),
)
_UNCERTAINTIES = (
    _Quantity("horizontal_uncertainty_km", "Horizontal (km)", "km", False),
    _Quantity("depth_uncertainty_km", "Depth (km)", "km", False),
    _Quantity("time_uncertainty_s", "Origin time (s)", "s", False),
)
_PROFILE = (
    _Quantity("n_picks", "Picks per event", "", False),
    _Quantity("rms_residual_s", "Residual, rms (s)", "s", False),
    _Quantity("azimuthal_gap_deg", "Azimuthal gap (°)", "°", False),
    _Quantity("mean_probability", "Mean probability of its picks", "", False),
    _Quantity("magnitude", "Magnitude", "", False),
    _Quantity("gap_to_reference_s", "Time from the nearest reference event (s)", "s", False),
)


def draw_recall_by_magnitude(name: str, reference: pd.DataFrame, misses: pd.DataFrame) -> drawing.Illustration:
    """Found and missed reference events by magnitude."""
    magnitude = reference["magnitude"].dropna()
    if magnitude.empty:
        return drawing.no_figure("The reference has no magnitudes, so recall by magnitude is unknown.")
    step = 0.5 if magnitude.max() - magnitude.min() < 5 else 1.0
    low, high = (np.floor(value / step) * step for value in (magnitude.min(), magnitude.max()))
    edges = np.arange(low, high + 1.5 * step, step)
    centres = (edges[:-1] + edges[1:]) / 2
    total = np.histogram(magnitude, edges)[0]
    n_missed = np.histogram(misses["magnitude"].dropna(), edges)[0]
    figure = drawing.new_figure(drawing.HALF_PX, 250)
    axes = drawing.add_axes(figure, 62, 28, drawing.HALF_PX - 76, 176)
    axes.bar(centres, total - n_missed, width=0.88 * step, color=drawing.MATCHED_COLOUR, label="found")
    nonzero = n_missed > 0
    if nonzero.any():
        axes.bar(
            centres[nonzero], n_missed[nonzero], bottom=(total - n_missed)[nonzero], width=0.88 * step,
            color="white", edgecolor=drawing.INK, linewidth=0.9, label="missed",
        )  # fmt: skip
    for centre, n_total, n_lost in zip(centres, total, n_missed, strict=True):
        if n_total:
            axes.annotate(
                f"{(n_total - n_lost) / n_total:.0%}", (centre, n_total), xytext=(0, 2), textcoords="offset points",
                ha="center", fontsize=9.5, color=drawing.INK,
            )  # fmt: skip
    axes.set(xlabel="Magnitude of the reference", ylabel="Reference events", ylim=(0, 1.15 * total.max()))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    drawing.legend(axes, "lower right", 2, (1.0, 1.0))
    return drawing.illustrate(
        figure,
        name,
        "Reference events found and missed, with the recall above each bar: recall should only fall to the left.",
    )


def _histogram(axes: Axes, values: pd.Series, quantity: _Quantity, share: float = 0.995) -> None:
    """One variable with its median; far outliers are drawn into the last bins."""
    axes.set(xlabel=quantity.label, ylabel="Events")
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    limit = max(1e-3, float(values.abs().quantile(share)) * 1.02)
    n_bins = int(np.clip(2.5 * np.sqrt(len(values)), 8, 44))
    bins = np.linspace(-limit if quantity.signed else 0.0, limit, n_bins)
    axes.hist(values.clip(-limit, limit), bins=list(bins), color=drawing.MATCHED_COLOUR)
    median, mad = float(values.median()), float((values - values.median()).abs().median())
    axes.axvline(median, color=drawing.INK, linewidth=1.1)
    spread = f", MAD {mad:.2f}" if quantity.signed else ""
    text = f"median {median:{'+' if quantity.signed else ''}.2f}{spread} {quantity.unit}".rstrip()
    axes.text(0.995, 1.0, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=10)
    if quantity.signed:
        axes.axvline(0, color=drawing.GREY, linewidth=0.8, linestyle=(0, (3, 3)))


def _grid(quantities: tuple[_Quantity, ...], table: pd.DataFrame) -> tuple[Figure, list[tuple[Axes, _Quantity]]]:
    """A wide figure with three panels in a row, one for each quantity that has values."""
    panels = [quantity for quantity in quantities if table[quantity.column].notna().any()]
    figure = drawing.new_figure(drawing.WIDE_PX, 150 * -(-len(panels) // 3) + 34)
    positions = [(62 + 298 * (index % 3), 40 + 150 * (index // 3)) for index in range(len(panels))]
    return figure, [
        (drawing.add_axes(figure, *position, 230, 84), quantity)
        for position, quantity in zip(positions, panels, strict=True)
    ]


def draw_errors(name: str, matched: pd.DataFrame) -> drawing.Illustration:
    """
    Histograms of catalog - reference in time, place, depth and magnitude.

    Parameters
    ----------
    name : str
        Unique on the page.
    matched : DataFrame
        Rows of `MATCHES` with both identifiers.
    """
    if matched.empty:
        return drawing.no_figure("No event matches the reference, so there are no errors to show.")
    figure, panels = _grid(_ERRORS, matched)
    for axes, quantity in panels:
        _histogram(axes, matched[quantity.column].dropna(), quantity)
    error = matched.epicentral_error_km
    caption = "Catalog − reference of the matched events; the line marks the median, which should lie near zero."
    caption += (
        f" Epicentres are {error.median():.1f} km apart (median), 90 % of them less than {error.quantile(0.9):.1f} km."
    )
    if matched.magnitude_error.isna().all():
        caption += " Magnitudes cannot be compared: one side has none."
    return drawing.illustrate(figure, name, caption)


def draw_offsets(name: str, matched: pd.DataFrame) -> drawing.Illustration:
    """Epicentre of each matched event from that of the reference."""
    if matched.empty:
        return drawing.no_figure("")
    limit = max(0.1, 1.1 * float(matched.epicentral_error_km.quantile(0.98)))
    figure = drawing.new_figure(drawing.HALF_PX, 300)
    axes = drawing.add_axes(figure, 112, 14, 240, 240)
    is_dense = len(matched) > drawing.N_VECTOR_POINTS
    axes.axhline(0, color=drawing.GREY, linewidth=0.7)
    axes.axvline(0, color=drawing.GREY, linewidth=0.7)
    axes.scatter(
        matched.east_error_km, matched.north_error_km, s=6 if is_dense else 14, color=drawing.MATCHED_COLOUR, alpha=0.5,
        linewidths=0, rasterized=is_dense,
    )  # fmt: skip
    middle = matched.east_error_km.median(), matched.north_error_km.median()
    axes.plot(*middle, "+", color=drawing.UNMATCHED_COLOUR, markersize=11)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="To the east (km)", ylabel="To the north (km)")
    n_outside = int((matched[["east_error_km", "north_error_km"]].abs() > limit).any(axis=1).sum())
    caption = (
        "Epicentres from those of the reference (0, 0), with the median as a cross; a cloud off the centre points at"
    )
    caption += " the velocity model or at coordinates."
    return drawing.illustrate(figure, name, caption + (f" {n_outside} lie outside of this frame." if n_outside else ""))


def draw_uncertainties(name: str, events: pd.DataFrame) -> drawing.Illustration:
    """Histograms of the location's uncertainties (one standard deviation), and the quality classes in the caption."""
    if events[[quantity.column for quantity in _UNCERTAINTIES]].isna().all(axis=None):
        return drawing.no_figure("The locations have no uncertainties.")
    figure, panels = _grid(_UNCERTAINTIES, events)
    for axes, quantity in panels:
        _histogram(axes, events[quantity.column].dropna(), quantity, share=0.98)
    caption = "Uncertainties of the locations, one standard deviation."
    classes = events.quality.value_counts().sort_index()
    if len(classes):
        caption += f" Quality: {', '.join(f'{quality} {n:,}' for quality, n in classes.items())}."
    return drawing.illustrate(figure, name, caption)


def draw_profile(name: str, properties: pd.DataFrame, unmatched: pd.Series, matched: pd.Series) -> drawing.Illustration:
    """
    Properties of events that the reference lacks, beside those of events that it has.

    Parameters
    ----------
    name : str
        Unique on the page.
    properties : DataFrame
        See `pickflow.comparison.unmatched.properties`.
    unmatched, matched : Series of bool
        Which rows.
    """
    if not unmatched.any():
        return drawing.no_figure("No event of the catalog is without a counterpart in the reference.")
    table = properties.assign(gap_to_reference_s=properties.reference_time_difference_s.abs())
    figure, panels = _grid(_PROFILE, table[unmatched | matched])
    for axes, quantity in panels:
        _compare_histograms(axes, table[quantity.column], quantity, unmatched, matched)
    drawing.legend(panels[0][0], "lower left", 2, (-0.02, 1.12))
    caption = (
        "Events that the reference lacks, beside those that it has (each as a share of its own number; the lines are"
    )
    caption += (
        " medians). Few picks, large residuals and low probabilities speak for false events; values like those of"
    )
    caption += " the matched ones for earthquakes that the reference lacks."
    return drawing.illustrate(figure, name, caption)


def _compare_histograms(
    axes: Axes, values: pd.Series, quantity: _Quantity, unmatched: pd.Series, matched: pd.Series
) -> None:
    sample = values[unmatched | matched].dropna()
    low, high = (float(sample.quantile(share)) for share in (0.005, 0.98))
    if quantity.column == "gap_to_reference_s" and low >= 0 and high > 0:
        axes.set_xscale("log")
        values, low = values.clip(lower=0.05), max(low, 0.05)
        bins = np.geomspace(low, max(high, 1.1 * low), 19)
    else:
        bins = np.linspace(low, max(high, low + 1e-3), 19)
    sides = (
        (matched, drawing.MATCHED_COLOUR, "in the reference"),
        (unmatched, drawing.UNMATCHED_COLOUR, "not in the reference"),
    )
    for rows, colour, label in sides:
        group = values[rows].dropna().clip(bins[0], bins[-1])
        if group.empty:
            continue
        axes.hist(
            group, bins=list(bins), weights=np.full(len(group), 1 / len(group)), histtype="stepfilled",
            color=(colour, 0.22), edgecolor=colour, linewidth=1.2, label=f"{label} ({int(rows.sum()):,})",
        )  # fmt: skip
        axes.axvline(group.median(), color=colour, linewidth=1.2, linestyle=(0, (4, 2)))
    axes.set_xlabel(quantity.label)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def draw_frequency_magnitude(name: str, events: pd.DataFrame, reference: pd.DataFrame | None) -> drawing.Illustration:
    """Number of events by magnitude, alone and cumulated, with completeness and b-value."""
    fit = frequency_magnitude(events.magnitude.to_numpy(float))
    if fit is None:
        return drawing.no_figure("The events have no magnitudes, so there is no magnitude-frequency relation.")
    figure = drawing.new_figure(drawing.HALF_PX, 290)
    axes = drawing.add_axes(figure, 62, 44, drawing.HALF_PX - 76, 200)
    axes.set_yscale("log")
    is_filled = fit.n > 0
    axes.scatter(
        fit.magnitudes[is_filled],
        fit.n[is_filled],
        s=13,
        marker="s",
        facecolors="white",
        edgecolors=drawing.GREY,
        label="in 0.1",
    )
    axes.plot(fit.magnitudes, fit.n_above, "o", color=drawing.MATCHED_COLOUR, markersize=4, label="this and larger")
    curve = None if reference is None else frequency_magnitude(reference.magnitude.to_numpy(float))
    if curve is not None:
        axes.step(curve.magnitudes, curve.n_above, where="mid", color=drawing.INK, linewidth=1.0, label="reference")
    axes.axvline(fit.completeness, color=drawing.GREY, linewidth=0.9, linestyle=(0, (3, 3)))
    if np.isfinite(fit.b):
        x = np.array([fit.completeness, fit.magnitudes[-1]])
        axes.plot(x, 10 ** (fit.a - fit.b * x), color=drawing.UNMATCHED_COLOUR, linewidth=1.3, label="fit")
    axes.set(xlabel="Magnitude", ylabel="Events", ylim=(0.7, 1.6 * max(fit.n_above[0], 1)))
    drawing.legend(axes, "lower left", 4, (-0.03, 1.0))
    caption = f"Complete from {fit.completeness:.1f} (fullest bin + 0.2); "
    if np.isfinite(fit.b):
        caption += f"b = {fit.b:.2f} ± {fit.b_uncertainty:.2f} from {fit.n_complete:,} events (maximum likelihood"
        caption += " of Aki and Utsu, uncertainty of Shi and Bolt)."
    else:
        caption += f"{fit.n_complete} events are too few for a b-value (at least {FEWEST_MAGNITUDES})."
    return drawing.illustrate(figure, name, caption)


def draw_wadati(
    name: str, arrivals: pd.DataFrame, table: pd.DataFrame, ratio: tuple[float, float]
) -> drawing.Illustration:
    """
    S - P against P, and the ratio of velocities.

    Parameters
    ----------
    name : str
        Unique on the page.
    arrivals : DataFrame
        See `wadati_arrivals`.
    table : DataFrame
        Table `WADATI`.
    ratio : tuple of float
        vp/vs over all events and its uncertainty; NaN if unknown.
    """
    if not np.isfinite(ratio[0]):
        return drawing.no_figure("No event has P and S at four stations, so there is no Wadati diagram.")
    if ratio[0] <= 1:
        return drawing.no_figure(
            f"S − P does not grow with P (vp/vs would be {ratio[0]:.2f}), so there is no Wadati diagram."
        )
    figure = drawing.new_figure(drawing.HALF_PX, 270)
    axes = drawing.add_axes(figure, 62, 14, drawing.HALF_PX - 76, 206)
    is_dense = len(arrivals) > drawing.N_VECTOR_POINTS
    # Each event is shifted along P so that its S - P is zero at P = 0: errors of origin times do not matter.
    groups = arrivals.groupby("event_id")
    own_zero_s = groups.p_s.transform("median") - groups.s_minus_p_s.transform("median") / (ratio[0] - 1)
    p_s = arrivals.p_s - own_zero_s
    axes.scatter(
        p_s,
        arrivals.s_minus_p_s,
        s=5 if is_dense else 9,
        color=drawing.INK,
        alpha=0.35,
        linewidths=0,
        rasterized=is_dense,
    )
    limit = max(float(p_s.quantile(0.995)) * 1.05, 0.1)
    axes.plot([0, limit], [0, (ratio[0] - 1) * limit], color=drawing.UNMATCHED_COLOUR, linewidth=1.3)
    axes.set(xlim=(0, limit), ylim=(0, max(float(arrivals.s_minus_p_s.quantile(0.995)) * 1.1, 0.1)))
    axes.set(xlabel="Travel time of P (s)", ylabel="S − P (s)")
    axes.grid(True)
    low, high = table.vp_vs.quantile([0.16, 0.84])
    caption = (
        f"Wadati diagram: vp/vs = {ratio[0]:.3f} ± {ratio[1]:.3f} over all events (line); of {len(table):,} single"
    )
    caption += (
        f" events the median is {table.vp_vs.median():.2f} and the central 68 % lie between {low:.2f} and {high:.2f}."
    )
    return drawing.illustrate(figure, name, caption + " Points far off the line are wrong picks, or P taken for S.")


def draw_corrections(name: str, corrections: pd.DataFrame) -> drawing.Illustration:
    """Station corrections of P and S, with the spread of the residuals around them."""
    names = (corrections.network + "." + corrections.station).str.lstrip(".")
    size = corrections.assign(name=names, size=corrections.correction_s.abs()).groupby("name")["size"].max()
    stations = sorted(size.sort_values(ascending=False, kind="stable").index[: drawing.N_STATIONS_SHOWN])
    figure = drawing.new_figure(drawing.HALF_PX, 30 + drawing.ROW_PX * len(stations) + 44)
    axes = drawing.add_axes(figure, 84, 24, drawing.HALF_PX - 100, drawing.ROW_PX * len(stations))
    for phase, offset in (("P", -0.18), ("S", 0.18)):
        rows = (corrections.phase == phase) & names.isin(stations)
        y = np.array([stations.index(station) for station in names[rows]]) + offset
        value, mad = corrections.correction_s[rows], corrections.mad_s[rows].fillna(0.0)
        axes.barh(y, value, height=0.34, color=drawing.PHASE_COLOURS[phase], label=phase)
        axes.hlines(y, value - mad, value + mad, color=drawing.INK, linewidth=0.8)
    axes.axvline(0, color=drawing.GREY, linewidth=0.8)
    axes.set_yticks(range(len(stations)), stations, fontsize=9.5)
    axes.set_ylim(len(stations) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Added to the predicted travel time (s)")
    drawing.legend(axes, "lower right", 2, (1.0, 1.0))
    caption = "Station corrections of the location, with the spread (MAD) of the residuals around them as a line."
    if len(stations) < len(size):
        caption += f" The {len(stations)} of {len(size)} stations with the largest are shown."
    return drawing.illustrate(figure, name, caption)
