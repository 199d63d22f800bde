"""Training and evaluation of our own pickers."""

from pickflow.train.bundle import train
from pickflow.train.evaluate import evaluate

__all__ = ["evaluate", "train"]
