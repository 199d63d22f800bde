"""From metadata to the table of a data set, and to the account of what is left out of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from pickflow.codes import component_letters
from pickflow.datasets.records import COMPONENTS, SAMPLING_RATE_HZ
from pickflow.datasets.storage import Layout, parse_place, trace_shape
from pickflow.sampling.rates import conversion, is_plausible

# What anybody may look at, and what a source needs to read the samples.
COLUMNS = ("name", "dataset", "event", "station", "kind", "part", "n_samples", "p_sample", "s_sample")
DESCRIPTIVE = ("recording", "start_time", "magnitude", "distance_km", "rate_hz", "split")
ACCOUNT = ("name", "reason", "detail")
LEAST_S = 1.0  # no arrival can be seen in less

_CHANNEL = re.compile(r"(?<![A-Za-z0-9])([A-Z][HLGMNP])[ZNE123](?![A-Za-z0-9])")  # a SEED channel code inside of a name


class Judgement:
    """
    Reasons against traces, of which the first counts.

    Parameters
    ----------
    names : Series of str
        Of the traces.
    """

    def __init__(self, names: pd.Series) -> None:
        self.names = names
        self.reason = pd.Series("", index=names.index, dtype=object)
        self._rows: list[pd.DataFrame] = []

    def refuse(self, condition: pd.Series, reason: str, detail: Callable[[int], str]) -> None:
        """Leave traces out, or labels of them; what was left out before stays with its first reason."""
        refused = condition.to_numpy(bool) & (self.reason == "").to_numpy()
        self.reason[refused] = reason
        self.remark(pd.Series(refused, index=condition.index), reason, detail)

    def remark(self, condition: pd.Series, reason: str, detail: Callable[[int], str]) -> None:
        """Note what is said of a trace that stays."""
        index = condition.index[condition.to_numpy(bool)]
        rows = {"name": self.names[index], "reason": reason, "detail": [detail(at) for at in index]}
        self._rows.append(pd.DataFrame(rows, columns=list(ACCOUNT), index=index))

    @property
    def usable_traces(self) -> pd.Series:
        """Which traces there is nothing against."""
        return self.reason == ""

    @property
    def account(self) -> pd.DataFrame:
        """``name``, ``reason`` and ``detail``, in the order of the traces."""
        rows = [account for account in self._rows if len(account)]
        if not rows:
            return empty_account()
        return pd.concat(rows).sort_index(kind="stable").reset_index(drop=True)


def empty_account() -> pd.DataFrame:
    """Account of a set of which everything is used."""
    return pd.DataFrame({name: pd.Series(dtype=object) for name in ACCOUNT})


def make_table(
    metadata: pd.DataFrame, layout: Layout, dataset: str, chunk: str, components: str = ""
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    Bring the metadata of a chunk into the form of a `Dataset`, without parts.

    Parameters
    ----------
    metadata : DataFrame
        See `pickflow.datasets.metadata.read_metadata`.
    layout : Layout
        Of the file with the waveforms.
    dataset, chunk : str
        Names.
    components : str
        Letters of the stored components, where neither file nor metadata say them.

    Returns
    -------
    table : DataFrame
        `COLUMNS` without ``part``, `DESCRIPTIVE`, and where each trace lies.
    left_out : DataFrame
        `ACCOUNT`.
    """
    table = _places(metadata, layout, chunk)
    table["name"] = _names(metadata, chunk)
    table["recording"] = table.name.map(recording_of)
    table["dataset"] = dataset
    table["station"] = [f"{network}.{code}" for network, code in zip(metadata.network, metadata.code, strict=True)]
    table["rate_hz"] = metadata.rate_hz.fillna(1 / metadata.interval_s).fillna(layout.rate_hz)
    table["components"] = _components(metadata, table, layout, components)
    table[["start_time", "magnitude", "distance_km", "split"]] = metadata[
        ["start_time", "magnitude", "distance_km", "split"]
    ]
    table[["kind", "event"]] = _kinds_and_events(metadata, table.recording)
    judgement = Judgement(table.name)
    _judge_storage(judgement, table, metadata)
    _judge_components(judgement, table)
    table = _at_our_rate(table, metadata, judgement)
    _judge_labels(judgement, table, metadata)
    return table[judgement.usable_traces].reset_index(drop=True), judgement.account


def digest_ranks(table: pd.DataFrame, column: str) -> pd.Series:
    """
    Place of each trace among those of its group, from 1: traces with the smallest ones are a sample that grows.

    Parameters
    ----------
    table : DataFrame
        ``name`` and the column.
    column : str
        Its value is the group. The digest of the name decides, not the order or what else is in the table.
    """
    digests = pd.Series(pd.util.hash_array(table.name.to_numpy(str).astype(object)), index=table.index)
    return digests.groupby(table[column]).rank(method="first")


def recording_of(name: str) -> str:
    """Name of a trace without the component: sets of single components have a trace for each."""
    return _CHANNEL.sub(r"\1", name)


def _places(metadata: pd.DataFrame, layout: Layout, chunk: str) -> pd.DataFrame:
    """Where each trace lies, and how much is stored of it: nothing where the file does not have it."""
    rows = []
    whole = "" in layout.shapes
    for position, name in enumerate(metadata.place):
        try:
            array, row, cut = ("", position, "") if whole else parse_place(name)
            shape = layout.shapes[array]
            if row >= 0 and row >= shape[0]:
                raise KeyError(row)
            n_components, n_stored, dimensions = trace_shape(shape, row >= 0, cut, layout.dimensions)
        except (ValueError, KeyError):
            array, row, cut, n_components, n_stored, dimensions = name, -1, "", 0, 0, ""
        rows.append((array, row, cut, n_components, n_stored, dimensions))
    columns = ["array", "row", "cut", "n_components", "n_stored", "dimensions"]
    table = pd.DataFrame(rows, columns=columns, index=metadata.index)
    table["chunk"] = chunk
    table["metadata_row"] = range(len(metadata))
    table["soft"] = table.array.isin(layout.soft_arrays)
    # Padding is known as such where a length is said; else its zeros are found when samples are read.
    table["length_known"] = table.cut.str.contains(":") | metadata.n_stored.gt(0)
    shorter = metadata.n_stored.gt(0) & (metadata.n_stored < table.n_stored)
    table["n_stored"] = table.n_stored.where(~shorter, metadata.n_stored).astype(int)
    return table


def _names(metadata: pd.DataFrame, chunk: str) -> pd.Series:
    """Original names, which are unique; those of places are so within their chunk only."""
    places = metadata.place.where(metadata.place != "", [f"row{position}" for position in range(len(metadata))])
    if chunk:
        places = places.where(~places.str.contains("$", regex=False), chunk + "/" + places)
    return metadata.original_name.where(metadata.original_name != "", places)


def _components(metadata: pd.DataFrame, table: pd.DataFrame, layout: Layout, default: str) -> pd.Series:
    """Letters of the stored components; a single one is named by the channel."""
    letters = metadata.components.str.upper().mask(metadata.components == "", layout.components or default.upper())
    single = (table.n_components == 1) & (letters.str.len() != 1)
    return letters.mask(single, metadata.channel.str.upper().str[-1:])


def _kinds_and_events(metadata: pd.DataFrame, recordings: pd.Series) -> pd.DataFrame:
    identifier = metadata.event.mask(metadata.event == "", metadata.origin_time)
    labelled = metadata.p.notna() | metadata.s.notna()
    called_noise = metadata.category.str.contains("noise", case=False)
    noise = called_noise | ~(labelled | (identifier != "") | (metadata.category != ""))
    # An earthquake that nothing identifies is one of its own.
    event = identifier.mask(identifier == "", recordings).mask(noise, "")
    return pd.DataFrame({"kind": np.where(noise, "noise", "event"), "event": event}, index=metadata.index)


def _judge_storage(judgement: Judgement, table: pd.DataFrame, metadata: pd.DataFrame) -> None:
    judgement.refuse(table.n_components == 0, "trace_missing", lambda at: f"{metadata.place[at]} is not in the file")
    judgement.refuse(table.name.duplicated(), "duplicate", lambda at: "its name occurs before")
    recording = pd.DataFrame(
        {
            "station": table.station,
            "sensor": metadata.location + "." + metadata.channel,
            "start": metadata.start_time,
            "n": table.n_stored,
        }
    )
    again = recording.duplicated() & (metadata.start_time != "") & (metadata.code != "")
    judgement.refuse(again, "duplicate", lambda at: f"{table.station[at]} from {metadata.start_time[at]} occurs before")
    plausible = table.rate_hz.map(is_plausible).astype(bool)
    judgement.refuse(~plausible, "no_rate", lambda at: f"{table.rate_hz[at]:g} Hz")


def _judge_components(judgement: Judgement, table: pd.DataFrame) -> None:
    directed = table.components.map(
        {letters: bool(component_letters(letters, COMPONENTS)) for letters in table.components.unique()}
    )
    wrong = ~directed | (table.components.str.len() != table.n_components)
    judgement.refuse(
        wrong,
        "no_components",
        lambda at: f"{table.n_components[at]} stored, called {table.components[at] or 'nothing'}",
    )


def _at_our_rate(table: pd.DataFrame, metadata: pd.DataFrame, judgement: Judgement) -> pd.DataFrame:
    """Lengths and arrivals at 100 Hz; what is too short is left out."""
    ratios = {
        rate_hz: conversion(rate_hz, SAMPLING_RATE_HZ) for rate_hz in table.rate_hz.unique() if is_plausible(rate_hz)
    }
    ratio = table.rate_hz.map({rate_hz: float(fraction) for rate_hz, fraction in ratios.items()})
    table = table.assign(
        n_samples=np.ceil(table.n_stored * ratio - 1e-6).fillna(0).astype(int),
        p_sample=metadata.p * ratio,
        s_sample=metadata.s * ratio,
    )
    least = LEAST_S * SAMPLING_RATE_HZ
    judgement.refuse(table.n_samples < least, "too_short", lambda at: f"{table.n_stored[at]} samples")
    return table


def _outside(arrival: pd.Series, n_stored: pd.Series, at: int) -> str:
    return f"sample {arrival[at]:g} of {n_stored[at]}"


def _judge_labels(judgement: Judgement, table: pd.DataFrame, metadata: pd.DataFrame) -> None:
    """Check the arrivals; those outside of their trace become unknown in the table."""
    noise = table.kind == "noise"
    labelled = table.p_sample.notna() | table.s_sample.notna()
    judgement.refuse(noise & labelled, "label_in_noise", lambda at: f"called {metadata.category[at]}")
    judgement.refuse(
        table.s_sample <= table.p_sample,
        "s_before_p",
        lambda at: f"P at sample {metadata.p[at]:g}, S at {metadata.s[at]:g}",
    )
    for phase in "ps":
        sample = table[f"{phase}_sample"].copy()
        outside = sample.notna() & ((sample < 0) | (sample >= table.n_samples))
        stays = outside & judgement.usable_traces
        judgement.remark(stays, f"{phase}_outside", partial(_outside, metadata[phase], table.n_stored))
        table[f"{phase}_sample"] = sample.mask(outside)
    unlabelled = table.p_sample.isna() & table.s_sample.isna()
    judgement.refuse(~noise & unlabelled, "no_label", lambda at: "P and S are unknown or outside")
