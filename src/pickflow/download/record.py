"""The record of a station-day: one sensor, in order, judged. No files here."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import obspy

from pickflow.download.components import SensorSet, sensor_sets
from pickflow.download.merging import count_gaps, cut
from pickflow.download.metadata import ChannelEpoch, contradictions, sensitivity_of
from pickflow.download.params import DownloadParams
from pickflow.download.quality import find_glitches, is_saturated
from pickflow.download.remarks import Remark

FEWER_COMPONENTS = {1: "one_component", 2: "two_components"}


class Record(NamedTuple):
    """Waveforms of the chosen sensor (empty: the station-day cannot be used), what was found, and manifest columns."""

    stream: obspy.Stream
    remarks: list[Remark]
    columns: dict[str, Any]


def nothing() -> dict[str, Any]:
    """Manifest columns of a station-day without waveforms."""
    return {
        "location": "",
        "channel": "",
        "components": "",
        "alternatives": "",
        "sampling_rate_hz": float("nan"),
        "coverage": 0.0,
        "n_gaps": 0,
        "sensitivity_counts_per_unit": float("nan"),
        "sha256": "",
    }


def make_record(
    stream: obspy.Stream,
    window: tuple[datetime, datetime],
    epochs: list[ChannelEpoch],
    params: DownloadParams,
) -> Record:
    """
    Choose the sensor of a station, put its pieces in order, and say what is wrong with them.

    Parameters
    ----------
    stream : Stream
        All that the source has of the station, padding included.
    window : tuple of datetime
        The asked part of the day, half-open, without padding: coverage, gaps and quality are judged there.
    epochs : list of ChannelEpoch
        Channels of the station in the inventory.
    params : DownloadParams
        Priorities and the least coverage.

    Returns
    -------
    Record
        With pieces as separate traces; gaps are not filled, nothing is resampled.
    """
    traces = [trace for trace in map(_normalised, stream) if trace.stats.npts and trace.stats.sampling_rate > 0]
    if not any(cut(trace, *window) for trace in traces):
        return Record(obspy.Stream(), [Remark("no_data", "")], nothing())
    sets, others = sensor_sets(traces, params.channel_priority, params.location_priority, window)
    if not sets:
        return Record(obspy.Stream(), [Remark("no_channel", f"there is only {', '.join(others)}")], nothing())
    chosen, rest = sets[0], sets[1:]
    columns = nothing() | _columns(chosen, window, epochs)
    columns["alternatives"] = ",".join(
        sorted({str(sensor) for sensor in rest} | _unasked(epochs, window, sets, params))
    )
    remarks = _unusable(chosen, window, params)
    if remarks:
        return Record(obspy.Stream(), remarks, columns)
    remarks = _judge(chosen, window, epochs)
    if columns["alternatives"]:
        remarks.append(Remark("duplicate_location", f"{chosen} chosen, not {columns['alternatives']}"))
    kept = obspy.Stream([piece for channel in chosen.channels.values() for piece in channel.pieces])
    return Record(kept, remarks, columns)


def _normalised(trace: obspy.Trace) -> obspy.Trace:
    trace.stats.channel = trace.stats.channel.strip().upper()
    trace.stats.location = trace.stats.location.strip().replace("--", "")
    return trace


def _unasked(
    epochs: list[ChannelEpoch], window: tuple[datetime, datetime], sets: list[SensorSet], params: DownloadParams
) -> set[str]:
    """Sensors that only the inventory knows of: a data centre is not asked for them once a better one was complete."""
    if params.source != "fdsn":
        return set()
    known = {f"{epoch.location or '--'}.{epoch.channel[:2]}" for epoch in epochs if epoch.overlaps(window)}
    allowed = {name for name in known if name.split(".")[1] in params.channel_priority}
    return allowed - {str(sensor) for sensor in sets}


def _columns(chosen: SensorSet, window: tuple[datetime, datetime], epochs: list[ChannelEpoch]) -> dict[str, Any]:
    pieces = [piece for channel in chosen.channels.values() for piece in channel.pieces]
    first_channel = chosen.band + (chosen.components or chosen.dead)[0]
    return {
        "location": chosen.location,
        "channel": chosen.band,
        "components": chosen.components,
        "sampling_rate_hz": pieces[0].stats.sampling_rate if pieces else float("nan"),
        "coverage": chosen.coverage,
        "n_gaps": max((count_gaps(channel.pieces, *window) for channel in chosen.channels.values()), default=0),
        "sensitivity_counts_per_unit": sensitivity_of(epochs, chosen.location, first_channel, window),
    }


def _unusable(chosen: SensorSet, window: tuple[datetime, datetime], params: DownloadParams) -> list[Remark]:
    if not chosen.channels:
        return [Remark("dead_channel", f"{chosen}: component {', '.join(chosen.dead)} constant, and no other")]
    if not chosen.rates_agree:
        rates = {letter: channel.pieces[0].stats.sampling_rate for letter, channel in chosen.channels.items()}
        listed = ", ".join(f"{letter} {rate:g} Hz" for letter, rate in rates.items())
        return [Remark("wrong_rate_unusable", f"{chosen}: {listed}")]
    if chosen.coverage == 0.0:
        return [Remark("no_data", f"{chosen}: samples in the padding only")]
    if chosen.coverage < params.min_coverage:
        detail = f"{100 * chosen.coverage:.2f} % covered, download.min_coverage is {100 * params.min_coverage:g} %"
        return [Remark("gap_too_long", detail)]
    return []


def _judge(chosen: SensorSet, window: tuple[datetime, datetime], epochs: list[ChannelEpoch]) -> list[Remark]:
    """Remarks on a usable sensor."""
    channels = {chosen.band + letter: channel for letter, channel in chosen.channels.items()}
    remarks = [remark for channel in channels.values() for remark in channel.remarks]
    rates = {name: channel.pieces[0].stats.sampling_rate for name, channel in channels.items()}
    remarks += contradictions(epochs, chosen.location, rates, window)
    if chosen.dead:
        remarks.append(Remark("dead_component", f"component {', '.join(chosen.dead)} is constant"))
    if chosen.left_out:
        detail = f"component {', '.join(chosen.left_out)} does not belong to {chosen.components}"
        remarks.append(Remark("metadata_mismatch", detail))
    if len(channels) in FEWER_COMPONENTS:
        remarks.append(Remark(FEWER_COMPONENTS[len(channels)], f"only component {', '.join(chosen.components)}"))
    n_gaps = max(count_gaps(channel.pieces, *window) for channel in channels.values())
    if n_gaps:
        remarks.append(Remark("gap", f"{n_gaps} gap{'s' if n_gaps > 1 else ''}, {100 * chosen.coverage:.2f} % covered"))
    for name, channel in channels.items():
        inside = [piece for trace in channel.pieces if (piece := cut(trace, *window))]
        remarks += _judge_samples(name, inside)
    return remarks


def _judge_samples(name: str, pieces: list[obspy.Trace]) -> list[Remark]:
    spikes: list[obspy.UTCDateTime] = []
    steps: list[obspy.UTCDateTime] = []
    saturated = []
    for piece in pieces:
        rate = piece.stats.sampling_rate
        glitches = find_glitches(piece.data, rate)
        spikes += [piece.stats.starttime + index / rate for index in glitches.spikes]
        steps += [piece.stats.starttime + index / rate for index in glitches.steps]
        if is_saturated(piece.data, rate):
            saturated.append(piece.stats.starttime + int(np.argmax(np.abs(piece.data))) / rate)
    found = {"spike": spikes, "step": steps, "saturated": saturated}
    return [Remark(code, f"{name}: {_first(code, times)}") for code, times in found.items() if times]


def _first(code: str, times: list[obspy.UTCDateTime]) -> str:
    if code == "saturated":
        return f"clipped, largest at {times[0]}"
    return f"{len(times)} {code}{'s' if len(times) > 1 else ''}, the first at {times[0]}"
