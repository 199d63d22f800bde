"""A catalog as input of location programs: NonLinLoc, HypoDD, SEISAN (Nordic)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from pickflow.io.formats.arrivals import arrivals_of
from pickflow.io.formats.cards import code_of
from pickflow.io.formats.nordic import PHASE_HEADER
from pickflow.io.formats.programs import UNKNOWN_MAGNITUDE
from pickflow.io.places import places_between

logger = logging.getLogger(__name__)

_NAMED = 10  # events in a warning

_LONGEST_LABEL = {"NonLinLoc": 64, "HypoDD": 7, "Nordic": 5}  # characters that the programs read
_MAGNITUDE_LETTERS = {"ml": "L", "mw": "W", "mb": "b", "ms": "S", "md": "C", "mc": "C"}


def station_labels(picks: pd.DataFrame, program: str) -> dict[tuple[str, str], str]:
    """
    Names of stations for a program without networks.

    The station's code, where it is short enough and of one network only; else ``NET.STA`` if that is short enough; else
    an abbreviation with a number, with a warning.

    Parameters
    ----------
    picks : DataFrame
        Columns network and station.
    program : str
        NonLinLoc, HypoDD or Nordic.

    Returns
    -------
    dict
        (network, station) to a name that no other station has.
    """
    longest = _LONGEST_LABEL[program]
    keys = sorted({(str(network), str(station)) for network, station in zip(picks.network, picks.station, strict=True)})
    counts = pd.Series([station for _, station in keys], dtype=object).value_counts()
    labels = {key: key[1] for key in keys if counts[key[1]] == 1 and len(key[1]) <= longest}
    used_names, renamed = set(labels.values()), []
    for key in keys:
        if key in labels:
            continue
        name = ".".join(key)
        number = 0
        while len(name) > longest or name in used_names:
            number += 1
            name = key[1][: longest - len(str(number))] + str(number)
        labels[key] = name
        used_names.add(name)
        renamed.append(f"{'.'.join(key)} as {name}")
    if renamed:
        reason = f"{program} has {longest} letters for a station and no networks"
        logger.warning("%s; written with other names: %s", reason, ", ".join(renamed))
    return labels


def _events_with_arrivals(
    events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame
) -> Iterator[tuple[Any, list[Any]]]:
    arrivals: dict[str, list[Any]] = {}
    for arrival in arrivals_of(assignments, picks).itertuples(index=False):
        arrivals.setdefault(str(arrival.event_id), []).append(arrival)
    for row in events.itertuples(index=False):
        yield row, arrivals.get(str(row.event_id), [])


def _with(columns: list[str], events: pd.DataFrame, program: str) -> pd.DataFrame:
    """Events that have all values a program needs; a warning names the others, which are left out."""
    lacking = events[columns].isna().any(axis=1)
    if lacking.any():
        names = ", ".join(events.event_id[lacking].head(_NAMED))
        names_needed = ", ".join(columns)
        message = "%s needs %s of every event; %d have none, and are left out: %s"
        logger.warning(message, program, names_needed, int(lacking.sum()), names)
    return events[~lacking]


def nonlinloc_text(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame) -> str:
    """
    Phases for NonLinLoc: a block for each event, with its identifier.

    An unknown uncertainty of a time is written as 0: NonLinLoc then takes that of its travel times alone (LOCGAU). The
    weight, where there is one, is its prior weight: picks of weight 0 are not used.
    """
    labels = station_labels(picks, "NonLinLoc")
    blocks = []
    for row, arrivals in _events_with_arrivals(events, assignments, picks):
        lines = [f"PUBLIC_ID {'_'.join(row.event_id.split())}"]
        for pick in arrivals:
            motion = pick.polarity if pick.polarity in ("U", "D") else "?"
            error_s = pick.time_uncertainty_s if np.isfinite(pick.time_uncertainty_s) else 0.0
            minute = pick.time.replace(second=0, microsecond=0, nanosecond=0)
            seconds = (pick.time.value - minute.value) / 1e9
            lines.append(
                f"{labels[pick.network, pick.station]:<6} ?    {pick.channel or '?':<4} {pick.onset or '?'}"
                f" {pick.phase:<6} {motion} {minute:%Y%m%d %H%M} {seconds:9.6f}"
                f" GAU {error_s:.4e} -1.00e+00 -1.00e+00 -1.00e+00"
                + (f" {max(pick.weight, 0.0):9.4f}" if np.isfinite(pick.weight) else "")
            )
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def hypodd_text(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame) -> str:
    """
    Phases for HypoDD (``phase.dat`` of ph2dt).

    Identifiers that are no whole numbers of up to nine digits are replaced by the position in the catalog, from 1.
    Unknown errors are 0, an unknown magnitude is -9. The weight of a pick is its weight, or its probability, or 1.
    """
    labels = station_labels(picks, "HypoDD")
    events = _with(["time", "latitude_deg", "longitude_deg", "depth_km"], events, "HypoDD")
    numbers = list(events.event_id)
    if not all(name.isascii() and name.isdigit() and len(name) <= 9 and str(int(name)) == name for name in numbers):
        numbers = [str(number) for number in range(1, len(events) + 1)]
    lines = []
    rows = _events_with_arrivals(events, assignments, picks)
    for number, (row, arrivals) in zip(numbers, rows, strict=True):
        minute = row.time.floor("min")
        magnitude = row.magnitude if np.isfinite(row.magnitude) else UNKNOWN_MAGNITUDE
        errors = [
            value if np.isfinite(value) else 0.0
            for value in (row.horizontal_uncertainty_km, row.depth_uncertainty_km, row.rms_residual_s)
        ]
        lines.append(
            f"# {minute:%Y %m %d %H %M} {(row.time - minute).value / 1e9:9.6f} {row.latitude_deg:10.6f}"
            f" {row.longitude_deg:11.6f} {row.depth_km:9.4f} {magnitude:6.2f} {errors[0]:.3f} {errors[1]:.3f}"
            f" {errors[2]:.4f} {number:>9}"
        )
        for pick in arrivals:
            weights = (value for value in (pick.weight, pick.probability, 1.0) if np.isfinite(value))
            seconds = (pick.time.value - row.time.value) / 1e9
            lines.append(f"{labels[pick.network, pick.station]:<7} {seconds:10.6f} {next(weights):6.4f} {pick.phase}")
    return "".join(f"{line}\n" for line in lines)


def hypodd_stations(stations: pd.DataFrame, picks: pd.DataFrame) -> str:
    """Stations for HypoDD (``station.dat``), by the names of `hypodd_text`; only those with coordinates.

    HypoDD knows one place of a station: of one that has moved, the one that has most of the time of the picks.
    """
    labels = station_labels(picks, "HypoDD")
    if len(picks):
        stations = places_between(stations, picks.time.min(), picks.time.max() + pd.Timedelta(nanoseconds=1))
    lines = []
    columns = ["network", "station", "latitude_deg", "longitude_deg", "elevation_m"]
    located = stations.dropna(subset=["latitude_deg", "longitude_deg"])[columns].fillna({"elevation_m": 0.0})
    for network, station, *coordinates in located.to_numpy():
        if (network, station) in labels:
            name = labels[network, station]
            lines.append(f"{name:<7} {coordinates[0]:10.6f} {coordinates[1]:11.6f} {coordinates[2]:7.1f}\n")
    return "".join(lines)


def nordic_text(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame) -> str:
    """
    Events in SEISAN's Nordic format, in the old form that all its versions read.

    Each has a line of type 1, one of type E with the errors, one of type H with more digits, and its phases. SEISAN
    numbers events by their times: the identifier is lost. Weights become the codes 0 to 4 of HYPO71.
    """
    labels = station_labels(picks, "Nordic")
    _check_nordic(events)
    blocks = []
    for row, arrivals in _events_with_arrivals(_with(["time"], events, "Nordic"), assignments, picks):
        day_ms = _rounded_ms(row.time, 100) // 86_400_000 * 86_400_000
        lines = [_nordic_first(row), _nordic_errors(row), _nordic_precise(row), PHASE_HEADER]
        lines += [_nordic_phase(pick, day_ms, labels[pick.network, pick.station]) for pick in arrivals]
        blocks.append("\n".join(lines) + "\n\n")
    return "".join(blocks)


def _check_nordic(events: pd.DataFrame) -> None:
    small = events.magnitude.notna() & ~events.magnitude.between(-9.9, 99.9)
    if small.any():
        raise ValueError(
            f"event {events.event_id[small].iloc[0]}: a magnitude of {events.magnitude[small].iloc[0]} does not fit"
        )


def _fixed(value: float, width: int, decimals: int) -> str:
    """A number in its columns; blank if unknown, fewer decimals if it is too long, and nothing if even that is."""
    for digits in range(decimals, -1, -1):
        text = f"{value:{width}.{digits}f}"
        if np.isfinite(value) and len(text) <= width:
            return text
    return " " * width


def _nordic_first(row: Any) -> str:
    time = pd.Timestamp(_rounded_ms(row.time, 100), unit="ms")
    magnitude, letter = " " * 4, " "
    if np.isfinite(row.magnitude):
        magnitude = _fixed(row.magnitude, 4, 1)
        letter = _MAGNITUDE_LETTERS.get((row.magnitude_type or "").lower(), " ")
    stations = f"{min(row.n_stations, 999):3d}"
    return (
        f" {time:%Y} {time.month:2d}{time.day:2d} {time.hour:2d}{time.minute:2d} "
        f"{time.second + time.microsecond / 1e6:4.1f} L "
        f"{_fixed(row.latitude_deg, 7, 3)}{_fixed(row.longitude_deg, 8, 3)}{_fixed(row.depth_km, 5, 1)}"
        f"  PFL{stations}{_fixed(row.rms_residual_s, 4, 1)}{magnitude}{letter}PFL".ljust(79)
        + "1"
    )


def _nordic_errors(row: Any) -> str:
    gap = _fixed(row.azimuthal_gap_deg, 3, 0)
    horizontal = _fixed(row.horizontal_uncertainty_km, 6, 1)
    line = f" GAP={gap}".ljust(14) + _fixed(row.time_uncertainty_s, 6, 2)
    line = line.ljust(24) + horizontal + "  " + horizontal + _fixed(row.depth_uncertainty_km, 5, 1)
    return line.ljust(79) + "E"


def _nordic_precise(row: Any) -> str:
    time = pd.Timestamp(_rounded_ms(row.time, 1), unit="ms")
    moment = f"{time:%Y} {time.month:2d}{time.day:2d} {time.hour:2d}{time.minute:2d}"
    seconds = time.second + time.microsecond / 1e6
    hypocentre = f"{_fixed(row.latitude_deg, 9, 5)} {_fixed(row.longitude_deg, 10, 5)} {_fixed(row.depth_km, 8, 3)}"
    return f" {moment} {seconds:6.3f} {hypocentre} {_fixed(row.rms_residual_s, 6, 3)}".ljust(79) + "H"


def _nordic_phase(pick: Any, day_ms: int, label: str) -> str:
    """A line of type 4; hours count on from the day of the event's first line, so that 24 is the next midnight."""
    since_ms = _rounded_ms(pick.time, 1) - day_ms
    hours, minutes, seconds = since_ms // 3_600_000, since_ms // 60_000 % 60, since_ms % 60_000 / 1000
    code = code_of(pick.weight).replace("0", " ")
    motion = {"U": "C", "D": "D"}.get(pick.polarity, " ")
    component = pick.channel[:1] + pick.channel[-1:] if len(pick.channel) > 1 else f"{pick.channel:2}"
    line = f" {label:<5}{component} {pick.onset.upper() or ' '}{pick.phase:<4}{code} {motion} {hours:2d}{minutes:2d}"
    line = f"{line}{seconds:6.3f}".ljust(63) + _fixed(pick.residual_s, 5, 2) + "  "
    return (line + _fixed(pick.distance_km, 5, 1) + " " + _fixed(pick.azimuth_deg, 3, 0)).ljust(80)


def _rounded_ms(time: pd.Timestamp, step_ms: int) -> int:
    """Milliseconds since 1970, to the nearest step."""
    step_ns = step_ms * 1_000_000
    return (time.value + step_ns // 2) // step_ns * step_ms
