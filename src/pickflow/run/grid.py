"""Models and weights of a run: the grid `models × weights`, resolved before any work, without network access."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from pickflow.models.registry import PICKERS
from pickflow.provenance import sha256_of_file
from pickflow.run.configuration import ConfigError
from pickflow.suggestions import suggestion

DENOISERS = ("DeepDenoiser",)
# Names that are safe in a path: no separators, and not `..`.
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_MOST_CHARACTERS = 100  # chosen, below the 255 bytes of a name
_CACHE_FILE = re.compile(rf"(?P<weights>{_NAME}?)\.json(\.v.+)?")


class Candidate(NamedTuple):
    """A model and its weights."""

    model: str
    weights: str

    def __str__(self) -> str:
        return f"{self.model}/{self.weights}"


def is_name(text: str) -> bool:
    """Whether the name of weights is safe in a path."""
    return re.fullmatch(_NAME, text, re.ASCII) is not None and len(text) <= _MOST_CHARACTERS


def bundled_digest(model: str, weights: str) -> str:
    """SHA-256 of bundled weights, from their card; empty if there are none of this name."""
    card = resources.files("pickflow").joinpath("models", weights, model, "card.json")
    return str(json.loads(card.read_text())["sha256"]) if card.is_file() else ""


def digest_of_weights(model: str, weights: str, files: Mapping[str, str]) -> str:
    """
    Digest of weights that come with pickflow or are files of the configuration.

    Parameters
    ----------
    model, weights : str
        Their names.
    files : mapping of str to str
        ``model/weights`` to a folder with our two files, or to a SeisBench pair without its ending.

    Returns
    -------
    str
        Empty for published weights, whose name is unique, wherever they are fetched from.
    """
    path = files.get(f"{model}/{weights}")
    if path is None:
        return bundled_digest(model, weights)
    parts = [Path(path, name) for name in ("card.json", "model.safetensors")]
    parts += [Path(f"{path}{ending}") for ending in (".json", ".pt")]
    return " ".join(sha256_of_file(part) for part in parts if part.is_file()) or path


def cached_weights(cache: str | Path | None) -> dict[str, list[str]]:
    """
    Weights by lower-case model name in a SeisBench cache (``<cache>/models/v3/<model>/<weights>.json.v1``).

    Without one, in SeisBench's own.
    """
    root = Path(cache or os.environ.get("SEISBENCH_CACHE_ROOT") or os.path.expanduser("~/.seisbench"))
    weights: dict[str, list[str]] = {}
    for path in sorted(root.glob("models/v3/*/*.json*")):
        if match := _CACHE_FILE.fullmatch(path.name):
            weights.setdefault(path.parent.name, []).append(match["weights"])
    return weights


def resolve_grid(
    models: list[str],
    weights: list[str],
    pairs: list[str],
    cache: str | Path | None,
    files: Mapping[str, str],
    trained: Sequence[Candidate] = (),
) -> tuple[list[Candidate], list[str]]:
    """
    Combinations of models and weights that exist.

    Parameters
    ----------
    models, weights : list of str
        The grid.
    pairs : list of str
        Further combinations, ``model/weights``, that are tried even if they are unknown.
    cache : str, Path or None
        SeisBench cache whose weights count as existing.
    files : mapping of str to str
        Weights given as files: ``model/weights`` to the path.
    trained : sequence of Candidate
        What the run itself trains.

    Returns
    -------
    candidates : list of Candidate
        In the order of the grid, then of the pairs, then those that are trained.
    warnings : list of str
        One for each combination that does not exist.

    Raises
    ------
    ConfigError
        If a model is unknown, weights exist for none of the models, or nothing is left.
    """
    further = [Candidate(*_split_pair(pair, "pick.pairs")) for pair in pairs]
    of_files = [Candidate(*_split_pair(pair, "weights.files")) for pair in files]
    check_models("pick.models", models, list(PICKERS))
    check_models("pick.pairs", [pair.model for pair in further], list(PICKERS))
    check_models("weights.files", [pair.model for pair in of_files], [*PICKERS, *DENOISERS])
    cached = cached_weights(cache)
    exists = {model: {*entry.weights, *cached.get(model.lower(), [])} for model, entry in PICKERS.items()}
    for pair in [*further, *of_files]:
        exists.get(pair.model, set()).add(pair.weights)
    for name in weights:
        if models and not any(name in exists[model] for model in models):
            options = sorted(set().union(*(exists[model] for model in models)))
            raise ConfigError(
                f"config key pick.weights: {name!r} exists for none of {', '.join(models)}; {suggestion(name, options)}"
                " (to use weights that pickflow does not know, list them in pick.pairs as MODEL/WEIGHTS)"
            )
    requested = [Candidate(model, name) for model in models for name in weights]
    candidates = [pair for pair in requested if pair.weights in exists[pair.model]]
    warnings = [f"{pair} does not exist and is skipped" for pair in requested if pair not in candidates]
    candidates = list(dict.fromkeys([*candidates, *further, *trained]))
    if not candidates:
        raise ConfigError("config keys pick.models, pick.weights, pick.pairs: no combination is left to run")
    return candidates, warnings


def check_models(key: str, models: list[str], names: list[str]) -> None:
    """Raise a ConfigError for a model that is not among the names, with the nearest name."""
    for model in models:
        if model not in names:
            raise ConfigError(f"config key {key}: no model is called {model!r}; {suggestion(model, names)}")


def _split_pair(pair: str, key: str) -> tuple[str, str]:
    model, separator, weights = pair.partition("/")
    if not (model and separator and is_name(weights)):
        raise ConfigError(
            f"config key {key}: {pair!r} is not MODEL/WEIGHTS, such as PhaseNet/instance; names are of letters, digits,"
            " dots, underscores and dashes, and begin with a letter or digit"
        )
    return model, weights
