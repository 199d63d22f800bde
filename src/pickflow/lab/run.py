"""The lab of a run: from the predictions of its pickers to the table and its page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pickflow.comparison.reference import ReferenceSet, load_reference
from pickflow.comparison.tables import RunTables, read_run
from pickflow.datasets.records import PARTS
from pickflow.io.documents import read_json
from pickflow.io.tables import read_table
from pickflow.lab.content import LabContent, training_curves
from pickflow.lab.costs import costs_table, picker_times_ms
from pickflow.lab.events import count_events
from pickflow.lab.joined import joined_table
from pickflow.lab.records import PickerOutput
from pickflow.lab.table import TableParams, compare_pickers
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.run.grid import Candidate
from pickflow.run.keys import CatalogKey
from pickflow.run.lab import seed_of
from pickflow.run.layout import RunLayout
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import LABELLED_RECORDS, PREDICTIONS


def variant_of(picker: Candidate) -> str:
    """Name of a picker in the table: of one that the lab trains its model, of others their weights, too."""
    return picker.model if seed_of(picker) is not None else str(picker)


def read_outputs(run: RunLayout, pickers: Sequence[Candidate]) -> list[PickerOutput]:
    """
    What the pickers of a run gave on the records of the lab, and which of the records they know from their training.

    Parameters
    ----------
    run : RunLayout
        Where the tables lie.
    pickers : sequence of Candidate
        Trained by the lab, and others.
    """
    return [
        PickerOutput(
            variant=variant_of(picker),
            seed=seed_of(picker) or 0,
            picks=read_table(run.predictions(*picker), PREDICTIONS),
            records=read_table(run.predicted_records(*picker), LABELLED_RECORDS),
            card=read_card(run.model(*picker)),
        )
        for picker in pickers
    ]


def costs_of(run: RunLayout, pickers: Sequence[Candidate]) -> pd.DataFrame:
    """Parameters and multiply-adds of the first training of each variant; see `costs_table`."""
    first = first_trainings(pickers)
    return costs_table({variant: load_model(run.model(*picker)) for variant, picker in first.items()})


def latency_of(run: RunLayout, pickers: Sequence[Candidate]) -> dict[str, dict[str, float | None]]:
    """Milliseconds of the first training of each variant, measured on this machine; see `picker_times_ms`."""
    first = first_trainings(pickers)
    return {variant: picker_times_ms(load_model(run.model(*picker))) for variant, picker in first.items()}


def first_trainings(pickers: Sequence[Candidate]) -> dict[str, Candidate]:
    """The picker with the first seed of each variant."""
    return {variant_of(picker): picker for picker in reversed(pickers)}


def events_of(
    tables: RunTables,
    pickers: Sequence[Candidate],
    reference: str,
    params: AnalyzeParams,
    bulletin: ReferenceSet | None,
) -> pd.DataFrame:
    """
    Events that the first training of each variant finds in the continuous record of the run; see `count_events`.

    Parameters
    ----------
    tables : RunTables
        Of the run; of each picker the first signal and associator counts.
    pickers : sequence of Candidate
        Trained by the lab, and others.
    reference : str
        The variant that the others are compared with.
    params : AnalyzeParams
        Gives the tolerances.
    bulletin : ReferenceSet or None
        What is known of the record.
    """
    catalogs: dict[str, CatalogKey] = {}
    for variant, picker in first_trainings(pickers).items():
        keys = [key for key in tables.events if Candidate(key.pick_set.model, key.pick_set.weights) == picker]
        catalogs |= {variant: keys[0]} if keys else {}
    return count_events(
        {variant: tables.events[key] for variant, key in catalogs.items()},
        {variant: tables.picks[key.pick_set] for variant, key in catalogs.items()},
        reference,
        params,
        bulletin,
    )


def histories_of(run: RunLayout, pickers: Sequence[Candidate]) -> dict[tuple[str, int], Any]:
    """Loss and scores of each epoch of the pickers that the lab trains, by variant and seed."""
    seeds = {picker: seed_of(picker) for picker in pickers}
    return {
        (picker.model, seed): json.loads(run.model(*picker, "history.json").read_text())
        for picker, seed in seeds.items()
        if seed is not None
    }


def account_of(run: RunLayout) -> pd.DataFrame:
    """What the data sets left out, see `pickflow.datasets.reading.Dataset.left_out`; every name is text."""
    return pd.read_csv(run.lab("left_out.csv"), dtype=str, keep_default_na=False)


def settings_shown(description: Path, section: Mapping[str, Any]) -> dict[str, str]:
    """The few settings that a reader of the page needs first."""
    data = read_json(description)
    optimisation = section["training"]["optimisation"]
    numbers = {part["part"]: part["earthquake_records"] + part["noise_records"] for part in data["parts"]}
    return {
        "data": ", ".join(source["name"] for source in section["sources"]),
        "records": ", ".join(f"{part}: {n:,}" for part, n in numbers.items() if part in PARTS),
        "epochs": str(optimisation["epochs"]),
        "windows per step": str(optimisation["batch_size"]),
        "seeds": ", ".join(map(str, section["seeds"])),
    }


def compare_run(
    run: RunLayout,
    pickers: Sequence[Candidate],
    config: Mapping[str, Any],
    span: tuple[datetime, datetime],
    days: Sequence[str],
    origin: Mapping[str, Any],
) -> tuple[LabContent, pd.DataFrame]:
    """
    Compare the pickers of a run.

    Parameters
    ----------
    run : RunLayout
        With predictions, catalogs and the files of the lab.
    pickers : sequence of Candidate
        Trained by the lab, and others.
    config : mapping
        Completed configuration of the run.
    span : tuple of datetime
        Half-open [start, end) of the continuous record.
    days : sequence of str
        Its days.
    origin : mapping
        Provenance.

    Returns
    -------
    content : LabContent
        Of the page.
    joined : DataFrame
        A row for each variant, with everything; see `joined_table`.
    """
    section, params = config["lab"], AnalyzeParams(**config["analyze"])
    table = compare_pickers(
        read_outputs(run, pickers), TableParams(reference=section["reference"], n_draws=section["bootstrap"])
    )
    costs = costs_of(run, pickers)
    tables = read_run(run, run.catalogs(), days)
    events = events_of(tables, pickers, section["reference"], params, load_reference(params, span, tables.stations))
    content = LabContent(
        title=f"Model lab: {config['run']}",
        settings=settings_shown(run.lab("description.json"), section),
        table=table,
        costs=costs,
        events=events,
        trainings=training_curves(histories_of(run, pickers)),
        account=account_of(run),
        provenance=origin,
    )
    return content, joined_table(table, costs, events)
