"""Card of a picker of the rule ``train``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import safetensors.torch
from seisbench.models.base import WaveformModel

from pickflow.provenance import sha256_of_bytes
from pickflow.train.params import TrainParams
from pickflow.train.reading import TEACHER

_ARCHITECTURE = {
    "PickflowNet": "residual U-net, stride 4, dilated depthwise-separable bottom; front end inside the network",
    "LEQNet": "EQTransformer with recurrent depthwise-separable convolutions and a bottleneck; see docs/leqnet.md",
}
_NORMALIZATION = {"PickflowNet": "inside the network: causal 1 Hz high-pass, robust scale per component, logarithm"}
_WEIGHTS = {"PickflowNet": "bundled", "LEQNet": "trained"}


def describe_training(
    params: TrainParams,
    model: WaveformModel,
    teacher: WaveformModel | None,
    thresholds: Mapping[str, float],
    counts: Mapping[str, int],
) -> dict[str, Any]:
    """
    Card without the digest that `write_model` adds.

    Parameters
    ----------
    params : TrainParams
    model, teacher : WaveformModel
        The picker, and who taught it; None if the labels did.
    thresholds : mapping of str to float
        Of P and S.
    counts : mapping of str to int
        Entries of each pool of the training.
    """
    real = "windows of training stations; see docs/bundled-picker.md"
    data = {
        "counts": dict(counts),
        "synthetic": "pickflow's own generator",
        "labelled": f"ncedc154 (AI4EPS/PhaseNet, MIT) and stead50 (smousavi05/EQTransformer, MIT), {real}",
        "continuous": f"Ridgecrest 2019 (tso1257771/RED-PAN, MIT) labelled by {' '.join(TEACHER)}, {real}",
        "real_data": params.real_data,
    }
    if not counts["labelled"]:
        del data["labelled"]
    overlap, blinding = (model._annotate_args[name][1] for name in ("overlap", "blinding"))
    return {
        "architecture": _ARCHITECTURE[params.model],
        "model": params.model,
        "weights": _WEIGHTS[params.model],
        "labels": list(model.labels),
        "component_order": model.component_order,
        "sampling_rate_hz": model.sampling_rate,
        "in_samples": model.in_samples,
        "normalization": _NORMALIZATION.get(params.model) or model.norm,
        "overlap_samples": overlap,
        "blinding_samples": list(blinding),
        "thresholds": dict(thresholds),
        "default_args": {f"{phase}_threshold": value for phase, value in thresholds.items()},
        "model_args": model.get_model_args(),
        "training_data": data,
        "training_parameters": asdict(params),
        "licence": "GPL-3.0-or-later",
        "teacher": params.teacher,
        "parent": _digest(teacher) if teacher else None,
        "seed": params.seed,
    }


def _digest(model: WaveformModel) -> str:
    """As `write_model` gives it."""
    tensors = {name: tensor.cpu().contiguous().clone() for name, tensor in sorted(model.state_dict().items())}
    return sha256_of_bytes(safetensors.torch.save(tensors))
