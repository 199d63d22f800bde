"""Distillation: steps that can be resumed after a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from seisbench.models.base import WaveformModel
from torch import Tensor

from pickflow.distillation.objective import Array32, logits_of, normalised, soft_label_loss
from pickflow.optimisation import Batch, Pace, Task, optimise

Draw = Callable[[np.random.Generator, int], Array32]


@dataclass(frozen=True, kw_only=True)
class DistillParams:
    """
    Length and pace of a distillation.

    Parameters
    ----------
    steps, batch_size : int
        Optimiser steps, and windows in each.
    learning_rate, weight_decay : float
        Of AdamW: the highest rate, after the warm-up; it falls as a cosine.
    seed : int
        Of the windows: step k draws with ``default_rng([seed, k])``.
    checkpoint_steps : int
        Steps between checkpoints and entries of the history.
    train_norms : bool
        Whether batch normalisations follow the windows; otherwise they keep their statistics.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    checkpoint_steps: int = 500
    train_norms: bool = True

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.checkpoint_steps) < 1:
            raise ValueError("distillation: steps, batch_size and checkpoint_steps must be at least 1")


def distill(
    student: WaveformModel,
    teacher_probabilities: Callable[[Array32], Array32],
    draw: Draw,
    params: DistillParams,
    *,
    checkpoint: Path | None,
    fingerprint: str,
    progress: Callable[[int, int, float], None],
    masks: Mapping[str, Tensor] | None = None,
) -> list[dict[str, float]]:
    """
    Train a student to give a teacher's probabilities, in place.

    Parameters
    ----------
    student : WaveformModel
        Gets its own normalisation; ends in evaluation mode. Dropout stays off: the teacher has none, either.
    teacher_probabilities : callable
        From windows of shape (n, n_components, in_samples) to probabilities of shape (n, n_labels, in_samples), such
        as `teacher_of` gives.
    draw : callable
        From a generator and a number of windows to windows of shape (n, n_components, in_samples), in any unit, and
        filtered as the teacher wants it (`filter_windows`).
    params : DistillParams
        Length and pace.
    checkpoint : Path or None
        File of the checkpoint; after a kill the same call goes on from it.
    fingerprint : str
        Names student, teacher and windows; a checkpoint with another one is ignored.
    progress : callable
        Called as ``progress(steps done, steps in all, loss)``.
    masks : mapping of str to Tensor, or None
        0 and 1 by the name of a parameter: where it is 0, the parameter stays 0.

    Returns
    -------
    list of dict
        ``step``, ``loss`` (mean since the last entry) and ``learning_rate``, one entry per checkpoint.

    Raises
    ------
    ValueError
        If the labels differ, a mask names no parameter, or windows or probabilities are not as said.
    """
    _check(student, teacher_probabilities, masks or {})

    def batches(first: int, last: int) -> Iterator[Batch]:
        for step in range(first, last):
            windows = draw(np.random.default_rng([params.seed, step]), params.batch_size)
            probability = _soft_labels(student, teacher_probabilities, windows, step)
            yield Batch(windows=normalised(student, windows), probability=probability)

    _apply_masks(student, masks or {})
    task = Task(
        model=student,
        logits=logits_of,
        loss=lambda logits, probability: soft_label_loss(student, logits, probability),
        batches=batches,
        after_step=lambda: _apply_masks(student, masks or {}),
        on_step=progress,
    )
    history = optimise(task, _pace(params), checkpoint, f"{fingerprint} {params}")
    return [
        {"step": entry["step"], "loss": entry["training_loss"], "learning_rate": entry["learning_rate"]}
        for entry in history
    ]


def _pace(params: DistillParams) -> Pace:
    return Pace(
        n_steps=params.steps,
        epoch_steps=params.checkpoint_steps,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        train_norms=params.train_norms,
    )


def _check(student: WaveformModel, teacher: Callable[[Array32], Array32], masks: Mapping[str, Tensor]) -> None:
    attributes = {"labels": list(student.labels), "component_order": str(student.component_order)}
    for name, value in attributes.items():
        teacher_value = getattr(teacher, name, value)
        if value != teacher_value:
            raise ValueError(
                f"distillation: the student {student.name} has the {name} {value}, its teacher {teacher_value}; "
                "take a student with the teacher's labels and components in the teacher's order"
            )
    shapes = {name: parameter.shape for name, parameter in student.named_parameters()}
    for name, mask in masks.items():
        if name not in shapes or mask.shape != shapes[name]:
            reason = (
                f"it has the shape {tuple(shapes[name])}" if name in shapes else "the student has no such parameter"
            )
            raise ValueError(f"distillation: a mask of shape {tuple(mask.shape)} for the parameter {name!r}: {reason}")


def _apply_masks(student: WaveformModel, masks: Mapping[str, Tensor]) -> None:
    parameters = dict(student.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask.to(parameters[name]))


def _soft_labels(student: WaveformModel, teacher: Callable[[Array32], Array32], windows: Array32, step: int) -> Tensor:
    if not np.isfinite(windows).all():
        index = int(np.flatnonzero(~np.isfinite(windows).all(axis=(1, 2)))[0])
        raise ValueError(
            f"distillation: window {index} of step {step} has samples that are not finite; drop its record"
        )
    probabilities = teacher(windows)
    expected = (len(windows), len(student.labels), windows.shape[-1])
    if probabilities.shape != expected:
        raise ValueError(f"distillation: the teacher gives the shape {probabilities.shape}, the student {expected}")
    return torch.from_numpy(probabilities).to(next(student.parameters()).device)
