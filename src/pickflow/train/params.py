"""What the training of a picker depends on; the defaults are in the schema of the config's section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MODELS = ("PickflowNet", "LEQNet")
REAL_DATA = ("require", "synthetic_only")


@dataclass(frozen=True, kw_only=True)
class Shares:
    """
    What a training batch is made of; the shares are normalised.

    Parameters
    ----------
    synthetic : float
        Synthetic earthquakes on synthetic or real noise.
    noise : float
        Noise alone, with artefacts.
    continuous : float
        Continuous real records with the probabilities of a teacher as labels.
    labelled : float
        Real earthquakes with manual picks; with 0, nothing of these records is used, their noise neither.
    """

    synthetic: float
    noise: float
    continuous: float
    labelled: float


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """
    Everything that decides the weights.

    Parameters
    ----------
    model : str
        Class of the picker, one of `MODELS`.
    teacher : str or None
        ``MODEL/WEIGHTS`` from the SeisBench cache, whose probabilities the picker learns instead of the labels.
    seed : int
        Of data, augmentation and weights.
    epochs, steps_per_epoch, batch_size : int
        Length of the training; windows per step.
    learning_rate, weight_decay : float
        Of AdamW; the rate falls as a cosine.
    label_sigma_s : float
        Half width of the bell that stands for a manual or synthetic pick.
    n_signals, n_noise : int
        Size of the pools of synthetic earthquakes and synthetic noise.
    real_noise_share : float
        Share of backgrounds that are real, where there are any.
    shares : Shares
        Composition of a batch; a mapping is turned into it.
    real_data : str
        ``require``: it is an error if the real data are absent. ``synthetic_only``: do not use them at all.
    """

    model: str
    teacher: str | None
    seed: int
    epochs: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_sigma_s: float
    n_signals: int
    n_noise: int
    real_noise_share: float
    shares: Shares
    real_data: str

    def __post_init__(self) -> None:
        if isinstance(self.shares, Mapping):
            object.__setattr__(self, "shares", Shares(**self.shares))
        if self.model not in MODELS:
            raise ValueError(f"train.model {self.model!r} cannot be trained; known: {', '.join(MODELS)}")
        if self.teacher is not None and not all(self.teacher.partition("/")):
            raise ValueError(
                f"train.teacher {self.teacher!r} is not MODEL/WEIGHTS, such as EQTransformer/original_converted"
            )
        if self.real_data not in REAL_DATA:
            raise ValueError(f"train.real_data {self.real_data!r} is unknown; known: {', '.join(REAL_DATA)}")
        if min(self.epochs, self.steps_per_epoch, self.batch_size, self.n_signals, self.n_noise) < 1:
            raise ValueError("train: epochs, steps_per_epoch, batch_size, n_signals and n_noise must be at least 1")
