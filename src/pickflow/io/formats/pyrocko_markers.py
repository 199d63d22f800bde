"""Markers of Pyrocko's Snuffler: events, their phases, and picks of no event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pyrocko.gui.marker import EventMarker, Marker, PhaseMarker, save_markers
from pyrocko.model import Event

from pickflow.io.atomic import atomic_path
from pickflow.io.formats.arrivals import arrivals_of


def write_markers(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame, path: str | Path) -> None:
    """
    Write a file of markers.

    Parameters
    ----------
    events, assignments, picks : DataFrame
        See `pickflow.io.formats.write_catalog`. Picks of no event become phases without one; events without a time are
        left out.
    path : str or Path
        Where to.
    """
    events_by_id = {row.event_id: _event(row) for row in events[events.time.notna()].itertuples(index=False)}
    markers: list[Marker] = [EventMarker(event) for event in events_by_id.values()]
    arrivals = arrivals_of(assignments, picks)
    markers += [_phase(row, events_by_id.get(row.event_id)) for row in arrivals.itertuples(index=False)]
    free_picks = picks[~picks.pick_id.isin(assignments.pick_id)].sort_values(["time", "pick_id"], kind="stable")
    missing_columns = {name: "" for name in ("location", "channel", "polarity") if name not in free_picks}
    markers += [_phase(row, None) for row in free_picks.assign(**missing_columns).itertuples(index=False)]
    with atomic_path(path) as temporary:
        save_markers(markers, str(temporary), fdigits=4)


def _event(row) -> Event:  # type: ignore[no-untyped-def]
    values = {
        name: value for name, value in (("lat", row.latitude_deg), ("lon", row.longitude_deg)) if np.isfinite(value)
    }
    return Event(
        name=row.event_id,
        time=row.time.value / 1e9,
        depth=row.depth_km * 1000 if np.isfinite(row.depth_km) else None,
        magnitude=row.magnitude if np.isfinite(row.magnitude) else None,
        magnitude_type=row.magnitude_type or None,
        **values,
    )


def _phase(row, event: Event | None) -> PhaseMarker:  # type: ignore[no-untyped-def]
    time = row.time.value / 1e9
    polarity = {"U": 1, "D": -1}.get(row.polarity)
    code = (row.network, row.station, row.location, f"{row.channel}*")
    return PhaseMarker([code], time, time, event=event, phasename=row.phase, polarity=polarity, automatic=True)
