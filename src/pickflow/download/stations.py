"""Which stations are asked for."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
from obspy.geodetics import gps2dist_azimuth

from pickflow.codes import StationCode, matches, parse_station, rank
from pickflow.download.directory import directory_index, directory_stations
from pickflow.download.params import DomainParams, DownloadParams, RectangleParams
from pickflow.download.sds import sds_stations
from pickflow.io.inventory import stations_table
from pickflow.io.tables import conform
from pickflow.schemas import STATIONS

WILDCARDS = "*?["


def asked_stations(inventory: obspy.Inventory, params: DownloadParams) -> pd.DataFrame:
    """
    Every station asked for: each of them gets a row for every day in the manifest.

    Stations of the inventory that match ``stations``, not ``exclude``, and lie in the domain; stations named without
    wildcards, whether the inventory has them or not; and, where no StationXML was given, those found in the archive.

    Parameters
    ----------
    inventory : Inventory
        See `fetch_inventory`.
    params : DownloadParams
        Patterns, domain, priorities of networks.

    Returns
    -------
    DataFrame
        Of `STATIONS`; NaN coordinates: not in the inventory.

    Raises
    ------
    ValueError
        If there is none.
    """
    patterns, excluded = list(params.stations), list(params.exclude)
    for pattern in (*patterns, *excluded):
        parse_station(pattern)
    table = stations_table(inventory)
    known = [StationCode(*codes) for codes in table[["network", "station"]].itertuples(index=False)]
    bare = [pattern for pattern in patterns if not any(letter in pattern for letter in WILDCARDS)]
    more = [parse_station(pattern) for pattern in bare] + ([] if params.inventory else archive_stations(params))
    unknown = sorted(set(more) - set(known))
    if unknown:
        nowhere = pd.DataFrame([(*code, np.nan, np.nan, np.nan) for code in unknown], columns=STATIONS.schema.names)
        table = conform(pd.concat([table, nowhere]) if len(table) else nowhere, STATIONS)
    codes = [StationCode(*codes) for codes in table[["network", "station"]].itertuples(index=False)]
    selected = [matches(code, patterns) and not matches(code, excluded) for code in codes]
    asked = table[pd.Series(selected, dtype=bool, index=table.index)]
    asked = asked[_inside(asked, params.domain)]
    if asked.empty:
        raise ValueError(_nothing_asked(params, codes))
    return conform(_apart(asked, params), STATIONS)


def archive_stations(params: DownloadParams) -> list[StationCode]:
    """Stations found in the archive or folder; none for data centres."""
    if params.source == "sds":
        return sds_stations(Path(str(params.path)))
    if params.source == "directory":
        return directory_stations(directory_index(Path(str(params.path)), Path(params.cache)))
    return []


def _nothing_asked(params: DownloadParams, known: list[StationCode]) -> str:
    patterns = ", ".join(params.stations)
    if not known:
        return f"download.stations: {patterns} matches nothing, because no inventory or archive has any station"
    names = list(map(str, known))
    near = difflib.get_close_matches(params.stations[0] if params.stations else "", names, n=5, cutoff=0.3) or names[:5]
    where = " in download.domain" if params.domain else ""
    return (
        f"download.stations: {patterns} (without {', '.join(params.exclude) or 'exceptions'}) matches none of the "
        f"{len(names)} stations{where}; there are {', '.join(near)}{' …' if len(names) > len(near) else ''}"
    )


def _inside(table: pd.DataFrame, domain: DomainParams | None) -> np.ndarray:
    """Whether stations lie in the domain, shape (n_stations,); those without coordinates count as inside."""
    latitude, longitude = table["latitude_deg"].to_numpy(float), table["longitude_deg"].to_numpy(float)
    inside = np.ones(len(table), bool)
    if domain and domain.rectangle:
        inside &= _inside_rectangle(latitude, longitude, domain.rectangle)
    if domain and domain.circle:
        circle = domain.circle
        distance_km = _distance_km(circle.latitude_deg, circle.longitude_deg, latitude, longitude)
        inside &= (distance_km >= circle.min_radius_km) & (distance_km <= circle.max_radius_km)
    return inside | np.isnan(latitude)


def _inside_rectangle(latitude: np.ndarray, longitude: np.ndarray, rectangle: RectangleParams) -> np.ndarray:
    west, east = rectangle.min_longitude_deg, rectangle.max_longitude_deg
    in_longitude = (
        (longitude - west) % 360.0 <= (east - west) % 360.0 if east - west < 360.0 else longitude == longitude
    )
    return (latitude >= rectangle.min_latitude_deg) & (latitude <= rectangle.max_latitude_deg) & in_longitude


def _distance_km(
    latitude_deg: float, longitude_deg: float, latitudes: np.ndarray, longitudes: np.ndarray
) -> np.ndarray:
    pairs = zip(latitudes, longitudes, strict=True)
    return np.array(
        [
            np.nan
            if np.isnan(latitude)
            else gps2dist_azimuth(latitude_deg, longitude_deg, latitude, longitude)[0] / 1e3
            for latitude, longitude in pairs
        ]
    )


def _apart(table: pd.DataFrame, params: DownloadParams) -> pd.DataFrame:
    """Of stations closer than the least distance, the one of the better network."""
    if params.min_station_distance_km <= 0:
        return table
    priority = list(params.network_priority)
    order = sorted(range(len(table)), key=lambda row: (rank(str(table["network"].iloc[row]), priority), row))
    latitude, longitude = table["latitude_deg"].to_numpy(float), table["longitude_deg"].to_numpy(float)
    kept: list[int] = []
    for row in order:
        known = ~np.isnan(latitude[row])
        near_km = _distance_km(latitude[row], longitude[row], latitude[kept], longitude[kept]) if known else np.empty(0)
        if not np.any(near_km < params.min_station_distance_km):
            kept.append(row)
    return table.iloc[kept]
