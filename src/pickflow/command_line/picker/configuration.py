"""The configuration of pickflow that corresponds to the options of the picker."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from obspy.clients.fdsn.header import URL_MAPPINGS

from pickflow.codes import parse_station
from pickflow.command_line.parser import UsageError
from pickflow.command_line.picker.files import Holding, Supporting
from pickflow.command_line.picker.options import (
    DEFAULT_CIRCLE,
    DEFAULT_CLIENTS,
    DEFAULT_MODELS,
    DEFAULT_WEIGHTS,
    Options,
)
from pickflow.models.registry import PICKERS, trainable
from pickflow.run.grid import cached_weights
from pickflow.run.layout import RunLayout, shared_folder
from pickflow.run.settings.download import DownloadParams
from pickflow.run.settings.train import TrainParams
from pickflow.suggestions import most_similar, suggestion
from pickflow.travel_times.sphere import KM_PER_DEGREE

_CHANNEL = re.compile(r"(?P<band>[A-Z?])(?P<instrument>[A-Z?*])(?P<component>[A-Z0-9?*]?|\[[A-Z0-9]+\])", re.ASCII)
# Chosen. Without -D: a longer range with few days of waveforms is likely a wrong clock in some file.
_LONG_RANGE_DAYS = 366


def bands(channels: Sequence[str], usual_bands: Sequence[str]) -> list[str]:
    """
    Band and instrument codes, best first, that channel codes stand for.

    Parameters
    ----------
    channels : sequence of str
        ``HH``, ``HHZ``, ``H??``, ``*``; components do not matter, as a picker takes all of a sensor.
    usual_bands : sequence of str
        The default order; a wildcard stands for those of them that match, and then for all others.

    Raises
    ------
    UsageError
        If a code is none.
    """
    names: list[str] = []
    for channel in channels:
        code = channel.upper()
        if code.startswith("*"):  # then the last letters follow
            code = code.lstrip("*").rjust(3, "?")
        match = _CHANNEL.fullmatch(code)
        if match is None:
            raise UsageError(f"-C {channel}: not a channel code; write HH, HHZ, 'H??' or '*'")
        band = match["band"] + match["instrument"].replace("*", "?")
        names += [name for name in usual_bands if fnmatchcase(name, band)] if "?" in band else []
        names.append(band)
    return list(dict.fromkeys(names)) or list(usual_bands)


def station_patterns(networks: Sequence[str], stations: Sequence[str]) -> list[str]:
    """
    ``network.station`` for each network and station; stations with a dot name their network themselves.

    Raises
    ------
    UsageError
        If one cannot be a code.
    """
    patterns = [f"{network}.{station}" for network in networks for station in stations if "." not in station]
    patterns += [station for station in stations if "." in station]
    try:
        return [str(parse_station(pattern)) for pattern in dict.fromkeys(patterns)]
    except ValueError as error:
        raise UsageError(f"-N, -S: {error}") from None


def domain(rectangle: Sequence[float] | None, circle: Sequence[float] | None) -> dict[str, Any] | None:
    """
    Section ``download.domain`` of a rectangle or ring in degrees.

    Raises
    ------
    UsageError
        If the numbers are out of range or in the wrong order.
    """
    if rectangle:
        south, north, west, east = rectangle
        _check_place("--rectdomain", (south, north), (west, east))
        if south >= north or west == east:
            low, high, name = (south, north, "lat") if south >= north else (west, east, "lon")
            raise UsageError(
                f"--rectdomain: min_{name} {low:g} is not less than max_{name} {high:g}; the order is min_lat max_lat"
                " min_lon max_lon (a rectangle across the date line has a min_lon larger than its max_lon)"
            )
        names = ("min_latitude_deg", "max_latitude_deg", "min_longitude_deg", "max_longitude_deg")
        return {"rectangle": dict(zip(names, (south, north, west, east), strict=True))}
    if circle:
        latitude, longitude, inner, outer = circle
        _check_place("--circdomain", (latitude,), (longitude,))
        if not 0 <= inner < outer <= 180:
            raise UsageError(
                f"--circdomain: the radii {inner:g} and {outer:g} must be 0 <= min_rad < max_rad <= 180, in degrees"
                f" ({KM_PER_DEGREE:g} km each)"
            )
        radii = {
            name: round(radius * KM_PER_DEGREE, 4)
            for name, radius in (("min_radius_km", inner), ("max_radius_km", outer))
        }
        return {"circle": {"latitude_deg": latitude, "longitude_deg": longitude, **radii}}
    return None


def _check_place(option: str, latitudes: Sequence[float], longitudes: Sequence[float]) -> None:
    for latitude in latitudes:
        if not -90 <= latitude <= 90:
            raise UsageError(f"{option}: {latitude:g} is no latitude, -90 to 90; latitudes come before longitudes")
    for longitude in longitudes:
        if not -180 <= longitude <= 360:
            raise UsageError(f"{option}: {longitude:g} is no longitude, -180 to 360; latitudes come before longitudes")


def choose_models(
    models: Sequence[str] | None, weights: Sequence[str] | None
) -> tuple[list[str], list[str], list[str]]:
    """
    Models and weights to try.

    Parameters
    ----------
    models, weights : sequence of str or None
        As written; small and large letters of models do not matter. None: the defaults, of which those are taken that
        exist for the models, or all weights of the models if none does.

    Returns
    -------
    models, weights : list of str
        Each of the weights exists for at least one of the models.
    warnings : list of str
        Weights that exist, but for none of the models.

    Raises
    ------
    UsageError
        If weights exist nowhere, or for none of the models.
    """
    cached = cached_weights(None)
    weights_by_model = {name: entry.weights for name, entry in PICKERS.items()}
    by_letters = {name.lower(): name for name in weights_by_model}
    names = list(dict.fromkeys(by_letters.get(name.lower(), name) for name in models or DEFAULT_MODELS))
    of_model = {
        name: [*weights_by_model.get(name, []), *cached.get(name.lower(), [])] for name in {*weights_by_model, *names}
    }
    weights_of_models = [weight for name in names for weight in of_model[name]]
    if weights is None:
        selection = [weight for weight in DEFAULT_WEIGHTS if weight in weights_of_models]
        return names, selection or list(dict.fromkeys(weights_of_models)), []
    all_weights = {weight for weights_of_model in of_model.values() for weight in weights_of_model}
    for weight in weights:
        if weight not in all_weights:
            raise UsageError(f"-W {weight}: no model has such weights; {suggestion(weight, all_weights)}")
    selection = [weight for weight in dict.fromkeys(weights) if weight in weights_of_models]
    if not selection:
        raise UsageError(
            f"-W {' '.join(weights)}: exists for none of {' '.join(names)}; they have"
            f" {', '.join(dict.fromkeys(weights_of_models)) or 'none'}"
        )
    skipped = [weight for weight in weights if weight not in weights_of_models]
    return names, selection, [f"{weight} exists for none of {', '.join(names)} and is skipped" for weight in skipped]


def servers(clients: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """
    Data centres of a download, and warnings.

    Raises
    ------
    UsageError
        If a name that was given has no known address.
    """
    addresses = [name for name in clients or DEFAULT_CLIENTS if "://" in name or name.upper() in URL_MAPPINGS]
    unknown = [name for name in clients or DEFAULT_CLIENTS if name not in addresses]
    if clients and unknown:
        similar = most_similar(unknown[0], URL_MAPPINGS, cutoff=0.7)
        hint = f" (did you mean {similar}?)" if similar else ""
        raise UsageError(
            f"--client {unknown[0]}: no address is known for this name{hint}; give the URL of its FDSN service, such"
            " as --client https://my.server.org INGV"
        )
    notes = [f"--client: no address is known for {name}, which is left out; give its URL to ask it" for name in unknown]
    return addresses, notes


def range_of(requested: tuple[date, date] | None, days: Sequence[date]) -> tuple[date, date]:
    """
    First and last day of the run: the requested ones, else those of the waveforms.

    Raises
    ------
    UsageError
        If no days are requested and the waveforms lie far apart.
    """
    if requested:
        return requested
    first, last = min(days), max(days)
    n_days = (last - first).days + 1
    if n_days > _LONG_RANGE_DAYS and 2 * len(days) < n_days:
        raise UsageError(
            f"the waveforms are of {len(days)} days between {first} and {last}, {n_days} days; say with -D which ones"
        )
    return first, last


def run_name(options: Options, days: tuple[date, date]) -> str:
    """Name of the run: the requested one, else one from the folder and the days."""
    if options.run:
        return options.run
    if options.train:
        return "train"
    source = "download" if options.download else (options.directory or Path("waveforms")).resolve().name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", source).strip("-._") or "waveforms"
    return f"{name[:80]}-{days[0]:%y%m%d}-{days[1]:%y%m%d}"


def training(options: Options) -> tuple[dict[str, Any], list[str]]:
    """
    Configuration of a training, and warnings.

    Raises
    ------
    UsageError
        If the model cannot be trained.
    """
    names = {name.lower(): name for name in trainable()}
    models = [names.get(model.lower(), model) for model in options.models or [TrainParams().model]]
    if len(models) != 1 or models[0] not in trainable():
        raise UsageError(f"-T -M {' '.join(models)}: one of {', '.join(trainable())} can be trained")
    train: dict[str, Any] = {"model": models[0]}
    if options.batch:
        train["batch_size"] = options.batch
    warnings = []
    shared = shared_folder()
    if not (Path(shared) / "data").is_dir():
        train["real_data"] = "synthetic_only"
        warnings.append(f"no real data in {shared} (set PICKFLOW_SHARED): training is on synthetic waveforms alone")
    unused_options = [f"--{name}" for name in ("weights", "dates", "julian", "directory") if getattr(options, name)]
    warnings += [f"{name} is of no use with -T" for name in unused_options]
    config = {
        # A training makes its own waveforms; a configuration needs a time span and a source all the same.
        "run": run_name(options, (date.min, date.min)),
        "starttime": "2026-01-15T23:00:00Z",
        "endtime": "2026-01-16T01:00:00Z",
        "download": {"source": "sds", "path": str(RunLayout("<results>").archive / "sds")},
        "train": train,
    }
    return config, warnings


def configuration(options: Options, holding: Holding | None, files: Supporting) -> tuple[dict[str, Any], list[str]]:
    """
    Configuration of a run, and warnings.

    Parameters
    ----------
    options : Options
        The options.
    holding : Holding or None
        Content of the directory; None for a download.
    files : Supporting
        Stations, velocities, bulletin.

    Returns
    -------
    config : dict
        Keys that are absent have their defaults.
    warnings : list of str

    Raises
    ------
    UsageError
        See the functions of the single options.
    """
    first, last = range_of(options.days(), holding.days if holding else ())
    models, weights, warnings = choose_models(options.models, options.weights)
    download, download_warnings = _download(options, holding, files)
    pick: dict[str, Any] = {"models": models, "weights": weights}
    pick |= {"p_threshold": options.pwave, "s_threshold": options.swave}
    if options.batch:
        pick["batch_size"] = options.batch
    config: dict[str, Any] = {
        "run": run_name(options, (first, last)),
        "starttime": f"{first}T00:00:00Z",
        "endtime": f"{last + timedelta(days=1)}T00:00:00Z",
        "download": download,
        "denoise": {"methods": ["deepdenoiser" if options.denoiser else "none"]},
        "pick": pick,
        "associate": {"methods": ["pyocto" if options.pyocto else "gamma"]},
        "catalog": {"formats": ["csv", "quakeml", *(["pyrocko"] if options.pyrocko else [])]},
    }
    if files.velocity:
        config["associate"]["velocity_model"] = {"file": _absolute(files.velocity)}
    if files.reference:
        config["analyze"] = {"reference": {"file": _absolute(files.reference)}}
    return config, warnings + download_warnings


def _download(options: Options, holding: Holding | None, files: Supporting) -> tuple[dict[str, Any], list[str]]:
    """Section ``download``, and warnings."""
    stations = station_patterns(options.network, options.station)
    # Whole days are requested, of which a folder of examples may hold some minutes: all of these are picked.
    section: dict[str, Any] = {"stations": stations, "min_coverage": 0}
    if options.channel:
        section["channel_priority"] = bands(options.channel, DownloadParams().channel_priority)
    if files.inventory:
        section["inventory"] = [_absolute(path) for path in files.inventory]
    region = domain(options.rectdomain, options.circdomain)
    warnings = []
    if holding:
        section |= {"source": holding.source, "path": _absolute(options.directory or Path())}
        unused_options = [name for name in ("client", "key") if getattr(options, name)]
        warnings += [f"--{name} is of no use without --download" for name in unused_options]
    else:
        addresses, warnings = servers(options.client)
        section |= {"source": "fdsn", "fdsn": {"servers": addresses}}
        if options.key:
            section["fdsn"]["token_file"] = _absolute(options.key)
        if options.directory:
            section["cache"] = _absolute(options.directory)
        if region is None and stations == ["*.*"]:
            region = domain(None, DEFAULT_CIRCLE)
            latitude, longitude, _, radius = DEFAULT_CIRCLE
            warnings.append(
                f"no network, station or domain is named: stations within {radius:g} degrees of {latitude:g} N"
                f" {longitude:g} E are asked for"
            )
    if region:
        section["domain"] = region
    return section, warnings


def _absolute(path: Path) -> str:
    return os.path.abspath(path)
