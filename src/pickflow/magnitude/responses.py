"""Responses of channels: counts per metre of ground displacement, from StationXML."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import obspy
from obspy.core.inventory import Channel

from pickflow.calibration import Array, Calibration, Spectrum
from pickflow.io.places import epoch_ns

# Chosen: sensors of boreholes are slightly inclined; those of UVW (35 degrees) are not horizontal.
HORIZONTAL_WITHIN_DEG = 15.0


@dataclass(frozen=True, kw_only=True)
class ChannelResponse:
    """
    Response of a channel in one epoch.

    Parameters
    ----------
    starttime_ns, endtime_ns : int
        Half-open epoch, ns since 1970.
    horizontal : bool or None
        From the dip; None if unknown.
    calibration : Calibration
        Response and sensitivity.
    """

    starttime_ns: int
    endtime_ns: int
    horizontal: bool | None
    calibration: Calibration

    def spectrum(self, frequency_hz: Array) -> tuple[Spectrum, str] | None:
        """
        Counts per metre of displacement, and a reason code.

        Parameters
        ----------
        frequency_hz : ndarray, shape (n_frequencies,)
            Larger than 0.

        Returns
        -------
        tuple or None
            Spectrum, shape (n_frequencies,), and a reason of `AMPLITUDE_REASONS`: ok; ``flat_response``, where only the
            sensitivity is known; ``metadata_mismatch``, where it contradicts the response, and is taken. None if the
            inventory has neither.
        """
        calibration = self.calibration
        if calibration.motion is None:
            return None
        if not calibration.is_contradictory:
            full = calibration.evaluate(frequency_hz, "DISP")
            if full is not None:
                return full, "ok"
        if np.isnan(calibration.sensitivity):
            return None
        flat = calibration.sensitivity * (2j * np.pi * frequency_hz) ** calibration.motion.order
        return flat, "metadata_mismatch" if calibration.is_contradictory else "flat_response"


class ResponseBook:
    """All channels of an inventory by their codes."""

    def __init__(self, inventory: obspy.Inventory) -> None:
        self._epochs: dict[tuple[str, str, str, str], list[ChannelResponse]] = {}
        for network in inventory:
            for station in network:
                for channel in station:
                    location = (channel.location_code or "").strip().replace("--", "")
                    key = (network.code, station.code, location, channel.code.strip().upper())
                    self._epochs.setdefault(key, []).append(_epoch(channel))

    def of_station(self, network: str, station: str) -> dict[tuple[str, str], list[ChannelResponse]]:
        """Epochs of a station's channels by location and channel code."""
        return {key[2:]: epochs for key, epochs in self._epochs.items() if key[:2] == (network, station)}


def _epoch(channel: Channel) -> ChannelResponse:
    starttime_ns, endtime_ns = epoch_ns(channel.start_date, channel.end_date)
    rate = float(channel.sample_rate) if channel.sample_rate else None
    return ChannelResponse(
        starttime_ns=starttime_ns,
        endtime_ns=endtime_ns,
        horizontal=None if channel.dip is None else abs(float(channel.dip)) <= HORIZONTAL_WITHIN_DEG,
        calibration=Calibration(channel.response, rate),
    )


def epoch_at(epochs: list[ChannelResponse], time_ns: int) -> ChannelResponse | None:
    """The epoch that holds a time, of several at once the one that begins last; None if there is none."""
    current = [epoch for epoch in epochs if epoch.starttime_ns <= time_ns < epoch.endtime_ns]
    return max(current, key=lambda epoch: epoch.starttime_ns, default=None)
