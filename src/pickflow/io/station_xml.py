"""StationXML with errors: these are repaired or left out item by item, with a warning."""

from __future__ import annotations

import copy
import io
import logging
import math
import warnings
from collections.abc import Iterator

import obspy
from lxml import etree

from pickflow.io.places import MENDED

logger = logging.getLogger(__name__)

NAMESPACE = "{http://www.fdsn.org/xml/station/1}"
_LIMITS = {"Latitude": 90.0, "Longitude": 180.0, "Dip": 90.0, "Azimuth": 360.0}
_PLACE = ("Latitude", "Longitude", "Elevation")
# What precedes an element that is added, so that the schema's order is kept.
_BEFORE_PLACE = ("Description", "Identifier", "Comment", "DataAvailability")


def read_station_xml(root: etree._Element, name: str) -> obspy.Inventory:
    """
    Read StationXML item by item: ObsPy refuses a whole file for one number, or drops a station for one that is missing.

    Coordinates that are missing, unreadable or impossible become 0, which stands for unknown (see `stations_table`);
    a comment of the station has the original text. A channel without them has its station's. Dips and azimuths that are
    none are left out, as is a date that cannot be read (the epoch is open there). What ObsPy cannot read even then is
    left out: the response, else the channel, else the station, each with a warning.

    Parameters
    ----------
    root : Element
        ``FDSNStationXML``; it is changed.
    name : str
        Of the file, for messages.

    Raises
    ------
    ValueError
        If there is no readable station.
    """
    for tag, text in (("Created", "1970-01-01T00:00:00Z"), ("Source", "unknown")):
        if root.find(NAMESPACE + tag) is None:
            element = etree.Element(NAMESPACE + tag)
            element.text = text
            root.insert(0, element)
    for network in list(root.iterfind(f"{NAMESPACE}Network")):
        _mend_network(network, name)
    try:
        return _read(root)
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        logger.warning("%s: not readable as a whole (%s); read station by station", name, error)
    return _read_by_parts(root, name)


def in_namespace(root: etree._Element) -> etree._Element:
    """The document with all elements that have no namespace, as in files made by hand, in that of StationXML."""
    for element in root.iter(etree.Element):
        if "}" not in element.tag:
            element.tag = NAMESPACE + element.tag
    return root


def _read(root: etree._Element) -> obspy.Inventory:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about coordinates that are repaired already
        return obspy.read_inventory(io.BytesIO(etree.tostring(root)), format="STATIONXML")


def _mend_network(network: etree._Element, name: str) -> None:
    for station in list(network.iterfind(f"{NAMESPACE}Station")):
        label = f"{network.get('code')}.{station.get('code')}"
        if not network.get("code") or not station.get("code"):
            logger.warning("%s: %s has no code of network or station and is left out", name, label)
            network.remove(station)
            continue
        faults = [*_mend_dates(station), *_mend_place(station, None)]
        for channel in list(station.iterfind(f"{NAMESPACE}Channel")):
            if channel.get("code") is None:
                logger.warning("%s: %s: a channel without a code is left out", name, label)
                station.remove(channel)
                continue
            channel.set("locationCode", channel.get("locationCode") or "")
            repairs = [*_mend_dates(channel), *_mend_place(channel, station), *_mend_angles(channel)]
            faults += [f"{channel.get('locationCode') or '--'}.{channel.get('code')}: {fault}" for fault in repairs]
        for fault in dict.fromkeys(faults):
            logger.warning("%s: %s: %s", name, label, fault)
            _add_comment(station, f"{MENDED}{fault}")


def _add_comment(station: etree._Element, text: str) -> None:
    comment = etree.Element(f"{NAMESPACE}Comment")
    etree.SubElement(comment, f"{NAMESPACE}Value").text = text
    station.insert(_after(station, _BEFORE_PLACE[:3]), comment)


def _after(node: etree._Element, tags: tuple[str, ...]) -> int:
    """Index of an element that comes after those with such tags."""
    return max(
        (index + 1 for index, child in enumerate(node) if child.tag in {NAMESPACE + tag for tag in tags}), default=0
    )


def _mend_dates(node: etree._Element) -> Iterator[str]:
    for attribute in ("startDate", "endDate"):
        text = node.get(attribute)
        if text is None:
            continue
        try:
            obspy.UTCDateTime(text)
        except Exception:  # ObsPy raises bare exceptions of many kinds
            del node.attrib[attribute]
            if text.strip():
                yield f"its {attribute} {text!r} is no date: the epoch is taken as open there"


def _number(node: etree._Element, tag: str) -> tuple[float, str]:
    """A number (NaN: none that is possible) and its text."""
    element = node.find(NAMESPACE + tag)
    text = "" if element is None or element.text is None else element.text.strip()
    try:
        value = float(text)
    except ValueError:
        return math.nan, text
    return (value if abs(value) <= _LIMITS.get(tag, math.inf) and math.isfinite(value) else math.nan), text


def _mend_place(node: etree._Element, station: etree._Element | None) -> Iterator[str]:
    numbers = {tag: _number(node, tag) for tag in _PLACE}
    if any(math.isnan(numbers[tag][0]) for tag in ("Latitude", "Longitude")):
        yield _coordinates_problem(numbers)
        for tag in ("Latitude", "Longitude"):
            _set(node, tag, 0.0 if station is None else _number(station, tag)[0])
    if math.isnan(numbers["Elevation"][0]):
        elevation = 0.0 if station is None else _number(station, "Elevation")[0]
        _set(node, "Elevation", elevation)
        yield f"its elevation {numbers['Elevation'][1] or 'is missing'}: {elevation:g} m is taken"
    if station is not None and math.isnan(_number(node, "Depth")[0]):
        _set(node, "Depth", 0.0)


def _coordinates_problem(numbers: dict[str, tuple[float, str]]) -> str:
    latitude, longitude = (numbers[tag][1] or "missing" for tag in ("Latitude", "Longitude"))
    is_swapped = math.isnan(numbers["Latitude"][0]) and abs(_float(latitude)) <= 180 and abs(_float(longitude)) <= 90
    hint = "; are they swapped?" if is_swapped else ""
    return f"its latitude {latitude} and longitude {longitude} are no place{hint}"


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf


def _mend_angles(channel: etree._Element) -> Iterator[str]:
    for tag in ("Dip", "Azimuth"):
        element = channel.find(NAMESPACE + tag)
        value, text = _number(channel, tag)
        if element is not None and (math.isnan(value) or (tag == "Azimuth" and value < 0)):
            channel.remove(element)
            yield f"its {tag.lower()} {text or 'without a number'} is none and is left out"


def _set(node: etree._Element, tag: str, value: float) -> None:
    element = node.find(NAMESPACE + tag)
    if element is None:
        earlier = (*_PLACE, "Depth")[: (*_PLACE, "Depth").index(tag)]
        element = etree.Element(NAMESPACE + tag)
        node.insert(_after(node, (*_BEFORE_PLACE, "ExternalReference", *earlier)), element)
    element.text = repr(value)


def _read_by_parts(root: etree._Element, name: str) -> obspy.Inventory:
    result = obspy.Inventory(networks=[], source="")
    for network in root.iterfind(f"{NAMESPACE}Network"):
        for station in network.iterfind(f"{NAMESPACE}Station"):
            label = f"{network.get('code')}.{station.get('code')}"
            part = _alone(root, network, station)
            if (inventory := _first_readable(part, f"{name}: {label}")) is not None:
                result += inventory
    if not len(result.networks):
        raise ValueError("none of its stations is readable")
    return result


def _alone(root: etree._Element, network: etree._Element, station: etree._Element) -> etree._Element:
    """A document with one station."""
    document = etree.Element(root.tag, dict(root.attrib))
    document.extend(copy.deepcopy(root.find(NAMESPACE + tag)) for tag in ("Source", "Created"))
    parent = etree.SubElement(document, network.tag, dict(network.attrib))
    parent.append(copy.deepcopy(station))
    return document


def _first_readable(document: etree._Element, label: str) -> obspy.Inventory | None:
    """The station, if necessary without its unreadable responses or channels; None if that is unreadable too."""
    station = document.find(f"{NAMESPACE}Network/{NAMESPACE}Station")
    assert station is not None, "made so"
    try:
        return _read(document)
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        problem = error
    channels = list(station.iterfind(f"{NAMESPACE}Channel"))
    for channel in channels:
        station.remove(channel)
    for channel in channels:
        station.append(channel)
        _keep_readable(
            document, station, channel, f"{label}.{channel.get('locationCode') or '--'}.{channel.get('code')}"
        )
    try:
        return _read(document)
    except Exception:  # as above
        logger.warning("%s: unreadable (%s), the station is left out", label, problem)
        return None


def _keep_readable(document: etree._Element, station: etree._Element, channel: etree._Element, label: str) -> None:
    try:
        _read(document)
        return
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        problem = error
    response = channel.find(f"{NAMESPACE}Response")
    if response is not None:
        channel.remove(response)
        try:
            _read(document)
        except Exception as error:  # as above
            problem = error
        else:
            logger.warning("%s: unreadable response (%s), it is left out", label, problem)
            _add_comment(station, f"{MENDED}{label}: its response is unreadable and is left out")
            return
    station.remove(channel)
    logger.warning("%s: unreadable (%s), the channel is left out", label, problem)
    _add_comment(station, f"{MENDED}{label}: unreadable, the channel is left out")
