"""Time uncertainty of a picker from labelled records; see `pickflow.quality.uncertainty` for the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pickflow.datasets.provenance import KEY, table_of, touched
from pickflow.datasets.reading import open_dataset
from pickflow.datasets.records import Record
from pickflow.models.cards import read_card
from pickflow.models.loading import load_model
from pickflow.quality.uncertainty import TimeUncertainty, calibrate
from pickflow.run.layout import shared_folder
from pickflow.train.evaluate import manual_time_s, pick_records
from pickflow.train.reading import LABELLED_SETS

# Low, so that the table also holds for users who ask for more picks than the weights' authors.
THRESHOLD = 0.1
TOLERANCE_S = 1.0


def calibrate_folder(folder: str | Path, sets: Sequence[str | Path] | None, remark: str = "") -> TimeUncertainty:
    """
    Calibrate the picker of a folder with card and tensors.

    Parameters
    ----------
    folder : str or Path
        Holds ``model.safetensors`` and ``card.json``.
    sets : sequence of str or Path, or None
        Folders of labelled sets; None for those below ``PICKFLOW_SHARED`` that the bundled picker is trained with.
    remark : str
        See `calibrate_picker`.

    Raises
    ------
    ValueError
        If no pick of the model is within the tolerance of a manual one.
    """
    labelled = Path(shared_folder()) / "data" / "labelled"
    places = [Path(place) for place in sets] if sets else [labelled / name for name in LABELLED_SETS]
    records = [record for place in places for record in open_dataset(place).read()]
    table = calibrate_picker(load_model(folder), read_card(folder), records, remark)
    if not table["phases"]:
        raise ValueError(f"calibration: no pick within {TOLERANCE_S:g} s of a manual one in {table['data']}")
    return table


def calibrate_picker(
    model: Any, card: Mapping[str, Any], records: Sequence[Record], remark: str = ""
) -> TimeUncertainty:
    """
    Calibrate a picker on labelled records that it was not trained on, as far as its card says so.

    Parameters
    ----------
    model : seisbench.models.WaveformModel
        The picker.
    card : mapping
        Its card.
    records : sequence of Record
        Records with manual picks.
    remark : str
        What a reader of the table must know, such as that these data were part of the training.

    Returns
    -------
    TimeUncertainty
        Without phases if no pick is within the tolerance of a manual one.
    """
    test_records = held_out(card, records)
    counts = Counter(record.dataset for record in test_records)
    data = ", ".join(f"{dataset} ({n} records)" for dataset, n in counts.items())
    if len(test_records) < len(records):
        data += "; without the records of the training"
    table: TimeUncertainty = {**calibrate(time_errors(model, test_records)), "data": data, "tolerance_s": TOLERANCE_S}
    return {**table, "remark": remark} if remark else table


def held_out(card: Mapping[str, Any], records: Sequence[Record]) -> list[Record]:
    """Records without those that a picker of ours was trained on; all of them for pickers of others."""
    if KEY not in card and not isinstance(card.get("training_data"), Mapping):
        return list(records)
    remarks = touched(card, table_of(records))
    return [record for record, remark in zip(records, remarks, strict=True) if not remark]


def time_errors(model: Any, records: Sequence[Record]) -> pd.DataFrame:
    """
    Picks within the tolerance of the manual pick of their phase.

    Every such pick counts, not only the closest one of each record: a user gets all of them.

    Returns
    -------
    DataFrame
        ``phase``, ``probability`` and ``time_error_s`` (picker - manual).
    """
    picks = pick_records(model, records, {"P": THRESHOLD, "S": THRESHOLD})
    manual_s = pd.Series(
        [manual_time_s(records[index], phase) for index, phase in zip(picks.record, picks.phase, strict=True)],
        index=picks.index,
        dtype=float,
    )
    errors = picks.assign(time_error_s=picks.time_s - manual_s)
    return errors.loc[errors.time_error_s.abs() <= TOLERANCE_S, ["phase", "probability", "time_error_s"]]
