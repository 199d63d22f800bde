"""The reference of a run: what its catalogs are held against, where and when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from pickflow.io.catalogs import Reference, read_reference, select_events
from pickflow.io.tables import conform, read_table
from pickflow.schemas import EVENTS, TRUTH_PICKS
from pickflow.windows import parse_time

# A server is asked for events this far around the network, as a share of its extent.
_SURROUNDINGS = 0.25


@dataclass(frozen=True, kw_only=True)
class ReferenceParams:
    """Where the reference comes from; see the schema of the section `analyze`."""

    file: str | None
    server: str | None
    complete_file: str | None
    complete_picks_file: str | None


@dataclass(frozen=True, kw_only=True)
class WindowParams:
    """Half-open [starttime, endtime), ISO 8601."""

    starttime: str
    endtime: str


@dataclass(frozen=True, kw_only=True)
class RegionParams:
    """Edges in degrees."""

    min_latitude_deg: float
    max_latitude_deg: float
    min_longitude_deg: float
    max_longitude_deg: float


@dataclass(frozen=True, kw_only=True)
class AnalyzeParams:
    """Parameters of the stage; see the schema of the section `analyze`."""

    reference: ReferenceParams
    reference_window: WindowParams | None
    region: RegionParams | None
    event_time_tolerance_s: float
    event_distance_tolerance_km: float
    pick_time_tolerance_s: float
    min_pick_snr_db: float


@dataclass(frozen=True, kw_only=True)
class ReferenceSet:
    """
    What a catalog is held against.

    Parameters
    ----------
    events : DataFrame
        Table `EVENTS`: the events that should be found.
    others : DataFrame
        Table `EVENTS`: further true events; who finds one of them is not wrong.
    picks : DataFrame
        Columns network, station, phase and time: the picks that should be found.
    other_picks : DataFrame or None
        Further true picks; None if the true picks are not all known, so that no pick can be called false.
    window : tuple of datetime
        Half-open [start, end) of the comparison.
    region : dict or None
        Edges of the comparison.
    """

    events: pd.DataFrame
    others: pd.DataFrame
    picks: pd.DataFrame
    other_picks: pd.DataFrame | None
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
        See the schema of the section `analyze`.
    run_window : tuple of datetime
        Half-open [start, end) of the run.
    stations : DataFrame
        Rows of `STATIONS`; a server is asked for their surroundings if no region is given.

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
    region = asdict(params.region) if params.region else None
    if region is None and params.reference.file is None:
        region = _surroundings(stations)
    # True events just outside the window or the region have counterparts inside: keep them as others.
    slack = timedelta(seconds=params.event_time_tolerance_s)
    wide = window[0] - slack, window[1] + slack
    try:
        near = read_reference(source, *wide, region if params.reference.file is None else None)
    except ValueError as error:
        raise ValueError(f"config key analyze.reference: {error}") from error
    events = select_events(near.events, *window, region)
    known = [near.events]
    if params.reference.complete_file is not None:
        known.append(read_reference(params.reference.complete_file, *wide).events)
    others = pd.concat(known).drop_duplicates("event_id")
    picks, other_picks = _picks(params, near, events, window)
    return ReferenceSet(
        events=events,
        others=conform(others[~others.event_id.isin(events.event_id)], EVENTS),
        picks=picks,
        other_picks=other_picks,
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
    params: AnalyzeParams, reference: Reference, events: pd.DataFrame, window: tuple[datetime, datetime]
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    columns = ["network", "station", "phase", "time"]
    if params.reference.complete_picks_file is None:
        picks = reference.picks[reference.picks.event_id.isin(events.event_id)]
        return picks[columns].reset_index(drop=True), None
    truth = read_table(params.reference.complete_picks_file, TRUTH_PICKS)
    wanted = truth.recorded & (truth.snr_db >= params.min_pick_snr_db)
    wanted &= (truth.time >= pd.Timestamp(window[0])) & (truth.time < pd.Timestamp(window[1]))
    return truth.loc[wanted, columns].reset_index(drop=True), truth.loc[~wanted, columns].reset_index(drop=True)
