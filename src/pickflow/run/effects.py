"""Keys of a configuration that change the results of a rule: ``affects`` of each key in `pickflow.run.settings`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pickflow.run.settings.configuration import Configuration
from pickflow.run.settings.section import Section, affects_of, is_list, section_of

# Values of `affects` beside names of rules: the key determines the jobs, by their paths and windows; or it does not
# change the results.
PATHS, NOTHING = "paths", "nothing"
# Settings that only one method of a section reads.
_OF_ASSOCIATOR = ("gamma", "stack")
_OF_BANDPASS = ("minimum_frequency_hz", "maximum_frequency_hz", "corners")


def effects(
    section: type[Section] = Configuration, key: str = "", outer_rules: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """
    Every key of a configuration that holds a value, and the rules whose results it changes.

    Parameters
    ----------
    section : type
        Class with the keys.
    key, inherited
        Of the section: a key without ``affects`` has that of the section around it.

    Yields
    ------
    str, tuple of str
        Key, with dots where it lies deeper; names of rules, `PATHS` or `NOTHING`.
    """
    for name, field in section.model_fields.items():
        rules = affects_of(field) or outer_rules
        subsection = section_of(field)
        if subsection is None or is_list(field):
            yield f"{key}{name}", rules
        else:
            yield from effects(subsection, f"{key}{name}.", subsection.AFFECTS or rules)


def settings_of(rule: str, section: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a section that changes the results of a rule; keys keep their order."""
    keys = {key for key, rules in effects() if rule in rules}
    return _select(config[section], keys, section)


def settings_of_results(config: Mapping[str, Any], unused_sections: set[str]) -> dict[str, Any]:
    """A configuration without the sections that a run does not use, and the keys that change no result."""
    keys = {key for key, rules in effects() if NOTHING not in rules and key.partition(".")[0] not in unused_sections}
    return _select(config, keys)


def _select(values: Mapping[str, Any], keys: set[str], prefix: str = "") -> dict[str, Any]:
    part: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}.{name}" if prefix else name
        if key in keys:
            part[name] = value
        elif isinstance(value, Mapping) and (subsection := _select(value, keys, key)):
            part[name] = subsection
        elif value is None and any(known_key.startswith(f"{key}.") for known_key in keys):
            part[name] = None
    return part


def velocity_settings(velocity: Mapping[str, Any]) -> dict[str, Any]:
    """The file of layers, or without one the half space."""
    return {key: value for key, value in velocity.items() if (key == "file") == bool(velocity["file"])}


def associator_settings(settings: Mapping[str, Any], associator: str) -> dict[str, Any]:
    """Settings of the association that one associator reads; the stack may propose beside the others."""
    other_names = {name for name in _OF_ASSOCIATOR if name != associator}
    if settings["complete_with_stack"]:
        other_names -= {"stack"}
    relevant = {key: value for key, value in settings.items() if key not in other_names}
    return relevant | {"velocity_model": velocity_settings(settings["velocity_model"])}


def denoiser_settings(settings: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Settings of the denoising that one method reads; the weights of a network are part of the paths."""
    return {key: value for key, value in settings.items() if method == "bandpass" or key not in _OF_BANDPASS}
