"""Channels of the inventory, and contradictions with the waveforms."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations

import obspy

from pickflow.calibration import TOLERATED_FACTOR, Calibration
from pickflow.codes import StationCode, code_problem
from pickflow.download.remarks import Remark
from pickflow.sampling.rates import same_rate

ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
HORIZONTAL_BELOW_DEG = 45.0  # dip; below it a component counts as horizontal
# Chosen: a larger error of the rate gets a remark; the times of the record are used all the same.
STATED_RATE_TOLERANCE = 5e-4
# North and east by their letters, in either direction; beyond 45 degrees, a component is rather the other one.
AXES_DEG = {"N": 0.0, "E": 90.0}
OFF_AXIS_DEG = 45.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ChannelEpoch:
    """A channel of the inventory in one of its epochs."""

    location: str
    channel: str
    starttime: datetime
    endtime: datetime
    sampling_rate_hz: float | None
    dip_deg: float | None
    sensitivity_counts_per_unit: float  # per m/s or m/s2, positive; NaN: unknown
    azimuth_deg: float | None = None
    faults: tuple[str, ...] = ()  # contradictions, as sentences

    def overlaps(self, window: tuple[datetime, datetime]) -> bool:
        """Whether the epoch has a part in a half-open window."""
        return self.starttime < window[1] and self.endtime > window[0]

    def __str__(self) -> str:
        return f"{self.location or '--'}.{self.channel}"


def channel_epochs(
    inventory: obspy.Inventory, window: tuple[datetime, datetime] | None = None
) -> dict[StationCode, list[ChannelEpoch]]:
    """
    Channels of every station of an inventory, all epochs.

    Parameters
    ----------
    inventory : Inventory
        With responses or sensitivities.
    window : tuple of datetime, optional
        Half-open; only epochs that have a part in it are searched for faults and have a sensitivity. None: all.
    """
    epochs: dict[StationCode, list[ChannelEpoch]] = {}
    for network in inventory:
        for station in network:
            if code_problem(network.code, station.code):  # reported with the stations of the run
                continue
            channels = epochs.setdefault(StationCode(network.code, station.code), [])
            for node in station:
                channel = _epoch(node, window or ALWAYS)
                if problem := code_problem(network.code, station.code, channel.location, channel.channel):
                    logger.warning("a channel of the inventory is left out: %s", problem)
                else:
                    channels.append(channel)
    return epochs


def _epoch(channel: obspy.core.inventory.Channel, window: tuple[datetime, datetime]) -> ChannelEpoch:
    rate = float(channel.sample_rate) if channel.sample_rate else None
    start, end = _aware(channel.start_date, ALWAYS[0]), _aware(channel.end_date, ALWAYS[1])
    faults: tuple[str, ...] = ()
    if end <= start:
        faults, end = (f"its epoch ends ({end:%F}) before it begins ({start:%F}): taken as open",), ALWAYS[1]
    sensitivity = float("nan")
    if start < window[1] and end > window[0]:
        calibration = Calibration(channel.response, rate)
        faults += calibration.faults
        if calibration.motion is not None and calibration.motion.order > 0:
            sensitivity = calibration.sensitivity
    return ChannelEpoch(
        location=(channel.location_code or "").strip().replace("--", ""),
        channel=channel.code.strip().upper(),
        starttime=start,
        endtime=end,
        sampling_rate_hz=rate,
        dip_deg=None if channel.dip is None else float(channel.dip),
        azimuth_deg=None if channel.azimuth is None else float(channel.azimuth),
        sensitivity_counts_per_unit=sensitivity,
        faults=faults,
    )


def _aware(time: obspy.UTCDateTime | None, otherwise: datetime) -> datetime:
    try:
        return otherwise if time is None else time.datetime.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # years such as 2599 are fine, those beyond 9999 are not
        return otherwise


def sensitivity_of(epochs: Iterable[ChannelEpoch], location: str, channel: str, window: tuple) -> float:
    """Counts per m/s or m/s² of a channel in most of a window; NaN if unknown."""
    current = _current([e for e in epochs if (e.location, e.channel) == (location, channel)], window)
    return current[0].sensitivity_counts_per_unit if current else float("nan")


def _current(epochs: list[ChannelEpoch], window: tuple[datetime, datetime]) -> list[ChannelEpoch]:
    """Epochs that have a part in a window: the one with most of it first, of equal ones that which begins last."""

    def order(epoch: ChannelEpoch) -> tuple[timedelta, datetime]:
        return min(epoch.endtime, window[1]) - max(epoch.starttime, window[0]), epoch.starttime

    return sorted((epoch for epoch in epochs if epoch.overlaps(window)), key=order, reverse=True)


def contradictions(
    epochs: list[ChannelEpoch],
    location: str,
    channels: dict[str, float],
    window: tuple[datetime, datetime],
) -> list[Remark]:
    """
    Contradictions between waveforms and inventory.

    Parameters
    ----------
    epochs : list of ChannelEpoch
        Of the station; without any, there are no contradictions.
    location : str
        Location code of the waveforms.
    channels : dict of str to float
        Sampling rate in Hz of every channel code.
    window : tuple of datetime
        Half-open [start, end).

    Returns
    -------
    list of Remark
        ``metadata_mismatch`` (no such channel, no epoch then, epochs, angles or sensitivities that contradict one
        another or the code) and ``wrong_rate``.
    """
    if not epochs:
        return []
    remarks = []
    current_epochs: dict[str, ChannelEpoch] = {}
    for channel, rate in channels.items():
        epochs_of_code = [epoch for epoch in epochs if (epoch.location, epoch.channel) == (location, channel)]
        current = _current(epochs_of_code, window)
        name = f"{location or '--'}.{channel}"
        if not epochs_of_code:
            has = ", ".join(sorted({str(epoch) for epoch in epochs})) or "no channels"
            remarks.append(Remark("metadata_mismatch", f"the inventory does not know {name}; it has {has}"))
        elif not current:
            last = max(epoch.endtime for epoch in epochs_of_code)
            remarks.append(
                Remark("metadata_mismatch", f"the inventory has no epoch of {name} then (last end {last:%F})")
            )
        else:
            epoch_remarks = [_compare(epoch, name, rate) for epoch in current]
            remarks += [] if [] in epoch_remarks else epoch_remarks[0]
            remarks += [Remark("metadata_mismatch", f"{name}: {fault}") for fault in _faults(current)]
            current_epochs[channel] = current[0]
    return remarks + [Remark("metadata_mismatch", f"{location or '--'}: {fault}") for fault in _between(current_epochs)]


def _faults(current: list[ChannelEpoch]) -> list[str]:
    """Contradictions between the epochs of a channel; the first is the one that counts."""
    first = current[0]
    faults = [*first.faults]
    for epoch in current[1:]:
        pair = (first.sensitivity_counts_per_unit, epoch.sensitivity_counts_per_unit)
        if _differ(*pair):
            at_once = epoch.starttime < first.endtime and first.starttime < epoch.endtime
            relation = "two epochs at once have" if at_once else "it changes within the day between"
            faults.append(f"{relation} sensitivities of {pair[0]:.3g} and {pair[1]:.3g}: the first counts")
    return faults


def _between(epochs: dict[str, ChannelEpoch]) -> list[str]:
    """Contradictions between the components of a sensor."""
    faults = []
    for (first_name, first), (second_name, second) in combinations(epochs.items(), 2):
        pair = (first.sensitivity_counts_per_unit, second.sensitivity_counts_per_unit)
        if _differ(*pair):
            faults.append(f"the sensitivities of {first_name} and {second_name} differ: {pair[0]:.3g}, {pair[1]:.3g}")
        flat = all(
            epoch.dip_deg is not None and abs(epoch.dip_deg) <= HORIZONTAL_BELOW_DEG for epoch in (first, second)
        )
        angle = _axis_angle_deg(first.azimuth_deg, second.azimuth_deg)
        if flat and angle < OFF_AXIS_DEG:
            faults.append(
                f"{first_name} and {second_name} point the same way ({first.azimuth_deg:g}°, {second.azimuth_deg:g}°)"
            )
    return faults


def _differ(first: float, second: float) -> bool:
    """Whether two sensitivities, both known, contradict one another."""
    return max(first, second) > TOLERATED_FACTOR * min(first, second)  # False with NaN


def _axis_angle_deg(first_deg: float | None, second_deg: float | None) -> float:
    """Angle between two axes, 0 to 90 degrees; NaN if one is unknown."""
    if first_deg is None or second_deg is None:
        return float("nan")
    angle = abs(first_deg - second_deg) % 180.0
    return min(angle, 180.0 - angle)


def _compare(epoch: ChannelEpoch, name: str, rate_hz: float) -> list[Remark]:
    remarks = []
    known_rate = epoch.sampling_rate_hz
    if known_rate is not None and not same_rate(known_rate, rate_hz, STATED_RATE_TOLERANCE):
        remarks.append(Remark("wrong_rate", f"{name} has {rate_hz:g} Hz, in the inventory {known_rate:g} Hz"))
    if epoch.dip_deg is not None and name[-1] in "ZNE":
        vertical = abs(epoch.dip_deg) > HORIZONTAL_BELOW_DEG
        if vertical != (name[-1] == "Z"):
            remarks.append(Remark("metadata_mismatch", f"{name} has a dip of {epoch.dip_deg:g}° in the inventory"))
    if _axis_angle_deg(epoch.azimuth_deg, AXES_DEG.get(name[-1])) > OFF_AXIS_DEG:
        detail = f"{name} has an azimuth of {epoch.azimuth_deg:g}° in the inventory"
        remarks.append(Remark("metadata_mismatch", detail))
    return remarks
