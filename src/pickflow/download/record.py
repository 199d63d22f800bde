"""The record of a station-day: one sensor, in order, with remarks on its quality."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import obspy

from pickflow.download.components import SensorSet, sensor_sets
from pickflow.download.merging import count_gaps, cut
from pickflow.download.metadata import ChannelEpoch, contradictions, sensitivity_of
from pickflow.download.reading import is_waveform
from pickflow.download.remarks import Remark
from pickflow.quality.clipping import is_clipped_record
from pickflow.quality.glitches import find_glitches
from pickflow.run.settings.download import DownloadParams
from pickflow.sampling.rates import RATE_TOLERANCE, is_plausible, rate_problem, same_rate

# Of another component's rate: loggers record horizontals at half or twice the rate of the vertical.
FARTHEST_RATE = 2.0 * (1 + RATE_TOLERANCE)
FEWER_COMPONENTS = {1: "one_component", 2: "two_components"}


class Record(NamedTuple):
    """Waveforms of the chosen sensor (empty: the station-day cannot be used), remarks, and manifest columns."""

    stream: obspy.Stream
    remarks: list[Remark]
    columns: dict[str, Any]


def empty_columns() -> dict[str, Any]:
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
    Choose the sensor of a station, put its pieces in order, and report their errors.

    Parameters
    ----------
    stream : Stream
        All data of the source of the station, padding included.
    window : tuple of datetime
        The requested part of the day, half-open, without padding, for coverage, gaps and quality.
    epochs : list of ChannelEpoch
        Channels of the station in the inventory.
    params : DownloadParams
        Priorities and the least coverage.

    Returns
    -------
    Record
        With pieces as separate traces; gaps are not filled, nothing is resampled.
    """
    recorded_traces = [trace for trace in map(_normalised, stream) if trace.stats.npts]
    waveforms = [trace for trace in recorded_traces if is_waveform(trace)]
    traces = [trace for trace in waveforms if is_plausible(trace.stats.sampling_rate)]
    rates = {(trace.id, trace.stats.sampling_rate) for trace in waveforms}
    odd = "; ".join(rate_problem(*rate) for rate in sorted(rates) if not is_plausible(rate[1]))
    states = sorted({_name(trace) for trace in recorded_traces if not is_waveform(trace)})
    if odd and not traces:
        return Record(obspy.Stream(), [Remark("wrong_rate_unusable", odd)], empty_columns())
    if states and not traces:
        detail = f"there are only texts or states: {', '.join(states)}"
        return Record(obspy.Stream(), [Remark("no_channel", detail)], empty_columns())
    if not any(cut(trace, *window) for trace in traces):
        return Record(obspy.Stream(), [Remark("no_data", "")], empty_columns())
    sets, unused = sensor_sets(traces, params.channel_priority, params.location_priority, window)
    if not sets:
        return Record(obspy.Stream(), [Remark("no_channel", f"there is only {', '.join(unused)}")], empty_columns())
    alternatives = sets[1:]
    best, different_rates = _with_near_rates(sets[0])
    columns = empty_columns() | _columns(best, window, epochs)
    columns["alternatives"] = ",".join(
        sorted({str(sensor) for sensor in alternatives} | _alternatives_in_inventory(epochs, window, sets, params))
    )
    remarks = _unusable(best, window, params)
    if remarks:
        return Record(obspy.Stream(), remarks, columns)
    remarks = different_rates + _judge(best, window, epochs)
    if odd:
        remarks.append(Remark("wrong_rate", f"{odd}; left out"))
    if columns["alternatives"]:
        remarks.append(Remark("duplicate_location", f"{best} chosen, not {columns['alternatives']}"))
    if nameless := _without_component(unused, states, best):
        remarks.append(Remark("no_channel", f"{', '.join(nameless)} left out: no waveforms of a component"))
    best_traces = obspy.Stream([piece for channel in best.channels.values() for piece in channel.pieces])
    return Record(best_traces, remarks, columns)


def _without_component(unused: list[str], states: list[str], sensor: SensorSet) -> list[str]:
    """Channels with codes that name no component, and texts and states of the chosen sensor."""
    return [name for name in unused if len(name.split(".")[1]) != 3] + [
        name for name in states if name.startswith(str(sensor))
    ]


def _with_near_rates(sensor: SensorSet) -> tuple[SensorSet, list[Remark]]:
    """
    A sensor without the components whose rate is far from that of most, the first of these in the order of the set.

    Pickers resample each component; one with a much lower rate would only look quiet.
    """
    if sensor.rates_agree:
        return sensor, []
    rates = {letter: channel.pieces[0].stats.sampling_rate for letter, channel in sensor.channels.items()}
    mode_hz = max(
        rates.values(), key=lambda rate: sum(same_rate(rate, channel_rate) for channel_rate in rates.values())
    )
    odd = [letter for letter, rate in rates.items() if not mode_hz / FARTHEST_RATE <= rate <= mode_hz * FARTHEST_RATE]
    rates_text = ", ".join(f"{letter} {rate:g} Hz" for letter, rate in rates.items())
    omission = f"; {', '.join(odd)} left out" if odd else ""
    channels = {letter: channel for letter, channel in sensor.channels.items() if letter not in odd}
    return sensor._replace(channels=channels), [Remark("wrong_rate", f"{sensor}: {rates_text}{omission}")]


def _name(trace: obspy.Trace) -> str:
    return f"{trace.stats.location or '--'}.{trace.stats.channel}"


def _normalised(trace: obspy.Trace) -> obspy.Trace:
    trace.stats.channel = trace.stats.channel.strip().upper()
    trace.stats.location = trace.stats.location.strip().replace("--", "")
    return trace


def _alternatives_in_inventory(
    epochs: list[ChannelEpoch], window: tuple[datetime, datetime], sets: list[SensorSet], params: DownloadParams
) -> set[str]:
    """Sensors that only the inventory knows of: they are not requested once a better one was complete."""
    if params.source != "fdsn":
        return set()
    names = {f"{epoch.location or '--'}.{epoch.channel[:2]}" for epoch in epochs if epoch.overlaps(window)}
    allowed_names = {name for name in names if name.split(".")[1] in params.channel_priority}
    return allowed_names - {str(sensor) for sensor in sets}


def _columns(sensor: SensorSet, window: tuple[datetime, datetime], epochs: list[ChannelEpoch]) -> dict[str, Any]:
    pieces = [piece for channel in sensor.channels.values() for piece in channel.pieces]
    first_channel = sensor.band + (sensor.components or sensor.constant)[0]
    return {
        "location": sensor.location,
        "channel": sensor.band,
        "components": sensor.components,
        "sampling_rate_hz": pieces[0].stats.sampling_rate if pieces else float("nan"),
        "coverage": sensor.coverage,
        "n_gaps": max((count_gaps(channel.pieces, *window) for channel in sensor.channels.values()), default=0),
        "sensitivity_counts_per_unit": sensitivity_of(epochs, sensor.location, first_channel, window),
    }


def _unusable(sensor: SensorSet, window: tuple[datetime, datetime], params: DownloadParams) -> list[Remark]:
    if not sensor.channels:
        return [Remark("dead_channel", f"{sensor}: component {', '.join(sensor.constant)} constant, and no other")]
    if sensor.coverage == 0.0:
        return [Remark("no_data", f"{sensor}: samples in the padding only")]
    if sensor.coverage < params.min_coverage:
        detail = f"{100 * sensor.coverage:.2f} % covered, download.min_coverage is {100 * params.min_coverage:g} %"
        return [Remark("gap_too_long", detail)]
    return []


def _judge(sensor: SensorSet, window: tuple[datetime, datetime], epochs: list[ChannelEpoch]) -> list[Remark]:
    """Remarks on a usable sensor."""
    channels = {sensor.band + letter: channel for letter, channel in sensor.channels.items()}
    remarks = [remark for channel in channels.values() for remark in channel.remarks]
    rates = {name: channel.pieces[0].stats.sampling_rate for name, channel in channels.items()}
    remarks += contradictions(epochs, sensor.location, rates, window)
    if sensor.constant:
        remarks.append(Remark("dead_component", f"component {', '.join(sensor.constant)} is constant"))
    if sensor.left_out:
        detail = f"component {', '.join(sensor.left_out)} does not belong to {sensor.components}"
        remarks.append(Remark("metadata_mismatch", detail))
    if len(channels) in FEWER_COMPONENTS:
        remarks.append(Remark(FEWER_COMPONENTS[len(channels)], f"only component {', '.join(sensor.components)}"))
    n_gaps = max(count_gaps(channel.pieces, *window) for channel in channels.values())
    if n_gaps:
        remarks.append(Remark("gap", f"{n_gaps} gap{'s' if n_gaps > 1 else ''}, {100 * sensor.coverage:.2f} % covered"))
    for name, channel in channels.items():
        parts = [piece for trace in channel.pieces if (piece := cut(trace, *window))]
        remarks += _judge_samples(name, parts)
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
        if is_clipped_record(piece.data, rate):
            saturated.append(piece.stats.starttime + int(np.argmax(np.abs(piece.data))) / rate)
    glitch_times = {"spike": spikes, "step": steps, "saturated": saturated}
    return [Remark(code, f"{name}: {_first(code, times)}") for code, times in glitch_times.items() if times]


def _first(code: str, times: list[obspy.UTCDateTime]) -> str:
    if code == "saturated":
        return f"clipped, largest at {times[0]}"
    return f"{len(times)} {code}{'s' if len(times) > 1 else ''}, the first at {times[0]}"
