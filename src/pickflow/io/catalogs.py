"""Catalogs in the formats of others: QuakeML, CSV, FDSN event text, and FDSN event services."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import requests
from obspy.clients.fdsn.header import URL_MAPPINGS
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from pickflow.io.atomic import write_text
from pickflow.io.quakeml import PICK_COLUMNS, parse_quakeml, write_quakeml
from pickflow.io.tables import conform
from pickflow.schemas import EVENTS

__all__ = ["Reference", "read_csv", "read_reference", "select_events", "write_csv", "write_quakeml"]

_TIMEOUT_S = 120
_RETRIES = 4
# Names that tables of events use, in small letters; the first one found counts.
_COLUMN_NAMES = {
    "event_id": ("event_id", "eventid", "#eventid", "event-id", "id"),
    "time": ("time", "origin_time(utc)", "origin_time", "datetime"),
    "latitude_deg": ("latitude_deg", "latitude", "lat"),
    "longitude_deg": ("longitude_deg", "longitude", "lon"),
    "depth_km": ("depth_km", "depth/km", "depth"),
    "magnitude": ("magnitude", "mag", "ml"),
    "magnitude_type": ("magnitude_type", "magtype"),
    "n_picks": ("n_picks", "nph"),
    "n_p": ("n_p",),
    "n_s": ("n_s",),
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
_NEEDED = ("event_id", "time", "latitude_deg", "longitude_deg")
_TEXT = ("event_id", "magnitude_type", "quality")
_COUNTS = ("n_picks", "n_p", "n_s", "n_stations", "n_magnitude_stations")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """
    A reference catalog.

    Parameters
    ----------
    events : DataFrame
        Table `EVENTS`; what the source does not say is NaN, null or 0.
    picks : DataFrame
        Columns event_id, network, station, phase (P or S), time and time_uncertainty_s (NaN: not said); empty if the
        source has none.
    """

    events: pd.DataFrame
    picks: pd.DataFrame


def write_csv(events: pd.DataFrame, path: str | Path) -> None:
    """Write the table `EVENTS` as CSV, with the names of its columns as header."""
    table = conform(events, EVENTS)
    times = [f"{time}Z" for time in np.datetime_as_string(table.time.to_numpy("datetime64[ns]"), unit="ns")]
    write_text(path, table.assign(time=times).to_csv(index=False, lineterminator="\n"))


def read_csv(path: str | Path) -> pd.DataFrame:
    """
    Read events that `write_csv` wrote.

    Raises
    ------
    ValueError
        If it is not such a file.
    """
    return _read_file(path, _parse_table).events


def read_reference(
    source: str | Path, starttime: datetime, endtime: datetime, region: Mapping[str, float] | None = None
) -> Reference:
    """
    Read a reference catalog, inside a time span and a region.

    Parameters
    ----------
    source : str or Path
        A file (QuakeML, ComCat CSV, FDSN event text, CSV of `write_csv`, or any table of events whose header names
        identifier, time, latitude and longitude), or an FDSN event service: its base URL, or a name that ObsPy knows,
        such as ``USGS``.
    starttime, endtime : datetime
        Half-open [start, end) of the origin times.
    region : mapping, optional
        min_latitude_deg, max_latitude_deg, min_longitude_deg, max_longitude_deg; it crosses the date line if the
        minimum longitude is the larger one.

    Returns
    -------
    Reference

    Raises
    ------
    ValueError
        If the file is missing or of no known format, or the service does not answer.
    """
    text = str(source)
    if text.startswith(("http://", "https://")) or (text in URL_MAPPINGS and not Path(text).exists()):
        reference = _parse_content(_ask(text, starttime, endtime, region), text)
    else:
        reference = _read_file(source, _parse_content)
    inside = select_events(reference.events, starttime, endtime, region)
    return Reference(events=inside, picks=reference.picks[reference.picks.event_id.isin(inside.event_id)])


def select_events(
    events: pd.DataFrame, starttime: datetime, endtime: datetime, region: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Rows of `EVENTS` inside a half-open time span and a region; see `read_reference`."""
    keep = (events.time >= pd.Timestamp(starttime)) & (events.time < pd.Timestamp(endtime))
    if region is not None:
        keep &= events.latitude_deg.between(region["min_latitude_deg"], region["max_latitude_deg"])
        west = region["min_longitude_deg"]
        keep &= (events.longitude_deg - west) % 360 <= (region["max_longitude_deg"] - west) % 360
    return events[keep].reset_index(drop=True)


def _ask(server: str, starttime: datetime, endtime: datetime, region: Mapping[str, float] | None) -> bytes:
    """Answer of an FDSN event service, as text: small, and every service has it."""
    query = {"starttime": _fdsn_time(starttime), "endtime": _fdsn_time(endtime), "format": "text"}
    for edge in ("min_latitude", "max_latitude", "min_longitude", "max_longitude"):
        if region is not None:
            query[edge.replace("_", "")] = str(region[f"{edge}_deg"])
    url = URL_MAPPINGS.get(server, server).rstrip("/") + "/fdsnws/event/1/query"
    retries = Retry(
        total=_RETRIES, backoff_factor=1.0, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False
    )
    with requests.Session() as session:
        session.mount(url, HTTPAdapter(max_retries=retries))
        try:
            answer = session.get(url, params=query, timeout=_TIMEOUT_S)
        except requests.RequestException as error:
            raise ValueError(
                f"event service {url} does not answer ({error}); check analyze.reference.server"
            ) from error
    if answer.status_code not in (200, 204):
        raise ValueError(f"event service {answer.url} answers {answer.status_code}: {answer.text[:200].strip()}")
    return answer.content if answer.status_code == 200 else b""


def _fdsn_time(moment: datetime) -> str:
    return pd.Timestamp(moment).tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%S.%f")


def _read_file(path: str | Path, parse: Callable[[bytes, str], Reference]) -> Reference:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"reference catalog {path}: {error.strerror}") from error
    return parse(content, str(path))


def _parse_content(content: bytes, name: str) -> Reference:
    if content.lstrip()[:1] == b"<":
        events, picks = parse_quakeml(content, name)
        return Reference(events=events, picks=picks)
    return _parse_table(content, name)


def _parse_table(content: bytes, name: str) -> Reference:
    nothing = pd.DataFrame(columns=PICK_COLUMNS).assign(time=pd.to_datetime([], utc=True))
    picks = nothing.astype({"time_uncertainty_s": float})
    text = content.decode("utf-8-sig", errors="replace").strip()
    if not text:
        return Reference(events=conform(pd.DataFrame(), EVENTS), picks=picks)
    header = text.split("\n", 1)[0]
    separator = max("|;,", key=header.count)
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, skipinitialspace=True)
    except pd.errors.ParserError as error:
        raise ValueError(f"{name}: not a table of events ({error})") from error
    return Reference(events=_conform_table(table, name), picks=picks)


def _conform_table(table: pd.DataFrame, name: str) -> pd.DataFrame:
    given = {str(column).strip().lower(): column for column in table.columns}
    found = {
        column: given[next(alias for alias in aliases if alias in given)]
        for column, aliases in _COLUMN_NAMES.items()
        if any(alias in given for alias in aliases)
    }
    if missing := [column for column in _NEEDED if column not in found]:
        raise ValueError(
            f"{name}: no column for {missing[0]}; give one called {' or '.join(_COLUMN_NAMES[missing[0]])}"
            " (tables are read as CSV or FDSN event text, files that begin with < as QuakeML)"
        )
    events = pd.DataFrame({column: table[source].str.strip() for column, source in found.items()})
    try:
        events["time"] = pd.to_datetime(events.time, utc=True, format="ISO8601")
        for column in found.keys() - {"time", *_TEXT}:
            events[column] = events[column].astype(float)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    events = events.reindex(columns=EVENTS.schema.names)
    events[list(_COUNTS)] = events[list(_COUNTS)].fillna(0).astype("int64")
    for column in ("magnitude_type", "quality"):
        events[column] = events[column].astype(object).where(events[column].notna(), None)
    numbers = set(_COLUMN_NAMES) - {"time", *_TEXT, *_COUNTS}
    return conform(events.astype(dict.fromkeys(numbers, float)), EVENTS)
