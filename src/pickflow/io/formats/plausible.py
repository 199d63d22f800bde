"""Impossible values: numbers that programs write for "unknown", and those beyond all bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

_STATION = re.compile(r"[^\W_][^\s\x00-\x1f\x7f]{0,63}|_[^\s\x00-\x1f\x7f]{1,63}")
_LONGEST_NAME = 300  # characters, chosen


class Range(NamedTuple):
    """Possible values, low to high; nines from `nines` on (99, 999.9, …), and negative sizes, stand for "unknown"."""

    low: float
    high: float
    nines: float = np.inf


_ERROR = Range(0.0, 1e4, 99.0)  # chosen; 99 is the usual sentinel
EVENT_RANGES: dict[str, Range] = {
    "latitude_deg": Range(-90.0, 90.0),
    "longitude_deg": Range(-360.0, 360.0),
    "depth_km": Range(-15.0, 1000.0, 900.0),
    "magnitude": Range(-5.0, 10.5, 9.9),
    "n_picks": Range(0, 1e6, 9999),
    "n_p": Range(0, 1e6, 9999),
    "n_s": Range(0, 1e6, 9999),
    "n_stations": Range(0, 1e6, 9999),
    "n_magnitude_stations": Range(0, 1e6, 9999),
    "rms_residual_s": _ERROR,
    "azimuthal_gap_deg": Range(0.0, 360.0, 999.0),
    "time_uncertainty_s": _ERROR,
    "horizontal_uncertainty_km": _ERROR,
    "depth_uncertainty_km": _ERROR,
    "magnitude_uncertainty": Range(0.0, 10.0, 9.9),
}
PICK_RANGES: dict[str, Range] = {
    "time_uncertainty_s": _ERROR,
    "weight": Range(0.0, 1e3),
    "residual_s": Range(-1e4, 1e4, 99.0),
    "distance_km": Range(0.0, 21_000.0, 999.9),
    "azimuth_deg": Range(-360.0, 360.0, 999.0),
    "coda_s": Range(0.0, 1e4, 999.0),
    "probability": Range(0.0, 1.0, 9.0),
}
_PLACE = ("latitude_deg", "longitude_deg", "depth_km")


def _all_nines(values: np.ndarray) -> np.ndarray:
    """Whether a number is written with nines alone: 999, -9.99, 9999.9, also with zeros behind."""
    texts = [f"{value:.4f}".rstrip("0").rstrip(".").strip("-").replace(".", "") for value in values]
    return np.array([bool(text) and set(text) == {"9"} for text in texts], bool)


def keep_plausible(
    frame: pd.DataFrame, ranges: Mapping[str, Range], reject: Callable[[int, str], None]
) -> pd.DataFrame:
    """
    Rows in which impossible numbers are NaN.

    Parameters
    ----------
    frame : DataFrame
        Rows.
    ranges : mapping of str to Range
        By column.
    reject : callable
        Called with the position of a row and the reason why a number was left out; not for conventions of "unknown".

    Returns
    -------
    DataFrame
    """
    frame = frame.copy()
    for column, (low, high, nines) in ranges.items():
        if column not in frame:
            continue
        values = pd.to_numeric(frame[column], errors="coerce").to_numpy(float, copy=True)
        odd = ~((values >= low) & (values <= high)) & ~np.isnan(values)
        unknown = np.zeros(len(values), bool)
        replacement = 0.0 if column == "weight" else np.nan  # an absurd weight must not become a full one
        if column != "weight":
            suspects = np.flatnonzero(odd | (np.abs(values) >= nines))
            unknown[suspects] = _all_nines(values[suspects]) | (low == 0 > values[suspects])
        for index in np.flatnonzero(odd & ~unknown):
            consequence = "taken as 0" if column == "weight" else "left out"
            reject(int(index), f"{column} {values[index]:g} is not within {low:g} to {high:g}, and {consequence}")
        values[odd | unknown] = replacement
        frame[column] = values
    return frame


def check_origins(events: pd.DataFrame, with_picks: set[str], reject: Callable[[int, str], None]) -> pd.DataFrame:
    """
    Events whose origins have a time and a place, or neither.

    Parameters
    ----------
    events : DataFrame
        Rows with event_id, time, latitude_deg, longitude_deg and depth_km.
    with_picks : set of str
        Identifiers of events that picks belong to: they stay, without their origin.
    reject : callable
        Called with the position of an event and a reason.

    Returns
    -------
    DataFrame
    """
    has_place = events.latitude_deg.notna() & events.longitude_deg.notna()
    half = events.latitude_deg.notna() != events.longitude_deg.notna()
    lacks_time = events.time.isna() & has_place
    for index in np.flatnonzero(half):
        reject(int(index), "an origin needs latitude and longitude")
    for index in np.flatnonzero(lacks_time):
        reject(int(index), "an origin without a time")
    is_invalid = (half | lacks_time).to_numpy()
    events = events.copy()
    events.loc[is_invalid, list(_PLACE)] = np.nan
    is_wrapped = events.longitude_deg.abs() > 180
    events.loc[is_wrapped, "longitude_deg"] = (events.longitude_deg[is_wrapped] + 180) % 360 - 180
    return events[~is_invalid | events.event_id.isin(with_picks).to_numpy()]


def pick_fault(pick: Mapping[str, Any]) -> str:
    """Why a pick is invalid; empty if it is valid."""
    if pd.isna(pick.get("time")):
        return "no time"
    if not pick.get("station"):
        return "no station"
    if not _STATION.fullmatch(str(pick["station"])):
        return f"{pick['station']!r} is no code of a station"
    return ""


def clean_name(name: object) -> str:
    """An identifier without characters that break lines and tables."""
    return re.sub(r"[\x00-\x1f\x7f\u2028\u2029]", "_", str(name))[:_LONGEST_NAME]
