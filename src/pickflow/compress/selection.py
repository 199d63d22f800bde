"""Selection of channels: SAFE-screened group lasso paths, and the division of a budget among the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pickflow.compress.channels import ChannelSet
from pickflow.compress.costs import Costs
from pickflow.compress.states import LayerStatistics
from pickflow.safe import (
    Gram,
    GroupDesign,
    GroupSolution,
    LassoSolution,
    check_certificate,
    debias,
    group_penalty_max,
    lasso_penalty_max,
    relative_residual,
    solve_group_lasso,
    solve_lasso,
)

# Chosen: the path ends at this share of the penalty that empties a layer, or where refitting loses less than the error.
LEAST_RATIO = 3e-3
LEAST_ERROR = 1e-4
# Duality gap as a share of the targets' variance; the rules allow for it, so that it costs no certainty.
TOLERANCE = 1e-7


@dataclass(frozen=True, kw_only=True)
class Problem:
    """
    Group lasso of the channel sets that share readers.

    Parameters
    ----------
    sets : tuple of (str, int)
        Their names and numbers of channels; groups are counted through them.
    readers : tuple of str
        Layer of each design.
    designs : tuple of GroupDesign
        One for each reader (several for a transposed convolution), scaled so that the variance of a reader's targets,
        summed over its rows, is 1 and every channel's features have unit size: errors are relative ones.
    """

    sets: tuple[tuple[str, int], ...]
    readers: tuple[str, ...]
    designs: tuple[GroupDesign, ...]

    @property
    def n_groups(self) -> int:
        """Number of channels of all sets."""
        return sum(n for _, n in self.sets)

    @property
    def name(self) -> str:
        """Names of the sets, for messages."""
        return " + ".join(name for name, _ in self.sets)


@dataclass(frozen=True, kw_only=True)
class Point:
    """
    One penalty on the path of a problem.

    Parameters
    ----------
    ratio : float
        Penalty over the one that empties the layer.
    active : ndarray of bool, shape (n_groups,)
        Channels that stay.
    supports : tuple of ndarray of bool, each of shape (n_features, n_rows), or None
        Weights that stay, of each design, where the lasso is of single weights.
    error : float
        Share of the targets' variance that is lost after refitting (debiasing), mean over the readers.
    n_features : int
        Channels, or weights, of the problem.
    screened : dict of str to int
        Number of them that each rule excluded with proof.
    duality_gap : float
        Of the lasso, relative to the targets' variance.
    n_false : int or None
        Excluded channels that an unscreened solution has; None if it was not checked.
    largest_difference : float or None
        Of coefficients, from the unscreened solution.
    """

    ratio: float
    active: np.ndarray
    supports: tuple[np.ndarray, ...] | None
    error: float
    n_features: int
    screened: dict[str, int]
    duality_gap: float
    n_false: int | None
    largest_difference: float | None


@dataclass(frozen=True, kw_only=True)
class Path:
    """A problem's solutions, from few channels to many."""

    sets: tuple[tuple[str, int], ...]
    readers: tuple[str, ...]
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """Names of the sets, for messages."""
        return " + ".join(name for name, _ in self.sets)

    def selection(self, index: int) -> dict[str, np.ndarray]:
        """Channels of each set that stay at a point."""
        selection, first = {}, 0
        for name, n_channels in self.sets:
            selection[name] = np.flatnonzero(self.points[index].active[first : first + n_channels])
            first += n_channels
        return selection


def make_problem(
    sets: Sequence[ChannelSet], statistics: Mapping[str, LayerStatistics], row_scale: Mapping[str, np.ndarray]
) -> Problem:
    """
    Put the readers of some channel sets into one problem.

    Parameters
    ----------
    sets : sequence of ChannelSet
        A component of the wiring.
    statistics : mapping of str to LayerStatistics
        Of all readers.
    row_scale : mapping of str to ndarray
        Factors of a normalisation behind a layer: errors count at the input of the activation.
    """
    group_of: dict[str, dict[int, int]] = {}
    first_group = 0
    for channel_set in sets:
        for reader, first in channel_set.readers:
            group_of.setdefault(reader, {}).update({first + i: first_group + i for i in range(channel_set.n_channels)})
        first_group += channel_set.n_channels
    readers, designs = [], []
    for reader, groups in group_of.items():
        grams = [gram.rescale(row_scale[reader]) if reader in row_scale else gram for gram in statistics[reader].grams]
        total = sum(float(gram.square.sum()) for gram in grams) or 1.0
        for rows, gram in zip(statistics[reader].rows, grams, strict=True):
            channels = rows.channel_of_feature
            size = np.sqrt(np.bincount(channels, np.diag(gram.gram)) / np.bincount(channels))
            scale = 1.0 / np.where(size > 0, size, 1.0)[channels]
            scaled_gram = _with_features_scaled(gram, scale).rescale(np.full(gram.square.size, total**-0.5))
            readers.append(reader)
            designs.append(GroupDesign(gram=scaled_gram, groups=np.array([groups[channel] for channel in channels])))
    names = tuple((channel_set.name, channel_set.n_channels) for channel_set in sets)
    return Problem(sets=names, readers=tuple(readers), designs=tuple(designs))


def _with_features_scaled(gram: Gram, scale: np.ndarray) -> Gram:
    return replace(
        gram,
        gram=gram.gram * scale[:, None] * scale,
        cross=gram.cross * scale[:, None],
        feature_mean=gram.feature_mean * scale,
    )


def solve_path(problem: Problem, penalty: str, n_points: int, check: bool = False) -> Path:
    """
    Solve a problem along a path of penalties, from the largest down, with warm starts, until the error vanishes.

    Parameters
    ----------
    problem : Problem
        See `make_problem`.
    penalty : {"group", "element"}
        Whether the lasso eliminates whole channels or single weights.
    n_points : int
        Penalties at most, equally spaced on a logarithmic axis.
    check : bool
        Solve each also without screening, to count false eliminations.
    """
    solve = _solve_groups if penalty == "group" else _solve_elements
    points: list[Point] = []
    previous: Any = None
    for ratio in np.geomspace(1.0, LEAST_RATIO, n_points + 1)[1:]:
        point, previous = solve(problem, float(ratio), previous, check)
        points.append(point)
        if point.error < LEAST_ERROR:
            break
    return Path(sets=problem.sets, readers=problem.readers, points=tuple(points))


def _solve_groups(
    problem: Problem, ratio: float, previous: GroupSolution | None, check: bool
) -> tuple[Point, GroupSolution]:
    """One lasso over all designs, whose groups are the channels."""
    largest = group_penalty_max(problem.designs) or 1.0
    start = previous.coefficients if previous else None
    solution = solve_group_lasso(problem.designs, ratio * largest, start=start, tolerance=TOLERANCE)
    checked = check_certificate(problem.designs, solution, tolerance=TOLERANCE) if check else None
    point = Point(
        ratio=ratio,
        active=solution.active,
        supports=None,
        error=refitted_error(problem, [solution.active[design.groups] for design in problem.designs]),
        n_features=problem.n_groups,
        screened={rule: int(mask.sum()) for rule, mask in solution.screened.items()},
        duality_gap=float(solution.duality_gap),
        n_false=checked.n_false_eliminations if checked else None,
        largest_difference=checked.largest_difference if checked else None,
    )
    return point, solution


def _solve_elements(
    problem: Problem, ratio: float, previous: list[LassoSolution] | None, check: bool
) -> tuple[Point, list[LassoSolution]]:
    """One lasso for every row of every design; a channel is removed when no row uses it."""
    solutions = []
    for number, design in enumerate(problem.designs):
        largest = lasso_penalty_max(design.gram)
        start = previous[number].coefficients if previous else None
        penalty = ratio * np.where(largest > 0, largest, 1.0)
        solutions.append(solve_lasso(design.gram, penalty, start=start, tolerance=TOLERANCE))
    supports = [solution.coefficients != 0 for solution in solutions]
    active = np.zeros(problem.n_groups, dtype=bool)
    for design, support in zip(problem.designs, supports, strict=True):
        active[design.groups[support.any(axis=1)]] = True
    checked = [
        check_certificate(design.gram, solution, tolerance=TOLERANCE)
        for design, solution in zip(problem.designs, solutions, strict=True)
        if check
    ]
    point = Point(
        ratio=ratio,
        active=active,
        supports=tuple(supports),
        error=refitted_error(problem, supports),
        n_features=sum(support.size for support in supports),
        screened={
            rule: sum(int(solution.screened[rule].sum()) for solution in solutions) for rule in solutions[0].screened
        },
        duality_gap=max(float(solution.duality_gap.max(initial=0.0)) for solution in solutions),
        n_false=sum(certificate.n_false_eliminations for certificate in checked) if check else None,
        largest_difference=max(certificate.largest_difference for certificate in checked) if check else None,
    )
    return point, solutions


def refitted_error(problem: Problem, supports: Sequence[np.ndarray]) -> float:
    """Share of the targets' variance that is lost with some of the features of each design, mean over the readers."""
    losses: dict[str, float] = {}
    for reader, design, support in zip(problem.readers, problem.designs, supports, strict=True):
        residual = relative_residual(design.gram, debias(design.gram, support)) if support.any() else 1.0
        losses[reader] = losses.get(reader, 0.0) + residual * float(design.gram.square.sum())
    return float(np.mean(list(losses.values())))


def choose(paths: Sequence[Path], sensitivity: Sequence[float], costs: Costs, budget: Mapping[str, float]) -> list[int]:
    """
    Point of each path so that the model keeps a budget and least is lost.

    The sum of the errors, each times its sensitivity, is minimised for a price of the cost, which is raised until the
    budget is kept: a layer with redundant channels loses more of them than one with independent
    channels.

    Parameters
    ----------
    paths : sequence of Path
        Of all components.
    sensitivity : sequence of float
        Effect of an error of each path on the probabilities; see `pickflow.compress.correction.sensitivity`.
    costs : Costs
        Of the teacher.
    budget : mapping of str to float
        Largest share of the teacher's, 0 to 1, of ``macs``, of ``parameters``, or of both.

    Returns
    -------
    list of int
        Number of the point of each path.

    Raises
    ------
    ValueError
        If not even one channel everywhere keeps the budget, naming the layer that costs most.
    """
    usable = [[i for i, _ in enumerate(path.points) if _fills(path, i)] for path in paths]
    for path, indices in zip(paths, usable, strict=True):
        if not indices:
            raise ValueError(f"compress: every penalty of the path empties layer {path.name}; raise compress.n_path")
    best = [indices[0] for indices in usable]
    for measure, share in budget.items():
        minimum = costs.share(_widths(paths, best), measure)
        if minimum > share:
            raise ValueError(
                f"compress.target {measure} {share:g}: the largest penalties that empty no layer leave {minimum:.3g};"
                f" a larger one would empty layer {costs.costliest(_widths(paths, best), measure)} (or its neighbours);"
                " ask for more, or raise compress.n_path"
            )
    low, high = 1e-9, 1e3
    for _ in range(30):
        price = float(np.sqrt(low * high))
        choice = _cheapest(paths, usable, sensitivity, costs, budget, price)
        if all(costs.share(_widths(paths, choice), measure) <= share for measure, share in budget.items()):
            high, best = price, choice
        else:
            low = price
    return _filled(paths, usable, sensitivity, costs, budget, best)


def _filled(
    paths: Sequence[Path],
    usable: Sequence[Sequence[int]],
    sensitivity: Sequence[float],
    costs: Costs,
    budget: Mapping[str, float],
    choice: list[int],
) -> list[int]:
    """Spend the rest of a budget where it reduces the error most for its cost."""

    def spending(indices: Sequence[int]) -> float:
        return max(costs.share(_widths(paths, indices), measure) / share for measure, share in budget.items())

    while True:
        current, best, best_worth = spending(choice), None, 0.0
        for number, (path, indices) in enumerate(zip(paths, usable, strict=True)):
            for index in (i for i in indices if i > choice[number]):
                trial = [*choice[:number], index, *choice[number + 1 :]]
                cost = spending(trial)
                gain = sensitivity[number] * (path.points[choice[number]].error - path.points[index].error)
                worth = gain / max(cost - current, 1e-9)
                if cost <= 1 and worth > best_worth:
                    best, best_worth = trial, worth
                if cost > 1:
                    break
        if best is None:
            return choice
        choice = best


def _fills(path: Path, index: int) -> bool:
    return all(channels.size for channels in path.selection(index).values())


def selection_of(paths: Sequence[Path], choice: Sequence[int]) -> dict[str, np.ndarray]:
    """Channels that stay, by the name of the set."""
    selection: dict[str, np.ndarray] = {}
    for path, index in zip(paths, choice, strict=True):
        selection |= path.selection(index)
    return selection


def supports_of(paths: Sequence[Path], choice: Sequence[int]) -> dict[str, list[np.ndarray]]:
    """Weights that stay, of each design of a reader by its name; empty where whole channels were eliminated."""
    supports: dict[str, list[np.ndarray]] = {}
    for path, index in zip(paths, choice, strict=True):
        for reader, support in zip(path.readers, path.points[index].supports or (), strict=False):
            supports.setdefault(reader, []).append(support)
    return supports


def _widths(paths: Sequence[Path], choice: Sequence[int]) -> dict[str, int]:
    return {name: channels.size for name, channels in selection_of(paths, choice).items()}


def _cheapest(
    paths: Sequence[Path],
    usable: Sequence[Sequence[int]],
    sensitivity: Sequence[float],
    costs: Costs,
    budget: Mapping[str, float],
    price: float,
) -> list[int]:
    """Coordinate descent on the errors plus the price of the model's cost, from the most channels down."""
    choice = [indices[-1] for indices in usable]
    widths = _widths(paths, choice)
    path_costs = [costs.restricted_to([name for name, _ in path.sets]) for path in paths]
    for _ in range(10):
        previous = list(choice)
        for number, (path, indices) in enumerate(zip(paths, usable, strict=True)):
            totals = []
            for index in indices:
                trial = widths | {name: channels.size for name, channels in path.selection(index).items()}
                cost = sum(path_costs[number].share(trial, measure) / share for measure, share in budget.items())
                totals.append(sensitivity[number] * path.points[index].error + price * cost)
            choice[number] = indices[int(np.argmin(totals))]
            widths |= {name: channels.size for name, channels in path.selection(choice[number]).items()}
        if choice == previous:
            break
    return choice
