"""What the inventory says about channels, and where the waveforms contradict it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import obspy

from pickflow.codes import StationCode
from pickflow.download.merging import same_rate
from pickflow.download.remarks import Remark

ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
METRES = {"M": 1.0, "MM": 1e-3, "UM": 1e-6, "NM": 1e-9}
HORIZONTAL_BELOW_DEG = 45.0


@dataclass(frozen=True, kw_only=True)
class ChannelEpoch:
    """A channel of the inventory in one of its epochs."""

    location: str
    channel: str
    starttime: datetime
    endtime: datetime
    sampling_rate_hz: float | None
    dip_deg: float | None
    sensitivity_counts_per_unit: float  # per m/s or m/s2; NaN: unknown

    def overlaps(self, window: tuple[datetime, datetime]) -> bool:
        """Whether the epoch has a part in a half-open window."""
        return self.starttime < window[1] and self.endtime > window[0]

    def __str__(self) -> str:
        return f"{self.location or '--'}.{self.channel}"


def channel_epochs(inventory: obspy.Inventory) -> dict[StationCode, list[ChannelEpoch]]:
    """Channels of every station of an inventory, all epochs."""
    epochs: dict[StationCode, list[ChannelEpoch]] = {}
    for network in inventory:
        for station in network:
            listed = epochs.setdefault(StationCode(network.code, station.code), [])
            listed += [_epoch(channel) for channel in station]
    return epochs


def _epoch(channel: obspy.core.inventory.Channel) -> ChannelEpoch:
    return ChannelEpoch(
        location=(channel.location_code or "").strip().replace("--", ""),
        channel=channel.code.strip().upper(),
        starttime=_aware(channel.start_date, ALWAYS[0]),
        endtime=_aware(channel.end_date, ALWAYS[1]),
        sampling_rate_hz=float(channel.sample_rate) if channel.sample_rate else None,
        dip_deg=None if channel.dip is None else float(channel.dip),
        sensitivity_counts_per_unit=_sensitivity(channel),
    )


def _aware(time: obspy.UTCDateTime | None, otherwise: datetime) -> datetime:
    try:
        return otherwise if time is None else time.datetime.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # years such as 2599 are fine, those beyond 9999 are not
        return otherwise


def _sensitivity(channel: obspy.core.inventory.Channel) -> float:
    sensitivity = channel.response.instrument_sensitivity if channel.response else None
    if sensitivity is None or not sensitivity.value or not sensitivity.input_units:
        return float("nan")
    length, _, rest = sensitivity.input_units.upper().replace(" ", "").partition("/")
    if length not in METRES or rest not in ("S", "SEC", "S**2", "S^2", "(S**2)", "S/S", "SEC**2", "S2"):
        return float("nan")
    return float(sensitivity.value) / METRES[length]


def sensitivity_of(epochs: Iterable[ChannelEpoch], location: str, channel: str, window: tuple) -> float:
    """Counts per m/s or m/s² of a channel in a window; NaN if the inventory does not say."""
    values = [
        epoch.sensitivity_counts_per_unit
        for epoch in epochs
        if (epoch.location, epoch.channel) == (location, channel) and epoch.overlaps(window)
    ]
    return values[0] if values else float("nan")


def contradictions(
    epochs: list[ChannelEpoch],
    location: str,
    channels: dict[str, float],
    window: tuple[datetime, datetime],
) -> list[Remark]:
    """
    Where waveforms and inventory disagree.

    Parameters
    ----------
    epochs : list of ChannelEpoch
        Of the station; none: the inventory says nothing and nothing can be contradicted.
    location : str
        Location code of the waveforms.
    channels : dict of str to float
        Sampling rate in Hz of every channel code.
    window : tuple of datetime
        Half-open [start, end).

    Returns
    -------
    list of Remark
        ``metadata_mismatch`` (no such channel, no epoch then, a vertical that is horizontal) and ``wrong_rate``.
    """
    if not epochs:
        return []
    remarks = []
    for channel, rate in channels.items():
        known = [epoch for epoch in epochs if (epoch.location, epoch.channel) == (location, channel)]
        current = [epoch for epoch in known if epoch.overlaps(window)]
        name = f"{location or '--'}.{channel}"
        if not known:
            has = ", ".join(sorted({str(epoch) for epoch in epochs})) or "no channels"
            remarks.append(Remark("metadata_mismatch", f"the inventory does not know {name}; it has {has}"))
        elif not current:
            last = max(epoch.endtime for epoch in known)
            remarks.append(
                Remark("metadata_mismatch", f"the inventory has no epoch of {name} then (last end {last:%F})")
            )
        else:
            found = [_compare(epoch, name, rate) for epoch in current]
            remarks += [] if [] in found else found[0]
    return remarks


def _compare(epoch: ChannelEpoch, name: str, rate_hz: float) -> list[Remark]:
    remarks = []
    known_rate = epoch.sampling_rate_hz
    if known_rate is not None and not same_rate(known_rate, rate_hz):
        remarks.append(Remark("wrong_rate", f"{name} has {rate_hz:g} Hz, in the inventory {known_rate:g} Hz"))
    if epoch.dip_deg is not None and name[-1] in "ZNE":
        vertical = abs(epoch.dip_deg) > HORIZONTAL_BELOW_DEG
        if vertical != (name[-1] == "Z"):
            remarks.append(Remark("metadata_mismatch", f"{name} has a dip of {epoch.dip_deg:g}° in the inventory"))
    return remarks
