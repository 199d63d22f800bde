"""StationXML and the table of stations."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

import obspy
import pandas as pd

from pickflow.io.atomic import atomic_path
from pickflow.io.tables import conform
from pickflow.schemas import STATIONS


def read_inventory(paths: Iterable[str | Path]) -> obspy.Inventory:
    """
    Read StationXML files into one inventory.

    Raises
    ------
    ValueError
        If a file cannot be read as an inventory.
    """
    inventory = obspy.Inventory()
    for path in paths:
        try:
            inventory += obspy.read_inventory(str(path))
        except Exception as error:  # ObsPy raises bare exceptions of many kinds
            raise ValueError(
                f"{path}: not a readable StationXML file ({error}); if the run made it, delete it and start the same "
                "command again: it is made anew"
            ) from error
    return inventory


def stations_table(inventory: obspy.Inventory) -> pd.DataFrame:
    """One row of `STATIONS` for each station of an inventory; of several epochs, the last."""
    rows = {
        (network.code, station.code): (
            network.code,
            station.code,
            float(station.latitude),
            float(station.longitude),
            float(station.elevation),
        )
        for network in inventory
        for station in sorted(network, key=lambda station: station.start_date or obspy.UTCDateTime(0))
    }
    return conform(pd.DataFrame(list(rows.values()), columns=STATIONS.schema.names), STATIONS)


def write_inventory(inventory: obspy.Inventory, path: str | Path) -> None:
    """Write StationXML atomically, stamped with a fixed time: the same stations give the same bytes."""
    stamped = copy.copy(inventory)
    stamped.created = obspy.UTCDateTime(0)
    with atomic_path(path) as temporary:
        stamped.write(str(temporary), format="STATIONXML")
