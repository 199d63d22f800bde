"""Waveforms, picks and probabilities around an event."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from obspy import Stream, UTCDateTime

from pickflow.codes import band_instrument
from pickflow.io.places import places_at
from pickflow.run.settings.report import GatherParams
from pickflow.sampling.rates import same_rate
from pickflow.travel_times.sphere import sphere_distance_km
from pickflow.viewer.gather import PHASES, Annotate, Choice, Gather, ReadWaveforms, StationGather, TravelTime
from pickflow.windows import days_between

logger = logging.getLogger(__name__)

# ASSUME: only for the length of the shown window, where neither an arrival nor a travel time is known.
_SLOWEST_S_KM_S = 3.0
_LONGEST_TRAVEL_TIME = pd.Timedelta(minutes=10)  # chosen: S reaches 2,000 km in less


def gather_for_event(
    choice: Choice,
    stations: pd.DataFrame,
    picks: pd.DataFrame,
    assignments: pd.DataFrame,
    manual: pd.DataFrame | None,
    read_waveforms: ReadWaveforms,
    annotate: Annotate | None,
    travel_time_s: TravelTime | None,
    params: GatherParams,
) -> Gather:
    """
    Collect the records of an event at the nearest stations.

    Parameters
    ----------
    choice : Choice
        The event, from `choose_events`.
    stations, picks, assignments : DataFrame
        `STATIONS`, `PICKS` and `ASSIGNMENTS`; all may be larger than needed.
    manual : DataFrame or None
        `REFERENCE_PICKS`; may be larger than needed.
    read_waveforms : callable
        ``(network, station, date) -> Stream or None``; stations without waveforms are skipped.
    annotate : callable or None
        ``Stream -> Stream`` of probability traces whose channels end in ``_P`` and ``_S`` (the SeisBench convention).
    travel_time_s : callable or None
        ``(phase, distance_km, depth_km) -> seconds``; used where no assignment has the predicted arrival.
    params : GatherParams
        Number of stations, margins and filter.

    Returns
    -------
    Gather
        Without stations if none has waveforms.
    """
    event = choice.event
    sites = _nearest(stations, event)
    picks = picks[(picks["time"] - event["time"]).abs() <= _LONGEST_TRAVEL_TIME]
    arrivals = assignments[assignments["event_id"] == event["event_id"]].merge(picks, on="pick_id")
    expected = {
        (row.network, row.station): _predicted(row, event, arrivals, travel_time_s) for row in sites.itertuples()
    }
    farthest = sites.head(params.n_stations)
    ends_s = [
        expected[network, station].get("S", distance_km / _SLOWEST_S_KM_S)
        for network, station, distance_km in zip(
            farthest["network"], farthest["station"], farthest["distance_km"], strict=True
        )
    ]
    start_s, end_s = -params.margin_s, max(ends_s, default=0.0) + 2 * params.margin_s
    records: list[StationGather] = []
    for site in sites.itertuples():
        if len(records) == params.n_stations:
            break
        station_picks = _picks_in_window(site, event, picks, set(arrivals["pick_id"]), (start_s, end_s))
        record = _record(site, event, station_picks, read_waveforms, annotate, (start_s, end_s), params)
        if record is None:
            logger.info("%s.%s: no waveforms around %s", site.network, site.station, event["time"])
            continue
        shown_picks = tuple(
            zip(station_picks["phase"], station_picks["time_s"], station_picks["assigned"], strict=True)
        )
        manual_picks = _manual_in_window(site, event, manual, (start_s, end_s))
        predicted_s = expected[site.network, site.station]
        records.append(StationGather(picks=shown_picks, manual=manual_picks, predicted_s=predicted_s, **record))
    return Gather(
        kind=choice.kind, note=choice.note, event=event, start_s=start_s, end_s=end_s, stations=tuple(records)
    )


def _nearest(stations: pd.DataFrame, event: Mapping[str, Any]) -> pd.DataFrame:
    """Stations with coordinates at the time of an event, nearest first."""
    codes = stations[["network", "station"]].drop_duplicates()
    sites = places_at(codes, pd.Series(event["time"], index=codes.index), stations).dropna(subset=["latitude_deg"])
    distance_km = sphere_distance_km(
        event["latitude_deg"], event["longitude_deg"], sites["latitude_deg"], sites["longitude_deg"]
    )
    return sites.assign(distance_km=distance_km).sort_values(["distance_km", "network", "station"])


def _seconds_after(times: pd.Series, origin: pd.Timestamp) -> pd.Series:
    return (times - origin).dt.total_seconds()


def _predicted(
    site: Any, event: Mapping[str, Any], arrivals: pd.DataFrame, travel_time_s: TravelTime | None
) -> dict[str, float]:
    predicted = {}
    depth_km = event["depth_km"] if np.isfinite(event["depth_km"]) else 10.0
    site_arrivals = arrivals[(arrivals["network"] == site.network) & (arrivals["station"] == site.station)]
    for phase in PHASES:
        row = site_arrivals[site_arrivals["phase"] == phase].head(1)
        if len(row):
            predicted[phase] = float((_seconds_after(row["time"], event["time"]) - row["residual_s"]).iloc[0])
        elif travel_time_s is not None:
            predicted[phase] = float(travel_time_s(phase, site.distance_km, depth_km))
    return predicted


def _picks_in_window(
    site: Any, event: Mapping[str, Any], picks: pd.DataFrame, assigned_ids: set[str], window_s: tuple[float, float]
) -> pd.DataFrame:
    site_picks = picks[(picks["network"] == site.network) & (picks["station"] == site.station)]
    site_picks = site_picks.assign(
        time_s=_seconds_after(site_picks["time"], event["time"]), assigned=site_picks["pick_id"].isin(assigned_ids)
    )
    return site_picks[site_picks["time_s"].between(*window_s) & site_picks["phase"].isin(PHASES)]


def _manual_in_window(
    site: Any, event: Mapping[str, Any], manual: pd.DataFrame | None, window_s: tuple[float, float]
) -> tuple[tuple[str, float], ...]:
    """Phases and times of the reference's picks at a station; one without a network is any."""
    if manual is None:
        return ()
    site_picks = manual[(manual["station"] == site.station) & manual["network"].isin(["", site.network])]
    time_s = _seconds_after(site_picks["time"], event["time"])
    in_window = time_s.between(*window_s)
    return tuple(zip(site_picks["phase"][in_window], time_s[in_window], strict=True))


def _record(
    site: Any,
    event: Mapping[str, Any],
    station_picks: pd.DataFrame,
    read_waveforms: ReadWaveforms,
    annotate: Annotate | None,
    window_s: tuple[float, float],
    params: GatherParams,
) -> dict[str, Any] | None:
    origin = event["time"].to_pydatetime(warn=False)
    start = origin + timedelta(seconds=window_s[0])
    stream = Stream()
    context = timedelta(seconds=params.context_s)
    begin, end = start - context, origin + timedelta(seconds=window_s[1]) + context
    for day in days_between(begin, end):
        day_stream = read_waveforms(site.network, site.station, day)
        stream += day_stream.slice(UTCDateTime(begin), UTCDateTime(end)) if day_stream else Stream()
    stream = _one_instrument(stream, list(station_picks["channel"]))
    if not stream:
        return None
    length_s = window_s[1] - window_s[0]
    probabilities = annotate(stream.copy()) if annotate is not None else Stream()
    rate_hz, components, waveform = _display(stream, UTCDateTime(start), length_s, params.highpass_hz)
    if not np.isfinite(waveform).any():
        return None
    probability_rate_hz, probability = _probabilities(probabilities, UTCDateTime(start), length_s)
    return {
        "network": site.network,
        "station": site.station,
        "channel": band_instrument(stream[0].stats.channel),
        "components": components,
        "distance_km": float(site.distance_km),
        "time_s": window_s[0] + np.arange(waveform.shape[1]) / rate_hz,
        "waveform": waveform,
        "probability_time_s": window_s[0] + np.arange(probability.shape[1]) / probability_rate_hz,
        "probability": probability,
    }


def _one_instrument(stream: Stream, picked_channels: list[str]) -> Stream:
    """Gap-free pieces of one instrument and sampling rate: those that were picked, else those with the most samples."""
    groups: dict[tuple[str, str, float], Stream] = {}
    for trace in stream:
        band, location, rate_hz = band_instrument(trace.stats.channel), trace.stats.location, trace.stats.sampling_rate
        rates_hz = [key[2] for key in groups if key[:2] == (band, location)]
        rate_hz = next((known_hz for known_hz in rates_hz if same_rate(known_hz, rate_hz)), rate_hz)
        groups.setdefault((band, location, rate_hz), Stream()).append(trace)
    if not groups:
        return Stream()
    names = sorted(groups, key=lambda key: (key[0] not in picked_channels, -sum(map(len, groups[key])), key))
    instrument = Stream([trace.copy() for trace in groups[names[0]]])
    for trace in instrument:
        trace.data = np.ma.getdata(trace.data).astype(np.float64)
    # Pieces of a drifting clock have different rates, and ObsPy joins only pieces of one rate.
    of_rates = [
        instrument.select(sampling_rate=rate_hz) for rate_hz in sorted({t.stats.sampling_rate for t in instrument})
    ]
    return Stream([piece for part in of_rates for piece in part.merge(method=1).split()])


def _display(stream: Stream, start: UTCDateTime, length_s: float, highpass_hz: float) -> tuple[float, str, np.ndarray]:
    rate_hz = stream[0].stats.sampling_rate
    filtered = stream.copy().detrend("demean")
    if highpass_hz < rate_hz / 2:
        filtered.filter("highpass", freq=highpass_hz, corners=2)  # causal: nothing may precede an onset
    components = "".join(sorted({trace.stats.channel[-1] for trace in filtered}, key=_component_order))
    rows = [_on_grid(filtered.select(component=code), start, length_s, rate_hz) for code in components]
    return rate_hz, components, np.stack(rows)


def _component_order(component: str) -> tuple[bool, str]:
    return component not in "ZU", component


def _probabilities(stream: Stream, start: UTCDateTime, length_s: float) -> tuple[float, np.ndarray]:
    rate_hz = stream[0].stats.sampling_rate if stream else 1.0
    by_phase = (Stream([trace for trace in stream if trace.stats.channel.endswith(f"_{phase}")]) for phase in PHASES)
    rows = [_on_grid(traces, start, length_s, rate_hz) for traces in by_phase]
    return rate_hz, np.stack(rows)


def _on_grid(stream: Stream, start: UTCDateTime, length_s: float, rate_hz: float) -> np.ndarray:
    """Samples of traces of one component on one axis, each at its own rate; NaN where there are none."""
    row = np.full(int(length_s * rate_hz) + 1, np.nan, dtype=np.float32)
    for trace in stream.split() if any(np.ma.is_masked(trace.data) for trace in stream) else stream:
        times_s = (trace.stats.starttime - start) + np.arange(trace.stats.npts) / trace.stats.sampling_rate
        places = np.rint(times_s * rate_hz).astype(np.int64)
        in_window = (places >= 0) & (places < row.size)
        row[places[in_window]] = np.asarray(trace.data)[in_window]
    return row
