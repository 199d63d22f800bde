"""Section ``implicit`` of a configuration."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pickflow.run.settings.section import Number, Section, Text, Unique, Whole, key, refusal

Pair = Annotated[
    Text,
    Field(
        pattern=r"\A[A-Za-z0-9]+/[A-Za-z0-9][A-Za-z0-9._-]*\Z",
        description="MODEL/WEIGHTS, such as PhaseNet/original",
    ),
]
Level = Annotated[float, Field(ge=0, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Ratio = Annotated[float, Field(gt=0, le=1, strict=True)]
Penalty = Literal["element", "group"]
_BOTH = ("implicit_teacher", "implicit_fit")


class Narrow(Section):
    """The narrow picker PickflowNet/narrow, which the run trains on synthetic windows."""

    AFFECTS: ClassVar = ("implicit_teacher",)

    channels: tuple[Whole, Whole, Whole, Whole] = key((4, 8, 8, 16), "Width of its four levels.")
    steps: Whole = key(1200, "Optimiser steps.", ge=1)
    batch_size: Whole = key(32, "Windows per step.", ge=1)
    learning_rate: Number = key(0.01, "Highest rate of AdamW; it falls as a cosine.", gt=0)
    n_signals: Whole = key(600, "Size of the pool of synthetic earthquakes; of noise there is half as much.", ge=2)


class Perturbations(Section):
    """What is done to the test windows, and how strongly; 0 is nothing."""

    noise: tuple[Level, ...] = key((0.1, 0.3, 1.0), "Synthetic noise, rms over that of the window; 0.1 is 20 dB.")
    gain: tuple[Level, ...] = key(
        (0.5, 1.0, 2.0), "Natural logarithm of the gain of each component, standard deviation."
    )
    dropout: tuple[Share, ...] = key((0.01, 0.1), "Share of the samples that are lost, one by one; they become zero.")
    gap_s: tuple[Level, ...] = key((1.0, 3.0), "Length of a gap of zeros that covers no arrival, s.")


class ImplicitParams(Section):
    """
    Pickers as implicit models, made sparse by state-driven training; with a picker in whole or layers, the run is this
    experiment and nothing else.
    """

    AFFECTS: ClassVar = ("implicit_fit",)
    ORDERED: ClassVar = (("min_snr_db", "max_snr_db"),)

    whole: Annotated[tuple[Pair, ...], Unique] = key(
        (),
        "Small pickers, MODEL/WEIGHTS, that become one equation each, every row of A and B with weights of its own.",
        affects="paths",
    )
    layers: Annotated[tuple[Pair, ...], Unique] = key(
        (), "Pickers, MODEL/WEIGHTS, whose rows share weights as their layers do; of any size.", affects="paths"
    )
    whole_samples: Whole = key(
        1024, "Length of the windows of pickers in whole, in samples; PickflowNet needs a multiple of 64.",
        affects=_BOTH, ge=1,
    )  # fmt: skip
    n_calibration: Whole = key(160, "Windows whose states the rows are fitted to.", ge=8)
    n_development: Whole = key(96, "Windows on which thresholds are chosen.", ge=8)
    n_test: Whole = key(200, "Synthetic windows that are scored.", ge=8)
    min_snr_db: Number = key(10.0, "Least signal-to-noise ratio of synthetic earthquakes, dB.", affects=_BOTH)
    max_snr_db: Number = key(40.0, "Largest signal-to-noise ratio of synthetic earthquakes, dB.", affects=_BOTH)
    labelled: tuple[Text, ...] = key(
        (),
        "Folders of labelled sets in SeisBench's format that are scored too, such as <shared>/data/labelled/stead50.",
    )
    penalties: Annotated[tuple[Penalty, ...], Unique] = key(
        ("element", "group"),
        "What the lasso eliminates; element is single weights, group all weights of a row on an input channel.",
        min_length=1,
    )
    ratios: Annotated[tuple[Ratio, ...], Unique] = key(
        (0.1, 0.03, 0.01, 0.003),
        "Penalties, as shares of the one that empties a row; from large to small.",
        min_length=1,
    )
    perturbed_ratio: Ratio = key(0.01, "The penalty, one of ratios, whose student is perturbed.")
    kappa: Number = key(0.95, "Bound of the sum of absolute weights of a row of A, where it is imposed.", gt=0, lt=1)
    perturbations: Perturbations = Perturbations()
    checked_share: Number = key(
        0.1, "Share of the problems that are solved again without screening, to count false eliminations.", gt=0, le=1
    )
    n_draws: Whole = key(1000, "Draws of records for the intervals.", ge=1)
    seed: Whole = key(0, "Seed of the windows, of the training and of the draws.", affects=_BOTH, ge=0)
    narrow: Narrow = Narrow()

    @model_validator(mode="after")
    def _check_ratios(self) -> Self:
        if list(self.ratios) != sorted(self.ratios, reverse=True):
            raise refusal("ratios", f"{list(self.ratios)} must fall")
        if self.perturbed_ratio not in self.ratios:
            raise refusal("perturbed_ratio", f"{self.perturbed_ratio:g} is none of ratios, {list(self.ratios)}")
        return self

    def pickers(self) -> list[tuple[str, str, str]]:
        """Form, model and weights of each picker."""
        named: list[tuple[str, tuple[str, ...]]] = [("whole", self.whole), ("layers", self.layers)]
        return [(form, *_split(pair)) for form, pairs in named for pair in pairs]


def _split(pair: str) -> tuple[Any, Any]:
    model, _, weights = pair.partition("/")
    return model, weights
