"""Result of every reader: events, picks, and the lines that could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pickflow.io.formats.plausible import (
    EVENT_RANGES,
    PICK_RANGES,
    check_origins,
    keep_plausible,
    pick_fault,
)
from pickflow.io.tables import conform
from pickflow.schemas import EVENTS, TIME

BULLETIN_PICKS = pa.schema(
    [
        ("event_id", pa.string()),  # empty: of no event
        ("network", pa.string()),  # empty: unknown
        ("station", pa.string()),
        ("location", pa.string()),
        ("channel", pa.string()),
        ("phase", pa.string()),  # P or S
        ("phase_hint", pa.string()),  # as written, such as Pg
        ("time", TIME),
        ("time_uncertainty_s", pa.float64()),  # NaN: unknown, as in all columns of numbers
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
REJECTED = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("kind", pa.string()),  # event, origin, pick, arrival, amplitude; line: not known; value: the rest was read
        ("text", pa.string()),
        ("reason", pa.string()),
    ]
)
DESCRIPTIONS = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_type", pa.string()),  # as written, such as earthquake; empty: unknown
        ("place", pa.string()),
        ("duration_magnitude", pa.float64()),
    ]
)
SET_ASIDE = pa.schema([("kind", pa.string()), ("reason", pa.string()), ("n", pa.int64())])
MEASUREMENT = "amplitudes and the like are not used"
_TEXT_LENGTH = 200  # of a rejected line
_SHOWN = 60  # characters of it in messages


class NotUsedError(ValueError):
    """
    An item that is understood and not used: `Reading.item` sets it aside.

    Parameters
    ----------
    reason : str
        For messages.
    kind : str
        Of the item, where `Reading.item` was called without it.
    """

    def __init__(self, reason: str, kind: str = "") -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Bulletin:
    """
    Events and picks of a file.

    Parameters
    ----------
    events : DataFrame
        Table `EVENTS`; unknown values are NaN, null or 0. An event without an origin has no latitude and
        longitude (NaN), and the time of its first pick.
    picks : DataFrame
        `BULLETIN_PICKS`, in the order of the file.
    rejected : DataFrame
        `REJECTED`: file, line (from 1; 0: the file as a whole), kind, text and reason, of every line or object that
        could not, or not wholly, be read.
    set_aside : DataFrame
        kind, reason and number (n) of items that were understood and are not used, such as other origins of an event.
    descriptions : DataFrame
        event_id, event_type, place and duration_magnitude of events whose source has one of these.
    n_lines, n_headers, n_read, n_set_aside : int
        Lines of the file; those of them that hold no event or pick of their own: headers, end cards, empty lines; those
        whose events and picks were all read; and those that are set aside. Where ObsPy reads, objects (events and
        picks) take the place of lines.
    format : str
        Name of the format, see `READERS`.
    account : DataFrame
        Of each kind (index: event, origin, pick, arrival, …), how many lines or objects were wholly read, set aside
        (`set_aside`) and rejected; their sum is the content of the file.
    """

    events: pd.DataFrame
    picks: pd.DataFrame
    rejected: pd.DataFrame
    set_aside: pd.DataFrame
    descriptions: pd.DataFrame
    n_lines: int
    n_headers: int
    n_read: int
    n_set_aside: int
    format: str
    account: pd.DataFrame

    def rejections(self, n: int) -> list[str]:
        """Lines of text on what was rejected: numbers by kind, and the first ones with their reasons."""
        if self.rejected.empty:
            return []
        kinds = self.rejected.kind.value_counts(sort=False)
        counts = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items())
        first = self.rejected.head(n)
        rows = zip(first.file, first.line, first.kind, first.text, first.reason, strict=True)
        lines = [
            f"  {Path(file).name} line {line}: {reason} ({kind}: {' '.join(text.split())[:_SHOWN]})"
            for file, line, kind, text, reason in rows
        ]
        remainder = [f"  and {len(self.rejected) - n} more"] if len(self.rejected) > n else []
        return [f"not, or not wholly, read: {counts}", *lines, *remainder]

    @property
    def n_rejected(self) -> int:
        """Lines of which an event, a pick or the like was not read."""
        return int(((self.rejected.line > 0) & (self.rejected.kind != "value")).sum())


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
    """
    A file while it is read, with an account of its lines (or objects): each is read, set aside, rejected, or holds no
    item.

    Parameters
    ----------
    name, format : str
        Of the file.
    lines : list of str
        Its lines; where a library reads objects, `add_object` puts these in the place of lines.
    """

    name: str
    format: str
    lines: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    picks: list[dict[str, Any]] = field(default_factory=list)
    descriptions: list[dict[str, Any]] = field(default_factory=list)
    _rejected: list[dict[str, Any]] = field(default_factory=list)
    _first_rejection: dict[int, dict[str, Any]] = field(default_factory=dict)
    _read: dict[int, str] = field(default_factory=dict)
    _set_aside: dict[int, tuple[str, str]] = field(default_factory=dict)
    _reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    _headers: set[int] = field(default_factory=set)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @contextmanager
    def item(self, line: int, kind: str = "line") -> Iterator[None]:
        """
        Context of everything that is read from one line or object: a `ValueError` inside rejects it alone, and
        `NotUsedError` sets it aside.

        Parameters
        ----------
        line : int
            From 1.
        kind : str
            event, origin, pick, arrival, amplitude, or line where that is unknown.
        """
        try:
            yield
        except NotUsedError as error:
            self.set_aside(line, str(error), error.kind or kind)
        except (ValueError, ArithmeticError) as error:
            self.reject(line, str(error), kind)
        else:
            self._read[line] = kind

    def header(self, *lines: int) -> None:
        """Lines that hold no item: headers, ends, comments, empty lines."""
        self._headers.update(lines)

    def add_object(self, text: str) -> int:
        """An object in the place of a line; its number."""
        self.lines.append(text)
        return len(self.lines)

    def set_aside(self, line: int, reason: str, kind: str) -> None:
        """A line or object that is understood and not used; the reason is for messages."""
        self._set_aside[line] = (kind, reason)

    def outcome(self, line: int) -> str:
        """State of a line so far, as a column of the account: read, set_aside or rejected."""
        if line in self._first_rejection:
            return "rejected"
        return "set_aside" if line in self._set_aside else "read"

    def count(self, kind: str, n_read: int = 0, n_rejected: int = 0) -> None:
        """Count items that have no separate line, such as the arrival of a pick."""
        self._counts[kind, "read"] += n_read
        self._counts[kind, "rejected"] += n_rejected

    def count_aside(self, kind: str, reason: str, n: int) -> None:
        """Count items that have no separate line, and are set aside."""
        self._reasons[kind, reason] += n

    def add_event(self, event: dict[str, Any], line: int) -> None:
        """An event (columns of `EVENTS`), and the line that it stands on."""
        self.events.append(event | {"_line": line})

    def add_pick(self, pick: dict[str, Any], line: int) -> None:
        """A pick (columns of `BULLETIN_PICKS`), and the line that it stands on."""
        self.picks.append(pick | {"_line": line})

    def reject(self, line: int, reason: str, kind: str = "line") -> None:
        """
        List a line that was not read, or of which an item was not; a line is listed once, with all its reasons.

        Parameters
        ----------
        line : int
            From 1; 0: the file as a whole.
        reason : str
            For messages.
        kind : str
            See `item`; value, where the item was read without a value of it, so that the line counts as read.
        """
        row = self._first_rejection.get(line) if line else None
        if row is None:
            text = self.lines[line - 1].strip()[:_TEXT_LENGTH] if 0 < line <= len(self.lines) else ""
            row = {"file": self.name, "line": line, "kind": kind, "text": text, "reason": reason}
            self._rejected.append(row)
            self._first_rejection[line] = row
            return
        row["reason"] += f"; {reason}"
        row["kind"] = kind if row["kind"] == "value" else row["kind"]

    def bulletin(self) -> Bulletin:
        """Tables of what was read, without impossible values; lines without an outcome are rejected."""
        events, picks = self._checked()
        line_numbers = self._read.keys() | self._headers | self._first_rejection.keys() | self._set_aside.keys()
        for number, text in enumerate(self.lines, 1):
            if number not in line_numbers:
                if text.strip():
                    self.reject(number, "a line of no known kind")
                else:
                    self.header(number)
        rejected_kinds = {row["line"]: row["kind"] for row in self._rejected if row["line"] and row["kind"] != "value"}
        self._set_aside = {line: item for line, item in self._set_aside.items() if line not in rejected_kinds}
        aside_counts = Counter(self._set_aside.values()) + self._reasons
        return Bulletin(
            events=count_picks(events, picks),
            picks=picks,
            rejected=typed(self._rejected, REJECTED).sort_values("line", kind="stable", ignore_index=True),
            set_aside=typed(
                [{"kind": kind, "reason": reason, "n": n} for (kind, reason), n in aside_counts.items()], SET_ASIDE
            ),
            descriptions=typed(self.descriptions, DESCRIPTIONS),
            n_lines=len(self.lines),
            n_headers=len(self._headers - self._first_rejection.keys() - self._read.keys() - self._set_aside.keys()),
            n_read=len(self._read.keys() - rejected_kinds.keys() - self._set_aside.keys()),
            n_set_aside=len(self._set_aside),
            format=self.format,
            account=self._account(rejected_kinds, aside_counts),
        )

    def _account(self, rejected_kinds: dict[int, str], set_aside: Counter[tuple[str, str]]) -> pd.DataFrame:
        counts = self._counts.copy()
        read_lines = (line for line in self._read if line not in rejected_kinds and line not in self._set_aside)
        counts.update((self._read[line], "read") for line in read_lines)
        for (kind, _), n in set_aside.items():
            counts[kind, "set_aside"] += n
        counts.update((kind, "rejected") for kind in rejected_kinds.values())
        columns = ["read", "set_aside", "rejected"]
        rows = {
            kind: [counts[kind, column] for column in columns]
            for kind in sorted({kind for (kind, _), n in counts.items() if n})
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype="int64")

    def _checked(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Events and picks with possible values; see `pickflow.io.formats.plausible`."""
        pick_lines = [pick["_line"] for pick in self.picks]
        faults = [pick_fault(pick) for pick in self.picks]
        for line, fault in zip(pick_lines, faults, strict=True):
            if fault:
                self.reject(line, fault, "pick")
        valid_picks = [pick for pick, fault in zip(self.picks, faults, strict=True) if not fault]
        picks = keep_plausible(pd.DataFrame(valid_picks), PICK_RANGES, self._rejecter(valid_picks, "value"))
        events = pd.DataFrame(self.events)
        if not events.empty:
            events = events.reindex(columns=[*EVENTS.schema.names, "_line"])
            events = keep_plausible(events, EVENT_RANGES, self._rejecter(self.events, "value"))
            with_picks = {pick.get("event_id", "") for pick in valid_picks}
            events = check_origins(events, with_picks, self._reject_origin)
        if not events.empty:
            events = _texts(typed(_counted(events), EVENTS.schema))
        return conform(events, EVENTS), typed(picks, BULLETIN_PICKS)

    def _reject_origin(self, index: int, reason: str) -> None:
        self.reject(self.events[index]["_line"], reason, "event")
        if self._counts["origin", "read"]:
            self.count("origin", n_read=-1, n_rejected=1)

    def _rejecter(self, rows: list[dict[str, Any]], kind: str) -> Callable[[int, str], None]:
        return lambda index, reason: self.reject(rows[index]["_line"], reason, kind)


def _counted(events: pd.DataFrame) -> pd.DataFrame:
    """Rows with integer counts; the readers make identifiers unique."""
    names = [str(name) for name in events if str(name).startswith("n_")]
    counts: dict[str, Any] = {name: events[name].fillna(0).astype("int64") for name in names}
    return events.assign(**counts)


def _texts(events: pd.DataFrame) -> pd.DataFrame:
    """Null instead of empty, in the columns that are null by contract."""
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
    pick_counts = pd.DataFrame(
        {
            "n_picks": groups.size(),
            "n_p": groups.is_p.sum(),
            "n_s": groups.is_s.sum(),
            "n_stations": groups.code.nunique(),
        }
    ).reindex(events.event_id)
    has_picks = pick_counts.n_picks.notna().to_numpy()
    names = ("n_picks", "n_p", "n_s", "n_stations")
    counts = {name: np.where(has_picks, pick_counts[name].fillna(0), events[name]).astype("int64") for name in names}
    first = groups.time.min().reindex(events.event_id).set_axis(events.index)
    return conform(events.assign(time=events.time.fillna(first)).assign(**counts), EVENTS)
