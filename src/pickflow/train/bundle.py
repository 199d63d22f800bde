"""From training data to the bundled picker: pools, optimisation, thresholds, card and scores."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pickflow.io.atomic import write_text
from pickflow.models.cards import write_model
from pickflow.models.network import IN_SAMPLES, PickflowNet
from pickflow.provenance import sha256_of_bytes
from pickflow.train.calibrate import calibrate_picker
from pickflow.train.evaluate import evaluate
from pickflow.train.loop import optimise
from pickflow.train.mixing import Pools, draw_batch
from pickflow.train.params import TrainParams
from pickflow.train.pools import (
    Labelled,
    from_labelled,
    from_teacher,
    make_noise,
    make_signal,
    noise_before,
    quiet_windows,
)
from pickflow.train.reading import (
    LABELLED_SETS,
    SAMPLING_RATE_HZ,
    TEACHER,
    LabelledRecord,
    part_of,
    read_continuous,
    read_labelled,
    read_teacher,
)

log = logging.getLogger(__name__)

_VALIDATION_SHARE = 0.1
_THRESHOLDS = np.round(np.arange(0.1, 0.91, 0.05), 2)
_TOLERANCE_SAMPLES = 30
# Recall counts more than precision: an associator discards most false picks, and nobody finds a missed one again.
_BETA = 1.5


def _silent(done: int, total: int, losses: dict[str, float]) -> None:
    """Report nothing."""


def train(
    params: TrainParams,
    shared: Path,
    folder: Path,
    progress: Callable[[int, int, dict[str, float]], None] = _silent,
) -> None:
    """
    Train the bundled picker and write it with its card and its scores.

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
        If real data are required and absent.
    """
    folder = Path(folder)
    records = _read_records(params, Path(shared))
    pools = {part: _pools(params, Path(shared), records, part) for part in ("train", "validation")}
    fingerprint = sha256_of_bytes(json.dumps([asdict(params), _counts(pools["train"])], sort_keys=True).encode())
    checkpoint = folder / "checkpoint"
    model, history = optimise(params, pools["train"], pools["validation"], checkpoint, fingerprint, progress)
    thresholds = choose_thresholds(model, pools["validation"], params)
    scores = {
        name: evaluate(model, [r for r in records if r.dataset == name and r.part == "test"], thresholds)
        for name in LABELLED_SETS
        if records
    }
    card = _card(params, model, thresholds, pools["train"])
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


def choose_thresholds(model: PickflowNet, pools: Pools, params: TrainParams) -> dict[str, float]:
    """
    Thresholds of P and S with the best F-score (0.3 s, β = 1.5) on windows mixed from validation pools, noise included.

    Returns
    -------
    dict of str to float
    """
    rng = np.random.default_rng([params.seed, 3])
    batches = [draw_batch(pools, params, IN_SAMPLES, rng) for _ in range(48)]
    truth = np.concatenate([probability for _, probability in batches])
    with torch.no_grad():
        found = np.concatenate([model(torch.from_numpy(windows)).numpy() for windows, _ in batches])
    return {
        phase: max(_THRESHOLDS.tolist(), key=lambda threshold: _f_score(found[:, row], truth[:, row], threshold))
        for row, phase in ((1, "P"), (2, "S"))
    }


def _f_score(found: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    hits = n_found = n_true = 0
    for probability, label in zip(found, truth, strict=True):
        picks, arrivals = _peaks(probability, threshold), _peaks(label, 0.5)
        n_found, n_true = n_found + picks.size, n_true + arrivals.size
        if picks.size and arrivals.size:
            hits += int((np.abs(arrivals[:, None] - picks).min(axis=1) <= _TOLERANCE_SAMPLES).sum())
    return (1 + _BETA**2) * hits / max(n_found + _BETA**2 * n_true, 1)


def _peaks(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Sample of the maximum of each stretch above a threshold."""
    above = np.concatenate([[0], (probability >= threshold).astype(int), [0]])
    edges = np.flatnonzero(np.diff(above)).reshape(-1, 2)
    return np.array([first + int(np.argmax(probability[first:last])) for first, last in edges], dtype=int)


def _read_records(params: TrainParams, shared: Path) -> list[LabelledRecord]:
    if params.real_data == "synthetic_only":
        log.warning("train.real_data is synthetic_only: no real waveform is used, and none to evaluate on")
        return []
    folders = [shared / "data" / "labelled" / name for name in LABELLED_SETS]
    needed = [*folders, shared / "data" / "ridgecrest-2019" / "sds", shared / "seisbench_cache"]
    for path in needed:
        if not path.is_dir():
            raise ValueError(
                f"train: {path} is absent; set PICKFLOW_SHARED to the folder with the real data, "
                "or train.real_data to synthetic_only"
            )
    return [record for path in folders for record in read_labelled(path, path.name)]


def _pools(params: TrainParams, shared: Path, records: list[LabelledRecord], part: str) -> Pools:
    share = 1.0 if part == "train" else _VALIDATION_SHARE
    sigma = params.label_sigma_s * SAMPLING_RATE_HZ
    mine = [record for record in records if record.part == part]
    continuous = _continuous(shared, part) if records else []
    real_noise = [window for record in continuous for window in quiet_windows(record)]
    real_noise += [window for record in mine for window in noise_before(record)]
    pools = Pools(
        signals=_many(make_signal, params, part, "signals", int(np.ceil(params.n_signals * share))),
        noise=_many(make_noise, params, part, "noise", int(np.ceil(params.n_noise * share))),
        real_noise=real_noise,
        continuous=continuous,
        labelled=[from_labelled(record, sigma) for record in mine],
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


def _card(params: TrainParams, model: PickflowNet, thresholds: dict[str, float], pools: Pools) -> dict[str, Any]:
    arguments = model.get_model_args()
    overlap, blinding = (model._annotate_args[name][1] for name in ("overlap", "blinding"))
    real = "windows of training stations; see docs/bundled-picker.md"
    return {
        "architecture": "residual U-net, stride 4, dilated depthwise-separable bottom; front end inside the network",
        "model": "PickflowNet",
        "weights": "bundled",
        "labels": list(model.labels),
        "component_order": model.component_order,
        "sampling_rate_hz": model.sampling_rate,
        "in_samples": model.in_samples,
        "normalization": "inside the network: causal 1 Hz high-pass, robust scale per component, logarithm",
        "overlap_samples": overlap,
        "blinding_samples": list(blinding),
        "thresholds": thresholds,
        "default_args": {f"{phase}_threshold": value for phase, value in thresholds.items()},
        "model_args": arguments,
        "training_data": {
            "counts": _counts(pools),
            "synthetic": "pickflow's own generator",
            "labelled": f"ncedc154 (AI4EPS/PhaseNet, MIT) and stead50 (smousavi05/EQTransformer, MIT), {real}",
            "continuous": f"Ridgecrest 2019 (tso1257771/RED-PAN, MIT) labelled by {' '.join(TEACHER)}, {real}",
            "real_data": params.real_data,
        },
        "training_parameters": asdict(params),
        "licence": "GPL-3.0-or-later",
        "parent": None,
        "seed": params.seed,
    }
