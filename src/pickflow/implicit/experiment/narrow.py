"""The narrow picker of the experiment, trained on synthetic windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from seisbench.models.base import WaveformModel
from threadpoolctl import threadpool_limits

from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.datasets.signals import Signal, make_noise
from pickflow.distillation import logits_of, soft_label_loss
from pickflow.implicit.experiment.data import (
    EVENT_SHARE,
    LEAST_NOISE_SAMPLES,
    PARTS,
    Array32,
    mix,
    near_signal,
    synthetic_windows,
)
from pickflow.implicit.experiment.layers import predictor
from pickflow.implicit.experiment.scores import choose_thresholds
from pickflow.models.network import PickflowNet
from pickflow.models.registry import PICKERS
from pickflow.optimisation import Batch, Pace, Task, optimise
from pickflow.progress import Progress
from pickflow.run.settings.implicit import ImplicitParams
from pickflow.train.labels import as_labels, bells

LABEL_SIGMA_S = 0.15  # chosen: half of the tolerance of the scores
WEIGHT_DECAY = 0.01  # the default of torch's AdamW
CHECKPOINT_STEPS = 250
# Noise of the pool is so much longer than a window, which begins anywhere in it.
NOISE_PER_WINDOW = 4 / 3
MODEL, WEIGHTS = "PickflowNet", "narrow"


def train_narrow(
    params: ImplicitParams, checkpoint: Path | None, progress: Progress
) -> tuple[WaveformModel, dict[str, Any]]:
    """
    Train the narrow picker.

    Parameters
    ----------
    params : ImplicitParams
        Its section ``narrow``, the length of the windows and their signal-to-noise ratio.
    checkpoint : Path or None
        File of the checkpoint; after a kill the same call goes on from it.
    progress : callable
        Called as ``progress(what, done, total)``.

    Returns
    -------
    model : WaveformModel
        In evaluation mode; the same parameters give the same weights.
    card : dict
        Without the digest that `pickflow.models.cards.write_model` adds.
    """
    with threadpool_limits(limits=1):
        torch.manual_seed(params.seed)
        model = PickflowNet(channels=params.narrow.channels)
        pools = _pools(params)
        task = Task(
            model=model,
            logits=logits_of,
            loss=lambda logits, probability: soft_label_loss(model, logits, probability),
            batches=lambda first, last: (_batch(model, pools, params, step) for step in range(first, last)),
            on_step=lambda n_done, total, loss: progress("training", n_done, total),
        )
        pace = Pace(
            n_steps=params.narrow.steps,
            epoch_steps=CHECKPOINT_STEPS,
            learning_rate=params.narrow.learning_rate,
            weight_decay=WEIGHT_DECAY,
        )
        optimise(task, pace, checkpoint, str(params))
        development = synthetic_windows(
            "development", params.n_development, params.whole_samples, _snr_db(params), params.seed
        )
        thresholds = choose_thresholds(predictor(model)(development.samples), model.labels, development.arrivals)
    return model, _card(model, params, thresholds)


def _snr_db(params: ImplicitParams) -> tuple[float, float]:
    return params.min_snr_db, params.max_snr_db


def _pools(params: ImplicitParams) -> tuple[list[Signal], list[Array32]]:
    seeds = [params.seed, PARTS.index("train")]
    n_signals, n_noise_samples = (
        params.narrow.n_signals,
        max(round(NOISE_PER_WINDOW * params.whole_samples), LEAST_NOISE_SAMPLES),
    )
    signals = [
        near_signal(np.random.default_rng([*seeds, 0, index]), params.whole_samples) for index in range(n_signals)
    ]
    noise = [make_noise(np.random.default_rng([*seeds, 1, index]), n_noise_samples) for index in range(n_signals // 2)]
    return signals, noise


def _batch(model: WaveformModel, pools: tuple[list[Signal], list[Array32]], params: ImplicitParams, step: int) -> Batch:
    """Windows and probabilities of a step."""
    signals, noise = pools
    rng = np.random.default_rng([params.seed, PARTS.index("train"), 2, step])
    n_samples, windows, phases = params.whole_samples, [], []
    for _ in range(params.narrow.batch_size):
        background = noise[rng.integers(len(noise))]
        first = int(rng.integers(background.shape[1] - n_samples + 1))
        signal = signals[rng.integers(len(signals))] if rng.random() < EVENT_SHARE else None
        window, arrivals = mix(background[:, first : first + n_samples], signal, _snr_db(params), rng)
        windows.append(window)
        phases.append(bells(arrivals, n_samples, LABEL_SIGMA_S * SAMPLING_RATE_HZ))
    probability = as_labels(np.stack(phases), list(model.labels))
    return Batch(windows=torch.from_numpy(np.stack(windows)), probability=torch.from_numpy(probability))


def _card(model: WaveformModel, params: ImplicitParams, thresholds: dict[str, float]) -> dict[str, Any]:
    training = PICKERS[MODEL].training
    return {
        "architecture": training.architecture if training else MODEL,
        "model": MODEL,
        "weights": WEIGHTS,
        "labels": list(model.labels),
        "component_order": model.component_order,
        "sampling_rate_hz": model.sampling_rate,
        "in_samples": model.in_samples,
        "normalization": training.normalization if training else None,
        "model_args": model.get_model_args(),
        "default_args": {f"{phase}_threshold": threshold for phase, threshold in thresholds.items()},
        "training_data": {"synthetic": "pickflow's own generator", "parameters": params.narrow.model_dump()},
        "seed": params.seed,
        "parent": None,
        "citation": model.citation,
        "licence": "GPL-3.0-or-later",
    }
