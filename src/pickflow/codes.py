"""Station and channel codes (SEED: network.station.location.channel), and the paths made from them."""

from __future__ import annotations

import re
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

# SEED manual, appendix A.
ACCELERATION_INSTRUMENTS = "N"
COMPONENT_SETS = ("ZNE", "Z12", "Z23", "123", "012", "UVW")  # 012: channel numbers of loggers, vertical first
_PATTERN = re.compile(r"[A-Z0-9*?]{1,8}\.[A-Za-z0-9_*?-]{1,8}")
# Lengths of FDSN's source identifiers, which hold SEED's; letters of either case and underscores are in use. A channel
# has three characters, or is the `band_source_subsource` of a source identifier; older formats have none, or eight.
_CODES = {
    "network": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,7}"),
    "station": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,7}"),
    "location": re.compile(r"[A-Za-z0-9_-]{0,8}"),
    "channel": re.compile(r"[A-Za-z0-9_-]{0,8}"),
}
_SHOWN_CHARACTERS = 40  # chosen


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
        If there is not exactly one dot, or a code has characters that SEED does not allow.
    """
    if not _PATTERN.fullmatch(text):
        raise ValueError(f"station {text!r} is not network.station, such as CI.CCC, CI.* or *.WVP2")
    return StationCode(*text.split("."))


def code_problem(network: str, station: str, location: str = "", channel: str = "") -> str:
    """
    Why codes cannot be those of a station, as text; empty if they can.

    Codes of files and servers become paths, patterns and request lines only if this is empty. Network and station are
    1 to 8 characters of A-Z, a-z, 0-9, ``_`` and ``-``, the first a letter or digit; location and channel 0 to 8.
    """
    values = {"network": network, "station": station, "location": location, "channel": channel}
    for kind, value in values.items():
        if not isinstance(value, str) or not _CODES[kind].fullmatch(value):
            min_length, first = (1, ", the first a letter or digit") if kind in ("network", "station") else (0, "")
            return f"{kind} code {_excerpt(value)} is not {min_length} to 8 of A-Z, a-z, 0-9, _ and -{first}"
    return ""


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"


def station_file(folder: str | Path, network: str, station: str) -> Path:
    """
    Path of a station's waveforms in the folder of a day; no other function makes a path from codes.

    Raises
    ------
    ValueError
        If these are no codes: the path could be outside of the folder.
    """
    if problem := code_problem(network, station):
        raise ValueError(f"{folder}: no file for such a station: {problem}")
    return Path(folder) / f"{network}.{station}.mseed"


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


def component_letters(letters: Collection[str], component_order: str) -> dict[str, str]:
    """
    Which component of a model each component of a sensor is.

    Parameters
    ----------
    letters : collection of str
        Last letters of the channel codes of one sensor.
    component_order : str
        Of the model, such as ``ZNE``.

    Returns
    -------
    dict of str to str
        1 is N and 2 is E, or the other way round where the model says so; the letters of a Z-2-3, 1-2-3, 0-1-2 or
        U-V-W sensor are taken in their order. A letter that has no counterpart is left out.
    """
    standard = dict(zip("ZNE12", "ZNENE", strict=True)) | {letter: letter for letter in component_order}
    # ASSUME the first letter of a set stands nearest to the vertical, as in Z-2-3.
    sets = [dict(zip(names, "ZNE", strict=True)) for names in ("Z23", "123", "012", "UVW")]
    if not set(letters) <= set("Z12"):
        standard = next((names for names in sets if set(letters) <= set(names)), standard)
    target = {letter: letter for letter in component_order} | (
        {"N": "1", "E": "2"} if set("12") <= set(component_order) else {}
    )
    return {letter: target[standard[letter]] for letter in sorted(letters) if standard.get(letter) in target}
