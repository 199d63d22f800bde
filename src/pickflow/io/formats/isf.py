"""Bulletins in IMS1.0, its extension ISF (IASPEI Seismic Format), and GSE2.0."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.formats.cards import lines_of
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.isf_lines import (
    Origin,
    Phase,
    gse_errors,
    gse_origin,
    gse_phase,
    ims_magnitude,
    ims_origin,
    ims_phase,
    phase_time,
)
from pickflow.io.formats.times import time_id
from pickflow.io.formats.with_obspy import OTHER_MAGNITUDE, OTHER_ORIGIN

IMS_BULLETIN = r"(?i)(<.*>)?\s*DATA_TYPE +BULLETIN +(IMS|GSE2\.1|ISF)|\s*Date +Time +Err +RMS +Latitude"
GSE_BULLETIN = r"(?i)(<.*>)?\s*DATA_TYPE +BULLETIN( +GSE2\.0|\s*\Z)|\s*Date +Time +Latitude +Longitude +Depth +Ndef"
# Kind of a block, by the names of its columns; GSE2.0 has a date in its phases, and two lines of names for an origin.
_BLOCKS = {
    "ims-origins": re.compile(r"\s*Date\s+Time\s+Err\s+RMS\s", re.IGNORECASE),
    "gse-origins": re.compile(r"\s*Date\s+Time\s+Latitude\s", re.IGNORECASE),
    "magnitudes": re.compile(r"\s*Magnitude\s+Err\s+Nsta", re.IGNORECASE),
    "ims-phases": re.compile(r"\s*Sta\s+Dist\s+EvAz\s+Phase\s+Time", re.IGNORECASE),
    "gse-phases": re.compile(r"\s*Sta\s+Dist\s+EvAz\s+Phase\s+Date", re.IGNORECASE),
    "channels": re.compile(r"\s*Net\s+Chan\s+F\s", re.IGNORECASE),
    "others": re.compile(r"\s*(Year\s+Volume\s|Effects\s|Moment\s)", re.IGNORECASE),
}
_EVENT = re.compile(r"\s*EVENT\b\s*(\S*)\s*(.*)", re.IGNORECASE)
_ENVELOPE = re.compile(
    r"\s*(BEGIN|STOP|DATA_TYPE|MSG_TYPE|MSG_ID|REF_ID|E-MAIL|TIME_STAMP|PROD_ID|\.\s*\Z)", re.IGNORECASE
)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")


@dataclass
class _Event:
    """An event while it is read."""

    line: int
    identifier: str
    place: str
    origins: list[Origin] = field(default_factory=list)
    magnitudes: list[tuple[int, str, dict[str, float]]] = field(default_factory=list)  # line, origin, values
    phases: list[tuple[int, Phase]] = field(default_factory=list)
    phases_of: str = ""  # the origin that the phases belong to
    channels: dict[str, dict[str, str]] = field(default_factory=dict)  # network and channel of arrivals

    def preferred(self) -> Origin | None:
        """The prime origin; else that of the phases, else the last one: ISC puts its best there."""
        orders = (
            [origin for origin in self.origins if origin.is_prime],
            [origin for origin in self.origins if self.phases_of and origin.origin_id == self.phases_of],
            [origin for origin in self.origins if not origin.is_centroid],
            self.origins,
        )
        return next((order[-1] for order in orders if order), None)


def parse_isf(text: str, name: str, format: str = "isf") -> Bulletin:
    """
    Events of bulletins in IMS1.0 (ISF, short or long) or GSE2.0, also several messages, or as a page of ISC's server.

    Of several origins the prime one (``#PRIME``) is taken, else the one that the phases name (``#OrigID``), else the
    last one that is no centroid; the magnitude is the first of that origin, else the first. Half axes and depth errors
    of 90 % become those of one standard deviation. Where any phase of an event defines its time (``T``), the weight of
    these is 1 and that of others 0; else weights are unknown.

    Parameters
    ----------
    text : str
        The file's content.
    name : str
        Its name, for messages.
    format : str
        ``isf`` or ``gse``: the name for the account; the columns follow from the header lines.

    Returns
    -------
    Bulletin
        Titles and comments are among the headers.
    """
    reading = Reading(name, format, lines_of(text))
    is_page = any(re.match(r"\s*<(!doctype|html|head|pre)", line, re.IGNORECASE) for line in reading.lines[:200])
    messages = _Messages(reading)
    for number, line in enumerate(reading.lines, 1):
        messages.take(number, html.unescape(_TAG.sub("", line)) if is_page else line)
    messages.finish()
    return reading.bulletin()


def parse_gse(text: str, name: str) -> Bulletin:
    """As `parse_isf`, named ``gse``."""
    return parse_isf(text, name, "gse")


class _Messages:
    """Lines, one after another, of one or several messages."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.event: _Event | None = None
        self.block = ""
        self.ids: dict[str, int] = {}
        self.readers: dict[str, tuple[str, Callable[[_Event, int, str], None]]] = {
            "ims-origins": ("origin", self._ims_origin),
            "gse-origins": ("origin", self._gse_origin),
            "magnitudes": ("magnitude", self._magnitude),
            "ims-phases": ("pick", self._ims_phase),
            "gse-phases": ("pick", self._gse_phase),
            "channels": ("channel", self._channel),
        }

    def take(self, number: int, line: str) -> None:
        """Read a line."""
        block = next((name for name, pattern in _BLOCKS.items() if pattern.match(line)), None)
        event = _EVENT.match(line)
        if event and block is None:
            self.finish()
            self.event = _Event(number, event.group(1), event.group(2).strip())
        elif block is not None:
            self.block = block
            self.reading.header(number)
        elif not line.strip() or _ENVELOPE.match(line) or (self.event is None and not self.block):
            self.reading.header(number)
        elif self.event is None:
            self.reading.reject(number, "no line EVENT above it")
        elif re.match(r"\s*\(", line):
            self._comment(self.event, line)
            self.reading.header(number)
        elif self.block == "others":
            self.reading.header(number)
        elif self.block:
            kind, read_line = self.readers[self.block]
            with self.reading.item(number, kind):
                read_line(self.event, number, line)
        else:
            self.reading.reject(number, "in no block of origins, magnitudes or phases")

    def _comment(self, event: _Event, line: str) -> None:
        fields = line.strip().lstrip("(").rstrip(") ").split()
        keyword = fields[0].upper() if fields else ""
        if self.block.endswith("origins") and event.origins:
            event.origins[-1].is_prime |= keyword == "#PRIME"
            event.origins[-1].is_centroid |= keyword == "#CENTROID"
        elif self.block.endswith("phases") and keyword == "#ORIGID" and len(fields) > 1:
            event.phases_of = fields[1]

    def _ims_origin(self, event: _Event, number: int, line: str) -> None:
        event.origins.append(ims_origin(line))
        event.origins[-1].lines.append(number)

    def _gse_origin(self, event: _Event, number: int, line: str) -> None:
        if re.match(r"\d{4}/", line):
            event.origins.append(gse_origin(line))
            event.origins[-1].lines.append(number)
        elif not line.startswith("    "):
            event.place = event.place or line.strip()
        elif event.origins and line[:104].strip():  # else the line continues the author's name
            gse_errors(line, event.origins[-1])
            event.origins[-1].lines.append(number)

    def _magnitude(self, event: _Event, number: int, line: str) -> None:
        event.magnitudes.append((number, *ims_magnitude(line)))

    def _ims_phase(self, event: _Event, number: int, line: str) -> None:
        event.phases.append((number, ims_phase(line)))

    def _gse_phase(self, event: _Event, number: int, line: str) -> None:
        event.phases.append((number, gse_phase(line)))

    def _channel(self, event: _Event, number: int, line: str) -> None:
        fields = line.split()
        event.channels[fields[-1]] = {"network": line[:9].strip(), "channel": line[10:13].strip()}

    def finish(self) -> None:
        """Complete the event that was read so far."""
        event, self.event, self.block = self.event, None, ""
        if event is None:
            return
        origin = event.preferred()
        values = origin.values if origin else {"time": pd.NaT}
        identifier = event.identifier or (time_id(origin.values["time"]) if origin else f"line{event.line}")
        event_id = free_id(identifier, self.ids)
        magnitude = _magnitude_of(event, origin)
        with self.reading.item(event.line, "event"):
            self.reading.add_event({"event_id": event_id, **values, **magnitude}, event.line)
            type_ = origin.event_type if origin else ""
            self.reading.descriptions.append({"event_id": event_id, "event_type": type_, "place": event.place})
        for candidate in event.origins:
            for number in candidate.lines if candidate is not origin else ():
                self.reading.set_aside(number, OTHER_ORIGIN, "origin")
        for number, _, candidate_magnitude in event.magnitudes:
            if candidate_magnitude is not magnitude:
                self.reading.set_aside(number, OTHER_MAGNITUDE, "magnitude")
        self._add_picks(event, event_id, origin)

    def _add_picks(self, event: _Event, event_id: str, origin: Origin | None) -> None:
        is_used = any(phase.defines_time for _, phase in event.phases)
        is_of_origin = origin is not None and event.phases_of in ("", origin.origin_id)
        for number, phase in event.phases:
            with self.reading.item(number, "pick"):
                if origin is None:
                    raise ValueError("no origin that tells its day")
                pick = phase.values | {"event_id": event_id} | event.channels.get(phase.arrival_id, {})
                if not is_of_origin:
                    pick |= dict.fromkeys(("residual_s", "distance_km", "azimuth_deg"), math.nan)
                weight = float(phase.defines_time) if is_used else math.nan
                time = phase_time(phase, origin.values["time"])
                self.reading.add_pick(pick | {"time": time, "weight": weight}, number)


def _magnitude_of(event: _Event, origin: Origin | None) -> dict[str, float]:
    """The first magnitude of the origin, else the first of all."""
    of_origin = [] if origin is None else list(origin.magnitudes)
    of_origin += [magnitude for _, name, magnitude in event.magnitudes if origin and name and name == origin.origin_id]
    candidates = of_origin + [magnitude for _, _, magnitude in event.magnitudes]
    return next((magnitude for magnitude in candidates if not math.isnan(magnitude["magnitude"])), {})
