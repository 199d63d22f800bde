"""The configuration of pickflow that says what the options of the picker say."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from obspy.clients.fdsn.header import URL_MAPPINGS

from pickflow.codes import parse_station
from pickflow.command_line.picker_files import Holding, Supporting
from pickflow.command_line.picker_options import (
    DEFAULT_CIRCLE,
    DEFAULT_CLIENTS,
    DEFAULT_MODELS,
    DEFAULT_WEIGHTS,
    KM_PER_DEGREE,
    Options,
    UsageError,
)
from pickflow.grid import cached_weights, known_weights

TRAINABLE = ("PickflowNet", "LEQNet")
_CHANNEL = re.compile(r"(?P<band>[A-Z?])(?P<instrument>[A-Z?*])(?P<component>[A-Z0-9?*]?|\[[A-Z0-9]+\])", re.ASCII)
# Without -D: a range so much longer than the days that hold waveforms is likely a wrong clock in some file.
_LONG_RANGE_DAYS = 366


def bands(channels: Sequence[str], known: Sequence[str]) -> list[str]:
    """
    Band and instrument codes, best first, that channel codes stand for.

    Parameters
    ----------
    channels : sequence of str
        ``HH``, ``HHZ``, ``H??``, ``*``; components do not matter, as a picker takes all of a sensor.
    known : sequence of str
        The usual order; a wildcard stands for those of them that fit, and then for all others.

    Raises
    ------
    UsageError
        If a code is none.
    """
    found: list[str] = []
    for channel in channels:
        code = channel.upper()
        if code.startswith("*"):  # what follows are the last letters
            code = code.lstrip("*").rjust(3, "?")
        match = _CHANNEL.fullmatch(code)
        if match is None:
            raise UsageError(f"-C {channel}: not a channel code; write HH, HHZ, 'H??' or '*'")
        band = match["band"] + match["instrument"].replace("*", "?")
        found += [name for name in known if fnmatchcase(name, band)] if "?" in band else []
        found.append(band)
    return list(dict.fromkeys(found)) or list(known)


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
        Weights that exist nowhere, or nothing that is left.
    """
    known, cached = known_weights(), cached_weights(None)
    by_letters = {name.lower(): name for name in known}
    chosen = list(dict.fromkeys(by_letters.get(name.lower(), name) for name in models or DEFAULT_MODELS))
    of_model = {name: [*known.get(name, []), *cached.get(name.lower(), [])] for name in {*known, *chosen}}
    possible = [weight for name in chosen for weight in of_model[name]]
    if weights is None:
        found = [weight for weight in DEFAULT_WEIGHTS if weight in possible]
        return chosen, found or list(dict.fromkeys(possible)), []
    everywhere = {weight for some in of_model.values() for weight in some}
    for weight in weights:
        if weight not in everywhere:
            near = difflib.get_close_matches(weight, sorted(everywhere), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(everywhere))}"
            raise UsageError(f"-W {weight}: no model has such weights; {hint}")
    found = [weight for weight in dict.fromkeys(weights) if weight in possible]
    if not found:
        raise UsageError(
            f"-W {' '.join(weights)}: exists for none of {' '.join(chosen)}; they have"
            f" {', '.join(dict.fromkeys(possible)) or 'none'}"
        )
    skipped = [weight for weight in weights if weight not in possible]
    return chosen, found, [f"{weight} exists for none of {', '.join(chosen)} and is skipped" for weight in skipped]


def servers(clients: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """
    Data centres to ask, and warnings.

    Raises
    ------
    UsageError
        If a name that was given has no known address.
    """
    kept = [name for name in clients or DEFAULT_CLIENTS if "://" in name or name.upper() in URL_MAPPINGS]
    unknown = [name for name in clients or DEFAULT_CLIENTS if name not in kept]
    if clients and unknown:
        near = difflib.get_close_matches(unknown[0].upper(), list(URL_MAPPINGS), n=1, cutoff=0.7)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(
            f"--client {unknown[0]}: no address is known for this name{hint}; give the URL of its FDSN service, such"
            " as --client https://my.server.org INGV"
        )
    said = [f"--client: no address is known for {name}, which is left out; give its URL to ask it" for name in unknown]
    return kept, said


def range_of(asked: tuple[date, date] | None, held: Sequence[date]) -> tuple[date, date]:
    """
    First and last day of the run: those asked for, else those of the waveforms.

    Raises
    ------
    UsageError
        If nothing was asked for and the waveforms lie far apart.
    """
    if asked:
        return asked
    first, last = min(held), max(held)
    n_days = (last - first).days + 1
    if n_days > _LONG_RANGE_DAYS and 2 * len(held) < n_days:
        raise UsageError(
            f"the waveforms are of {len(held)} days between {first} and {last}, {n_days} days; say with -D which ones"
        )
    return first, last


def run_name(options: Options, days: tuple[date, date]) -> str:
    """Name of the run: as asked for, else the same for the same folder and days."""
    if options.run:
        return options.run
    if options.train:
        return "train"
    what = "download" if options.download else (options.directory or Path("waveforms")).resolve().name
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", what).strip("-._") or "waveforms"
    return f"{name[:80]}-{days[0]:%y%m%d}-{days[1]:%y%m%d}"


def training(options: Options, shared: str) -> tuple[dict[str, Any], list[str]]:
    """
    Configuration of a training, and warnings.

    Raises
    ------
    UsageError
        If another model is to be trained than we can.
    """
    names = {name.lower(): name for name in TRAINABLE}
    models = [names.get(model.lower(), model) for model in options.models or TRAINABLE[:1]]
    if len(models) != 1 or models[0] not in TRAINABLE:
        raise UsageError(
            f"-T -M {' '.join(models)}: one of {' and '.join(TRAINABLE)} can be trained; smaller pickers of others are"
            " made by the section compress of a configuration (docs/compression.md)"
        )
    train: dict[str, Any] = {"model": models[0]}
    if options.batch:
        train["batch_size"] = options.batch
    warnings = []
    if not (Path(shared) / "data").is_dir():
        train["real_data"] = "synthetic_only"
        warnings.append(f"no real data in {shared} (set PICKFLOW_SHARED): training is on synthetic waveforms alone")
    unused = [f"--{name}" for name in ("weights", "dates", "julian", "directory") if getattr(options, name)]
    warnings += [f"{name} is of no use with -T" for name in unused]
    config = {
        # A training makes its own waveforms; a configuration needs a time span and a source all the same.
        "run": run_name(options, (date.min, date.min)),
        "starttime": "2026-01-15T23:00:00Z",
        "endtime": "2026-01-16T01:00:00Z",
        "download": {"source": "sds", "path": "<results>/synthetic/sds"},
        "train": train,
    }
    return config, warnings


def configuration(
    options: Options, holding: Holding | None, files: Supporting, defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """
    Configuration of a run, and warnings.

    Parameters
    ----------
    options : Options
        What was asked for.
    holding : Holding or None
        What the directory holds; None for a download.
    files : Supporting
        Stations, velocities, bulletin.
    defaults : mapping
        ``properties`` of the schema of the section download.

    Returns
    -------
    config : dict
        What is not in it takes the default of the schema.
    warnings : list of str

    Raises
    ------
    UsageError
        See the functions of the single options.
    """
    first, last = range_of(options.days(), holding.days if holding else ())
    models, weights, warnings = choose_models(options.models, options.weights)
    download, more = _download(options, holding, files, defaults)
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
    return config, warnings + more


def _download(
    options: Options, holding: Holding | None, files: Supporting, defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Section ``download``, and warnings."""
    stations = station_patterns(options.network, options.station)
    # Whole days are asked for, of which a folder of examples may hold some minutes: all that is there is picked.
    section: dict[str, Any] = {"stations": stations, "min_coverage": 0}
    if options.channel:
        section["channel_priority"] = bands(options.channel, defaults["channel_priority"]["default"])
    if files.inventory:
        section["inventory"] = [_absolute(path) for path in files.inventory]
    place = domain(options.rectdomain, options.circdomain)
    warnings = []
    if holding:
        section |= {"source": holding.source, "path": _absolute(options.directory or Path())}
        unused = [name for name in ("client", "key") if getattr(options, name)]
        warnings += [f"--{name} is of no use without --download" for name in unused]
    else:
        asked, warnings = servers(options.client)
        section |= {"source": "fdsn", "fdsn": {"servers": asked}}
        if options.key:
            section["fdsn"]["token_file"] = _absolute(options.key)
        if options.directory:
            section["cache"] = _absolute(options.directory)
        if place is None and stations == ["*.*"]:
            place = domain(None, DEFAULT_CIRCLE)
            latitude, longitude, _, radius = DEFAULT_CIRCLE
            warnings.append(
                f"no network, station or domain is named: stations within {radius:g} degrees of {latitude:g} N"
                f" {longitude:g} E are asked for"
            )
    if place:
        section["domain"] = place
    return section, warnings


def _absolute(path: Path) -> str:
    return os.path.abspath(path)
