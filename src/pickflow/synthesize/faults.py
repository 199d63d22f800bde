"""Faults of the records of stations, applied to counts."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from obspy import Stream, Trace, UTCDateTime

from pickflow.run.settings.synthesize import FAULTS, Fault, SynthesizeParams
from pickflow.statistics import MAD_TO_SIGMA
from pickflow.windows import parse_time

# Default durations and sizes of faults; chosen.
_DURATION_S = {"gap": 120.0, "overlap": 60.0, "dead_channel": None}
_SIZE = {"clock_jump": 3.373, "spike": 200.0, "step": 100.0, "saturated": 0.2}


def apply_fault(stream: Stream, fault: Fault, starttime: datetime, endtime: datetime) -> Stream:
    """
    Apply a fault to the records of one station.

    Parameters
    ----------
    stream : Stream
        Counts (int32) of all channels of the station.
    fault : Fault
        The fault. A missing start is a third of the window; a fault without a duration lasts to the end.
    starttime, endtime : datetime
        Window of the earthquakes.

    Returns
    -------
    Stream
        New traces; several of one channel where there is a gap, an overlap or a jump.
    """
    begin = parse_time(fault.starttime) if fault.starttime else starttime + (endtime - starttime) / 3
    return Stream([piece for trace in stream for piece in _FAULTS[fault.fault](trace, fault, begin)])


def _end(fault: Fault, begin: datetime) -> UTCDateTime:
    duration_s = fault.duration_s or _DURATION_S.get(fault.fault)
    return UTCDateTime(begin) + duration_s if duration_s else UTCDateTime(2200, 1, 1)


def _size(fault: Fault) -> float:
    return _SIZE[fault.fault] if fault.size is None else fault.size


def _before(trace: Trace, time: UTCDateTime) -> list[Trace]:
    """Samples strictly before a time; nothing if there are none."""
    last = min(_index(trace, time), trace.stats.npts)
    return [_part(trace, 0, last)] if last > 0 else []


def _from(trace: Trace, time: UTCDateTime) -> list[Trace]:
    first = max(_index(trace, time), 0)
    return [_part(trace, first, trace.stats.npts)] if first < trace.stats.npts else []


def _index(trace: Trace, time: UTCDateTime) -> int:
    """First sample at or after a time; below 0 or beyond the end if it lies outside."""
    return int(np.ceil(round((time - trace.stats.starttime) * trace.stats.sampling_rate, 6)))


def _part(trace: Trace, first: int, last: int) -> Trace:
    part = _with_data(trace, trace.data[first:last].copy())
    part.stats.starttime = trace.stats.starttime + first / trace.stats.sampling_rate
    return part


def _gap(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    return _before(trace, UTCDateTime(begin)) + _from(trace, _end(fault, begin))


def _overlap(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    """A stretch is sent twice, with the same samples."""
    return _before(trace, _end(fault, begin)) + _from(trace, UTCDateTime(begin))


def _clock_jump(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    late = _from(trace, UTCDateTime(begin))
    for part in late:
        part.stats.starttime += _size(fault)
    return _before(trace, UTCDateTime(begin)) + late


def _dead_channel(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    """The sensor gives one value: without a start in the config, always."""
    data = trace.data.copy()
    first = 0 if fault.starttime is None else max(_index(trace, UTCDateTime(begin)), 0)
    data[first : max(_index(trace, _end(fault, begin)), 0)] = 17
    return [_with_data(trace, data)]


def _spike(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    """Single samples far off, every 40 s for the duration (default: to the end)."""
    data = trace.data.astype(np.int64)
    first, last = max(_index(trace, UTCDateTime(begin)), 0), min(_index(trace, _end(fault, begin)), data.size)
    spacing = int(40 * trace.stats.sampling_rate)
    data[first:last:spacing] += int(_size(fault) * _typical(data)) + 1
    return [_with_data(trace, _to_counts(data))]


def _step(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    data = trace.data.astype(np.int64)
    first, last = max(_index(trace, UTCDateTime(begin)), 0), max(_index(trace, _end(fault, begin)), 0)
    data[first:last] += int(_size(fault) * _typical(data)) + 1
    return [_with_data(trace, _to_counts(data))]


def _saturated(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    level = max(int(_size(fault) * np.abs(trace.data.astype(np.int64)).max()), 1)
    return [_with_data(trace, _to_counts(np.clip(trace.data, -level, level)))]


def _wrong_rate(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    """Every second sample (after a short low-pass), under the same code as before."""
    low_passed = np.convolve(trace.data, [0.25, 0.5, 0.25], mode="same")
    half = _with_data(trace, _to_counts(np.rint(low_passed[::2])))
    half.stats.sampling_rate = trace.stats.sampling_rate / 2
    return [half]


def _one_component(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    return [trace.copy()] if trace.stats.channel.endswith("Z") else []


def _duplicate_location(trace: Trace, fault: Fault, begin: datetime) -> list[Trace]:
    twin = trace.copy()
    twin.stats.location = "10"
    return [trace.copy(), twin]


def _typical(data: np.ndarray) -> float:
    return float(np.median(np.abs(data - np.median(data)))) * MAD_TO_SIGMA


def _to_counts(data: np.ndarray) -> np.ndarray:
    return np.clip(data, -(2**31), 2**31 - 1).astype(np.int32)


def _with_data(trace: Trace, data: np.ndarray) -> Trace:
    copy = Trace(header=trace.stats)
    copy.data = data  # sets the number of samples, which the constructor would copy
    return copy


_FAULTS = {
    "gap": _gap,
    "overlap": _overlap,
    "spike": _spike,
    "dead_channel": _dead_channel,
    "clock_jump": _clock_jump,
    "wrong_rate": _wrong_rate,
    "one_component": _one_component,
    "duplicate_location": _duplicate_location,
    "step": _step,
    "saturated": _saturated,
}


def with_every_fault(
    params: SynthesizeParams, starttime: datetime, endtime: datetime, n_well: int, n_events: int, min_spacing_s: float
) -> SynthesizeParams:
    """
    A network for tests: the stations S00, S01 and so on have one fault each, in the order of `FAULTS`.

    Parameters
    ----------
    params : SynthesizeParams
        The other parameters.
    starttime, endtime : datetime
        Of the archive.
    n_well : int
        Further stations, which have none.
    n_events, min_spacing_s : int, float
        Events in that time, and the least time between them.
    """
    sites = tuple(
        params.stations[index % len(params.stations)].changed(station=f"S{index:02d}", bands=("HH",))
        for index in range(len(FAULTS) + n_well)
    )
    return params.changed(
        starttime=starttime.isoformat(),
        endtime=endtime.isoformat(),
        stations=sites,
        faults=[
            Fault(fault=fault, station=f"{site.network}.{site.station}")
            for fault, site in zip(FAULTS, sites, strict=False)
        ],
        seismicity=params.seismicity.changed(n_events=n_events, pinned=(), min_spacing_s=min_spacing_s),
    )
