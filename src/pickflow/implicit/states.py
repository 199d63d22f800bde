"""
State-driven training: with the states of a teacher given, every row of A and B is a regression of its own.

Tsai et al. (2022): the pre-activations Z of the teacher are fitted from its states X and inputs U, row by row, with an
ℓ₁ penalty; the problems are convex and independent of one another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from pickflow.implicit.model import Block, ImplicitModel, require_below_one
from pickflow.safe import Gram, GramAccumulator, intercept, solve_lasso, solve_lasso_limited


@dataclass(frozen=True, eq=False)
class States:
    """
    What a teacher computes from calibration windows.

    Attributes
    ----------
    inputs : ndarray, shape (n_windows, *input_shape)
        U.
    pre_activations : ndarray, shape (n_windows, n_rows)
        Z.
    states : ndarray, shape (n_windows, n_states)
        X.
    outputs : ndarray, shape (n_windows, *output_shape)
        Y.
    """

    inputs: np.ndarray
    pre_activations: np.ndarray
    states: np.ndarray
    outputs: np.ndarray


@dataclass(frozen=True, eq=False)
class RowDesign:
    """
    Rows that have the same features.

    Attributes
    ----------
    rows : ndarray of int, shape (q,)
        Of A and B.
    columns : ndarray of int, shape (p,)
        Of [A, B]; without the constant, whose weight is the intercept.
    channels : ndarray of int, shape (p,)
        Channel that each feature belongs to, numbered within the design: the groups of a group penalty.
    looped : ndarray of bool, shape (p,)
        Features that close a loop.
    features : ndarray, shape (n_windows, p)
    targets : ndarray, shape (n_windows, q)
    """

    rows: np.ndarray
    columns: np.ndarray
    channels: np.ndarray
    looped: np.ndarray
    features: np.ndarray
    targets: np.ndarray

    def gram(self) -> Gram:
        """What the windows say about these rows."""
        accumulator = GramAccumulator()
        accumulator.add(self.features, self.targets)
        return accumulator.result()


@dataclass(frozen=True, eq=False)
class RowProblem:
    """
    Lasso of rows that have the same features.

    Attributes
    ----------
    design : RowDesign
    penalty : ndarray, shape (q,)
    limited : ndarray of bool, shape (p,)
        Features whose weights are bounded together.
    limit : float
        Of their ℓ₁ norm.
    """

    design: RowDesign
    penalty: np.ndarray
    limited: np.ndarray
    limit: float


RowSolution = tuple[np.ndarray, np.ndarray]
RowMap = Callable[[Callable[[RowProblem], RowSolution], Iterable[RowProblem]], Iterable[RowSolution]]


def states_of(model: ImplicitModel, inputs: np.ndarray) -> States:
    """
    Collect U, Z, X and Y.

    Parameters
    ----------
    model : ImplicitModel
        The teacher.
    inputs : ndarray, shape (n_windows, *input_shape)

    Raises
    ------
    ValueError
        If a window makes a state that is not finite; it names the window and the block.
    """
    inference = model.infer(inputs) if model.order is None else model.sweep(inputs)
    for block in model.blocks:
        broken = np.flatnonzero(~np.isfinite(inference.states[:, block.states]).all(axis=1))
        if len(broken):
            raise ValueError(f"window {broken[0]}: a state of {block.name} is not finite; leave this window out")
    z = model.pre_activations(inputs, inference.states)
    return States(np.asarray(inputs, dtype=np.float64), z, inference.states, inference.outputs)


def fit_states(
    model: ImplicitModel,
    states: States,
    penalty: float | np.ndarray,
    *,
    kappa: float | None = None,
    bound: str = "loops",
    pattern: str = "support",
    sequential: bool = False,
    row_map: RowMap = map,
) -> ImplicitModel:
    """
    Fit every row that has weights to the teacher's pre-activations.

    Row i of [A, B] minimises ½‖zᵢ − X a − U b − β‖² + λᵢ (‖a‖₁ + ‖b‖₁) over its features, with a free intercept β.
    Where a bound asks for it, ‖a‖₁ ≤ κ / L holds as well, L being the Lipschitz constant of the row's block. C and D
    stay.

    Parameters
    ----------
    model : ImplicitModel
        Gives the pattern, and what is not fitted.
    states : States
        Of the teacher.
    penalty : float or ndarray, shape (n_rows,)
        λ, positive.
    kappa : float or None
        Below 1; needed where the model has feedback.
    bound : {"loops", "everywhere"}
        Which entries of A the bound κ is for: those that close a loop, the only ones that need it, or all of them, as
        the papers have it.
    pattern : {"support", "earlier"}
        Features of a row: those that its weights multiply now, or all inputs and all states of earlier blocks.
    sequential : bool
        Feed each block the states that the rows fitted before it make, instead of the teacher's: later rows then make
        up for what earlier ones lost.
    row_map : callable
        As `map`: a function and problems in, solutions in their order out. Problems of a block are independent.

    Raises
    ------
    ValueError
        If there are too few windows for a row, or an option does not fit the model.
    """
    _check_options(model, kappa, bound, pattern, sequential)
    values = values_of(model, states)
    matrix = sparse.hstack([model.A, model.B], format="lil")
    penalties = np.broadcast_to(np.asarray(penalty, dtype=np.float64), (model.n_rows,))
    for index in model.order or range(len(model.blocks)):
        block = model.blocks[index]
        designs = row_designs(model, index, values, states.pre_activations, pattern)
        problems = [_problem(model, block, design, penalties, kappa, bound) for design in designs]
        for problem, (coefficients, constants) in zip(problems, row_map(solve_rows, problems), strict=True):
            design = problem.design
            matrix[np.ix_(design.rows, design.columns)] = coefficients.T
            matrix[design.rows, matrix.shape[1] - 1] = constants
        if sequential:
            values[: model.n_states][block.states] = block.activation(matrix[block.rows].tocsr() @ values)
    fitted = matrix.tocsr()
    a, b = sparse.csr_array(fitted[:, : model.n_states]), sparse.csr_array(fitted[:, model.n_states :])
    return dataclasses.replace(model, A=a, B=b)


def solve_rows(problem: RowProblem) -> RowSolution:
    """
    Lasso of rows that share their features.

    Returns
    -------
    coefficients : ndarray, shape (p, q)
    constants : ndarray, shape (q,)
    """
    gram = problem.design.gram()
    if problem.limited.any():
        solution, _ = solve_lasso_limited(gram, problem.penalty, problem.limited, problem.limit)
    else:
        solution = solve_lasso(gram, problem.penalty)
    return solution.coefficients, intercept(gram, solution.coefficients)


def values_of(model: ImplicitModel, states: States) -> np.ndarray:
    """What the columns of [A, B] multiply: states, inputs and the constant, shape (n_columns, n_windows)."""
    return np.concatenate([states.states.T, model.with_constant(states.inputs)])


def row_designs(
    model: ImplicitModel, index: int, values: np.ndarray, targets: np.ndarray, pattern: str = "support"
) -> Iterator[RowDesign]:
    """
    Regressions of the rows of a block that have weights.

    Parameters
    ----------
    model : ImplicitModel
    index : int
        Of the block.
    values : ndarray, shape (n_states + n_inputs + 1, n_windows)
        See `values_of`.
    targets : ndarray, shape (n_windows, n_rows)
        Pre-activations of all rows.
    pattern : {"support", "earlier"}
        See `fit_states`.

    Raises
    ------
    ValueError
        If there are too few windows for a row.
    """
    block, channel_of_column = model.blocks[index], model.channel_of_column
    rows = np.arange(model.n_rows)[block.rows]
    rows = rows[~model.fixed_rows[rows]]
    for columns, sharing in _same_columns(model, index, pattern, rows):
        if len(columns) >= values.shape[1]:
            raise ValueError(
                f"{block.name}, row {sharing[0]}: {len(columns)} weights and an intercept need more than "
                f"{len(columns)} calibration windows, there are {values.shape[1]}"
            )
        yield RowDesign(
            rows=sharing,
            columns=columns,
            channels=np.unique(channel_of_column[columns], return_inverse=True)[1],
            looped=np.isin(columns, np.unique(model.feedback[sharing].indices)),
            features=values[columns].T,
            targets=targets[:, sharing],
        )


def _problem(
    model: ImplicitModel, block: Block, design: RowDesign, penalties: np.ndarray, kappa: float | None, bound: str
) -> RowProblem:
    limited = design.looped if bound == "loops" else design.columns < model.n_states
    limit = np.inf if kappa is None else kappa / (block.activation.lipschitz or np.nan)
    if kappa is None:
        limited = np.zeros_like(limited)
    return RowProblem(design, penalties[design.rows], limited, limit)


def _same_columns(
    model: ImplicitModel, index: int, pattern: str, rows: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features of the rows of a block, and the rows that have them."""
    if pattern == "earlier":
        order = model.order or ()
        earlier = [np.arange(model.n_states)[model.blocks[read].states] for read in order[: order.index(index)]]
        inputs = model.n_states + np.arange(model.B.shape[1] - 1)
        if len(rows):
            yield np.sort(np.concatenate([*earlier, inputs])), rows
        return
    sharing: dict[bytes, list[int]] = {}
    supports: dict[bytes, np.ndarray] = {}
    coefficients: Any = sparse.hstack([model.A[rows], model.B[rows, :-1]], format="csr")
    for row, start, stop in zip(rows, coefficients.indptr[:-1], coefficients.indptr[1:], strict=True):
        columns = np.sort(coefficients.indices[start:stop]).astype(np.int64)
        supports[columns.tobytes()] = columns
        sharing.setdefault(columns.tobytes(), []).append(row)
    for key, columns in supports.items():
        if len(columns):
            yield columns, np.array(sharing[key])


def _check_options(model: ImplicitModel, kappa: float | None, bound: str, pattern: str, sequential: bool) -> None:
    for name, value, options in (
        ("pattern", pattern, ("support", "earlier")),
        ("bound", bound, ("loops", "everywhere")),
    ):
        if value not in options:
            raise ValueError(f"{name} {value!r} is unknown; {' or '.join(options)}")
    if bound == "everywhere":
        _require_lipschitz(model, kappa)
    if model.order is not None:
        return
    if kappa is None or not 0 < kappa < 1:
        raise ValueError(f"the model has feedback, kappa is {kappa}; give 0 < kappa < 1, so that it stays well-posed")
    if pattern == "earlier" or sequential:
        raise ValueError("the model has feedback, so that no block is before another; pattern support, not sequential")
    if not np.isfinite(model.is_well_posed(kappa).norm):
        raise ValueError("a block in a loop has no Lipschitz constant: no kappa makes it well-posed; unroll it in time")


def _require_lipschitz(model: ImplicitModel, kappa: float | None) -> None:
    require_below_one(np.nan if kappa is None else kappa)
    for block in model.blocks:
        if block.activation.lipschitz is None and not model.fixed_rows[block.rows].all():
            raise ValueError(
                f"bound everywhere: {block.name} ({type(block.activation).__name__}) has no Lipschitz constant, so that"
                " no bound of its rows makes a contraction; bound loops leaves it as it is"
            )
