"""Inputs and outputs of a picker's layers on calibration windows: the states of state-driven training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pickflow.compress.rows import Rows, features, positions_of, targets
from pickflow.models.layers import is_recurrent
from pickflow.safe import Gram, GramAccumulator

logger = logging.getLogger(__name__)

BATCH = 16  # chosen: limits memory
# Chosen: positions of a window that a layer is fitted on; neighbours are similar, and large layers would take long.
POSITIONS_PER_WINDOW = 512


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """
    Windows that a student is fitted on.

    Parameters
    ----------
    windows : Tensor, shape (n, n_components, in_samples)
        Normalised for the network.
    near_arrival : ndarray of bool, shape (n, in_samples)
        Whether a sample is near an arrival.
    names : tuple of str
        Station and time of each window, for messages.
    arrival_weight : float
        Weight of the samples near arrivals; the others weigh 1.
    """

    windows: Tensor
    near_arrival: np.ndarray
    names: tuple[str, ...]
    arrival_weight: float


@contextmanager
def capture(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """
    Inputs and outputs of layers, by name, filled whenever the model runs.

    Parameters
    ----------
    model : Module
        The network.
    names : sequence of str
        Of layers.
    """
    states: dict[str, tuple[Tensor, Tensor]] = {}

    def make_hook(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor | tuple[Tensor, ...]) -> None:
            states[name] = (inputs[0], outputs[0] if isinstance(outputs, tuple) else outputs)

        return hook

    handles = [model.get_submodule(name).register_forward_hook(make_hook(name)) for name in names]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def n_positions(layer: nn.Module, inputs: Tensor, outputs: Tensor) -> int:
    """Positions in time at which a layer has an output."""
    if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d):
        return outputs.shape[-1]
    return inputs.shape[1] if isinstance(layer, nn.Linear) else inputs.shape[0]


def thin_positions(rows: Rows, n_outputs: int, salt: int) -> np.ndarray:
    """A random but reproducible part of the positions of the rows."""
    positions = positions_of(rows, n_outputs)
    n_wanted = max(1, POSITIONS_PER_WINDOW * positions.size // n_outputs)
    if positions.size <= n_wanted:
        return positions
    rng = np.random.default_rng([salt, rows.phase, n_outputs])
    return np.sort(rng.choice(positions, n_wanted, replace=False))


def sample_weights(calibration: Calibration, first: int, n: int, positions: np.ndarray, n_outputs: int) -> np.ndarray:
    """Weights of the samples of some windows, shape (n * n_positions,)."""
    in_samples = calibration.near_arrival.shape[1]
    times = np.minimum((positions + 0.5) * in_samples / n_outputs, in_samples - 1).astype(int)
    is_near = calibration.near_arrival[first : first + n][:, times]
    return np.where(is_near, calibration.arrival_weight, 1.0).ravel()


@dataclass(frozen=True, kw_only=True)
class LayerStatistics:
    """Statistics for fitting a layer: the teacher's Gram matrices, and its targets for another pass."""

    rows: list[Rows]
    grams: list[Gram]
    n_outputs: int
    targets: list[np.ndarray]  # float32, (n_samples, n_rows), at the thinned positions


@torch.inference_mode()
def collect(
    model: nn.Module,
    layers: dict[str, list[Rows]],
    calibration: Calibration,
    progress: Callable[[int, int], None] = lambda n_done, total: None,
) -> dict[str, LayerStatistics]:
    """
    Statistics of all layers from one pass over the calibration windows.

    Parameters
    ----------
    model : Module
        The teacher.
    layers : dict of str to list of Rows
        See `pickflow.compress.rows.rows_of`.
    calibration : Calibration
        The windows.
    progress : callable
        Called as ``progress(windows done, windows in all)``.

    Raises
    ------
    ValueError
        If a state is not finite, naming layer and window, or a layer has fewer samples than features.
    """
    total = len(calibration.windows)
    sums = {name: [GramAccumulator() for _ in rows] for name, rows in layers.items()}
    parts_of: dict[str, list[list[Tensor]]] = {name: [[] for _ in rows] for name, rows in layers.items()}
    lengths: dict[str, int] = {}
    with capture(model, list(layers)) as states:
        for first in range(0, total, BATCH):
            model(calibration.windows[first : first + BATCH])
            for salt, (name, rows) in enumerate(layers.items()):
                inputs, outputs = states[name]
                _check_finite(name, outputs, rows[0].layer, calibration.names[first : first + BATCH])
                lengths[name] = n_positions(rows[0].layer, inputs, outputs)
                for index, part in enumerate(rows):
                    positions = thin_positions(part, lengths[name], salt)
                    values = targets(part, inputs, outputs, positions)
                    n = min(BATCH, total - first)
                    weights = sample_weights(calibration, first, n, positions, lengths[name])
                    sums[name][index].add(features(part, inputs, positions).numpy(), values.numpy(), weights)
                    parts_of[name][index].append(values.clone())
            progress(min(first + BATCH, total), total)
    statistics = {}
    for name, rows in layers.items():
        grams = [accumulator.result() for accumulator in sums[name]]
        for gram in grams:
            _check_enough(name, gram, total)
        arrays = [torch.cat(parts).numpy() for parts in parts_of[name]]
        statistics[name] = LayerStatistics(rows=rows, grams=grams, n_outputs=lengths[name], targets=arrays)
    return statistics


def student_grams(
    inputs: Tensor, rows: list[Rows], teacher: LayerStatistics, keep: np.ndarray, calibration: Calibration, salt: int
) -> list[Gram]:
    """
    Statistics of a layer with the student's own inputs and the teacher's pre-activations.

    Parameters
    ----------
    inputs : Tensor
        Input of the student's layer for all calibration windows at once.
    rows : list of Rows
        Of the layer in the student.
    teacher : LayerStatistics
        Of the layer in the teacher.
    keep : ndarray of int
        Rows of the teacher's layer that the student's has.
    calibration : Calibration
        The same windows as the teacher's.
    salt : int
        Number of the layer among all, as in `collect`.
    """
    total = len(calibration.windows)
    axis = 1 if is_recurrent(rows[0].layer) else 0
    grams = []
    for part_rows, values in zip(rows, teacher.targets, strict=True):
        sums = GramAccumulator()
        positions = thin_positions(part_rows, teacher.n_outputs, salt)
        for first in range(0, total, BATCH):
            part = inputs.narrow(axis, first, min(BATCH, total - first))
            design = features(part_rows, part, positions).numpy()
            span = slice(first * positions.size, first * positions.size + len(design))
            weights = sample_weights(calibration, first, part.shape[axis], positions, teacher.n_outputs)
            sums.add(design, values[span][:, keep], weights)
        grams.append(sums.result())
    return grams


def _check_finite(name: str, states: Tensor, layer: nn.Module, windows: Sequence[str]) -> None:
    if torch.isfinite(states).all():
        return
    axis = 1 if is_recurrent(layer) else 0
    not_finite = (~torch.isfinite(states)).movedim(axis, 0).flatten(1).any(dim=1)
    window = windows[int(torch.nonzero(not_finite)[0])]
    raise ValueError(f"compress: states of layer {name} are not finite in window {window}; look at its waveform")


def _check_enough(name: str, gram: Gram, n_windows: int) -> None:
    n_features = gram.gram.shape[0]
    if gram.n_samples >= n_features:
        return
    per_window = gram.n_samples / n_windows
    n_needed = int(np.ceil(n_features / per_window))
    raise ValueError(
        f"compress: layer {name} has {n_features} coefficients a row and {gram.n_samples} samples from {n_windows}"
        f" calibration windows; it needs at least {n_needed}: raise compress.n_windows, or lower pick thresholds"
    )
