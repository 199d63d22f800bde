"""Section ``denoise`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pickflow.run.settings.section import Number, Section, Text, Unique, Whole, key


class DenoiseParams(Section):
    """What is done to the waveforms before picking; each method makes a catalog of its own."""

    AFFECTS: ClassVar = ("denoise",)
    ORDERED: ClassVar = (("minimum_frequency_hz", "maximum_frequency_hz"),)

    methods: Annotated[tuple[Literal["none", "bandpass", "deepdenoiser"], ...], Unique] = key(
        ("none",), "none, bandpass or deepdenoiser; several are compared.", affects="paths", min_length=1
    )
    minimum_frequency_hz: Number = key(1.0, "Lower corner of the bandpass in Hz.", gt=0)
    maximum_frequency_hz: Number = key(
        20.0,
        "Upper corner of the bandpass in Hz; it is lowered to 0.9 of the Nyquist frequency where that is less.",
        gt=0,
    )
    corners: Whole = key(
        4,
        "Order of the Butterworth bandpass, applied once (causal, so that nothing is smeared before the onset).",
        ge=1,
        le=8,
    )
    weights: Text = key(
        "original",
        "Weights of SeisBench's DeepDenoiser, by name.",
        affects="paths",
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    )
