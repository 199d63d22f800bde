"""
The pickers that pickflow knows: all that is said about one outside its class, an entry each.

This module is read while the workflow is parsed, so it loads neither torch nor SeisBench.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Training:
    """
    What the card of a picker of the rule ``train`` says about its class.

    Parameters
    ----------
    architecture : str
        In one sentence.
    weights : str
        Name of the weights.
    normalization : str or None
        How windows are prepared, where the attribute ``norm`` of the model does not say it.
    """

    architecture: str
    weights: str
    normalization: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """
    A picker. Its labels, components and sampling rate are those of its class and weights.

    Parameters
    ----------
    module : str
        Where its class is.
    class_name : str
        Empty if the class has the name of the entry.
    arguments : mapping
        What the class is called with, beside what a card or a caller says.
    weights : tuple of str
        Those that exist: ``bundled`` with pickflow, others published in the SeisBench repository (2026-11). Later ones
        can be named in the config key ``pick.pairs`` without a change here.
    pick_cpu_s : float
        Seconds of one CPU core for one full station-day (3 x 8,640,000 samples), measured on a busy server core; for
        planning, good to a factor of two.
    compress_cpu_s : float or None
        Seconds of its compression, which do not grow with the run; None if it cannot be compressed.
    training : Training or None
        None if the rule ``train`` cannot train it.
    """

    module: str = "seisbench.models"
    class_name: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[str, ...] = ()
    pick_cpu_s: float = 20.0
    compress_cpu_s: float | None = None
    training: Training | None = None


def _published(*further_names: str) -> tuple[str, ...]:
    """Weights trained on the data sets that SeisBench trains every picker on, and others."""
    return tuple(sorted(("ethz", "geofon", "instance", "iquique", "lendb", "neic", "scedc", "stead", *further_names)))


def _variant(change: str, work: float = 1.0, **arguments: Any) -> Entry:
    """EQTransformer with a change; its times by its multiply-adds, as a share of EQT's (benchmarks/variants.py)."""
    return Entry(
        module="pickflow.models.eqtransformer",
        class_name="EQTransformerVariant",
        arguments=arguments,
        pick_cpu_s=9.0 * work,
        compress_cpu_s=1800.0 * work,
        training=Training(architecture=f"EQTransformer, {change}; see docs/lab-variants.md", weights="trained"),
    )


# Those of the EarthML experiments (docs/lab-variants.md has their sources, and what we chose where these say nothing).
VARIANTS: dict[str, Entry] = {
    "EQT": _variant("five residual blocks and two BiLSTM blocks"),
    "BCLOS": _variant("LSTM blocks in place of the BiLSTM blocks", recurrent_blocks=("lstm",) * 2),
    "BC": _variant("without recurrent blocks", recurrent_blocks=()),
    "BO": _variant("LSTM blocks after the BiLSTM blocks", recurrent_blocks=("bilstm",) * 2 + ("lstm",) * 2),
    "PartialVanilla": _variant("without residual and recurrent blocks", residual_kernels=(), recurrent_blocks=()),
    "Salvation": _variant("without BiLSTM blocks", recurrent_blocks=()),
    "Genesis": _variant("without LSTM in the branches of P and S", branch_recurrences=()),
    "Vanilla": _variant(
        "without residual blocks and recurrences", residual_kernels=(), recurrent_blocks=(), branch_recurrences=()
    ),
    "GRU": _variant("GRU for every LSTM", recurrent_blocks=("bigru",) * 2, branch_recurrences=("gru",)),
    "4x4": _variant(
        "four residual blocks and four BiLSTM blocks", residual_kernels=(3, 3, 3, 2), recurrent_blocks=("bilstm",) * 4
    ),
    "2LSTM": _variant("two LSTM layers in each branch", branch_recurrences=("lstm",) * 2),
    "nb_filters_changed_EQTUtils": _variant(
        "other filters in the decoders", work=1.8, decoder_filters=(128, 64, 64, 32, 32, 16, 16)
    ),
    "kernel_size_changed": _variant("other kernels in encoder and decoders", kernel_sizes=(10, 9, 8, 7, 6, 5, 4)),
    "nb_filters_changed_trainer": _variant(
        "other filters in encoder and decoders", work=2.6, filters=(8, 8, 32, 32, 128, 128, 128), n_units=8
    ),
}


def _pickflow_net(size: str, channels: tuple[int, ...], component_order: str, work: float, *weights: str) -> Entry:
    """PickflowNet of a size; its times by its multiply-adds, as a share of those of the first one."""
    kind = "for one component" if len(component_order) == 1 else "for three components"
    return Entry(
        module="pickflow.models.network",
        class_name="PickflowNet",
        arguments={"channels": channels, "component_order": component_order},
        weights=weights,
        pick_cpu_s=4.0 * work,
        compress_cpu_s=90.0 * work,
        training=Training(
            architecture=f"residual U-net, stride 4, dilated depthwise-separable bottom; front end inside the network; "
            f"{size}, {kind}",
            weights="bundled",
            normalization="inside the network: causal 1 Hz high-pass, robust scale per component, logarithm",
        ),
    )


PICKFLOW_NETS: dict[str, Entry] = {
    "PickflowNet": _pickflow_net("86 thousand weights", (8, 16, 32, 64), "ZNE", 1.0, "bundled"),
    "PickflowNetSmall": _pickflow_net("30 thousand weights", (4, 8, 16, 40), "ZNE", 0.3),
    "PickflowNetDeep": _pickflow_net("88 thousand weights", (4, 8, 24, 80), "ZNE", 0.55),
    "PickflowNetLarge": _pickflow_net("270 thousand weights", (8, 16, 32, 152), "ZNE", 1.6),
    "PickflowNetZ": _pickflow_net("88 thousand weights", (4, 8, 24, 80), "Z", 0.55),
    "PickflowNetSmallZ": _pickflow_net("29 thousand weights", (4, 8, 16, 40), "Z", 0.3),
    "PickflowNetLargeZ": _pickflow_net("270 thousand weights", (8, 16, 32, 152), "Z", 1.6),
}

PICKERS: dict[str, Entry] = {
    "PhaseNet": Entry(
        weights=_published("diting", "jma", "jma_wc", "obs", "original", "volpick"),
        pick_cpu_s=4.5,
        compress_cpu_s=600.0,
        training=Training(architecture="PhaseNet of SeisBench", weights="trained"),
    ),
    "PhaseNetLight": Entry(
        weights=_published(),
        pick_cpu_s=2.0,
        compress_cpu_s=300.0,
        training=Training(architecture="PhaseNetLight of SeisBench", weights="trained"),
    ),
    "EQTransformer": Entry(
        weights=_published("obs", "original", "original_nonconservative", "pnw", "volpick"),
        pick_cpu_s=9.0,
        compress_cpu_s=1800.0,
        training=Training(architecture="EQTransformer of SeisBench", weights="trained"),
    ),
    **PICKFLOW_NETS,
    "LEQNet": Entry(
        module="pickflow.models.leqnet",
        training=Training(
            architecture="EQTransformer with recurrent depthwise-separable convolutions and a bottleneck; "
            "see docs/leqnet.md",
            weights="trained",
        ),
    ),
    **VARIANTS,
    "VariableLengthPhaseNet": Entry(),
    "OBSTransformer": Entry(weights=("obst2024",)),
    "GPD": Entry(weights=_published("original")),
    "BasicPhaseAE": Entry(weights=_published()),
    "DKPN": Entry(),
    "Skynet": Entry(weights=("original",)),
}


def class_name(picker: str) -> str:
    """Name of the class of a picker; its own if there is no entry, or the entry says nothing else."""
    return PICKERS.get(picker, Entry()).class_name or picker


def compressible() -> list[str]:
    """Pickers that the stage `compress` can make smaller."""
    return [name for name, entry in PICKERS.items() if entry.compress_cpu_s is not None]


def compressible_classes() -> set[str]:
    """Names of their classes."""
    return {class_name(name) for name in compressible()}


def trainable() -> list[str]:
    """Pickers that the rule ``train`` can train."""
    return [name for name, entry in PICKERS.items() if entry.training]


def pick_cpu_s(model: str) -> float:
    """See `Entry`; a guess for a picker that has none."""
    return PICKERS.get(model, Entry()).pick_cpu_s


def compress_cpu_s(model: str) -> float:
    """See `Entry`; 0 for a picker that cannot be compressed."""
    return PICKERS[model].compress_cpu_s or 0.0
