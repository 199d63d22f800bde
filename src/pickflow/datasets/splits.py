"""Training, validation and test parts that share no event, no station, or neither."""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from pickflow.datasets.records import PARTS

# One of many possible splits; it was chosen by the sizes of the parts only.
SEED = 1
SHARES = (0.65, 0.15, 0.20)
# What SeisBench calls the parts, and what data sets call them.
SEISBENCH_PARTS = {"train": "train", "validation": "dev", "test": "test"}
_WORDS = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "development": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


@dataclass(frozen=True, kw_only=True)
class Split:
    """
    How records are shared out to training, validation and test.

    Parameters
    ----------
    by : str
        What is in one part only: ``event``, ``station``, or ``both``. With ``both``, a record is used where the part of
        its event is that of its station, and left out elsewhere: in a network that records every event at every
        station, nothing else keeps both apart. ``column`` takes the part that the set itself names.
    seed : int
        Another one is another split.
    shares : tuple of float
        Of training, validation and test in the records of earthquakes that are used.

    Raises
    ------
    ValueError
        If the shares are not three that add up to 1.
    """

    by: Literal["event", "station", "both", "column"] = "station"
    seed: int = SEED
    shares: tuple[float, float, float] = SHARES

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.by not in ("event", "station", "both", "column"):
            raise ValueError(f"split: by {self.by!r} is not known; it is event, station, both or column")
        if len(self.shares) != len(PARTS) or min(self.shares) < 0 or not math.isclose(sum(self.shares), 1):
            raise ValueError(f"split: the shares {self.shares} of {', '.join(PARTS)} do not add up to 1")

    def as_json(self) -> dict[str, Any]:
        """For cards; `Split.from_json` takes it back."""
        return {**asdict(self), "shares": list(self.shares)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Split:
        """From what `as_json` gave."""
        return cls(**{**values, "shares": tuple(values["shares"])})


def part_of(name: str, seed: int = SEED, shares: tuple[float, float, float] = SHARES) -> str:
    """
    Part of the data to which a group of records belongs, by a hash of its name.

    Parameters
    ----------
    name : str
        Of an event, a station, or a record that belongs to no group.
    seed : int
        Another one is another split.
    shares : tuple of float
        Of training, validation and test, which add up to 1; they are kept to 1/256.

    Returns
    -------
    str
        One of `pickflow.datasets.records.PARTS`.
    """
    share = hashlib.sha256(f"{seed}{name}".encode()).digest()[0] / 256
    return "train" if share < shares[0] else "validation" if share < shares[0] + shares[1] else "test"


def parts_of(table: pd.DataFrame, split: Split, single_station: bool | None = None) -> pd.Series:
    """
    Part of each trace.

    Parameters
    ----------
    table : DataFrame
        ``recording``, ``event``, ``station``, and ``split`` if the set names the parts.
    split : Split
        The rule. Noise belongs to no event: its part is that of its station, or its own if events alone count. In a
        set of a single station the events are shared out whatever the rule.

    single_station : bool or None
        Whether the set has one; None to look at the table, which must then be all of the set.

    Returns
    -------
    Series of str
        Empty where event and station belong to different parts, or the set names none.
    """
    if split.by == "column":
        return table.split.str.strip().str.lower().map(_WORDS).fillna("")
    groups = table.event.where(table.event != "", table.recording)
    if single_station is None:
        single_station = table.station.nunique() == 1
    if split.by == "event" or single_station:
        return _shared_out(groups, split.seed, split.shares)
    if split.by == "station":
        return _shared_out(table.station, split.seed, split.shares)
    shares = independent_shares(split.shares)
    stations, events = (_shared_out(names, split.seed, shares) for names in (table.station, groups))
    return stations.where((stations == events) | (table.event == ""), "")


def independent_shares(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    """
    Shares of events, and of stations, so that the records that agree in both have the shares asked for.

    If a part has the share q of the events and of the stations, it has q² of the records: q is the root of the share,
    over the sum of the roots.
    """
    roots = [math.sqrt(share) for share in shares]
    train, validation, test = (root / sum(roots) for root in roots)
    return train, validation, test


def _shared_out(names: pd.Series, seed: int, shares: tuple[float, float, float]) -> pd.Series:
    return names.map({name: part_of(name, seed, shares) for name in names.unique()})
