"""Catalogs to compare with, from files of any format and from FDSN event services."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import pandas as pd

from pickflow.io.formats import Bulletin, parse_bulletin, read_with_companions
from pickflow.io.formats.bulletin import Reading
from pickflow.io.web import Limits, WebError, fetch_with_retries
from pickflow.secrets import redact

logger = logging.getLogger(__name__)

_LIMITS = Limits(max_bytes=500_000_000, connect_s=15.0, silence_s=120.0, whole_s=3600.0)  # chosen
_LISTED = 3  # rejected lines in a warning
_RETRIES = 4  # chosen, with growing waits between them


def read_reference(
    source: str | Path, starttime: datetime, endtime: datetime, region: Mapping[str, float] | None = None
) -> Bulletin:
    """
    Read a reference catalog, inside a time span and a region.

    Lines that cannot be read, and events without an origin, are left out with a warning. Picks of events without an
    origin become picks of no event, unless there is a region.

    Parameters
    ----------
    source : str or Path
        A file of any format that `read_bulletin` knows; of an OGS bulletin, all files of its name are read. Or an FDSN
        event service: its base URL, or a name that ObsPy knows, such as ``USGS``.
    starttime, endtime : datetime
        Half-open [start, end) of the origin times, and of the times of picks of no event.
    region : mapping, optional
        min_latitude_deg, max_latitude_deg, min_longitude_deg, max_longitude_deg; it crosses the date line if the
        minimum longitude is the larger one.

    Returns
    -------
    Bulletin

    Raises
    ------
    ValueError
        If the file is missing or of no known format, or the service does not answer.
    """
    text = str(source)
    if text.startswith(("http://", "https://")) or (not Path(text).exists() and text in _known_services()):
        answer = _ask(text, starttime, endtime, region)
        bulletin = parse_bulletin(answer, text) if answer.strip() else Reading(text, "table").bulletin()
    else:
        bulletin = read_with_companions(source)
    _warn(bulletin, text)
    located = bulletin.events[bulletin.events.latitude_deg.notna()]
    rows = select_events(located, starttime, endtime, region)
    picks = bulletin.picks
    if region is None:
        picks = picks.assign(event_id=picks.event_id.where(picks.event_id.isin(located.event_id), ""))
    is_free = (picks.event_id == "") & (picks.time >= pd.Timestamp(starttime)) & (picks.time < pd.Timestamp(endtime))
    return replace(bulletin, events=rows, picks=picks[picks.event_id.isin(rows.event_id) | is_free])


def _warn(bulletin: Bulletin, name: str) -> None:
    n_unlocated = int(bulletin.events.latitude_deg.isna().sum())
    if n_unlocated:
        logger.warning("%s: %d events without an origin are left out", name, n_unlocated)
    for line in bulletin.rejections(_LISTED):
        logger.warning("%s: %s", name, line.strip())


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
    url = _known_services().get(server, server).rstrip("/") + "/fdsnws/event/1/query"
    try:
        answer = fetch_with_retries(f"{url}?{urlencode(query)}", _LIMITS, _RETRIES)
    except WebError as error:
        raise ValueError(
            f"event service {redact(url)} does not answer ({error.detail}); check analyze.reference.server"
        ) from error
    if answer.status not in (200, 204):
        raise ValueError(f"event service {url} answers {answer.status}: {answer.refusal}")
    return answer.body


def _known_services() -> dict[str, str]:
    from obspy.clients.fdsn.header import URL_MAPPINGS  # it imports ObsPy, which files do not need

    return URL_MAPPINGS


def _fdsn_time(moment: datetime) -> str:
    return pd.Timestamp(moment).tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%S.%f")
