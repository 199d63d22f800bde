"""Optimiser, weights and history of an unfinished training in one file."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from pickflow.io.atomic import atomic_path

log = logging.getLogger(__name__)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as tensors by ``parameter.entry``."""
    states = optimiser.state_dict()["state"]
    return {f"{index}.{name}": tensor for index, state in states.items() for name, tensor in state.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put `optimiser_tensors` back."""
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})


def write_checkpoint(
    path: Path, fingerprint: str, groups: Mapping[str, Mapping[str, Tensor]], history: Sequence[Mapping[str, float]]
) -> None:
    """
    Write a checkpoint as one file: tensors, with the history in its metadata.

    Parameters
    ----------
    path : Path
        Of the file.
    fingerprint : str
        What `read_checkpoint` must be asked for.
    groups : mapping of str to mapping of str to Tensor
        The name of a group has no dot.
    history : sequence of mapping
        Entries of numbers.
    """
    tensors = {f"{group}.{name}": t.contiguous() for group, named in groups.items() for name, t in named.items()}
    metadata = {"fingerprint": fingerprint, "history": json.dumps(history)}
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, metadata)


def read_checkpoint(path: Path, fingerprint: str) -> tuple[dict[str, dict[str, Tensor]], list[dict[str, float]]] | None:
    """Groups and history of `write_checkpoint`; None if there is none, or a damaged or foreign one, which is said."""
    if not path.exists():
        return None
    try:
        return _read_checkpoint(path, fingerprint)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        log.warning("%s cannot be read (%s); training starts anew", path, error)
        return None


def _read_checkpoint(
    path: Path, fingerprint: str
) -> tuple[dict[str, dict[str, Tensor]], list[dict[str, float]]] | None:
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("fingerprint") != fingerprint:
            log.warning("%s belongs to another run; training starts anew", path)
            return None
        groups: dict[str, dict[str, Tensor]] = {}
        for name in file.keys():  # noqa: SIM118 - not a dict
            group, _, key = name.partition(".")
            groups.setdefault(group, {})[key] = file.get_tensor(name)
    return groups, json.loads(metadata["history"])
