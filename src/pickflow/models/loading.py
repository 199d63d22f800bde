"""From a card to a model that annotates: SeisBench's classes and our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import seisbench.models
import torch

from pickflow.models.cards import read_card, read_state
from pickflow.models.leqnet import LEQNet
from pickflow.models.narrowing import resize_to
from pickflow.models.network import PickflowNet
from pickflow.provenance import sha256_of_file

OWN_MODELS = {"PickflowNet": PickflowNet, "LEQNet": LEQNet}


def model_class(name: str) -> type[seisbench.models.WaveformModel]:
    """
    Class of a model by its name.

    Raises
    ------
    ValueError
        If neither pickflow nor SeisBench has such a model.
    """
    found = OWN_MODELS.get(name) or getattr(seisbench.models, name, None)
    if not (isinstance(found, type) and issubclass(found, seisbench.models.WaveformModel)):
        raise ValueError(f"model {name!r} is neither ours ({', '.join(OWN_MODELS)}) nor a SeisBench WaveformModel")
    return found


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
    card = read_card(folder)
    model = model_class(card["model"])(**card["model_args"])
    try:
        if card.get("compression"):
            resize_to(model, read_state(folder))
        else:
            model.load_state_dict(read_state(folder))
    except RuntimeError as error:
        raise ValueError(
            f"{folder}: the tensors do not fit {card['model']} as its card describes it: {error}"
        ) from error
    model.default_args.update(card["default_args"])
    if card.get("quantised"):
        model.quantised_network = _checked(Path(folder) / card["quantised"]["file"], card["quantised"]["sha256"])
    return model.to(torch.device(device)).eval()


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
    metadata = getattr(model, "_weights_metadata", {})
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
        "overlap_samples": model.default_args.get("overlap", model._annotate_args["overlap"][1]),
        "model_args": metadata.get("model_args", {}),
        "default_args": metadata.get("default_args", {}),
        "training_data": metadata.get("docstring", ""),
        "citation": model.citation,
        "parent": None,
    }
