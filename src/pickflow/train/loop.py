"""Optimisation of the bundled picker, in epochs that can be resumed after a kill."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from pickflow.io.atomic import atomic_path
from pickflow.models.network import IN_SAMPLES, PickflowNet
from pickflow.train.mixing import Pools, draw_batch
from pickflow.train.params import TrainParams

log = logging.getLogger(__name__)

_WARM_UP_STEPS = 200
_VALIDATION_BATCHES = 24


def optimise(
    params: TrainParams,
    pools: Pools,
    validation: Pools,
    checkpoint: Path,
    fingerprint: str,
    progress: Callable[[int, int, dict[str, float]], None],
) -> tuple[PickflowNet, list[dict[str, float]]]:
    """
    Train from scratch, or go on from a checkpoint of the same run.

    Parameters
    ----------
    params : TrainParams
        Length, rate and seed.
    pools, validation : Pools
        Data to learn from, and data that decide which epoch is kept.
    checkpoint : Path
        Folder of the checkpoint, written after each epoch.
    fingerprint : str
        Names parameters and data; a checkpoint of another run is ignored.
    progress : callable
        Called as ``progress(epochs done, epochs in all, losses)``.

    Returns
    -------
    model : PickflowNet
        The weights of the epoch with the least validation loss.
    history : list of dict
        ``epoch``, ``training_loss`` and ``validation_loss`` of each epoch.
    """
    torch.manual_seed(params.seed)
    model = PickflowNet()
    optimiser = torch.optim.AdamW(model.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    history, best = _resume(checkpoint, fingerprint, model, optimiser)
    batches = _validation_batches(params, validation)
    for epoch in range(len(history), params.epochs):
        training_loss = _train_epoch(model, optimiser, params, pools, epoch)
        validation_loss = _mean_loss(model, batches)
        losses = {"epoch": epoch, "training_loss": training_loss, "validation_loss": validation_loss}
        if not history or validation_loss < min(entry["validation_loss"] for entry in history):
            best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        history.append(losses)
        _save(checkpoint, fingerprint, model, optimiser, best, history)
        progress(epoch + 1, params.epochs, losses)
    model.load_state_dict(best)
    return model.eval(), history


def cross_entropy(logits: Tensor, probability: Tensor) -> Tensor:
    """Mean cross entropy against soft labels, shapes (n, 3, n_samples)."""
    return -(probability * nn.functional.log_softmax(logits, dim=1)).sum(dim=1).mean()


def learning_rate(step: int, n_steps: int, highest: float) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the highest rate."""
    warm = min((step + 1) / _WARM_UP_STEPS, 1.0)
    return highest * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / n_steps)))


def _train_epoch(
    model: PickflowNet, optimiser: torch.optim.Optimizer, params: TrainParams, pools: Pools, epoch: int
) -> float:
    model.train()
    rng = np.random.default_rng([params.seed, 1, epoch])
    losses = []
    for index in range(params.steps_per_epoch):
        step = epoch * params.steps_per_epoch + index
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, params.epochs * params.steps_per_epoch, params.learning_rate)
        windows, probability = (torch.from_numpy(array) for array in draw_batch(pools, params, IN_SAMPLES, rng))
        optimiser.zero_grad()
        loss = cross_entropy(model(windows, logits=True), probability)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def _validation_batches(params: TrainParams, pools: Pools) -> list[tuple[Tensor, Tensor]]:
    """The same windows in every epoch."""
    rng = np.random.default_rng([params.seed, 2])
    batches = [draw_batch(pools, params, IN_SAMPLES, rng) for _ in range(_VALIDATION_BATCHES)]
    return [(torch.from_numpy(windows), torch.from_numpy(probability)) for windows, probability in batches]


def _mean_loss(model: PickflowNet, batches: list[tuple[Tensor, Tensor]]) -> float:
    model.eval()
    with torch.no_grad():
        losses = [cross_entropy(model(windows, logits=True), probability).item() for windows, probability in batches]
    return float(np.mean(losses))


def _save(
    folder: Path,
    fingerprint: str,
    model: PickflowNet,
    optimiser: torch.optim.Optimizer,
    best: dict[str, Tensor],
    history: list[dict[str, float]],
) -> None:
    """Write the checkpoint as one file: tensors, with the history in its metadata."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": tensor for name, tensor in state.items()}
    metadata = {"fingerprint": fingerprint, "history": json.dumps(history)}
    with atomic_path(folder / "checkpoint.safetensors") as temporary:
        safetensors.torch.save_file({name: t.contiguous() for name, t in tensors.items()}, temporary, metadata)


def _resume(
    folder: Path, fingerprint: str, model: PickflowNet, optimiser: torch.optim.Optimizer
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        return [], {}
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("fingerprint") != fingerprint:
            log.warning("%s belongs to another run; training starts anew", path)
            return [], {}
        tensors: dict[str, dict[str, Any]] = {"model": {}, "best": {}, "optimiser": {}}
        for name in file.keys():  # noqa: SIM118 - not a dict
            kind, _, rest = name.partition(".")
            tensors[kind][rest] = file.get_tensor(name)
    model.load_state_dict(tensors["model"])
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors["optimiser"].items():
        index, _, key = name.partition(".")
        states.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    return json.loads(metadata["history"]), tensors["best"]
