"""A small picker learns a large one's probabilities: soft labels, no manual picks."""

from pickflow.distillation.checkpoints import optimiser_tensors, read_checkpoint, restore_optimiser, write_checkpoint
from pickflow.distillation.loop import DistillParams, distill, learning_rate, optimiser_step, set_training
from pickflow.distillation.objective import (
    LABEL_WEIGHTS,
    Teacher,
    cross_entropy,
    filter_windows,
    is_softmax,
    logits_of,
    normalised,
    probabilities_of,
    soft_label_loss,
    teacher_of,
)

__all__ = [
    "LABEL_WEIGHTS",
    "DistillParams",
    "Teacher",
    "cross_entropy",
    "distill",
    "filter_windows",
    "is_softmax",
    "learning_rate",
    "logits_of",
    "normalised",
    "optimiser_step",
    "optimiser_tensors",
    "probabilities_of",
    "read_checkpoint",
    "restore_optimiser",
    "set_training",
    "soft_label_loss",
    "teacher_of",
    "write_checkpoint",
]
