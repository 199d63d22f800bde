"""Record section of one event: traces at their distances, with picks and travel-time curves."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from pickflow.report import drawing
from pickflow.viewer.gather import PHASES, Gather, TravelTime

_WIDTH_PX, _HEIGHT_PX, _LEFT_PX = 920, 430, 62  # layout, chosen, as _LABEL_PX
_LABEL_PX = 12
_FEWEST_STATIONS = 3  # chosen: fewer show no moveout
_N_CURVE_POINTS = 40  # chosen: looks smooth


def draw_record_section(name: str, gather: Gather, travel_time_s: TravelTime | None) -> drawing.Illustration:
    """
    Draw the vertical components of a gather at their distances.

    Parameters
    ----------
    name : str
        Unique on the page.
    gather : Gather
        From `gather_for_event`.
    travel_time_s : callable or None
        ``(phase, distance_km, depth_km) -> seconds`` of the curves.
    """
    if len(gather.stations) < _FEWEST_STATIONS:
        return drawing.no_figure(
            "Fewer than three stations have waveforms of this event, so there is no record section."
        )
    figure = drawing.new_figure(_WIDTH_PX, _HEIGHT_PX)
    width_px = _WIDTH_PX - _LEFT_PX - 100
    axes = drawing.add_axes(figure, _LEFT_PX, 12, width_px, _HEIGHT_PX - 62)
    distances = np.array([station.distance_km for station in gather.stations])
    spread = max(float(np.ptp(distances)), 1.0)
    half_height = 0.55 * spread / max(len(distances) - 1, 4)
    low, high = max(0.0, distances.min() - 1.5 * half_height), distances.max() + 1.8 * half_height
    for station in gather.stations:
        times_s, values = drawing.envelope(station.time_s, station.waveform[0], width_px)
        peak = np.fmax.reduce(np.abs(values), initial=0.0) or 1.0
        axes.plot(
            times_s, station.distance_km + half_height * values / peak, color=drawing.INK, linewidth=0.5, alpha=0.8
        )
        for phase, time_s, is_assigned in station.picks:
            if is_assigned:
                ends = [station.distance_km - half_height, station.distance_km + half_height]
                axes.plot([time_s, time_s], ends, color=drawing.PHASE_COLOURS[phase], linewidth=1.6, zorder=3)
    _label(axes, gather, (high - low) / (_HEIGHT_PX - 62))
    if travel_time_s is not None:
        _draw_curves(axes, gather, travel_time_s, low, high)
    axes.set(xlim=(gather.start_s, gather.end_s), ylim=(low, high))
    axes.set(xlabel="Time after the origin (s)", ylabel="Epicentral distance (km)")
    axes.grid(True, axis="x")
    return drawing.illustrate(
        figure, name,
        "Record section of the first of these events: vertical components at their distances, picks of P (blue) and S"
        " (orange), and the travel times of the velocity model (lines).",
    )  # fmt: skip


def _label(axes: Axes, gather: Gather, km_per_px: float) -> None:
    """Names of the stations; those that would overlap are placed side by side."""
    last_km, names = -np.inf, ""
    for station in gather.stations:
        close = station.distance_km - last_km < _LABEL_PX * km_per_px
        names = f"{names} {station.station}" if close else station.station
        if close:
            axes.texts[-1].set_text(names)
        else:
            last_km = station.distance_km
            axes.text(1.006, last_km, names, transform=axes.get_yaxis_transform(), fontsize=8.5, va="center")


def _draw_curves(axes: Axes, gather: Gather, travel_time_s: TravelTime, low_km: float, high_km: float) -> None:
    depth_km = float(gather.event["depth_km"])
    depth_km = depth_km if np.isfinite(depth_km) else 10.0
    distances = np.linspace(low_km, high_km, _N_CURVE_POINTS)
    for phase in PHASES:
        times_s = [travel_time_s(phase, float(distance_km), depth_km) for distance_km in distances]
        axes.plot(times_s, distances, color=drawing.PHASE_COLOURS[phase], linewidth=0.9, alpha=0.6, zorder=1)
