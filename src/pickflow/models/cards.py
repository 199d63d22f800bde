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
from pickflow.io.documents import read_json
from pickflow.provenance import sha256_of_bytes

CARD_FILE = "card.json"
TENSORS_FILE = "model.safetensors"

# Largest numbers that a class of models is given; a larger width asks for more memory than there is.
_MOST_SAMPLES = 1e7
_MOST = 1e4
_DIGEST = {"type": "string", "pattern": r"\A[0-9a-f]{64}\Z"}
_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 1}
_SAMPLES = {
    "type": ["number", "array", "null"],
    "minimum": 0,
    "maximum": _MOST_SAMPLES,
    "items": {"type": "number", "minimum": -1, "maximum": _MOST_SAMPLES},
}
_BINS = {"probability_edges": _NUMBERS, "uncertainty_s": _NUMBERS}
_ARGUMENTS = {
    "model_args": {
        "type": "object",
        "patternProperties": {"sampl": _SAMPLES},
        "additionalProperties": {"$ref": "#/$defs/argument"},
    },
    "default_args": {
        "type": "object",
        "additionalProperties": {"$ref": "#/$defs/argument"},
        "patternProperties": {
            r"threshold\Z": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
            "overlap|blinding|sampl": _SAMPLES,
        },
    },
}
_DEFINITIONS = {
    "argument": {
        "type": ["string", "number", "boolean", "null", "array", "object"],
        "minimum": -_MOST,
        "maximum": _MOST,
        "maxLength": 10_000,
        "maxItems": 1000,
        "items": {"$ref": "#/$defs/argument"},
        "additionalProperties": {"$ref": "#/$defs/argument"},
    }
}
# What is used of the metadata beside SeisBench's weights, and of a card; the rest is for people.
PAIR_SCHEMA = {"properties": _ARGUMENTS, "$defs": _DEFINITIONS}
CARD_SCHEMA = {
    "type": "object",
    "required": ["model", "model_args", "default_args", "sha256"],
    "properties": {
        "model": {"type": "string"},
        "weights": {"type": "string"},
        "sha256": _DIGEST,
        "sampling_rate_hz": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": _MOST_SAMPLES},
        **_ARGUMENTS,
        "compression": {"type": ["object", "null"]},
        "quantised": {
            "type": ["object", "null"],
            "required": ["file", "sha256"],
            "properties": {"file": {"type": "string", "pattern": r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z"}, "sha256": _DIGEST},
        },
        "time_uncertainty": {
            "type": "object",
            "required": ["phases"],
            "properties": {
                "phases": {"additionalProperties": {"type": "object", "required": [*_BINS], "properties": _BINS}}
            },
        },
    },
    "$defs": _DEFINITIONS,
}


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
    if isinstance(value, set):
        return sorted(value, key=str)  # a set has another order in each process
    raise TypeError(f"{value!r} cannot be written to a card")


def read_card(folder: str | Path) -> dict[str, Any]:
    """
    Read the card of a model.

    Raises
    ------
    ValueError
        If there is none, or it is not a card.
    """
    try:
        return read_json(Path(folder) / CARD_FILE, CARD_SCHEMA)
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder}: no {CARD_FILE}; a model is a folder with {TENSORS_FILE} and {CARD_FILE}"
        ) from error


def read_state(folder: str | Path) -> dict[str, torch.Tensor]:
    """
    Tensors of a model, checked against the digest in its card.

    Raises
    ------
    ValueError
        If the file is absent, damaged or no safetensors, or the digest differs: it belongs to another card.
    """
    path = Path(folder) / TENSORS_FILE
    expected = read_card(folder)["sha256"]
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); make or fetch the model again") from error
    if sha256_of_bytes(content) != expected:
        raise ValueError(f"{path}: sha256 is not {expected}, as its card says; make or fetch the model again")
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # safetensors and torch raise many kinds, all of which mean the same
        raise ValueError(
            f"{path}: no tensors in the format safetensors ({error}); make or fetch the model again"
        ) from error
