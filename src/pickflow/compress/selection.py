"""Which channels stay: SAFE-screened group lasso paths, and the division of a budget among the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pickflow.compress.channels import ChannelSet
from pickflow.compress.costs import Costs
from pickflow.compress.states import LayerStatistics
from pickflow.safe import Gram, GroupDesign, check_certificate, debias, group_path, relative_residual

# The path ends at this share of the penalty that empties a layer.
LEAST_RATIO = 1e-3


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
    error : float
        Share of the targets' variance that is lost after refitting (debiasing), mean over the readers.
    screened : dict of str to int
        Channels that each rule excluded with proof.
    duality_gap : float
        Of the lasso, relative to the targets' variance.
    n_false : int or None
        Excluded channels that an unscreened solution has; None if it was not checked.
    largest_difference : float or None
        Of coefficients, from the unscreened solution.
    """

    ratio: float
    active: np.ndarray
    error: float
    screened: dict[str, int]
    duality_gap: float
    n_false: int | None
    largest_difference: float | None


@dataclass(frozen=True, kw_only=True)
class Path:
    """A problem's solutions, from few channels to many."""

    sets: tuple[tuple[str, int], ...]
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """Names of the sets, for messages."""
        return " + ".join(name for name, _ in self.sets)

    def kept(self, index: int) -> dict[str, np.ndarray]:
        """Channels of each set that stay at a point."""
        found, first = {}, 0
        for name, n_channels in self.sets:
            found[name] = np.flatnonzero(self.points[index].active[first : first + n_channels])
            first += n_channels
        return found


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
        What a normalisation behind a layer multiplies its rows with: errors count as the activation sees them.
    """
    group_of: dict[str, dict[int, int]] = {}
    first_group = 0
    for one in sets:
        for reader, first in one.readers:
            group_of.setdefault(reader, {}).update({first + i: first_group + i for i in range(one.n_channels)})
        first_group += one.n_channels
    readers, designs = [], []
    for reader, groups in group_of.items():
        grams = [
            gram.scaled(row_scale[reader]) if reader in row_scale else gram for gram in statistics[reader].grams
        ]
        total = sum(float(gram.square.sum()) for gram in grams) or 1.0
        for rows, gram in zip(statistics[reader].rows, grams, strict=True):
            channels = rows.channel_of_feature
            size = np.sqrt(np.bincount(channels, np.diag(gram.gram)) / np.bincount(channels))
            scale = 1.0 / np.where(size > 0, size, 1.0)[channels]
            ready = _with_features_scaled(gram, scale).scaled(np.full(gram.square.size, total**-0.5))
            readers.append(reader)
            designs.append(GroupDesign(gram=ready, groups=np.array([groups[channel] for channel in channels])))
    names = tuple((one.name, one.n_channels) for one in sets)
    return Problem(sets=names, readers=tuple(readers), designs=tuple(designs))


def _with_features_scaled(gram: Gram, scale: np.ndarray) -> Gram:
    return replace(
        gram,
        gram=gram.gram * scale[:, None] * scale,
        cross=gram.cross * scale[:, None],
        feature_mean=gram.feature_mean * scale,
    )


def solve_path(problem: Problem, n_points: int, check: bool = False) -> Path:
    """
    Solve a problem along a path of penalties, from the largest down, with warm starts.

    Parameters
    ----------
    problem : Problem
        See `make_problem`.
    n_points : int
        Penalties, equally spaced on a logarithmic axis.
    check : bool
        Solve each also without screening, to count false eliminations.
    """
    ratios = np.geomspace(1.0, LEAST_RATIO, n_points + 1)[1:]
    points = []
    for ratio, solution in zip(ratios, group_path(problem.designs, ratios), strict=True):
        checked = check_certificate(problem.designs, solution) if check else None
        points.append(
            Point(
                ratio=float(ratio),
                active=solution.active,
                error=refitted_error(problem, solution.active),
                screened={rule: int(mask.sum()) for rule, mask in solution.screened.items()},
                duality_gap=float(solution.duality_gap),
                n_false=checked.n_false if checked else None,
                largest_difference=checked.largest_difference if checked else None,
            )
        )
    return Path(sets=problem.sets, points=tuple(points))


def refitted_error(problem: Problem, active: np.ndarray) -> float:
    """Share of the targets' variance that is lost with some of the channels, mean over the readers."""
    lost: dict[str, float] = {}
    for reader, design in zip(problem.readers, problem.designs, strict=True):
        support = active[design.groups]
        residual = relative_residual(design.gram, debias(design.gram, support)) if support.any() else 1.0
        lost[reader] = lost.get(reader, 0.0) + residual * float(design.gram.square.sum())
    return float(np.mean(list(lost.values())))


def choose(paths: Sequence[Path], costs: Costs, measure: str, share: float) -> list[int]:
    """
    Point of each path so that the model costs at most a share of the teacher and least is lost.

    The sum of the errors is minimised for a price of the cost, which is raised until the budget is kept: a layer whose
    channels repeat one another gives more of them up than one in which each says something of its own.

    Parameters
    ----------
    paths : sequence of Path
        Of all components.
    costs : Costs
        Of the teacher.
    measure : {"macs", "parameters"}
        What is counted.
    share : float
        Of the teacher's, 0 to 1.

    Returns
    -------
    list of int
        Number of the point of each path.

    Raises
    ------
    ValueError
        If not even one channel everywhere keeps the budget, naming the layer that costs most.
    """
    usable = [[i for i, point in enumerate(path.points) if _fills(path, i)] for path in paths]
    for path, indices in zip(paths, usable, strict=True):
        if not indices:
            raise ValueError(f"compress: every penalty of the path empties layer {path.name}; raise compress.n_path")
    least = [indices[0] for indices in usable]
    if _cost(paths, least, costs, measure) > share:
        raise ValueError(
            f"compress.target {measure} {share:g}: a smaller penalty would be needed than the one that empties layer"
            f" {_dearest(paths, least, costs, measure)}; {_cost(paths, least, costs, measure):.3g} is the least possible"
        )
    low, high, best = 0.0, 1.0, least
    while _cost(paths, _cheapest(paths, usable, costs, measure, high), costs, measure) > share and high < 1e9:
        low, high = high, high * 4
    for _ in range(30):
        price = (low * high) ** 0.5 if low > 0 else high / 16
        chosen = _cheapest(paths, usable, costs, measure, price)
        if _cost(paths, chosen, costs, measure) <= share:
            high, best = price, chosen
        else:
            low = price
    return best


def _fills(path: Path, index: int) -> bool:
    return all(kept.size for kept in path.kept(index).values())


def kept_of(paths: Sequence[Path], chosen: Sequence[int]) -> dict[str, np.ndarray]:
    """Channels that stay, by the name of the set."""
    found: dict[str, np.ndarray] = {}
    for path, index in zip(paths, chosen, strict=True):
        found |= path.kept(index)
    return found


def _cost(paths: Sequence[Path], chosen: Sequence[int], costs: Costs, measure: str) -> float:
    widths = {name: kept.size for name, kept in kept_of(paths, chosen).items()}
    return costs.share(widths, measure)


def _dearest(paths: Sequence[Path], chosen: Sequence[int], costs: Costs, measure: str) -> str:
    return costs.dearest({name: kept.size for name, kept in kept_of(paths, chosen).items()}, measure)


def _cheapest(
    paths: Sequence[Path], usable: Sequence[Sequence[int]], costs: Costs, measure: str, price: float
) -> list[int]:
    """Coordinate descent on the errors plus the price of what the model costs."""
    chosen = [indices[-1] for indices in usable]
    widths = {name: kept.size for name, kept in kept_of(paths, chosen).items()}
    for _ in range(10):
        before = list(chosen)
        for number, (path, indices) in enumerate(zip(paths, usable, strict=True)):
            totals = []
            for index in indices:
                trial = widths | {name: kept.size for name, kept in path.kept(index).items()}
                totals.append(path.points[index].error + price * costs.share(trial, measure))
            chosen[number] = indices[int(np.argmin(totals))]
            widths |= {name: kept.size for name, kept in path.kept(chosen[number]).items()}
        if chosen == before:
            break
    return chosen
