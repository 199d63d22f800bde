"""Windows of a run's waveforms, around picks and from noise, for fitting and scoring students."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import obspy
import pandas as pd
import torch

from pickflow.annotate.cutting import centre, cut
from pickflow.annotate.filtering import make_filter
from pickflow.annotate.segments import NS_PER_S, Segment, make_segments
from pickflow.codes import station_file
from pickflow.compress.states import Calibration
from pickflow.io.atomic import StorageError
from pickflow.io.tables import read_table, records
from pickflow.io.waveforms import read_station_day
from pickflow.run.layout import manifest_of
from pickflow.schemas import MANIFEST, PICKS

logger = logging.getLogger(__name__)

# Chosen: every fourth block of time is excluded from the fit, for the scores; blocks are longer than any window.
BLOCK_S = 300
N_BLOCKS = 4
TEST_BLOCK = 3
# Chosen: a year of a network is more than a fit needs; this many station-days, and this part of each, are in memory.
MOST_STATION_DAYS = 60
SPAN_S = 7200
ARRIVAL_S = 1.0  # chosen: samples this near to a pick have the weight of arrivals


@dataclass(frozen=True, kw_only=True)
class Record:
    """
    A station-day, prepared for a picker.

    Parameters
    ----------
    name : str
        Station and day.
    stream : Stream
        As it was recorded.
    segments : tuple of Segment
        Filtered for the weights, at the model's rate.
    pick_times_ns : ndarray of int64
        The teacher's picks, sorted.
    """

    name: str
    stream: obspy.Stream
    segments: tuple[Segment, ...]
    pick_times_ns: np.ndarray


def read_records(days: Sequence[tuple[Path, Path]], model: Any, bridge_s: float, seed: int) -> list[Record]:
    """
    Read station-days of a run, a random choice of them if there are many.

    Parameters
    ----------
    days : sequence of (Path, Path)
        Folder of waveforms with its manifest, and the teacher's picks, of each day.
    model : WaveformModel
        The teacher.
    bridge_s : float
        Gaps up to this length are bridged, as in picking.
    seed : int
        Of the choice.

    Raises
    ------
    ValueError
        If no station-day is usable.
    """
    station_days = []
    for waveforms, picks in days:
        table = read_table(picks, PICKS)
        manifest = records(read_table(manifest_of(waveforms), MANIFEST))
        station_days += [(waveforms, row, table) for row in manifest if row["usable"]]
    if not station_days:
        raise ValueError(f"compress: none of the {len(days)} days has a usable station; the ledger says why")
    rng = np.random.default_rng([seed, 0])
    rows = np.sort(rng.permutation(len(station_days))[:MOST_STATION_DAYS])
    filtered = make_filter(model.filter_args, model.filter_kwargs)
    read = []
    for waveforms, row, table in (station_days[index] for index in rows):
        station = f"{row['network']}.{row['station']}"
        try:
            stream = read_station_day(station_file(waveforms, row["network"], row["station"]), row)
        except StorageError:
            raise
        except ValueError as error:
            logger.warning("%s is left out: %s", station, error)
            continue
        station_picks = table[(table.network + "." + table.station) == station]
        times = np.sort(station_picks.time.to_numpy("M8[ns]").astype(np.int64))
        stream = _span(stream, times, rng)
        segments, _ = make_segments(stream, model.component_order, model.sampling_rate, bridge_s, filtered)
        whole = tuple(_in_memory(segment) for segment in segments)
        read.append(Record(name=f"{station} {waveforms.name}", stream=stream, segments=whole, pick_times_ns=times))
    return read


def _span(stream: obspy.Stream, pick_times_ns: np.ndarray, rng: np.random.Generator) -> obspy.Stream:
    """Part of a record around a random pick, or anywhere if there is none."""
    start, end = (min(t.stats.starttime for t in stream), max(t.stats.endtime for t in stream))
    if end - start <= SPAN_S:
        return stream
    middle_ns = int(rng.choice(pick_times_ns)) if pick_times_ns.size else int(rng.integers(start.ns, end.ns))
    first = min(max(obspy.UTCDateTime(ns=middle_ns) - SPAN_S / 2, start), end - SPAN_S)
    return stream.slice(first, first + SPAN_S)


def _in_memory(segment: Segment) -> Segment:
    """A segment whose filtered samples are computed once; windows are drawn from it many times."""
    samples = tuple(None if samples_of is None else np.asarray(samples_of[:]) for samples_of in segment.components)
    return replace(segment, components=samples)


def is_test(time_ns: int) -> bool:
    """Whether a time lies in a block that is excluded from the fit."""
    return time_ns // (BLOCK_S * NS_PER_S) % N_BLOCKS == TEST_BLOCK


@dataclass(frozen=True, kw_only=True)
class Source:
    """Windows that may be drawn from records, without those that overlap a test block."""

    records: tuple[Record, ...]
    in_samples: int
    rate_hz: float
    arrivals: tuple[tuple[int, int, int], ...]  # record, segment, sample of each pick that may be drawn
    places: np.ndarray  # (n, 3): record, segment, first sample of windows side by side

    def around_arrival(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A window with a random pick somewhere inside."""
        for _ in range(20):
            record, segment, sample = self.arrivals[rng.integers(len(self.arrivals))]
            start = sample - int(rng.uniform(0.1, 0.9) * self.in_samples)
            start = int(np.clip(start, 0, self.records[record].segments[segment].n_samples - self.in_samples))
            if self.may_be_drawn(record, segment, start):
                return record, segment, start
        return self.at_random(rng)

    def at_random(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A window at a random place."""
        record, segment, start = (int(value) for value in self.places[rng.integers(len(self.places))])
        last = self.records[record].segments[segment].n_samples - self.in_samples
        shifted = int(np.clip(start + rng.integers(-self.in_samples // 2, self.in_samples // 2), 0, last))
        return record, segment, shifted if self.may_be_drawn(record, segment, shifted) else start

    def may_be_drawn(self, record: int, segment: int, start: int) -> bool:
        """Whether a window overlaps no test block."""
        span = self.records[record].segments[segment]
        return not (is_test(span.time_ns(start)) or is_test(span.time_ns(start + self.in_samples)))

    def samples(self, places: Sequence[tuple[int, int, int]]) -> np.ndarray:
        """Raw windows, float32, shape (n, n_components, in_samples)."""
        cuts = [cut(self.records[r].segments[s], start, self.in_samples) for r, s, start in places]
        return centre(cuts, self.in_samples)

    def arrivals_in(self, position: tuple[int, int, int]) -> np.ndarray:
        """Samples of the picks in a window."""
        record, segment, start = position
        item = self.records[record]
        samples = item.segments[segment].indices_at(item.pick_times_ns) - start
        return samples[(samples >= 0) & (samples < self.in_samples)]

    def name(self, position: tuple[int, int, int]) -> str:
        """Station and time of a window."""
        record, segment, start = position
        item = self.records[record]
        moment = pd.Timestamp(item.segments[segment].time_ns(start), tz="UTC")
        return f"{item.name.split()[0]} {moment:%Y-%m-%dT%H:%M:%S.%f}"


def make_source(records: Sequence[Record], model: Any) -> Source:
    """
    Windows that may be drawn from some records.

    Raises
    ------
    ValueError
        If the records have no window or no pick outside of the test blocks.
    """
    in_samples, rate_hz = int(model.in_samples), float(model.sampling_rate)
    arrivals, places = [], []
    empty = Source(
        records=tuple(records), in_samples=in_samples, rate_hz=rate_hz, arrivals=(), places=np.empty((0, 3), int)
    )
    for r, record in enumerate(records):
        for s, segment in enumerate(record.segments):
            starts = range(0, segment.n_samples - in_samples + 1, in_samples)
            places += [(r, s, start) for start in starts if empty.may_be_drawn(r, s, start)]
            if segment.n_samples < in_samples:
                continue
            samples = segment.indices_at(record.pick_times_ns)
            valid = samples[(samples >= 0) & (samples < segment.n_samples)]
            arrivals += [(r, s, int(sample)) for sample in valid if not is_test(segment.time_ns(int(sample)))]
    if not places:
        raise ValueError(f"compress: no record holds a window of {in_samples / rate_hz:g} s outside of the test blocks")
    if not arrivals:
        raise ValueError(
            "compress: the teacher has no pick in the records (outside of the test blocks); compress where it picks"
        )
    return Source(
        records=empty.records, in_samples=in_samples, rate_hz=rate_hz, arrivals=tuple(arrivals), places=np.array(places)
    )


def calibrate(
    source: Source, model: Any, n_windows: int, pick_share: float, arrival_weight: float, seed: int
) -> Calibration:
    """
    Draw calibration windows around picks and from noise.

    Parameters
    ----------
    source : Source
        Where from.
    model : WaveformModel
        Normalises them.
    n_windows : int
        How many.
    pick_share : float
        Share of them around a pick; the others are anywhere, mostly noise.
    arrival_weight : float
        See `Calibration`.
    seed : int
        Of the choice.
    """
    rng = np.random.default_rng([seed, 1])
    n_around = round(pick_share * n_windows)
    places = [source.around_arrival(rng) for _ in range(n_around)]
    places += [source.at_random(rng) for _ in range(n_windows - n_around)]
    # Shuffled, so that each batch has windows of all kinds.
    places = [places[index] for index in rng.permutation(len(places))]
    near_arrival = np.zeros((n_windows, source.in_samples), dtype=bool)
    reach = round(ARRIVAL_S * source.rate_hz)
    for row, position in zip(near_arrival, places, strict=True):
        for sample in source.arrivals_in(position):
            row[max(sample - reach, 0) : sample + reach + 1] = True
    return Calibration(
        windows=normalised(model, source.samples(places)),
        near_arrival=near_arrival,
        names=tuple(source.name(position) for position in places),
        arrival_weight=arrival_weight,
    )


@torch.no_grad()
def normalised(model: Any, windows: np.ndarray) -> torch.Tensor:
    """Windows normalised for a network."""
    inputs = model.annotate_batch_pre(torch.from_numpy(windows), argdict=model.default_args)
    return inputs[0] if isinstance(inputs, tuple) else inputs


def draw_varied(source: Source, rng: np.random.Generator, n: int) -> np.ndarray:
    """
    Windows for tuning: rotated, scaled, stretched, superposed, with missing components and gaps.

    The teacher labels each of them, so changes may be large; they must only be waveforms, of more kinds than one
    network records in one run.

    Parameters
    ----------
    source : Source
        Where from.
    rng : Generator
        Source of randomness.
    n : int
        How many.

    Returns
    -------
    ndarray of float32, shape (n, n_components, in_samples)
    """
    places = [source.around_arrival(rng) if rng.random() < 0.6 else source.at_random(rng) for _ in range(n)]
    partners = [source.at_random(rng) if rng.random() < 0.5 else source.around_arrival(rng) for _ in range(n)]
    return np.stack(
        [_varied(*pair, rng) for pair in zip(source.samples(places), source.samples(partners), strict=True)]
    )


def _varied(window: np.ndarray, overlay: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.3:
        window = _slowed(window, rng.uniform(0.4, 1.0))
    if rng.random() < 0.4:
        ratio = np.abs(window).mean() / max(float(np.abs(overlay).mean()), 1e-12)
        window = window + overlay * np.float32(ratio * 10 ** rng.uniform(-2, 1))
    if rng.random() < 0.5:
        window = -window
    window = window * rng.lognormal(0, 0.3, (len(window), 1)).astype(np.float32)
    if rng.random() < 0.15:
        keep = rng.random(len(window)) < 0.5
        keep[rng.integers(len(window))] = True
        window = window * keep[:, None]
    if rng.random() < 0.1:
        first = rng.integers(window.shape[1])
        window[:, first : first + rng.integers(100, window.shape[1] // 2)] = 0
    return window.astype(np.float32)


def _slowed(window: np.ndarray, share: float) -> np.ndarray:
    """A part of a window, stretched to all of it: lower frequencies and a later S, as from farther away."""
    n_samples = window.shape[1]
    times = np.arange(n_samples) * share
    return np.stack([np.interp(times, np.arange(n_samples), row) for row in window]).astype(np.float32)
