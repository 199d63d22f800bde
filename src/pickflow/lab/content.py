"""What the page of the lab shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pickflow.lab.table import LabTable


@dataclass(frozen=True, kw_only=True)
class LabContent:
    """
    A table and what stands around it.

    Attributes
    ----------
    title : str
        Heading.
    settings : mapping of str to str
        The few that a reader needs first.
    table : LabTable
        See `pickflow.lab.table.compare_pickers`.
    costs : DataFrame or None
        See `pickflow.lab.costs.costs_table`.
    events : DataFrame or None
        See `pickflow.lab.events.count_events`.
    trainings : DataFrame or None
        Curves: ``variant``, ``seed``, ``epoch``, ``measure`` (such as ``loss`` or ``f1``), ``value``.
    account : DataFrame or None
        What the data sets left out: ``name``, ``reason``, ``detail``.
    provenance : mapping
        Versions, parameters and digests.
    """

    title: str
    settings: Mapping[str, str]
    table: LabTable
    costs: pd.DataFrame | None = None
    events: pd.DataFrame | None = None
    trainings: pd.DataFrame | None = None
    account: pd.DataFrame | None = None
    provenance: Mapping[str, Any]

    @property
    def variants(self) -> list[str]:
        """In the order in which they were given, the reference first."""
        names = list(self.table.earthml.variant)
        reference = self.table.params.reference
        return [reference, *(name for name in names if name != reference)]

    def interval(self, variant: str, phase: str, score: str) -> pd.Series:
        """Row of `LabTable.intervals`."""
        rows = self.table.intervals
        return rows[(rows.variant == variant) & (rows.phase == phase) & (rows.score == score)].iloc[0]


_MEASURES = {
    "training_loss": "Loss in training", "validation_loss": "Loss on the validation part",
    "f1_p": "F1 of P at a fixed number of picks", "f1_s": "F1 of S at a fixed number of picks",
}  # fmt: skip


def training_curves(histories: Mapping[tuple[str, int], Sequence[Mapping[str, float]]]) -> pd.DataFrame:
    """
    Curves of trainings, for `LabContent.trainings`.

    Parameters
    ----------
    histories : mapping of (variant, seed) to sequence of mapping
        Contents of the files ``history.json`` that `pickflow.train.picker` writes: an entry for each epoch.
    """
    rows = [
        (variant, seed, entry["epoch"], label, entry[name])
        for (variant, seed), history in histories.items()
        for entry in history
        for name, label in _MEASURES.items()
        if name in entry
    ]
    return pd.DataFrame(rows, columns=["variant", "seed", "epoch", "measure", "value"])
