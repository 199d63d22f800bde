"""Inventories: StationXML, and the other formats that ObsPy reads."""

from __future__ import annotations

import copy
import gzip
import io
import logging
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import obspy
from lxml import etree

from pickflow.io.atomic import atomic_path
from pickflow.io.places import read_stations, stations_table
from pickflow.io.station_xml import in_namespace, read_station_xml
from pickflow.io.xml import refuse_document_type

__all__ = ["parse_inventory", "read_inventory", "read_stations", "stations_table", "write_inventory"]

# All stations of the world with responses are 2 GB of StationXML.
MAX_BYTES = 4_000_000_000
_GZIP = b"\x1f\x8b"
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of UTF-8 and UTF-16

logger = logging.getLogger(__name__)


def read_inventory(paths: Iterable[str | Path]) -> obspy.Inventory:
    """
    Read station metadata into one inventory: StationXML, SeisComP's XML, dataless SEED, RESP, also gzipped.

    Each path is the name of a file: no pattern, no address. Errors of a station or channel of StationXML are
    repaired or left out, with a warning, and do not affect the others; see `pickflow.io.station_xml`.

    Raises
    ------
    ValueError
        If a file cannot be read as an inventory.
    """
    inventory = obspy.Inventory()
    for path in paths:
        try:
            inventory += parse_inventory(_content(Path(path)), str(path))
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(
                f"{path}: not a readable StationXML file ({error}); if the run made it, delete it and start the same "
                "command again: it is made anew"
            ) from error
    return inventory


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if not content.startswith(_GZIP):
        return content
    with gzip.open(io.BytesIO(content)) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES / 1e9:g} GB when unpacked")
    return content


def parse_inventory(content: bytes, name: str) -> obspy.Inventory:
    """
    Read the bytes of a file or of an answer as an inventory; see `read_inventory`.

    Raises
    ------
    ValueError
        If they are none.
    """
    if not content.strip():
        raise ValueError("it is empty")
    refuse_document_type(content)
    root = _parse_xml(content, name)
    if root is not None and etree.QName(root).localname == "FDSNStationXML":
        return read_station_xml(in_namespace(root), name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return obspy.read_inventory(io.BytesIO(content))
    except Exception as error:  # ObsPy raises bare exceptions of many kinds
        logger.info("%s: ObsPy does not read it: %s", name, error)
        raise ValueError(f"no format of station metadata: it begins with {content[:40]!r}") from error


def _parse_xml(content: bytes, name: str) -> etree._Element | None:
    """Root of a document; None if it does not begin as one."""
    if content.lstrip()[:1] != b"<" and not content.startswith(_MARKS):
        return None
    options = {"resolve_entities": False, "no_network": True, "load_dtd": False}
    try:
        return etree.fromstring(content.lstrip(), etree.XMLParser(**options))
    except etree.XMLSyntaxError as error:
        problem = error
    if problem.code == etree.ErrorTypes.ERR_INVALID_ENCODING:  # one character must not cost the whole file
        logger.warning("%s: its letters are not those of its encoding (%s): read as Latin-1", name, problem)
        with suppress(etree.XMLSyntaxError):
            return etree.fromstring(content.lstrip(), etree.XMLParser(encoding="iso-8859-1", **options))
    raise ValueError(str(problem)) from problem


def write_inventory(inventory: obspy.Inventory, path: str | Path) -> None:
    """Write StationXML atomically, stamped with a fixed time: the same stations give the same bytes."""
    stamped = copy.copy(inventory)
    stamped.created = obspy.UTCDateTime(0)
    with atomic_path(path) as temporary:
        stamped.write(str(temporary), format="STATIONXML")
