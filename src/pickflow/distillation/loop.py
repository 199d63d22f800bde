"""Distillation: steps that can be resumed after a kill."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from seisbench.models.base import WaveformModel
from torch import Tensor, nn

from pickflow.distillation.checkpoints import optimiser_tensors, read_checkpoint, restore_optimiser, write_checkpoint
from pickflow.distillation.objective import Array32, logits_of, normalised, soft_label_loss

Draw = Callable[[np.random.Generator, int], Array32]

WARM_UP_STEPS = 200


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


def learning_rate(step: int, n_steps: int, highest: float) -> float:
    """Linear warm-up over 200 steps or a tenth of all, then half a cosine down to 1 % of the highest rate."""
    warm = min((step + 1) / min(WARM_UP_STEPS, max(n_steps // 10, 1)), 1.0)
    return highest * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / n_steps)))


def optimiser_step(model: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """One step down a loss at a rate, the gradient's norm cut at 1."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


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
    # Reductions of several threads add up in an order that changes from run to run.
    torch.set_num_threads(1)
    fingerprint = f"{fingerprint} {params}"
    optimiser = torch.optim.AdamW(student.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    _apply_masks(student, masks or {})
    history = _resume(checkpoint, fingerprint, student, optimiser)
    set_training(student, params.train_norms)
    losses: list[float] = []
    for step in range(int(history[-1]["step"]) if history else 0, params.steps):
        rate = learning_rate(step, params.steps, params.learning_rate)
        windows = draw(np.random.default_rng([params.seed, step]), params.batch_size)
        probability = _soft_labels(student, teacher_probabilities, windows, step)
        loss = soft_label_loss(student, logits_of(student, normalised(student, windows)), probability)
        optimiser_step(student, optimiser, loss, rate)
        _apply_masks(student, masks or {})
        losses.append(loss.item())
        if (step + 1) % params.checkpoint_steps == 0 or step + 1 == params.steps:
            history.append({"step": step + 1, "loss": float(np.mean(losses)), "learning_rate": rate})
            losses = []
            if checkpoint:
                groups = {"model": student.state_dict(), "optimiser": optimiser_tensors(optimiser)}
                write_checkpoint(checkpoint, fingerprint, groups, history)
        progress(step + 1, params.steps, loss.item())
    student.eval()
    return history


def _check(student: WaveformModel, teacher: Callable[[Array32], Array32], masks: Mapping[str, Tensor]) -> None:
    mine = {"labels": list(student.labels), "component_order": str(student.component_order)}
    for name, value in mine.items():
        wanted = getattr(teacher, name, value)
        if value != wanted:
            raise ValueError(
                f"distillation: the student {student.name} has the {name} {value}, its teacher {wanted}; "
                "take a student with the teacher's labels and components in the teacher's order"
            )
    shapes = {name: parameter.shape for name, parameter in student.named_parameters()}
    for name, mask in masks.items():
        if name not in shapes or mask.shape != shapes[name]:
            wanted = (
                f"it has the shape {tuple(shapes[name])}" if name in shapes else "the student has no such parameter"
            )
            raise ValueError(f"distillation: a mask of shape {tuple(mask.shape)} for the parameter {name!r}: {wanted}")


def _apply_masks(student: WaveformModel, masks: Mapping[str, Tensor]) -> None:
    parameters = dict(student.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask.to(parameters[name]))


def set_training(student: nn.Module, train_norms: bool = True) -> None:
    """Training mode without dropout, and on request without batch statistics."""
    student.train()
    for module in student.modules():
        norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        if isinstance(module, nn.modules.dropout._DropoutNd) or (norm and not train_norms):
            module.eval()


def _soft_labels(student: WaveformModel, teacher: Callable[[Array32], Array32], windows: Array32, step: int) -> Tensor:
    if not np.isfinite(windows).all():
        index = int(np.flatnonzero(~np.isfinite(windows).all(axis=(1, 2)))[0])
        raise ValueError(
            f"distillation: window {index} of step {step} has samples that are not finite; drop its record"
        )
    found = teacher(windows)
    expected = (len(windows), len(student.labels), windows.shape[-1])
    if found.shape != expected:
        raise ValueError(f"distillation: the teacher gives the shape {found.shape}, the student {expected}")
    return torch.from_numpy(found).to(next(student.parameters()).device)


def _resume(
    checkpoint: Path | None, fingerprint: str, student: nn.Module, optimiser: torch.optim.Optimizer
) -> list[dict[str, float]]:
    """Put the checkpoint, where there is one, into student and optimiser; its history."""
    found = read_checkpoint(checkpoint, fingerprint) if checkpoint else None
    if found is None:
        return []
    groups, history = found
    student.load_state_dict(groups["model"])
    restore_optimiser(optimiser, groups["optimiser"])
    return history
