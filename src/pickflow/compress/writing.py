"""A student on disk: tensors, card, certificate and exports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pickflow.compress.channels import n_outputs
from pickflow.compress.exporting import ONNX_FILE, largest_difference, quantised, write_onnx
from pickflow.compress.params import CompressParams
from pickflow.compress.teacher import Student, Teacher
from pickflow.io.atomic import write_bytes, write_text
from pickflow.models.cards import write_model
from pickflow.provenance import sha256_of_bytes
from pickflow.students import Student as Name

CERTIFICATE_FILE = "certificate.json"
INT8_FILE = "model.int8.onnx"
# Windows on which exports are held against torch.
N_EXPORT_WINDOWS = 32
# What of the teacher's card is not true of a student, or is written anew.
_NOT_INHERITED = ("sha256", "n_parameters", "time_uncertainty", "weights_version", "thresholds")


def certificate(known: Teacher, student: Student) -> dict[str, Any]:
    """
    What is proven about the features that a student lacks.

    Returns
    -------
    dict
        ``totals`` over all layers, and ``layers``: for each lasso of the path the penalty, its duality gap, how many
        features each rule screened, and what an unscreened solution said if one was made. Empty for the baseline.
    """
    layers: list[dict[str, Any]] = []
    for number, path in enumerate(known.paths if student.chosen is not None else ()):
        chosen = student.chosen[number] if student.chosen is not None else 0
        layers.append(
            {
                "channels": dict(path.sets),
                "read_by": list(dict.fromkeys(path.readers)),
                "kept": {name: keep.tolist() for name, keep in path.kept(chosen).items()},
                "sensitivity": known.sensitivities[number],
                "chosen": chosen,
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


def write_student(
    known: Teacher,
    model: Any,
    parent: Mapping[str, Any],
    weights: str,
    asked: Name,
    folder: Path,
    params: CompressParams,
    proof: Mapping[str, Any],
) -> None:
    """
    Write a student so that every stage can use it like any other picker.

    Parameters
    ----------
    known : Teacher
        Gives the windows for the exports.
    model : WaveformModel
        The student.
    parent : mapping
        The teacher's card.
    weights : str
        Name of the student's weights.
    asked : Name
        What it is to be.
    folder : Path
        Gets ``model.safetensors``, ``card.json``, ``certificate.json``, ``model.onnx`` and, for a student in 8-bit
        integers, ``model.int8.onnx``.
    params : CompressParams
        For the card.
    proof : mapping
        See `certificate`.
    """
    windows = known.calibration.windows[:N_EXPORT_WINDOWS]
    exports = {ONNX_FILE: {"largest_difference": write_onnx(model, folder, windows)}}
    card = {key: value for key, value in parent.items() if key not in _NOT_INHERITED} | {
        "weights": weights,
        "parent": parent["sha256"],
        "default_args": dict(model.default_args),
        "compression": {
            "method": asked.method,
            "target": dict(asked.target),
            "parameters": asdict(params),
            "widths": {one.name: n_outputs(model.get_submodule(one.name)) for one in known.wiring.sets},
            "teacher_widths": {one.name: one.n_channels for one in known.wiring.sets},
            "not_expressed": list(known.not_expressed),
            "certificate": CERTIFICATE_FILE,
        },
        "exports": exports,
    }
    if asked.int8:
        content = quantised((folder / ONNX_FILE).read_bytes(), known.calibration.windows)
        write_bytes(folder / INT8_FILE, content)
        exports[INT8_FILE] = {"largest_difference": largest_difference(model, content, windows)}
        card["quantised"] = {"file": INT8_FILE, "sha256": sha256_of_bytes(content)}
    write_text(folder / CERTIFICATE_FILE, json.dumps(dict(proof), indent=1) + "\n")
    write_model(folder, model.state_dict(), card)
