"""From a teacher and a run's waveforms to students, their certificates and the trade-off curve."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pickflow.compress.costs import multiply_adds, n_parameters
from pickflow.compress.exporting import ONNX_FILE, write_onnx
from pickflow.compress.latency import latency
from pickflow.compress.scores import agreement, pick_blocks
from pickflow.compress.teacher import StationMap, Student, Teacher, picker_of, set_thresholds, study
from pickflow.compress.tuning import tune
from pickflow.compress.writing import INT8_FILE, certificate, write_student
from pickflow.models.cards import TENSORS_FILE, read_card
from pickflow.models.loading import load_model
from pickflow.progress import Progress, silent
from pickflow.run.settings.compress import CompressParams
from pickflow.run.students import Student as Name
from pickflow.run.students import read_student

logger = logging.getLogger(__name__)

# Chosen: shares of the teacher's multiply-adds on the trade-off curve, also for the search of a loss of F1.
CURVE_MACS = (0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.07)
REFERENCE = "the teacher's own picks in the blocks of time that no student was fitted on"


class Outcome(NamedTuple):
    """A finished student in memory, and its scores."""

    student: Student
    scores: dict[str, Any]


def compress_run(
    teacher: Path,
    days: Sequence[tuple[Path, Path]],
    students: Mapping[str, Path],
    params: CompressParams,
    station_map: StationMap,
    progress: Progress = silent,
) -> dict[str, Any]:
    """
    Make the students of a teacher from the waveforms and picks of a run.

    Parameters
    ----------
    teacher : Path
        Folder with card and tensors.
    days : sequence of (Path, Path)
        Folder of waveforms with its manifest, and the teacher's picks, of each day.
    students : mapping of str to Path
        Name of each (`pickflow.run.students`, such as ``safe-s93``) and the folder that it is written to.
    params : CompressParams
        See there.
    station_map : callable
        ``station_map(function, items)``, in order.
    progress : callable
        Called as ``progress(what, done, total)``.

    Returns
    -------
    dict
        ``compression``, the same for the same input, and ``latency``, which was measured.

    Raises
    ------
    ValueError
        If a student cannot be made, with the reason.
    """
    picker = study(teacher, days, params, station_map)
    card = read_card(teacher)
    rows = [_row(picker, picker.model, card["weights"], teacher / TENSORS_FILE) | {"method": "teacher", "level": None}]
    times = {card["weights"]: _latency_of_teacher(picker.model)}
    curve: list[dict[str, Any]] = []
    finished: dict[Name, Outcome] = {}
    for number, (name, folder) in enumerate(students.items()):
        goal = read_student(name)
        plain = goal._replace(int8=False)
        if plain not in finished:
            finished[plain] = _make(picker, goal, params, progress)
        proof = certificate(picker, finished[plain].student)
        write_student(
            picker, finished[plain].student.model, card, f"{card['weights']}-{name}", goal, folder, params, proof
        )
        model, network = load_model(folder), folder / (INT8_FILE if goal.int8 else ONNX_FILE)
        row = _row(picker, model, f"{card['weights']}-{name}", network if goal.int8 else folder / TENSORS_FILE)
        rows.append(row | {"method": goal.method, "level": goal.level, "int8": goal.int8} | proof["totals"])
        times[row["name"]] = latency(model, network)
        if not goal.int8:
            curve.append(_point(rows[-1], goal.method, "tuned" if params.tune.steps else "corrected"))
        progress("students", number + 1, len(students))
    for method in dict.fromkeys(read_student(name).method for name in students):
        curve += _curve(picker, method, progress)
    compression = {
        "teacher": {"model": card["model"], "weights": card["weights"]},
        "reference": REFERENCE,
        "n_calibration_windows": len(picker.calibration.windows),
        "n_test_windows": len(picker.blocks),
        "models": rows,
        "curve": curve,
    }
    return {"compression": compression, "latency": times}


def _row(teacher: Teacher, model: Any, name: str, file: Path) -> dict[str, Any]:
    total, nonzero = n_parameters(model)
    return {
        "name": name,
        "int8": False,
        "n_parameters": total,
        "n_nonzero": nonzero,
        "macs": multiply_adds(model),
        "bytes": file.stat().st_size,
        "n_screened": {},
        "n_groups": 0,
        "n_false_eliminations": None,
        "not_expressed": list(teacher.not_expressed),
    } | _scores(teacher, model)


def _scores(teacher: Teacher, model: Any) -> dict[str, Any]:
    return agreement(pick_blocks(picker_of(model), teacher.blocks), teacher.picks)


def _latency_of_teacher(model: Any) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        write_onnx(model, Path(folder), None)
        return latency(model, Path(folder) / ONNX_FILE)


def _make(teacher: Teacher, name: Name, params: CompressParams, progress: Progress) -> Outcome:
    target = dict(name.target)
    if "max_f1_loss" in target:
        return _search(teacher, name.method, target["max_f1_loss"], params, progress)
    return _finish(teacher, name.method, target, params, progress)


def _finish(
    teacher: Teacher, method: str, budget: Mapping[str, float], params: CompressParams, progress: Progress
) -> Outcome:
    student = teacher.student(method, budget)
    if params.tune.steps:
        tune(
            student.model,
            teacher.model,
            teacher.source,
            params.tune,
            params.seed,
            lambda n_done, total: progress("tuning", n_done, total),
            student.masks,
        )
    set_thresholds(teacher, student.model)
    return Outcome(student, _scores(teacher, student.model))


def _search(teacher: Teacher, method: str, limit: float, params: CompressParams, progress: Progress) -> Outcome:
    """Smallest student of the curve that loses no more; fewer channels never pick better, so the search is halved."""
    shares = (1.0, *CURVE_MACS)
    low, high, best = 0, len(shares) - 1, None
    while low <= high:
        middle = (low + high) // 2
        candidate = _finish(teacher, method, {"macs": shares[middle]}, params, progress)
        loss = 1 - min(candidate.scores["p_f1"]["0.3s"], candidate.scores["s_f1"]["0.3s"])
        logger.info("%s with %g of the multiply-adds loses %.4f of F1", method, shares[middle], loss)
        best, low, high = (candidate, middle + 1, high) if loss <= limit else (best, low, middle - 1)
    if best is None:
        raise ValueError(
            f"compress.target max_f1_loss {limit:g}: the largest student of {method} already loses more;"
            " allow more, or raise compress.tune.steps"
        )
    return best


def _curve(teacher: Teacher, method: str, progress: Progress) -> list[dict[str, Any]]:
    """Students without tuning along the budget."""
    points = []
    for number, share in enumerate(CURVE_MACS):
        try:
            model = teacher.student(method, {"macs": share}).model
            set_thresholds(teacher, model)
        except ValueError as error:
            logger.info("the curve ends: %s", error)
            break
        row = {"macs": multiply_adds(model), "n_parameters": n_parameters(model)[0]} | _scores(teacher, model)
        points.append(_point(row, method, "corrected"))
        progress(f"curve {method}", number + 1, len(CURVE_MACS))
    return points


def _point(row: Mapping[str, Any], method: str, stage: str) -> dict[str, Any]:
    return {
        "method": method,
        "macs": row["macs"],
        "n_parameters": row["n_parameters"],
        "p_f1_0.3s": row["p_f1"]["0.3s"],
        "s_f1_0.3s": row["s_f1"]["0.3s"],
        "stage": stage,
    }
