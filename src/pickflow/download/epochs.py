"""Epochs of stations in an inventory, as digests; see `pickflow.run.stations_of_days`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from lxml import etree

from pickflow.run.stations_of_days import BEGIN, END, Epoch

# Elements of a channel that are not used in any computation.
_REMARKS = {
    *("Comment", "Description", "Sensor", "PreAmplifier", "DataLogger", "Equipment", "ExternalReference", "Identifier"),
}
_SECOND = len("2024-05-01T00:00:00")


def epochs_of(inventory: str | Path, stations: pd.DataFrame) -> list[Epoch]:
    """
    Places and channels of stations, each in its epoch.

    Parameters
    ----------
    inventory : str or Path
        StationXML of the run.
    stations : DataFrame
        Of `STATIONS`: the requested stations.

    Returns
    -------
    list of Epoch
        Remarks are not part of a digest.
    """
    return [*_places(stations), *_channels(inventory, set(_codes(stations)))]


def _codes(stations: pd.DataFrame) -> Iterator[tuple[str, str]]:
    return stations[["network", "station"]].itertuples(index=False, name=None)


def _places(stations: pd.DataFrame) -> Iterator[Epoch]:
    """Rows of the table; of a place that has a time, only then."""
    for row in stations.to_dict("records"):
        start, end = (row.get(name) for name in ("starttime", "endtime"))
        names = ("network", "station", "latitude_deg", "longitude_deg", "elevation_m")
        content = "|".join(str(row[name]) for name in names)
        yield Epoch(BEGIN if pd.isna(start) else _seconds(start), END if pd.isna(end) else _seconds(end), content)


def _seconds(time: pd.Timestamp) -> str:
    return time.isoformat()[:_SECOND]


def _channels(inventory: str | Path, codes: set[tuple[str, str]]) -> Iterator[Epoch]:
    """Epochs of the channels of stations, each with a digest of the elements that computations use."""
    network = station = ""
    options = {"remove_blank_text": True, "remove_comments": True, "resolve_entities": False, "no_network": True}
    for event, element in etree.iterparse(str(inventory), events=("start", "end"), huge_tree=True, **options):
        name = etree.QName(element).localname
        if event == "start":
            network = element.get("code", "") if name == "Network" else network
            station = element.get("code", "") if name == "Station" else station
        elif name == "Channel":
            if (network, station) in codes:
                yield _channel(element, f"{network}.{station}")
            element.clear()


def _channel(element: etree._Element, station: str) -> Epoch:
    for child in list(element):
        if etree.QName(child).localname in _REMARKS:
            element.remove(child)
    start, end = (element.attrib.pop(name, None) for name in ("startDate", "endDate"))
    digest = hashlib.sha256(etree.tostring(element, method="c14n")).hexdigest()
    return Epoch(start[:_SECOND] if start else BEGIN, end[:_SECOND] if end else END, f"{station}|{digest}")
