"""Whether the tables of a run have the rows that they must have: a job can report success and leave a part out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from pickflow.io.atomic import StorageError


def check_picks(picks: pd.DataFrame, ledger: pd.DataFrame, path: str | Path) -> None:
    """
    Hold picks of one or more days against their ledger, which counts them. A quiet day has none, and counts of zero.

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
    found = days.groupby([*key, "phase"]).size()
    for phase in ("P", "S"):
        counted = counts.set_index(key)[phase]
        own = found[found.index.get_level_values("phase") == phase].droplevel("phase")
        both = pd.DataFrame({"counted": counted, "found": own}).fillna(0).astype(int)
        wrong = both[both["counted"] != both["found"]].reset_index()
        if len(wrong):
            row = wrong.iloc[0]
            raise StorageError(
                f"{path}: {row['network']}.{row['station']} has {row['found']} {phase} on {row['date']:%Y-%m-%d}, and "
                f"the ledger beside it counts {row['counted']}; delete both and start the same command again, they are "
                "made anew"
            )


def check_days(asked: Iterable[tuple[str, str]], tables: Mapping[str, pd.DataFrame], what: str) -> None:
    """
    Whether tables have exactly one row for each station asked for, on each day.

    Parameters
    ----------
    asked : iterable of (str, str)
        Network and station.
    tables : mapping of str to DataFrame
        `MANIFEST` or `PICK_LEDGER` by day, ``YYYY-MM-DD``.
    what : str
        Where the tables lie, with ``<date>`` for the day.

    Raises
    ------
    StorageError
        Naming the table and the first station that it lacks, or that nobody asked for.
    """
    stations = set(asked)
    for day, table in tables.items():
        there = set(table[["network", "station"]].itertuples(index=False, name=None))
        strange = sorted(stations ^ there)
        if not strange and (table["date"] == day).all():
            continue
        where = what.replace("<date>", day)
        wrong = "holds another day"
        if strange:
            name = ".".join(strange[0])
            wrong = f"lacks {name}" if strange[0] in stations else f"has {name}, which the inventory does not have"
        raise StorageError(f"{where}: {wrong}; delete it and start the same command again, it is made anew")
