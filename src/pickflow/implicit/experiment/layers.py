"""A picker of any size: the rows of a layer share their weights, as the layer's positions do."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from seisbench.models.base import WaveformModel
from torch import nn

from pickflow.compress.channels import Wiring
from pickflow.compress.correction import correct, write_layer
from pickflow.compress.rows import InexpressibleLayerError, Rows, rows_of, set_weights, weights
from pickflow.compress.states import Calibration, LayerStatistics, collect
from pickflow.distillation import probabilities_of
from pickflow.implicit.experiment.data import WindowSet
from pickflow.implicit.experiment.solutions import Account, Setting, largest_masks, settings_of, solve_design
from pickflow.implicit.experiment.students import TEACHER, Array, Predict, Student
from pickflow.implicit.experiment.whole import ready_windows
from pickflow.models.graph import Graph, trace
from pickflow.models.layers import AXES, input_gates, norm_terms
from pickflow.progress import Progress
from pickflow.run.settings.implicit import ImplicitParams

# As in compression: samples within a second of an arrival count four times.
REACH_S, ARRIVAL_WEIGHT = 1.0, 4.0
# Windows of a batch: a matter of memory.
BATCH = 32


class LayeredPicker:
    """
    A picker whose layers are regressions, its students and what was proved about them.

    Parameters
    ----------
    model : WaveformModel
        The teacher, in evaluation mode.
    calibration : WindowSet
        Windows whose states the layers are fitted to.
    params : ImplicitParams
    progress : callable
        Called as ``progress(what, done, total)``.

    Raises
    ------
    ValueError
        If no layer can be expressed, a state is not finite, or there are too few windows.
    """

    form = "layers"

    def __init__(self, model: WaveformModel, calibration: WindowSet, params: ImplicitParams, progress: Progress):
        self._model, self._params, self._progress = model, params, progress
        graph = trace(model)
        self._wiring = Wiring(norms=_norms(graph))
        self._bounded = {node.name: node.inputs[0].kind not in ("input", "prepare") for node in graph.layers()}
        layers, self.not_fitted = _layers(graph)
        if not layers:
            raise ValueError(f"{type(model).__name__} has no layer that is a regression on its inputs")
        self._calibration = Calibration(
            windows=ready_windows(model, calibration.samples),
            near_arrival=calibration.near_arrivals(REACH_S),
            names=calibration.window_names,
            arrival_weight=ARRIVAL_WEIGHT,
        )
        self._statistics = collect(model, layers, self._calibration, lambda *counts: progress("states", *counts))
        self.account = Account()
        self._fits: dict[Setting, dict[str, list[Array]]] = {}
        self._solve()

    def _solve(self) -> None:
        for n_done, (name, statistics) in enumerate(self._statistics.items()):
            scale = self._scale(name, statistics)
            for rows, gram in zip(statistics.rows, statistics.grams, strict=True):
                features = np.full(gram.n_features, self._bounded[name])
                solved = solve_design(
                    gram.rescale(scale), rows.channel_of_feature, (features, self._params.kappa), self._params, True
                )
                for setting, solution in solved:
                    matrices = self._fits.setdefault(setting, {}).setdefault(name, [])
                    matrices.append(solution.coefficients / scale)
                    self.account.add(setting, name, solution.facts)
            self._progress("layers", n_done + 1, len(self._statistics))

    def _scale(self, name: str, statistics: LayerStatistics) -> Array:
        """What the normalisation behind a layer multiplies its rows with: those of A are rows times it."""
        n_rows = statistics.grams[0].n_targets
        if name not in self._wiring.norms:
            return np.ones(n_rows)
        scale = np.abs(norm_terms(self._model.get_submodule(self._wiring.norms[name]))[0])
        return np.where(scale > 0, scale, 1.0)

    def students(self) -> Iterator[Student]:
        """The teacher, then sparse models and pruned ones of the same size, one at a time."""
        teacher = {name: [weights(rows) for rows in layer.rows] for name, layer in self._statistics.items()}
        yield self._student("teacher", TEACHER, False, self._model, _masks(teacher))
        settings = settings_of(self._params, with_bound=True)
        for n_done, setting in enumerate(settings):
            masks = _masks(self._fits[setting])
            yield self._student("lasso", setting, False, self._write(self._fits[setting]), masks)
            if setting.bound == "none":
                yield self._student("lasso", setting, True, self._refit(masks), masks)
            if setting.bound == "none" and setting.penalty == "element":
                pruned = self._largest(teacher, _n_nonzero(masks))
                yield self._student("magnitude", setting, False, self._prune(teacher, pruned), pruned)
                yield self._student("magnitude", setting, True, self._refit(pruned), pruned)
            self._progress("students", n_done + 1, len(settings))

    def bound(self) -> dict[str, Any]:
        """Largest sum of absolute weights of a row of A, of the teacher and of the student under the bound."""
        teacher = {name: [weights(rows) for rows in layer.rows] for name, layer in self._statistics.items()}
        student = self._fits[settings_of(self._params, with_bound=True)[-1]]
        return {
            "norm": self._norm(teacher),
            "kappa": self._params.kappa,
            "norm_of_student": self._norm(student),
        }

    def _norm(self, matrices: Mapping[str, Sequence[Array]]) -> float:
        return max(
            float(np.abs(matrix * self._scale(name, self._statistics[name])).sum(axis=0).max())
            for name, matrices_of_layer in matrices.items()
            if self._bounded[name]
            for matrix in matrices_of_layer
        )

    def _student(
        self, method: str, setting: Setting, refit: bool, model: Any, masks: Mapping[str, Sequence[NDArray]]
    ) -> Student:
        return Student(
            method=method,
            setting=setting,
            refit=refit,
            n_weights=sum(mask.size for masks_of_layer in masks.values() for mask in masks_of_layer),
            n_nonzero=_n_nonzero(masks),
            predict=predictor(model),
        )

    def _write(self, matrices: Mapping[str, list[Array]]) -> Any:
        student = copy.deepcopy(self._model)
        for name, matrices_of_layer in matrices.items():
            rows = [_of(student, rows_of_teacher) for rows_of_teacher in self._statistics[name].rows]
            write_layer(student, self._wiring, rows, self._statistics[name].grams, matrices_of_layer)
        return student

    def _refit(self, masks: dict[str, list[NDArray]]) -> Any:
        student = copy.deepcopy(self._model)
        correct(student, self._wiring, {}, self._statistics, self._calibration, masks)
        return student

    def _prune(self, teacher: Mapping[str, list[Array]], masks: Mapping[str, list[NDArray]]) -> Any:
        student = copy.deepcopy(self._model)
        for name, masks_of_layer in masks.items():
            rows = [_of(student, rows_of_teacher) for rows_of_teacher in self._statistics[name].rows]
            weights_of_layer = [weight * mask for weight, mask in zip(teacher[name], masks_of_layer, strict=True)]
            set_weights(rows, weights_of_layer, _bias(rows[0].layer, weights_of_layer[0].shape[1]))
        return student

    def _largest(self, teacher: Mapping[str, list[Array]], n_nonzero: int) -> dict[str, list[NDArray]]:
        flat = [(name, weight) for name, weights_of_layer in teacher.items() for weight in weights_of_layer]
        masks = largest_masks([weight for _, weight in flat], [name for name, _ in flat], n_nonzero)
        pruned: dict[str, list[NDArray]] = {}
        for (name, _), mask in zip(flat, masks, strict=True):
            pruned.setdefault(name, []).append(mask)
        return pruned


def predictor(model: WaveformModel) -> Predict:
    """The probabilities of a picker as a function of windows, shape (n, 3, n_samples), Z N E in any unit."""

    def predict(windows: NDArray[np.float32]) -> NDArray:
        with torch.inference_mode():
            ready = ready_windows(model, windows)
            parts = [probabilities_of(model, ready[k : k + BATCH]) for k in range(0, len(ready), BATCH)]
        return torch.cat(parts).numpy()

    return predict


def _layers(graph: Graph) -> tuple[dict[str, list[Rows]], list[str]]:
    """Layers as regressions, in the order of computation, and those with weights that are none."""
    layers: dict[str, list[Rows]] = {}
    without: list[str] = []
    for node in graph.layers():
        if node.kind in ("prepare", "BatchNorm1d"):
            continue
        try:
            layers[node.name] = rows_of(node.name, node.layer)
        except InexpressibleLayerError:
            without.append(node.name)
    return layers, without


def _norms(graph: Graph) -> dict[str, str]:
    """The normalisation that alone reads a layer."""
    return {
        node.name: node.readers[0].name
        for node in graph.layers()
        if type(node.layer).__name__ in AXES and [reader.kind for reader in node.readers] == ["BatchNorm1d"]
    }


def _of(student: nn.Module, rows: Rows) -> Rows:
    """The same rows in a copy of the network."""
    return Rows(name=rows.name, layer=student.get_submodule(rows.name), taps=rows.taps, phase=rows.phase)


def _bias(layer: nn.Module, n_rows: int) -> Array:
    """What a layer adds to its rows."""
    if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
        return np.zeros(n_rows) if layer.bias is None else layer.bias.detach().double().numpy()
    return torch.cat([bias for _, bias in input_gates(layer)]).detach().double().numpy()


def _masks(matrices: Mapping[str, Sequence[Array]]) -> dict[str, list[NDArray]]:
    return {name: [matrix != 0 for matrix in matrices_of_layer] for name, matrices_of_layer in matrices.items()}


def _n_nonzero(masks: Mapping[str, Sequence[NDArray]]) -> int:
    return sum(int(mask.sum()) for masks_of_layer in masks.values() for mask in masks_of_layer)
