"""QuakeML and SeisComp's SCML: split into events for ObsPy, so that an invalid one does not affect the others."""

from __future__ import annotations

import copy
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lxml import etree

from pickflow.io.formats.bulletin import MEASUREMENT, Bulletin, Reading
from pickflow.io.formats.cards import decode
from pickflow.io.formats.identifiers import free_id
from pickflow.io.formats.times import time_id
from pickflow.io.formats.with_obspy import add_event
from pickflow.io.xml import refuse_document_type

if TYPE_CHECKING:  # files of other formats do without ObsPy
    from obspy.core import event as quakeml

_TITLES = {"quakeml": "QuakeML", "scml": "SCML"}
# Elements below <eventParameters> that hold what we read.
_PARTS = {"quakeml": ("event",), "scml": ("pick", "origin", "amplitude", "event")}
_KINDS = ("event", "origin", "pick", "amplitude", "arrival")
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCES = {
    "origin": ("preferredOriginID", "originReference", "originID"),
    "pick": ("pickID", "pickReference"),
}


@dataclass
class _Document:
    """A document in parts."""

    format: str
    root: etree._Element  # without its parts
    events: list[etree._Element] = field(default_factory=list)
    siblings: list[etree._Element] = field(default_factory=list)  # of SCML, where picks and origins lie beside events
    siblings_by_name: dict[tuple[str, str], list[etree._Element]] = field(default_factory=dict)  # kind and publicID
    broken: list[tuple[str, str]] = field(default_factory=list)  # first tag and reason

    def text(self, parts: list[etree._Element]) -> bytes:
        """The document with some parts alone."""
        root = copy.deepcopy(self.root)
        parent = _parent_of_events(root)
        assert parent is not None
        parent.extend([copy.deepcopy(part) for part in parts])
        return etree.tostring(root)


def parse_xml(content: bytes, name: str, format: str) -> Bulletin:
    """
    Events and picks of QuakeML or SCML (SC3ML).

    The preferred, or else first, origin and magnitude of each event; its arrivals' picks, or all picks with a phase
    hint where the origin has no arrivals. Uncertainties are what the document says, at whatever level of confidence.
    A document type is refused. Of a document that is cut or damaged, the events that are whole are read.

    Parameters
    ----------
    content : bytes
        The document.
    name : str
        Its name, for messages.
    format : str
        ``quakeml`` or ``scml``.

    Raises
    ------
    ValueError
        If it is no such document, or has a document type.
    """
    try:
        text = _ILLEGAL.sub("", decode(content))
        if re.match(r"\s*<(!doctype\s+)?html", text, re.IGNORECASE):
            raise ValueError("it is a web page, not a catalog; look at it in a browser, and ask the server again")
        refuse_document_type(text.encode())
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    text = re.sub(r"^\s*<\?xml.*?\?>", "", text, count=1, flags=re.DOTALL).lstrip()
    # Additions of schemas that are newer than ObsPy's are not read.
    text = re.sub(r"(/seiscomp3-schema/)0\.(?:1[4-9]|[2-9]\d)\b", r"\g<1>0.13", text, count=1)
    document = _take_apart(text, name, format)
    reading = Reading(name, format)
    ids: dict[str, int] = {}
    names = _short_names(document.events)
    for element, public_name, event in zip(
        document.events, names, _read_together(document, document.events), strict=True
    ):
        event_id = free_id(public_name or _time_name(event), ids)
        remarks: list[str] = []
        if event is None:
            event, remarks = _read_alone(document, element, event_id, reading)
        if event is not None:
            add_event(reading, event, event_id, remarks)
    for tag, reason in document.broken:
        kind = re.sub(r"<(\w+:)?|\W.*", "", tag, flags=re.DOTALL)
        reading.reject(reading.add_object(tag), reason, kind)
    for element in _of_no_event(document):
        kind = _kind(element)
        reason = MEASUREMENT if kind == "amplitude" else "belongs to no event"
        reading.set_aside(reading.add_object(_title(element)), reason, kind)
    return reading.bulletin()


def _parse(text: str) -> etree._Element:
    """Root of a document; nothing outside it is read, and entities stay as they are."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    return etree.fromstring(text.encode(), parser)


def _kind(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _title(element: etree._Element) -> str:
    return f"{_kind(element)} {element.get('publicID', '')}"


def _parent_of_events(root: etree._Element) -> etree._Element | None:
    return next((element for element in root.iter() if _kind(element).lower() == "eventparameters"), None)


def _take_apart(text: str, name: str, format: str) -> _Document:
    damage = "it has no <eventParameters>"
    try:
        root = _parse(text)
        parent = _parent_of_events(root)
        if parent is not None:
            parts = [child for child in parent if _kind(child) in _PARTS[format]]
            for part in parts:
                parent.remove(part)
            return _sorted(_Document(format, root), parts)
    except (etree.XMLSyntaxError, ValueError) as error:
        damage = str(error)
    document = _pieces(text, format)
    if document is None:
        raise ValueError(f"{name}: not readable as {_TITLES[format]} ({damage})")
    return document


def _sorted(document: _Document, parts: list[etree._Element]) -> _Document:
    document.events = [part for part in parts if _kind(part) == "event"]
    document.siblings = [part for part in parts if _kind(part) != "event"]
    for sibling in document.siblings:
        document.siblings_by_name.setdefault((_kind(sibling), sibling.get("publicID", "")), []).append(sibling)
    return document


def _pieces(text: str, format: str) -> _Document | None:
    """Parts of a document that is not well-formed: each by itself, between the tags that open around all of them."""
    opening = re.search(
        r"<((?:\w+:)?(?:quakeml|seiscomp))\b[^<>]*>.*?<((?:\w+:)?eventParameters)\b[^<>]*>", text, re.I | re.S
    )
    if opening is None:
        return None
    head = re.sub(r">.*<", "><", opening.group(), flags=re.DOTALL)
    tail = f"</{opening.group(2)}></{opening.group(1)}>"
    try:
        document, parts = _Document(format, _parse(head + tail)), []
    except (etree.XMLSyntaxError, ValueError):
        return None
    tags = rf"<(?:\w+:)?(?:{'|'.join(_PARTS[format])})\s+publicID\s*="
    starts = [tag.start() for tag in re.finditer(tags, text)]
    if not starts:
        return None
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        fragment = text[start:end]
        tag = re.match(r"<([\w:]+)", fragment)
        last = fragment.rfind(f"</{tag[1]}>") if tag else -1
        try:
            if tag is None or last < 0:
                raise ValueError("it does not end")
            parent = _parent_of_events(_parse(f"{head}{fragment[:last]}</{tag[1]}>{tail}"))
            parts += [] if parent is None else list(parent)
        except (etree.XMLSyntaxError, ValueError) as error:
            document.broken.append((fragment[: fragment.find(">") + 1][:100], f"not well-formed: {error}"))
    return _sorted(document, parts)


def _short_names(events: list[etree._Element]) -> list[str]:
    full = [event.get("publicID", "") for event in events]
    short = [identifier.replace("=", "/").rsplit("/", 1)[-1] for identifier in full]
    return short if len(set(short)) == len(short) else full


def _time_name(event: quakeml.Event | None) -> str:
    origins = [] if event is None else event.origins
    return time_id(origins[0].time) if origins and origins[0].time else "event"


def _parts_of(document: _Document, event: etree._Element) -> list[etree._Element]:
    """An event of SCML with the origins and picks that it names; one of QuakeML holds them."""
    parts = [event]
    for kind, tags in _REFERENCES.items():
        names = dict.fromkeys(element.text or "" for part in parts for element in part.iter() if _kind(element) in tags)
        parts += [sibling for name in names for sibling in document.siblings_by_name.get((kind, name), [])]
    return parts


def _of_no_event(document: _Document) -> list[etree._Element]:
    part_ids = (
        {id(part) for event in document.events for part in _parts_of(document, event)} if document.siblings else set()
    )
    return [sibling for sibling in document.siblings if id(sibling) not in part_ids and _kind(sibling) in _KINDS]


def _obspy_events(content: bytes, format: str) -> list[quakeml.Event]:
    """
    Events as ObsPy reads them.

    Raises
    ------
    ValueError
        If it cannot, or leaves values out.
    """
    import obspy

    try:
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always")
            catalog = obspy.read_events(io.BytesIO(content), format=format.upper())
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        raise ValueError(f"ObsPy cannot read it ({error})") from error
    lost_values = [str(warning.message) for warning in messages if "Could not convert" in str(warning.message)]
    if lost_values:
        raise ValueError(lost_values[0].replace(" Returning None.", ""))
    return list(catalog)


def _read_together(document: _Document, events: list[etree._Element]) -> list[quakeml.Event | None]:
    """Events, all at once; where one is invalid, half of them at a time, and None for the invalid one."""
    try:
        result = _obspy_events(document.text([*document.siblings, *events]), document.format)
        if len(result) == len(events):
            return list(result)
    except ValueError:
        pass
    if len(events) < 2:
        return [None] * len(events)
    middle = len(events) // 2
    return _read_together(document, events[:middle]) + _read_together(document, events[middle:])


def _read_alone(
    document: _Document, element: etree._Element, event_id: str, reading: Reading
) -> tuple[quakeml.Event | None, list[str]]:
    """An event without those parts of it that ObsPy cannot read, which are listed; and messages on lost values."""
    readable: list[etree._Element] = []
    removed: list[tuple[etree._Element, str]] = []
    for part in _parts_of(document, element):
        readable.append(part)
        if not _fault(document, readable):
            continue
        removed += _prune(part, lambda: _fault(document, readable))
        reason = _fault(document, readable)
        if reason and part is element:
            _reject_whole(reading, element, event_id, reason)
            return None, []
        if reason:
            readable.pop()
            removed.append((part, reason))
    remarks = [f"{_kind(part)}: {reason}" for part, reason in removed if _kind(part) not in _KINDS]
    for part, reason in removed:
        if _kind(part) in _KINDS:
            reading.reject(reading.add_object(f"{event_id} {_title(part)}"), reason, _kind(part))
    return _obspy_events(document.text(readable), document.format)[0], remarks


def _fault(document: _Document, parts: list[etree._Element]) -> str:
    """Why ObsPy cannot read an event, the first of the parts; empty if it can."""
    try:
        events = _obspy_events(document.text(parts), document.format)
    except ValueError as error:
        return str(error)
    return "" if len(events) == 1 else "ObsPy leaves the event out"


def _prune(element: etree._Element, fault: Callable[[], str]) -> list[tuple[etree._Element, str]]:
    """Remove the smallest invalid parts of an element; these parts, with the reasons."""
    children = list(element)
    element[:] = []
    if fault():
        element[:] = children
        return []
    remainder, removed = [], []
    for child in children:
        element[:] = [child]
        reason = fault()
        if reason and len(child):
            removed += _prune(child, fault)
            reason = fault()
        if reason:
            removed.append((child, reason))
        else:
            remainder.append(child)
    element[:] = remainder
    return removed


def _reject_whole(reading: Reading, element: etree._Element, event_id: str, reason: str) -> None:
    reading.reject(reading.add_object(f"{event_id} {_title(element)}"), reason, "event")
    for part in element.iter():
        if part is not element and _kind(part) in ("origin", "pick", "amplitude"):
            title = f"{event_id} {_title(part)}"
            reading.reject(reading.add_object(title), "of an event that could not be read", _kind(part))
