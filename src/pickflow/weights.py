"""Fetch weights once, before anything runs: from our bundle, a file, a SeisBench cache or the SeisBench repository."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import seisbench
import seisbench.models
import torch
from requests.auth import HTTPBasicAuth

from pickflow import secrets
from pickflow.io.atomic import write_bytes, write_text
from pickflow.io.documents import read_json
from pickflow.io.web import WITH_BODY, Limits, WebError, fetch_with_retries
from pickflow.io.xml import refuse_document_type
from pickflow.models.cards import CARD_FILE, PAIR_SCHEMA, read_card, read_state, write_card, write_model
from pickflow.models.loading import build, describe, model_class
from pickflow.models.seisbench_internals import set_weights_metadata
from pickflow.quality.uncertainty import TimeUncertainty
from pickflow.run.grid import is_name
from pickflow.run.layout import shared_folder

logger = logging.getLogger(__name__)

_KINDS = ("pt", "json")
_LIST = b'<?xml version="1.0"?><a:propfind xmlns:a="DAV:"><a:prop><a:resourcetype/></a:prop></a:propfind>'
_LIMITS = Limits(max_bytes=1_000_000_000, connect_s=15.0, silence_s=60.0, whole_s=3600.0)  # chosen
_RETRIES = 1  # chosen: a run without internet must not wait long

# Tables of published weights, by the digest of the tensors: measured with pickflow calibrate, see docs/models.md.
TIME_UNCERTAINTY_FILE = Path(str(resources.files("pickflow"))) / "time_uncertainty.json"


@dataclass(frozen=True)
class Repository:
    """A SeisBench repository: its address, and the user."""

    address: str
    user: str | None
    password_env: str | None

    def get(self, path: str, **options: Any) -> bytes:
        """
        A file.

        Raises
        ------
        WebError
            If there is none, or not within the limits.
        ValueError
            If a password would be sent in clear.
        """
        answer = fetch_with_retries(f"{self.address}/{path}", _LIMITS, _RETRIES, auth=self._auth(), **options)
        if answer.status not in WITH_BODY:
            raise WebError(f"HTTP {answer.status} for {path}")
        return answer.body

    def _auth(self) -> HTTPBasicAuth | None:
        if not (self.user and self.password_env):
            return None
        if not self.address.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ValueError("a password travels by https only; write weights.repository with https")
        password = os.environ.get(self.password_env)
        if password is None:
            raise ValueError("the environment variable that weights.password_env names is not set")
        secrets.remember(password)
        return HTTPBasicAuth(self.user, password)


def fetch_weights(
    name: str,
    weights: str,
    folder: str | Path,
    cache: str | None,
    repository: str | None,
    files: Mapping[str, str],
    user: str | None = None,
    password_env: str | None = None,
) -> dict[str, Any]:
    """
    Put a model with its card into a folder.

    Parameters
    ----------
    name, weights : str
        A model, such as PhaseNet, and its weights, such as instance.
    folder : str or Path
        Folder for ``model.safetensors`` and ``card.json``.
    cache : str or None
        SeisBench cache, only read; None for SeisBench's own.
    repository : str or None
        Base URL of a mirror of the SeisBench repository.
    files : mapping of str to str
        ``model/weights`` to a path: a folder with our two files, or a SeisBench pair without its ending.
    user, password_env : str, optional
        User of the repository, and the name of the environment variable that holds the password.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ValueError
        If the weights cannot be fetched, naming the places searched, or their name is not safe in a path.
    """
    for part in (name, weights):
        if not is_name(part):
            raise ValueError(
                f"weights {name}/{weights}: {part!r} is not a name of letters, digits, dots, _ and -;"
                " write MODEL/WEIGHTS, such as PhaseNet/instance"
            )
    model_class(name)
    address = f"{repository.rstrip('/')}/models/v3" if repository else seisbench.remote_model_root.rstrip("/")
    card = _fetch(name, weights, folder, cache, Repository(address, user, password_env), files)
    entry = json.loads(TIME_UNCERTAINTY_FILE.read_text()).get(card["sha256"])
    if entry and "time_uncertainty" not in card:
        card = {**card, "time_uncertainty": entry["time_uncertainty"]}
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
    shared_cache = Path(shared_folder()) / "seisbench_cache"
    name, _, weights = str(picker).rpartition("/")
    with TemporaryDirectory() as folder:
        fetch_weights(name, weights, folder, cache or (str(shared_cache) if shared_cache.is_dir() else None), None, {})
        yield Path(folder)


def keep_time_uncertainty(folder: str | Path, table: TimeUncertainty, published: bool) -> Path:
    """
    Store a table for picking.

    Parameters
    ----------
    folder : str or Path
        Holds the picker's card.
    table : TimeUncertainty
        The table.
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
    tables = json.loads(TIME_UNCERTAINTY_FILE.read_text())
    tables[card["sha256"]] = {"model": card["model"], "weights": card["weights"], "time_uncertainty": table}
    ordered = dict(sorted(tables.items(), key=lambda item: (item[1]["model"], item[1]["weights"], item[0])))
    write_text(TIME_UNCERTAINTY_FILE, json.dumps(ordered, indent=2) + "\n")
    return TIME_UNCERTAINTY_FILE


def _fetch(
    name: str, weights: str, folder: str | Path, cache: str | None, repository: Repository, files: Mapping[str, str]
) -> dict[str, Any]:
    if f"{name}/{weights}" in files:
        return _from_file(name, weights, Path(files[f"{name}/{weights}"]), folder)
    bundle = Path(str(resources.files("pickflow.models"))) / weights / name
    if (bundle / CARD_FILE).exists():
        return write_model(folder, read_state(bundle), {**read_card(bundle), "weights": weights})
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
    model_cache = Path(cache, "models", "v3", name.lower())
    versions = {
        path.name.removeprefix(f"{weights}.json"): path
        for path in [*model_cache.glob(f"{escape(weights)}.json"), *model_cache.glob(f"{escape(weights)}.json.v*")]
    }
    for suffix in sorted(versions, key=_version_number, reverse=True):
        tensors = model_cache / f"{weights}.pt{suffix}"
        if tensors.exists():
            return tensors, versions[suffix]
    return None


def _version_number(suffix: str) -> tuple[int, ...]:
    return tuple(int(part) for part in suffix.removeprefix(".v").split(".") if part.isdigit())


def _download(name: str, weights: str, source: Repository, cache: str | None) -> tuple[Path, Path]:
    """Fetch the newest version into SeisBench's cache, if it is valid: a damaged file would affect all runs."""
    logger.info("%s/%s: fetched from %s", name, weights, source.address)
    model_cache = Path(seisbench.cache_root, "models", "v3", name.lower())
    try:
        suffix = _newest_suffix(weights, _listing(source, name))
        files = {f"{weights}.{kind}{suffix}": source.get(f"{name.lower()}/{weights}.{kind}{suffix}") for kind in _KINDS}
        with TemporaryDirectory() as folder:
            paths = [Path(folder, file) for file in files]
            for path in paths:
                write_bytes(path, files[path.name])
            _read_pair(name, *paths)
    except (WebError, ValueError) as error:
        raise ValueError(
            f"weights {name}/{weights}: not in the cache {cache or seisbench.cache_root}, and the repository"
            f" {source.address} did not give them ({error});"
            " fetch them on a machine with internet (snakemake weights_all) or set weights.cache or weights.files"
        ) from error
    for file, content in files.items():
        write_bytes(model_cache / file, content)
    tensors, metadata = (model_cache / file for file in files)
    return tensors, metadata


def _listing(source: Repository, name: str) -> list[str]:
    """Names of the files of a model, as WebDAV lists them."""
    content = source.get(name.lower(), method="PROPFIND", headers={"Depth": "1"}, body=_LIST)
    refuse_document_type(content)
    try:
        hrefs = ElementTree.fromstring(content).iter("{DAV:}href")  # noqa: S314 - without a document type
    except ElementTree.ParseError as error:
        raise ValueError(f"its list of files is no XML: {error}") from None
    return [unquote(href.text or "").rstrip("/").rpartition("/")[2] for href in hrefs]


def _newest_suffix(weights: str, files: list[str]) -> str:
    """Ending of the newest version that has both files."""
    pattern = re.compile(rf"{re.escape(weights)}\.json((?:\.v[0-9][0-9.]*)?)")
    suffixes = [match[1] for file in files if (match := pattern.fullmatch(file)) and f"{weights}.pt{match[1]}" in files]
    if not suffixes:
        raise ValueError(f"no files {weights}.pt and {weights}.json of any version")
    return max(suffixes, key=_version_number)


def _convert(name: str, weights: str, tensors: Path, metadata: Path, folder: str | Path) -> dict[str, Any]:
    model = _read_pair(name, tensors, metadata)
    return write_model(folder, model.state_dict(), describe(model, name, weights))


def _read_pair(name: str, tensors: Path, metadata: Path) -> Any:
    try:
        content = read_json(metadata, PAIR_SCHEMA)
        state = torch.load(tensors, map_location="cpu", weights_only=True)
        model = build(name, **content.get("model_args", {}))
        model.load_state_dict(state)
    except Exception as error:  # pickle, zip, JSON and torch errors: all mean that the pair is unusable
        raise ValueError(f"{tensors}: not the weights of a {name} ({type(error).__name__}: {error})") from error
    set_weights_metadata(model, content)
    return model
