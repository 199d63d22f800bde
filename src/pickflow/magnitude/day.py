"""Amplitudes of the events of a day, station by station."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import obspy
import pandas as pd

from pickflow.codes import station_file
from pickflow.io.tables import conform, records
from pickflow.io.waveforms import read_station_day
from pickflow.magnitude.laws import law_of
from pickflow.magnitude.measuring import StationRecord
from pickflow.magnitude.responses import ChannelResponse, ResponseBook
from pickflow.magnitude.windows import arrival_windows
from pickflow.run.settings.magnitude import MagnitudeParams
from pickflow.schemas import AMPLITUDES, MANIFEST
from pickflow.travel_times.layers import VelocityModel

logger = logging.getLogger(__name__)

# Chosen: with fewer arrivals the start of worker processes takes longer than the work.
WORTH_WORKERS = 10_000


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """
    Events without magnitudes, and the stations.

    Parameters
    ----------
    events, assignments, stations : DataFrame
        Tables `EVENTS`, `ASSIGNMENTS` and `STATIONS`, whole.
    picks : DataFrame
        `PICKS` of the day and its neighbours.
    model : VelocityModel
        Predicts the arrivals that were not picked.
    """

    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame
    stations: pd.DataFrame
    model: VelocityModel


class StationTask(NamedTuple):
    """What a worker needs to measure a station."""

    row: dict[str, Any]  # of the manifest
    waveforms: Path
    responses: dict[tuple[str, str], list[ChannelResponse]]
    windows: pd.DataFrame
    params: MagnitudeParams


def amplitudes_of_day(
    catalog: Catalog,
    waveforms: Path,
    manifest: pd.DataFrame,
    inventory: obspy.Inventory,
    day: str,
    params: MagnitudeParams,
    station_map: Callable[..., Iterable[Any]] = map,
) -> pd.DataFrame:
    """
    Wood-Anderson amplitudes and station magnitudes of the events of a day.

    Parameters
    ----------
    catalog : Catalog
        Events with their arrivals.
    waveforms : Path
        Folder with ``network.station.mseed`` of the day, as they were downloaded.
    manifest : DataFrame
        `MANIFEST` of the day.
    inventory : Inventory
        Responses, or at least sensitivities.
    day : str
        YYYY-MM-DD of the origins.
    params : MagnitudeParams
        See `pickflow.run.settings.magnitude`.
    station_map : callable
        ``station_map(function, items)``, in order.

    Returns
    -------
    DataFrame
        Table `AMPLITUDES`: one row for each event of the day and station with an arrival of it, with a reason of
        `AMPLITUDE_REASONS`. Station magnitudes are without corrections.

    Raises
    ------
    ValueError
        If the law is unknown.
    """
    law_of(params)
    windows = arrival_windows(
        catalog.events, catalog.assignments, catalog.picks, catalog.stations, catalog.model, day, params
    )
    book = ResponseBook(inventory)
    rows = {(row["network"], row["station"]): row for row in records(conform(manifest, MANIFEST))}
    tasks = []
    for key, group in windows.groupby(["network", "station"]):
        network, station = map(str, key)
        row = rows.get((network, station), {"usable": False})
        path = station_file(waveforms, network, station)
        tasks.append(StationTask(row, path, book.of_station(network, station), group, params))
    frames = list(station_map(measure_station, tasks))
    return conform(pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), AMPLITUDES)


def measure_station(task: StationTask) -> pd.DataFrame:
    """Rows of `AMPLITUDES` of one station; what cannot be measured has a reason."""
    table = task.windows.assign(
        location=task.row.get("location", ""),
        channel=task.row.get("channel", ""),
        amplitude_mm=float("nan"),
        snr_db=float("nan"),
        magnitude=float("nan"),
    )
    table["hypocentral_distance_km"] = table.hypocentral_distance_km.astype(float).round(4)
    open_rows = table.reason.isin(["ok", "cut"])
    if not task.row["usable"]:
        return table.assign(reason=table.reason.mask(open_rows, "no_waveform"))
    if not open_rows.any():
        return table
    law = law_of(task.params)
    record = StationRecord(read_station_day(task.waveforms, task.row), task.row, task.responses, law, task.params)
    spans_ns = table.loc[open_rows, ["p_ns", "end_ns"]].to_numpy(np.int64)
    measured = [record.measure(int(p_ns), int(end_ns)) for p_ns, end_ns in spans_ns]
    amplitude = pd.Series([measurement.amplitude_mm for measurement in measured], index=table.index[open_rows])
    measured_rows = table[open_rows].assign(
        amplitude_mm=amplitude,
        snr_db=[measurement.snr_db for measurement in measured],
        magnitude=law.magnitude(amplitude, table.hypocentral_distance_km[open_rows]).round(4),
    )
    reason = pd.Series([measurement.reason for measurement in measured], index=measured_rows.index)
    reason = reason.mask(measured_rows.amplitude_mm.notna() & (measured_rows.reason == "cut"), "cut")
    reason = reason.mask(measured_rows.amplitude_mm.notna() & measured_rows.magnitude.isna(), "distance")
    return pd.concat([measured_rows.assign(reason=reason), table[~open_rows]])
