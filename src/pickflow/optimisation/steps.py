"""One step of an optimiser: its rate, its mode, its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pickflow.optimisation.processes import Processes

WARM_UP_STEPS = 200
# Epoch from which on a share of the highest rate is taken, as in the code of Mousavi et al. (2020).
STAIRS = ((0, 1.0), (21, 0.1), (41, 0.01), (61, 0.001), (91, 0.0005))

Schedule = Literal["cosine", "stairs", "constant"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """
    What a step learns from.

    Parameters
    ----------
    windows : Tensor, shape (n, n_components, in_samples)
        As the picker's ``annotate_batch_pre`` leaves them.
    probability : Tensor, shape (n, n_labels, in_samples)
    names : tuple of str
        Of the windows, for messages; may be empty.
    """

    windows: Tensor
    probability: Tensor
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pace:
    """
    Length and pace of a training.

    Parameters
    ----------
    n_steps : int
        Steps of the optimiser.
    epoch_steps : int
        Steps of an epoch; the last one may be shorter.
    learning_rate, weight_decay : float
        Of AdamW: the highest rate.
    schedule : {"cosine", "stairs", "constant"}
        See `rate_at`.
    gradient_norm : float or None
        Norm at which gradients are cut.
    average_decay : float
        Of the running average of the weights, which is what is kept; 0 keeps the weights themselves.
    patience : int or None
        Epochs without a better score after which the training ends; None for all epochs.
    dropout, train_norms : bool
        Whether layers drop values, and whether batch normalisations follow the windows.
    bfloat16 : bool
        Whether the network computes in bfloat16 where that is safe; weights and loss stay in float32.
    checkpoint_steps : int or None
        Steps between checkpoints within an epoch; None for one at its end only.
    seed : int
        Of dropout.
    """

    n_steps: int
    epoch_steps: int
    learning_rate: float
    weight_decay: float
    schedule: Schedule = "cosine"
    gradient_norm: float | None = 1.0
    average_decay: float = 0.0
    patience: int | None = None
    dropout: bool = False
    train_norms: bool = True
    bfloat16: bool = False
    checkpoint_steps: int | None = None
    seed: int = 0


def learning_rate(step: int, n_steps: int, highest: float) -> float:
    """Linear warm-up over 200 steps or a tenth of all, then half a cosine down to 1 % of the highest rate."""
    warm = min((step + 1) / min(WARM_UP_STEPS, max(n_steps // 10, 1)), 1.0)
    return highest * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / n_steps)))


def rate_at(pace: Pace, step: int) -> float:
    """Learning rate of a step: `learning_rate`, the stairs of EQTransformer's authors, or always the highest."""
    if pace.schedule == "cosine":
        return learning_rate(step, pace.n_steps, pace.learning_rate)
    if pace.schedule == "constant":
        return pace.learning_rate
    epoch = step // pace.epoch_steps
    return pace.learning_rate * [share for first, share in STAIRS if first <= epoch][-1]


def set_training(model: nn.Module, train_norms: bool = True, dropout: bool = False) -> None:
    """Training mode, by default without dropout, and on request without batch statistics."""
    model.train()
    for module in model.modules():
        norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        drops = isinstance(module, nn.modules.dropout._DropoutNd)
        if (drops and not dropout) or (norm and not train_norms):
            module.eval()


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed what torch draws in a step, so that a resumed training draws the same."""
    torch.manual_seed((seed * 1_000_003 + step) * 1009 + rank)


def optimiser_step(
    model: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, rate: float, norm: float | None, of: Processes
) -> None:
    """One step down a loss at a rate, with the mean gradient of all processes, its norm cut."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    of.average_gradients(model)
    if norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), norm)
    optimiser.step()
