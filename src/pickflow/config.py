"""The configuration of a run: schemas, defaults, and errors that name the key, the value and the way out."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

import jsonschema
import yaml

from pickflow.codes import parse_station
from pickflow.windows import days_between, parse_time

Params = TypeVar("Params")
CONFIG_SCHEMA = "config"
# Pairs of keys of which the first must be smaller than the second, where both are set.
_ORDERED = (
    ("denoise.minimum_frequency_hz", "denoise.maximum_frequency_hz"),
    ("associate.velocity_model.s_km_s", "associate.velocity_model.p_km_s"),
    ("download.domain.rectangle.min_latitude_deg", "download.domain.rectangle.max_latitude_deg"),
    ("download.domain.circle.min_radius_km", "download.domain.circle.max_radius_km"),
    ("analyze.region.min_latitude_deg", "analyze.region.max_latitude_deg"),
)


class ConfigError(ValueError):
    """The configuration cannot be used; the message says which key and what to do."""


def load_schema(folder: str | Path) -> dict[str, Any]:
    """
    One JSON schema out of a folder with a file per section.

    ``config.schema.yaml`` describes the top level; each other ``<section>.schema.yaml`` the section of its name.
    """
    schemas = {path.name.removesuffix(".schema.yaml"): path for path in sorted(Path(folder).glob("*.schema.yaml"))}
    whole = yaml.safe_load(schemas.pop(CONFIG_SCHEMA).read_text())
    for section, path in schemas.items():
        whole["properties"][section] = {"default": {}, **yaml.safe_load(path.read_text())}
    return whole


def complete(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """
    Check a configuration against its schema and fill in the defaults.

    Raises
    ------
    ConfigError
        Unknown key (with the nearest known one), wrong type or value, empty time range.
    """
    _refuse_passwords(config)
    completed = _with_defaults(_plain(config), schema)
    validator = jsonschema.Draft202012Validator(schema)
    errors = sorted(validator.iter_errors(completed), key=lambda error: list(map(str, error.absolute_path)))
    if errors:
        raise ConfigError("\n".join(_explain(error) for error in errors))
    try:
        days_between(parse_time(completed["starttime"]), parse_time(completed["endtime"]))
    except ValueError as error:
        raise ConfigError(f"config key starttime/endtime: {error}") from error
    _check_values(completed)
    return completed


def _refuse_passwords(config: Mapping[str, Any]) -> None:
    """Before anything is shown or stored: what stands in a configuration is also written next to the results."""
    if "@" in str(_at(config, "download.fdsn.servers")):
        raise ConfigError(
            "config key download.fdsn.servers: an address holds a user or password; write the user into"
            " download.fdsn.user, and the name of the environment variable that holds the password into"
            " download.fdsn.password_env"
        )


def _at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def _check_values(config: Mapping[str, Any]) -> None:
    """What no schema can say: values that contradict one another."""
    for pattern in (*config["download"]["stations"], *config["download"]["exclude"]):
        try:
            parse_station(pattern)
        except ValueError as error:
            raise ConfigError(f"config key download.stations/exclude: {error}") from error
    fdsn = config["download"]["fdsn"]
    if config["download"]["source"] == "fdsn" and not fdsn["servers"] and fdsn["routing"] is None:
        raise ConfigError(
            "config key download.fdsn.servers: name a data centre or its URL, or set download.fdsn.routing"
        )
    for smaller, larger in _ORDERED:
        low, high = _at(config, smaller), _at(config, larger)
        if low is not None and high is not None and low >= high:
            raise ConfigError(
                f"config keys {smaller} ({low:g}) and {larger} ({high:g}): the first must be the smaller one"
            )
    if window := config["analyze"]["reference_window"]:
        try:
            days_between(parse_time(window["starttime"]), parse_time(window["endtime"]))
        except ValueError as error:
            raise ConfigError(f"config key analyze.reference_window: {error}") from error
    known = {f"{site['network']}.{site['station']}" for site in config["synthesize"]["stations"]}
    for fault in config["synthesize"]["faults"]:
        if fault["station"] not in known:
            raise ConfigError(
                f"config key synthesize.faults: no station {fault['station']!r}; known: {', '.join(sorted(known))}"
            )


def build(kind: type[Params], values: Mapping[str, Any]) -> Params:
    """
    Parameters of a stage from the completed section of a configuration.

    Parameters
    ----------
    kind : type
        A dataclass; fields that are dataclasses themselves are built from nested mappings.
    values : mapping
        Keys that the dataclass does not have are left to others.
    """
    hints = typing.get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: _build_value(hints[name], values[name]) for name in fields if name in values})


def _build_value(hint: Any, value: Any) -> Any:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    nested = [option for option in options if dataclasses.is_dataclass(option)]
    if nested and isinstance(value, Mapping):
        return build(typing.cast(type, nested[0]), value)
    if isinstance(value, list) and any(typing.get_origin(option) is tuple for option in options):
        item = next((typing.get_args(o)[0] for o in options if typing.get_origin(o) is tuple), Any)
        return tuple(_build_value(item, entry) for entry in value)
    return value


def _plain(value: Any) -> Any:
    """JSON's types only: YAML turns some times into objects."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime, date)):
        return parse_time(value).isoformat().replace("+00:00", "Z")
    return value


def _with_defaults(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, dict) and "properties" in schema:
        filled = dict(value)
        for key, subschema in schema["properties"].items():
            if key not in filled and "default" in subschema:
                filled[key] = _plain(subschema["default"])
            if key in filled:
                filled[key] = _with_defaults(filled[key], subschema)
        return filled
    if isinstance(value, list) and "items" in schema:
        return [_with_defaults(item, schema["items"]) for item in value]
    return value


def _explain(error: jsonschema.ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(known))[0]
        full = f"{key}.{unknown}" if key else unknown
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"config key {full!r} is not known; {hint}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"config key {f'{key}.{missing}' if key else missing!r} is missing; add it to the configuration"
    if error.validator == "enum":
        near = difflib.get_close_matches(str(error.instance), list(map(str, error.validator_value)), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"config key {key!r}: {error.instance!r} is not one of {error.validator_value}{hint}"
    description = error.schema.get("description")
    return f"config key {key!r}: {error.message}" + (f" ({description})" if description else "")


def place(config: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """Replace ``<results>`` and the like in every text of a configuration, so that a path can follow the run's name."""

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replace(item) for key, item in value.items()}
        if isinstance(value, list):
            return [replace(item) for item in value]
        if isinstance(value, str):
            for name, path in places.items():
                value = value.replace(f"<{name}>", path)
        return value

    return replace(dict(config))


def files_of(section: Any, key: str = "") -> dict[str, str]:
    """Keys that name files (``file``, ``complete_file``, ``token_file``), at any depth, and their values."""
    found: dict[str, str] = {}
    for name, value in section.items() if isinstance(section, Mapping) else ():
        path = f"{key}.{name}" if key else name
        if name.endswith("file") and isinstance(value, str):
            found[path] = value
        found |= files_of(value, path)
    return found


def check_paths(config: Mapping[str, Any], made_by_run: str | tuple[str, ...]) -> None:
    """
    Whether the files that a configuration names exist.

    Parameters
    ----------
    config : mapping
        Completed and placed.
    made_by_run : str or tuple of str
        Paths that begin with one of these are made by the run itself, or not to be seen from here.

    Raises
    ------
    ConfigError
        Naming the key and the path.
    """
    download = config["download"]
    named = [("download.inventory", path) for path in download["inventory"]]
    if download["source"] in ("sds", "directory"):
        if not download["path"]:
            raise ConfigError(
                f"config key download.path is missing; source {download['source']!r} reads files from there"
            )
        named.append(("download.path", download["path"]))
    for section in ("analyze", "associate", "download"):
        named += files_of(config[section], section).items()
    if config["weights"]["cache"]:
        named.append(("weights.cache", config["weights"]["cache"]))
    for key, path in named:
        if not path.startswith(made_by_run) and not Path(path).exists():
            raise ConfigError(f"config key {key}: {path!r} does not exist (seen from {Path.cwd()})")
