"""Choice of the sensor of a station: one location code and one instrument, never a mixture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import obspy

from pickflow.codes import COMPONENT_SETS, band_instrument, rank
from pickflow.download.merging import Channel, coverage, merge_channel, without_flat_runs
from pickflow.quality.flat import is_dead
from pickflow.sampling.rates import same_rate

POOR_SHARE = 0.5  # chosen: a sensor with less than this share of the best coverage comes after all others


class SensorSet(NamedTuple):
    """The components of one sensor: one location code, one band and instrument."""

    location: str
    band: str
    channels: dict[str, Channel]  # live components by letter, in the order of the component set
    constant: str  # letters of the constant components
    left_out: str  # letters that do not belong to the component set
    coverage: float  # mean over the live components, 0..1

    def __str__(self) -> str:
        return f"{self.location or '--'}.{self.band}"

    @property
    def components(self) -> str:
        """Letters of the live components."""
        return "".join(self.channels)

    @property
    def rates_agree(self) -> bool:
        """Whether all live components have one sampling rate."""
        rates = [channel.pieces[0].stats.sampling_rate for channel in self.channels.values()]
        return all(same_rate(rates[0], rate) for rate in rates)


def sensor_sets(
    stream: Iterable[obspy.Trace],
    channel_priority: tuple[str, ...],
    location_priority: tuple[str, ...],
    window: tuple[datetime, datetime],
) -> tuple[list[SensorSet], list[str]]:
    """
    Sensors of a station that the priorities allow, the best first.

    More live components come first, then the channel priority, then the location priority; sensors whose components
    disagree about the sampling rate, or with less than half of the best coverage, come after all others.

    Parameters
    ----------
    stream : iterable of Trace
        Of one station.
    channel_priority, location_priority : tuple of str
        Patterns of band+instrument and of location codes, best first; sensors that match none are not used.
    window : tuple of datetime
        Half-open [start, end) in which the coverage counts.

    Returns
    -------
    sets : list of SensorSet
        Best first.
    unused : list of str
        ``location.channel`` of the channels that the priorities do not allow.
    """
    bands, locations = list(channel_priority), list(location_priority)
    grouped: dict[tuple[str, str], dict[str, list[obspy.Trace]]] = defaultdict(lambda: defaultdict(list))
    unused = set()
    for trace in stream:
        location, channel = trace.stats.location, trace.stats.channel
        is_allowed = rank(band_instrument(channel), bands) < len(bands) and rank(location, locations) < len(locations)
        if is_allowed and len(channel) == 3:
            grouped[location, band_instrument(channel)][channel[2]].append(trace)
        else:
            unused.add(f"{location or '--'}.{channel}")
    sets = []
    for (location, band), letters in grouped.items():
        if set(letters) & set("".join(COMPONENT_SETS)):
            sets.append(_sensor(location, band, letters, window))
        else:
            unused |= {f"{location or '--'}.{band}{letter}" for letter in letters}
    best = max((sensor.coverage for sensor in sets), default=0.0)

    def order(sensor: SensorSet) -> tuple:
        return (
            sensor.coverage < POOR_SHARE * best,
            not sensor.rates_agree,
            -len(sensor.channels),
            rank(sensor.band, bands),
            rank(sensor.location, locations),
            sensor.location,
            sensor.band,
        )

    return sorted(sets, key=order), sorted(unused)


def _sensor(
    location: str, band: str, traces: dict[str, list[obspy.Trace]], window: tuple[datetime, datetime]
) -> SensorSet:
    component_letters = sorted(set(traces) & set("".join(COMPONENT_SETS)))
    by_letter = {letter: without_flat_runs(merge_channel(traces[letter])) for letter in component_letters}
    constant = {letter for letter, channel in by_letter.items() if is_dead([piece.data for piece in channel.pieces])}
    live = set(by_letter) - constant
    letters = best_component_set(live) if live else best_component_set(constant)
    channels = {letter: by_letter[letter] for letter in letters if letter in live}
    shares = [coverage(channel.pieces, *window) for channel in channels.values()]
    return SensorSet(
        location=location,
        band=band,
        channels=channels,
        constant="".join(letter for letter in letters if letter in constant),
        left_out="".join(sorted(set(traces) - set(letters))),
        coverage=sum(shares) / len(shares) if shares else 0.0,
    )


def best_component_set(letters: set[str]) -> str:
    """Of ZNE, Z12, Z23, 123, 012, UVW the first with most of the letters."""
    return max(COMPONENT_SETS, key=lambda candidate: len(letters & set(candidate)))
