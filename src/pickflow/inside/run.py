"""From a picker and windows to the page of its inside and its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pickflow.inside.attribution import attribute
from pickflow.inside.comparison import Compression, rank_correlations, read_compression, with_compression, with_variants
from pickflow.inside.content import Look
from pickflow.inside.network import Network, open_network
from pickflow.inside.page import write_page
from pickflow.inside.recording import record
from pickflow.inside.sensitivity import sensitivity
from pickflow.inside.sources import Choice, Source, choose_windows
from pickflow.inside.tables import ATTRIBUTIONS, SENSITIVITIES
from pickflow.io.atomic import write_text
from pickflow.io.tables import write_table
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.progress import Progress, silent
from pickflow.provenance import provenance

N_WINDOWS = 60
PAGE_FILE = "inside.html"
SENSITIVITIES_FILE = "sensitivities.parquet"
ATTRIBUTIONS_FILE = "attributions.parquet"


def look_inside(
    picker: str | Path,
    folder: str | Path,
    source: Source | None = None,
    n_windows: int = N_WINDOWS,
    student: str | Path | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """
    Write the page of a picker's inside, and its numbers as tables.

    Parameters
    ----------
    picker : str or Path
        Folder with card and tensors.
    folder : str or Path
        Gets ``inside.html``, ``attributions`` and, unless there are no windows, ``sensitivities``, as Parquet and CSV.
    source : Source or None
        Where the windows come from; None: our generator.
    n_windows : int
        In how many windows each part is silenced; 0: no sensitivities.
    student : str or Path, optional
        Folder of a student of this picker, whose channels are marked.
    progress : callable
        Called as ``progress(what, done, total)``.

    Returns
    -------
    DataFrame
        `SENSITIVITIES`, or nothing.

    Raises
    ------
    ValueError
        If the picker cannot be looked into, the student is not its own, or there are no such windows.
    """
    card = read_card(picker)
    network = open_network(load_model(picker))
    compression = None if student is None else read_compression(student, card)
    choice = choose_windows(source or Source(), int(network.model.in_samples), n_windows)
    table = sensitivity(network, choice.trials, progress) if choice.trials else pd.DataFrame()
    look = _look(f"{card['model']}/{card['weights']}", network, choice, table, compression)
    parameters = {"windows": choice.sentence, "n_windows": look.n_windows, "student": look.student}
    origin = provenance("inside", parameters, {"picker": card["sha256"]})
    folder = Path(folder)
    names = {"model": card["model"], "weights": card["weights"]}
    _write(_attributions(look).assign(**names), ATTRIBUTIONS, folder / ATTRIBUTIONS_FILE, origin)
    if len(table):
        _write(
            look.sensitivity.assign(position=range(len(table)), **names),
            SENSITIVITIES,
            folder / SENSITIVITIES_FILE,
            origin,
        )
    write_text(folder / PAGE_FILE, write_page(look, origin))
    return look.sensitivity


def _look(name: str, network: Network, choice: Choice, table: pd.DataFrame, compression: Compression | None) -> Look:
    inputs = network.inputs(choice.examples)
    correlations = pd.DataFrame()
    if len(table):
        table = with_variants(table, network.model)
    if compression is not None and len(table):
        table = with_compression(table, compression)
        correlations = rank_correlations(table)
    return Look(
        name=name,
        network=network,
        windows=choice.examples,
        probabilities=network.probabilities(inputs),
        recording=record(network, inputs),
        attributions=[attribute(network, *pair) for pair in zip(choice.examples, inputs, strict=True)],
        sensitivity=table,
        correlations=correlations,
        source=choice.sentence,
        n_windows=len(choice.trials),
        student="" if compression is None else compression.name,
    )


def _attributions(look: Look) -> pd.DataFrame:
    """A row for each window, phase, quantity and component."""
    rows = []
    for window, attributions in zip(look.windows, look.attributions, strict=True):
        for attribution in attributions:
            quantities = {"probability": attribution.probability, "time_error_s": attribution.time_error_s}
            for index, (quantity, shares) in enumerate(quantities.items()):
                names = {"window": window.name, "phase": attribution.phase, "quantity": quantity}
                ends = {"whole": attribution.whole[index], "nothing": attribution.nothing[index]}
                for component, value in zip(look.network.model.component_order, shares, strict=True):
                    rows.append(names | ends | {"component": component, "shapley_value": value})
    return pd.DataFrame(rows)


def _write(frame: pd.DataFrame, table: Any, path: Path, origin: dict[str, Any]) -> None:
    write_table(frame, table, path, origin)
    columns = [name for name in table.schema.names if name in frame]
    text = frame[columns].replace({np.nan: None}).to_csv(index=False, lineterminator="\n")
    write_text(path.with_suffix(".csv"), text)
