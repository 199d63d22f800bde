"""Which models and weights a run uses: the grid `models × weights`, decided before any work, without a network."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import yaml

from pickflow.config import ConfigError

DENOISERS = ("DeepDenoiser",)
_CACHE_FILE = re.compile(r"^(?P<weights>.+)\.json(\.v.+)?$")


class Candidate(NamedTuple):
    """A model and its weights."""

    model: str
    weights: str

    def __str__(self) -> str:
        return f"{self.model}/{self.weights}"


def known_weights() -> dict[str, list[str]]:
    """Weights by model: the bundled picker and those that SeisBench publishes."""
    text = resources.files("pickflow").joinpath("weights.yaml").read_text()
    return yaml.safe_load(text)


def bundled_digest(model: str, weights: str) -> str:
    """SHA-256 of bundled weights, from their card; empty if there are none of this name."""
    card = resources.files("pickflow").joinpath("models", weights, "card.json")
    content = json.loads(card.read_text()) if card.is_file() else {}
    return content["sha256"] if content.get("model") == model else ""


def cached_weights(cache: str | Path | None) -> dict[str, list[str]]:
    """
    Weights by lower-case model name in a SeisBench cache (``<cache>/models/v3/<model>/<weights>.json.v1``).

    Without one, in SeisBench's own.
    """
    root = Path(cache or os.environ.get("SEISBENCH_CACHE_ROOT") or Path.home() / ".seisbench")
    found: dict[str, list[str]] = {}
    for path in sorted(root.glob("models/v3/*/*.json*")):
        if match := _CACHE_FILE.match(path.name):
            found.setdefault(path.parent.name, []).append(match["weights"])
    return found


def resolve_grid(
    models: list[str], weights: list[str], pairs: list[str], cache: str | Path | None, files: Mapping[str, str]
) -> tuple[list[Candidate], list[str]]:
    """
    Combinations of models and weights that exist.

    Parameters
    ----------
    models, weights : list of str
        The grid.
    pairs : list of str
        Further combinations, ``model/weights``, that are tried even if nobody knows them.
    cache : str, Path or None
        SeisBench cache whose weights count as existing.
    files : mapping of str to str
        Weights given as files: ``model/weights`` to the path.

    Returns
    -------
    candidates : list of Candidate
        In the order of the grid, then of the pairs.
    warnings : list of str
        One for each combination that does not exist.

    Raises
    ------
    ConfigError
        If a model is unknown, weights exist for none of the models, or nothing is left.
    """
    known = known_weights()
    extra = [Candidate(*_split_pair(pair, "pick.pairs")) for pair in pairs]
    own = [Candidate(*_split_pair(pair, "weights.files")) for pair in files]
    _check_models("pick.models", models, list(known))
    _check_models("pick.pairs", [pair.model for pair in extra], list(known))
    _check_models("weights.files", [pair.model for pair in own], [*known, *DENOISERS])
    cached = cached_weights(cache)
    exists = {model: {*known[model], *cached.get(model.lower(), [])} for model in known}
    for pair in [*extra, *own]:
        exists.get(pair.model, set()).add(pair.weights)
    for name in weights:
        if models and not any(name in exists[model] for model in models):
            options = sorted(set().union(*(exists[model] for model in models)))
            raise ConfigError(
                f"config key pick.weights: {name!r} exists for none of {', '.join(models)}; {_nearest(name, options)}"
                " (to use weights that pickflow does not know, list them in pick.pairs as MODEL/WEIGHTS)"
            )
    asked = [Candidate(model, name) for model in models for name in weights]
    candidates = [pair for pair in asked if pair.weights in exists[pair.model]]
    warnings = [f"{pair} does not exist and is skipped" for pair in asked if pair not in candidates]
    candidates = list(dict.fromkeys(candidates + extra))
    if not candidates:
        raise ConfigError("config keys pick.models, pick.weights, pick.pairs: no combination is left to run")
    return candidates, warnings


def _check_models(key: str, models: list[str], known: list[str]) -> None:
    for model in models:
        if model not in known:
            raise ConfigError(f"config key {key}: no model is called {model!r}; {_nearest(model, known)}")


def _split_pair(pair: str, key: str) -> tuple[str, str]:
    model, separator, weights = pair.partition("/")
    if not (model and separator and weights) or "/" in weights:
        raise ConfigError(f"config key {key}: {pair!r} is not MODEL/WEIGHTS, such as PhaseNet/instance")
    return model, weights


def _nearest(name: str, options: list[str]) -> str:
    lower = {option.lower(): option for option in options}
    near = difflib.get_close_matches(name.lower(), list(lower), n=1)
    return f"did you mean {lower[near[0]]!r}?" if near else f"known: {', '.join(sorted(options))}"
