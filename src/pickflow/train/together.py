"""Several processes of one machine that train a picker together."""

from __future__ import annotations

import multiprocessing
import socket
from pathlib import Path
from typing import Any

from pickflow.datasets.reading import Dataset
from pickflow.optimisation.processes import join_processes, leave_processes, local_environment
from pickflow.run.settings.training import Training
from pickflow.train.picker import train_picker


def train_together(
    name: str,
    dataset: Dataset,
    settings: Training,
    seed: int,
    folder: str | Path,
    *,
    device: str = "cpu",
    **options: Any,
) -> dict[str, Any]:
    """
    Train a picker in as many processes as the settings say, or in those that torchrun or srun has started.

    Parameters
    ----------
    name, dataset, settings, seed, folder, device
        See `pickflow.train.picker.train_picker`.
    **options
        Callbacks and clock of `train_picker`; they are called in this process.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ValueError
        As `train_picker`, or if another process ended with an error.
    """
    n = settings.optimisation.processes
    place = join_processes(device)
    if n == 1 or place.n > 1:
        return train_picker(name, dataset, settings, seed, folder, device=device, processes=place, **options)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Fresh processes: a fork would share threads and GPUs.
    context = multiprocessing.get_context("spawn")
    environments = [local_environment(rank, n, port) for rank in range(n)]
    processes = [
        context.Process(target=_train, args=(environment, name, dataset, settings, seed, folder, device), daemon=True)
        for environment in environments[1:]
    ]
    for process in processes:
        process.start()
    try:
        card = _train(environments[0], name, dataset, settings, seed, folder, device, **options)
    finally:
        for process in processes:
            process.join(60)
    if failed := [process.exitcode for process in processes if process.exitcode]:
        raise ValueError(f"training: {len(failed)} of {n} processes ended with an error; see what they wrote")
    return card


def _train(
    environment: dict[str, str],
    name: str,
    dataset: Dataset,
    settings: Training,
    seed: int,
    folder: str | Path,
    device: str,
    **options: Any,
) -> dict[str, Any]:
    """One of the processes."""
    place = join_processes(device, environment)
    try:
        return train_picker(name, dataset, settings, seed, folder, device=device, processes=place, **options)
    finally:
        leave_processes()
