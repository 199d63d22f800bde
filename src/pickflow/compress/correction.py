"""From the channels that stay to a student: narrow layers, fitted one after the other to the teacher's pre-activations."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from pickflow.compress.channels import Wiring, narrowed_state
from pickflow.compress.costs import n_layer_outputs
from pickflow.compress.rows import rows_of, set_weights
from pickflow.compress.states import Calibration, LayerStatistics, student_grams
from pickflow.models.narrowing import resize_to
from pickflow.safe import Gram, debias

RIDGE = 1e-5


def narrowed(model: nn.Module, wiring: Wiring, kept: Mapping[str, np.ndarray]) -> Any:
    """A copy of the teacher without the other channels, its weights as they were."""
    student = copy.deepcopy(model)
    resize_to(student, narrowed_state(model, wiring, kept))
    return student.eval()


def correct(
    student: nn.Module,
    wiring: Wiring,
    kept: Mapping[str, np.ndarray],
    statistics: Mapping[str, LayerStatistics],
    calibration: Calibration,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """
    Fit every layer of a student to the teacher's pre-activations, in place (sequential correction, debiasing).

    A layer's inputs are the student's own, so that it also makes up for what the layers before it lost. Coefficients are
    the least squares with a small ridge on the channels that stay, w = (G + δI)⁻¹c, and an intercept.

    Parameters
    ----------
    student : Module
        From `narrowed`.
    wiring : Wiring
        Of the teacher.
    kept : mapping of str to ndarray of int
        Channels that stay.
    statistics : mapping of str to LayerStatistics
        Of the teacher, on the same windows.
    calibration : Calibration
        The windows.
    progress : callable
        Called as ``progress(layers done, layers in all)``.
    """
    set_of = {name: one.name for one in wiring.sets for name in one.writers}
    narrowed_layers = {reader for one in wiring.sets if _lost(one, kept) for reader, _ in one.readers}
    order = list(statistics)
    # Layers behind the first narrowed one see other inputs than the teacher's, even if they keep all of their own.
    first = min((order.index(name) for name in narrowed_layers), default=len(order))
    for salt, name in enumerate(order):
        if salt < first:
            continue
        layer = student.get_submodule(name)
        n_rows = statistics[name].targets[0].shape[1]
        keep = kept.get(set_of.get(name, ""), np.arange(n_rows))
        rows = rows_of(name, layer)
        grams = student_grams(student, rows, statistics[name], keep, calibration, salt)
        matrices = [debias(gram, np.ones(gram.gram.shape[0], bool), RIDGE) for gram in grams]
        rest = set_weights(rows, matrices, _common_intercept(grams, matrices))
        if rest.any():
            _shift(student.get_submodule(wiring.norms[name]), rest)
        assert n_layer_outputs(layer) == len(keep)
        progress(salt + 1, len(order))


def _lost(one: Any, kept: Mapping[str, np.ndarray]) -> bool:
    return one.name in kept and kept[one.name].size < one.n_channels


def _common_intercept(grams: list[Gram], matrices: list[np.ndarray]) -> np.ndarray:
    """One intercept for all phases of a layer: the mean of theirs, weighted by their samples."""
    each = [gram.target_mean - gram.feature_mean @ matrix for gram, matrix in zip(grams, matrices, strict=True)]
    return np.average(each, axis=0, weights=[gram.n_samples for gram in grams])


def _shift(norm: nn.Module, intercept: np.ndarray) -> None:
    """Give an intercept to a normalisation: it subtracts its mean, so the mean becomes smaller."""
    with torch.no_grad():
        norm.running_mean -= torch.from_numpy(intercept).float()  # type: ignore[operator]


def row_scales(model: nn.Module, wiring: Wiring) -> dict[str, np.ndarray]:
    """What the normalisation behind each layer multiplies its rows with, |γ|/σ."""
    scales = {}
    for name, norm_name in wiring.norms.items():
        norm = model.get_submodule(norm_name)
        deviation = torch.sqrt(norm.running_var + norm.eps)  # type: ignore[operator]
        scales[name] = (norm.weight.detach().abs() / deviation).double().numpy()  # type: ignore[operator]
    return scales
