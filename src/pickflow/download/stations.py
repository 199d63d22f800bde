"""Stations that a run requests."""

from __future__ import annotations

import difflib
import logging
from datetime import datetime
from pathlib import Path

import numpy as np
import obspy
import pandas as pd

from pickflow.codes import StationCode, code_problem, matches, parse_station, rank
from pickflow.download.directory import directory_index, directory_stations
from pickflow.download.sds import sds_stations
from pickflow.io.places import places_in_run, stations_table
from pickflow.io.tables import conform
from pickflow.run.settings.download import DomainParams, DownloadParams, RectangleParams
from pickflow.schemas import STATIONS
from pickflow.travel_times.geometry import distance_and_azimuth

WILDCARDS = "*?"

logger = logging.getLogger(__name__)


def requested_stations(
    inventory: obspy.Inventory, params: DownloadParams, span: tuple[datetime, datetime] | None = None
) -> pd.DataFrame:
    """
    Every requested station: each gets a row for every day in the manifest.

    Stations of the inventory that match ``stations``, not ``exclude``, and lie in the domain; stations named without
    wildcards, whether the inventory has them or not; and, where no StationXML was given, those found in the archive.

    Parameters
    ----------
    inventory : Inventory
        See `fetch_inventory`.
    params : DownloadParams
        Patterns, domain, priorities of networks.
    span : tuple of datetime, optional
        Half-open window of the run: only places that stations have in it count. Without, all do.

    Returns
    -------
    DataFrame
        Of `STATIONS`, a row for each place; NaN coordinates: not in the inventory, or not then.

    Raises
    ------
    ValueError
        If there is none.
    """
    patterns, excluded = list(params.stations), list(params.exclude)
    for pattern in (*patterns, *excluded):
        parse_station(pattern)
    table = stations_table(inventory)
    if span is not None:
        table = places_in_run(table, *span)
    known_codes = [StationCode(*codes) for codes in table[["network", "station"]].itertuples(index=False)]
    plain = [pattern for pattern in patterns if not any(letter in pattern for letter in WILDCARDS)]
    further_codes = [parse_station(pattern) for pattern in plain] + (
        [] if params.inventory else archive_stations(params)
    )
    unknown = sorted(set(further_codes) - set(known_codes))
    if unknown:
        unlocated = pd.DataFrame(unknown, columns=["network", "station"])
        unlocated = conform(unlocated.assign(latitude_deg=np.nan, longitude_deg=np.nan, elevation_m=np.nan), STATIONS)
        table = conform(pd.concat([table, unlocated]) if len(table) else unlocated, STATIONS)
    codes = [StationCode(*codes) for codes in table[["network", "station"]].itertuples(index=False)]
    is_selected = [matches(code, patterns) and not matches(code, excluded) and _is_sound(code) for code in codes]
    requested = table[pd.Series(is_selected, dtype=bool, index=table.index)]
    in_domain = pd.Series(_inside(requested, params.domain), index=requested.index, dtype=bool)
    # A station that was inside once is requested on all days, with all its places.
    requested = requested[in_domain.groupby([requested.network, requested.station]).transform("any")]
    if requested.empty:
        raise ValueError(_no_station_message(params, [code for code in codes if not code_problem(*code)]))
    return conform(_thin_out(requested, params), STATIONS)


def _is_sound(code: StationCode) -> bool:
    """Whether a station can have files; one that cannot is named in a warning and left out."""
    if problem := code_problem(*code):
        logger.warning("a station of the inventory or archive is left out: %s", problem)
    return not problem


def archive_stations(params: DownloadParams) -> list[StationCode]:
    """Stations found in the archive or folder; none for data centres."""
    if params.source == "sds":
        return sds_stations(Path(str(params.path)))
    if params.source == "directory":
        return directory_stations(directory_index(Path(str(params.path)), Path(params.cache)))
    return []


def _no_station_message(params: DownloadParams, codes: list[StationCode]) -> str:
    patterns = ", ".join(params.stations)
    if not codes:
        return (
            f"download.stations: {patterns} matches nothing: no inventory or archive has any station with usable codes"
        )
    names = list(map(str, codes))
    hits = difflib.get_close_matches(params.stations[0] if params.stations else "", names, n=5, cutoff=0.3) or names[:5]
    domain_text = " in download.domain" if params.domain else ""
    return (
        f"download.stations: {patterns} (without {', '.join(params.exclude) or 'exceptions'}) matches none of the "
        f"{len(names)} stations{domain_text}; there are {', '.join(hits)}{' …' if len(names) > len(hits) else ''}"
    )


def _inside(table: pd.DataFrame, domain: DomainParams | None) -> np.ndarray:
    """Whether stations lie in the domain, shape (n_stations,); those without coordinates count as inside."""
    latitude, longitude = table["latitude_deg"].to_numpy(float), table["longitude_deg"].to_numpy(float)
    in_domain = np.ones(len(table), bool)
    if domain and domain.rectangle:
        in_domain &= _inside_rectangle(latitude, longitude, domain.rectangle)
    if domain and domain.circle:
        circle = domain.circle
        distance_km, _ = distance_and_azimuth(circle.latitude_deg, circle.longitude_deg, latitude, longitude)
        in_domain &= (distance_km >= circle.min_radius_km) & (distance_km <= circle.max_radius_km)
    return in_domain | np.isnan(latitude)


def _inside_rectangle(latitude: np.ndarray, longitude: np.ndarray, rectangle: RectangleParams) -> np.ndarray:
    west, east = rectangle.min_longitude_deg, rectangle.max_longitude_deg
    in_longitude = (
        (longitude - west) % 360.0 <= (east - west) % 360.0 if east - west < 360.0 else longitude == longitude
    )
    return (latitude >= rectangle.min_latitude_deg) & (latitude <= rectangle.max_latitude_deg) & in_longitude


def _thin_out(table: pd.DataFrame, params: DownloadParams) -> pd.DataFrame:
    """Of stations closer than the least distance at any time, the one of the better network, with all its places."""
    if params.min_station_distance_km <= 0:
        return table
    priority = list(params.network_priority)
    order = sorted(range(len(table)), key=lambda row: (rank(str(table["network"].iloc[row]), priority), row))
    latitude, longitude = table["latitude_deg"].to_numpy(float), table["longitude_deg"].to_numpy(float)
    code = (table["network"] + "." + table["station"]).to_numpy(object)
    rows: list[int] = []
    dropped: set[str] = set()
    for row in order:
        neighbours = [neighbour for neighbour in rows if code[neighbour] != code[row]]
        apart_km, _ = distance_and_azimuth(latitude[row], longitude[row], latitude[neighbours], longitude[neighbours])
        if np.any(apart_km < params.min_station_distance_km):  # NaN where a place is not known
            dropped.add(code[row])
        else:
            rows.append(row)
    return table.iloc[[row for row in rows if code[row] not in dropped]]
