"""Magnitudes of events from those of their stations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pickflow.io.tables import conform
from pickflow.run.settings.magnitude import MagnitudeParams
from pickflow.schemas import AMPLITUDES, EVENTS
from pickflow.statistics import MAD_TO_SIGMA

# ASSUME the scatter of stations around an event is known beforehand as well as from PRIOR_STATIONS of them: the median
# absolute deviation of two or three is far too small, or zero, too often.
PRIOR_SIGMA = 0.25
PRIOR_STATIONS = 3
# Chosen: with fewer stations, a station's magnitude has much weight in the median.
LEAST_STATIONS_FOR_RESIDUALS = 3
ITERATIONS = 10  # chosen: medians change little after a few


def corrected(amplitudes: pd.DataFrame, params: MagnitudeParams) -> pd.DataFrame:
    """
    Station magnitudes with the corrections that the configuration gives, or estimates.

    Parameters
    ----------
    amplitudes : DataFrame
        Table `AMPLITUDES` of a whole catalog, without corrections.
    params : MagnitudeParams
        Corrections.

    Returns
    -------
    DataFrame
        Table `AMPLITUDES`.
    """
    amplitudes = conform(amplitudes, AMPLITUDES)
    code = amplitudes.network + "." + amplitudes.station
    configured = code.map(dict(params.station_corrections)).astype(float)
    magnitude = amplitudes.magnitude + configured.fillna(0.0)
    if params.estimate_corrections and len(amplitudes):
        free = estimate_corrections(amplitudes.assign(magnitude=magnitude, code=code), params)
        magnitude = magnitude + code.map(free).fillna(0.0).where(configured.isna(), 0.0)
    return conform(amplitudes.assign(magnitude=magnitude.round(4)), AMPLITUDES)


def estimate_corrections(amplitudes: pd.DataFrame, params: MagnitudeParams) -> dict[str, float]:
    """
    Corrections from the residuals of a catalog: the network's median minus the station's magnitude, its median.

    Parameters
    ----------
    amplitudes : DataFrame
        `AMPLITUDES` with a column ``code``, ``network.station``.
    params : MagnitudeParams
        Least number of events.

    Returns
    -------
    dict of str to float
        Their median is zero, so that the level of the catalog does not move.
    """
    usable = amplitudes[amplitudes.magnitude.notna()]
    usable = usable[usable.groupby("event_id").code.transform("size") >= LEAST_STATIONS_FOR_RESIDUALS]
    counts = usable.groupby("code").size()
    frequent = counts.index[counts >= params.min_correction_events]
    corrections = pd.Series(0.0, index=frequent)
    if frequent.empty:
        return {}
    for _ in range(ITERATIONS):
        magnitude = usable.magnitude + usable.code.map(corrections).fillna(0.0)
        median = magnitude.groupby(usable.event_id).transform("median")
        corrections = (median - usable.magnitude).groupby(usable.code).median()[frequent]
        corrections -= corrections.median()
    return {str(code): round(float(value), 4) for code, value in corrections.items()}


def network_magnitudes(events: pd.DataFrame, amplitudes: pd.DataFrame, params: MagnitudeParams) -> pd.DataFrame:
    """
    Events with ML: the median over stations, with its uncertainty and their number.

    Parameters
    ----------
    events : DataFrame
        Table `EVENTS`; magnitudes that it has are replaced.
    amplitudes : DataFrame
        Table `AMPLITUDES`.
    params : MagnitudeParams
        Least number of stations.

    Returns
    -------
    DataFrame
        Table `EVENTS`; an event with too few stations has no magnitude, and the number of its stations all the same.
    """
    events, amplitudes = conform(events, EVENTS), conform(amplitudes, AMPLITUDES)
    usable = amplitudes[amplitudes.magnitude.notna()]
    grouped = {event_id: group.to_numpy() for event_id, group in usable.groupby("event_id").magnitude}
    values = [grouped.get(event_id, np.empty(0)) for event_id in events.event_id]
    sized = [value.size >= params.min_stations for value in values]
    pairs = zip(values, sized, strict=True)
    medians, uncertainties = np.full(len(events), np.nan), np.full(len(events), np.nan)
    for index, (value, valid) in enumerate(pairs):
        if valid:
            medians[index], uncertainties[index] = round(float(np.median(value)), 3), round(uncertainty(value), 3)
    return conform(
        events.assign(
            magnitude=medians,
            magnitude_type=pd.Series(["ML" if valid else None for valid in sized], index=events.index, dtype=object),
            magnitude_uncertainty=uncertainties,
            n_magnitude_stations=[value.size for value in values],
        ),
        EVENTS,
    )


def uncertainty(magnitudes: np.ndarray) -> float:
    """
    Standard error of the median of station magnitudes.

    The scatter is 1.4826 times the median absolute deviation, drawn towards `PRIOR_SIGMA` with the
    weight of `PRIOR_STATIONS` more stations; the median of more than two normal values is sqrt(pi / 2) times as
    uncertain as their mean.

    Parameters
    ----------
    magnitudes : ndarray, shape (n_stations,)
        At least one.
    """
    n_stations = magnitudes.size
    mad = float(np.median(np.abs(magnitudes - np.median(magnitudes))))
    variance = n_stations * (MAD_TO_SIGMA * mad) ** 2 + PRIOR_STATIONS * PRIOR_SIGMA**2
    efficiency = np.pi / 2 if n_stations > 2 else 1.0
    return float(np.sqrt(efficiency * variance / (n_stations + PRIOR_STATIONS) / n_stations))
