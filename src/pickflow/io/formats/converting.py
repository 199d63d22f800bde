"""Conversion of formats, with an account of what was read, lost and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pickflow.io.atomic import write_text
from pickflow.io.formats.bulletin import Bulletin
from pickflow.io.formats.folders import arrivals_with_picks, catalog_folder, folder_bulletin, read_folder
from pickflow.io.formats.reading import read_bulletin
from pickflow.io.formats.writing import WRITERS, write_catalog
from pickflow.schemas import ASSIGNMENTS

_LISTED = 10  # rejected lines in the summary


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The bulletin that was read, and the account of it."""

    bulletin: Bulletin
    summary: str


def catalog_tables(bulletin: Bulletin) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """
    A bulletin as the tables that `write_catalog` takes.

    Returns
    -------
    events : DataFrame
        Table `EVENTS`, and event_type where it is known.
    assignments : DataFrame
        Table `ASSIGNMENTS`, of the picks that belong to an event.
    picks : DataFrame
        Table `PICKS`, with weight, polarity and onset; identifiers are ``p`` and the number in the bulletin.
    """
    picks = bulletin.picks.assign(
        pick_id=[f"p{number:07d}" for number in range(1, len(bulletin.picks) + 1)],
        starttime=bulletin.picks.time,
        endtime=bulletin.picks.time,
        amplitude_m_s=np.nan,
        snr_db=np.nan,
    )
    assignments = picks.loc[picks.event_id.isin(bulletin.events.event_id), ASSIGNMENTS.schema.names]
    types = bulletin.descriptions.set_index("event_id").event_type
    events = bulletin.events.assign(event_type=bulletin.events.event_id.map(types).fillna(""))
    return events, assignments.reset_index(drop=True), picks.drop(columns="event_id")


def convert(
    source: str | Path,
    target_format: str,
    path: str | Path,
    format: str | None = None,
    locations: str | Path | None = None,
    rejected_path: str | Path | None = None,
) -> Conversion:
    """
    Read a bulletin of any format, and write it in another one.

    Parameters
    ----------
    source : str or Path
        Input of `read_bulletin`: a file, a catalog folder of a run, or all files of an OGS bulletin.
    target_format : str
        One of `FORMATS`.
    path : str or Path
        File or folder to write.
    format, locations : str, str or Path, optional
        See `read_bulletin`.
    rejected_path : str or Path, optional
        CSV file for the lines that could not be read.

    Returns
    -------
    Conversion

    Raises
    ------
    ValueError
        If the source cannot be read, or the format cannot be written or does not hold the catalog.
    """
    if target_format not in WRITERS:
        raise ValueError(f"format {target_format!r} cannot be written; known: {', '.join(WRITERS)}")
    folder = catalog_folder(source) if locations is None else None
    if folder is None:
        bulletin = read_bulletin(source, format, locations)
        events, assignments, picks = catalog_tables(bulletin)
    else:  # its tables hold more than a bulletin does
        catalog = read_folder(folder)
        bulletin = folder_bulletin(catalog, str(source))
        events, (assignments, _), picks = catalog.events, arrivals_with_picks(catalog), catalog.picks
    write_catalog(events, assignments, picks, path, target_format)
    if rejected_path is not None:
        write_text(rejected_path, bulletin.rejected.to_csv(index=False, lineterminator="\n"))
    return Conversion(bulletin=bulletin, summary=_summary(bulletin, len(picks) - len(assignments), target_format, path))


def _summary(bulletin: Bulletin, n_free: int, target_format: str, path: str | Path) -> str:
    """Text of the account."""
    events, picks = bulletin.events, bulletin.picks
    lines = [
        f"read as {bulletin.format}: {len(events)} events, {len(picks)} picks",
        f"lines: {bulletin.n_lines} = {bulletin.n_read} read + {bulletin.n_headers} headers and ends"
        f" + {bulletin.n_set_aside} set aside + {bulletin.n_rejected} rejected",
        *(
            f"{kind}s: {row.sum()} = {row['read']} read + {row['set_aside']} set aside + {row['rejected']} rejected"
            for kind, row in bulletin.account.iterrows()
        ),
        *(
            f"set aside: {n} {kind}{'s' if n > 1 else ''}: {reason}"
            for kind, reason, n in bulletin.set_aside.to_numpy()
        ),
    ]
    unlocated = int(events.latitude_deg.isna().sum())
    if unlocated:
        lines.append(f"events without an origin: {unlocated}; --locations names a file that has them")
    if n_free:
        lines.append(f"picks of no event: {n_free}; only parquet and pyrocko hold them")
    lines += bulletin.rejections(_LISTED)
    if len(bulletin.rejected) > _LISTED:
        lines.append("  --rejected writes them all")
    return "\n".join([*lines, f"written as {target_format}: {path}"])
