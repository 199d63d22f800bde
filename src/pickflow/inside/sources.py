"""Where the windows come from: our generator, a labelled set, or the events of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pickflow.datasets.reading import Dataset
from pickflow.datasets.records import Record
from pickflow.datasets.run_windows import open_run
from pickflow.inside.windows import (
    Window,
    account,
    crop,
    labelled_windows,
    named_windows,
    synthetic_noise,
    synthetic_windows,
)
from pickflow.viewer.content import find_event, first_event
from pickflow.viewer.content import open_run as open_viewer

N_EVENTS_SHOWN, N_NOISE_SHOWN = 2, 2
# Of the windows in which parts are silenced; the others are noise, in which false picks are seen.
_SHARE_OF_EVENTS = 2 / 3


@dataclass(frozen=True, kw_only=True)
class Source:
    """
    Where windows are taken from; nothing given: our generator.

    Parameters
    ----------
    data : Dataset or None
        A set of labelled records.
    traces : tuple of str
        Names of traces of it that are shown; none: the first ones.
    results : Path or None
        ``results/<run>``.
    catalog : str or None
        Of the run, ``signal/model/weights/associator``; None: the first one.
    event : str or None
        Of the catalog, an identifier or a time; None: the one with the most picks.
    """

    data: Dataset | None = None
    traces: tuple[str, ...] = ()
    results: Path | None = None
    catalog: str | None = None
    event: str | None = None


class Choice(NamedTuple):
    """Windows that the page shows, those in which parts are silenced, and where they come from, in a sentence."""

    examples: list[Window]
    trials: list[Window]
    sentence: str


def choose_windows(source: Source, n_samples: int, n_trials: int) -> Choice:
    """
    Windows of a source.

    Parameters
    ----------
    source : Source
        Where from.
    n_samples : int
        Length of a window at 100 Hz.
    n_trials : int
        In how many windows parts are silenced, if there are so many; a third of them are noise.

    Raises
    ------
    ValueError
        If there is no such set, trace, run, catalog or event; names the nearest one.
    """
    n_events = round(_SHARE_OF_EVENTS * n_trials)
    n_noise = n_trials - n_events
    counts = max(n_events, N_EVENTS_SHOWN), max(n_noise, N_NOISE_SHOWN)
    if source.data is not None:
        windows = labelled_windows(source.data, *counts, n_samples)
        sentence = f"Windows of the data set {source.data.name}, with its manual picks as truth."
    elif source.results is not None:
        windows = run_windows(source, *counts, n_samples)
        sentence = f"Windows of the run {source.results.name}; the picks of its catalog count as truth."
    else:
        windows = synthetic_windows(*counts, n_samples)
        sentence = "Synthetic earthquakes and noise of pickflow's generator, whose arrivals are known exactly."
    events = [window for window in windows if window.kind == "event"]
    noise = [window for window in windows if window.kind == "noise"]
    generated = any(window.name.startswith("synthetic noise") for window in noise)
    if generated and (source.data is not None or source.results):
        sentence += " Noise that it lacks comes from pickflow's generator."
    examples = [*events[:N_EVENTS_SHOWN], *noise[:N_NOISE_SHOWN]]
    if source.data is not None and source.traces:
        examples = named_windows(source.data, list(dict.fromkeys(source.traces)), n_samples)
    return Choice(examples, events[:n_events] + noise[:n_noise] if n_trials else [], sentence)


def run_windows(source: Source, n_events: int, n_noise: int, n_samples: int) -> list[Window]:
    """
    Windows of a run at the stations of an event, nearest first, then of the events with the most picks, and noise.

    Parameters
    ----------
    source : Source
        With ``results``.
    n_events, n_noise : int
        Largest number of each kind.
    n_samples : int
        Length of a window at 100 Hz.

    Raises
    ------
    ValueError
        If there is no such run, catalog or event, or no waveform of any.
    """
    assert source.results is not None
    viewer = open_viewer(source.results, source.catalog, n_events, None, False)
    event = find_event(viewer, source.event) if source.event else first_event(viewer)
    order = viewer.events.sort_values(["n_picks", "time"], ascending=[False, True]).event_id.tolist()
    rank = {name: number for number, name in enumerate(dict.fromkeys([event, *order]))}
    dataset = open_run(source.results, source.catalog, n_noise=2 * n_noise)  # some cannot be read
    table = dataset.table.assign(rank=dataset.table.event.map(rank))
    events = table[table.kind == "event"].sort_values(["rank", "distance_km", "name"], kind="stable")
    noise = table[table.kind == "noise"].sort_values("start_ns", kind="stable")  # in the table, by station
    records = _read(dataset, events.index.to_numpy(), n_events) + _read(dataset, noise.index.to_numpy(), n_noise)
    if not any(record.picks for record in records):
        raise ValueError(f"{source.results}: no waveforms at the picks of its events: {account(dataset)}")
    windows = [crop(record, n_samples) for record in records]
    return windows + synthetic_noise(n_noise - sum(not record.picks for record in records), n_samples)


def _read(dataset: Dataset, rows: NDArray[np.int64], n: int) -> list[Record]:
    """The first records that can be read."""
    records: list[Record] = []
    for first in range(0, len(rows), max(n, 1)):
        if len(records) < n:
            records += dataset.read(rows[first : first + n])
    return records[:n]
