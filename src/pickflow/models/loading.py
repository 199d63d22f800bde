"""From a card to a model that annotates: SeisBench's classes and our own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeGuard

import seisbench.models
import torch

from pickflow.models.cards import read_card, read_state
from pickflow.models.narrowing import resize_to
from pickflow.models.registry import PICKERS, Entry, class_name
from pickflow.models.seisbench_internals import annotate_defaults, weights_metadata
from pickflow.provenance import sha256_of_file
from pickflow.suggestions import suggestion


def model_class(name: str) -> type[seisbench.models.WaveformModel]:
    """
    Class of a model by its name.

    Raises
    ------
    ValueError
        If neither pickflow nor SeisBench has such a model.
    """
    candidate = getattr(import_module(PICKERS.get(name, Entry()).module), class_name(name), None)
    if not _is_picker(candidate):
        published = [title for title, kind in vars(seisbench.models).items() if _is_picker(kind)]
        raise ValueError(f"no model is called {name!r}; {suggestion(name, {*PICKERS, *published})}")
    return candidate


def _is_picker(candidate: Any) -> TypeGuard[type[seisbench.models.WaveformModel]]:
    base = seisbench.models.WaveformModel
    return isinstance(candidate, type) and issubclass(candidate, base) and candidate is not base


def build(name: str, /, **arguments: Any) -> seisbench.models.WaveformModel:
    """
    A picker by its name, with first weights.

    Parameters
    ----------
    name : str
        Of an entry of the registry, or of a class of SeisBench.
    **arguments
        For its class; they come before those of the entry.

    Raises
    ------
    ValueError
        If there is no such picker, or no such picker with these arguments: the message names it.
    """
    kind, entry = model_class(name), PICKERS.get(name, Entry())
    try:
        return kind(**{**entry.arguments, **arguments})
    except Exception as error:  # classes of others meet arguments of any kind
        raise ValueError(f"model {name}: {error}") from error


def untrained(name: str, seed: int, /, **arguments: Any) -> seisbench.models.WaveformModel:
    """
    A picker to train; the same seed gives the same weights.

    Parameters
    ----------
    name : str
        As in `build`.
    seed : int
        Of torch's generator, which goes on from there.
    **arguments
        As in `build`.

    Raises
    ------
    ValueError
        As in `build`.
    """
    torch.manual_seed(seed)
    return build(name, **arguments)


def load_model(folder: str | Path, device: str = "cpu") -> seisbench.models.WaveformModel:
    """
    Model of a folder with card and tensors, ready to annotate.

    Parameters
    ----------
    folder : str or Path
        Holds ``model.safetensors`` and ``card.json``.
    device : str
        A torch device, such as ``cpu`` or ``cuda``.

    Raises
    ------
    ValueError
        If the card, the tensors and the class do not fit together.
    """
    # Stations run side by side in processes; threads of torch inside each of them only wait for one another.
    torch.set_num_threads(1)
    card, state = read_card(folder), read_state(folder)
    model = _build(folder, card)
    try:
        if card.get("compression"):
            resize_to(model, state)
        else:
            model.load_state_dict(state)
    except Exception as error:  # tensors of any name, shape and type meet classes of others
        raise ValueError(
            f"{folder}: the tensors do not fit {card['model']} as its card describes it: {error}"
        ) from error
    model.default_args.update(card["default_args"])
    if card.get("quantised"):
        model.quantised_network = _checked(Path(folder) / card["quantised"]["file"], card["quantised"]["sha256"])
    return model.to(torch.device(device)).eval()


def _build(folder: str | Path, card: Mapping[str, Any]) -> seisbench.models.WaveformModel:
    model_class(card["model"])  # one that nobody knows has nothing to do with its arguments
    try:
        return build(card["model"], **card["model_args"])
    except ValueError as error:
        raise ValueError(f"{folder}: the model_args of its card make no network: {error}") from error


def _checked(path: Path, digest: str) -> Path:
    if not path.is_file() or sha256_of_file(path) != digest:
        raise ValueError(f"{path}: absent, or its sha256 is not {digest}, as the card says; compress the model again")
    return path


def describe(model: seisbench.models.WaveformModel, name: str, weights: str) -> dict[str, Any]:
    """
    Card of a SeisBench model, without the digest that `write_model` adds.

    Parameters
    ----------
    model : WaveformModel
        With its weights' metadata.
    name, weights : str
        As in the paths of a run.
    """
    labels = model.labels if isinstance(model.labels, (str, list, tuple)) else None
    metadata = weights_metadata(model)
    return {
        "architecture": name,
        "model": name,
        "weights": weights,
        "weights_version": str(metadata.get("version", "1")),
        "labels": list(labels) if labels is not None else None,
        "component_order": model.component_order,
        "sampling_rate_hz": model.sampling_rate,
        "in_samples": model.in_samples,
        "normalization": getattr(model, "norm", None),
        "overlap_samples": annotate_defaults(model)["overlap"],
        "model_args": metadata.get("model_args", {}),
        "default_args": metadata.get("default_args", {}),
        "training_data": metadata.get("docstring", ""),
        "citation": model.citation,
        "parent": None,
    }
