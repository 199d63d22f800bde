"""Which pickers the lab of a run trains, decided before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pickflow.models.registry import PICKERS, trainable
from pickflow.run.config_file import ConfigError
from pickflow.run.grid import Candidate, is_name
from pickflow.suggestions import suggestion

_PREFIX = "lab-"


def trained_pickers(section: Mapping[str, Any]) -> list[Candidate]:
    """
    Pickers that the lab trains, each variant with each seed.

    Parameters
    ----------
    section : mapping
        Completed section ``lab`` of a configuration.

    Raises
    ------
    ConfigError
        If a variant is no picker that can be trained, the reference is none of them, there are no data, two sets have
        one name, or nobody labels an archive or agrees.
    """
    variants = section["variants"]
    if not variants:
        return []
    for name in variants:
        _check(name, trainable(), "lab.variants", "no picker that can be trained is called")
    _check(section["reference"], variants, "lab.reference", "lab.variants has no")
    if not section["sources"]:
        raise ConfigError("config key lab.sources is empty; name the sets that the variants are trained and tested on")
    names = [source["name"] for source in section["sources"]]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"config key lab.sources: two sets are called {repeated[0]!r}; give one another name")
    if section["teaching"] == "agreement" and not section["teachers"]:
        raise ConfigError(
            "config key lab.teaching: agreement, and lab.teachers is empty; name pickers, or leave it out"
        )
    archive = next((source["name"] for source in section["sources"] if source["kind"] == "archive"), None)
    if archive is not None and not section["teachers"]:
        raise ConfigError(f"config key lab.teachers is empty, and nobody labels the archive {archive}; name pickers")
    return [Candidate(name, f"{_PREFIX}{seed}") for name in variants for seed in section["seeds"]]


def seed_of(picker: Candidate) -> int | None:
    """Seed of a picker that a lab has trained, by the name of its weights; None of another one."""
    seed = picker.weights.removeprefix(_PREFIX)
    return int(seed) if picker.weights.startswith(_PREFIX) and seed.isdecimal() else None


def _check(name: str, names: list[str], key: str, problem: str) -> None:
    if name not in names:
        raise ConfigError(f"config key {key}: {problem} {name!r}; {suggestion(name, names, cutoff=0.5)}")


def teachers(section: Mapping[str, Any]) -> list[Candidate]:
    """
    Pickers whose probabilities are the labels.

    Raises
    ------
    ConfigError
        If one is not MODEL/WEIGHTS of a known model.
    """
    pairs = [name.partition("/") for name in section["teachers"]]
    for (model, _, weights), name in zip(pairs, section["teachers"], strict=True):
        if not is_name(weights):
            raise ConfigError(f"config key lab.teachers: {name!r} is not MODEL/WEIGHTS, such as PhaseNet/volpick")
        _check(model, list(PICKERS), "lab.teachers", "no picker is called")
    return [Candidate(model, weights) for model, _, weights in pairs]
