"""
Time stamps of MiniSEED records, for traces that libmseed has made of them.

A trace counts on from its first record at the rate of that record. libmseed joins records that are up to half a sample
off the end of the one before, and rates that differ by a ten-thousandth: so the time stamps of a slow clock are lost,
17 s a day at 99.98 Hz stated as 100. Here each trace is compared with all of its records.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from itertools import pairwise

import numpy as np
import obspy
from numpy.typing import NDArray

from pickflow.io.miniseed import Records
from pickflow.sampling.rates import RATE_TOLERANCE
from pickflow.sampling.timeline import NS_PER_S
from pickflow.secrets import printable

logger = logging.getLogger(__name__)

# Chosen: smaller differences are the rounding of stamps and rates.
TOLERANCE_SAMPLES, TOLERANCE_NS = 0.05, 150_000
_NO_CHANNEL = (np.empty(0, np.int64), np.empty(0, np.int64))


def with_record_times(stream: obspy.Stream, records: Records) -> obspy.Stream:
    """
    Traces that agree with the time stamps of all of their records.

    Parameters
    ----------
    stream : Stream
        Traces that ObsPy made of the records, with samples, not trimmed.
    records : Records
        The same, in the order in which ObsPy read them.

    Returns
    -------
    Stream
        Traces that agree are the same objects. Others are cut where another straight line through the stamps begins,
        and have its rate. Those of a channel stay as they are, which the log names, if it cannot be told which records
        they are made of.
    """
    with_samples = records.part(records.n_samples > 0)
    channels = _channels(with_samples)
    of_channels: dict[str, list[obspy.Trace]] = defaultdict(list)
    for trace in stream:
        of_channels[trace.id].append(trace)
    timed: dict[int, list[obspy.Trace]] = {}
    for name, traces in of_channels.items():
        parts = _of_channel(traces, with_samples, *channels.get(name, _NO_CHANNEL))
        if parts is None:
            logger.warning("%s: the time stamps of its records cannot be followed", printable(name))
        timed |= dict(zip(map(id, traces), parts or [[trace] for trace in traces], strict=True))
    return obspy.Stream([part for trace in stream for part in timed[id(trace)]])


def _of_channel(
    traces: list[obspy.Trace], records: Records, rows: NDArray[np.int64], ends: NDArray[np.int64]
) -> list[list[obspy.Trace]] | None:
    """Traces for each trace of a channel, by its records; None if these are not the records of the traces."""
    parts = []
    first = 0
    for trace in traces:
        n_before = int(ends[first - 1]) if first else 0
        last = int(np.searchsorted(ends, n_before + trace.stats.npts))
        if last >= len(ends) or ends[last] != n_before + trace.stats.npts or trace.stats.npts != len(trace.data):
            return None
        of_trace = records.part(rows[first : last + 1])
        if abs(int(of_trace.start_ns[0]) - trace.stats.starttime.ns) > TOLERANCE_NS:
            return None
        parts.append(_on_stamps(trace, of_trace, np.r_[0, ends[first:last] - n_before]))
        first = last + 1
    return parts


def _channels(records: Records) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Records of each channel by its identifier, and the number of samples up to the end of each."""
    codes, channel_index = np.unique(records.codes, return_inverse=True)
    parts = (slice(10, 12), slice(0, 5), slice(5, 7), slice(7, 10))
    channels = {}
    for index, code in enumerate(codes.tolist()):
        text = code.ljust(12, b"\0").decode("latin-1")
        rows = np.flatnonzero(channel_index == index)
        channels[".".join(text[part].strip(" \0") for part in parts)] = (rows, np.cumsum(records.n_samples[rows]))
    return channels


def _on_stamps(trace: obspy.Trace, records: Records, starts: NDArray[np.int64]) -> list[obspy.Trace]:
    rate_hz = trace.stats.sampling_rate
    if not 0 < rate_hz < np.inf:
        return [trace]
    tolerance_ns = max(TOLERANCE_SAMPLES * NS_PER_S / rate_hz, TOLERANCE_NS)
    stamps_ns = records.start_ns - records.start_ns[0]
    ends_ns = stamps_ns + records.n_samples * NS_PER_S / records.rate_hz
    counted_ns = np.r_[starts, starts + records.n_samples] * NS_PER_S / rate_hz
    if np.abs(np.r_[stamps_ns, ends_ns] - counted_ns).max() <= tolerance_ns:
        return [trace]
    codes = {name: trace.stats[name] for name in ("network", "station", "location", "channel")}
    edges = [*_runs(stamps_ns, starts, records.rate_hz, tolerance_ns), (trace.stats.npts, 0, 0.0)]
    return [
        obspy.Trace(
            trace.data[begin:end],
            {**codes, "starttime": trace.stats.starttime + stamp_ns / NS_PER_S, "sampling_rate": rate},
        )
        for (begin, stamp_ns, rate), (end, _, _) in pairwise(edges)
    ]


def _runs(
    stamps_ns: NDArray[np.int64], starts: NDArray[np.int64], rates_hz: NDArray[np.float64], tolerance_ns: float
) -> list[tuple[int, int, float]]:
    """
    First sample, its time and the rate of each straight line through the stamps, found from left to right.

    Two stamps whose distance is not the stated rate's within `RATE_TOLERANCE` are beside a jump.
    """
    runs = []
    anchor = 0
    low = high = usual_ns = NS_PER_S / float(rates_hz[0])
    low, high = low * (1 - RATE_TOLERANCE), high * (1 + RATE_TOLERANCE)
    for index in range(1, len(starts) + 1):
        narrower = (low, high)
        goes_on = index < len(starts) and rates_hz[index] == rates_hz[anchor]
        if goes_on:
            n_samples, passed_ns = int(starts[index] - starts[anchor]), int(stamps_ns[index] - stamps_ns[anchor])
            shortest_ns, longest_ns = (passed_ns - tolerance_ns) / n_samples, (passed_ns + tolerance_ns) / n_samples
            narrower = (max(low, shortest_ns), min(high, longest_ns))
            goes_on = narrower[0] <= narrower[1]
        if goes_on:
            low, high = narrower
            continue
        period_ns = usual_ns if low <= usual_ns <= high else (low + high) / 2
        runs.append((int(starts[anchor]), int(stamps_ns[anchor]), NS_PER_S / period_ns))
        if index < len(starts):
            anchor, usual_ns = index, NS_PER_S / float(rates_hz[index])
            low, high = usual_ns * (1 - RATE_TOLERANCE), usual_ns * (1 + RATE_TOLERANCE)
    return runs
