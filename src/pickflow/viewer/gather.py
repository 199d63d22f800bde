"""Data of the figures of an event: waveforms, picks and probabilities of its nearest stations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # the page of two catalogs does not need ObsPy
    from obspy import Stream

PHASES = ("P", "S")

ReadWaveforms = Callable[[str, str, str], "Stream | None"]
Annotate = Callable[["Stream"], "Stream"]
TravelTime = Callable[[str, float, float], float]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An event to be shown: its row of `EVENTS` (or of the reference), its kind, and a sentence about it."""

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
        Of P and of S; NaN where there is no prediction.
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
