"""Check that the tables of a run have all their rows: a job can report success and leave a part out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from pickflow.io.atomic import StorageError


def check_picks(picks: pd.DataFrame, ledger: pd.DataFrame, path: str | Path) -> None:
    """
    Compare picks of one or more days with the counts of their ledger. A quiet day has none, and counts of zero.

    Parameters
    ----------
    picks : DataFrame
        `PICKS` of one model.
    ledger : DataFrame
        `PICK_LEDGER` of the same days.
    path : str or Path
        Of the picks, for the message.

    Raises
    ------
    StorageError
        Naming the first station-day whose numbers differ.
    """
    key = ["date", "network", "station"]
    counts = ledger[key].assign(date=pd.to_datetime(ledger["date"], utc=True), P=ledger["n_p"], S=ledger["n_s"])
    days = picks[["network", "station", "phase"]].assign(date=picks["time"].dt.normalize())
    n_found = days.groupby([*key, "phase"]).size()
    for phase in ("P", "S"):
        n_counted = counts.set_index(key)[phase]
        n_of_phase = n_found[n_found.index.get_level_values("phase") == phase].droplevel("phase")
        table = pd.DataFrame({"counted": n_counted, "found": n_of_phase}).fillna(0).astype(int)
        different = table[table["counted"] != table["found"]].reset_index()
        if len(different):
            row = different.iloc[0]
            raise StorageError(
                f"{path}: {row['network']}.{row['station']} has {row['found']} {phase} on {row['date']:%Y-%m-%d}, and "
                f"the ledger beside it counts {row['counted']}; delete both and start the same command again, they are "
                "made anew"
            )


def check_days(stations: Iterable[tuple[str, str]], tables: Mapping[str, pd.DataFrame], path_pattern: str) -> None:
    """
    Check that tables have exactly one row for each requested station, on each day.

    Parameters
    ----------
    stations : iterable of (str, str)
        Network and station.
    tables : mapping of str to DataFrame
        `MANIFEST` or `PICK_LEDGER` by day, ``YYYY-MM-DD``.
    path_pattern : str
        Path of the tables, with ``<date>`` for the day.

    Raises
    ------
    StorageError
        Naming the table and the first station that it lacks, or that was not requested.
    """
    stations = set(stations)
    for day, table in tables.items():
        codes = set(table[["network", "station"]].itertuples(index=False, name=None))
        difference = sorted(stations ^ codes)
        if not difference and (table["date"] == day).all():
            continue
        path = path_pattern.replace("<date>", day)
        problem = "holds another day"
        if difference:
            name = ".".join(difference[0])
            problem = f"lacks {name}" if difference[0] in stations else f"has {name}, which the inventory does not have"
        raise StorageError(f"{path}: {problem}; delete it and start the same command again, it is made anew")
