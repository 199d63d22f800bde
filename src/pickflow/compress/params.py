"""What a compression depends on; the defaults are in the schema of the config's section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tune:
    """
    Distillation fine-tuning of a student.

    Parameters
    ----------
    steps : int
        Optimiser steps; 0 for none.
    batch_size : int
        Windows per step.
    learning_rate : float
        Highest rate; it falls as a cosine.
    """

    steps: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class CompressParams:
    """Parameters of a compression; see ``workflow/schemas/compress.schema.yaml``."""

    penalty: str
    n_windows: int
    pick_share: float
    arrival_weight: float
    n_path: int
    tune: Tune
    int8: bool
    check_certificate: bool
    seed: int

    def __post_init__(self) -> None:
        if isinstance(self.tune, Mapping):
            object.__setattr__(self, "tune", Tune(**self.tune))
