"""The one loop that trains a picker, whatever it learns from, and what belongs to it; see docs/training.md."""

from pickflow.optimisation.checkpoints import read_checkpoint, write_checkpoint
from pickflow.optimisation.clock import Clock
from pickflow.optimisation.loop import Task, optimise
from pickflow.optimisation.processes import ONE_PROCESS, Processes, join_processes
from pickflow.optimisation.steps import Batch, Pace, learning_rate, set_training

__all__ = [
    "ONE_PROCESS",
    "Batch",
    "Clock",
    "Pace",
    "Processes",
    "Task",
    "join_processes",
    "learning_rate",
    "optimise",
    "read_checkpoint",
    "set_training",
    "write_checkpoint",
]
