"""What a picker was trained on, and which records of a data set an evaluation must therefore call touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pickflow.datasets.families import FAMILIES, families_of, family_of
from pickflow.datasets.reading import Dataset
from pickflow.datasets.records import Record
from pickflow.datasets.splits import Split, parts_of
from pickflow.datasets.table import recording_of
from pickflow.provenance import sha256_of_bytes

KEY = "training_sets"  # of a card
MOST_STATIONS = 100  # of which a card has the names: it is read by people

# Weights of SeisBench are called by the set that they were trained on, but for these (docs of SeisBench; volpick was
# trained on volcanic earthquakes of Northern California among others).
_WEIGHTS = {("PhaseNet", "original"): "NCEDC", ("EQTransformer", "original"): "STEAD", ("", "volpick"): "NCEDC"}


def fingerprint(dataset: Dataset) -> str:
    """
    Digest of a data set: of its sources, and of the names, the parts and the labels of its records.

    Returns
    -------
    str
        64 hexadecimal digits; the order of the records does not matter.
    """
    columns = dataset.table[["dataset", "name", "part", "kind", "p_sample", "s_sample"]].astype(str)
    lines = sorted(map("\t".join, columns.itertuples(index=False, name=None)))
    return sha256_of_bytes("\n".join([*(source.digest() for source in dataset.sources), *lines]).encode())


def training_sets(dataset: Dataset, parts: Sequence[str] = ("train", "validation")) -> list[dict[str, Any]]:
    """
    What a card says of the data that a picker is trained on: its value of `KEY`.

    Parameters
    ----------
    dataset : Dataset
        All of it, with the records that are kept for the test.
    parts : sequence of str
        Which parts are used; validation is, if it decides anything.

    Returns
    -------
    list of dict
        For each set its ``name``, ``families``, ``split``, ``single_station``, ``stations`` (if they are few),
        ``parts``, ``n_records`` and the ``fingerprint`` of all.
    """
    digest = fingerprint(dataset)
    entries = []
    for name, table in dataset.table.groupby("dataset", sort=True):
        stations = sorted(table.station.unique())
        entries.append(
            {
                "name": str(name),
                "families": sorted(set(families_of(table))),
                "split": dataset.splits[str(name)].as_json(),
                "single_station": len(stations) == 1,
                "parts": list(parts),
                "stations": stations if len(stations) <= MOST_STATIONS else [],
                "n_records": int(table.part.isin(list(parts)).sum()),
                "fingerprint": digest,
            }
        )
    return entries


def sets_of_weights(model: str, weights: str) -> list[dict[str, Any]]:
    """
    What published weights were trained on, as far as their name says: all of a collection.

    Parameters
    ----------
    model, weights : str
        Such as PhaseNet and ``stead``.

    Returns
    -------
    list of dict
        As `training_sets`; a picker that learnt from such a teacher has it in its card as well.
    """
    families = [family for (kind, name), family in _WEIGHTS.items() if kind in ("", model) and weights.startswith(name)]
    named = family_of(weights)
    families += [named] if named in FAMILIES else []
    return [{"name": f"{model}/{weights}", "families": [family], "split": None} for family in families]


def touched(card: Mapping[str, Any], table: pd.DataFrame) -> pd.Series:
    """
    Which records a picker knows, or may know, from its training.

    A record is touched if it is of the same collection and its event or station was in a part that was used, by the
    split of the training, which need not be that of the evaluation; if that cannot be told, all of the collection is.

    Parameters
    ----------
    card : mapping
        Of the picker.
    table : DataFrame
        ``dataset``, ``name``, ``station``, ``event``, and ``recording`` and ``split`` if there are.

    Returns
    -------
    Series of str
        Empty for records that are held out; else what touched them.
    """
    remarks = pd.Series("", index=table.index, dtype=object)
    families = families_of(table)
    for entry in _entries(card):
        of_family = families.isin(entry["families"])
        records = table[of_family & (remarks == "")]
        if len(records):
            remarks[records.index] = _remarks(entry, records)
    return remarks


def split_of_training(card: Mapping[str, Any], name: str) -> Split | None:
    """
    How a data set was shared out when a picker was trained on it.

    Parameters
    ----------
    card : mapping
        Of the picker.
    name : str
        Of the set.

    Returns
    -------
    Split or None
        None if the card does not say that the set was used, or how.
    """
    splits = [entry["split"] for entry in _entries(card) if entry["name"] == name and entry["split"] is not None]
    return Split.from_json(splits[0]) if splits else None


def _remarks(entry: Mapping[str, Any], table: pd.DataFrame) -> pd.Series:
    everything = pd.Series(f"{entry['name']}: all of it was used, or it is not known what", index=table.index)
    if entry.get("stations"):  # few: records of others were not in it
        everything = everything.where(table.station.isin(entry["stations"]), "")
    if entry["split"] is None:
        return everything
    split = Split.from_json(entry["split"])
    recording = table.recording if "recording" in table else table.name.map(recording_of)
    table = table.assign(recording=recording, split=table.split if "split" in table else "")
    parts = parts_of(table, split, entry["single_station"])
    in_parts = (parts == "") | parts.isin(entry["parts"])
    described = (f"{entry['name']}: part " + parts.mask(parts == "", "train or validation")).where(in_parts, "")
    return described.where(_is_comparable(entry, split, table), everything)


def _is_comparable(entry: Mapping[str, Any], split: Split, table: pd.DataFrame) -> pd.Series:
    """Whether the part of a record in the training can be told: another set may name events and traces otherwise."""
    same_set = table.dataset == entry["name"]
    if split.by == "column":
        return same_set
    by_station = split.by != "event" and not entry["single_station"]
    if split.by == "station" and by_station:
        return pd.Series(True, index=table.index)
    noise = table.event == ""
    # Noise has the part of its station, or of its name, which is the same in every set for traces of STEAD alone.
    known_noise = noise & (by_station | pd.Series([family_of("", name) != "" for name in table.name], table.index))
    return same_set | known_noise | (~noise & (table.event != table.recording))


def _entries(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a card says, in the words of today, of the rule ``train`` before it, or of SeisBench."""
    if KEY in card:
        return list(card[KEY])
    training = card.get("training_data")
    if isinstance(training, Mapping):
        counts = training.get("counts", {})
        return [_bundled("ncedc154", []), _bundled("stead50", ["TA.109C"])] if counts.get("labelled") else []
    return sets_of_weights(str(card.get("model", "")), str(card.get("weights", "")))


def _bundled(name: str, stations: list[str]) -> dict[str, Any]:
    """What the card of the bundled picker means: its validation part chose thresholds, and is not called touched."""
    return {
        "name": name,
        "families": [family_of(name)],
        "split": Split().as_json(),
        "single_station": len(stations) == 1,
        "stations": stations,
        "parts": ["train"],
    }


def table_of(records: Sequence[Record]) -> pd.DataFrame:
    """Table of records that `touched` can look at."""
    names = ("name", "dataset", "station", "event", "part")
    table = pd.DataFrame([[getattr(record, name) for name in names] for record in records], columns=list(names))
    return table.assign(split=table.part)
