"""What every reader gives: events, picks, and the lines that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pickflow.io.tables import conform
from pickflow.schemas import EVENTS, TIME

BULLETIN_PICKS = pa.schema(
    [
        ("event_id", pa.string()),  # empty: of no event
        ("network", pa.string()),  # empty: not said
        ("station", pa.string()),
        ("location", pa.string()),
        ("channel", pa.string()),
        ("phase", pa.string()),  # P or S
        ("phase_hint", pa.string()),  # as written, such as Pg
        ("time", TIME),
        ("time_uncertainty_s", pa.float64()),  # NaN: not said, as in all columns of numbers
        ("weight", pa.float64()),  # 1 full, 0 none
        ("polarity", pa.string()),  # U, D, or empty
        ("onset", pa.string()),  # i, e, or empty
        ("residual_s", pa.float64()),  # observed - predicted
        ("distance_km", pa.float64()),
        ("azimuth_deg", pa.float64()),  # event to station
        ("coda_s", pa.float64()),  # duration of the signal
        ("probability", pa.float64()),
    ]
)
REJECTED = pa.schema([("file", pa.string()), ("line", pa.int64()), ("text", pa.string()), ("reason", pa.string())])
DESCRIPTIONS = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_type", pa.string()),  # as written, such as earthquake; empty: not said
        ("place", pa.string()),
        ("duration_magnitude", pa.float64()),
    ]
)
_TEXT_LENGTH = 200  # of a rejected line


@dataclass(frozen=True, kw_only=True)
class Bulletin:
    """
    Events and picks of a file.

    Parameters
    ----------
    events : DataFrame
        Table `EVENTS`; what the file does not say is NaN, null or 0. An event without an origin has no latitude and
        longitude (NaN), and the time of its first pick.
    picks : DataFrame
        `BULLETIN_PICKS`, in the order of the file.
    rejected : DataFrame
        file, line (from 1; 0: the file as a whole), text and reason, of every line or object that was not or not wholly
        read.
    descriptions : DataFrame
        event_id, event_type, place and duration_magnitude of events whose source says one of these.
    n_lines, n_headers : int
        Lines of the file, and those of them that hold no event or pick of their own: headers, end cards, empty lines.
        Where ObsPy reads, objects (events and picks) take the place of lines.
    format : str
        Name of the format, see `READERS`.
    """

    events: pd.DataFrame
    picks: pd.DataFrame
    rejected: pd.DataFrame
    descriptions: pd.DataFrame
    n_lines: int
    n_headers: int
    format: str

    @property
    def n_read(self) -> int:
        """Lines that were wholly read."""
        return self.n_lines - self.n_headers - self.n_rejected

    @property
    def n_rejected(self) -> int:
        """Lines that were not, or not wholly, read."""
        return int((self.rejected.line > 0).sum())


def typed(rows: Sequence[dict[str, Any]] | pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """Rows as a frame with the columns and types of a schema; absent text is empty, absent numbers are NaN."""
    frame = pd.DataFrame(rows).reindex(columns=schema.names)
    if frame.empty:
        return schema.empty_table().to_pandas()
    if "time" in frame:
        frame["time"] = pd.to_datetime(frame.time, utc=True)
    for column in schema:
        if pa.types.is_string(column.type):
            frame[column.name] = frame[column.name].astype(object).where(frame[column.name].notna(), "")
    arrow = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    return arrow.replace_schema_metadata(None).to_pandas(integer_object_nulls=True)


@dataclass
class Reading:
    """A file while it is read: what was found, line by line."""

    name: str
    format: str
    n_lines: int = 0
    n_headers: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    picks: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    descriptions: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, line: int, text: str, reason: str) -> None:
        """List a line that was not, or not wholly, read; a line is listed once, with all its reasons."""
        if self.rejected and line and self.rejected[-1]["line"] == line:
            self.rejected[-1]["reason"] += f"; {reason}"
            return
        text = text.rstrip()[:_TEXT_LENGTH]
        self.rejected.append({"file": self.name, "line": line, "text": text, "reason": reason})

    def bulletin(self) -> Bulletin:
        """What was found, as tables; events count their picks."""
        picks = typed(self.picks, BULLETIN_PICKS)
        events = typed(_unique(self.events), EVENTS.schema) if self.events else pd.DataFrame()
        bulletin = Bulletin(
            events=conform(_texts(events), EVENTS),
            picks=picks,
            rejected=typed(self.rejected, REJECTED).sort_values("line", kind="stable", ignore_index=True),
            descriptions=typed(self.descriptions, DESCRIPTIONS),
            n_lines=self.n_lines,
            n_headers=self.n_headers,
            format=self.format,
        )
        return replace(bulletin, events=count_picks(bulletin.events, picks))


def _unique(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with integer counts; the readers have seen to it that identifiers are unique."""
    counts = [name for name in EVENTS.schema.names if name.startswith("n_")]
    return [row | {name: int(row[name]) if pd.notna(row.get(name)) else 0 for name in counts} for row in rows]


def _texts(events: pd.DataFrame) -> pd.DataFrame:
    """Null instead of empty, in the columns where the contract says so."""
    if events.empty:
        return events
    return events.assign(
        **{name: events[name].where(events[name] != "", None) for name in ("magnitude_type", "quality")}
    )


def count_picks(events: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    """Events with the counts of the picks given, and the first pick's time where the origin's is unknown."""
    if events.empty or picks.empty:
        return events
    groups = picks.assign(
        is_p=picks.phase == "P", is_s=picks.phase == "S", code=picks.network + "." + picks.station
    ).groupby("event_id")
    counted = pd.DataFrame(
        {
            "n_picks": groups.size(),
            "n_p": groups.is_p.sum(),
            "n_s": groups.is_s.sum(),
            "n_stations": groups.code.nunique(),
        }
    ).reindex(events.event_id)
    known = counted.n_picks.notna().to_numpy()
    names = ("n_picks", "n_p", "n_s", "n_stations")
    counts = {name: np.where(known, counted[name].fillna(0), events[name]).astype("int64") for name in names}
    first = groups.time.min().reindex(events.event_id).set_axis(events.index)
    return conform(events.assign(time=events.time.fillna(first)).assign(**counts), EVENTS)


def free_id(wanted: str, taken: set[str]) -> str:
    """An identifier that nobody has yet, and that is taken from now on: the one wanted, or with a number behind it."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    taken.add(name)
    return name
