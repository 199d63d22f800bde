"""Checks of a configuration beyond a JSON schema: how YAML reads it, and allowed texts and numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pickflow.secrets import redact

PLACEHOLDERS = ("<results>", "<shared>")
MOST_CHARACTERS = 1000  # chosen: no path or text of a configuration is longer
LARGEST_NUMBER = 1e12  # chosen: no quantity of a configuration is larger
# Whole numbers that YAML 1.1 reads with another base: 010 is 8, and 12:30 is 750.
_OTHER_BASE = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-9_.]+)+)")


class ConfigError(ValueError):
    """The configuration cannot be used; the message says which key and what to do."""


class _StrictLoader(yaml.SafeLoader):
    """Refuses text that YAML would ignore or read as another value."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> Iterator[dict[Any, Any]]:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"line {key.start_mark.line + 1}: a key is a word, not a list or mapping")
        line = key.start_mark.line + 1
        if key.value in lines:
            raise ConfigError(
                f"line {line}: key {key.value!r} stands there for the second time, first in line {lines[key.value]};"
                " YAML would take the last one alone: put the two together"
            )
        if key.value != "<<":
            lines[key.value] = line
    yield from loader.construct_yaml_map(node)


def _number(loader: _StrictLoader, node: yaml.ScalarNode) -> float:
    integer = node.tag.endswith(":int")
    number = loader.construct_yaml_int(node) if integer else loader.construct_yaml_float(node)
    if _OTHER_BASE.fullmatch(str(node.value)):
        raise ConfigError(
            f"line {node.start_mark.line + 1}: YAML reads {node.value} as the number {number:g}; write a number in"
            " decimals without leading zeros, and a code or time in quotes"
        )
    return number


def _time(loader: _StrictLoader, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_yaml_timestamp(node)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"line {node.start_mark.line + 1}: {node.value} is not a time ({error})") from None


_StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _time)
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _number)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _number)


def read_config(path: str | Path) -> dict[str, Any]:
    """
    Read a configuration in YAML or JSON.

    Raises
    ------
    ConfigError
        If the file cannot be read or holds no keys and values, if a key occurs twice, or if YAML would read a
        number in another base; with the line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        content = _read_json(text) if Path(path).suffix == ".json" else yaml.load(text, _StrictLoader)  # noqa: S506 (safe)
        _refuse_circles(content)
    except ConfigError as error:
        raise ConfigError(f"{path}, {error}") from None
    except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        hint = "; indent with blanks, not tabs" if "'\\t'" in problem else ""
        raise ConfigError(f"{path}: not readable as YAML in UTF-8 ({problem}){hint}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: keys and values are expected (run: …), not {str(content or 'nothing')[:40]!r}")
    return content


def _refuse_circles(value: Any) -> None:
    """An anchor of YAML may contain itself; then this raises a RecursionError."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_circles(item)


def _read_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        duplicates = [key for key in keys if keys.count(key) > 1]
        if duplicates:
            raise ConfigError(f"key {duplicates[0]!r} stands there twice; put the two together")
        return dict(pairs)

    return json.loads(text, object_pairs_hook=unique)


def check_values(value: Any, key: str = "") -> None:
    """
    Refuse texts and numbers that no key of a configuration can use, at any depth.

    Raises
    ------
    ConfigError
        Naming the key and the value.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            check_values(name, key)
            check_values(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_values(item, f"{key}.{index}")
    elif isinstance(value, str):
        _check_text(value, key)
    elif isinstance(value, (int, float)) and not abs(value) <= LARGEST_NUMBER:
        raise ConfigError(
            f"config key {key!r}: {str(value)[:20]} is not a number that can be used; give a finite, smaller one"
        )


def _check_text(text: str, key: str) -> None:
    remainder = text
    for placeholder in PLACEHOLDERS:
        remainder = remainder.replace(placeholder, "")
    if len(text) > MOST_CHARACTERS:
        problem = f"{text[:40]!r}… has {len(text)} characters; at most {MOST_CHARACTERS} are allowed"
    elif not text.isprintable():
        problem = f"{text!r} has a line break or another character that cannot be seen; remove it"
    elif not text.strip():
        problem = f"{text!r} is empty; leave the key out, or write null"
    elif set(remainder) & set("{}<>"):
        problem = (
            f"{text!r} has one of the characters {{ }} < >, which stand for wildcards and places in the workflow"
            f" (known: {', '.join(PLACEHOLDERS)}); rename the file or folder"
        )
    else:
        return
    if "password" in key:  # the value may be one
        problem = "a text that cannot be used"
    raise ConfigError(redact(f"config key {key!r}: {problem}"))
