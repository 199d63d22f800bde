"""The folder of a catalog of a run, taken as a bulletin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pickflow.io.formats.bulletin import Bulletin, Reading
from pickflow.io.places import read_stations
from pickflow.io.tables import conform, read_table, read_tables, records
from pickflow.run.keys import CatalogKey
from pickflow.run.layout import ASSIGNMENTS_TABLE, CATALOG_TABLE, RunLayout
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS, STATIONS


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """
    A catalog in files.

    Parameters
    ----------
    key : CatalogKey
        Which catalog of a run it is; else that of the file's name.
    events, assignments, picks, stations : DataFrame
        `EVENTS`, `ASSIGNMENTS`, `PICKS` (also those of no event) and `STATIONS`; empty where a file is missing.
    not_read : tuple of str
        Messages on what could not be read.
    """

    key: CatalogKey
    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame
    stations: pd.DataFrame
    not_read: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """For people."""
        return self.key.label

    def span(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """First and last time of events and picks; None if there are none."""
        times = pd.concat([self.events.time, self.picks.time])
        return None if times.empty else (times.min(), times.max())


def catalog_folder(path: str | Path) -> Path | None:
    """The folder ``catalog/<signal>/<model>/<weights>/<associator>`` of a run that a path, or its table, names."""
    folder = Path(path)
    if folder.name == CATALOG_TABLE and (folder.parent / ASSIGNMENTS_TABLE).exists():
        folder = folder.parent
    return folder if folder.is_dir() and (folder / CATALOG_TABLE).is_file() else None


def read_folder(folder: Path) -> Catalog:
    """
    Read the tables of a catalog of a run.

    Parameters
    ----------
    folder : Path
        See `catalog_folder`. Picks and stations lie in the run's folder, four levels above.

    Raises
    ------
    StorageError
        If a table is damaged.
    """
    run, key = RunLayout.of_catalog(folder)
    days = run.days_of_picks(key.pick_set)
    assignments = folder / ASSIGNMENTS_TABLE
    return Catalog(
        key=key,
        events=read_table(folder / CATALOG_TABLE, EVENTS),
        assignments=read_table(assignments, ASSIGNMENTS)
        if assignments.exists()
        else conform(pd.DataFrame(), ASSIGNMENTS),
        picks=read_tables([run.picks(key.pick_set, day) for day in days], PICKS),
        stations=read_stations_of_run(run, days),
    )


def read_stations_of_run(run: RunLayout, days: list[str]) -> pd.DataFrame:
    """Rows of `STATIONS` of a run that hold on some days, ``YYYY-MM-DD``; none without days, or without the table."""
    return read_stations(run.stations, days) if days and run.stations.exists() else conform(pd.DataFrame(), STATIONS)


def folder_bulletin(catalog: Catalog, name: str) -> Bulletin:
    """
    A catalog of a run, with the picks of its events, as any bulletin; rows of its tables take the place of lines.

    Parameters
    ----------
    catalog : Catalog
        See `read_folder`.
    name : str
        Of the folder, for messages.
    """
    reading = Reading(name, "catalog")
    for event in records(catalog.events):
        number = reading.add_object(f"event {event['event_id']}")
        with reading.item(number, "event"):
            reading.add_event(event, number)
    arrivals, n_lost = arrivals_with_picks(catalog)
    for pick in records(arrivals.merge(catalog.picks, "left", "pick_id").assign(phase_hint=lambda picks: picks.phase)):
        number = reading.add_object(f"pick {pick['pick_id']}")
        with reading.item(number, "pick"):
            reading.add_pick(pick, number)
    if n_lost:
        missing = f"{n_lost} arrivals whose picks are not in the run's folder: {catalog.key.pick_set}"
        reading.reject(0, missing, "arrival")
    return reading.bulletin()


def arrivals_with_picks(catalog: Catalog) -> tuple[pd.DataFrame, int]:
    """Assignments whose picks exist, and the number of others: a folder that was moved lacks its picks."""
    has_pick = catalog.assignments.pick_id.isin(catalog.picks.pick_id)
    return catalog.assignments[has_pick].reset_index(drop=True), int((~has_pick).sum())
