"""Table of stations: one row for each place of a station and its time span."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pickflow.io.tables import conform, read_table
from pickflow.schemas import STATIONS
from pickflow.travel_times.sphere import sphere_distance_km
from pickflow.windows import span_of

if TYPE_CHECKING:
    from obspy import Inventory
    from obspy.core.inventory import Channel, Station

# Chosen: nearer places of a station are one; 0.2 s of travel time is less than the error of a velocity model.
MOVED_KM = 1.0
# The deepest trench and the highest mountain.
ELEVATIONS_M = (-12_000.0, 9_000.0)
# Beginning of the comments that pickflow adds to an inventory, see `pickflow.io.station_xml`.
MENDED = "pickflow: "
NO_EPOCH = "the inventory has no epoch of the station then"

_OPEN = (-(2**63), 2**63 - 1)
# Elevations of a station and its channels differ by this factor, a little more or less, if one of them is in km.
_KM_RATIO = (900.0, 1100.0)


class _Claim(NamedTuple):
    """Coordinates of a station in an epoch of the inventory: of the station itself, or of a channel."""

    start_ns: int
    end_ns: int
    latitude_deg: float  # NaN: unknown
    longitude_deg: float
    elevation_m: float
    by_channel: bool
    remark: str


class _Place(NamedTuple):
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    remark: str


def stations_table(inventory: Inventory) -> pd.DataFrame:
    """
    Rows of `STATIONS`: each station of an inventory at each of its places, in order of time.

    A place is that of the station's epoch. Where several epochs hold at once, the one that begins last counts. Where
    the channels in use agree on a place more than `MOVED_KM` from it, the station's counts, unless the channels were
    elsewhere at another time: a station that has moved is often described by new channels only. All that, latitude
    and longitude 0, which stand for unknown, an epoch that ends before it begins, which is taken as open, and an
    impossible elevation are reported in ``remark``.
    """
    claims: dict[tuple[str, str], list[_Claim]] = {}
    for network in inventory:
        for station in network:
            claims.setdefault((network.code, station.code), []).extend(_claims(station))
    rows = [(*code, *row) for code, of_station in claims.items() for row in _rows(of_station)]
    columns = ["network", "station", "latitude_deg", "longitude_deg", "elevation_m", "remark", "starttime", "endtime"]
    return conform(pd.DataFrame(rows, columns=columns), STATIONS)


def read_stations(path: str | Path, days: Sequence[str]) -> pd.DataFrame:
    """
    Read the table of stations of a run, which holds all times that its inventory describes, for some days.

    The only way to read it: places of other years would stretch maps, frames and regions.

    Parameters
    ----------
    path : str or Path
        ``inventory/stations.parquet``.
    days : sequence of str
        ``YYYY-MM-DD``; those between the first and the last count too.

    Returns
    -------
    DataFrame
        Rows of `STATIONS`, see `places_in_run`.

    Raises
    ------
    StorageError
        If the table is damaged.
    """
    return places_in_run(read_table(path, STATIONS), *span_of(days))


def places_in_run(stations: pd.DataFrame, start: datetime, end: datetime) -> pd.DataFrame:
    """
    Rows of `STATIONS` that hold in a part of a window, whole; a station without any has one row without coordinates.

    Parameters
    ----------
    stations : DataFrame
        Rows of `STATIONS`; may be a result of this function.
    start, end : datetime
        Half-open window, aware.
    """
    has_begun = stations.starttime.isna() | (stations.starttime < pd.Timestamp(end))
    not_ended = stations.endtime.isna() | (stations.endtime > pd.Timestamp(start))
    # Rows without an epoch have no times, and are made anew below.
    rows = stations[has_begun & not_ended & (stations.remark != NO_EPOCH)]
    nearest = places_between(stations, start, end)
    without_epoch = nearest[nearest.remark == NO_EPOCH]
    return conform(pd.concat([rows, without_epoch]) if len(without_epoch) else rows, STATIONS)


def places_between(
    stations: pd.DataFrame, start: datetime | pd.Timestamp, end: datetime | pd.Timestamp
) -> pd.DataFrame:
    """
    The stations as they are in a window: one row each, the place that has most of it.

    Parameters
    ----------
    stations : DataFrame
        Rows of `STATIONS`.
    start, end : datetime
        Half-open window, aware.

    Returns
    -------
    DataFrame
        Rows of `STATIONS`, one for each station; one without a place then has no coordinates, with a remark.
    """
    stations = conform(stations, STATIONS)
    first, last = pd.Timestamp(start), pd.Timestamp(end)
    begins = stations.starttime.where(stations.starttime > first, first)
    ends = stations.endtime.where(stations.endtime < last, last)
    overlap_ns = ends.astype("int64") - begins.astype("int64")
    ordered = stations.assign(overlap_ns=overlap_ns).sort_values("overlap_ns", kind="stable", ascending=False)
    best = ordered.drop_duplicates(["network", "station"])
    without_place = best[["network", "station"]].assign(
        latitude_deg=np.nan, longitude_deg=np.nan, elevation_m=np.nan, remark=NO_EPOCH
    )
    has_place = best.overlap_ns > 0
    return conform(best if has_place.all() else pd.concat([best[has_place], without_place[~has_place]]), STATIONS)


def places_at(codes: pd.DataFrame, times: pd.Series, stations: pd.DataFrame) -> pd.DataFrame:
    """
    The row of `STATIONS` that holds at a time, for each station and time; NaN where there is none.

    Parameters
    ----------
    codes : DataFrame
        Columns network and station.
    times : Series
        Aware, as many as codes.
    stations : DataFrame
        Rows of `STATIONS`.

    Returns
    -------
    DataFrame
        Columns of `STATIONS`, one row for each row of ``codes``, in their order and with their index.
    """
    queries = codes[["network", "station"]].assign(row=np.arange(len(codes)), at=times.array)
    pairs = queries.merge(conform(stations, STATIONS), on=["network", "station"], how="left")
    has_begun = pairs.starttime.isna() | (pairs.starttime <= pairs["at"])
    not_ended = pairs.endtime.isna() | (pairs["at"] < pairs.endtime)
    valid = pairs[has_begun & not_ended].drop_duplicates("row", keep="last").set_index("row")
    rows = valid.reindex(np.arange(len(codes)))[STATIONS.schema.names]
    rows[["network", "station"]] = codes[["network", "station"]].to_numpy()
    return rows.set_axis(codes.index, axis=0)


def _claims(station: Station) -> list[_Claim]:
    of_station = _claim(station, False)
    of_channels = {_claim(channel, True) for channel in station.channels}
    # A channel without dates is of its station's epoch.
    of_channels = {
        claim._replace(start_ns=of_station.start_ns, end_ns=of_station.end_ns) if claim[:2] == _OPEN else claim
        for claim in of_channels
    }
    return [of_station, *sorted(claim for claim in of_channels if np.isfinite(claim.latitude_deg))]


def _claim(node: Station | Channel, by_channel: bool) -> _Claim:
    remarks = [] if by_channel else [text for text in map(_mended_text, node.comments) if text]
    start_ns, end_ns = epoch_ns(node.start_date, node.end_date)
    if node.end_date is not None and node.start_date is not None and node.end_date <= node.start_date:
        remarks.append(
            f"its epoch ends ({node.end_date.date}) before it begins ({node.start_date.date}): taken as open"
        )
    latitude, longitude, elevation = float(node.latitude), float(node.longitude), float(node.elevation)
    if latitude == longitude == 0.0:
        latitude = longitude = float("nan")
        if not remarks:
            remarks.append("its latitude and longitude are 0, which stand for unknown")
    if not ELEVATIONS_M[0] <= elevation <= ELEVATIONS_M[1]:
        if np.isfinite(latitude):  # ObsPy gives RESP, which has no places, one of 123456 m
            remarks.append(f"its elevation of {elevation:g} m is none of the Earth's: sea level is taken")
        elevation = float("nan")
    return _Claim(start_ns, end_ns, latitude, longitude, elevation, by_channel, "; ".join(remarks))


def _mended_text(comment: object) -> str:
    text = str(getattr(comment, "value", ""))
    return text.removeprefix(MENDED) if text.startswith(MENDED) else ""


def epoch_ns(start: object, end: object) -> tuple[int, int]:
    """
    Half-open epoch of `UTCDateTime` or None, ns since 1970; open where a side is missing or beyond what ns can hold.

    One that ends before it begins is open at its end: a wrong end is more frequent than a wrong start.
    """
    first, last = (limit if time is None else time.ns for time, limit in zip((start, end), _OPEN, strict=True))  # type: ignore[attr-defined]
    if last <= first:
        last = _OPEN[1]
    return max(first, _OPEN[0]), min(last, _OPEN[1])


def _rows(claims: list[_Claim]) -> list[tuple]:
    """Place, start and end of each place of a station; neighbours in time that are equal become one."""
    channels_move = _channels_move([claim for claim in claims if claim.by_channel])
    by_start = sorted(range(len(claims)), key=lambda index: claims[index].start_ns, reverse=True)
    active: list[int] = []
    edges = sorted({edge for claim in claims for edge in claim[:2]})
    rows: list[tuple[_Place, int, int]] = []
    for start, end in pairwise(edges):
        active = [index for index in active if claims[index].end_ns > start]
        while by_start and claims[by_start[-1]].start_ns <= start:
            active.append(by_start.pop())
        if not active:
            continue
        location = _place([claims[index] for index in sorted(active)], channels_move)
        if rows and repr(rows[-1][0]) == repr(location) and rows[-1][2] == start:  # repr: NaN equals NaN
            rows[-1] = (location, rows[-1][1], end)
        else:
            rows.append((location, start, end))
    return [(*location[:3], location.remark or None, _time(start), _time(end)) for location, start, end in rows]


def _channels_move(claims: list[_Claim]) -> bool:
    """Whether a channel was at one place, and later one was at another."""
    first_end: dict[tuple[float, float], _Claim] = {}
    last_start: dict[tuple[float, float], _Claim] = {}
    for claim in claims:
        coordinates = (claim.latitude_deg, claim.longitude_deg)
        first_end[coordinates] = min(first_end.get(coordinates, claim), claim, key=lambda candidate: candidate.end_ns)
        last_start[coordinates] = max(
            last_start.get(coordinates, claim), claim, key=lambda candidate: candidate.start_ns
        )
    return any(
        earlier.end_ns <= later.start_ns and _apart_km(earlier, later) > MOVED_KM
        for earlier in first_end.values()
        for later in last_start.values()
    )


def _time(edge_ns: int) -> pd.Timestamp | None:
    return None if edge_ns in _OPEN else pd.Timestamp(edge_ns, tz="UTC")


def _place(active: list[_Claim], channels_move: bool) -> _Place:
    """The place that claims of one time agree on, or the selected one."""
    of_station = [claim for claim in active if not claim.by_channel]
    of_channels = [claim for claim in active if claim.by_channel]
    located = [claim for claim in of_station if np.isfinite(claim.latitude_deg)]
    remarks = [claim.remark for claim in located or of_station if claim.remark]
    channels_agree = bool(of_channels) and max(_apart_km(of_channels[0], claim) for claim in of_channels) <= MOVED_KM
    chosen = _latest(located) or _latest(of_channels) or of_station[0]
    if chosen.by_channel:
        remarks.append("its coordinates are those of its channels: the station itself has none then")
    elif (distance_km := max((_apart_km(chosen, claim) for claim in located), default=0.0)) > MOVED_KM:
        remarks.append(f"two of its epochs at once are {distance_km:.0f} km apart: the one that begins last is taken")
    if channels_agree and located and (offset_km := _apart_km(chosen, of_channels[0])) > MOVED_KM:
        chosen = of_channels[0] if channels_move else chosen
        choice = "theirs are" if channels_move else "the station's are"
        remarks.append(f"its channels are {offset_km:.0f} km from the station's own coordinates: {choice} taken")
    elevation = chosen.elevation_m
    if channels_agree and _is_km(elevation, of_channels[0].elevation_m):
        elevation = max(elevation, of_channels[0].elevation_m, key=abs)
        remarks.append(f"one of the elevations of station and channels is in km: {elevation:g} m is taken")
    return _Place(chosen.latitude_deg, chosen.longitude_deg, elevation, "; ".join(dict.fromkeys(remarks)))


def _latest(claims: list[_Claim]) -> _Claim | None:
    return max(claims, key=lambda claim: claim.start_ns, default=None)


def _apart_km(first: _Claim, second: _Claim) -> float:
    return float(sphere_distance_km(first.latitude_deg, first.longitude_deg, second.latitude_deg, second.longitude_deg))


def _is_km(first_m: float, second_m: float) -> bool:
    low, high = sorted(map(abs, (first_m, second_m)))
    return low > 0 and _KM_RATIO[0] <= high / low <= _KM_RATIO[1]
