"""
The reference of all keys of a configuration, made from their declarations.

``python -m pickflow.run.settings.reference`` prints it (``make reference``); with ``--schema`` it prints a JSON schema,
for editors that complete and check YAML.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from pickflow.run.settings.configuration import Configuration
from pickflow.run.settings.section import Section, affects_of, is_list, section_of

HEAD = """# All keys of a configuration

Made by `make reference` from `src/pickflow/run/settings/`: change a key there, and run it again.
[configuration.md](configuration.md) shows how to write a configuration.

The column *affects* names the rules whose results a key changes; they run again when it changes. *paths*: the key
determines the jobs, by their paths and windows; *nothing*: it changes no result.
"""
_TYPES = {str: "text", float: "number", int: "integer", bool: "true or false", NoneType: "null", Any: "see right"}
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def type_text(annotation: Any) -> str:
    """The values that a key takes, such as ``number or null``."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(parts[0])
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin is tuple:
        return f"list of {type_text(parts[0])}"
    if origin is dict:
        return f"mapping to {type_text(parts[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "section"
    return _TYPES[annotation] if annotation in _TYPES else " or ".join(map(type_text, parts))


def bounds_of(field: FieldInfo) -> dict[str, float]:
    """Bounds of a number: ``ge``, ``gt``, ``le`` and ``lt``, as far as there are any."""
    return {name: getattr(part, name) for part in field.metadata for name in _BOUNDS if hasattr(part, name)}


def sections(
    section: type[Section] = Configuration, key: str = "", affects: tuple[str, ...] = ()
) -> Iterator[tuple[str, type[Section], tuple[str, ...]]]:
    """Every section and part of one, with its key and what it affects; those in lists as ``key[]``."""
    affects = section.AFFECTS or affects
    yield key, section, affects
    for name, field in section.model_fields.items():
        if subsection := section_of(field):
            subkey = f"{key}.{name}".lstrip(".") + ("[]" if is_list(field) else "")
            yield from sections(subsection, subkey, affects_of(field) or affects)


def page() -> str:
    """Content of ``docs/configuration-keys.md``."""
    text = HEAD
    for key, section, inherited in sections():
        fields = {
            name: field for name, field in section.model_fields.items() if section_of(field) is None or is_list(field)
        }
        if not fields:
            continue
        title = f"`{key}`" if key else "Top level"
        summary = " ".join((section.__doc__ or "").split())
        text += f"\n## {title}\n\n{summary}\n\n| key | values | default | affects | meaning |\n|---|---|---|---|---|\n"
        for name, field in fields.items():
            affects = ", ".join(affects_of(field) or inherited)
            text += (
                f"| `{name}` | {_values(field)} | {_default(field)} | {affects} | {_cell(field.description or '')} |\n"
            )
    return text


def _values(field: FieldInfo) -> str:
    bounds = ", ".join(f"{_BOUNDS[name]} {value:g}" for name, value in bounds_of(field).items())
    return " ".join(filter(None, [type_text(field.annotation), bounds]))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    if is_list(field) and section_of(field) and field.default:
        return "those of the demo"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return _cell(f"`{json.dumps(value)}`")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    schema = json.dumps(Configuration.model_json_schema(), indent=2) + "\n"
    sys.stdout.write(schema if "--schema" in sys.argv[1:] else page())
