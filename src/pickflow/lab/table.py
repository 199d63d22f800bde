"""The table of the lab: scores of each training, means and intervals of each variant, differences to a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.datasets.records import TOLERANCES_S
from pickflow.lab import bootstrap, earthml, scores
from pickflow.lab.comparison import Floats, Index, PhaseComparison, compare_phase
from pickflow.lab.records import PHASES, PickerOutput, common_records, known_from_training, picks_on

# Scores with an interval, and whether more is better.
JUDGED = {
    **{
        f"{rate}_{tolerance:g}s": True
        for rate in (*scores.RATES, "equal_recall")
        for tolerance in TOLERANCES_S
    },
    "mae_s": False, "rmse_s": False, "mae_all_s": False, "rmse_all_s": False, "false_picks_per_station_hour": False,
}  # fmt: skip
_ERRORS = ("mae_s", "rmse_s", "mae_all_s", "rmse_all_s")


def judged_scores(phase: str) -> list[str]:
    """Scores of `JUDGED` that a phase has: the time of a detection has no error, it is true if it overlaps."""
    return [score for score in JUDGED if phase != "Detection" or score not in _ERRORS]


@dataclass(frozen=True, kw_only=True)
class TableParams:
    """
    How pickers are compared.

    Attributes
    ----------
    reference : str
        The variant that differences are taken to.
    blocks : str
        What is drawn anew for intervals: ``event`` or ``station``.
    n_draws : int
        Draws.
    picks_per_label : float
        Number of picks, divided by that of the labels, at which recalls are compared.
    seed : int
        Of the draws.
    """

    reference: str = "EQT"
    blocks: str = "event"
    n_draws: int = 1000
    picks_per_label: float = 1.0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LabTable:
    """
    What is known of all pickers.

    Attributes
    ----------
    params : TableParams
        How they were compared.
    records : DataFrame
        `LABELLED_RECORDS` of the parts validation and test, those of the scores.
    scores : DataFrame
        A row for each variant, seed and phase: ``threshold``, counts (`scores.counts`), scores (`scores.metrics`),
        ``equal_recall_0.3s`` and the like, and ``equal_n_picks``.
    intervals : DataFrame
        A row for each variant, phase and score of `JUDGED`: ``n_seeds``, ``value`` (mean over seeds), ``spread``
        (standard deviation between them; NaN of one), ``low``, ``high``, ``difference`` (to the reference),
        ``difference_low``, ``difference_high`` and ``verdict``.
    curves : DataFrame
        Recall at 0.3 s against the number of picks, of the first seed of each variant: ``variant``, ``phase``,
        ``picks_per_label``, ``recall``.
    earthml : DataFrame
        A row for each variant: `earthml.COLUMNS` (means over seeds) and what `earthml.better_than` counts.
    touched : DataFrame
        A row for each variant: ``n_records`` of the test part, ``n_touched`` of them that it knows, or may know, from
        its training, and from which (``sets``).
    left_out : DataFrame
        ``record``, ``reason``, ``detail``, ``n_pickers``.
    n_blocks : int
        That were drawn.
    """

    params: TableParams
    records: pd.DataFrame
    scores: pd.DataFrame
    intervals: pd.DataFrame
    curves: pd.DataFrame
    earthml: pd.DataFrame
    touched: pd.DataFrame
    left_out: pd.DataFrame
    n_blocks: int


@dataclass(frozen=True, kw_only=True)
class _Training:
    """Scores of a training and its draws, by phase."""

    output: PickerOutput
    rows: list[dict[str, float | str]]
    draws: dict[str, dict[str, Floats]]
    comparisons: dict[str, PhaseComparison]
    earthml: dict[str, float]


def compare_pickers(outputs: Sequence[PickerOutput], params: TableParams | None = None) -> LabTable:
    """
    Compare pickers on the records that all of them were run on.

    Thresholds are chosen on the part ``validation``, all scores are of the part ``test``.

    Parameters
    ----------
    outputs : sequence of PickerOutput
        One for each variant and seed; the reference among them.
    params : TableParams, optional
        How.

    Raises
    ------
    ValueError
        If the reference is absent, a part has no records, or the outputs do not belong together.
    """
    params = params or TableParams()
    names = sorted({output.variant for output in outputs})
    common = common_records(outputs)
    if params.reference not in names:
        raise ValueError(f"lab: reference {params.reference} is not among the variants {', '.join(names)}")
    parts = {part: _part(common.records, part) for part in ("validation", "test")}
    block = bootstrap.block_of_records(parts["test"], params.blocks)
    n_blocks = int(block.max()) + 1
    weights = bootstrap.draw_blocks(n_blocks, params.n_draws, params.seed)
    trainings = [_score_training(output, parts, block, weights, params) for output in outputs]
    return LabTable(
        params=params,
        records=common.records[common.records.part.isin(list(parts))].reset_index(drop=True),
        scores=pd.DataFrame([row for training in trainings for row in training.rows]),
        intervals=_intervals(trainings, n_blocks, params),
        curves=_curves(trainings),
        earthml=_earthml(trainings, params),
        touched=_touched(outputs, parts["test"]),
        left_out=common.left_out,
        n_blocks=n_blocks,
    )


def _part(records: pd.DataFrame, part: str) -> pd.DataFrame:
    records_of_part = records[records.part == part].reset_index(drop=True)
    if records_of_part.empty:
        use = "thresholds are chosen there" if part == "validation" else "pickers are compared there"
        raise ValueError(
            f"lab: no record of the part {part} is left; {use}, so split the data set into all three parts"
        )
    return records_of_part


def _score_training(
    output: PickerOutput,
    parts: Mapping[str, pd.DataFrame],
    block: Index,
    weights: NDArray[np.float32],
    params: TableParams,
) -> _Training:
    rows: list[dict[str, float | str]] = []
    draws, comparisons = {}, {}
    unit_weights = np.ones((1, weights.shape[1]), np.float32)
    picks = picks_on(output, pd.concat(list(parts.values())))
    for phase in PHASES:
        threshold = scores.choose_threshold(compare_phase(picks, parts["validation"], phase))
        comparison = comparisons[phase] = compare_phase(picks, parts["test"], phase)
        sums = scores.record_sums(comparison, threshold)
        whole = sums.sum(axis=0)
        equal, n_equal = scores.equal_recall(comparison, params.picks_per_label, unit_weights, block)
        values = {**scores.metrics(whole), **{name: value[0] for name, value in equal.items()}}
        row: dict[str, float | str] = {"variant": output.variant, "seed": output.seed, "phase": phase}
        rows.append(
            row
            | {"threshold": threshold}
            | scores.counts(whole)
            | {"equal_n_picks": float(n_equal[0])}
            | {name: float(values[name]) for name in judged_scores(phase)}
        )
        draws[phase] = scores.metrics(bootstrap.sum_draws(sums, block, weights))
        draws[phase] |= scores.equal_recall(comparison, params.picks_per_label, weights, block)[0]
    test = picks[picks.record.isin(parts["test"].record)]
    numbers = earthml.earthml_numbers(test, parts["test"])
    return _Training(output=output, rows=rows, draws=draws, comparisons=comparisons, earthml=numbers)


def _intervals(trainings: Sequence[_Training], n_blocks: int, params: TableParams) -> pd.DataFrame:
    by_variant = _by_variant(trainings)
    rows: list[dict[str, float | str]] = []
    for number, phase in enumerate(PHASES):
        for score in judged_scores(phase):
            draws = {
                name: bootstrap.mean_of_trainings(
                    np.stack([training.draws[phase][score] for training in variant_trainings]), params.seed, name
                )
                for name, variant_trainings in by_variant.items()
            }
            values = {
                name: np.array([training.rows[number][score] for training in variant_trainings], float)
                for name, variant_trainings in by_variant.items()
            }
            rows += [
                {
                    "variant": name,
                    "phase": phase,
                    "score": score,
                    **_interval(name, score, values, draws, n_blocks, params),
                }
                for name in by_variant
            ]
    return pd.DataFrame(rows)


def _interval(
    name: str,
    score: str,
    values: Mapping[str, Floats],
    draws: Mapping[str, Floats],
    n_blocks: int,
    params: TableParams,
) -> dict[str, float | str]:
    """A score of a variant and its difference to the reference, from values by seed and means by draw."""
    low, high = bootstrap.interval(draws[name], n_blocks)
    difference = bootstrap.interval(draws[name] - draws[params.reference], n_blocks)
    is_reference = name == params.reference
    return {
        "n_seeds": len(values[name]),
        "value": float(values[name].mean()),
        "spread": float(values[name].std(ddof=1)) if values[name].size > 1 else float("nan"),
        "low": low,
        "high": high,
        "difference": float(values[name].mean() - values[params.reference].mean()),
        "difference_low": difference.low,
        "difference_high": difference.high,
        "verdict": "reference" if is_reference else bootstrap.verdict(difference, JUDGED[score]),
    }


def _by_variant(trainings: Sequence[_Training]) -> dict[str, list[_Training]]:
    """Trainings of each variant, in the order in which the variants were given."""
    groups: dict[str, list[_Training]] = {}
    for training in trainings:
        groups.setdefault(training.output.variant, []).append(training)
    return groups


def _curves(trainings: Sequence[_Training]) -> pd.DataFrame:
    parts = []
    for variant, variant_trainings in _by_variant(trainings).items():
        for phase, comparison in variant_trainings[0].comparisons.items():
            picks_per_label, recall = scores.recall_curve(comparison)
            curve = pd.DataFrame({"picks_per_label": picks_per_label, "recall": recall})
            parts.append(curve.assign(variant=variant, phase=phase))
    return pd.concat(parts, ignore_index=True)[["variant", "phase", "picks_per_label", "recall"]]


def _earthml(trainings: Sequence[_Training], params: TableParams) -> pd.DataFrame:
    rows = pd.DataFrame([{"variant": training.output.variant, **training.earthml} for training in trainings])
    table = rows.groupby("variant", sort=False).mean()
    counted = earthml.better_than(table, params.reference)
    return table.join(counted).reset_index()


def _touched(outputs: Sequence[PickerOutput], records: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for output in outputs:
        remarks = known_from_training(records, output.card)
        touched = remarks[remarks != ""]
        row = {"variant": output.variant, "n_records": len(records), "n_touched": len(touched)}
        rows.append(row | {"sets": "; ".join(sorted(touched.unique()))})
    # Trainings of a variant may know different records: the worst is shown.
    order = pd.DataFrame(rows).sort_values("n_touched", ascending=False, kind="stable").drop_duplicates("variant")
    return order.set_index("variant").loc[[*dict.fromkeys(output.variant for output in outputs)]].reset_index()
