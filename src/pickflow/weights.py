"""Fetch weights once, before anything runs: from our bundle, a file, a SeisBench cache or the SeisBench repository."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import seisbench
import seisbench.models
import torch

from pickflow.io.atomic import write_text
from pickflow.models.cards import CARD_FILE, read_card, read_state, write_card, write_model
from pickflow.models.loading import describe, model_class
from pickflow.uncertainty import TimeUncertainty

logger = logging.getLogger(__name__)

# Tables of published weights, by the digest of the tensors: measured with scripts/calibrate.py, see docs/models.md.
TIME_UNCERTAINTY_FILE = Path(str(resources.files("pickflow"))) / "time_uncertainty.json"


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
    card = _fetch(name, weights, folder, cache, repository, files)
    known = json.loads(TIME_UNCERTAINTY_FILE.read_text()).get(card["sha256"])
    if known and "time_uncertainty" not in card:
        card = {**card, "time_uncertainty": known["time_uncertainty"]}
        write_card(folder, card)
    return card


@contextmanager
def model_folder(picker: str | Path, cache: str | None) -> Iterator[Path]:
    """
    Folder with card and tensors of a picker; a temporary one if it comes from a SeisBench cache.

    Parameters
    ----------
    picker : str or Path
        Such a folder, or ``MODEL/WEIGHTS``.
    cache : str or None
        SeisBench cache; None for the one below ``PICKFLOW_SHARED`` if there is one, else SeisBench's own.
    """
    if (Path(picker) / CARD_FILE).is_file():
        yield Path(picker)
        return
    shared = Path(os.environ.get("PICKFLOW_SHARED", "../shared")) / "seisbench_cache"
    name, _, weights = str(picker).rpartition("/")
    with TemporaryDirectory() as folder:
        fetch_weights(name, weights, folder, cache or (str(shared) if shared.is_dir() else None), None, {})
        yield Path(folder)


def keep_time_uncertainty(folder: str | Path, table: TimeUncertainty, published: bool) -> Path:
    """
    Keep a table where picking finds it.

    Parameters
    ----------
    folder : str or Path
        Holds the picker's card.
    table : TimeUncertainty
        What was measured.
    published : bool
        The weights are published ones: pickflow's own list of tables gets it, and from there the card of every run.
        Else the card in the folder.

    Returns
    -------
    Path
        The file written.
    """
    card = read_card(folder)
    if not published:
        write_card(folder, {**card, "time_uncertainty": table})
        return Path(folder) / CARD_FILE
    known = json.loads(TIME_UNCERTAINTY_FILE.read_text())
    known[card["sha256"]] = {"model": card["model"], "weights": card["weights"], "time_uncertainty": table}
    ordered = dict(sorted(known.items(), key=lambda item: (item[1]["model"], item[1]["weights"], item[0])))
    write_text(TIME_UNCERTAINTY_FILE, json.dumps(ordered, indent=2) + "\n")
    return TIME_UNCERTAINTY_FILE


def _fetch(
    name: str, weights: str, folder: str | Path, cache: str | None, repository: str | None, files: Mapping[str, str]
) -> dict[str, Any]:
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
