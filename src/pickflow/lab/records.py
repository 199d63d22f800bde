"""Outputs of pickers on labelled records: what can be compared, what is left out, and what a picker knew before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.datasets.provenance import touched
from pickflow.io.tables import conform
from pickflow.run.settings.training import CODA
from pickflow.schemas import LABELLED_RECORDS, PREDICTIONS

PHASES = ("P", "S", "Detection")
_LABELS = ["dataset", "station", "event", "kind", "part", "p_s", "s_s", "n_samples"]


@dataclass(frozen=True, kw_only=True)
class PickerOutput:
    """
    What a trained picker gives on records.

    Attributes
    ----------
    variant : str
        Name of the picker in the table.
    seed : int
        Which of its trainings.
    picks, records : DataFrame
        `PREDICTIONS` and `LABELLED_RECORDS`.
    card : mapping
        Of the picker; it says what the picker was trained on, see `pickflow.datasets.provenance`.
    """

    variant: str
    seed: int
    picks: pd.DataFrame
    records: pd.DataFrame
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CommonRecords:
    """
    The records that all pickers were run on.

    Attributes
    ----------
    records : DataFrame
        `LABELLED_RECORDS`.
    left_out : DataFrame
        ``record``, ``reason``, ``detail`` and ``n_pickers``: those that some picker was not run on.
    """

    records: pd.DataFrame
    left_out: pd.DataFrame


def record_key(dataset: str, name: str) -> str:
    """Name of a record in the tables of the lab: two sets may have records of one name."""
    return f"{dataset}/{name}"


def detection_end_s(p_s: NDArray[np.float64], s_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """End of an earthquake in a record, S + 1.4 (S - P), in s."""
    return s_s + CODA * (s_s - p_s)


def common_records(outputs: Sequence[PickerOutput]) -> CommonRecords:
    """
    Records that every picker was run on, so that all are compared on the same.

    Parameters
    ----------
    outputs : sequence of PickerOutput
        One at least.

    Raises
    ------
    ValueError
        If there are no outputs, a variant and seed occur twice, labels of a record differ between outputs, a record is
        neither event nor noise, noise has a label, or no record is common to all.
    """
    names = [(output.variant, output.seed) for output in outputs]
    if not names:
        raise ValueError("lab: no picker's output was given; pick the records with one variant at least")
    if len(set(names)) < len(names):
        variant, seed = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"lab: variant {variant}, seed {seed} was given twice; give each training a seed of its own")
    tables = [conform(output.records, LABELLED_RECORDS) for output in outputs]
    together = pd.concat(tables, ignore_index=True)
    _check_labels(together)
    reasons = together[together.reason.fillna("") != ""]
    # A record that is not in every table, and has a reason in none.
    usable = together[together.reason.fillna("") == ""].groupby("record").size()
    absent = usable.index[usable < len(tables)].difference(pd.Index(reasons.record))
    left_out = reasons.groupby("record", as_index=False).agg(
        reason=("reason", "first"), detail=("detail", "first"), n_pickers=("reason", "size")
    )
    not_picked = pd.DataFrame({"record": absent, "reason": "not_picked", "detail": "not in the table of every picker"})
    not_picked["n_pickers"] = len(tables) - usable[absent].to_numpy(int)
    left_out = pd.concat([left_out, not_picked]) if len(left_out) else not_picked
    first = together.drop_duplicates("record")
    records = first[~first.record.isin(left_out.record)]
    if records.empty:
        raise ValueError(f"lab: no record was picked by all of {len(outputs)} pickers; pick the same records with each")
    return CommonRecords(records=conform(records, LABELLED_RECORDS), left_out=left_out.reset_index(drop=True))


def _check_labels(together: pd.DataFrame) -> None:
    """Raise a ValueError for records that contradict themselves."""
    names = together.drop_duplicates(["record", *_LABELS]).record
    if names.duplicated().any():
        name = names[names.duplicated()].iloc[0]
        raise ValueError(f"lab: labels of record {name!r} differ between pickers; pick the same data set with all")
    strange = together[~together.kind.isin(["event", "noise"])]
    if len(strange):
        name, kind = strange.iloc[0][["record", "kind"]]
        raise ValueError(f"lab: record {name!r} is of kind {kind!r}; event and noise are known")
    noisy = together[(together.kind == "noise") & together[["p_s", "s_s"]].notna().any(axis=1)]
    if len(noisy):
        raise ValueError(f"lab: record {noisy.record.iloc[0]!r} is noise and has a pick; call it an event, or drop it")


def picks_on(output: PickerOutput, records: pd.DataFrame) -> pd.DataFrame:
    """
    Predictions of a picker on some records.

    Raises
    ------
    ValueError
        If a phase is not known, or a prediction belongs to no record of the picker's own table.
    """
    picks = conform(output.picks, PREDICTIONS)
    unknown = sorted(set(picks.phase) - set(PHASES))
    if unknown:
        raise ValueError(f"lab: {output.variant} predicts {unknown[0]!r}; known are {', '.join(PHASES)}")
    strange = picks.record[~picks.record.isin(output.records.record)]
    if len(strange):
        raise ValueError(
            f"lab: {output.variant} has predictions on {strange.iloc[0]!r}, which is not among its records; both tables"
            " must come from one job"
        )
    return picks[picks.record.isin(records.record)].reset_index(drop=True)


def known_from_training(records: pd.DataFrame, card: Mapping[str, Any]) -> pd.Series:
    """
    Which records a picker knows, or may know, from its training.

    Parameters
    ----------
    records : DataFrame
        `LABELLED_RECORDS`.
    card : mapping
        Of the picker.

    Returns
    -------
    Series of str
        See `pickflow.datasets.provenance.touched`: empty for records that are held out.
    """
    prefixes = [record_key(dataset, "") for dataset in records.dataset]
    names = [record.removeprefix(prefix) for record, prefix in zip(records.record, prefixes, strict=True)]
    return touched(card, records.assign(name=names, split=records.part))
