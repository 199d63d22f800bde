"""A whole picker as one equation: every row of A and B has weights of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from seisbench.models.base import WaveformModel

from pickflow.compress.correction import RIDGE
from pickflow.distillation import filter_windows, normalised
from pickflow.implicit import ImplicitModel, from_network, row_designs, states_of, values_of
from pickflow.implicit.experiment.data import WindowSet
from pickflow.implicit.experiment.solutions import (
    Account,
    Setting,
    largest_masks,
    settings_of,
    solve_design,
)
from pickflow.implicit.experiment.students import TEACHER, Array, Predict, Student
from pickflow.implicit.scaling import rescale
from pickflow.progress import Progress
from pickflow.run.settings.implicit import ImplicitParams
from pickflow.safe import debias, intercept


class WholePicker:
    """
    A picker as one implicit model, its students and what was proved about them.

    Parameters
    ----------
    model : WaveformModel
        The teacher, in evaluation mode.
    calibration : WindowSet
        Windows whose states the rows are fitted to; their length is that of the implicit model.
    params : ImplicitParams
    progress : callable
        Called as ``progress(what, done, total)``.

    Raises
    ------
    UnsupportedLayerError
        If a layer has no form in the implicit model; it is named.
    ValueError
        If the length of the windows does not fit the picker, or there are too few of them.
    """

    form = "whole"

    def __init__(self, model: WaveformModel, calibration: WindowSet, params: ImplicitParams, progress: Progress):
        self._model, self._params, self._progress = model, params, progress
        self.implicit = from_network(model, calibration.samples.shape[2])
        self._states = states_of(self.implicit, inputs_of(model, calibration.samples))
        self.account = Account()
        self._layers: list[int] = []
        self._places: list[tuple[NDArray, NDArray]] = []
        self._teacher: list[Array] = []
        self._fits: dict[Setting, list[tuple[Array, Array]]] = {}
        self._with_bound = bound_applies(self.implicit)
        self._solve()

    @property
    def not_fitted(self) -> list[str]:
        """Layers that stay as they are: none."""
        return []

    def _solve(self) -> None:
        implicit, order = self.implicit, self.implicit.order or ()
        values, matrix = values_of(implicit, self._states), sparse.hstack([implicit.A, implicit.B], format="csr")
        every = round(1 / self._params.checked_share)
        for n_done, index in enumerate(order):
            block = implicit.blocks[index]
            limit = self._params.kappa / (block.activation.lipschitz or np.nan)
            for design in row_designs(implicit, index, values, self._states.pre_activations):
                gram, check = design.gram(), len(self._places) % every == 0
                bounded = (design.columns < implicit.n_states, limit) if self._with_bound else None
                for setting, solution in solve_design(gram, design.channels, bounded, self._params, check):
                    constants = intercept(gram, solution.coefficients)
                    self._fits.setdefault(setting, []).append((solution.coefficients, constants))
                    self.account.add(setting, block.name, solution.facts)
                self._layers.append(index)
                self._places.append((design.rows, design.columns))
                self._teacher.append(matrix[design.rows][:, design.columns].toarray().T)
            self._progress("rows", n_done + 1, len(order))

    def students(self) -> Iterator[Student]:
        """The teacher, then sparse models and pruned ones of the same size, one at a time."""
        yield self._student("teacher", TEACHER, False, self.implicit, [matrix != 0 for matrix in self._teacher])
        settings = settings_of(self._params, self._with_bound)
        for n_done, setting in enumerate(settings):
            masks = [coefficients != 0 for coefficients, _ in self._fits[setting]]
            yield self._student("lasso", setting, False, self._assemble(self._fits[setting]), masks)
            if setting.bound == "none":
                yield self._student("lasso", setting, True, self._refit(masks), masks)
            if setting.bound == "none" and setting.penalty == "element":
                pruned = largest_masks(self._teacher, self._layers, sum(int(mask.sum()) for mask in masks))
                yield self._student("magnitude", setting, False, self._prune(pruned), pruned)
                yield self._student("magnitude", setting, True, self._refit(pruned), pruned)
            self._progress("students", n_done + 1, len(settings))

    def bound(self) -> dict[str, Any]:
        """What a bound of all rows means for this picker; see `pickflow.implicit.scaling.rescale`."""
        verdict = self.implicit.is_well_posed()
        facts: dict[str, Any] = {"condition": verdict.condition, "norm": _norm(self.implicit)}
        if self._with_bound:
            facts |= {"kappa": self._params.kappa, "norm_of_student": self._norm_of_student()}
        try:
            scaled = rescale(self.implicit, self._params.kappa)
        except ValueError as error:
            return facts | {"rescaled": str(error)}
        difference = np.abs(scaled.sweep(self._states.inputs).outputs - self._states.outputs).max()
        return facts | {"rescaled_norm": _norm(scaled), "rescaled_difference": float(difference)}

    def _norm_of_student(self) -> float:
        fitted = self._assemble(self._fits[settings_of(self._params, True)[-1]])
        return _norm(fitted, ~self.implicit.fixed_rows)

    def _student(
        self, method: str, setting: Setting, refit: bool, implicit: ImplicitModel, masks: Sequence[NDArray]
    ) -> Student:
        return Student(
            method=method,
            setting=setting,
            refit=refit,
            n_weights=sum(mask.size for mask in masks),
            n_nonzero=sum(int(mask.sum()) for mask in masks),
            predict=_predictor(self._model, implicit),
        )

    def _assemble(self, fits: Sequence[tuple[Array, Array]]) -> ImplicitModel:
        """The implicit model with other rows; those without weights stay."""
        implicit, stays = self.implicit, np.ones(self.implicit.n_rows)
        stays[np.concatenate([rows for rows, _ in self._places])] = 0.0
        fixed = sparse.diags_array(stays) @ sparse.hstack([implicit.A, implicit.B])
        last = fixed.shape[1] - 1
        rows, columns, values = [], [], []
        for (row, column), (coefficients, constants) in zip(self._places, fits, strict=True):
            rows += [np.repeat(row, len(column)), row]
            columns += [np.tile(column, len(row)), np.full(len(row), last)]
            values += [coefficients.T.ravel(), constants]
        places = (np.concatenate(rows), np.concatenate(columns))
        fitted = sparse.csr_array(sparse.csr_array((np.concatenate(values), places), shape=fixed.shape) + fixed)
        fitted.eliminate_zeros()
        n_states = implicit.n_states
        return dataclasses.replace(
            implicit, A=sparse.csr_array(fitted[:, :n_states]), B=sparse.csr_array(fitted[:, n_states:])
        )

    def _prune(self, masks: Sequence[NDArray]) -> ImplicitModel:
        constants = self.implicit.B[:, [-1]].toarray()[:, 0]
        parts = zip(self._teacher, masks, self._places, strict=True)
        return self._assemble([(weights * mask, constants[rows]) for weights, mask, (rows, _) in parts])

    def _refit(self, masks: Sequence[NDArray]) -> ImplicitModel:
        """Least squares on what is left, block by block, from the states that the blocks before make now."""
        implicit, values = self.implicit, values_of(self.implicit, self._states)
        matrix = sparse.hstack([implicit.A, implicit.B], format="csr")
        fits: list[tuple[Array, Array]] = []
        for index in implicit.order or ():
            block = implicit.blocks[index]
            z = matrix[block.rows] @ values
            for design in row_designs(implicit, index, values, self._states.pre_activations):
                gram = design.gram()
                coefficients = debias(gram, masks[len(fits)], RIDGE)
                constants = intercept(gram, coefficients)
                fits.append((coefficients, constants))
                z[design.rows - block.first_row] = coefficients.T @ design.features.T + constants[:, None]
            values[: implicit.n_states][block.states] = block.activation(z)
        return self._assemble(fits)


def inputs_of(model: WaveformModel, windows: NDArray[np.float32]) -> Array:
    """
    What the implicit model of a picker takes.

    Parameters
    ----------
    model : WaveformModel
    windows : ndarray, shape (n, 3, n_samples)
        Z, N, E in any unit.

    Returns
    -------
    ndarray, shape (n, n_components, n_samples)
        Filtered, normalised and prepared as the network wants it.
    """
    with torch.inference_mode():
        ready = ready_windows(model, windows)
        return (model.prepare(ready) if hasattr(model, "prepare") else ready).double().numpy()


def ready_windows(model: WaveformModel, windows: NDArray[np.float32]) -> torch.Tensor:
    """Windows, Z N E in any unit, as the network of a picker takes them: its components, filtered, normalised."""
    rows = ["ZNE".index(component) for component in str(model.component_order)]
    return normalised(model, filter_windows(model, windows[:, rows]))


def bound_applies(implicit: ImplicitModel) -> bool:
    """Whether every block with weights has a Lipschitz constant, so that a bound of its rows means something."""
    return all(
        block.activation.lipschitz is not None or bool(implicit.fixed_rows[block.rows].all())
        for block in implicit.blocks
    )


def _norm(implicit: ImplicitModel, rows: NDArray | slice = slice(None)) -> float:
    """Largest L Σ|a| of some rows."""
    constants = np.array([block.activation.lipschitz or np.inf for block in implicit.blocks])[implicit.block_of_row()]
    sums = np.asarray(np.abs(implicit.A).sum(axis=1))
    return float(np.where(sums > 0, constants * sums, 0.0)[rows].max(initial=0.0))


def _predictor(model: WaveformModel, implicit: ImplicitModel) -> Predict:
    return lambda windows: implicit.sweep(inputs_of(model, windows)).outputs
