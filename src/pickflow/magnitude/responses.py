"""Responses of channels: counts per metre of ground displacement, from StationXML."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import obspy
from numpy.typing import NDArray
from obspy.core.inventory import Channel, Response

logger = logging.getLogger(__name__)

# Sensors of boreholes lean a little; those of UVW (35 degrees) are no horizontal ones.
HORIZONTAL_WITHIN_DEG = 15.0

Array = NDArray[np.float64]
Spectrum = NDArray[np.complex128]
_METRES = {"M": 1.0, "MM": 1e-3, "UM": 1e-6, "NM": 1e-9}
# Time derivatives of displacement.
_DERIVATIVES = {"": 0, "S": 1, "SEC": 1, "S**2": 2, "S^2": 2, "(S**2)": 2, "SEC**2": 2, "S/S": 2, "S2": 2}


@dataclass(frozen=True, kw_only=True)
class ChannelResponse:
    """
    Response of a channel in one epoch.

    Parameters
    ----------
    starttime_ns, endtime_ns : int
        Half-open epoch, ns since 1970.
    horizontal : bool or None
        From the dip; None if the inventory does not say.
    response : Response or None
        None: the inventory has none.
    """

    starttime_ns: int
    endtime_ns: int
    horizontal: bool | None
    response: Response | None

    def spectrum(self, frequency_hz: Array) -> tuple[Spectrum, bool] | None:
        """
        Counts per metre of displacement, and whether that is only the sensitivity, taken as flat.

        Parameters
        ----------
        frequency_hz : ndarray, shape (n_frequencies,)
            Larger than 0.

        Returns
        -------
        tuple or None
            Spectrum, shape (n_frequencies,), and the flag; None if the inventory does not tell.
        """
        motion = None if self.response is None else _motion(self.response)
        if self.response is None or motion is None:
            return None
        if self.response.response_stages:
            try:
                full = self.response.get_evalresp_response_for_frequencies(frequency_hz, output="DISP")
            except Exception as error:  # ObsPy and evalresp raise exceptions of many kinds
                logger.warning("a response of the inventory cannot be evaluated (%s); its sensitivity is used", error)
            else:
                if np.all(np.isfinite(full)) and np.all(full != 0):
                    return full, False
        sensitivity = self.response.instrument_sensitivity
        if sensitivity is None or not sensitivity.value:
            return None
        metres, order = motion
        return sensitivity.value / metres * (2j * np.pi * frequency_hz) ** order, True


def _motion(response: Response) -> tuple[float, int] | None:
    """
    Metres of the length unit that goes in, and the order of its time derivative.

    None for anything else: evalresp takes units that it does not know as displacement, without a word.
    """
    stages = [response.instrument_sensitivity, *response.response_stages[:1]]
    units = next((stage.input_units for stage in stages if stage is not None and stage.input_units), "")
    length, _, per = units.upper().replace(" ", "").partition("/")
    return (_METRES[length], _DERIVATIVES[per]) if length in _METRES and per in _DERIVATIVES else None


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
    return ChannelResponse(
        starttime_ns=_ns(channel.start_date, np.iinfo(np.int64).min),
        endtime_ns=_ns(channel.end_date, np.iinfo(np.int64).max),
        horizontal=None if channel.dip is None else abs(float(channel.dip)) <= HORIZONTAL_WITHIN_DEG,
        response=channel.response,
    )


def _ns(time: obspy.UTCDateTime | None, otherwise: int) -> int:
    limits = np.iinfo(np.int64)
    return otherwise if time is None else int(np.clip(time.ns, limits.min, limits.max))


def epoch_at(epochs: list[ChannelResponse], time_ns: int) -> ChannelResponse | None:
    """The epoch that holds a time; None if there is none."""
    return next((epoch for epoch in epochs if epoch.starttime_ns <= time_ns < epoch.endtime_ns), None)
