"""Cards of pickers that were trained here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import safetensors.torch
from seisbench.models.base import WaveformModel

from pickflow.models.registry import PICKERS, Entry, Training
from pickflow.models.seisbench_internals import class_defaults
from pickflow.provenance import sha256_of_bytes
from pickflow.run.settings.train import TrainParams
from pickflow.train.reading import TEACHER


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
    return {
        **describe_picker(params.model, model, thresholds),
        "training_data": data,
        "training_parameters": params.model_dump(),
        "teacher": params.teacher,
        "parent": _digest(teacher) if teacher else None,
        "seed": params.seed,
    }


def describe_picker(name: str, model: WaveformModel, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """
    What a card says about a picker that was trained here, apart from its training.

    Parameters
    ----------
    name : str
        Of its entry in the registry, or its class.
    model : WaveformModel
    thresholds : mapping of str to float
        Of P and S.
    """
    training = PICKERS.get(name, Entry()).training or Training(architecture=name, weights="trained")
    overlap, blinding = (class_defaults(model)[argument] for argument in ("overlap", "blinding"))
    return {
        "architecture": training.architecture,
        "model": name,
        "weights": training.weights,
        "labels": list(model.labels),
        "component_order": model.component_order,
        "sampling_rate_hz": model.sampling_rate,
        "in_samples": model.in_samples,
        "normalization": training.normalization or getattr(model, "norm", None),
        "overlap_samples": overlap,
        "blinding_samples": list(blinding),
        "thresholds": dict(thresholds),
        "default_args": {f"{phase}_threshold": value for phase, value in thresholds.items()},
        "model_args": model.get_model_args(),
        "licence": "GPL-3.0-or-later",
    }


def _digest(model: WaveformModel) -> str:
    """As `write_model` gives it."""
    tensors = {name: tensor.cpu().contiguous().clone() for name, tensor in sorted(model.state_dict().items())}
    return sha256_of_bytes(safetensors.torch.save(tensors))
