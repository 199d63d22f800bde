"""Optimisation of a picker, in epochs that can be resumed after a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from seisbench.models.base import WaveformModel
from torch import Tensor

from pickflow.distillation import (
    learning_rate,
    logits_of,
    optimiser_step,
    optimiser_tensors,
    read_checkpoint,
    restore_optimiser,
    set_training,
    soft_label_loss,
    write_checkpoint,
)
from pickflow.train.lessons import Lessons

_VALIDATION_BATCHES = 24


def optimise(
    lessons: Lessons,
    validation: Lessons,
    checkpoint: Path,
    fingerprint: str,
    progress: Callable[[int, int, dict[str, float]], None],
) -> list[dict[str, float]]:
    """
    Train the picker of the lessons, in place, or go on from a checkpoint of the same run.

    Parameters
    ----------
    lessons, validation : Lessons
        What to learn from, and what decides which epoch is kept.
    checkpoint : Path
        Folder of the checkpoint, written after each epoch.
    fingerprint : str
        Names parameters and data; a checkpoint of another run is ignored.
    progress : callable
        Called as ``progress(epochs done, epochs in all, losses)``.

    Returns
    -------
    list of dict
        ``epoch``, ``training_loss`` and ``validation_loss`` of each epoch. The picker has the weights of the epoch
        with the least validation loss, and is in evaluation mode.
    """
    model, params = lessons.model, lessons.params
    file = checkpoint / "checkpoint.safetensors"
    optimiser = torch.optim.AdamW(model.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    if found := read_checkpoint(file, fingerprint):
        groups, history = found
        best = groups["best"]
        model.load_state_dict(groups["model"])
        restore_optimiser(optimiser, groups["optimiser"])
    rng = np.random.default_rng([params.seed, 2])
    batches = [validation.batch(rng) for _ in range(_VALIDATION_BATCHES)]
    for epoch in range(len(history), params.epochs):
        losses: dict[str, float] = {"epoch": epoch, "training_loss": _train_epoch(lessons, optimiser, epoch)}
        losses["validation_loss"] = _mean_loss(model, batches)
        if losses["validation_loss"] < min((entry["validation_loss"] for entry in history), default=np.inf):
            best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        history.append(losses)
        groups = {"model": model.state_dict(), "best": best, "optimiser": optimiser_tensors(optimiser)}
        write_checkpoint(file, fingerprint, groups, history)
        progress(epoch + 1, params.epochs, losses)
    model.load_state_dict(best)
    model.eval()
    return history


def _train_epoch(lessons: Lessons, optimiser: torch.optim.Optimizer, epoch: int) -> float:
    model, params = lessons.model, lessons.params
    set_training(model)
    rng = np.random.default_rng([params.seed, 1, epoch])
    losses = []
    for index in range(params.steps_per_epoch):
        step = epoch * params.steps_per_epoch + index
        rate = learning_rate(step, params.epochs * params.steps_per_epoch, params.learning_rate)
        windows, probability = lessons.batch(rng)
        loss = soft_label_loss(model, logits_of(model, windows), probability)
        optimiser_step(model, optimiser, loss, rate)
        losses.append(loss.item())
    return float(np.mean(losses))


def _mean_loss(model: WaveformModel, batches: list[tuple[Tensor, Tensor]]) -> float:
    model.eval()
    with torch.no_grad():
        losses = [soft_label_loss(model, logits_of(model, windows), labels).item() for windows, labels in batches]
    return float(np.mean(losses))
