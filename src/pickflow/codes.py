"""Station and channel codes (SEED: network.station.location.channel)."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

# SEED manual, appendix A.
ACCELERATION_INSTRUMENTS = "N"
COMPONENT_SETS = ("ZNE", "Z12", "Z23", "123", "UVW")
_STATION = re.compile(r"^[A-Z0-9*?]{1,8}\.[A-Za-z0-9_*?-]{1,8}$")


class StationCode(NamedTuple):
    """A station: network and station code."""

    network: str
    station: str

    def __str__(self) -> str:
        return f"{self.network}.{self.station}"


def parse_station(text: str) -> StationCode:
    """
    Read ``network.station``; wildcards ``*`` and ``?`` are allowed.

    Raises
    ------
    ValueError
        If there is not exactly one dot, or a code has characters that SEED does not know.
    """
    if not _STATION.match(text):
        raise ValueError(f"station {text!r} is not network.station, such as CI.CCC, CI.* or *.WVP2")
    return StationCode(*text.split("."))


def matches(code: StationCode, patterns: list[str]) -> bool:
    """Whether a station matches one of the ``network.station`` patterns."""
    return any(fnmatchcase(str(code), pattern) for pattern in patterns)


def band_instrument(channel: str) -> str:
    """First two letters of a channel code: ``HHZ`` → ``HH``."""
    return channel[:2]


def is_acceleration(band: str) -> bool:
    """Whether a band+instrument code (``HN``) is an accelerometer's."""
    return len(band) == 2 and band[1] in ACCELERATION_INSTRUMENTS


def rank(value: str, priority: list[str]) -> int:
    """
    Place of a value in a ranked list of patterns; smaller is better.

    Parameters
    ----------
    value : str
        A code; the empty location code may be written ``--`` in the priorities.
    priority : list of str
        Patterns, best first, such as ``["HH", "EH", "*"]``.

    Returns
    -------
    int
        Index of the first match, or ``len(priority)`` if none matches.
    """
    for index, pattern in enumerate(priority):
        if fnmatchcase(value, "" if pattern == "--" else pattern):
            return index
    return len(priority)
