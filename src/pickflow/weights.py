"""Fetch weights once, before anything runs: from our bundle, a file, a SeisBench cache or the SeisBench repository."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import seisbench
import seisbench.models
import torch

from pickflow.models.cards import CARD_FILE, read_card, read_state, write_model
from pickflow.models.loading import describe, model_class

logger = logging.getLogger(__name__)


def fetch_weights(
    name: str, weights: str, folder: str | Path, cache: str | None, repository: str | None, files: Mapping[str, str]
) -> dict[str, Any]:
    """
    Put a model with its card into a folder.

    Parameters
    ----------
    name, weights : str
        A model, such as PhaseNet, and its weights, such as instance.
    folder : str or Path
        Where ``model.safetensors`` and ``card.json`` go.
    cache : str or None
        SeisBench cache, only read; None for SeisBench's own.
    repository : str or None
        Base URL of a mirror of the SeisBench repository.
    files : mapping of str to str
        ``model/weights`` to a path: a folder with our two files, or a SeisBench pair without its ending.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ValueError
        If the weights cannot be had, naming where they were looked for.
    """
    if f"{name}/{weights}" in files:
        return _from_file(name, weights, Path(files[f"{name}/{weights}"]), folder)
    bundle = Path(str(resources.files("pickflow.models"))) / weights
    if (bundle / CARD_FILE).exists() and read_card(bundle)["model"] == name:
        return write_model(folder, read_state(bundle), read_card(bundle))
    pair = _newest_pair(name, weights, Path(cache) if cache else Path(seisbench.cache_root))
    if pair is None:
        pair = _download(name, weights, repository, cache)
    return _convert(name, weights, *pair, folder)


def _from_file(name: str, weights: str, path: Path, folder: str | Path) -> dict[str, Any]:
    if (path / CARD_FILE).exists():
        card = {**read_card(path), "weights": weights}
        if card["model"] != name:
            raise ValueError(f"config key weights.files: {path} holds a {card['model']}, not a {name}")
        return write_model(folder, read_state(path), card)
    tensors, metadata = path.with_name(path.name + ".pt"), path.with_name(path.name + ".json")
    if not (tensors.exists() and metadata.exists()):
        raise ValueError(f"config key weights.files: neither {path / CARD_FILE} nor {tensors} with {metadata} exist")
    return _convert(name, weights, tensors, metadata, folder)


def _newest_pair(name: str, weights: str, cache: Path) -> tuple[Path, Path] | None:
    place = cache / "models" / "v3" / name.lower()
    versions = {
        path.name.removeprefix(f"{weights}.json"): path
        for path in [*place.glob(f"{weights}.json"), *place.glob(f"{weights}.json.v*")]
    }
    for suffix in sorted(versions, key=_version_number, reverse=True):
        tensors = place / f"{weights}.pt{suffix}"
        if tensors.exists():
            return tensors, versions[suffix]
    return None


def _version_number(suffix: str) -> tuple[int, ...]:
    return tuple(int(part) for part in suffix.removeprefix(".v").split(".") if part.isdigit())


def _download(name: str, weights: str, repository: str | None, cache: str | None) -> tuple[Path, Path]:
    if repository:
        seisbench.use_backup_repository(repository.rstrip("/") + "/")
    logger.info("%s/%s: fetched from %s", name, weights, seisbench.remote_model_root)
    try:
        model_class(name).from_pretrained(weights)
    except Exception as error:  # SeisBench passes on errors of requests, of the server and its own
        raise ValueError(
            f"weights {name}/{weights}: not in the cache {cache or seisbench.cache_root}, and the repository"
            f" {seisbench.remote_model_root} did not give them ({type(error).__name__}: {error});"
            " fetch them on a machine with internet (snakemake weights_all) or set weights.cache or weights.files"
        ) from error
    pair = _newest_pair(name, weights, Path(seisbench.cache_root))
    if pair is None:
        raise ValueError(f"weights {name}/{weights}: SeisBench did not leave them in {seisbench.cache_root}")
    return pair


def _convert(name: str, weights: str, tensors: Path, metadata: Path, folder: str | Path) -> dict[str, Any]:
    try:
        content = json.loads(metadata.read_text())
        state = torch.load(tensors, map_location="cpu", weights_only=True)
        model = model_class(name)(**content.get("model_args", {}))
        model.load_state_dict(state)
    except Exception as error:  # pickle, zip, JSON and torch errors: all mean that the pair is unusable
        raise ValueError(f"{tensors}: not the weights of a {name} ({type(error).__name__}: {error})") from error
    model._weights_metadata = content
    return write_model(folder, model.state_dict(), describe(model, name, weights))
