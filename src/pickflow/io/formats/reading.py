"""Reading a bulletin of any format, which is recognised by the content, then by the name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pickflow.io.formats import (
    geojson,
    hypoinverse,
    isf,
    locations,
    nonlinloc,
    nordic,
    ogs_locations,
    pickers,
    programs,
    tabular,
    velest,
    xml_events,
)
from pickflow.io.formats.bulletin import Bulletin
from pickflow.io.formats.cards import decode, lines_of
from pickflow.io.formats.folders import catalog_folder, folder_bulletin, read_folder
from pickflow.io.formats.ogs import OGS_ENDINGS, is_stem, join, ogs_files
from pickflow.io.formats.ogs_phases import parse_dat

_HEAD, _HEAD_BYTES = 200, 100_000  # lines and bytes that are examined; chosen: a server's page has a head
_PACKED = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook; unpack it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV",
    b"\x1f\x8b": "compressed (gzip); unpack it first",
    b"BZh": "compressed (bzip2); unpack it first",
    b"\xfd7zXZ": "compressed (xz); unpack it first",
}


class Reader(NamedTuple):
    """How to recognise and read a format: by its first lines that are not empty, else by the ending of the name."""

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


def _is_xml(tag: str) -> Callable[[list[str]], bool]:
    return lambda lines: lines[0].lstrip().startswith("<") and tag in "\n".join(lines[:5]).lower()


def _xml(format: str) -> Callable[[bytes, str], Bulletin]:
    return lambda content, name: xml_events.parse_xml(content, name, format)


def _is_nordic(lines: list[str]) -> bool:
    return any(re.match(r" \d{4} [ \d]\d[ \d]\d ", line) and line[79:80] == "1" for line in lines)


_OBS = r"\S+ +\S+ +\S+ +[ie?] +\S+ +\S +\d{8} +\d{3,4} +-?[\d.]+ +GAU "
_REAL = r" *\d+ +\d{4} +\d+ +\d+ +\d+:\d+:[\d.]+ +-?[\d.]+ "
# In the order in which they are tried; tables with a header, the least specific, come last.
READERS: dict[str, Reader] = {
    "parquet": Reader("Parquet tables", _first("PAR1"), tabular.parse_parquet, (".parquet",)),
    # A server's answer may be a page, which begins as XML does.
    "isf": Reader("IMS1.0 and ISF bulletins", _lines(isf.IMS_BULLETIN), _text(isf.parse_isf), (".isf",)),
    "gse": Reader("GSE2.0 bulletins", _lines(isf.GSE_BULLETIN), _text(isf.parse_gse), (".gse",)),
    "scml": Reader("SeisComP's SCML, SC3ML", _is_xml("seiscomp"), _xml("scml"), (".scml",)),
    "quakeml": Reader("QuakeML", _first(r"\s*<"), _xml("quakeml"), (".quakeml", ".qml", ".xml")),
    "geojson": Reader("GeoJSON", geojson.looks_like_geojson, _text(geojson.parse_geojson), (".geojson", ".json")),
    "nonlinloc-hyp": Reader("NonLinLoc locations", _first("NLLOC "), _text(nonlinloc.parse_nonlinloc_hyp), (".hyp",)),
    "nonlinloc": Reader("NonLinLoc phases", _lines(_OBS), _text(nonlinloc.parse_nonlinloc_obs), (".obs",)),
    "hypodd": Reader("HypoDD phases", _first(r"# *\d{4} +\d"), _text(programs.parse_hypodd), (".pha",)),
    "real": Reader("REAL events, phases", _first(_REAL), _text(programs.parse_real)),
    "hypoinverse": Reader(
        "HYPOINVERSE archives and summaries (Y2000)",
        _lines(hypoinverse.HYPOINVERSE_HEADER),
        _text(hypoinverse.parse_hypoinverse),
        (".arc", ".sum"),
    ),
    "velest": Reader("VELEST", _lines(velest.VELEST_EVENT), _text(velest.parse_velest), (".cnv",)),
    "hypodd-reloc": Reader("HypoDD locations", locations.looks_like_reloc, _text(locations.parse_reloc), (".reloc",)),
    "zmap": Reader("ZMAP", locations.looks_like_zmap, _text(locations.parse_zmap), (".zmap",)),
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
    "nordic": Reader("Nordic (SEISAN)", _is_nordic, _text(nordic.parse_nordic), (".nordic", ".nor", ".out")),
    "eqtransformer": Reader(
        "picks of EQTransformer", pickers.looks_like_eqtransformer, _text(pickers.parse_eqtransformer)
    ),
    "phasenet-samples": Reader(
        "picks of the old PhaseNet", pickers.looks_like_old_phasenet, _text(pickers.parse_old_phasenet)
    ),
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
        The file; or the folder of a catalog of a run (see `catalog_folder`); or the folder, or name without ending, of
        an OGS bulletin.
    format : str, optional
        A name of `READERS`; recognised from the content if it is not given. Folders have none.
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
    bulletin = _read_content(path, format)
    return bulletin if locations is None else join(bulletin, read_bulletin(locations))


def _read_content(path: str | Path, format: str | None) -> Bulletin:
    folder = catalog_folder(path)
    if folder is not None:
        return folder_bulletin(read_folder(folder), str(path))
    if Path(path).is_dir() or (not Path(path).exists() and is_stem(path)):
        return read_ogs(path)
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError(f"bulletin {path}: it is no regular file; write its content into one first")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"bulletin {path}: {error.strerror}") from error
    return parse_bulletin(content, str(path), format)


def read_with_companions(path: str | Path) -> Bulletin:
    """A file, folder or name of `read_bulletin`; of an OGS bulletin, all files that lie beside it under its name."""
    bulletin = read_bulletin(path)
    is_one_of_several = bulletin.format.startswith("ogs-") and Path(path).suffix.lower() in OGS_ENDINGS
    return read_ogs(path) if is_one_of_several else bulletin


def parse_bulletin(content: bytes, name: str, format: str | None = None) -> Bulletin:
    """Events and picks of a file's content; see `read_bulletin`."""
    if not content.strip(b"\0\x1a\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise ValueError(f"{name}: the file is empty")
    for mark, description in _PACKED.items():
        if content.startswith(mark):
            raise ValueError(f"{name}: it is {description}")
    if format is not None and format not in READERS:
        raise ValueError(f"format {format!r} is none of {', '.join(READERS)}")
    bulletin = READERS[format or find_format(content, name)].parse(content, name)
    if not (bulletin.events.empty and bulletin.picks.empty):
        return bulletin
    if bulletin.rejected.empty and not bulletin.set_aside.empty:
        kind, reason, n = bulletin.set_aside.iloc[0]
        raise ValueError(f"{name}: nothing in it is used; it holds {n} {kind}{'s' if n > 1 else ''}: {reason}")
    if not bulletin.rejected.empty:
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
    lines = [line for line in lines_of(decode(content[:_HEAD_BYTES])) if line.strip()][:_HEAD]
    if not lines:
        raise ValueError(f"{name}: it begins with {_HEAD_BYTES:,} blanks")
    for key, reader in READERS.items():
        if reader.looks_so(lines):
            return key
    suffix = Path(name).suffix.lower()
    for key, reader in READERS.items():
        if suffix in reader.endings and key not in ("parquet", "quakeml", "scml"):
            return key
    formats = "; ".join(f"{key} ({reader.title})" for key, reader in READERS.items())
    raise ValueError(
        f"{name}: of no known format; its first line is {lines[0][:60]!r}. Tried by content and by the ending"
        f" {suffix!r}: {formats}"
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
    order = [suffix for suffix in OGS_ENDINGS if suffix in files]
    bulletin = read_bulletin(files[order[0]])
    for suffix in order[1:]:
        bulletin = join(bulletin, read_bulletin(files[suffix]))
    return bulletin
