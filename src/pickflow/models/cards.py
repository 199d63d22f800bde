"""A model on disk: `model.safetensors` and `card.json`, which says all that is needed to use and to cite it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from pickflow.io.atomic import write_bytes, write_text
from pickflow.provenance import sha256_of_bytes

CARD_FILE = "card.json"
TENSORS_FILE = "model.safetensors"


def write_model(folder: str | Path, state: Mapping[str, torch.Tensor], card: Mapping[str, Any]) -> dict[str, Any]:
    """
    Write tensors and card; the card gets the digest of the tensors.

    Parameters
    ----------
    folder : str or Path
        Where to.
    state : mapping of str to Tensor
        A state dict.
    card : mapping
        See ``docs/models.md``.

    Returns
    -------
    dict
        The card as written.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(state.items())}
    content = safetensors.torch.save(tensors)
    complete = {**card, "sha256": sha256_of_bytes(content), "n_parameters": n_parameters(tensors)}
    write_bytes(Path(folder) / TENSORS_FILE, content)
    write_card(folder, complete)
    return complete


def write_card(folder: str | Path, card: Mapping[str, Any]) -> None:
    """Write the card of a model as it is."""
    write_text(Path(folder) / CARD_FILE, json.dumps(card, indent=2, sort_keys=True, default=_jsonable) + "\n")


def n_parameters(state: Mapping[str, torch.Tensor]) -> int:
    """Number of values in a state dict, buffers of batch normalisation included."""
    return sum(tensor.numel() for tensor in state.values())


def _jsonable(value: Any) -> Any:
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, (set, tuple)):
        return list(value)
    raise TypeError(f"{value!r} cannot be written to a card")


def read_card(folder: str | Path) -> dict[str, Any]:
    """
    Read the card of a model.

    Raises
    ------
    ValueError
        If there is none, or it is not JSON.
    """
    path = Path(folder) / CARD_FILE
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder}: no {CARD_FILE}; a model is a folder with {TENSORS_FILE} and {CARD_FILE}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error


def read_state(folder: str | Path) -> dict[str, torch.Tensor]:
    """
    Tensors of a model, checked against the digest in its card.

    Raises
    ------
    ValueError
        If the digest differs: the file is damaged or belongs to another card.
    """
    path = Path(folder) / TENSORS_FILE
    content = path.read_bytes()
    expected = read_card(folder).get("sha256")
    if sha256_of_bytes(content) != expected:
        raise ValueError(f"{path}: sha256 is not {expected}, as its card says; make or fetch the model again")
    return safetensors.torch.load(content)
