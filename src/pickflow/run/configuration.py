"""The configuration of a run: defaults, and errors that name the key, the value and the remedy."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pickflow import secrets
from pickflow.codes import parse_station
from pickflow.run.config_file import ConfigError, check_values
from pickflow.run.layout import ASSIGNMENTS_TABLE, CATALOG_TABLE
from pickflow.run.settings.configuration import Configuration
from pickflow.run.settings.section import Section, description_of, section_of
from pickflow.suggestions import most_similar, suggestion
from pickflow.windows import days_between, parse_time

__all__ = ["ConfigError", "check_paths", "complete", "files_of", "place"]

LONGEST_PATH = 250  # chosen, below the 255 bytes of a name
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Sections that have the keys user and password_env, and the key of the address that they are for.
_WITH_PASSWORD = {"download.fdsn": "download.fdsn", "weights": "weights.repository"}
# Sections with a time span.
_SPANS = ("", "analyze.reference_window.", "synthesize.")


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """
    Check a configuration and fill in the defaults.

    Returns
    -------
    dict
        JSON's types only, in the order in which `Configuration` has the keys.

    Raises
    ------
    ConfigError
        Unknown key (with the nearest known one), wrong type or value, empty time range.
    """
    _refuse_passwords(config)
    plain = _plain(config)
    check_values(plain)
    try:
        values = Configuration.model_validate(plain).model_dump(mode="json")
    except ValidationError as refusal:
        errors = sorted(refusal.errors(), key=lambda error: list(map(str, error["loc"])))
        raise ConfigError("\n".join(_explain(error) for error in errors)) from None
    _check_times(values)
    _check_values(values)
    return values


def _check_times(config: Mapping[str, Any]) -> None:
    for section in _SPANS:
        start, end = _at(config, f"{section}starttime"), _at(config, f"{section}endtime")
        if start is None or end is None:
            continue
        try:
            days_between(parse_time(start), parse_time(end))
        except ValueError as error:
            raise ConfigError(f"config key {section}starttime/endtime: {error}") from error
    synthetic = config["synthesize"]
    times = [("faults", fault["starttime"]) for fault in synthetic["faults"] if fault["starttime"]]
    times += [("seismicity.pinned", event["time"]) for event in synthetic["seismicity"]["pinned"]]
    for key, time in times:
        try:
            parse_time(time)
        except ValueError as error:
            raise ConfigError(f"config key synthesize.{key}: {error}") from error


def _refuse_passwords(config: Mapping[str, Any]) -> None:
    """Refuse passwords before anything is shown or stored: a configuration is also written next to the results."""
    for key, text in secrets.texts_of(config):
        if credentials := secrets.credentials_in(text):
            section = next((name for name in _WITH_PASSWORD if key.startswith(_WITH_PASSWORD[name])), None)
            way_out = (
                f"write the user into {section}.user, and the name of the environment variable that holds the password"
                f" into {section}.password_env"
                if section
                else "write it without: only download.fdsn and weights.repository take a user and password"
            )
            raise ConfigError(f"config key {secrets.printable(key)}: an address holds {credentials}; {way_out}")
        if key.endswith("_env") and not _ENVIRONMENT_NAME.fullmatch(text):
            raise ConfigError(
                f"config key {key}: this is not the name of an environment variable; put the password into one, such as"
                " FDSN_PASSWORD, and write its name here, never the password"
            )
        if key.endswith("token_file") and (len(text) > LONGEST_PATH or "\n" in text.strip()):
            raise ConfigError(f"config key {key}: this is not the path of a file; write the token into one")


def _at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def _check_values(config: Mapping[str, Any]) -> None:
    """Values of different keys that contradict one another."""
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


def _plain(value: Any) -> Any:
    """Value with JSON's types only: YAML turns some times into objects."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime, date)):
        with suppress(ValueError):  # the error names its key later
            value = parse_time(value)
        return value.isoformat().replace("+00:00", "Z")
    return value


# JSON's names of the types of values, by the names of pydantic's errors.
_TYPES = {
    "string_type": "string", "float_type": "number", "int_type": "integer", "bool_type": "boolean",
    "tuple_type": "array", "dict_type": "object", "model_type": "object",
}  # fmt: skip
_BOUNDS = {
    "greater_than": ("gt", "less than or equal to the minimum of"),
    "greater_than_equal": ("ge", "less than the minimum of"),
    "less_than": ("lt", "greater than or equal to the maximum of"),
    "less_than_equal": ("le", "greater than the maximum of"),
}


def _explain(error: Any) -> str:
    """Text of an error of pydantic: the key, the value, and the remedy."""
    path, kind, value = list(error["loc"]), error["type"], error["input"]
    if kind == "extra_forbidden":
        return _unknown_key(path)
    key = ".".join(map(str, path if path[-1:] != ["[key]"] else path[:-2]))
    if kind == "missing":
        return f"config key {key!r} is missing; add it to the configuration"
    if kind == "refusal":
        return f"config key {'.'.join(map(str, [*path, error['ctx']['key']]))}: {error['ctx']['problem']}"
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        similar = most_similar(str(value), options)
        hint = f"; did you mean {similar!r}?" if similar else ""
        return f"config key {key!r}: {value!r} is not one of {options}{hint}"
    description = _description(path)
    return f"config key {key!r}: {_problem(kind, value, error)}" + (f" ({description})" if description else "")


def _problem(kind: str, value: Any, error: Any) -> str:
    if kind in _TYPES:
        return f"{value!r:.300} is not of type {_TYPES[kind]!r}{_hint(value, _TYPES[kind])}"
    if kind in _BOUNDS:
        bound, comparison = _BOUNDS[kind]
        return f"{value!r} is {comparison} {error['ctx'][bound]:g}"
    if kind == "string_pattern_mismatch":
        return f"{value!r} does not match {error['ctx']['pattern']!r}"
    if kind == "too_short":
        return "[] should be non-empty"
    if kind == "string_too_long":
        return f"{value!r:.60}… is too long; at most {error['ctx']['max_length']} characters"
    if kind == "none_required":  # the value may be a password
        return "None was expected"
    return str(error["msg"])


def _unknown_key(path: list[Any]) -> str:
    section, unknown = _section_at(path[:-1]), str(path[-1])
    keys = sorted(section.model_fields)
    return f"config key {'.'.join(map(str, path))!r} is not known; {suggestion(unknown, keys)}"


def _section_at(path: list[Any]) -> type[Section]:
    section: type[Section] = Configuration
    for part in path:
        if isinstance(part, str):
            section = section_of(section.model_fields[part]) or section
    return section


def _description(path: list[Any]) -> str | None:
    """Description of a section or key, or of the items of its list or mapping, where these have one."""
    section: type[Section] | None = Configuration
    field, tail = None, path
    for index, part in enumerate(path):
        if section and part in section.model_fields:
            field, tail = section.model_fields[part], path[index + 1 :]
            section = section_of(field)
    if field is None:
        return None
    hints = _hints_in(field.annotation) if tail else []
    items = (hint.description for hint in hints if isinstance(hint, FieldInfo))
    return next(filter(None, items), description_of(field))


def _hints_in(annotation: Any) -> list[Any]:
    parts = [*get_args(annotation), *getattr(annotation, "__metadata__", ())]
    return [*parts, *(hint for part in parts for hint in _hints_in(part))]


def _hint(value: Any, expected: str) -> str:
    """Hint on a value that YAML converted."""
    if isinstance(value, bool) and expected == "string":
        return "; YAML takes no, off, yes and on for false and true: a code such as 'NO' needs quotes"
    if isinstance(value, (int, float)) and expected == "string":
        return "; a text of digits needs quotes"
    if expected == "array" and not isinstance(value, (dict, list)) and value is not None:
        return f"; write a list: [{value}]"
    if value is None and expected in ("array", "object"):
        return "; leave the key out"
    if isinstance(value, str) and expected in ("number", "integer"):
        try:
            return f"; as a number write {float(value)!r}, without quotes"
        except ValueError:
            return ""
    return ""


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
    paths: dict[str, str] = {}
    for name, value in section.items() if isinstance(section, Mapping) else ():
        path = f"{key}.{name}" if key else name
        if name.endswith("file") and isinstance(value, str):
            paths[path] = value
        paths |= files_of(value, path)
    return paths


def files_at(path: str) -> list[str]:
    """The files that a path of the configuration names: itself, or the tables in the folder of a run's catalog."""
    if not Path(path).is_dir():
        return [path]
    tables = [Path(path, name) for name in (CATALOG_TABLE, ASSIGNMENTS_TABLE)]
    return [str(table) for table in tables if table.exists()]


def check_paths(config: Mapping[str, Any], made_by_run: str | tuple[str, ...]) -> None:
    """
    Check that the files that a configuration names exist.

    Parameters
    ----------
    config : mapping
        Completed and placed.
    made_by_run : str or tuple of str
        Paths that begin with one of these are made by the run itself, or not visible here.

    Raises
    ------
    ConfigError
        Naming each key and path, one in a line.
    """
    download = config["download"]
    named = [("download.inventory", path) for path in download["inventory"]]
    problems = []
    if download["source"] in ("sds", "directory"):
        if download["path"]:
            named.append(("download.path", download["path"]))
        else:
            problems.append(f"download.path is missing; source {download['source']!r} reads files from there")
    for section in ("analyze", "associate", "download"):
        named += files_of(config[section], section).items()
    if config["weights"]["cache"]:
        named.append(("weights.cache", config["weights"]["cache"]))
    named += [
        (f"lab.sources.{source['name']}", source["path"]) for source in config["lab"]["sources"] if source["path"]
    ]
    named += [("implicit.labelled", path) for path in config["implicit"]["labelled"]]
    for pair, path in config["weights"]["files"].items():  # a folder, or a pair of files without its ending
        named.append((f"weights.files.{pair}", path if Path(path).is_dir() else f"{path}.json"))
    problems += [_problem_of(key, path) for key, path in named if not path.startswith(made_by_run)]
    if any(problems):
        raise ConfigError("\n".join(f"config key {problem}" for problem in problems if problem))


def _problem_of(key: str, path: str) -> str:
    """Why a path is not valid for the key; empty if it is."""
    try:
        is_folder = stat.S_ISDIR(Path(path).stat().st_mode)
    except FileNotFoundError:
        hint = "; ~ and variables are not filled in, write the whole path" if path.startswith(("~", "$")) else ""
        return f"{key}: {path!r} does not exist (seen from {Path.cwd()}){hint}"
    except OSError as error:
        return f"{key}: {path!r} cannot be used: {error.strerror}"
    expected = {"download.inventory": False, "download.path": True}.get(key, is_folder or key.startswith("lab."))
    kinds = ("folder", "file") if expected else ("file", "folder")
    return f"{key}: a {kinds[0]} is needed, and {path!r} is a {kinds[1]}" if is_folder != expected else ""
