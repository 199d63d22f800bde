"""From one format to another, with an account of what was read, lost and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pickflow.io.atomic import write_text
from pickflow.io.formats.bulletin import Bulletin
from pickflow.io.formats.ogs import OGS_ENDINGS, join
from pickflow.io.formats.reading import read_bulletin, read_ogs
from pickflow.io.formats.writing import WRITERS, write_catalog
from pickflow.schemas import ASSIGNMENTS

_LISTED = 10  # rejected lines in the summary


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What was read, and the account of it."""

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
    to: str,
    out: str | Path,
    format: str | None = None,
    locations: str | Path | None = None,
    rejected: str | Path | None = None,
) -> Conversion:
    """
    Read a bulletin of any format, and write it in another one.

    Parameters
    ----------
    source : str or Path
        A file that `read_bulletin` reads; or a folder or a name without ending, of an OGS bulletin.
    to : str
        One of `FORMATS`.
    out : str or Path
        Where to.
    format, locations : str, str or Path, optional
        See `read_bulletin`.
    rejected : str or Path, optional
        Where to write the lines that could not be read, as CSV.

    Returns
    -------
    Conversion

    Raises
    ------
    ValueError
        If the source cannot be read, or the format cannot be written or does not hold the catalog.
    """
    if to not in WRITERS:
        raise ValueError(f"format {to!r} cannot be written; known: {', '.join(WRITERS)}")
    if Path(source).is_dir() or (not Path(source).exists() and _has_siblings(Path(source))):
        bulletin = read_ogs(source)
        bulletin = bulletin if locations is None else join(bulletin, read_bulletin(locations))
    else:
        bulletin = read_bulletin(source, format, locations)
    events, assignments, picks = catalog_tables(bulletin)
    write_catalog(events, assignments, picks, out, to)
    if rejected is not None:
        write_text(rejected, bulletin.rejected.to_csv(index=False, lineterminator="\n"))
    return Conversion(bulletin=bulletin, summary=_summary(bulletin, len(assignments), to, out))


def _has_siblings(stem: Path) -> bool:
    return any(Path(f"{stem}{ending}").exists() for ending in OGS_ENDINGS)


def _summary(bulletin: Bulletin, n_assigned: int, to: str, out: str | Path) -> str:
    """Lines for people."""
    events, picks = bulletin.events, bulletin.picks
    lines = [
        f"read as {bulletin.format}: {len(events)} events, {len(picks)} picks",
        f"lines: {bulletin.n_lines} = {bulletin.n_read} read + {bulletin.n_headers} headers and ends"
        f" + {bulletin.n_rejected} rejected",
    ]
    unlocated = int(events.latitude_deg.isna().sum())
    if unlocated:
        lines.append(f"events without an origin: {unlocated}; --locations names a file that has them")
    alone = len(picks) - n_assigned
    if alone:
        lines.append(f"picks of no event: {alone}; only parquet and pyrocko hold them")
    shown = bulletin.rejected.head(_LISTED)
    told = zip(shown.file, shown.line, shown.reason, strict=True)
    lines += [f"  {Path(file).name} line {line}: {reason}" for file, line, reason in told]
    if len(bulletin.rejected) > len(shown):
        lines.append(f"  and {len(bulletin.rejected) - len(shown)} more; --rejected writes them all")
    return "\n".join([*lines, f"written as {to}: {out}"])
