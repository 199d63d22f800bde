"""Files of a call of the picker: their kinds, and the days of a folder of waveforms."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pickflow.codes import StationCode, band_instrument, matches, rank
from pickflow.command_line.parser import UsageError
from pickflow.command_line.picker.dates import date_ranges, julian_date
from pickflow.download.directory import LONGEST_PATH, directory_index
from pickflow.io.formats import catalog_folder, read_bulletin
from pickflow.io.formats.ogs import OGS_ENDINGS
from pickflow.io.formats.reading import find_format
from pickflow.secrets import printable
from pickflow.travel_times.files import read_velocity_model
from pickflow.windows import EARLIEST, LATEST

logger = logging.getLogger(__name__)

_HEAD_BYTES = 100_000  # chosen: enough to recognise a format
_VELOCITY_NAMES = ({"vp", "vp_km_s", "alpha"}, {"vs", "vs_km_s", "beta"})
_TOKEN_BEGIN = b"-----BEGIN PGP MESSAGE-----"
# Chosen: samples this near to the begin or end of a file belong to its day, because day files overlap a little.
_OVERHANG = pd.Timedelta(minutes=10)
_SDS_FOLDERS = "[0-9][0-9][0-9][0-9]/*/*/*.D"
_SDS_FILE = re.compile(r"(?P<network>[^.]+)\.(?P<station>[^.]+)\.[^.]*\.[^.]+\.D\.(?P<year>\d{4})\.(?P<day>\d{3})")


class Supporting(NamedTuple):
    """Files beside the waveforms, by kind."""

    inventory: tuple[Path, ...] = ()
    velocity: Path | None = None
    reference: Path | None = None


class Holding(NamedTuple):
    """Kind of a folder of waveforms, and the days on which it has the selected stations and channels."""

    source: str
    days: tuple[date, ...]


class Selection(NamedTuple):
    """Selection of waveforms: ``network.station`` patterns, band and instrument codes, days."""

    stations: tuple[str, ...]
    bands: tuple[str, ...]
    days: tuple[date, date] | None


def sort_files(paths: Sequence[Path]) -> Supporting:
    """
    Sort supporting files by their content; of a folder, those of a known kind.

    Parameters
    ----------
    paths : sequence of Path
        StationXML files, one velocity model, one bulletin (the files of an OGS bulletin count as one, and the folder of
        a catalog of a run is one).

    Raises
    ------
    UsageError
        If a file is missing or of no known kind, or there are two models or bulletins.
    """
    kinds: dict[str, list[Path]] = {"inventory": [], "velocity": [], "reference": []}
    for path in paths:
        if catalog_folder(path) is not None:
            kinds["reference"].append(path)
            continue
        if path.is_dir():
            for inside in sorted(entry for entry in path.iterdir() if entry.is_file()):
                if kind := _kind(inside)[0]:
                    kinds[kind].append(inside)
            continue
        kind, reason = _kind(path)
        if kind is None:
            raise UsageError(
                f"-F {path}: neither StationXML, nor a velocity model (.nd, or CSV with depth, vp and vs), nor a"
                f" bulletin: {reason}"
            )
        kinds[kind].append(path)
    references = {_bulletin_of(path): path for path in kinds["reference"]}
    for title, group in (("velocity model", kinds["velocity"]), ("bulletin", list(references.values()))):
        if len(group) > 1:
            raise UsageError(f"-F: there can be one {title}, these are {len(group)}: {', '.join(map(str, group))}")
    return Supporting(
        tuple(kinds["inventory"]),
        kinds["velocity"][0] if kinds["velocity"] else None,
        next(iter(references.values()), None),
    )


def _bulletin_of(path: Path) -> Path:
    """A file's bulletin, by its name: files of OGS of one name are one, and any other file is one by itself."""
    is_part = path.suffix.lower() in OGS_ENDINGS and find_format(_head(path), str(path)).startswith("ogs-")
    return path.with_suffix("") if is_part else path


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _kind(path: Path) -> tuple[str | None, str]:
    """Kind of a file, or None and the reason."""
    try:
        content = _head(path)
    except OSError as error:
        return None, f"{error.strerror} (seen from {Path.cwd()})"
    if not content.strip():
        return None, "it is empty"
    head = content.decode("utf-8", "replace")
    try:
        if is_station_xml(head):
            return "inventory", ""
        if path.suffix.lower() in (".nd", ".tvel") or _names_velocities(head):
            read_velocity_model(path)
            return "velocity", ""
        if find_format(content, str(path)) == "table":
            read_bulletin(path)
    except ValueError as error:
        return None, str(error)
    return "reference", ""


def is_station_xml(head: str) -> bool:
    """Whether a text begins like StationXML, or like SeisComP's XML with an inventory."""
    return "<FDSNStationXML" in head[:2000] or ("<seiscomp" in head[:2000] and "<Inventory" in head)


def _names_velocities(head: str) -> bool:
    lines = (line for line in head.splitlines() if line.strip() and not line.startswith("#"))
    names = set(re.split(r"[,;\s]+", next(lines, "").lower()))
    return all(names & aliases for aliases in _VELOCITY_NAMES)


def inventories_in(directory: Path) -> tuple[Path, ...]:
    """StationXML files that lie in a folder of waveforms, or one level below."""
    paths = [path for pattern in ("*.xml", "*/*.xml") for path in sorted(directory.glob(pattern))]
    return tuple(path for path in paths if path.is_file() and _kind(path)[0] == "inventory")


def check_key(path: Path) -> list[str]:
    """
    Check that a key file can be used; its content is not shown.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    UsageError
        If it is missing, unreadable or empty.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"-K {path}: the key cannot be read ({error.strerror})") from None
    if not content.strip():
        raise UsageError(f"-K {path}: the file is empty; it must hold the EIDA token")
    warnings = []
    if path.stat().st_mode & 0o077:
        warnings.append(f"-K {path}: other users of this machine may read the key; chmod 600 {path} keeps it to you")
    if not content.lstrip().startswith(_TOKEN_BEGIN):
        warnings.append(
            f"-K {path}: does not look like an EIDA token; for a user and password see docs/picker.md, Restricted data"
        )
    return warnings


def scan_folder(directory: Path, cache: Path, selection: Selection) -> Holding:
    """
    Content of a folder of waveforms.

    Parameters
    ----------
    directory : Path
        An SDS archive, or any folder of files.
    cache : Path
        Keeps the index of a folder, for the run as well.
    selection : Selection
        Stations, channels and days.

    Raises
    ------
    UsageError
        If the folder is missing or has no such waveforms; the message names the existing ones.
    """
    if not directory.is_dir():
        raise UsageError(
            f"--directory {directory}: there is no such folder (seen from {Path.cwd()}); name the folder of the"
            " waveforms with -d, or fetch waveforms with --download"
        )
    if next(directory.glob(_SDS_FOLDERS), None) is not None:
        source, days = "sds", _sds_days(directory, selection)
    else:
        source, days = "directory", _days_of_files(directory, cache, selection)
    days_in_folder: set[date] = set()
    for day in days:
        days_in_folder.add(day)
        if selection.days and selection.days[0] <= day <= selection.days[1]:
            break
    else:
        if selection.days or not days_in_folder:
            raise UsageError(_explain_absence(directory, cache, source, selection, sorted(days_in_folder)))
    return Holding(source, tuple(sorted(days_in_folder)))


def _sds_days(root: Path, selection: Selection) -> Iterator[date]:
    for folder in sorted(root.glob(_SDS_FOLDERS)):
        if rank(band_instrument(folder.name.removesuffix(".D")), list(selection.bands)) == len(selection.bands):
            continue
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            name = _SDS_FILE.fullmatch(entry.name)
            if name and matches(StationCode(name["network"], name["station"]), list(selection.stations)):
                try:
                    yield _day_of_name(name)
                except ValueError as error:
                    logger.warning("%s: left out, %s", printable(entry.path, LONGEST_PATH), error)


def _day_of_name(name: re.Match[str]) -> date:
    """Day of an SDS file by its name; a ValueError where a run can have no such day."""
    if not EARLIEST.year <= int(name["year"]) < LATEST.year:
        raise ValueError(f"the year {name['year']} is not between {EARLIEST.year} and {LATEST.year}")
    return julian_date(name["year"] + name["day"])


def _days_of_files(root: Path, cache: Path, selection: Selection) -> Iterator[date]:
    index = directory_index(root, cache)
    for row in index[index["station"] != ""].itertuples():
        code = StationCode(str(row.network), str(row.station))
        if rank(band_instrument(str(row.channel)), list(selection.bands)) < len(selection.bands) and matches(
            code, list(selection.stations)
        ):
            yield from _days_of(pd.Timestamp(str(row.starttime)), pd.Timestamp(str(row.endtime)))


def _days_of(start: pd.Timestamp, end: pd.Timestamp) -> list[date]:
    """Days of a record, without an overhang of some minutes."""
    if end - start <= 2 * _OVERHANG:
        return [(start + (end - start) / 2).date()]
    return [day.date() for day in pd.date_range((start + _OVERHANG).floor("D"), end - _OVERHANG, freq="D")]


def _explain_absence(directory: Path, cache: Path, source: str, choice: Selection, dates: list[date]) -> str:
    """Message on why there is nothing to pick, with the existing waveforms."""
    request = f"waveforms of {' '.join(choice.stations)}"
    if dates and choice.days:
        return (
            f"--directory {directory} holds no {request} from {choice.days[0]} to {choice.days[1]};"
            f" there are waveforms on {date_ranges(dates)}: choose the days with -D, or fetch others with --download"
        )
    any_waveforms = Selection(("*.*",), ("*",), None)
    days = _sds_days if source == "sds" else lambda root, choice: _days_of_files(root, cache, choice)
    if other_days := sorted(set(days(directory, any_waveforms))):
        return (
            f"--directory {directory} holds no {request} and channels {' '.join(choice.bands)}; there are others on"
            f" {date_ranges(other_days)}: see -N, -S and -C"
        )
    return f"--directory {directory} holds no waveforms that can be read; name another folder with -d"
