"""Table of the picker after a run: picks counted by day, network and station."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pickflow.io.tables import read_table, read_tables
from pickflow.run.keys import CatalogKey
from pickflow.run.layout import ASSIGNMENTS_TABLE, RunLayout
from pickflow.schemas import ASSIGNMENTS, PICK_LEDGER, PICKS

COUNTS = ("n_picks", "n_p", "n_s", "n_in_events")
_STATION_DAY = ["date", "network", "station"]


def picks_by_group(
    layout: RunLayout, catalogs: Sequence[CatalogKey], days: Sequence[str], groups: Sequence[str]
) -> pd.DataFrame:
    """
    Picks of each catalog, counted by groups.

    Parameters
    ----------
    layout : RunLayout
        Of a run that has ended well.
    catalogs : sequence of CatalogKey
        Of the run; without an associator where there are picks alone.
    days : sequence of str
        Of the run, ``YYYY-MM-DD``; tables of other days, left by an earlier run of the same name, do not count.
    groups : sequence of str
        Some of date, network, station.

    Returns
    -------
    DataFrame
        ``signal``, ``model``, ``weights``, ``associator``, the groups, and the counts: all picks, P, S, and those that
        belong to events. Every requested station-day counts, also those without a pick.
    """
    columns = list(dict.fromkeys(groups))
    frames = []
    for catalog in catalogs:
        counts = _station_days(layout, catalog, days).groupby(columns, as_index=False)[list(COUNTS)].sum()
        for position, (name, part) in enumerate(catalog.parts().items()):
            counts.insert(position, name, part)
        frames.append(counts)
    return pd.concat(frames, ignore_index=True)


def _station_days(layout: RunLayout, catalog: CatalogKey, days: Sequence[str]) -> pd.DataFrame:
    """One row for each station-day of a catalog's picks."""
    ledger = read_tables([layout.ledger(catalog.pick_set, day) for day in days], PICK_LEDGER)
    assigned_ids: set[str] = set()
    if catalog.associator:
        assigned_ids = set(read_table(layout.catalog(catalog, ASSIGNMENTS_TABLE), ASSIGNMENTS)["pick_id"])
    in_events = []
    for day in days:
        picks = read_table(layout.picks(catalog.pick_set, day), PICKS)
        arrivals = picks.loc[picks["pick_id"].isin(assigned_ids), ["network", "station"]]
        in_events.append(arrivals.value_counts().rename("n_in_events").reset_index().assign(date=day))
    table = ledger.merge(pd.concat(in_events), how="left", on=_STATION_DAY)
    return table.assign(n_picks=table["n_p"] + table["n_s"], n_in_events=table["n_in_events"].fillna(0).astype(int))


def as_text(table: pd.DataFrame, max_rows: int = 60) -> str:
    """Text of a table; of a long one the first rows."""
    text = table.head(max_rows).to_string(index=False, float_format=lambda value: f"{value:.1f}")
    return text + (f"\n… and {len(table) - max_rows} rows more" if len(table) > max_rows else "")
