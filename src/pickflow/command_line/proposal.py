"""A configuration for the existing waveforms, with a comment beside each key."""

from __future__ import annotations

import argparse
import logging
import os
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import yaml

from pickflow.codes import StationCode, band_instrument, code_problem, matches
from pickflow.command_line.parser import UsageError
from pickflow.command_line.picker.configuration import range_of
from pickflow.command_line.picker.dates import date_ranges
from pickflow.command_line.picker.files import Selection, inventories_in, scan_folder
from pickflow.command_line.picker.options import DEFAULT_MODELS
from pickflow.download.directory import directory_index
from pickflow.download.fdsn import fetch_stations
from pickflow.download.reading import read_waveforms
from pickflow.io.inventory import read_inventory
from pickflow.models.registry import PICKERS, Entry
from pickflow.run.configuration import complete
from pickflow.run.settings.configuration import Configuration
from pickflow.run.settings.download import DownloadParams
from pickflow.run.settings.section import Section, description_of, section_of
from pickflow.windows import parse_time

logger = logging.getLogger(__name__)

CACHE = "results/.cache"
# Regions for which pickers and magnitudes were made: latitudes, longitudes, weights, law of magnitudes.
_REGIONS = (
    ((45.3, 47.2), (11.5, 14.5), "instance", "ne-italy"),
    ((45.8, 47.9), (5.9, 10.6), "ethz", None),
    ((35.0, 47.2), (6.0, 19.0), "instance", "italy"),
    ((32.0, 42.2), (-125.0, -114.0), "scedc", "california"),
    ((-23.0, -17.5), (-72.0, -67.5), "iquique", None),
)
_ELSEWHERE = "stead"
# Chosen: files of which the headers are read for the sampling rates.
_MOST_FILES = 30
_MOST_SHOWN = 12  # stations in a comment, chosen
_WIDTH = 118  # characters of a line, chosen


class Holding(NamedTuple):
    """Data of a source of the requested stations."""

    source: str
    stations: list[StationCode]
    channels: list[str]
    days: list[date]
    rates_hz: list[float]
    places: list[tuple[float, float]]
    inventory: list[str]

    def __str__(self) -> str:
        names = ", ".join(map(str, self.stations[:_MOST_SHOWN])) + (" …" if len(self.stations) > _MOST_SHOWN else "")
        kinds = {"sds": "an SDS archive", "directory": "a folder of files", "fdsn": "a data centre"}
        rates = ", ".join(f"{rate:g}" for rate in self.rates_hz)
        return (
            f"{kinds[self.source]}: {len(self.stations)} stations ({names}), channels {', '.join(self.channels)}"
            f" at {rates or 'unknown'} Hz, {date_ranges(self.days)}"
        )


def inspect_source(call: argparse.Namespace) -> Holding:
    """
    Data of the source of a call of ``pickflow init``.

    Raises
    ------
    ValueError
        If it is none, or holds no such waveforms.
    """
    if Path(call.source).is_dir():
        return _inspect_folder(Path(call.source), call)
    if os.sep in call.source and "://" not in call.source:
        raise UsageError(f"{call.source}: there is no such folder (seen from {Path.cwd()})")
    return _inspect_server(call)


def _inspect_folder(folder: Path, call: argparse.Namespace) -> Holding:
    patterns = tuple(call.stations or ["*.*"])
    try:
        source, days = scan_folder(folder, Path(CACHE), Selection(patterns, ("*",), None))
    except UsageError:  # its message names options of another command
        raise UsageError(f"{folder}: there are no waveforms of {' '.join(patterns)} that can be read") from None
    stations, channels, files = set(), set(), []
    for code, channel, path in _files_of(folder, source):
        if matches(code, list(patterns)) and _are_codes(code, channel, path):
            stations.add(code)
            channels.add(band_instrument(channel))
            files.append(path)
    sample = files[:: max(1, len(files) // _MOST_FILES)]
    rates = {trace.stats.sampling_rate for path in sample for trace in read_waveforms(path, headonly=True)[0]}
    beside = inventories_in(folder) or inventories_in(folder.resolve().parent)
    inventory = call.inventory or [str(path) for path in beside]
    places = _places(read_inventory(inventory), stations)
    return Holding(source, sorted(stations), sorted(channels), list(days), sorted(rates), places, inventory)


def _files_of(folder: Path, source: str) -> Iterator[tuple[StationCode, str, Path]]:
    """Station, channel and path of every file."""
    if source == "sds":
        for path in sorted(folder.glob("[0-9][0-9][0-9][0-9]/*/*/*.D/*")):
            network, station, channel = path.parts[-4:-1]
            yield StationCode(network, station), channel.removesuffix(".D"), path
        return
    index = directory_index(folder, Path(CACHE))
    columns = ["network", "station", "channel", "path"]
    for network, station, channel, path in index.loc[index["station"] != "", columns].to_numpy().tolist():
        yield StationCode(network, station), channel, folder / os.fsdecode(path)


def _are_codes(code: StationCode, channel: str, source: object) -> bool:
    """Whether names can be codes; others are left out with a warning, as in a run."""
    problem = code_problem(*code, channel=channel)
    if problem:
        logger.warning("%s: left out, %s", source, problem)
    return not problem


def _inspect_server(call: argparse.Namespace) -> Holding:
    if not (call.stations and call.starttime and call.endtime):
        raise UsageError(
            f"{call.source}: a data centre needs --stations, --starttime and --endtime; if it is a folder, there is"
            f" none of this name (seen from {Path.cwd()})"
        )
    span = parse_time(call.starttime), parse_time(call.endtime)
    section = {"source": "fdsn", "stations": call.stations, "fdsn": {"servers": [call.source], "retries": 1}}
    config = {"run": "init", "starttime": call.starttime, "endtime": call.endtime, "download": section}
    params = DownloadParams(**complete(config)["download"])
    inventory = read_inventory(call.inventory) if call.inventory else fetch_stations(params, *span, ("channel",))
    pairs = ((StationCode(net.code, sta.code), channel) for net in inventory for sta in net for channel in sta)
    usable = [(code, channel) for code, channel in pairs if _are_codes(code, channel.code, call.source)]
    if not usable:
        raise ValueError(
            f"{call.source} has no station {' '.join(call.stations)} with the usual channels between"
            f" {call.starttime} and {call.endtime}"
        )
    stations = {code for code, _ in usable}
    rates = sorted({float(channel.sample_rate) for _, channel in usable if channel.sample_rate})
    channels = sorted({band_instrument(channel.code) for _, channel in usable})
    days = [span[0].date(), (span[1] - timedelta(microseconds=1)).date()]
    return Holding("fdsn", sorted(stations), channels, days, rates, _places(inventory, stations), call.inventory or [])


def _places(inventory: Any, stations: set[StationCode]) -> list[tuple[float, float]]:
    """Coordinates of the stations, as far as an inventory has them."""
    return [
        (float(station.latitude), float(station.longitude))
        for network in inventory
        for station in network
        if StationCode(network.code, station.code) in stations
    ]


def propose(call: argparse.Namespace, holding: Holding) -> dict[str, Any]:
    """
    A configuration for the data of a source.

    Parameters
    ----------
    call : Namespace
        The call of ``pickflow init``; its options take precedence.
    holding : Holding
        See `inspect_source`.
    """
    region_weights, law = _region(holding.places)
    models = call.models or list(DEFAULT_MODELS)
    published = [name for model in models for name in PICKERS.get(model, Entry()).weights]
    weights = [name for name in (region_weights, "original") if name in published] or published[:1] or [region_weights]
    start, end = call.starttime, call.endtime
    if not (start and end):
        try:
            first, last = range_of(None, holding.days)
        except UsageError as error:
            problem = str(error).partition(";")[0]
            raise UsageError(f"{problem}; say with --starttime and --endtime which ones") from None
        start, end = start or f"{first}T00:00:00Z", end or f"{last + timedelta(days=1)}T00:00:00Z"
    config: dict[str, Any] = {
        "run": call.run or _name(call.source, start, end),
        "starttime": start,
        "endtime": end,
        "download": _download(call, holding),
        "pick": {"models": models, "weights": call.weights or weights},
        "associate": {
            "methods": ["pyocto"],
            "velocity_model": {"file": call.velocity} if call.velocity else {"p_km_s": 6.0, "s_km_s": 3.46},
        },
    }
    if law:
        config["magnitude"] = {"law": law}
    config["catalog"] = {"formats": ["csv", "quakeml"]}
    if call.reference:
        config["analyze"] = {"reference": {"file": call.reference}}
    return config


def _region(places: Sequence[tuple[float, float]]) -> tuple[str, str | None]:
    """Weights and law of magnitudes of the region in which the middle of the stations lies."""
    if places:
        latitude, longitude = (median(values) for values in zip(*places, strict=True))
        for latitudes, longitudes, weights, law in _REGIONS:
            if latitudes[0] <= latitude <= latitudes[1] and longitudes[0] <= longitude <= longitudes[1]:
                return weights, law
    return _ELSEWHERE, None


def _download(call: argparse.Namespace, holding: Holding) -> dict[str, Any]:
    networks = sorted({f"{code.network}.*" for code in holding.stations})
    defaults = DownloadParams().channel_priority
    section: dict[str, Any] = {"source": holding.source}
    if holding.source == "fdsn":
        section["fdsn"] = {"servers": [call.source]}
    else:
        section["path"] = call.source
    section |= {"inventory": holding.inventory} if holding.inventory else {}
    section["stations"] = call.stations or networks
    if not set(holding.channels) & set(defaults):
        section["channel_priority"] = holding.channels
    if holding.source == "directory":
        section["cache"] = CACHE
    return section


def _name(source: str, start: str, end: str) -> str:
    """Name of the run: of the source and of the days."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", source.rpartition("://")[2].rstrip("/").rpartition("/")[2]).strip("-._")
    first, last = parse_time(start), parse_time(end) - timedelta(microseconds=1)
    return f"{(stem or 'run')[:60]}-{first:%y%m%d}-{last:%y%m%d}"


def text_of(config: Mapping[str, Any], holding: Holding, arguments: Sequence[str]) -> str:
    """A configuration as YAML, with the descriptions of its keys as comments."""
    head = [
        f"Written by: pickflow init {shlex.join(arguments)}",
        f"from {holding}",
        "Keys that are not here have their defaults: docs/configuration.md, or pickflow check --all.",
    ]
    lines = [line for text in head for line in _comment(text, 0)]
    return "\n".join([*lines, "", *_lines(config, Configuration, 0)]) + "\n"


def _lines(values: Mapping[str, Any], section: type[Section], depth: int) -> Iterator[str]:
    for key, value in values.items():
        field = section.model_fields[key]
        if depth == 0 and isinstance(value, Mapping):
            yield ""
        yield from _comment(description_of(field), depth)
        if isinstance(value, Mapping):
            yield f"{'  ' * depth}{key}:"
            yield from _lines(value, section_of(field) or section, depth + 1)
        else:
            flow = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
            yield f"{'  ' * depth}{key}: {flow.strip().removesuffix('...').strip()}"


def _comment(text: str, depth: int) -> list[str]:
    indent = f"{'  ' * depth}# "
    return textwrap.wrap(" ".join(text.split()), _WIDTH, initial_indent=indent, subsequent_indent=indent)
