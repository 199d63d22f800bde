"""The lasso of rows that share their features, along a path of penalties, with what is proved on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pickflow.run.settings.implicit import ImplicitParams
from pickflow.safe import (
    Gram,
    GroupDesign,
    GroupSolution,
    LassoSolution,
    check_certificate,
    group_path,
    lasso_path,
    lasso_penalty_max,
    relative_residual,
    solve_lasso_limited,
)

Array = NDArray[np.float64]

# Duality gap as a share of the targets' variance; the rules allow for it, so that it costs no certainty.
TOLERANCE = 1e-8


class Setting(NamedTuple):
    """
    Which lasso.

    Parameters
    ----------
    penalty : {"element", "group"}
        What it eliminates.
    bound : {"none", "everywhere"}
        Whether ‖a‖₁ ≤ κ/L is imposed on all rows.
    ratio : float
        Penalty over the one that empties a row.
    """

    penalty: str
    bound: str
    ratio: float


class Solution(NamedTuple):
    """Coefficients of the rows of a design, shape (p, q), and numbers for the table of fits."""

    coefficients: Array
    facts: dict[str, Any]


def settings_of(params: ImplicitParams, with_bound: bool) -> list[Setting]:
    """All lassos of a picker; the bound is tried with the smallest penalty, where nothing else costs anything."""
    settings = [Setting(penalty, "none", ratio) for penalty in params.penalties for ratio in params.ratios]
    return settings + [Setting("element", "everywhere", params.ratios[-1])] * with_bound


def solve_design(
    gram: Gram,
    channels: NDArray[np.integer],
    bounded: tuple[NDArray[np.bool_], float] | None,
    params: ImplicitParams,
    check: bool,
) -> Iterator[tuple[Setting, Solution]]:
    """
    Solve all lassos of rows that share their features.

    Parameters
    ----------
    gram : Gram
        p features, q rows.
    channels : ndarray of int, shape (p,)
        Group of each feature.
    bounded : tuple of ndarray of bool, shape (p,), and float, or None
        Features that are states, and the bound of their ℓ₁ norm; None where no bound is tried.
    params : ImplicitParams
        Penalties and ratios.
    check : bool
        Solve again without screening.
    """
    for penalty in params.penalties:
        design = GroupDesign(gram=gram, groups=channels)
        solved: Sequence[LassoSolution | GroupSolution] = (
            lasso_path(gram, params.ratios, tolerance=TOLERANCE)
            if penalty == "element"
            else group_path([design], params.ratios, tolerance=TOLERANCE)
        )
        for ratio, solution in zip(params.ratios, solved, strict=True):
            problem: Any = gram if penalty == "element" else [design]
            yield Setting(penalty, "none", ratio), _solution(gram, problem, solution, check)
    if bounded is not None:
        features, limit = bounded
        ratio = params.ratios[-1]
        start = ratio * lasso_penalty_max(gram)
        limited, _ = solve_lasso_limited(gram, start, features, limit, tolerance=TOLERANCE)
        coefficients, facts = _solution(gram, gram, limited, check)
        # The sum is within the tolerance, and a bound that is nearly kept is not kept.
        sums = np.abs(coefficients[features]).sum(axis=0)
        shrunk = np.where(features[:, None], np.minimum(1.0, limit / np.maximum(sums, limit)), 1.0)
        yield Setting("element", "everywhere", ratio), Solution(coefficients * shrunk, facts)


def _solution(gram: Gram, problem: Any, solution: LassoSolution | GroupSolution, check: bool) -> Solution:
    total = float(gram.square.sum())
    checked = check_certificate(problem, solution, tolerance=TOLERANCE) if check else None
    if isinstance(solution, GroupSolution):
        coefficients, alive = solution.coefficients[0], solution.active
    else:
        coefficients, alive = solution.coefficients, solution.coefficients != 0
    facts = {
        "n_problems": 1,
        "n_weights": coefficients.size,
        "n_nonzero": int(np.count_nonzero(coefficients)),
        "n_features": alive.size,
        "n_zero": int((~alive).sum()),
        **{f"n_screened_{rule}": int(mask.sum()) for rule, mask in solution.screened.items()},
        "n_checked": int(check),
        "n_false": checked.n_false_eliminations if checked else 0,
        "largest_difference": checked.largest_difference if checked else 0.0,
        "duality_gap": float(np.sum(solution.duality_gap)) / total if total > 0 else 0.0,
        "lost": relative_residual(gram, coefficients) * total,
        "variance": total,
    }
    return Solution(coefficients, facts)


class Account:
    """Numbers of many problems, added up by lasso and layer."""

    def __init__(self) -> None:
        self._sums: dict[tuple[Setting, str], dict[str, Any]] = {}

    def add(self, setting: Setting, layer: str, facts: dict[str, Any]) -> None:
        """Add a problem."""
        sums = self._sums.setdefault((setting, layer), dict.fromkeys(facts, 0))
        for name, value in facts.items():
            largest = name in ("largest_difference", "duality_gap")
            sums[name] = max(sums[name], value) if largest else sums[name] + value

    def rows(self) -> list[dict[str, Any]]:
        """One for each lasso and layer, in the order in which they came."""
        return [
            {**setting._asdict(), "layer": layer, "place": place}
            | {name: value for name, value in sums.items() if name not in ("lost", "variance")}
            | {"lost": sums["lost"] / sums["variance"] if sums["variance"] > 0 else 0.0}
            for place, ((setting, layer), sums) in enumerate(self._sums.items())
        ]


def largest_masks(weights: Sequence[Array], layers: Sequence[Any], n_nonzero: int) -> list[NDArray[np.bool_]]:
    """
    Weights that magnitude pruning keeps: the largest, each relative to the mean of its layer (Li et al. 2017).

    Parameters
    ----------
    weights : sequence of ndarray
    layers : sequence
        Name or number of the layer of each.
    n_nonzero : int
        How many stay.
    """
    sums: dict[Any, list[float]] = {}
    for layer, values in zip(layers, weights, strict=True):
        size, total = sums.setdefault(layer, [0.0, 0.0])
        sums[layer] = [size + values.size, total + float(np.abs(values).sum())]
    relative = [
        np.abs(values) * (sums[layer][0] / sums[layer][1] if sums[layer][1] > 0 else 0.0)
        for layer, values in zip(layers, weights, strict=True)
    ]
    flat = np.concatenate([weight.ravel() for weight in relative])
    mask = np.zeros(flat.size, dtype=bool)
    mask[np.argsort(-flat, kind="stable")[:n_nonzero]] = True
    parts = np.split(mask, np.cumsum([weight.size for weight in relative])[:-1])
    return [part.reshape(weight.shape) for part, weight in zip(parts, relative, strict=True)]
