"""Section ``pick`` of a configuration."""

from __future__ import annotations

from typing import ClassVar, Literal

from pickflow.run.settings.section import Flag, Number, Section, Text, Whole, key


class PickParams(Section):
    """Picking; every combination of models and weights that exists is run."""

    AFFECTS: ClassVar = ("pick",)

    models: tuple[Text, ...] = key(
        ("PickflowNet",), "Pickers, such as PickflowNet (bundled), PhaseNet, EQTransformer.", affects="paths"
    )
    weights: tuple[Text, ...] = key(
        ("bundled",),
        "Weights tried with each model; combinations that do not exist are skipped with a warning.",
        affects="paths",
    )
    pairs: tuple[Text, ...] = key((), "Further combinations as MODEL/WEIGHTS.", affects="paths")
    p_threshold: Number | None = key(
        None, "Least probability of a P pick; null takes the threshold that came with the weights.", gt=0, le=1
    )
    s_threshold: Number | None = key(
        None, "Least probability of an S pick; null takes the threshold that came with the weights.", gt=0, le=1
    )
    overlap_samples: Whole | None = key(
        None, "Overlap of neighbouring windows in samples; null takes the model's own.", ge=0
    )
    stacking: Literal["avg", "max"] | None = key(
        None, "How overlapping windows are combined; null takes the model's own."
    )
    batch_size: Whole | None = key(
        None,
        "Windows per forward pass; null takes the backend's own (small on a CPU, whose cache they fit, 1024 on a GPU).",
        affects="nothing",
        ge=1,
    )
    backend: Literal["auto", "kernels", "onnxruntime", "torch", "seisbench"] = key(
        "auto",
        "Who computes. auto takes torch on a GPU, and on a CPU the first that can of pickflow's own kernels, ONNX "
        "Runtime and torch; seisbench takes SeisBench's own classify.",
        affects=("pick", "report"),
    )
    mode: Literal["exact", "fast"] = key(
        "exact", "exact computes in float32; fast lets the kernels compute convolutions in 16-bit integers."
    )
    bridge_gaps_s: Number = key(
        0.5,
        "Gaps up to this length in seconds are bridged by a straight line; 0 bridges none, as SeisBench does.",
        ge=0,
        le=10,
    )
    drop_artefacts: Flag = key(
        True,
        "Drop the picks on edges of gaps, steps, spikes and padding that no wave explains; the ledger counts them.",
    )
