"""Section ``compress`` of a configuration."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from pickflow.run.settings.section import Flag, Number, Section, Text, Unique, Whole, key


def _target(value: Any) -> Any:
    """A mapping, a list of them, or nothing; `pickflow.run.students` reads them."""
    if isinstance(value, dict):
        return {name: value[name] for name in sorted(value)}
    if value is None or isinstance(value, list | tuple):
        return value
    raise PydanticCustomError("target", "{value} is not of type 'object', 'array', 'null'", {"value": repr(value)})


Target = Annotated[Any, BeforeValidator(_target), WithJsonSchema({"type": ["object", "array", "null"]})]


class Tune(Section):
    """Distillation of each student from its teacher on waveforms of the run, after the elimination."""

    steps: Whole = key(0, "Optimiser steps; 0 for none.", ge=0)
    batch_size: Whole = key(16, "Windows per step.", ge=1)
    learning_rate: Number = key(0.001, "Highest rate of AdamW.", gt=0)


class CompressParams(Section):
    """Compression; each teacher gets smaller students, which pick and make catalogs like any other picker."""

    AFFECTS: ClassVar = ("compress",)

    target: Target = key(
        None,
        "How small, or how good, a student must be: {macs: share of the teacher's multiply-accumulates kept}, "
        "{parameters: share kept}, both in one, or {max_f1_loss: largest loss of pick F1}, each between 0 and 1; "
        "a list makes a student of each; null makes none.",
        affects="paths",
    )
    methods: Annotated[tuple[Literal["safe", "magnitude"], ...], Unique] = key(
        ("safe",),
        "safe eliminates features by a lasso with certificates, magnitude the smallest channels (the baseline).",
        affects="paths",
        min_length=1,
    )
    penalty: Literal["group", "element"] = key(
        "group",
        "What the lasso of safe eliminates - group is whole input channels, so that the network gets smaller; "
        "element is single weights.",
    )
    teachers: tuple[Text, ...] = key(
        (),
        "Patterns MODEL/WEIGHTS (with * and ?) of the pickers that are compressed; an empty list is every one in pick.",
        affects="paths",
    )
    n_windows: Whole = key(
        256,
        "Calibration windows, taken from the waveforms of the run; every fourth five minutes are kept from them, "
        "to measure F1.",
        ge=1,
    )
    pick_share: Number = key(
        0.6,
        "Share of the calibration windows that lie around picks of the teacher, 0 to 1; the rest is noise.",
        ge=0,
        le=1,
    )
    arrival_weight: Number = key(4.0, "Weight of samples near arrivals; the others have 1.", gt=0)
    n_path: Whole = key(
        20, "Points of the path of penalties from all features to none; more of them come nearer to the target.", ge=2
    )
    tune: Tune = Tune()
    int8: Flag = key(False, "Make each student in 8-bit integers as well (its name ends in -int8).", affects="paths")
    check_certificate: Flag = key(
        False, "Solve all problems again without screening and count false eliminations (slow; there must be none)."
    )
    seed: Whole = key(0, "Seed of the choice of windows and of the tuning.", ge=0)
