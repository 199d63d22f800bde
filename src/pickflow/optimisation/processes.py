"""Several processes that train one picker: each has its share of the windows, all have the same weights."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """
    Place of this process among those that train together.

    Parameters
    ----------
    rank, n : int
        Number of this process, counted from 0, and of all.
    local_rank : int
        Number of this process on its machine, which is that of its GPU.
    """

    rank: int = 0
    n: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def share(self, n_items: int) -> slice:
        """
        Items of this process: equal and neighbouring ones.

        Raises
        ------
        ValueError
            If they cannot be shared out evenly; pairs stay together, since one window is laid over its neighbour.
        """
        if self.n > 1 and n_items % (2 * self.n):
            raise ValueError(
                f"training: a batch of {n_items} windows cannot be shared by {self.n} processes;"
                f" take a multiple of {2 * self.n} as batch_size"
            )
        size = n_items // self.n
        return slice(self.rank * size, (self.rank + 1) * size)

    def average_gradients(self, model: nn.Module) -> None:
        """Put the mean over all processes in place of each gradient."""
        if self.n == 1:
            return
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.n
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, value: float) -> float:
        """Mean of a number over all processes."""
        if self.n == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64, device=_device_of_messages(self))
        dist.all_reduce(total)
        return total.item() / self.n

    def broadcast(self, thing: Any) -> Any:
        """What the first process has, in all of them."""
        if self.n == 1:
            return thing
        things = [thing]
        dist.broadcast_object_list(things, src=0)
        return things[0]


ONE_PROCESS = Processes()


def _device_of_messages(processes: Processes) -> torch.device:
    return torch.device("cuda", processes.local_rank) if dist.get_backend() == "nccl" else torch.device("cpu")


def join_processes(device: str = "cpu", environment: Mapping[str, str] = os.environ) -> Processes:
    """
    Join the processes that ``torchrun``, or ``srun`` with several tasks, has started; alone if neither has.

    Parameters
    ----------
    device : str
        ``cpu``, whose processes speak gloo, or ``cuda``, whose processes speak NCCL and have a GPU each.
    environment : mapping of str to str
        Variables of torchrun or SLURM.
    """
    place = _place(environment)
    if place is None:
        return ONE_PROCESS
    if device == "cuda":
        torch.cuda.set_device(place.local_rank)
    if not dist.is_initialized():
        # torchrun has made the meeting point itself.
        address = "env://" if "TORCHELASTIC_RUN_ID" in environment else "tcp://" + _meeting_point(environment)
        dist.init_process_group(
            "nccl" if device == "cuda" else "gloo", init_method=address, rank=place.rank, world_size=place.n
        )
    return place


def leave_processes() -> None:
    """End what `join_processes` began."""
    if dist.is_initialized():
        dist.destroy_process_group()


def local_environment(rank: int, n: int, port: int) -> dict[str, str]:
    """Variables for `join_processes` of one of n processes on this machine, which meet at a port."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in place.items()}


def _place(environment: Mapping[str, str]) -> Processes | None:
    for rank, n, local in (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")):
        if rank in environment and int(environment.get(n, 1)) > 1:
            return Processes(int(environment[rank]), int(environment[n]), int(environment.get(local, 0)))
    return None


def _meeting_point(environment: Mapping[str, str]) -> str:
    """Address and port of the first process: of SLURM the first node, and a port made from the job's number."""
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "127.0.0.1")
    port = 20_000 + int(environment.get("SLURM_JOB_ID", 0)) % 20_000
    return f"{environment.get('MASTER_ADDR', first_node(nodes))}:{environment.get('MASTER_PORT', port)}"


def first_node(nodes: str) -> str:
    """First of SLURM's list of nodes, such as ``lrdn[0012-0015,0020],login01``."""
    prefix, bracket, list_of_numbers = re.split(r",(?![^\[]*\])", nodes)[0].partition("[")
    if not bracket:
        return prefix
    numbers, _, suffix = list_of_numbers.partition("]")
    return prefix + re.split(r"[-,]", numbers)[0] + suffix


def _norm_of_all(norm: nn.BatchNorm1d, n: int, x: Tensor) -> Tensor:
    """Output of a batch normalisation with the statistics of the windows of all processes."""
    if not norm.training:
        return type(norm).forward(norm, x)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    mean, mean_square = _Sum.apply(torch.stack([x.mean(dim=(0, 2)), (x * x).mean(dim=(0, 2))])) / n
    variance = mean_square - mean**2
    n_values = x.numel() // x.shape[1] * n
    with torch.no_grad():
        share = norm.momentum if norm.momentum is not None else 0.1
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(variance * (n_values / (n_values - 1)), share)
        norm.num_batches_tracked += 1
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return x * scale[:, None] + (norm.bias - mean * scale)[:, None]


class _Sum(torch.autograd.Function):
    """Sum over all processes, whose gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def join_norms(model: nn.Module, processes: Processes) -> None:
    """
    Let batch normalisations see the windows of all processes, as torch's SyncBatchNorm does on GPUs only.

    Parameters
    ----------
    model : Module
        Changed in place; its state dict stays the same.
    processes : Processes
    """
    if processes.n == 1:
        return
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d) and module.affine and module.track_running_stats:
            module.forward = partial(_norm_of_all, module, processes.n)  # type: ignore[method-assign]
