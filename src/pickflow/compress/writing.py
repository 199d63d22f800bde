"""Files of a student: tensors, card, certificate and exports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pickflow.compress.exporting import ONNX_FILE, largest_difference, quantised, write_onnx
from pickflow.compress.selection import Path as PenaltyPath
from pickflow.compress.teacher import Student, Teacher
from pickflow.io.atomic import write_bytes, write_text
from pickflow.models.cards import write_model
from pickflow.models.layers import n_outputs
from pickflow.provenance import sha256_of_bytes
from pickflow.run.settings.compress import CompressParams
from pickflow.run.students import Student as Name

CERTIFICATE_FILE = "certificate.json"
INT8_FILE = "model.int8.onnx"
# Chosen: windows on which exports are compared with torch.
N_EXPORT_WINDOWS = 32
# Keys of the teacher's card that do not hold for a student, or get new values.
_NOT_INHERITED = ("sha256", "n_parameters", "time_uncertainty", "weights_version", "thresholds")


def certificate(teacher: Teacher, student: Student) -> dict[str, Any]:
    """
    Proofs about the features that a student lacks.

    Returns
    -------
    dict
        ``totals`` over all layers, and ``layers``: for each lasso of the path the penalty, its duality gap, how many
        features each rule screened, and what an unscreened solution said if one was made; ``stays_up_to`` is the
        largest penalty at which each channel stays: the order in which they are given up. Empty for the baseline.
    """
    layers: list[dict[str, Any]] = []
    for number, path in enumerate(teacher.paths if student.choice is not None else ()):
        point_index = student.choice[number] if student.choice is not None else 0
        layers.append(
            {
                "channels": dict(path.sets),
                "read_by": list(dict.fromkeys(path.readers)),
                "kept": {name: keep.tolist() for name, keep in path.selection(point_index).items()},
                "stays_up_to": _largest_penalties(path),
                "sensitivity": teacher.sensitivities[number],
                "chosen": point_index,
                "path": [
                    {
                        "penalty_ratio": point.ratio,
                        "n_features": point.n_features,
                        "n_channels_kept": int(point.active.sum()),
                        "n_screened": point.screened,
                        "duality_gap": point.duality_gap,
                        "refitted_error": point.error,
                        "n_false_eliminations": point.n_false,
                        "largest_difference": point.largest_difference,
                    }
                    for point in path.points
                ],
            }
        )
    points = [layer["path"][layer["chosen"]] for layer in layers]
    checked = [step["n_false_eliminations"] for layer in layers for step in layer["path"]]
    totals = {
        "n_groups": sum(point["n_features"] for point in points),
        "n_screened": {
            rule: sum(point["n_screened"][rule] for point in points)
            for rule in (points[0]["n_screened"] if points else ())
        },
        "n_false_eliminations": None if None in checked or not checked else sum(checked),
    }
    return {"totals": totals, "layers": layers}


def _largest_penalties(path: PenaltyPath) -> dict[str, list[float]]:
    """Largest penalty ratio of the path at which each channel of each set stays; 0 for one that never does."""
    largest = {name: np.zeros(n_channels) for name, n_channels in path.sets}
    for index, point in enumerate(path.points):
        for name, keep in path.selection(index).items():
            largest[name][keep] = np.maximum(largest[name][keep], point.ratio)
    return {name: ratios.tolist() for name, ratios in largest.items()}


def write_student(
    teacher: Teacher,
    model: Any,
    parent: Mapping[str, Any],
    weights: str,
    target: Name,
    folder: Path,
    params: CompressParams,
    proof: Mapping[str, Any],
) -> None:
    """
    Write a student as a picker that every stage can use.

    Parameters
    ----------
    teacher : Teacher
        Gives the windows for the exports.
    model : WaveformModel
        The student.
    parent : mapping
        The teacher's card.
    weights : str
        Name of the student's weights.
    target : Name
        Name of the student.
    folder : Path
        Folder for ``model.safetensors``, ``card.json``, ``certificate.json``, ``model.onnx`` and, for a student in
        8-bit integers, ``model.int8.onnx``.
    params : CompressParams
        For the card.
    proof : mapping
        See `certificate`.
    """
    windows = teacher.calibration.windows[:N_EXPORT_WINDOWS]
    exports = {ONNX_FILE: {"largest_difference": write_onnx(model, folder, windows)}}
    card = {key: value for key, value in parent.items() if key not in _NOT_INHERITED} | {
        "weights": weights,
        "parent": parent["sha256"],
        "default_args": dict(model.default_args),
        "compression": {
            "method": target.method,
            "target": dict(target.target),
            # The names of other students do not concern this one.
            "parameters": params.model_dump(exclude={"target", "methods", "teachers"}),
            "widths": {
                channel_set.name: n_outputs(model.get_submodule(channel_set.name))
                for channel_set in teacher.wiring.sets
            },
            "teacher_widths": {channel_set.name: channel_set.n_channels for channel_set in teacher.wiring.sets},
            "not_expressed": list(teacher.not_expressed),
            "certificate": CERTIFICATE_FILE,
        },
        "exports": exports,
    }
    if target.int8:
        content = quantised((folder / ONNX_FILE).read_bytes(), teacher.calibration.windows)
        write_bytes(folder / INT8_FILE, content)
        exports[INT8_FILE] = {"largest_difference": largest_difference(model, content, windows)}
        card["quantised"] = {"file": INT8_FILE, "sha256": sha256_of_bytes(content)}
    write_text(folder / CERTIFICATE_FILE, json.dumps(dict(proof), indent=1) + "\n")
    write_model(folder, model.state_dict(), card)
