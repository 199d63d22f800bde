"""What a picker is taught: windows mixed from pools, with the labels of what was mixed or with a teacher's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from seisbench.models.base import WaveformModel
from torch import Tensor

from pickflow.distillation import Teacher, filter_windows, teacher_of
from pickflow.models.loading import untrained
from pickflow.run.settings.train import TrainParams
from pickflow.train.labels import as_labels
from pickflow.train.mixing import Pools, draw_batch

Array32 = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """
    Source of batches for a picker.

    Parameters
    ----------
    model : WaveformModel
        Who learns.
    params : TrainParams
        Composition of a batch.
    pools : Pools
        What is mixed.
    teacher : Teacher or None
        Who answers; None for the labels of what was mixed.
    """

    model: WaveformModel
    params: TrainParams
    pools: Pools
    teacher: Teacher | None = None

    def draw(self, rng: np.random.Generator) -> tuple[Array32, Array32]:
        """
        Windows as the picker's engine cuts them from a record, and the probability of each of its labels.

        Returns
        -------
        windows, probability : ndarray, shape (batch_size, 3, in_samples)
        """
        windows, phases = draw_batch(self.pools, self.params, self.model.in_samples, rng)
        rows = ["ZNE".index(component) for component in self.model.component_order]
        windows = filter_windows(self.model, windows[:, rows])
        return windows, self.teacher(windows) if self.teacher else as_labels(phases, self.model.labels)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """The same as tensors, the windows as the picker's network takes them."""
        windows, probability = self.draw(rng)
        # Mixed windows are neither tiny nor far from zero: what the engine does against that is not needed.
        ready = self.model.annotate_batch_pre(torch.from_numpy(windows), argdict=self.model.default_args)
        return ready, torch.from_numpy(probability)


def new_model(params: TrainParams, teacher: WaveformModel | None) -> WaveformModel:
    """
    Untrained picker that sees records as its teacher does: same components, filter and normalisation.

    Parameters
    ----------
    params : TrainParams
        Class and seed.
    teacher : WaveformModel or None

    Raises
    ------
    ValueError
        If the teacher has other labels or another window than the picker.
    """
    plain = untrained(params.model, params.seed)
    if teacher is None:
        return plain
    inherited = ("component_order", "filter_args", "filter_kwargs", "norm")
    arguments: dict[str, Any] = {name: getattr(teacher, name) for name in inherited if hasattr(teacher, name)}
    facts = [(list(model.labels), model.in_samples, model.sampling_rate) for model in (plain, teacher)]
    if facts[0] != facts[1]:
        raise ValueError(
            f"train.teacher {params.teacher}: labels, samples of a window and rate are {facts[1]}, those of"
            f" {params.model} {facts[0]}; take a teacher with the same, or train.teacher: null"
        )
    return untrained(params.model, params.seed, **arguments)


def teach(
    model: WaveformModel, params: TrainParams, pools: dict[str, Pools], teacher: WaveformModel | None
) -> dict[str, Lessons]:
    """Lessons from each part of the data, for a model and a teacher that are ready."""
    answers = None if teacher is None else teacher_of(teacher)
    return {
        part: Lessons(model=model, params=params, pools=pools_of_part, teacher=answers)
        for part, pools_of_part in pools.items()
    }
