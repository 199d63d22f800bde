"""Optimisation of a picker of our own, in epochs that can be resumed after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pickflow.distillation import logits_of, soft_label_loss
from pickflow.optimisation import Batch, Pace, Task, optimise
from pickflow.run.settings.train import TrainParams
from pickflow.train.lessons import Lessons

_VALIDATION_BATCHES = 24
_OF_HISTORY = ("epoch", "training_loss", "validation_loss")


def optimise_lessons(
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
    params = lessons.params
    rng = np.random.default_rng([params.seed, 2])
    batches = [validation.batch(rng) for _ in range(_VALIDATION_BATCHES)]

    def judge(model: Any) -> dict[str, float]:
        loss = _mean_loss(model, batches)
        return {"validation_loss": loss, "score": -loss}

    task = Task(
        model=lessons.model,
        logits=logits_of,
        loss=lambda logits, probability: soft_label_loss(lessons.model, logits, probability),
        batches=lambda first, last: _batches(lessons, first, last),
        judge=judge,
        on_epoch=lambda entry: progress(int(entry["epoch"]) + 1, params.epochs, _of_history(entry)),
    )
    history = optimise(task, _pace(params), checkpoint / "checkpoint.safetensors", fingerprint)
    return [_of_history(entry) for entry in history]


def _pace(params: TrainParams) -> Pace:
    return Pace(
        n_steps=params.epochs * params.steps_per_epoch,
        epoch_steps=params.steps_per_epoch,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
    )


def _batches(lessons: Lessons, first: int, last: int) -> Iterator[Batch]:
    """Batches of an epoch, which are drawn one after the other."""
    rng = np.random.default_rng([lessons.params.seed, 1, first // lessons.params.steps_per_epoch])
    for _ in range(first, last):
        windows, probability = lessons.batch(rng)
        yield Batch(windows=windows, probability=probability)


def _of_history(entry: dict[str, float]) -> dict[str, float]:
    return {name: entry[name] for name in _OF_HISTORY}


def _mean_loss(model: Any, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    with torch.no_grad():
        losses = [soft_label_loss(model, logits_of(model, windows), labels).item() for windows, labels in batches]
    return float(np.mean(losses))
