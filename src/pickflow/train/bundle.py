"""From training data to a picker: pools, optimisation, thresholds, card and scores."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from seisbench.models.base import WaveformModel

from pickflow.annotate import resolve_settings
from pickflow.datasets.archive import read_continuous
from pickflow.datasets.reading import open_dataset
from pickflow.datasets.records import SAMPLING_RATE_HZ, Record
from pickflow.datasets.signals import make_noise, make_signal
from pickflow.datasets.splits import part_of
from pickflow.distillation import probabilities_of
from pickflow.io.atomic import write_text
from pickflow.models.cards import write_model
from pickflow.progress import silent
from pickflow.provenance import sha256_of_bytes
from pickflow.run.settings.train import TrainParams
from pickflow.train.calibrate import calibrate_picker
from pickflow.train.describe import describe_training
from pickflow.train.evaluate import evaluate
from pickflow.train.labels import peaks
from pickflow.train.lessons import Lessons, new_model, teach
from pickflow.train.loop import optimise_lessons
from pickflow.train.mixing import Pools
from pickflow.train.pools import (
    NOISE_PER_WINDOW,
    Labelled,
    from_labelled,
    from_teacher,
    noise_before,
    quiet_windows,
)
from pickflow.train.reading import LABELLED_SETS, read_teacher

log = logging.getLogger(__name__)

_VALIDATION_SHARE = 0.1  # of the training set; chosen: enough to choose a threshold
_THRESHOLDS = np.round(np.arange(0.1, 0.91, 0.05), 2)
_TOLERANCE_SAMPLES = 30  # 0.3 s, as in the evaluation
# Recall counts more than precision: an associator discards most false picks, and nobody finds a missed one again.
_BETA = 1.5


def train(
    params: TrainParams,
    shared: Path,
    folder: Path,
    progress: Callable[[int, int, dict[str, float]], None] = silent,
) -> None:
    """
    Train a picker and write it with its card and its scores.

    Parameters
    ----------
    params : TrainParams
        Everything that decides the weights.
    shared : Path
        Holds ``data/labelled``, ``data/ridgecrest-2019/sds`` and ``seisbench_cache``.
    folder : Path
        Gets ``model.safetensors``, ``card.json`` and ``evaluation.json``, and a checkpoint while it works: after a
        kill the training goes on with the last epoch.
    progress : callable
        Called as ``progress(epochs done, epochs in all, losses)``.

    Raises
    ------
    ValueError
        If real data are required and absent, or the teacher is absent or does not fit.
    """
    folder, shared = Path(folder), Path(shared)
    teacher = read_teacher(shared / "seisbench_cache", *params.teacher.split("/", 1)) if params.teacher else None
    model = new_model(params, teacher)
    records = _read_records(params, shared)
    pools = {part: _pools(params, model.in_samples, shared, records, part) for part in ("train", "validation")}
    lessons = teach(model, params, pools, teacher)
    fingerprint = sha256_of_bytes(json.dumps([params.model_dump(), _counts(pools["train"])], sort_keys=True).encode())
    history = optimise_lessons(lessons["train"], lessons["validation"], folder / "checkpoint", fingerprint, progress)
    thresholds = choose_thresholds(lessons["validation"], _sure(teacher))
    card = describe_training(params, model, teacher, thresholds, _counts(pools["train"]))
    unseen = [record for record in records if record.part == "test" or not _uses_labelled(params)]
    scores = {
        name: evaluate(model, [record for record in unseen if record.dataset == name], thresholds)
        for name in LABELLED_SETS
        if records
    }
    if records:
        card["time_uncertainty"] = calibrate_picker(model, card, records)
    card = write_model(folder, model.state_dict(), card)
    evaluation = {
        "sha256": card["sha256"],
        "thresholds": thresholds,
        "history": history,
        "test": scores,
    }
    write_text(folder / "evaluation.json", json.dumps(evaluation, indent=2, sort_keys=True) + "\n")


def _uses_labelled(params: TrainParams) -> bool:
    return params.shares.labelled > 0


def _sure(teacher: WaveformModel | None) -> dict[str, float]:
    """From which probability on a label of each phase is an arrival: half, or where the teacher picks."""
    return {phase: 0.5 if teacher is None else resolve_settings(teacher).thresholds[phase] for phase in "PS"}


def choose_thresholds(lessons: Lessons, sure: Mapping[str, float]) -> dict[str, float]:
    """
    Thresholds of P and S with the best F-score (0.3 s, β = 1.5) on windows mixed from validation pools, noise included.

    Parameters
    ----------
    lessons : Lessons
        Their picker is in evaluation mode.
    sure : mapping of str to float
        From which probability on a label of P, of S, is an arrival.

    Returns
    -------
    dict of str to float
    """
    rng = np.random.default_rng([lessons.params.seed, 3])
    batches = [lessons.batch(rng) for _ in range(48)]
    truth = np.concatenate([probability.numpy() for _, probability in batches])
    with torch.no_grad():
        probabilities = np.concatenate([probabilities_of(lessons.model, windows).numpy() for windows, _ in batches])
    chosen = {}
    for phase, least in sure.items():
        row = list(lessons.model.labels).index(phase)
        scores = [_f_score(probabilities[:, row], truth[:, row], threshold, least) for threshold in _THRESHOLDS]
        chosen[phase] = float(_THRESHOLDS[int(np.argmax(scores))])
    return chosen


def _f_score(probabilities: np.ndarray, truth: np.ndarray, threshold: float, sure: float) -> float:
    hits = n_found = n_true = 0
    for probability, label in zip(probabilities, truth, strict=True):
        picks, arrivals = peaks(probability, threshold), peaks(label, sure)
        n_found, n_true = n_found + picks.size, n_true + arrivals.size
        if picks.size and arrivals.size:
            hits += int((np.abs(arrivals[:, None] - picks).min(axis=1) <= _TOLERANCE_SAMPLES).sum())
    return (1 + _BETA**2) * hits / max(n_found + _BETA**2 * n_true, 1)


def _read_records(params: TrainParams, shared: Path) -> list[Record]:
    if params.real_data == "synthetic_only":
        log.warning("train.real_data is synthetic_only: no real waveform is used, and none to evaluate on")
        return []
    folders = [shared / "data" / "labelled" / name for name in LABELLED_SETS]
    paths = [*folders, shared / "data" / "ridgecrest-2019" / "sds", shared / "seisbench_cache"]
    for path in paths:
        if not path.is_dir():
            raise ValueError(
                f"train: {path} is absent; set PICKFLOW_SHARED to the folder with the real data, "
                "or train.real_data to synthetic_only"
            )
    return [record for path in folders for record in open_dataset(path).read()]


def _pools(params: TrainParams, in_samples: int, shared: Path, records: list[Record], part: str) -> Pools:
    share = 1.0 if part == "train" else _VALIDATION_SHARE
    sigma = params.label_sigma_s * SAMPLING_RATE_HZ
    n_noise_samples = round(NOISE_PER_WINDOW * in_samples)
    labelled_records = [record for record in records if record.part == part and _uses_labelled(params)]
    continuous = _continuous(shared, part) if records else []
    real_noise = [window for record in continuous for window in quiet_windows(record, n_noise_samples)]
    real_noise += [window for record in labelled_records for window in noise_before(record, n_noise_samples)]
    pools = Pools(
        signals=_many(make_signal, params, part, "signals", int(np.ceil(params.n_signals * share))),
        noise=_many(
            partial(make_noise, n_samples=n_noise_samples), params, part, "noise", int(np.ceil(params.n_noise * share))
        ),
        real_noise=real_noise,
        continuous=continuous,
        labelled=[from_labelled(record, sigma) for record in labelled_records],
    )
    log.info("%s: %s", part, _counts(pools))
    return pools


def _many(make: Callable[[np.random.Generator], Any], params: TrainParams, part: str, name: str, n: int) -> list[Any]:
    tag = int(sha256_of_bytes(f"{part} {name}".encode())[:8], 16)
    return [make(np.random.default_rng([params.seed, tag, index])) for index in range(n)]


def _continuous(shared: Path, part: str) -> list[Labelled]:
    teacher = read_teacher(shared / "seisbench_cache")
    records = read_continuous(shared / "data" / "ridgecrest-2019" / "sds")
    return [from_teacher(record, teacher) for record in records if part_of(record.station) == part]


def _counts(pools: Pools) -> dict[str, int]:
    return {name: len(getattr(pools, name)) for name in ("signals", "noise", "real_noise", "continuous", "labelled")}
