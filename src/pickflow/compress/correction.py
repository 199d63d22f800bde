"""From the kept channels to a student: narrow layers, fitted one by one to the teacher's pre-activations."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pickflow.compress.channels import Wiring, narrowed_state
from pickflow.compress.rows import Rows, rows_of, set_weights
from pickflow.compress.states import Calibration, LayerStatistics, student_grams
from pickflow.distillation import LABEL_WEIGHTS, probabilities_of
from pickflow.models.layers import input_axes
from pickflow.models.narrowing import resize_to
from pickflow.safe import Gram, debias

RIDGE = 1e-5  # chosen: a share of the mean diagonal that keeps collinear features stable


def narrowed(model: nn.Module, wiring: Wiring, selection: Mapping[str, np.ndarray]) -> Any:
    """A copy of the teacher without the other channels, with the same weights."""
    student = copy.deepcopy(model)
    resize_to(student, narrowed_state(model, wiring, selection))
    return student.eval()


@torch.no_grad()
def correct(
    student: nn.Module,
    wiring: Wiring,
    selection: Mapping[str, np.ndarray],
    statistics: Mapping[str, LayerStatistics],
    calibration: Calibration,
    supports: Mapping[str, list[np.ndarray]] | None = None,
) -> dict[str, Tensor]:
    """
    Fit every layer of a student to the teacher's pre-activations, in place (sequential correction, debiasing).

    A layer's inputs are the student's own, so that it also compensates the losses of earlier layers. Coefficients
    are the least squares with a small ridge on the channels that stay, w = (G + δI)⁻¹c, and an intercept.

    Parameters
    ----------
    student : Module
        From `narrowed`.
    wiring : Wiring
        Of the teacher.
    selection : mapping of str to ndarray of int
        Channels that stay.
    statistics : mapping of str to LayerStatistics
        Of the teacher, on the same windows.
    calibration : Calibration
        The windows.
    supports : mapping of str to list of ndarray of bool, or None
        Weights of the teacher that may be used, by layer; None for all.

    Returns
    -------
    dict of str to Tensor
        0 where a weight must stay zero, by the name of the parameter; empty without supports.
    """
    masks: dict[str, Tensor] = {}
    set_of = {name: channel_set.name for channel_set in wiring.sets for name in channel_set.writers}
    order, readers = list(statistics), wiring.readers()
    # Layers after the first narrowed one get other inputs than the teacher's, even if all their inputs are kept.
    narrowed_readers = {reader for part in wiring.sets if _is_narrowed(part, selection) for reader, _ in part.readers}
    first = min((order.index(name) for name in narrowed_readers | set(supports or ())), default=len(order))

    def fit(name: str) -> Callable[..., None]:
        """Fit a layer when its inputs arrive; the network then goes on with the new weights."""

        def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            keep = selection.get(set_of.get(name, ""), np.arange(statistics[name].grams[0].n_targets))
            rows = rows_of(name, layer)
            grams = student_grams(inputs[0], rows, statistics[name], keep, calibration, order.index(name))
            usable = [np.ones(gram.cross.shape, bool) for gram in grams]
            if supports and name in supports:
                channels = kept_inputs(wiring, selection, name) if name in readers else np.arange(rows[0].n_inputs)
                usable = _kept_supports(statistics[name], supports[name], channels, keep)
                masks.update(_masks(rows, usable))
            matrices = [debias(gram, mask, RIDGE) for gram, mask in zip(grams, usable, strict=True)]
            write_layer(student, wiring, rows, grams, matrices)

        return hook

    handles = [student.get_submodule(name).register_forward_pre_hook(fit(name)) for name in order[first:]]
    try:
        # One pass over all windows at once: every layer is fitted just before it computes.
        student(calibration.windows)
    finally:
        for handle in handles:
            handle.remove()
    return masks


def write_layer(
    student: nn.Module, wiring: Wiring, rows: list[Rows], grams: list[Gram], matrices: list[np.ndarray]
) -> None:
    """
    Give a layer of a student coefficients and the intercepts that belong to them.

    Parameters
    ----------
    student : Module
        Changed in place.
    wiring : Wiring
        Says which normalisation takes the intercept of a layer without a bias.
    rows : list of Rows
        All of the layer.
    grams : list of Gram
        What its coefficients were fitted to.
    matrices : list of ndarray, each of shape (n_features, n_rows)
        Its coefficients.
    """
    intercepts = set_weights(rows, matrices, _common_intercept(grams, matrices))
    if intercepts.any():
        _shift(student.get_submodule(wiring.norms[rows[0].name]), intercepts)


def _kept_supports(
    statistics: LayerStatistics, supports: list[np.ndarray], channels: np.ndarray, keep: np.ndarray
) -> list[np.ndarray]:
    """Supports of a teacher's layer without the features and rows that its student lacks."""
    return [
        support[np.isin(rows.channel_of_feature, channels)][:, keep]
        for rows, support in zip(statistics.rows, supports, strict=True)
    ]


def kept_inputs(wiring: Wiring, selection: Mapping[str, np.ndarray], reader: str) -> np.ndarray:
    """Input channels of a teacher's layer that stay, sorted."""
    parts = [
        first + selection.get(channel_set.name, np.arange(channel_set.n_channels))
        for channel_set in wiring.sets
        for name, first in channel_set.readers
        if name == reader
    ]
    return np.sort(np.concatenate(parts))


def _masks(rows: list[Rows], supports: list[np.ndarray]) -> dict[str, Tensor]:
    """Masks of a layer's parameters: its weights, 1 where a weight is usable."""
    name, layer = rows[0].name, rows[0].layer
    state = copy.deepcopy(layer.state_dict())
    set_weights(rows, [mask.astype(float) for mask in supports], np.zeros(supports[0].shape[1]))
    masks = {f"{name}.{key}": layer.state_dict()[key].clone() for key, _ in input_axes(layer)}
    layer.load_state_dict(state)
    return masks


def _is_narrowed(channel_set: Any, selection: Mapping[str, np.ndarray]) -> bool:
    return channel_set.name in selection and selection[channel_set.name].size < channel_set.n_channels


def _common_intercept(grams: list[Gram], matrices: list[np.ndarray]) -> np.ndarray:
    """One intercept for all phases of a layer: the mean of theirs, weighted by their samples."""
    intercepts = [gram.target_mean - gram.feature_mean @ matrix for gram, matrix in zip(grams, matrices, strict=True)]
    return np.average(intercepts, axis=0, weights=[gram.n_samples for gram in grams])


def _shift(norm: nn.Module, intercept: np.ndarray) -> None:
    """Move an intercept into a normalisation, by a smaller running mean."""
    with torch.no_grad():
        norm.running_mean -= torch.from_numpy(intercept).float()  # type: ignore[operator]


def row_scales(model: nn.Module, wiring: Wiring) -> dict[str, np.ndarray]:
    """Factors |γ|/σ of the rows of each layer in the normalisation behind it."""
    scales = {}
    for name, norm_name in wiring.norms.items():
        norm = model.get_submodule(norm_name)
        deviation = torch.sqrt(norm.running_var + norm.eps)  # type: ignore[operator]
        scales[name] = (norm.weight.detach().abs() / deviation).double().numpy()  # type: ignore[operator]
    return scales


@torch.inference_mode()
def sensitivity(
    model: Any,
    wiring: Wiring,
    selection: Mapping[str, np.ndarray],
    statistics: Mapping[str, LayerStatistics],
    windows: Tensor,
    expected: Tensor,
) -> float:
    """
    Effect of the loss of some channels on a network's probabilities, while all other layers are whole.

    Parameters
    ----------
    model : WaveformModel
        The teacher.
    wiring : Wiring
        Of it.
    selection : mapping of str to ndarray of int
        Channels that stay in the sets that lose some.
    statistics : mapping of str to LayerStatistics
        Of the teacher.
    windows : Tensor, shape (n, n_components, in_samples)
        Normalised.
    expected : Tensor, shape (n, n_labels, in_samples)
        The teacher's probabilities for them.

    Returns
    -------
    float
        Mean squared difference of the probabilities of each label as a share of its mean square, weighted as in
        distillation: picks are few samples, and the noise many.
    """
    student = narrowed(model, wiring, selection)
    set_of = {name: channel_set.name for channel_set in wiring.sets for name in channel_set.writers}
    for reader in {
        reader for channel_set in wiring.sets if channel_set.name in selection for reader, _ in channel_set.readers
    }:
        channels = kept_inputs(wiring, selection, reader)
        rows = rows_of(reader, student.get_submodule(reader))
        grams, matrices = [], []
        for teacher_rows, gram in zip(statistics[reader].rows, statistics[reader].grams, strict=True):
            features = np.flatnonzero(np.isin(teacher_rows.channel_of_feature, channels))
            rows_kept = selection.get(set_of.get(reader, ""), np.arange(gram.n_targets))
            grams.append(gram.select(features, rows_kept))
            matrices.append(debias(grams[-1], np.ones(features.size, bool), RIDGE))
        write_layer(student, wiring, rows, grams, matrices)
    loss = ((expected - probabilities_of(student, windows)) ** 2).mean(dim=(0, 2)) / (expected**2).mean(
        dim=(0, 2)
    ).clamp_min(1e-12)
    share = torch.tensor([0.0 if label == "N" else LABEL_WEIGHTS.get(label, 1.0) for label in model.labels])
    return float(loss @ share)
