"""Reading a bulletin of any format: the content says which, then the name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pickflow.io.formats import nonlinloc, ogs_locations, programs, tabular, with_obspy
from pickflow.io.formats.bulletin import Bulletin
from pickflow.io.formats.cards import decode, lines_of
from pickflow.io.formats.ogs import join, ogs_files
from pickflow.io.formats.ogs_phases import parse_dat

_HEAD = 50  # lines that are looked at


class Reader(NamedTuple):
    """How to know and read a format: by its first lines that are not empty, else by the ending of the name."""

    title: str
    looks_so: Callable[[list[str]], bool]
    parse: Callable[[bytes, str], Bulletin]
    endings: tuple[str, ...] = ()


def _lines(pattern: str) -> Callable[[list[str]], bool]:
    """Whether a line begins so."""
    expression = re.compile(pattern)
    return lambda lines: any(expression.match(line) for line in lines)


def _first(pattern: str) -> Callable[[list[str]], bool]:
    expression = re.compile(pattern)
    return lambda lines: bool(expression.match(lines[0]))


def _text(parse: Callable[[str, str], Bulletin]) -> Callable[[bytes, str], Bulletin]:
    return lambda content, name: parse(decode(content), name)


def _is_xml(of: str) -> Callable[[list[str]], bool]:
    return lambda lines: lines[0].lstrip().startswith("<") and of in "\n".join(lines[:5]).lower()


def _xml(format: str) -> Callable[[bytes, str], Bulletin]:
    return lambda content, name: with_obspy.parse_xml(content, name, format)


def _is_nordic(lines: list[str]) -> bool:
    return any(re.match(r" \d{4} [ \d]\d[ \d]\d ", line) and line[79:80] == "1" for line in lines)


_OBS = r"\S+ +\S+ +\S+ +[ie?] +\S+ +\S +\d{8} +\d{3,4} +-?[\d.]+ +GAU "
_REAL = r" *\d+ +\d{4} +\d+ +\d+ +\d+:\d+:[\d.]+ +-?[\d.]+ "
# In the order in which they are tried: a table with a header could be anything, and comes last.
READERS: dict[str, Reader] = {
    "parquet": Reader("Parquet tables", _first("PAR1"), tabular.parse_parquet, (".parquet",)),
    "scml": Reader("SeisComP's SCML, SC3ML", _is_xml("seiscomp"), _xml("scml"), (".scml",)),
    "quakeml": Reader("QuakeML", _first(r"\s*<"), _xml("quakeml"), (".quakeml", ".qml", ".xml")),
    "nonlinloc-hyp": Reader("NonLinLoc locations", _first("NLLOC "), _text(nonlinloc.parse_nonlinloc_hyp), (".hyp",)),
    "nonlinloc": Reader("NonLinLoc phases", _lines(_OBS), _text(nonlinloc.parse_nonlinloc_obs), (".obs",)),
    "hypodd": Reader("HypoDD phases", _first(r"# *\d{4} +\d"), _text(programs.parse_hypodd), (".pha",)),
    "real": Reader("REAL events, phases", _first(_REAL), _text(programs.parse_real)),
    "ogs-dat": Reader(
        "OGS phase cards (HYPO71)",
        _lines(r"[A-Z0-9_ ]{4}[ ?ei][PS ].{2}[ \d]\d{10}[ \d.]{5}"),
        _text(parse_dat),
        (".dat",),
    ),
    "ogs-hpc": Reader(
        "OGS locations with phases",
        _lines(r" {6}[ \d]\d{6} [ \d]{4} "),
        _text(ogs_locations.parse_hpc),
        (".hpc", ".hpl"),
    ),
    "ogs-pun": Reader(
        "OGS summary cards",
        _lines(r"[ \d]\d{6}[ \d]{4}[ \d.]{6} [ \d]{2}[-NSns][ \d.]{5} "),
        _text(ogs_locations.parse_pun),
        (".pun",),
    ),
    "ogs-txt": Reader("OGS catalog", _first("index;event-id;origin_time"), _text(ogs_locations.parse_txt)),
    "nordic": Reader("Nordic (SEISAN)", _is_nordic, _text(with_obspy.parse_nordic), (".nordic", ".nor", ".out")),
    "table": Reader(
        "tables with a header: ComCat CSV, FDSN text, PhaseNet, GaMMA, PyOcto, catalog.csv",
        tabular.looks_tabular,
        _text(tabular.parse_table),
        (".csv", ".tsv"),
    ),
}


def read_bulletin(path: str | Path, format: str | None = None, locations: str | Path | None = None) -> Bulletin:
    """
    Read events and picks of a file.

    Parameters
    ----------
    path : str or Path
        The file.
    format : str, optional
        A name of `READERS`; found out from the content if it is not given.
    locations : str or Path, optional
        Another file with the locations of the same events, such as the ``.hpc`` of a ``.dat``; see `join`.

    Returns
    -------
    Bulletin
        With the lines that could not be read in `rejected`.

    Raises
    ------
    ValueError
        If the file is missing, empty, of no known format, or nothing of it can be read.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"bulletin {path}: {error.strerror}") from error
    bulletin = parse_bulletin(content, str(path), format)
    return bulletin if locations is None else join(bulletin, read_bulletin(locations))


def parse_bulletin(content: bytes, name: str, format: str | None = None) -> Bulletin:
    """Events and picks of a file's content; see `read_bulletin`."""
    if not content.strip():
        raise ValueError(f"{name}: the file is empty")
    if format is not None and format not in READERS:
        raise ValueError(f"format {format!r} is none of {', '.join(READERS)}")
    bulletin = READERS[format or find_format(content, name)].parse(content, name)
    if bulletin.events.empty and bulletin.picks.empty and not bulletin.rejected.empty:
        first = bulletin.rejected.iloc[0]
        raise ValueError(
            f"{name}: nothing could be read as {bulletin.format}; {len(bulletin.rejected)} lines rejected,"
            f" the first is line {first.line}: {first.reason}"
        )
    return bulletin


def find_format(content: bytes, name: str) -> str:
    """
    Name of a file's format: by its first lines, or else by the ending of its name.

    Raises
    ------
    ValueError
        If it is none of `READERS`.
    """
    lines = [line.rstrip("\r") for line in lines_of(decode(content[:100_000])) if line.strip()][:_HEAD]
    for key, reader in READERS.items():
        if reader.looks_so(lines):
            return key
    ending = Path(name).suffix.lower()
    for key, reader in READERS.items():
        if ending in reader.endings and key not in ("parquet", "quakeml", "scml"):
            return key
    known = "; ".join(f"{key} ({reader.title})" for key, reader in READERS.items())
    raise ValueError(
        f"{name}: of no known format; its first line is {lines[0][:60]!r}. Tried by content and by the ending"
        f" {ending!r}: {known}"
    )


def read_ogs(path: str | Path) -> Bulletin:
    """
    Read all files of an OGS bulletin as one.

    Picks come from the ``.dat``, with residual, distance and azimuth from the ``.hpc``; places and uncertainties from
    the ``.hpc`` or ``.pun``; identifiers, ML, types and places' names from the ``.txt``, and from there also the
    origins of explosions.

    Parameters
    ----------
    path : str or Path
        One of the files, their name without ending, or their folder.

    Returns
    -------
    Bulletin

    Raises
    ------
    ValueError
        If there is no such file.
    """
    files = ogs_files(path)
    order = [ending for ending in (".dat", ".hpc", ".hpl", ".pun", ".txt") if ending in files]
    bulletin = read_bulletin(files[order[0]])
    for ending in order[1:]:
        bulletin = join(bulletin, read_bulletin(files[ending]))
    return bulletin
