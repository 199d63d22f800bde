"""A small training in a process of its own, which may be killed, or train together with others."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn

from pickflow.optimisation import Batch, Pace, Task, join_processes, optimise

N_WINDOWS = 8
PACE = Pace(
    n_steps=11,
    epoch_steps=4,
    checkpoint_steps=3,
    learning_rate=0.01,
    weight_decay=0.01,
    average_decay=0.9,
    dropout=True,
    seed=3,
)


def network():
    torch.manual_seed(0)
    # A bias before a normalisation has no effect, and the optimiser would let its rounding errors wander.
    first = nn.Conv1d(3, 4, 5, padding=2, bias=False)
    return nn.Sequential(first, nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.2), nn.Conv1d(4, 3, 5, padding=2))


def batches(first, last, share=slice(None)):
    for step in range(first, last):
        windows = np.random.default_rng([7, step]).normal(size=(N_WINDOWS, 3, 40)).astype(np.float32)
        labels = (np.abs(windows[:, ::-1]) > 1).astype(np.float32)
        yield Batch(windows=torch.from_numpy(windows[share]), probability=torch.from_numpy(labels.copy()[share]))


def judge(model):
    (batch,) = batches(100, 101)
    with torch.no_grad():
        return {"score": -loss(model(batch.windows), batch.probability).item()}


def loss(logits, probability):
    return nn.functional.binary_cross_entropy_with_logits(logits, probability)


def task(**changes):
    plain = {"model": network(), "logits": lambda model, x: model(x), "loss": loss, "batches": batches, "judge": judge}
    return Task(**plain | changes)


def main(folder, kill_at):
    """Train; ``kill_at`` is the step after which this process kills itself, or -1."""

    def on_step(n_done, total, loss):
        if n_done == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    together = join_processes()
    share = together.share(N_WINDOWS)
    main_task = task(batches=lambda first, last: batches(first, last, share), on_step=on_step, processes=together)
    pace = PACE
    if os.environ.get("WITHOUT_DROPOUT"):  # each process draws its own values to drop
        pace = Pace(**{**vars(PACE), "dropout": False})
    optimise(main_task, pace, Path(folder) / "checkpoint", "a")
    safetensors.torch.save_file(main_task.model.state_dict(), Path(folder) / f"weights-{together.rank}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
