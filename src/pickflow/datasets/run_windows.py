"""Windows of a run as a data set: its waveforms around the events of a catalog, with its picks as labels, and noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.annotate.segments import Segment, make_segments
from pickflow.codes import station_file
from pickflow.datasets.reading import Dataset, Reading, Trace, with_parts
from pickflow.datasets.reasons import Refusal
from pickflow.datasets.records import COMPONENTS, SAMPLING_RATE_HZ
from pickflow.datasets.splits import Split
from pickflow.datasets.table import Judgement
from pickflow.io.tables import read_table, read_tables, records
from pickflow.io.waveforms import read_station_day
from pickflow.provenance import sha256_of_bytes, sha256_of_file
from pickflow.run.keys import CatalogKey
from pickflow.run.layout import ASSIGNMENTS_TABLE, RunLayout, manifest_of
from pickflow.sampling.timeline import NS_PER_S
from pickflow.schemas import ASSIGNMENTS, EVENTS, MANIFEST, PICKS

WINDOW_S = 60.0  # as in STEAD
LEAD_S = (5.0, 20.0)  # of the window before the first arrival, at random
# No pick of any kind lies in noise, nor so long before it that its coda could, nor just behind it.
QUIET_BEFORE_S, QUIET_AFTER_S = 60.0, 5.0
_TRIES = 200  # for each window of noise: a busy network has few quiet minutes, a short run few of a day


@dataclass(frozen=True)
class RunSource:
    """Waveforms of a run."""

    run: RunLayout
    catalog: CatalogKey

    def read(self, traces: Sequence[Trace]) -> Iterator[Reading]:
        """See `pickflow.datasets.reading.Source`."""
        order = sorted(range(len(traces)), key=lambda index: (traces[index]["day"], traces[index]["station"]))
        for (day, station), windows in groupby(order, lambda index: (traces[index]["day"], traces[index]["station"])):
            try:
                segments = self._segments(day, station)
            except ValueError as error:
                yield from ((index, Refusal("no_waveform", str(error))) for index in windows)
                continue
            for index in windows:
                yield index, _window(segments, int(traces[index]["start_ns"]), day)

    def _segments(self, day: str, station: str) -> list[Segment]:
        folder = self.run.waveforms(day)
        if not manifest_of(folder).exists():
            raise ValueError(f"{day}: the run has no waveforms of this day")
        manifest = read_table(manifest_of(folder), MANIFEST)
        rows = records(manifest[manifest.usable & (manifest.network + "." + manifest.station == station)])
        if not rows:
            raise ValueError(f"{day}: the manifest has no usable record of {station}")
        network, _, code = station.partition(".")
        stream = read_station_day(station_file(folder, network, code), rows[0])
        return make_segments(stream, COMPONENTS, SAMPLING_RATE_HZ)[0]

    def digest(self) -> str:
        """Of the tables of the catalog, and of the manifests, which have the digests of the waveforms."""
        tables = (self.run.catalog(self.catalog), self.run.catalog(self.catalog, ASSIGNMENTS_TABLE))
        return sha256_of_bytes("".join(map(sha256_of_file, (*tables, *self.run.manifests()))).encode())


def _window(segments: list[Segment], start_ns: int, day: str) -> tuple[NDArray, None] | Refusal:
    n_samples = round(WINDOW_S * SAMPLING_RATE_HZ)
    for segment in segments:
        first = segment.index_at(start_ns)
        if 0 <= first <= segment.n_samples - n_samples:
            samples = np.zeros((len(COMPONENTS), n_samples))
            for row, component in enumerate(segment.components):
                if component is not None:
                    samples[row] = component[first : first + n_samples]
            return (samples, None) if np.ptp(samples, axis=1).any() else Refusal("no_signal", f"{n_samples} samples")
    start, end = pd.Timestamp(start_ns), pd.Timestamp(start_ns) + pd.Timedelta(seconds=WINDOW_S)
    beyond = "; it crosses midnight, where files end with download.padding_s" if start.date() != end.date() else ""
    return Refusal("no_waveform", f"no {WINDOW_S:g} s without a gap from {start} in the file of {day}{beyond}")


def open_run(
    folder: str | Path,
    catalog: str | None = None,
    split: Split | None = None,
    n_noise: int | None = None,
    seed: int = 0,
) -> Dataset:
    """
    Data set of the waveforms of a run.

    Parameters
    ----------
    folder : str or Path
        ``results/<run>``.
    catalog : str or None
        ``signal/model/weights/associator``; None for the first one.
    split : Split or None
        See `pickflow.datasets.reading.open_dataset`.
    n_noise : int or None
        Windows of noise, in which the picker of the catalog picked nothing; None for as many as those of events.
    seed : int
        Of where windows begin.

    Returns
    -------
    Dataset
        A trace of 60 s for each event of the catalog and station with a pick of it; its labels are the first P and
        the first S that are assigned to the event. Windows that hold an arrival of another event are left out.

    Raises
    ------
    ValueError
        If there is no such run or catalog, or nothing in it can be used.
    """
    run = RunLayout(folder)
    key = run.choose_catalog(catalog)
    picks = read_tables([run.picks(key.pick_set, day) for day in run.days_of_picks(key.pick_set)], PICKS)
    picks = picks.assign(station=picks.network + "." + picks.station, time_ns=_ns(picks.time))
    arrivals = read_table(run.catalog(key, ASSIGNMENTS_TABLE), ASSIGNMENTS).merge(picks, on="pick_id")
    if arrivals.empty:
        raise ValueError(f"{folder}: no event of the catalog {key} has a pick of the run")
    rng = np.random.default_rng([seed, 0])
    events = _event_windows(arrivals, read_table(run.catalog(key), EVENTS), rng)
    noise = _noise_windows(run, picks, len(events) if n_noise is None else n_noise, rng)
    name = run.folder.name
    table = pd.concat([events, noise], ignore_index=True).assign(dataset=name, source=0, split="", rate_hz=np.nan)
    # Windows of a file are neighbours: blocks of them read each file once.
    table = table.sort_values(["day", "station", "start_ns", "name"], ignore_index=True)
    table["recording"] = table.name
    table, account = _judged(table, arrivals)
    table, account = with_parts(table, account, split or Split())
    if table.empty:
        raise ValueError(f"{folder}: no window can be used: {dict(account.reason.value_counts())}")
    return Dataset(
        name=name, table=table, sources=(RunSource(run, key),), refused=account, splits={name: split or Split()}
    )


def _ns(times: pd.Series) -> NDArray[np.int64]:
    return times.to_numpy("M8[ns]").astype(np.int64)


def _event_windows(arrivals: pd.DataFrame, events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A row for each event and station, in order of time."""
    by_phase = arrivals.pivot_table(index=["event_id", "station"], columns="phase", values="time_ns", aggfunc="min")
    by_phase = by_phase.reindex(columns=["P", "S"]).reset_index()
    by_phase["first_ns"] = by_phase[["P", "S"]].min(axis=1)
    by_phase = by_phase.sort_values(["first_ns", "station", "event_id"], ignore_index=True)
    lead_ns = np.rint(rng.uniform(*LEAD_S, len(by_phase)) * NS_PER_S)
    start_ns = (by_phase.first_ns - lead_ns).astype(np.int64)
    distances = arrivals.groupby(["event_id", "station"]).distance_km.first()
    table = _rows(by_phase.station, start_ns, by_phase.event_id).assign(
        kind="event",
        magnitude=by_phase.event_id.map(events.set_index("event_id").magnitude),
        distance_km=distances.loc[list(zip(by_phase.event_id, by_phase.station, strict=True))].to_numpy(),
    )
    for phase in "PS":
        table[f"{phase.lower()}_sample"] = (by_phase[phase] - start_ns) / NS_PER_S * SAMPLING_RATE_HZ
    return table


def _rows(stations: pd.Series, start_ns: pd.Series, events: pd.Series) -> pd.DataFrame:
    """Windows without labels. One that crosses midnight is in the file of its middle, which goes on beyond the day."""
    times, middles = pd.to_datetime(start_ns), pd.to_datetime(start_ns + round(WINDOW_S / 2 * NS_PER_S))
    return pd.DataFrame(
        {
            "name": stations + "_" + times.dt.strftime("%Y%m%d%H%M%S.%f") + "_" + events.where(events != "", "noise"),
            "event": events,
            "station": stations,
            "n_samples": round(WINDOW_S * SAMPLING_RATE_HZ),
            "start_ns": start_ns,
            "start_time": times.astype(str),
            "day": middles.dt.strftime("%Y-%m-%d"),
        }
    )


def _noise_windows(run: RunLayout, picks: pd.DataFrame, n_noise: int, rng: np.random.Generator) -> pd.DataFrame:
    """Random windows of usable station-days, far from all picks of their station."""
    manifest = read_tables(run.manifests(), MANIFEST)
    manifest = manifest[manifest.usable].reset_index(drop=True)
    times = {station: np.sort(group.time_ns.to_numpy()) for station, group in picks.groupby("station")}
    # A run may begin and end within a day: there is nothing before its first pick and behind its last one.
    first_ns, last_ns = int(picks.time_ns.min()), int(picks.time_ns.max() - WINDOW_S * NS_PER_S)
    rows: list[dict[str, Any]] = []
    for _ in range(_TRIES * n_noise if len(manifest) else 0):
        if len(rows) == n_noise:
            break
        day = manifest.iloc[int(rng.integers(len(manifest)))]
        start_ns = pd.Timestamp(day.date).value + int(rng.integers(round(86_400 - WINDOW_S))) * NS_PER_S
        station = f"{day.network}.{day.station}"
        if first_ns <= start_ns <= last_ns and _is_quiet(times.get(station, np.array([], np.int64)), start_ns):
            rows.append({"station": station, "start_ns": start_ns})
    frame = pd.DataFrame(rows, columns=["station", "start_ns"]).astype({"station": object, "start_ns": np.int64})
    frame = frame.drop_duplicates().sort_values(["start_ns", "station"], ignore_index=True)
    table = _rows(frame.station, frame.start_ns, pd.Series("", index=frame.index, dtype=object))
    return table.assign(kind="noise", p_sample=np.nan, s_sample=np.nan, magnitude=np.nan, distance_km=np.nan)


def _is_quiet(times_ns: NDArray[np.int64], start_ns: int) -> bool:
    first = start_ns - int(QUIET_BEFORE_S * NS_PER_S)
    last = start_ns + int((WINDOW_S + QUIET_AFTER_S) * NS_PER_S)
    return bool(np.searchsorted(times_ns, first) == np.searchsorted(times_ns, last))


def _judged(table: pd.DataFrame, arrivals: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Leave out windows with arrivals of other events, and labels behind the end."""
    judgement = Judgement(table.name)
    events = pd.Series(_other_events(table, arrivals), index=table.index)
    judgement.refuse(events != "", "other_event", lambda at: f"{events[at]} arrives in it as well")
    for phase in "ps":
        column = f"{phase}_sample"
        outside = table[column] >= table.n_samples
        judgement.remark(
            outside & judgement.usable_traces, f"{phase}_outside", lambda at: f"behind the end of {table.name[at]}"
        )
        table[column] = table[column].mask(outside)
    return table[judgement.usable_traces].reset_index(drop=True), judgement.account


def _other_events(table: pd.DataFrame, arrivals: pd.DataFrame) -> list[str]:
    """An event beside its own that arrives in each window; empty where there is none."""
    by_station = {station: group.sort_values("time_ns") for station, group in arrivals.groupby("station")}
    events = []
    for station, start_ns, event in zip(table.station, table.start_ns, table.event, strict=True):
        group = by_station.get(station, arrivals.head(0))
        first, last = np.searchsorted(group.time_ns.to_numpy(), [start_ns, start_ns + round(WINDOW_S * NS_PER_S)])
        names = [name for name in group.event_id.to_numpy()[first:last] if name != event]
        events.append(str(names[0]) if names else "")
    return events
