"""Waveforms and station metadata from FDSN data centres."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import obspy

from pickflow.codes import COMPONENT_SETS, StationCode, rank
from pickflow.download.cache import cache_key, read_answer, write_answer
from pickflow.download.components import sensor_sets
from pickflow.download.metadata import ChannelEpoch
from pickflow.download.reading import read_answer as read_miniseed
from pickflow.download.remarks import Remark
from pickflow.download.routing import routes
from pickflow.download.webservice import SMALL_MB, WITHOUT_INTERNET, ServiceError, access, base_url, post
from pickflow.io.inventory import parse_inventory
from pickflow.io.places import epoch_ns
from pickflow.run.settings.download import DownloadParams
from pickflow.secrets import printable
from pickflow.windows import ONE_DAY

logger = logging.getLogger(__name__)

MOST_NAMED = 3  # chosen: traces in the message
BESIDE_S = 3600.0  # chosen: records that reach into the requested time lie nearer, other days farther


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
    answer = routes("dataselect", lines, params.fdsn)
    return {
        code: tuple(dict.fromkeys([*fixed, *(route.base for route in answer if route.covers(code))])) for code in codes
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
    Request the best sensor of a station from the data centres, one after another.

    With an inventory only one sensor is requested, the next one if the first is incomplete, and finally all bands of
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
        The data received; may hold several sensors.
    remarks : list of Remark
        ``unauthorized``, ``server_error``, ``truncated_file`` …; none if there simply are no data.
    """
    stream, remarks = obspy.Stream(), []
    for base in servers:
        for lines in _selections(code, span, window, epochs, params):
            try:
                part, server_remarks = _ask(base, lines, span, params)
            except ServiceError as error:
                remarks.append(Remark(error.code, error.detail))
                break
            stream += part
            remarks += server_remarks
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
    channels_of = {
        sensor: channels
        for sensor, channels in sensors.items()
        if rank(sensor[1], bands) < len(bands) and rank(sensor[0], locations) < len(locations)
    }

    def order(sensor: tuple[str, str]) -> tuple:
        location, band = sensor
        return -min(3, len(channels_of[sensor])), rank(band, bands), rank(location, locations), sensor

    best_first = sorted(channels_of, key=order)
    all_lines = request_lines(code, _patterns(params), *span)
    return [*(request_lines(code, sorted(channels_of[key]), *span, location=key[0]) for key in best_first), all_lines]


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
    permit = access(base, params.fdsn)
    url = f"{base}/fdsnws/dataselect/1/{permit.method}"
    folder, key = Path(params.cache, "fdsn"), cache_key(url, *lines, permit.identity)
    body = read_answer(folder, key)
    if body is None:
        request = "\n".join([*lines, ""]).encode()
        body = post(url, request, params.fdsn, permit.auth, max_mb=_largest_mb(span, params))
        is_new = True
    else:
        is_new = False
    if not body:
        return obspy.Stream(), []
    stream, remarks = read_miniseed(base.split("//")[-1], body, *span)
    if not stream and not remarks:
        remarks = _of_other_times(base, body, span)
    if is_new and not remarks and _is_about(lines, stream):  # incomplete answers are requested again next time
        write_answer(folder, key, body)
    if not stream and remarks:
        return stream, [Remark("server_error", remark.detail) for remark in remarks]
    if stream and not _is_about(lines, stream):
        names = ", ".join(sorted({printable(trace.id) for trace in stream})[:MOST_NAMED])
        return obspy.Stream(), [Remark("server_error", f"{base} answers with {names}, which was not asked for")]
    return stream, remarks


def _largest_mb(span: tuple[datetime, datetime], params: DownloadParams) -> float:
    """Largest answer in MB, by the requested time."""
    return max(SMALL_MB, params.fdsn.max_answer_mb * ((span[1] - span[0]) / ONE_DAY))


def _is_about(lines: list[str], stream: obspy.Stream) -> bool:
    """Whether one of the traces is of a requested station; without a network code, of any network."""
    codes_requested = {tuple(line.split()[:2]) for line in lines}
    stations = {station for _, station in codes_requested}
    codes = {(trace.stats.network.strip(), trace.stats.station.strip()) for trace in stream}
    return any(code in codes_requested or (not code[0] and code[1] in stations) for code in codes)


def _of_other_times(base: str, body: bytes, span: tuple[datetime, datetime]) -> list[Remark]:
    """Remarks if no data lie in the requested time: records beside it are usual, those of another day are an error."""
    stream, remarks = read_miniseed(base.split("//")[-1], body)
    start, end = (obspy.UTCDateTime(moment) for moment in span)
    beside = [
        trace for trace in stream if trace.stats.endtime > start - BESIDE_S and trace.stats.starttime < end + BESIDE_S
    ]
    if beside or remarks or not stream:
        return remarks
    return [Remark("server_error", f"{base} answers with data of {stream[0].stats.starttime}, which was not asked for")]


def fetch_stations(
    params: DownloadParams,
    starttime: datetime,
    endtime: datetime,
    levels: Sequence[str] = ("response", "channel"),
) -> obspy.Inventory:
    """
    Station metadata of all data centres, at the first of the levels that a server can give.

    An epoch of a station that several centres have is taken from the first.

    Raises
    ------
    ValueError
        If a server cannot be reached or refuses.
    """
    patterns = [StationCode(*pattern.split(".")) for pattern in params.stations]
    lines = [line for code in patterns for line in request_lines(code, _patterns(params), starttime, endtime)]
    requests = [(base_url(server), lines) for server in params.fdsn.servers]
    try:
        if params.fdsn.routing is not None:
            requests += [(route.base, route.lines) for route in routes("station", lines, params.fdsn)]
        inventories = [_ask_stations(base, query, params, levels) for base, query in requests]
    except ServiceError as error:
        raise ValueError(
            f"download.fdsn.servers: {error.detail}; check the address and the network; {WITHOUT_INTERNET}"
        ) from error
    return _without_duplicates(inventories)


def _ask_stations(base: str, lines: list[str], params: DownloadParams, levels: Sequence[str]) -> obspy.Inventory:
    url = f"{base}/fdsnws/station/1/query"
    for level in levels:
        header = [f"level={level}", "format=xml", *_domain_lines(params)]
        try:
            body = post(url, "\n".join([*header, *lines, ""]).encode(), params.fdsn)
            return _inventory_of(base, body)
        except ServiceError as error:
            if level == levels[-1] or error.status is None:
                raise
            logger.warning("%s: no responses (%s), asking for channels only", base, error.detail)
    raise AssertionError("the last level returns or raises")


def _inventory_of(base: str, body: bytes) -> obspy.Inventory:
    """Inventory of an answer, which is empty if the server has none."""
    try:
        return parse_inventory(body, base) if body else obspy.Inventory()
    except ValueError as error:
        detail = f"{base} sends unreadable StationXML ({printable(str(error))})"
        raise ServiceError("server_error", detail, 200) from error


def _domain_lines(params: DownloadParams) -> list[str]:
    """Rectangles are sent to the server; circles are applied here, because few servers accept them in POST."""
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
    result = obspy.Inventory()
    epochs: dict[tuple[str, str], list[tuple[int, int]]] = {}  # of earlier centres
    for inventory in inventories:
        new_epochs = []
        for network in inventory:
            stations, network.stations = network.stations, []
            for station in stations:
                code, (start, end) = (network.code, station.code), epoch_ns(station.start_date, station.end_date)
                if not any(start < last and first < end for first, last in epochs.get(code, [])):
                    network.stations.append(station)
                    new_epochs.append((code, (start, end)))
        result.networks += [network for network in inventory if network.stations]
        for code, epoch in new_epochs:
            epochs.setdefault(code, []).append(epoch)
    return result
