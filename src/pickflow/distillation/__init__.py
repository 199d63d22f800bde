"""A small picker learns a large one's probabilities: soft labels, no manual picks."""

from pickflow.distillation.loop import DistillParams, distill
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
    "logits_of",
    "normalised",
    "probabilities_of",
    "soft_label_loss",
    "teacher_of",
]
