"""Distillation fine-tuning: a student learns its teacher's probabilities on the run's waveforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from pickflow.compress.windows import Source, draw_varied
from pickflow.distillation import DistillParams, distill, teacher_of
from pickflow.run.settings.compress import Tune

Draw = Callable[[np.random.Generator, int], np.ndarray]


def tune(
    student: Any,
    teacher: Any,
    source: Source,
    params: Tune,
    seed: int,
    progress: Callable[[int, int], None] = lambda n_done, total: None,
    masks: Mapping[str, Tensor] | None = None,
    draw_extra: Draw | None = None,
) -> None:
    """
    Tune a student, in place.

    Parameters
    ----------
    student, teacher : WaveformModel
        The student gets the teacher's probabilities as soft labels.
    source : Source
        Windows of the run, filtered for the teacher.
    params : Tune
        Number of steps.
    seed : int
        Of the windows.
    progress : callable
        Called as ``progress(steps done, steps in all)``.
    masks : mapping of str to Tensor, or None
        Parameters that stay zero where their mask is.
    draw_extra : callable or None
        Source of half of the windows, as ``draw_extra(generator, number)``.
    """

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        n_extra = n // 2 if draw_extra else 0
        windows = draw_varied(source, rng, n - n_extra)
        return np.concatenate([windows, draw_extra(rng, n_extra)]) if draw_extra else windows

    distill(
        student,
        teacher_of(teacher),
        draw,
        DistillParams(
            steps=params.steps,
            batch_size=params.batch_size,
            learning_rate=params.learning_rate,
            weight_decay=0.0,
            seed=seed,
        ),
        checkpoint=None,
        fingerprint="",
        progress=lambda n_done, total, loss: progress(n_done, total),
        masks=masks,
    )
