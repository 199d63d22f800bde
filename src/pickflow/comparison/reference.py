"""The reference of a run: the catalog that its catalogs are compared with, its region and time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from pickflow.comparison.sources import read_reference, select_events
from pickflow.io.formats import Bulletin
from pickflow.io.places import places_at
from pickflow.io.tables import conform, read_table
from pickflow.run.settings.analyze import AnalyzeParams
from pickflow.schemas import EVENTS, REFERENCE_PICKS, TRUTH_PICKS
from pickflow.travel_times.sphere import sphere_distance_km
from pickflow.windows import parse_time

# Chosen: events are requested this far around the network, as a share of its extent.
_SURROUNDINGS = 0.25


@dataclass(frozen=True, kw_only=True)
class ReferenceSet:
    """
    Reference of a comparison.

    Parameters
    ----------
    events : DataFrame
        Table `EVENTS`: the events that should be found.
    further_events : DataFrame
        Table `EVENTS`: further true events; detecting one of them is not an error.
    picks : DataFrame
        Table `REFERENCE_PICKS`: the picks that should be found.
    further_picks : DataFrame or None
        Columns network, station, phase and time: further true picks; None if the true picks are not all known, so
        that a pick far from those of the reference cannot be called false.
    window : tuple of datetime
        Half-open [start, end) of the comparison.
    region : dict or None
        Edges of the comparison.
    """

    events: pd.DataFrame
    further_events: pd.DataFrame
    picks: pd.DataFrame
    further_picks: pd.DataFrame | None
    window: tuple[datetime, datetime]
    region: dict[str, float] | None

    def covers(self, events: pd.DataFrame) -> np.ndarray:
        """Whether each event lies in the window and the region, shape (n_events,)."""
        return events.event_id.isin(select_events(events, *self.window, self.region).event_id).to_numpy()


def load_reference(
    params: AnalyzeParams, run_window: tuple[datetime, datetime], stations: pd.DataFrame
) -> ReferenceSet | None:
    """
    Read the reference of a run.

    Parameters
    ----------
    params : AnalyzeParams
        See `pickflow.run.settings.analyze`.
    run_window : tuple of datetime
        Half-open [start, end) of the run.
    stations : DataFrame
        Rows of `STATIONS`; their surroundings are the region of a server, if none is given.

    Returns
    -------
    ReferenceSet or None
        None if the parameters name no reference.

    Raises
    ------
    ValueError
        If the reference cannot be read, or its window does not touch the run's.
    """
    source = params.reference.file or params.reference.server
    if source is None:
        return None
    window = _window(params, run_window)
    region = params.region.model_dump() if params.region else None
    if region is None and params.reference.file is None:
        region = _surroundings(stations)
    # True events just outside the window or the region have counterparts inside: keep them as others.
    slack = timedelta(seconds=params.event_time_tolerance_s)
    search_window = window[0] - slack, window[1] + slack
    try:
        nearby = read_reference(source, *search_window, region if params.reference.file is None else None)
    except ValueError as error:
        raise ValueError(f"config key analyze.reference: {error}") from error
    events = select_events(nearby.events, *window, region)
    tables = [nearby.events]
    if params.reference.complete_file is not None:
        tables.append(read_reference(params.reference.complete_file, *search_window).events)
    extra = pd.concat(tables).drop_duplicates("event_id")
    picks, further_picks = _picks(params, nearby, events, window)
    known_events = pd.concat([events, extra[extra.event_id.isin(picks.event_id)]]).drop_duplicates("event_id")
    return ReferenceSet(
        events=events,
        further_events=conform(extra[~extra.event_id.isin(events.event_id)], EVENTS),
        picks=reference_picks(picks, known_events, stations),
        further_picks=further_picks,
        window=window,
        region=region,
    )


def _window(params: AnalyzeParams, run_window: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    if params.reference_window is None:
        return run_window
    start = max(parse_time(params.reference_window.starttime), run_window[0])
    end = min(parse_time(params.reference_window.endtime), run_window[1])
    if start >= end:
        raise ValueError(
            f"analyze.reference_window {params.reference_window.starttime} to {params.reference_window.endtime}"
            f" does not touch the run, {run_window[0].isoformat()} to {run_window[1].isoformat()}"
        )
    return start, end


def _surroundings(stations: pd.DataFrame) -> dict[str, float] | None:
    located = stations.dropna(subset=["latitude_deg", "longitude_deg"])
    if located.empty:
        return None
    edges: dict[str, float] = {}
    for name in ("latitude_deg", "longitude_deg"):
        low, high = float(located[name].min()), float(located[name].max())
        margin = max(_SURROUNDINGS * (high - low), 0.1)
        edges |= {f"min_{name}": round(low - margin, 3), f"max_{name}": round(high + margin, 3)}
    return edges


def _picks(
    params: AnalyzeParams, reference: Bulletin, events: pd.DataFrame, window: tuple[datetime, datetime]
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    if params.reference.complete_picks_file is None:
        return picks_of_events(reference.picks, events, window), None
    truth = read_table(params.reference.complete_picks_file, TRUTH_PICKS)
    is_expected = truth.recorded & (truth.snr_db >= params.min_pick_snr_db) & _inside(truth.time, window)
    return truth[is_expected], truth[~is_expected].reset_index(drop=True)


def picks_of_events(picks: pd.DataFrame, events: pd.DataFrame, window: tuple[datetime, datetime]) -> pd.DataFrame:
    """Picks of some events, and picks of no event inside a time span: some references are tables of picks only."""
    is_free = (picks.event_id.fillna("") == "") & _inside(picks.time, window)
    return picks[picks.event_id.isin(events.event_id) | is_free]


def _inside(times: pd.Series, window: tuple[datetime, datetime]) -> pd.Series:
    return (times >= pd.Timestamp(window[0])) & (times < pd.Timestamp(window[1]))


def reference_picks(picks: pd.DataFrame, events: pd.DataFrame, stations: pd.DataFrame) -> pd.DataFrame:
    """
    The table `REFERENCE_PICKS`: picks with the values of their events, in order of time.

    Parameters
    ----------
    picks : DataFrame
        Columns event_id, network, station, phase, time, and perhaps distance_km. A station without a network gets the
        one that it has in ``stations``, if that is unique.
    events : DataFrame
        Table `EVENTS`.
    stations : DataFrame
        Table `STATIONS`; may be empty.
    """
    if picks.empty:
        return conform(pd.DataFrame(), REFERENCE_PICKS)
    table = picks.sort_values(["time", "station", "phase"], kind="stable").reset_index(drop=True)
    codes = stations[["network", "station"]].drop_duplicates()
    unique = codes.drop_duplicates("station", keep=False).set_index("station").network
    network_given = table.network.fillna("")
    network = network_given.where(network_given != "", table.station.map(unique).fillna(""))
    table = table.assign(network=network, event_id=table.event_id.fillna(""), reference_pick=np.arange(len(table)))
    origins = events[["event_id", "latitude_deg", "longitude_deg", "magnitude"]]
    sites = places_at(table, table.time, stations)
    origin = table[["event_id"]].merge(origins, "left", "event_id")
    columns = ["latitude_deg", "longitude_deg"]
    distance = sphere_distance_km(*sites[columns].to_numpy(float).T, *origin[columns].to_numpy(float).T)
    distance_given = table.distance_km.to_numpy(float) if "distance_km" in table else np.full(len(table), np.nan)
    distance = np.where(np.isfinite(distance), distance, distance_given)
    return conform(table.assign(distance_km=distance, magnitude=origin.magnitude.to_numpy(float)), REFERENCE_PICKS)
