"""Tables with a header: ComCat, FDSN event text, PhaseNet, GaMMA, PyOcto, our own, and others with known names."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.schemas import EVENTS

# Names that tables use, in small letters; the first one found counts.
EVENT_COLUMNS: dict[str, tuple[str, ...]] = {
    "event_id": ("event_id", "eventid", "#eventid", "event-id", "id", "event_index", "event_idx", "idx"),
    "time": ("time", "origin_time(utc)", "origin_time", "datetime"),
    "latitude_deg": ("latitude_deg", "latitude", "lat"),
    "longitude_deg": ("longitude_deg", "longitude", "lon"),
    "depth_km": ("depth_km", "depth/km", "depth(km)", "depth", "z(km)", "depth(m)"),
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
_NEEDED = ("event_id", "time", "latitude_deg", "longitude_deg")
_TEXT = {
    *("event_id", "magnitude_type", "quality", "network", "station", "location", "channel", "phase_hint"),
    *("polarity", "onset"),
}
_METRES = ("depth(m)",)
_NOTHING = ("", "nan", "NaN", "None", "<NA>", "NaT", "null")


def looks_tabular(lines: list[str]) -> bool:
    """Whether the first line is a header of several names that we know."""
    names = {cell.strip().strip('"').lower() for cell in lines[0].split(_separator(lines[0]))}
    known = {name for names in (*EVENT_COLUMNS.values(), *PICK_COLUMNS.values()) for name in names}
    return len(names & known) >= 2


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
    reading = Reading(name, "table")
    header = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(header), skipinitialspace=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    n_columns, reading.n_headers = 0, 0
    try:
        for row in reader:
            reading.n_lines += 1
            if not n_columns:
                n_columns, names = len(row), [cell.strip() for cell in row]
                reading.n_headers += 1
            elif not any(cell.strip() for cell in row):
                reading.n_headers += 1
            elif len(row) != n_columns:
                reading.reject(reader.line_num, _joined(row), f"{len(row)} columns, but the header names {n_columns}")
            else:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ValueError(f"{name}: line {reader.line_num}: not a table ({error})") from error
    return _read_frame(pd.DataFrame(rows, columns=names, dtype=str), np.array(lines, int), reading)


def parse_parquet(content: bytes, name: str) -> Bulletin:
    """A table in Parquet with the same names of columns; lines are rows, counted from 1."""
    try:
        frame = pq.read_table(pa.BufferReader(content)).replace_schema_metadata(None).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{name}: not a readable Parquet file ({error})") from error
    reading = Reading(name, "parquet", n_lines=len(frame))
    for column in frame.select_dtypes(include=["datetime", "datetimetz"]):
        frame[column] = [time.isoformat() if pd.notna(time) else "" for time in frame[column]]
    return _read_frame(frame.astype(str), np.arange(1, len(frame) + 1), reading)


def _joined(row: list[str]) -> str:
    return ",".join(row)


def _find(names: list[str], aliases: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    given = {name.lower(): index for index, name in reversed(list(enumerate(names)))}
    return {
        column: given[next(alias for alias in known if alias in given)]
        for column, known in aliases.items()
        if any(alias in given for alias in known)
    }


def _read_frame(frame: pd.DataFrame, lines: np.ndarray, reading: Reading) -> Bulletin:
    names = [str(column) for column in frame.columns]
    events, picks = _find(names, EVENT_COLUMNS), _find(names, PICK_COLUMNS)
    # A table of events may well have columns called type or id.
    is_picks = {"station", "phase_hint", "time"} <= picks.keys() and not {
        "latitude_deg",
        "longitude_deg",
    } <= events.keys()
    found = picks if is_picks else events
    if not is_picks and (missing := [column for column in _NEEDED if column not in events]):
        raise ValueError(
            f"{reading.name}: no column for {missing[0]}; give one called {' or '.join(EVENT_COLUMNS[missing[0]])}"
            " (a table of picks needs a station, a phase and a time)"
        )
    texts = pd.DataFrame({column: frame.iloc[:, index] for column, index in found.items()}, dtype=object)
    texts = texts.where(~texts.isin(_NOTHING), "")
    values, faults = _values(texts)
    if not is_picks and names[events.get("depth_km", 0)].lower() in _METRES:
        values["depth_km"] /= 1000
    (_check_picks if is_picks else _check_events)(values, faults)
    for index in np.flatnonzero(faults != ""):
        reading.reject(int(lines[index]), _joined(list(frame.iloc[index])), faults[index])
    good = values[faults == ""]
    if is_picks:
        reading.picks = good.to_dict("records")  # type: ignore[assignment]
        _events_of_picks(reading)
    else:
        reading.events = good.reindex(columns=EVENTS.schema.names).to_dict("records")  # type: ignore[assignment]
    return reading.bulletin()


def _values(texts: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """Columns as numbers and times, and what is wrong with each row (empty: nothing)."""
    values = texts.copy()
    faults = np.full(len(texts), "", object)
    for column in texts.columns.difference(list(_TEXT)):
        said = texts[column] != ""
        if column == "time":
            values[column] = _times(texts[column])
            bad, what = values[column].isna(), "is no time"
        else:
            values[column] = _numbers(texts[column].where(said, "nan"))
            bad, what = said & ~np.isfinite(values[column]), "is no number"
        for index in np.flatnonzero(bad.to_numpy() & (faults == "")):
            faults[index] = f"{column} {texts[column].iloc[index]!r} {what}"
    return values, faults


def _numbers(texts: pd.Series) -> pd.Series:
    """Numbers to the last bit; NaN where there is none."""
    try:
        return texts.astype(float)
    except ValueError:
        return pd.to_numeric(texts, errors="coerce").astype(float)


def _times(texts: pd.Series) -> pd.Series:
    """Times in ISO 8601, or in seconds since 1970, to the nanosecond."""
    seconds = pd.to_numeric(texts, errors="coerce")
    times = pd.to_datetime(texts.where(seconds.isna(), None), utc=True, format="ISO8601", errors="coerce")
    times = times.astype("datetime64[ns, UTC]")
    epoch = seconds.notna()
    if epoch.any():
        whole = np.floor(seconds[epoch])
        parts = ((seconds[epoch] - whole) * 1e9).round().astype("int64")
        times[epoch] = pd.to_datetime(whole.astype("int64") * 1_000_000_000 + parts, utc=True)
    return times


def _check_events(values: pd.DataFrame, faults: np.ndarray) -> None:
    for index in np.flatnonzero((values.event_id == "").to_numpy() & (faults == "")):
        faults[index] = "no event_id"
    again = values.event_id.duplicated().to_numpy() & (faults == "")
    for index in np.flatnonzero(again):
        faults[index] = f"event {values.event_id.iloc[index]} stands above already"
    for column, limit in (("latitude_deg", 90.0), ("longitude_deg", 360.0)):
        for index in np.flatnonzero((values[column].abs() > limit).to_numpy() & (faults == "")):
            faults[index] = f"{column} {values[column].iloc[index]} is beyond {limit:g}"


def _check_picks(values: pd.DataFrame, faults: np.ndarray) -> None:
    parts = values.station.str.split(".")
    for place, column in enumerate(("network", "station", "location", "channel")):
        told = values[column] if column in values and column != "station" else pd.Series("", values.index)
        coded = parts.map(lambda words, place=place: words[place] if len(words) > 1 and place < len(words) else "")
        values[f"_{column}"] = told.where(told != "", coded)
    values["_station"] = values["_station"].where(parts.map(len) > 1, values.station)
    for column in ("network", "station", "location", "channel"):
        values[column] = values.pop(f"_{column}")
    values["phase"] = values.phase_hint.str[:1].str.upper()
    if "event_id" in values:
        values["event_id"] = values.event_id.where(~values.event_id.isin(["-1", "-1.0"]), "")
    for index in np.flatnonzero((~values.phase.isin(["P", "S"])).to_numpy() & (faults == "")):
        faults[index] = f"phase {values.phase_hint.iloc[index]!r} is neither P nor S"
    for index in np.flatnonzero((values.station == "").to_numpy() & (faults == "")):
        faults[index] = "no station"


def _events_of_picks(reading: Reading) -> None:
    """Events without an origin, of which a table of picks knows no more than the names."""
    names = dict.fromkeys(pick["event_id"] for pick in reading.picks if pick.get("event_id"))
    reading.events = [{"event_id": name, "time": pd.NaT} for name in names]
