"""Continuous records of an SDS archive, and windows of them that several pickers have labelled."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import obspy
from numpy.typing import NDArray
from seisbench.models.base import WaveformModel

from pickflow.datasets.agreement import Labels, labels_of
from pickflow.datasets.records import SAMPLING_RATE_HZ, Record, to_unit_peak
from pickflow.datasets.splits import Split, part_of
from pickflow.datasets.teachers import LabellingPicker
from pickflow.sampling.rates import same_rate

logger = logging.getLogger(__name__)

WINDOW_SAMPLES = 6000  # as long as a trace of STEAD
_COMPONENTS = "ZNE12"
_QUIET_PROBABILITY = 0.2  # a mean below it, everywhere in a window, is noise: one of seven pickers may be wrong


@dataclass(frozen=True, kw_only=True)
class ContinuousRecord:
    """A gapless record of a station, Z, N, E at 100 Hz, shape (3, n_samples)."""

    station: str
    samples: NDArray[np.float32]


def read_continuous(root: str | Path) -> Iterator[ContinuousRecord]:
    """
    Read the gapless stretches of every three-component sensor of an SDS archive.

    Parameters
    ----------
    root : str or Path
        Folder with ``YEAR/NET/STA/CHA.D``.

    Yields
    ------
    ContinuousRecord
        One per station and year (its first sensor and location in the order of the codes) and stretch. Files that are
        no MiniSEED, and stations without three components at 100 Hz, are named in the log and left out.
    """
    for folder in sorted(path for path in Path(root).glob("*/*/*") if path.is_dir()):
        stream = obspy.Stream()
        for path in sorted(folder.glob("*.D/*")):
            stream += _read_file(path)
        sensors = sorted({trace.id[:-1] for trace in stream})
        for sensor in sensors[:1]:
            traces = obspy.Stream([trace for trace in stream if trace.id[:-1] == sensor])
            if problem := _unusable(traces):
                logger.warning("%s: left out of training: %s", folder, problem)
                continue
            station = ".".join(sensor.split(".")[:2])
            for samples in _stretches(traces):
                yield ContinuousRecord(station=station, samples=samples)


def _read_file(path: Path) -> obspy.Stream:
    """Traces of a file as float64; none of one that cannot be read, or is not MiniSEED: other formats run code."""
    try:
        stream = obspy.read(glob.escape(str(path)), format="MSEED")
    except Exception as error:  # ObsPy and libmseed meet damage with errors of any kind
        logger.warning("%s: left out of training: it cannot be read (%s: %s)", path, type(error).__name__, error)
        return obspy.Stream()
    for trace in stream:
        trace.data = np.asarray(trace.data, dtype=float)  # traces of different types cannot be merged
    return stream


def _unusable(stream: obspy.Stream) -> str:
    """Why traces of one sensor cannot be learnt from; empty if they can."""
    letters = sorted({trace.stats.channel[-1:] for trace in stream})
    rates_hz = sorted({trace.stats.sampling_rate for trace in stream})
    if len(letters) != 3 or not set(letters) <= set(_COMPONENTS):
        return f"components {', '.join(letters)}; three of Z, N, E, 1, 2 are needed"
    if len(rates_hz) > 1 or not same_rate(rates_hz[0], SAMPLING_RATE_HZ):
        return f"{', '.join(f'{rate_hz:g}' for rate_hz in rates_hz)} Hz; one rate of {SAMPLING_RATE_HZ:g} Hz is needed"
    return ""


def _stretches(stream: obspy.Stream) -> list[NDArray[np.float32]]:
    """Arrays of the times that all three components cover."""
    order = sorted(stream.merge(method=1), key=lambda trace: _COMPONENTS.index(trace.stats.channel[-1]))
    start = max(trace.stats.starttime for trace in order)
    end = min(trace.stats.endtime for trace in order)
    cut = [trace.slice(start, end).data for trace in order]
    n_samples = min(map(len, cut))
    masked = np.ma.stack([np.ma.masked_invalid(data[:n_samples]) for data in cut])
    present = ~np.ma.getmaskarray(masked).any(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], present.astype(int), [0]])))
    return [
        to_unit_peak(masked[:, first:last].filled(0))
        for first, last in edges.reshape(-1, 2)
        if last - first > 60 * SAMPLING_RATE_HZ
    ]


def archive_windows(root: str | Path, name: str, split: Split, teachers: Sequence[WaveformModel]) -> Iterator[Record]:
    """
    Windows of 60 s, side by side, of the stations of the training part: nobody has picked them, so they test nothing.

    Parameters
    ----------
    root : str or Path
        See `read_continuous`.
    name : str
        Of the data set.
    split : Split
        Its seed and shares, by station.
    teachers : sequence of WaveformModel
        Give the labels, see `pickflow.datasets.agreement`.

    Yields
    ------
    Record
        Of an event where the pickers agree on an arrival; its picks are the P, and the S, that they are surest of. Of
        noise where hardly one of them sees anything. Windows in which some of them see something, but not most, are not
        used.

    Raises
    ------
    ValueError
        If there is no such window.
    """
    pickers = [LabellingPicker(model) for model in teachers]
    stations: dict[str, str] = {}
    n_windows = 0
    for number, record in enumerate(read_continuous(root)):
        part = stations.setdefault(record.station, part_of(record.station, split.seed, split.shares))
        if part == "train":
            for window in _windows(record, f"{record.station}-{number:04d}", name, pickers):
                n_windows += 1
                yield window
    if not n_windows:
        length_s, n_train = WINDOW_SAMPLES / SAMPLING_RATE_HZ, sum(part == "train" for part in stations.values())
        raise ValueError(
            f"archive {root}: no window of {length_s:g} s can be used; it has {len(stations)} stations with three"
            f" components at {SAMPLING_RATE_HZ:g} Hz, {n_train} of them in the training part: name another archive, or"
            " share the stations out otherwise with lab.split"
        )


def _windows(record: ContinuousRecord, name: str, dataset: str, pickers: Sequence[LabellingPicker]) -> Iterator[Record]:
    whole = Record(name=name, dataset=dataset, station=record.station, part="train", samples=record.samples, picks={})
    probabilities = np.stack([picker.probability(whole) for picker in pickers])
    labels, sureness = labels_of(probabilities, {}), probabilities.mean(axis=0)
    for first in range(0, record.samples.shape[1] - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
        picks = _surest(labels, sureness, first)
        cut = slice(first, first + WINDOW_SAMPLES)
        if not picks and sureness[:, cut].max() >= _QUIET_PROBABILITY:
            continue
        window = f"{name}-{first:09d}"
        yield Record(
            name=window,
            dataset=dataset,
            station=record.station,
            event=window if picks else "",
            kind="event" if picks else "noise",
            part="train",
            samples=to_unit_peak(record.samples[:, cut]),
            picks=picks,
            probability=labels.probability[:, cut],
        )


def _surest(labels: Labels, sureness: NDArray[np.float32], first: int) -> dict[str, float]:
    """Sample of the P that the pickers are surest of in a window, and of the first S after it, as far as they exist."""
    inside = {
        phase: arrivals[(arrivals >= first) & (arrivals <= first + WINDOW_SAMPLES - 1)] - first
        for phase, arrivals in labels.arrivals.items()
    }
    picks: dict[str, float] = {}
    if inside["P"].size:
        heights = sureness[0, np.rint(inside["P"] + first).astype(int)]
        picks["P"] = float(inside["P"][int(np.argmax(heights))])
    later = inside["S"][inside["S"] > picks.get("P", -1.0)]
    if later.size:
        picks["S"] = float(later[0])
    return picks
