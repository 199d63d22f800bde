"""Training of a picker: steps that can be resumed after a kill, and the choice of an epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pickflow.optimisation.averaging import WeightAverage
from pickflow.optimisation.checkpoints import optimiser_tensors, read_checkpoint, restore_optimiser, write_checkpoint
from pickflow.optimisation.clock import Clock
from pickflow.optimisation.processes import ONE_PROCESS, Processes, join_norms
from pickflow.optimisation.steps import Batch, Pace, optimiser_step, rate_at, seed_step, set_training

log = logging.getLogger(__name__)

SCORE = "score"  # entry of a judgement by which the epoch is chosen; the highest is the best


def _nothing(*_: Any) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """
    Who learns what, and what is done meanwhile.

    Parameters
    ----------
    model : Module
        Who learns; trained in place.
    logits : callable
        From model and windows to logits, shapes (n, n_components, n_samples) and (n, n_labels, n_samples).
    loss : callable
        From logits and probability to a number.
    batches : callable
        From a first and a last step (excluded) to the batches of these steps, in order; only the last one of an epoch
        or a checkpoint is a first step. The same step gives the same batch, before a kill and after.
    judge : callable or None
        From the model, in evaluation mode, to numbers of which ``score`` chooses the epoch; None keeps the last one.
    after_step : callable
        Called without arguments after each step, such as to put zeros back.
    on_step, on_epoch : callable
        Called as ``on_step(steps done, steps in all, loss)`` and ``on_epoch(entry of the history)``.
    processes : Processes
        Those that train together; each has its own share of every batch.
    clock : Clock
        Tells how long the network has waited for windows.
    """

    model: nn.Module
    logits: Callable[[Any, Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    batches: Callable[[int, int], Iterable[Batch]]
    judge: Callable[[Any], dict[str, float]] | None = None
    after_step: Callable[[], None] = _nothing
    on_step: Callable[[int, int, float], None] = _nothing
    on_epoch: Callable[[dict[str, float]], None] = _nothing
    processes: Processes = ONE_PROCESS
    clock: Clock = field(default_factory=Clock)


@dataclass
class _State:
    """What a checkpoint holds, apart from the model."""

    optimiser: torch.optim.Optimizer
    average: WeightAverage
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of the epoch that has begun
    step: int = 0


def optimise(task: Task, pace: Pace, checkpoint: Path | None, fingerprint: str) -> list[dict[str, float]]:
    """
    Train a picker, or go on from a checkpoint of the same training to the same weights.

    Parameters
    ----------
    task : Task
        Its model ends with the weights of the best epoch, in evaluation mode.
    pace : Pace
        How long and how fast.
    checkpoint : Path or None
        File of the checkpoint.
    fingerprint : str
        Names picker, windows and pace; a checkpoint with another one is ignored.

    Returns
    -------
    list of dict
        Of each epoch ``epoch``, ``step`` (steps done), ``training_loss`` (mean), ``learning_rate`` (last) and what the
        judge says.

    Raises
    ------
    ValueError
        If a loss is not finite, naming the step and the window.
    """
    # Reductions of several threads add up in an order that changes from run to run.
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    model = task.model
    join_norms(model, task.processes)
    optimiser = torch.optim.AdamW(model.parameters(), lr=pace.learning_rate, weight_decay=pace.weight_decay)
    state = _State(optimiser, WeightAverage(model, pace.average_decay))
    _resume(checkpoint, fingerprint, model, state)
    while state.step < pace.n_steps and not _is_over(state.history, pace.patience):
        for first, last in _stretches(pace, state.step):
            _run(task, pace, state, first, last)
            if last % pace.epoch_steps == 0 or last == pace.n_steps:
                state.history.append(_end_epoch(task, pace, state))
            if checkpoint and task.processes.first:
                _write(checkpoint, fingerprint, model, state)
        task.on_epoch(state.history[-1])
    if state.best:
        model.load_state_dict(state.best)
    model.eval()
    return state.history


def _stretches(pace: Pace, step: int) -> Iterator[tuple[int, int]]:
    """First and last step (excluded) of what lies between checkpoints, up to the end of the epoch."""
    end = min((step // pace.epoch_steps + 1) * pace.epoch_steps, pace.n_steps)
    size = pace.checkpoint_steps or pace.epoch_steps
    while step < end:
        last = min(step + size, end)
        yield step, last
        step = last


def _is_over(history: list[dict[str, float]], patience: int | None) -> bool:
    scores = [entry[SCORE] for entry in history if SCORE in entry]
    return patience is not None and len(scores) - 1 - _best_index(scores) >= patience


def _best_index(scores: list[float]) -> int:
    return int(np.argmax(scores)) if scores else -1


def _run(task: Task, pace: Pace, state: _State, first: int, last: int) -> None:
    """Steps between two checkpoints."""
    set_training(task.model, pace.train_norms, pace.dropout)
    batches = task.clock.timed(task.batches(first, last))
    for step, batch in zip(range(first, last), batches, strict=True):
        seed_step(pace.seed, step, task.processes.rank)
        logits = _forward(task, batch.windows, pace.bfloat16)
        loss = task.loss(logits, batch.probability)
        value = loss.item()
        if not np.isfinite(value):
            raise ValueError(_complaint(step, batch, logits))
        rate = rate_at(pace, step)
        optimiser_step(task.model, state.optimiser, loss, rate, pace.gradient_norm, task.processes)
        task.after_step()
        state.step = step + 1
        state.average.update(state.step)
        state.losses.append(task.processes.mean(value))
        task.on_step(state.step, pace.n_steps, value)


def _forward(task: Task, windows: Tensor, bfloat16: bool) -> Tensor:
    with torch.autocast(windows.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        logits = task.logits(task.model, windows)
    return logits.float()


def _complaint(step: int, batch: Batch, logits: Tensor) -> str:
    """What is wrong with a step whose loss is not finite."""
    for of, values in (("samples", batch.windows), ("labels", batch.probability)):
        finite = torch.isfinite(values).flatten(1).all(dim=1)
        if not finite.all():
            index = int(torch.nonzero(~finite)[0])
            name = batch.names[index] if batch.names else "without a name"
            return f"training: window {index} ({name}) of step {step} has {of} that are not finite; drop its record"
    index = int(torch.nonzero(~torch.isfinite(logits).flatten(1).all(dim=1)).flatten()[:1].sum())
    name = f" ({batch.names[index]})" if batch.names else ""
    return (
        f"training: the loss of step {step} is not finite, with finite windows (first at window {index}{name}): the"
        " weights have grown without bound; take a smaller learning_rate, or a smaller gradient_norm"
    )


def _end_epoch(task: Task, pace: Pace, state: _State) -> dict[str, float]:
    """Entry of the history; the weights are kept if they are the best."""
    entry: dict[str, float] = {
        "epoch": len(state.history),
        "step": state.step,
        "training_loss": float(np.mean(state.losses)),
        "learning_rate": rate_at(pace, state.step - 1),
    }
    state.losses.clear()
    with state.average.applied():
        if task.judge:
            task.model.eval()
            entry |= task.processes.broadcast(task.judge(task.model) if task.processes.first else None)
        scores = [epoch[SCORE] for epoch in state.history if SCORE in epoch]
        if SCORE not in entry or entry[SCORE] > max(scores, default=-np.inf):
            state.best = {name: tensor.detach().clone() for name, tensor in task.model.state_dict().items()}
    return entry


def _write(checkpoint: Path, fingerprint: str, model: nn.Module, state: _State) -> None:
    groups = {
        "model": model.state_dict(),
        "best": state.best,
        "optimiser": optimiser_tensors(state.optimiser),
        "average": state.average.tensors(),
        "epoch": {"step": torch.tensor(state.step), "losses": torch.tensor(state.losses, dtype=torch.float64)},
    }
    write_checkpoint(checkpoint, fingerprint, groups, state.history)


def _resume(checkpoint: Path | None, fingerprint: str, model: nn.Module, state: _State) -> None:
    """Put the checkpoint, where there is one, into model and state."""
    content = read_checkpoint(checkpoint, fingerprint) if checkpoint else None
    if content is None:
        return
    groups, state.history = content
    model.load_state_dict(groups["model"])
    restore_optimiser(state.optimiser, groups.get("optimiser", {}))
    device = next(model.parameters()).device
    state.average.restore(groups.get("average", {}))
    state.best = {name: tensor.to(device) for name, tensor in groups.get("best", {}).items()}
    state.step, state.losses = int(groups["epoch"]["step"]), groups["epoch"]["losses"].tolist()
    log.info("training goes on after step %d", state.step)
