"""Writing a catalog in the formats of others, atomically, and with the same bytes for the same content."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from pickflow.io.atomic import atomic_path, write_text
from pickflow.io.formats.arrivals import without_unused
from pickflow.io.formats.bulletin import BULLETIN_PICKS
from pickflow.io.formats.program_files import hypodd_text, nonlinloc_text, nordic_text
from pickflow.io.tables import conform, write_table
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS

# Columns that the picks of a bulletin have, and those of a run have not.
_OF_BULLETINS = ("weight", "polarity", "onset")


def write_csv(events: pd.DataFrame, path: str | Path) -> None:
    """Write the table `EVENTS` as CSV, with the names of its columns as header."""
    table = conform(events, EVENTS)
    stamps = table.time.to_numpy("datetime64[ns]")
    times = np.where(np.isnat(stamps), "", np.char.add(np.datetime_as_string(stamps, unit="ns"), "Z"))
    write_text(path, table.assign(time=times).to_csv(index=False, lineterminator="\n"))


def _csv(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame, path: Path) -> None:
    write_csv(events, path)


def _parquet(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame, path: Path) -> None:
    write_table(assignments, ASSIGNMENTS, path.with_suffix(".assignments.parquet"), {})
    extra_columns = [column for column in BULLETIN_PICKS if column.name in _OF_BULLETINS and column.name in picks]
    table = PICKS if not extra_columns else PICKS._replace(schema=pa.schema([*PICKS.schema, *extra_columns]))
    write_table(picks, table, path.with_suffix(".picks.parquet"), {})
    write_table(events, EVENTS, path, {})


def _quakeml(
    events: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    path: Path,
    amplitudes: pd.DataFrame | None = None,
) -> None:
    from pickflow.io.quakeml import write_quakeml  # it loads ObsPy

    write_quakeml(events, assignments, picks, path, amplitudes=amplitudes)


def _scml(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame, path: Path) -> None:
    from pickflow.io.quakeml import obspy_catalog  # it loads ObsPy

    unlocated = events.event_id[events[["time", "latitude_deg", "longitude_deg"]].isna().any(axis=1)]
    assignments = without_unused(assignments, picks, unlocated, "SCML without an origin")
    with atomic_path(path) as temporary:
        obspy_catalog(events, assignments, picks).write(str(temporary), format="SCML", validate=True)


def _text(make: Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], str]) -> Callable[..., None]:
    def write(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame, path: Path) -> None:
        write_text(path, make(conform(events, EVENTS), assignments, picks))

    return write


def _pyrocko(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame, path: Path) -> None:
    from pickflow.io.formats.pyrocko_markers import write_markers

    used_assignments = without_unused(assignments, picks, events.event_id, "Pyrocko")
    unused_ids = assignments.pick_id[~assignments.pick_id.isin(used_assignments.pick_id)]
    write_markers(conform(events, EVENTS), used_assignments, picks[~picks.pick_id.isin(unused_ids)], path)


WRITERS: dict[str, Callable[..., None]] = {
    "csv": _csv,
    "parquet": _parquet,
    "quakeml": _quakeml,
    "scml": _scml,
    "nonlinloc": _text(nonlinloc_text),
    "hypodd": _text(hypodd_text),
    "nordic": _text(nordic_text),
}
if importlib.util.find_spec("pyrocko") is not None:
    WRITERS["pyrocko"] = _pyrocko
FORMATS = tuple(WRITERS)


def write_catalog(
    events: pd.DataFrame,
    assignments: pd.DataFrame,
    picks: pd.DataFrame,
    path: str | Path,
    format: str,
    amplitudes: pd.DataFrame | None = None,
) -> None:
    """
    Write a catalog in a format of others; ``docs/catalog-formats.md`` lists what each of them cannot hold.

    Parameters
    ----------
    events, assignments, picks : DataFrame
        Tables `EVENTS`, `ASSIGNMENTS` and `PICKS`; weight, polarity and onset of `BULLETIN_PICKS` are written where the
        picks have them. Picks that belong to no event are written by Parquet and Pyrocko alone.
    path : str or Path
        Where to. Parquet writes ``.assignments.parquet`` and ``.picks.parquet`` beside it.
    format : str
        One of `FORMATS`.
    amplitudes : DataFrame, optional
        Table `AMPLITUDES`; only QuakeML has them.

    Raises
    ------
    ValueError
        If the format is unknown, an assignment's pick is not among the picks, or the catalog does not fit the format.
    """
    if format not in WRITERS:
        hint = "; pip install pyrocko" if format == "pyrocko" else ""
        raise ValueError(f"format {format!r} cannot be written; known: {', '.join(FORMATS)}{hint}")
    if format == "quakeml":
        _quakeml(events, assignments, picks, Path(path), amplitudes)
    else:
        WRITERS[format](events, assignments, picks, Path(path))
