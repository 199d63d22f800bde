"""Shared data of the students of one teacher: its windows, its statistics, its paths and its picks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import obspy
import torch

from pickflow.annotate import Picker, PickerOptions
from pickflow.compress.channels import Wiring, wiring_of
from pickflow.compress.correction import correct, narrowed, row_scales, sensitivity
from pickflow.compress.costs import Costs, costs_of, multiply_adds_by_layer
from pickflow.compress.magnitude import by_magnitude, weight_sizes
from pickflow.compress.rows import InexpressibleLayerError, Rows, rows_of
from pickflow.compress.scores import PHASES, THRESHOLDS, BlockPicks, best_thresholds, blocks_of, pick_blocks
from pickflow.compress.selection import Path as PenaltyPath
from pickflow.compress.selection import choose, make_problem, selection_of, solve_path, supports_of
from pickflow.compress.states import Calibration, LayerStatistics, collect
from pickflow.compress.windows import TEST_BLOCK, Source, calibrate, make_source, read_records
from pickflow.distillation import probabilities_of
from pickflow.models.loading import load_model
from pickflow.models.seisbench_internals import annotate_defaults
from pickflow.run.settings.compress import CompressParams

logger = logging.getLogger(__name__)

# Gaps are bridged as in picking, with its default.
BRIDGE_GAPS_S = 0.5
# Of every four blocks of time, the one that thresholds are chosen on.
FITTED_BLOCK = 1
# Chosen: sensitivities are measured where a layer loses about this error, on this number of windows.
PROBED_ERROR = 0.1
N_PROBE_WINDOWS = 24
StationMap = Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]]


class Student(NamedTuple):
    """
    A narrower copy of a teacher.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    selection : dict of str to ndarray of int
        Channels that stay, by the name of the set.
    choice : list of int or None
        Point of each path; None for the baseline.
    masks : dict of str to Tensor
        Where single weights were eliminated: 0 by the name of the parameter.
    """

    model: Any
    selection: dict[str, np.ndarray]
    choice: list[int] | None
    masks: dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """
    A picker with all data for its compression.

    Parameters
    ----------
    model : WaveformModel
        In evaluation mode.
    wiring : Wiring
        Its channels.
    costs : Costs
        Of its layers.
    source : Source
        Windows of the run.
    calibration : Calibration
        Those that students are fitted on.
    statistics : dict of str to LayerStatistics
        Of its layers, in the order of computation.
    paths : tuple of Path
        Solutions of the group lasso for each component of the wiring.
    sensitivities : tuple of float
        Of each path.
    blocks : tuple of Stream
        Waveforms for the scores of students.
    picks : tuple of BlockPicks
        The teacher's there.
    fitted_blocks, fitted_picks
        The same for blocks that students are fitted on: their thresholds come from these.
    not_expressed : tuple of str
        Layers that stay as they are.
    """

    model: Any
    wiring: Wiring
    costs: Costs
    source: Source
    calibration: Calibration
    statistics: dict[str, LayerStatistics]
    paths: tuple[PenaltyPath, ...]
    sensitivities: tuple[float, ...]
    blocks: tuple[obspy.Stream, ...]
    picks: tuple[BlockPicks, ...]
    fitted_blocks: tuple[obspy.Stream, ...]
    fitted_picks: tuple[BlockPicks, ...]
    not_expressed: tuple[str, ...]

    def student(self, method: str, budget: Mapping[str, float]) -> Student:
        """
        Student that keeps a budget, not yet tuned.

        Parameters
        ----------
        method : {"safe", "magnitude"}
            Features eliminated by the lasso and all layers corrected; or the smallest filters cut out.
        budget : mapping of str to float
            See `pickflow.compress.selection.choose`.
        """
        if method == "magnitude":
            selection = by_magnitude(self.wiring, weight_sizes(self.model, self.wiring), self.costs, budget)
            return Student(narrowed(self.model, self.wiring, selection), selection, None, {})
        choice = choose(self.paths, self.sensitivities, self.costs, budget)
        selection = selection_of(self.paths, choice)
        model = narrowed(self.model, self.wiring, selection)
        supports = supports_of(self.paths, choice)
        masks = correct(model, self.wiring, selection, self.statistics, self.calibration, supports)
        return Student(model, selection, choice, masks)


def set_thresholds(teacher: Teacher, model: Any) -> None:
    """
    Give a student the thresholds at which it picks most like its teacher, in place.

    Smaller networks have lower probabilities; the thresholds come from blocks that the student was fitted on.
    """
    lowest = float(THRESHOLDS.min())
    options = PickerOptions(bridge_gaps_s=BRIDGE_GAPS_S, p_threshold=lowest, s_threshold=lowest)
    picks = pick_blocks(Picker(model, options), teacher.fitted_blocks)
    arguments = annotate_defaults(teacher.model)
    defaults = {
        phase: float(arguments.get(f"{phase}_threshold", arguments.get("*_threshold", 0.3))) for phase in PHASES
    }
    model.default_args = dict(model.default_args)
    for phase, default in defaults.items():
        model.default_args[f"{phase}_threshold"] = best_thresholds(picks, teacher.fitted_picks, default)[phase]


def study(folder: Path, days: Sequence[tuple[Path, Path]], params: CompressParams, station_map: StationMap) -> Teacher:
    """
    Read waveforms and picks of a run, and solve the paths of the teacher.

    Parameters
    ----------
    folder : Path
        Of the teacher.
    days : sequence of (Path, Path)
        Folder of waveforms and table of picks of each day.
    params : CompressParams
        Number and kind of windows, and length of the paths.
    station_map : callable
        ``station_map(function, items)``, in order: the components are solved side by side.

    Raises
    ------
    ValueError
        If there are too few waveforms, picks or windows, or a state is not finite.
    """
    model = load_model(folder)
    wiring = wiring_of(model)
    records = read_records(days, model, BRIDGE_GAPS_S, params.seed)
    source = make_source(records, model)
    calibration = calibrate(source, model, params.n_windows, params.pick_share, params.arrival_weight, params.seed)
    layers, unreadable = layers_of(model, wiring)
    logger.info("%d records, %d picks, %d layers", len(records), len(source.arrivals), len(layers))
    statistics = collect(model, layers, calibration)
    scales = row_scales(model, wiring)
    components = [
        sets
        for sets in wiring.components()
        if not {n for channel_set in sets for n, _ in channel_set.readers} & set(unreadable)
    ]
    problems = [make_problem(sets, statistics, scales) for sets in components]
    solve = partial(solve_path, penalty=params.penalty, n_points=params.n_path, check=params.check_certificate)
    paths = tuple(station_map(solve, problems))
    probes = calibration.windows[:N_PROBE_WINDOWS]
    with torch.no_grad():
        expected = probabilities_of(model, probes)
    blocks, fitted_blocks = blocks_of(records, TEST_BLOCK), blocks_of(records, FITTED_BLOCK)
    return Teacher(
        model=model,
        wiring=wiring,
        costs=costs_of(model, wiring),
        source=source,
        calibration=calibration,
        statistics=statistics,
        paths=paths,
        sensitivities=tuple(probe(path, model, wiring, statistics, (probes, expected)) for path in paths),
        blocks=tuple(blocks),
        picks=tuple(pick_blocks(picker_of(model), blocks)),
        fitted_blocks=tuple(fitted_blocks),
        fitted_picks=tuple(pick_blocks(picker_of(model), fitted_blocks)),
        not_expressed=(*unreadable, *unread_layers(model, wiring)),
    )


def picker_of(model: Any) -> Picker:
    """The model as the stage `pick` uses it by default."""
    return Picker(model, PickerOptions(bridge_gaps_s=BRIDGE_GAPS_S))


def layers_of(model: Any, wiring: Wiring) -> tuple[dict[str, list[Rows]], list[str]]:
    """Readers of channels as regressions, in the order of computation, and those that cannot be written so."""
    order = list(multiply_adds_by_layer(model))
    layers, unreadable = {}, []
    for name in sorted(wiring.readers(), key=order.index):
        try:
            layers[name] = rows_of(name, model.get_submodule(name))
        except InexpressibleLayerError as error:
            logger.warning("%s; it is left as it is", error)
            unreadable.append(name)
    return layers, unreadable


def unread_layers(model: Any, wiring: Wiring) -> list[str]:
    """Layers with weights that read no set of channels and so stay as wide as they are: recurrences, attention."""
    names = {
        *wiring.readers(),
        *(name for channel_set in wiring.sets for name in (*channel_set.writers, *channel_set.carriers)),
    }
    return [name for name in multiply_adds_by_layer(model) if name not in names]


def probe(
    path: PenaltyPath,
    model: Any,
    wiring: Wiring,
    statistics: dict[str, LayerStatistics],
    reference: tuple[torch.Tensor, torch.Tensor],
) -> float:
    """Effect of a path's error on the probabilities (reference: windows and the teacher's), per unit of the error."""
    points = [
        (abs(np.log(max(point.error, 1e-12) / PROBED_ERROR)), index)
        for index, point in enumerate(path.points)
        if all(channels.size for channels in path.selection(index).values())
    ]
    if not points:
        raise ValueError(f"compress: every penalty of the path empties layer {path.name}; raise compress.n_path")
    _, index = min(points)
    loss = sensitivity(model, wiring, path.selection(index), statistics, *reference)
    return loss / max(path.points[index].error, 1e-12)
