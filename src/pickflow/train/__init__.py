"""Training and evaluation of our own pickers."""

from pickflow.train.bundle import train
from pickflow.train.evaluate import evaluate
from pickflow.train.params import TrainParams

__all__ = ["TrainParams", "evaluate", "train"]
