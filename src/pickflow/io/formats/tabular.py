"""Tables with a header: ComCat, FDSN event text, PhaseNet, GaMMA, PyOcto, our own, and others with known names."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.cards import lines_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.phases import phase_of
from pickflow.io.formats.plausible import clean_name
from pickflow.io.formats.times import read_times, time_id

# Names that tables use, in small letters; the first one found counts.
EVENT_COLUMNS: dict[str, tuple[str, ...]] = {
    "event_id": ("event_id", "eventid", "#eventid", "event-id", "id", "event_index", "event_idx", "idx"),
    "time": ("time", "origin_time(utc)", "origin_time", "datetime"),
    "latitude_deg": ("latitude_deg", "latitude", "lat"),
    "longitude_deg": ("longitude_deg", "longitude", "lon"),
    "depth_km": ("depth_km", "depth/km", "depth(km)", "depth", "z(km)", "depth(m)", "depth_m"),
    "magnitude": ("magnitude", "mag", "ml"),
    "magnitude_type": ("magnitude_type", "magtype"),
    "n_picks": ("n_picks", "nph", "num_picks", "picks"),
    "n_p": ("n_p", "num_p_picks"),
    "n_s": ("n_s", "num_s_picks"),
    "n_stations": ("n_stations", "nst"),
    "rms_residual_s": ("rms_residual_s", "rms"),
    "azimuthal_gap_deg": ("azimuthal_gap_deg", "gap"),
    "time_uncertainty_s": ("time_uncertainty_s",),
    "horizontal_uncertainty_km": ("horizontal_uncertainty_km", "horizontalerror"),
    "depth_uncertainty_km": ("depth_uncertainty_km", "deptherror"),
    "quality": ("quality",),
    "magnitude_uncertainty": ("magnitude_uncertainty", "magerror"),
    "n_magnitude_stations": ("n_magnitude_stations", "magnst"),
}
PICK_COLUMNS: dict[str, tuple[str, ...]] = {
    "event_id": ("event_id", "event_index", "event_idx"),
    "network": ("network", "network_code", "net"),
    "station": ("station_id", "station", "station_code", "sta", "id", "trace_id"),
    "location": ("location", "location_code"),
    "channel": ("channel", "channel_code", "instrument"),
    "phase_hint": ("phase_hint", "phase_type", "phase", "type"),
    "time": ("phase_time", "timestamp", "peak_time", "time"),
    "probability": ("probability", "phase_score", "prob", "score", "peak_value"),
    "time_uncertainty_s": ("time_uncertainty_s",),
    "weight": ("weight",),
    "polarity": ("polarity",),
    "onset": ("onset",),
    "residual_s": ("residual_s", "residual"),
    "distance_km": ("distance_km",),
    "azimuth_deg": ("azimuth_deg",),
    "coda_s": ("coda_s",),
}
_ORIGIN = ("time", "latitude_deg", "longitude_deg")
_NEEDED = ("time", "latitude_deg", "longitude_deg", "weight")  # without which a row cannot be read
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_TEXT = {
    *("event_id", "magnitude_type", "quality", "network", "station", "location", "channel", "phase_hint"),
    *("polarity", "onset"),
}
_METRES = re.compile(r"depth\s*[(\[/_]\s*m(et(er|re)s)?\s*[)\]]?", re.IGNORECASE)
_UNIT = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\s*\Z")  # behind a name, in brackets
_HEADER_WITHIN, _LONGEST_HEADER = 50, 100_000  # lines: titles and comments may stand above it; letters
_LONGEST_NAME = 200  # letters
_CLOCK = r"\d{1,2}:\d{1,2}(:\d{1,2}([.,]\d*)?)?Z?"
# Cells without a value, as libraries write them; in capital letters they may be codes, such as a station NAN.
EMPTY_CELLS = ("", "nan", "NaN", "none", "None", "<NA>", "nat", "NaT", "NaTZ", "null", "[]")
_LONGEST_ROW = 20  # lines of a row whose cells hold line ends


def looks_tabular(lines: list[str]) -> bool:
    """Whether one of the first lines is a header: several names that we know."""
    return any(_is_header(line) for line in lines[:_HEADER_WITHIN])


def _is_header(line: str) -> bool:
    if len(line) > _LONGEST_HEADER:
        return False
    names_of_columns = {name for names in (*EVENT_COLUMNS.values(), *PICK_COLUMNS.values()) for name in names}
    return len({_plain(name) for name in header_names(line)} & names_of_columns) >= 2


def header_names(header: str) -> set[str]:
    """Names of columns, in small letters."""
    return {cell.strip().strip('"').lower() for cell in header.split(_separator(header))}


def _plain(name: str) -> str:
    """A name in small letters, with _ for blanks, and without a unit in brackets: ``Origin Time (UTC)``."""
    return "_".join(_UNIT.sub("", name[:_LONGEST_NAME].lower().lstrip("#")).split())


def _separator(header: str) -> str:
    return max("|;,\t", key=header.count)


def parse_table(text: str, name: str) -> Bulletin:
    """
    A text table with a header line, separated by comma, semicolon, tabulator or ``|``.

    It is a table of picks if it names a station and a phase, else of events.

    Raises
    ------
    ValueError
        If the header lacks a column that must be there.
    """
    reading = Reading(name, "table", lines_of(text))
    names, rows, numbers, separator = table_rows(reading)
    frame = pd.DataFrame(rows, columns=names, dtype=str)
    if separator != ",":  # then a comma may stand for a decimal point
        frame = frame.replace(r"\A([+-]?[0-9]+),([0-9]+)\Z", r"\1.\2", regex=True)
    return _read_frame(frame, np.array(numbers, int), reading)


def table_rows(reading: Reading) -> tuple[list[str], list[list[str]], list[int], str]:
    """The header's names, rows with as many cells, the lines where these begin, and the separator."""
    filled = [number for number, line in enumerate(reading.lines, 1) if line.strip()] or [1]
    headers = (number for number in filled[:_HEADER_WITHIN] if _is_header(reading.lines[number - 1]))
    first = next(headers, filled[0])
    separator = _separator(reading.lines[first - 1])
    names = [cell.strip() for cell in _whole_row(reading.lines, first, separator, 0)[0]]
    reading.header(*range(1, first + 1))
    rows: list[list[str]] = []
    numbers: list[int] = []
    line = first
    while line < len(reading.lines):
        line += 1
        cells, last = _whole_row(reading.lines, line, separator, len(names))
        if not any(cells[len(names) :]):  # separators behind the last cell
            cells = cells[: len(names)]
        if not any(cells) or cells[0].startswith("#"):
            reading.header(line)
        elif len(cells) != len(names):
            reading.reject(line, f"{len(cells)} columns, but the header names {len(names)}")
        else:
            rows.append(cells)
            numbers.append(line)
        reading.header(*range(line + 1, last + 1))
        line = last
    return names, rows, numbers, separator


def _cells(row: str, separator: str) -> list[str] | None:
    """Cells of a row without blanks around them; None if a quote does not end."""
    cells = row.split(separator)
    if '"' in row:
        try:
            [cells] = csv.reader([row], delimiter=separator, skipinitialspace=True, strict=True)
        except (csv.Error, ValueError):
            return None
    return [cell.strip() for cell in cells]


def _whole_row(lines: list[str], line: int, separator: str, n_columns: int) -> tuple[list[str], int]:
    """Cells of a row, and its last line: quoted cells may pass lines if the row is then whole, else quotes are text."""
    row = lines[line - 1]
    for last in range(line, min(line + _LONGEST_ROW, len(lines) + 1)):
        row = row if last == line else f"{row}\n{lines[last - 1]}"
        cells = _cells(row, separator)
        if cells is not None and (last == line or len(cells) == n_columns):
            return cells, last
    return [cell.strip() for cell in lines[line - 1].split(separator)], line


def parse_parquet(content: bytes, name: str) -> Bulletin:
    """A table in Parquet with the same names of columns; lines are rows, counted from 1."""
    try:
        frame = pq.read_table(pa.BufferReader(content)).replace_schema_metadata(None).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{name}: not a readable Parquet file ({error})") from error
    for column in frame.select_dtypes(include=["datetime", "datetimetz"]):
        frame[column] = [time.isoformat() if pd.notna(time) else "" for time in frame[column]]
    frame = frame.astype(str)
    reading = Reading(name, "parquet", [",".join(row) for row in frame.itertuples(index=False)])
    return _read_frame(frame, np.arange(1, len(frame) + 1), reading)


def _find(names: list[str], aliases: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    indices = list(reversed(list(enumerate(names))))
    places = {_plain(name): index for index, name in indices} | {name.lower(): index for index, name in indices}
    return {
        column: places[next(alias for alias in names_of_column if alias in places)]
        for column, names_of_column in aliases.items()
        if any(alias in places for alias in names_of_column)
    }


def _read_frame(frame: pd.DataFrame, lines: np.ndarray, reading: Reading) -> Bulletin:
    names = [str(column) for column in frame.columns]
    events, picks = _find(names, EVENT_COLUMNS), _find(names, PICK_COLUMNS)
    # A table of events may well have columns called type or id.
    is_picks = {"station", "phase_hint", "time"} <= picks.keys() and not {
        "latitude_deg",
        "longitude_deg",
    } <= events.keys()
    columns = picks if is_picks else events
    if not is_picks and (missing := [column for column in _ORIGIN if column not in events]):
        raise ValueError(
            f"{reading.name}: no column for {missing[0]}; give one called {' or '.join(EVENT_COLUMNS[missing[0]])}"
            " (a table of picks needs a station, a phase and a time)"
        )
    texts = pd.DataFrame({column: frame.iloc[:, index] for column, index in columns.items()}, dtype=object)
    rows = _Rows(reading, lines, "pick" if is_picks else "event")
    _add_dates(texts, frame)
    values = _values(texts.where(~texts.isin(EMPTY_CELLS), ""), rows)
    if "depth_km" in values and _METRES.fullmatch(names[events["depth_km"]]):
        values["depth_km"] /= 1000
    (_check_picks if is_picks else _check_events)(values, rows)
    readable = values[~rows.is_refused].assign(_line=lines[~rows.is_refused])
    for line in readable["_line"]:
        with reading.item(line, rows.kind):
            continue
    if is_picks:
        reading.picks = readable.to_dict("records")  # type: ignore[assignment]
        _events_of_picks(reading)
    else:
        reading.events = readable.to_dict("records")  # type: ignore[assignment]
    return reading.bulletin()


def _add_dates(texts: pd.DataFrame, frame: pd.DataFrame) -> None:
    """The date before times of day, from a column of its own."""
    dates = next((frame.iloc[:, index] for index, name in enumerate(frame) if _plain(str(name)) == "date"), None)
    if dates is not None:
        times = texts["time"]
        texts["time"] = times.where(~times.str.fullmatch(_CLOCK), dates + " " + times)


class _Rows:
    """The rows of a table while they are read: which of them cannot be read at all."""

    def __init__(self, reading: Reading, lines: np.ndarray, kind: str) -> None:
        self.reading, self.lines, self.kind = reading, lines, kind
        self.is_refused = np.zeros(len(lines), bool)

    def reject(self, rows: np.ndarray | pd.Series, reasons: Sequence[str] | str, whole: bool = True) -> None:
        """List rows (of a mask) with their reasons, or one for all; the whole row, or one value of it."""
        for index in np.flatnonzero(np.asarray(rows) & ~self.is_refused):
            reason = reasons if isinstance(reasons, str) else reasons[index]
            self.reading.reject(int(self.lines[index]), reason, self.kind if whole else "value")
            self.is_refused[index] = whole


def _values(texts: pd.DataFrame, rows: _Rows) -> pd.DataFrame:
    """Columns as numbers and times; rows without a readable time, place or weight are refused, of others a value."""
    values = texts.copy()
    for column in texts.columns.difference(list(_TEXT)):
        if column == "time":
            values[column], faults = read_times(texts[column])
        else:
            values[column], faults = _numbers(texts[column])
        rows.reject(faults != "", [f"{column} {fault}" for fault in faults], whole=column in _NEEDED)
    return values


def _numbers(texts: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """Finite numbers, NaN where there is none, and what is wrong with a text."""
    is_number = texts.str.fullmatch(_NUMBER).to_numpy(bool)
    numbers = texts.where(is_number, "nan").astype(float)
    is_invalid = (texts != "").to_numpy() & ~np.isfinite(numbers.to_numpy())
    faults = np.full(len(texts), "", object)
    faults[is_invalid] = [f"{text!r} is no number, and left out" for text in texts[is_invalid]]
    return numbers.where(~is_invalid), faults


def _names_of(identifiers: pd.Series) -> pd.Series:
    """Identifiers without what breaks lines; whole numbers without the point that tables of numbers give them."""
    return identifiers.map(clean_name).str.replace(r"^(-?\d+)\.0$", r"\1", regex=True)


def _check_events(values: pd.DataFrame, rows: _Rows) -> None:
    if "event_id" not in values:
        ids: dict[str, int] = {}
        values["event_id"] = ["" if pd.isna(time) else free_id(time_id(time), ids) for time in values.time]
    values["event_id"] = names = _names_of(values.event_id)
    rows.reject(names == "", "no event_id and no time")
    is_repeated = names.where(~rows.is_refused).duplicated() & (names != "")
    rows.reject(is_repeated, [f"event {name} stands above already" for name in names])


def _check_picks(values: pd.DataFrame, rows: _Rows) -> None:
    parts = values.station.str.split(".")
    for index, column in enumerate(("network", "station", "location", "channel")):
        stated = values[column] if column in values and column != "station" else pd.Series("", values.index)
        coded = parts.map(lambda codes, index=index: codes[index] if len(codes) > 1 and index < len(codes) else "")
        values[f"_{column}"] = stated.where(stated != "", coded)
    values["_station"] = values["_station"].where(parts.map(len) > 1, values.station)
    for column in ("network", "station", "location", "channel"):
        values[column] = values.pop(f"_{column}")
    phases, faults = _phases(values.phase_hint)
    values["phase"] = phases
    rows.reject(phases == "", [faults.get(hint, "") for hint in values.phase_hint])
    if "event_id" in values:
        names = _names_of(values.event_id)
        values["event_id"] = names.where(names != "-1", "")


def _phases(hints: pd.Series) -> tuple[pd.Series, dict[str, str]]:
    """P or S of each hint, empty if it is neither, and what is wrong with such hints."""
    phases, faults = {}, {}
    for hint in hints.unique():
        try:
            phases[hint] = phase_of(hint)
        except ValueError as error:
            phases[hint], faults[hint] = "", str(error)
    return hints.map(phases), faults


def _events_of_picks(reading: Reading) -> None:
    """Events without an origin, of which a table of picks knows no more than the names."""
    lines = {pick["event_id"]: pick["_line"] for pick in reversed(reading.picks) if pick.get("event_id")}
    for name in dict.fromkeys(pick["event_id"] for pick in reading.picks if pick.get("event_id")):
        reading.add_event({"event_id": name, "time": pd.NaT}, lines[name])
