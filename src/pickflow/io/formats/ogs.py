"""The four files of an OGS bulletin as one: which of their events are the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pickflow.io.formats.bulletin import Bulletin, count_picks
from pickflow.io.tables import conform
from pickflow.schemas import EVENTS

# In the order in which they are joined.
OGS_ENDINGS = (".dat", ".hpc", ".hpl", ".pun", ".txt")
# Chosen: origins of one event are printed with two or three decimals.
_SAME_ORIGIN_S = 0.02
# Chosen: longest travel time to the nearest station of an event that is linked by time alone.
_LONGEST_WAY_S = 60.0
_PLACE = ("latitude_deg", "longitude_deg", "depth_km")
_QUALITY = ("rms_residual_s", "azimuthal_gap_deg", "horizontal_uncertainty_km", "depth_uncertainty_km", "quality")
_SIZE = ("magnitude", "magnitude_type", "magnitude_uncertainty", "n_magnitude_stations")
_FROM_LOCATION = ("residual_s", "distance_km", "azimuth_deg")


def ogs_files(path: str | Path) -> dict[str, Path]:
    """
    The files of an OGS bulletin.

    Parameters
    ----------
    path : str or Path
        One of them, their common name without ending, or a folder that holds one bulletin.

    Returns
    -------
    dict
        Ending (such as ``.dat``) to path.

    Raises
    ------
    ValueError
        If there are none, or those of several bulletins.
    """
    location = Path(path)
    if location.is_dir():
        candidates = sorted(file for file in location.iterdir() if file.suffix.lower() in OGS_ENDINGS)
        stems = sorted({file.stem for file in candidates})
        if len(stems) > 1:
            raise ValueError(
                f"folder {location} holds several bulletins: {', '.join(stems)}; name one, {location / stems[0]}"
            )
    else:
        stem = location.stem if location.suffix.lower() in OGS_ENDINGS else location.name
        folder = location.parent if location.parent.is_dir() else None
        candidates = [] if folder is None else sorted(file for file in folder.iterdir() if file.stem == stem)
    files = {file.suffix.lower(): file for file in candidates if file.suffix.lower() in OGS_ENDINGS}
    if not files:
        hint = "no catalog.parquet; give a catalog folder of a run, or a file; and " if location.is_dir() else ""
        raise ValueError(f"{path}: {hint}no OGS bulletin there; its files end in {', '.join(OGS_ENDINGS)}")
    return files


def is_stem(path: str | Path) -> bool:
    """Whether a name without ending is that of files of an OGS bulletin."""
    return any(Path(f"{path}{ending}").exists() for ending in OGS_ENDINGS)


def join(picks: Bulletin, locations: Bulletin) -> Bulletin:
    """
    One bulletin from two of the same events: one with picks, and one with locations.

    Events are the same if they have the same identifier, the same origin time, or arrivals in common; or else, if the
    first arrival of the one comes within a minute after the origin of the other, and no other one is nearer.

    Parameters
    ----------
    picks : Bulletin
        Its picks and identifiers are kept; values that it lacks come from the other one.
    locations : Bulletin
        Its magnitudes come first, its origins where `picks` has none. Its events that `picks` does not have are kept
        with their picks.

    Returns
    -------
    Bulletin
        The rejected lines of both; the counts of lines are sums.
    """
    links = _links(picks, locations)
    located_events, located_picks, described = (
        table.assign(event_id=table.event_id.map(lambda name: links.get(name, name)))
        for table in (locations.events, locations.picks, locations.descriptions)
    )
    events = _merge_events(picks.events, located_events)
    merged_picks = _merge_picks(picks.picks, located_picks)
    descriptions = pd.concat([described, picks.descriptions]).drop_duplicates("event_id", ignore_index=True)
    return replace(
        picks,
        events=count_picks(events, merged_picks),
        picks=merged_picks,
        rejected=pd.concat([picks.rejected, locations.rejected], ignore_index=True),
        descriptions=descriptions,
        n_lines=picks.n_lines + locations.n_lines,
        n_headers=picks.n_headers + locations.n_headers,
        n_read=picks.n_read + locations.n_read,
        n_set_aside=picks.n_set_aside + locations.n_set_aside,
        set_aside=pd.concat([picks.set_aside, locations.set_aside], ignore_index=True),
        account=picks.account.add(locations.account, fill_value=0).astype("int64"),
    )


def _links(picks: Bulletin, locations: Bulletin) -> dict[str, str]:
    """Identifier in the picks' bulletin for each event of the locations that is one of its events."""
    links = {name: name for name in set(picks.events.event_id) & set(locations.events.event_id)}
    _link_origins(picks.events, locations.events, links)
    _link_arrivals(picks.picks, locations.picks, links)
    _link_times(picks, locations, links)
    return links


def _located(events: pd.DataFrame) -> pd.DataFrame:
    return events[events.latitude_deg.notna()]


def _free(events: pd.DataFrame, ids: set[str]) -> pd.DataFrame:
    return events[~events.event_id.isin(ids)].sort_values("time", kind="stable")


def _link_origins(events_of_picks: pd.DataFrame, events_of_locations: pd.DataFrame, links: dict[str, str]) -> None:
    located = _free(_located(events_of_locations), set(links))[["event_id", "time"]]
    events = _free(_located(events_of_picks), set(links.values()))[["event_id", "time"]]
    if located.empty or events.empty:
        return
    pairs = pd.merge_asof(
        located,
        events,
        on="time",
        direction="nearest",
        tolerance=pd.Timedelta(seconds=_SAME_ORIGIN_S),
        suffixes=("", "_ours"),
    ).dropna()
    pairs = pairs.drop_duplicates("event_id_ours")
    links.update(zip(pairs.event_id, pairs.event_id_ours, strict=True))


def _link_arrivals(picks: pd.DataFrame, located_picks: pd.DataFrame, links: dict[str, str]) -> None:
    key = ["station", "phase", "time"]
    pairs = located_picks[[*key, "event_id"]].merge(picks[[*key, "event_id"]], on=key, suffixes=("", "_ours"))
    pairs = pairs[~pairs.event_id.isin(set(links)) & ~pairs.event_id_ours.isin(set(links.values()))]
    n_shared = pairs.groupby(["event_id", "event_id_ours"]).size().sort_values(ascending=False, kind="stable")
    linked_ids = set(links.values())
    for name, our in n_shared.index:
        if name not in links and our not in linked_ids:
            links[name] = our
            linked_ids.add(our)


def _link_times(picks: Bulletin, locations: Bulletin, links: dict[str, str]) -> None:
    """Link by the first arrival within a minute after an origin; the shortest travel times first."""
    first = picks.picks.groupby("event_id").time.min()
    candidates = _free(picks.events[picks.events.event_id.isin(first.index)], set(links.values()))
    origins = _free(_located(locations.events), set(links))
    if candidates.empty or origins.empty:
        return
    arrivals = first[candidates.event_id].to_numpy("datetime64[ns]")
    starts = origins.time.to_numpy("datetime64[ns]")
    ways_s = (arrivals[None, :] - starts[:, None]) / np.timedelta64(1, "s")
    rows, columns = np.nonzero((ways_s >= 0) & (ways_s <= _LONGEST_WAY_S))
    linked_ids = set(links.values())
    for index in np.argsort(ways_s[rows, columns], kind="stable"):
        name, our = origins.event_id.iloc[rows[index]], candidates.event_id.iloc[columns[index]]
        if name not in links and our not in linked_ids:
            links[name] = our
            linked_ids.add(our)


def _merge_events(events: pd.DataFrame, located_events: pd.DataFrame) -> pd.DataFrame:
    """Origin of the first bulletin, or else of the locations; magnitude of the locations, or else of the first."""
    by_id, locations = events.set_index("event_id"), located_events.set_index("event_id")
    result = by_id.reindex(by_id.index.union(locations.index, sort=False))
    locations = locations.reindex(result.index)
    located = locations.latitude_deg.notna() & result.latitude_deg.isna()
    result.loc[located, ["time", *_PLACE]] = locations.loc[located, ["time", *_PLACE]]
    result["time"] = result.time.fillna(locations.time)
    sized = locations.magnitude.notna()
    result.loc[sized, list(_SIZE)] = locations.loc[sized, list(_SIZE)]
    for column in _QUALITY:
        result[column] = result[column].where(result[column].notna(), locations[column])
    for column in (name for name in EVENTS.schema.names if name.startswith("n_")):
        count = result[column].fillna(0)
        result[column] = count.where(count > 0, locations[column].fillna(0)).astype("int64")
    return conform(result.reset_index(), EVENTS)


def _merge_picks(picks: pd.DataFrame, located_picks: pd.DataFrame) -> pd.DataFrame:
    """Picks with the values of the same located picks, and the located picks of events without picks."""
    key = ["event_id", "station", "phase", "time"]
    values = located_picks.drop_duplicates(key)[[*key, *_FROM_LOCATION]]
    result = picks.drop(columns=list(_FROM_LOCATION)).merge(values, on=key, how="left")
    for column in _FROM_LOCATION:
        result[column] = result[column].fillna(picks[column].reset_index(drop=True))
    additional = located_picks[~located_picks.event_id.isin(picks.event_id) | (located_picks.event_id == "")]
    frames = [frame for frame in (result[picks.columns.to_list()], additional) if not frame.empty]
    return pd.concat(frames, ignore_index=True) if frames else picks
