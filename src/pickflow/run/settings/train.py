"""Section ``train`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from pickflow.models.registry import trainable
from pickflow.run.settings.section import Number, Section, Text, Whole, key
from pickflow.suggestions import suggestion


def _trainable(name: str) -> str:
    names = trainable()
    if name not in names:
        problem = f"{name!r} cannot be trained; {suggestion(name, names)}"
        raise PydanticCustomError("not_trainable", "{problem}", {"problem": problem})
    return name


Trainable = Annotated[Text, AfterValidator(_trainable)]


class Shares(Section):
    """Composition of a batch; normalised."""

    synthetic: Number = key(0.45, "Synthetic earthquakes on noise.", ge=0)
    noise: Number = key(0.2, "Noise alone.", ge=0)
    continuous: Number = key(0.2, "Real continuous records, labelled by a teacher.", ge=0)
    labelled: Number = key(
        0.2,
        "Real earthquakes with manual picks; with 0 nothing of these records is used, and all of them serve the test.",
        ge=0,
    )


class TrainParams(Section):
    """
    Training of a picker; needs the real data named in docs/bundled-picker.md, or real_data
    synthetic_only.
    """

    AFFECTS: ClassVar = ("train",)

    model: Trainable = key("PickflowNet", "Picker to train: any that the registry calls trainable (docs/models.md).")
    teacher: Text | None = key(
        None,
        "MODEL/WEIGHTS from <shared>/seisbench_cache; the picker learns its probabilities instead of the labels, "
        "and takes over its filter and normalisation. null - no teacher.",
        pattern=r"\A[A-Za-z0-9_]+/[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    )
    seed: Whole = key(7, "Seed of data, augmentation and weights.", ge=0)
    epochs: Whole = key(32, "Epochs; one checkpoint each.", ge=1)
    steps_per_epoch: Whole = key(500, "Optimiser steps per epoch.", ge=1)
    batch_size: Whole = key(32, "Windows per step.", ge=1)
    learning_rate: Number = key(0.003, "Highest rate of AdamW; it falls as a cosine.", gt=0)
    weight_decay: Number = key(0.01, "Of AdamW.", ge=0)
    label_sigma_s: Number = key(0.1, "Half width of the bell that stands for a pick, s.", gt=0)
    n_signals: Whole = key(12000, "Size of the pool of synthetic earthquakes.", ge=1)
    n_noise: Whole = key(4000, "Size of the pool of synthetic noise windows.", ge=1)
    real_noise_share: Number = key(0.5, "Share of backgrounds that are real noise, where there is any.", ge=0, le=1)
    shares: Shares = Shares()
    real_data: Literal["require", "synthetic_only"] = key(
        "require", "require - fail without the real data; synthetic_only - do not use them."
    )
