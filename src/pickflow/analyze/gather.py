"""Waveforms, picks and probabilities around an event, and the choice of the events worth a look."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from obspy import Stream, UTCDateTime
from obspy.geodetics import degrees2kilometers, locations2degrees

from pickflow.codes import band_instrument
from pickflow.windows import days_between

logger = logging.getLogger(__name__)

PHASES = ("P", "S")
# ASSUME: only for the length of the shown window, where neither an arrival nor a travel time is known.
_SLOWEST_S_KM_S = 3.0
_LONGEST_TRAVEL_TIME = pd.Timedelta(minutes=10)

ReadWaveforms = Callable[[str, str, str], Stream | None]
Annotate = Callable[[Stream], Stream]
TravelTime = Callable[[str, float, float], float]


@dataclass(frozen=True, kw_only=True)
class GatherParams:
    """Which events are shown with waveforms, and how."""

    n_best: int
    n_worst: int
    n_stations: int
    margin_s: float
    context_s: float
    highpass_hz: float


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An event worth a look: its row of `EVENTS` (or of the reference), why, and a sentence about it."""

    kind: str
    event: Mapping[str, Any]
    note: str


@dataclass(frozen=True, kw_only=True)
class StationGather:
    """
    One station of a gather; all times are seconds after the origin time.

    Attributes
    ----------
    time_s : ndarray, shape (n_samples,)
    waveform : ndarray, shape (n_components, n_samples)
        In the unit of the record, filtered; NaN in gaps.
    probability_time_s : ndarray, shape (n_probability_samples,)
    probability : ndarray, shape (2, n_probability_samples)
        Of P and of S; NaN where the model says nothing.
    picks : tuple of (phase, time_s, assigned)
        ``assigned``: the pick belongs to this event.
    manual : tuple of (phase, time_s)
        Picks of the reference.
    predicted_s : dict
        Predicted arrival time by phase; absent if unknown.
    """

    network: str
    station: str
    channel: str
    components: str
    distance_km: float
    time_s: np.ndarray
    waveform: np.ndarray
    probability_time_s: np.ndarray
    probability: np.ndarray
    picks: tuple[tuple[str, float, bool], ...]
    manual: tuple[tuple[str, float], ...]
    predicted_s: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Gather:
    """Records of an event at its nearest stations, nearest first."""

    kind: str
    note: str
    event: Mapping[str, Any]
    start_s: float
    end_s: float
    stations: tuple[StationGather, ...]


def choose_events(
    events: pd.DataFrame,
    matches: pd.DataFrame,
    reference: pd.DataFrame | None,
    notes: Mapping[str, str],
    params: GatherParams,
) -> list[Choice]:
    """
    Best events (most picks, then smallest residual) and the worst of each kind.

    Parameters
    ----------
    events, matches : DataFrame
        `EVENTS` and `MATCHES` of one catalog.
    reference : DataFrame or None
        `EVENTS` of the reference.
    notes : mapping of str to str
        What is known about missed and unmatched events, by their identifier.
    params : GatherParams
        How many.

    Returns
    -------
    list of Choice
        Kinds, in this order: ``best``, ``largest_error``, ``missed``, ``unmatched``.
    """
    by_id = events.set_index("event_id", drop=False)
    order = events.sort_values(["n_picks", "rms_residual_s", "event_id"], ascending=[False, True, True])
    best = [
        Choice(kind="best", event=_row(row), note=f"{row['n_picks']} picks, residual {row['rms_residual_s']:.2f} s rms")
        for row in order.head(params.n_best).to_dict("records")
    ]
    if reference is None:
        return best
    false = order[order["event_id"].isin(matches.loc[matches["reference_id"].isna(), "event_id"].dropna())]
    unmatched = [
        Choice(
            kind="unmatched",
            event=_row(row),
            note=_noted(f"{row['n_picks']} picks, and no counterpart in the reference", notes, row),
        )
        for row in false.head(params.n_worst).to_dict("records")
    ]
    missed = _missed(matches, reference, notes, params)
    return [*best, *_largest_errors(by_id, matches, params.n_worst), *missed, *unmatched]


def _noted(text: str, notes: Mapping[str, str], row: Mapping[Any, Any]) -> str:
    note = notes.get(str(row["event_id"]))
    return f"{text}; {note}" if note else text


def _largest_errors(by_id: pd.DataFrame, matches: pd.DataFrame, n_worst: int) -> list[Choice]:
    matched = matches.dropna(subset=["reference_id", "event_id"])
    matched = matched[matched["event_id"].isin(by_id.index)]
    errors = matched[["time_error_s", "epicentral_error_km"]].abs()
    # Seconds and kilometres are compared in units of the catalog's own median error.
    badness = (errors / errors.median().clip(lower=1e-9)).max(axis=1)
    worst = matched.loc[badness.sort_values(ascending=False, kind="stable").index[:n_worst]]
    return [
        Choice(
            kind="largest_error",
            event=_row(by_id.loc[str(row.event_id)].to_dict()),
            note=f"{row.time_error_s:+.2f} s and {row.epicentral_error_km:.1f} km from the reference",
        )
        for row in worst.itertuples()
    ]


def _row(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in values.items()}


def _missed(
    matches: pd.DataFrame, reference: pd.DataFrame, notes: Mapping[str, str], params: GatherParams
) -> list[Choice]:
    found = set(matches.dropna(subset=["event_id"])["reference_id"].dropna())
    missed = reference[~reference["event_id"].isin(found)]
    missed = missed.sort_values(["magnitude", "time"], ascending=[False, True], na_position="last")
    return [
        Choice(kind="missed", event=_row(row), note=_noted("in the reference, not in this catalog", notes, row))
        for row in missed.head(params.n_worst).to_dict("records")
    ]


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
    Collect what the nearest stations recorded of an event.

    Parameters
    ----------
    choice : Choice
        The event, from `choose_events`.
    stations, picks, assignments : DataFrame
        `STATIONS`, `PICKS` and `ASSIGNMENTS`; all may be larger than needed.
    manual : DataFrame or None
        `REFERENCE_PICKS`; may be larger than needed.
    read_waveforms : callable
        ``(network, station, date) -> Stream or None``; stations without waveforms are passed over.
    annotate : callable or None
        ``Stream -> Stream`` of probability traces whose channels end in ``_P`` and ``_S`` (the SeisBench convention).
    travel_time_s : callable or None
        ``(phase, distance_km, depth_km) -> seconds``; used where no assignment tells the predicted arrival.
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
    gathered: list[StationGather] = []
    for site in sites.itertuples():
        if len(gathered) == params.n_stations:
            break
        station_picks = _picks_in_window(site, event, picks, set(arrivals["pick_id"]), (start_s, end_s))
        record = _record(site, event, station_picks, read_waveforms, annotate, (start_s, end_s), params)
        if record is None:
            logger.info("%s.%s: no waveforms around %s", site.network, site.station, event["time"])
            continue
        shown = tuple(zip(station_picks["phase"], station_picks["time_s"], station_picks["assigned"], strict=True))
        theirs = _manual_in_window(site, event, manual, (start_s, end_s))
        predicted_s = expected[site.network, site.station]
        gathered.append(StationGather(picks=shown, manual=theirs, predicted_s=predicted_s, **record))
    return Gather(
        kind=choice.kind, note=choice.note, event=event, start_s=start_s, end_s=end_s, stations=tuple(gathered)
    )


def _nearest(stations: pd.DataFrame, event: Mapping[str, Any]) -> pd.DataFrame:
    known = stations.dropna(subset=["latitude_deg", "longitude_deg"])
    degrees = locations2degrees(
        event["latitude_deg"],
        event["longitude_deg"],
        known["latitude_deg"].to_numpy(),
        known["longitude_deg"].to_numpy(),
    )
    return known.assign(distance_km=degrees2kilometers(degrees)).sort_values(["distance_km", "network", "station"])


def _seconds_after(times: pd.Series, origin: pd.Timestamp) -> pd.Series:
    return (times - origin).dt.total_seconds()


def _predicted(
    site: Any, event: Mapping[str, Any], arrivals: pd.DataFrame, travel_time_s: TravelTime | None
) -> dict[str, float]:
    predicted = {}
    depth_km = event["depth_km"] if np.isfinite(event["depth_km"]) else 10.0
    here = arrivals[(arrivals["network"] == site.network) & (arrivals["station"] == site.station)]
    for phase in PHASES:
        row = here[here["phase"] == phase].head(1)
        if len(row):
            predicted[phase] = float((_seconds_after(row["time"], event["time"]) - row["residual_s"]).iloc[0])
        elif travel_time_s is not None:
            predicted[phase] = float(travel_time_s(phase, site.distance_km, depth_km))
    return predicted


def _picks_in_window(
    site: Any, event: Mapping[str, Any], picks: pd.DataFrame, assigned: set[str], window_s: tuple[float, float]
) -> pd.DataFrame:
    here = picks[(picks["network"] == site.network) & (picks["station"] == site.station)]
    here = here.assign(time_s=_seconds_after(here["time"], event["time"]), assigned=here["pick_id"].isin(assigned))
    return here[here["time_s"].between(*window_s) & here["phase"].isin(PHASES)]


def _manual_in_window(
    site: Any, event: Mapping[str, Any], manual: pd.DataFrame | None, window_s: tuple[float, float]
) -> tuple[tuple[str, float], ...]:
    """Phases and times of the reference's picks at a station; one without a network is any."""
    if manual is None:
        return ()
    here = manual[(manual["station"] == site.station) & manual["network"].isin(["", site.network])]
    time_s = _seconds_after(here["time"], event["time"])
    inside = time_s.between(*window_s)
    return tuple(zip(here["phase"][inside], time_s[inside], strict=True))


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
        found = read_waveforms(site.network, site.station, day)
        stream += found.slice(UTCDateTime(begin), UTCDateTime(end)) if found else Stream()
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
    """Gap-free pieces of one instrument and sampling rate: what was picked on, else what has the most samples."""
    groups: dict[tuple[str, str, float], Stream] = {}
    for trace in stream:
        key = (band_instrument(trace.stats.channel), trace.stats.location, trace.stats.sampling_rate)
        groups.setdefault(key, Stream()).append(trace)
    if not groups:
        return Stream()
    ranked = sorted(groups, key=lambda key: (key[0] not in picked_channels, -sum(map(len, groups[key])), key))
    chosen = Stream([trace.copy() for trace in groups[ranked[0]]])
    for trace in chosen:
        trace.data = np.ma.getdata(trace.data).astype(np.float64)
    return chosen.merge(method=1).split()


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
    row = np.full(int(length_s * rate_hz) + 1, np.nan, dtype=np.float32)
    for trace in stream.split() if any(np.ma.is_masked(trace.data) for trace in stream) else stream:
        first = round((trace.stats.starttime - start) * rate_hz)
        source = np.asarray(trace.data)[max(0, -first) :]
        target = row[max(0, first) :]
        n_samples = min(len(source), len(target))
        target[:n_samples] = source[:n_samples]
    return row
