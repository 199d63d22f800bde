"""Waveforms and station metadata from FDSN data centres."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import obspy

from pickflow.codes import COMPONENT_SETS, StationCode, rank
from pickflow.download.cache import cache_key, read_answer, write_answer
from pickflow.download.components import sensor_sets
from pickflow.download.metadata import ChannelEpoch
from pickflow.download.params import DownloadParams
from pickflow.download.reading import read_answer as read_miniseed
from pickflow.download.remarks import Remark
from pickflow.download.routing import routes
from pickflow.download.webservice import ServiceError, access, base_url, post

logger = logging.getLogger(__name__)


def request_time(time: datetime) -> str:
    """Time as in a request line, to the microsecond."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%f")


def request_lines(
    code: StationCode, channels: Iterable[str], starttime: datetime, endtime: datetime, location: str = "*"
) -> list[str]:
    """Lines ``NET STA LOC CHA start end`` of a request; channel patterns may have wildcards."""
    span = f"{request_time(starttime)} {request_time(endtime)}"
    return [f"{code.network} {code.station} {location or '--'} {channel} {span}" for channel in channels]


def servers_of(
    codes: list[StationCode], starttime: datetime, endtime: datetime, params: DownloadParams
) -> dict[StationCode, tuple[str, ...]]:
    """Base URLs to ask for the waveforms of each station: the configured ones, then those the routing service names."""
    fixed = tuple(base_url(server) for server in params.fdsn.servers)
    if params.fdsn.routing is None or not codes:
        return dict.fromkeys(codes, fixed)
    lines = [line for code in codes for line in request_lines(code, _patterns(params), starttime, endtime)]
    found = routes("dataselect", lines, params.fdsn)
    return {
        code: tuple(dict.fromkeys([*fixed, *(route.base for route in found if route.serves(code))])) for code in codes
    }


def _patterns(params: DownloadParams) -> list[str]:
    return [f"{band}?" for band in params.channel_priority]


def fetch_waveforms(
    code: StationCode,
    span: tuple[datetime, datetime],
    window: tuple[datetime, datetime],
    epochs: list[ChannelEpoch],
    servers: tuple[str, ...],
    params: DownloadParams,
) -> tuple[obspy.Stream, list[Remark]]:
    """
    Ask the data centres, one after another, for the best sensor of a station.

    With an inventory only one sensor is asked for, the next one if the first is incomplete, and in the end all bands of
    the priorities, as without an inventory.

    Parameters
    ----------
    code : StationCode
        Station.
    span, window : tuple of datetime
        Half-open windows with and without the padding.
    epochs : list of ChannelEpoch
        Channels of the station in the inventory.
    servers : tuple of str
        Base URLs.
    params : DownloadParams
        Priorities, access, pace, cache.

    Returns
    -------
    stream : Stream
        What arrived; may hold several sensors.
    remarks : list of Remark
        ``unauthorized``, ``server_error``, ``truncated_file`` …; none if there simply are no data.
    """
    stream, remarks = obspy.Stream(), []
    for base in servers:
        for lines in _selections(code, span, window, epochs, params):
            try:
                part, found = _ask(base, lines, span, params)
            except ServiceError as error:
                remarks.append(Remark(error.code, error.detail))
                break
            stream += part
            remarks += found
            if _is_complete(stream, min(3, len(lines)), window, params):
                return stream, remarks
        if stream:
            break
    return stream, remarks


def _selections(
    code: StationCode,
    span: tuple[datetime, datetime],
    window: tuple[datetime, datetime],
    epochs: list[ChannelEpoch],
    params: DownloadParams,
) -> list[list[str]]:
    """Request lines of each sensor that the inventory has, best first; then of everything: it may be incomplete."""
    bands, locations = list(params.channel_priority), list(params.location_priority)
    sensors: dict[tuple[str, str], set[str]] = {}
    for epoch in epochs:
        if epoch.overlaps(window) and any(epoch.channel[2:] in letters for letters in COMPONENT_SETS):
            sensors.setdefault((epoch.location, epoch.channel[:2]), set()).add(epoch.channel)
    allowed = {
        sensor: channels
        for sensor, channels in sensors.items()
        if rank(sensor[1], bands) < len(bands) and rank(sensor[0], locations) < len(locations)
    }

    def order(sensor: tuple[str, str]) -> tuple:
        location, band = sensor
        return -min(3, len(allowed[sensor])), rank(band, bands), rank(location, locations), sensor

    ranked = sorted(allowed, key=order)
    everything = request_lines(code, _patterns(params), *span)
    return [*(request_lines(code, sorted(allowed[key]), *span, location=key[0]) for key in ranked), everything]


def _is_complete(
    stream: obspy.Stream, n_components: int, window: tuple[datetime, datetime], params: DownloadParams
) -> bool:
    """Whether a sensor with so many live components has arrived."""
    if not stream:
        return False
    sets, _ = sensor_sets(stream, params.channel_priority, params.location_priority, window)
    return bool(sets) and len(sets[0].channels) >= n_components and sets[0].rates_agree


def _ask(
    base: str, lines: list[str], span: tuple[datetime, datetime], params: DownloadParams
) -> tuple[obspy.Stream, list[Remark]]:
    """One dataselect request, from the cache if it was answered before."""
    granted = access(base, params.fdsn)
    url = f"{base}/fdsnws/dataselect/1/{granted.method}"
    folder, key = Path(params.cache, "fdsn"), cache_key(url, *lines, granted.identity)
    body = read_answer(folder, key)
    if body is None:
        body = post(url, "\n".join([*lines, ""]).encode(), params.fdsn, granted.auth)
        fresh = True
    else:
        fresh = False
    if not body:
        return obspy.Stream(), []
    stream, remarks = read_miniseed(base.split("//")[-1], body, *span)
    if fresh and not remarks:  # what is not whole is asked for again next time
        write_answer(folder, key, body)
    if not stream and remarks:
        return stream, [Remark("server_error", remark.detail) for remark in remarks]
    return stream, remarks


def fetch_stations(params: DownloadParams, starttime: datetime, endtime: datetime) -> obspy.Inventory:
    """
    Station metadata with responses of all data centres; without responses where a server cannot give them.

    A station that several centres have is taken from the first.

    Raises
    ------
    ValueError
        If a server cannot be reached or refuses.
    """
    patterns = [StationCode(*pattern.split(".")) for pattern in params.stations]
    lines = [line for code in patterns for line in request_lines(code, _patterns(params), starttime, endtime)]
    asked = [(base_url(server), lines) for server in params.fdsn.servers]
    try:
        if params.fdsn.routing is not None:
            asked += [(route.base, route.lines) for route in routes("station", lines, params.fdsn)]
        inventories = [_ask_stations(base, some, params) for base, some in asked]
    except ServiceError as error:
        raise ValueError(
            f"download.fdsn.servers: {error.detail}; check the address and the network; on a node without internet, "
            "run the targets download_all and weights_all on a login node first"
        ) from error
    return _without_duplicates(inventories)


def _ask_stations(base: str, lines: list[str], params: DownloadParams) -> obspy.Inventory:
    url = f"{base}/fdsnws/station/1/query"
    for level in ("response", "channel"):
        header = [f"level={level}", "format=xml", *_domain_lines(params)]
        try:
            body = post(url, "\n".join([*header, *lines, ""]).encode(), params.fdsn)
        except ServiceError as error:
            if level == "channel" or error.status is None:
                raise
            logger.warning("%s: no responses (%s), asking for channels only", base, error.detail)
            continue
        if not body:
            return obspy.Inventory()
        try:
            return obspy.read_inventory(io.BytesIO(body), format="STATIONXML")
        except Exception as error:  # ObsPy raises bare exceptions of many kinds
            if level == "channel":
                raise ServiceError("server_error", f"{base} sends unreadable StationXML ({error})") from error
    raise AssertionError("the last level returns or raises")


def _domain_lines(params: DownloadParams) -> list[str]:
    """A rectangle is left to the server; circles are cut by us, few servers take them in POST."""
    rectangle = params.domain.rectangle if params.domain else None
    if rectangle is None or rectangle.min_longitude_deg > rectangle.max_longitude_deg:
        return []
    return [
        f"minlatitude={rectangle.min_latitude_deg}",
        f"maxlatitude={rectangle.max_latitude_deg}",
        f"minlongitude={rectangle.min_longitude_deg}",
        f"maxlongitude={rectangle.max_longitude_deg}",
    ]


def _without_duplicates(inventories: list[obspy.Inventory]) -> obspy.Inventory:
    merged, seen = obspy.Inventory(), set()
    for inventory in inventories:
        codes = {(network.code, station.code) for network in inventory for station in network}
        for network in inventory:
            network.stations = [station for station in network if (network.code, station.code) not in seen]
        merged.networks += [network for network in inventory if network.stations]
        seen |= codes
    return merged
