"""The four files of an OGS bulletin as one: whose event is whose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from pickflow.io.formats.bulletin import Bulletin, count_picks
from pickflow.io.tables import conform
from pickflow.schemas import EVENTS

OGS_ENDINGS = (".dat", ".hpc", ".hpl", ".pun", ".txt")
# Origins of one event are printed with two or three decimals.
_SAME_ORIGIN_S = 0.02
# Longest travel time to the nearest station of an event that is linked by time alone.
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
    place = Path(path)
    if place.is_dir():
        found = sorted(file for file in place.iterdir() if file.suffix.lower() in OGS_ENDINGS)
        stems = sorted({file.stem for file in found})
        if len(stems) > 1:
            raise ValueError(
                f"folder {place} holds several bulletins: {', '.join(stems)}; name one, {place / stems[0]}"
            )
    else:
        stem = place.stem if place.suffix.lower() in OGS_ENDINGS else place.name
        folder = place.parent if place.parent.is_dir() else None
        found = [] if folder is None else sorted(file for file in folder.iterdir() if file.stem == stem)
    files = {file.suffix.lower(): file for file in found if file.suffix.lower() in OGS_ENDINGS}
    if not files:
        raise ValueError(f"{path}: no OGS bulletin there; its files end in {', '.join(OGS_ENDINGS)}")
    return files


def join(picks: Bulletin, locations: Bulletin) -> Bulletin:
    """
    One bulletin from two of the same events: one with picks, and one with locations.

    Events are the same if they have the same identifier, the same origin time, or arrivals in common; or else, if the
    first arrival of the one comes within a minute after the origin of the other, and no other one is nearer.

    Parameters
    ----------
    picks : Bulletin
        Its picks and identifiers are kept; what it does not know about a pick or an event comes from the other one.
    locations : Bulletin
        Its magnitudes come first, its origins where `picks` has none. Its events that `picks` does not have are kept
        with their picks.

    Returns
    -------
    Bulletin
        The rejected lines of both; the counts of lines are sums.
    """
    links = _links(picks, locations)
    renamed = locations.events.event_id.map(links)
    taken = set(picks.events.event_id)
    fresh = {name: name if name not in taken else f"{name}-2" for name in locations.events.event_id[renamed.isna()]}
    names = {**links, **fresh}
    events = _merge_events(picks.events, locations.events.assign(event_id=locations.events.event_id.map(names)))
    theirs = locations.picks.assign(event_id=locations.picks.event_id.map(lambda name: names.get(name, name)))
    merged = _merge_picks(picks.picks, theirs)
    described = locations.descriptions.assign(event_id=locations.descriptions.event_id.map(names))
    descriptions = pd.concat([described, picks.descriptions]).drop_duplicates("event_id", ignore_index=True)
    return replace(
        picks,
        events=count_picks(events, merged),
        picks=merged,
        rejected=pd.concat([picks.rejected, locations.rejected], ignore_index=True),
        descriptions=descriptions,
        n_lines=picks.n_lines + locations.n_lines,
        n_headers=picks.n_headers + locations.n_headers,
    )


def _links(ours: Bulletin, theirs: Bulletin) -> dict[str, str]:
    """Identifier of ours for each event of theirs that is one of ours."""
    links = {name: name for name in set(ours.events.event_id) & set(theirs.events.event_id)}
    _link_origins(ours.events, theirs.events, links)
    _link_arrivals(ours.picks, theirs.picks, links)
    _link_times(ours, theirs, links)
    return links


def _located(events: pd.DataFrame) -> pd.DataFrame:
    return events[events.latitude_deg.notna()]


def _free(events: pd.DataFrame, taken: set[str]) -> pd.DataFrame:
    return events[~events.event_id.isin(taken)].sort_values("time", kind="stable")


def _link_origins(ours: pd.DataFrame, theirs: pd.DataFrame, links: dict[str, str]) -> None:
    left = _free(_located(theirs), set(links))[["event_id", "time"]]
    right = _free(_located(ours), set(links.values()))[["event_id", "time"]]
    if left.empty or right.empty:
        return
    near = pd.merge_asof(
        left,
        right,
        on="time",
        direction="nearest",
        tolerance=pd.Timedelta(seconds=_SAME_ORIGIN_S),
        suffixes=("", "_ours"),
    ).dropna()
    near = near.drop_duplicates("event_id_ours")
    links.update(zip(near.event_id, near.event_id_ours, strict=True))


def _link_arrivals(ours: pd.DataFrame, theirs: pd.DataFrame, links: dict[str, str]) -> None:
    key = ["station", "phase", "time"]
    both = theirs[[*key, "event_id"]].merge(ours[[*key, "event_id"]], on=key, suffixes=("", "_ours"))
    both = both[~both.event_id.isin(set(links)) & ~both.event_id_ours.isin(set(links.values()))]
    shared = both.groupby(["event_id", "event_id_ours"]).size().sort_values(ascending=False, kind="stable")
    done = set(links.values())
    for name, our in shared.index:
        if name not in links and our not in done:
            links[name] = our
            done.add(our)


def _link_times(ours: Bulletin, theirs: Bulletin, links: dict[str, str]) -> None:
    """By the first arrival within a minute after an origin; the shortest ways first."""
    first = ours.picks.groupby("event_id").time.min()
    candidates = _free(ours.events[ours.events.event_id.isin(first.index)], set(links.values()))
    origins = _free(_located(theirs.events), set(links))
    if candidates.empty or origins.empty:
        return
    arrivals = first[candidates.event_id].to_numpy("datetime64[ns]")
    starts = origins.time.to_numpy("datetime64[ns]")
    ways_s = (arrivals[None, :] - starts[:, None]) / np.timedelta64(1, "s")
    rows, columns = np.nonzero((ways_s >= 0) & (ways_s <= _LONGEST_WAY_S))
    done = set(links.values())
    for index in np.argsort(ways_s[rows, columns], kind="stable"):
        name, our = origins.event_id.iloc[rows[index]], candidates.event_id.iloc[columns[index]]
        if name not in links and our not in done:
            links[name] = our
            done.add(our)


def _merge_events(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Place of ours, or else of theirs; time and place stay together. Size of theirs, or else of ours."""
    left, right = ours.set_index("event_id"), theirs.set_index("event_id")
    merged = left.reindex(left.index.union(right.index, sort=False))
    right = right.reindex(merged.index)
    located = right.latitude_deg.notna() & merged.latitude_deg.isna()
    merged.loc[located, ["time", *_PLACE]] = right.loc[located, ["time", *_PLACE]]
    merged["time"] = merged.time.fillna(right.time)
    sized = right.magnitude.notna()
    merged.loc[sized, list(_SIZE)] = right.loc[sized, list(_SIZE)]
    for column in _QUALITY:
        merged[column] = merged[column].where(merged[column].notna(), right[column])
    for column in (name for name in EVENTS.schema.names if name.startswith("n_")):
        count = merged[column].fillna(0)
        merged[column] = count.where(count > 0, right[column].fillna(0)).astype("int64")
    return conform(merged.reset_index(), EVENTS)


def _merge_picks(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Our picks, with what theirs says about the same ones, and theirs of events that have none with us."""
    key = ["event_id", "station", "phase", "time"]
    found = theirs.drop_duplicates(key)[[*key, *_FROM_LOCATION]]
    merged = ours.drop(columns=list(_FROM_LOCATION)).merge(found, on=key, how="left")
    for column in _FROM_LOCATION:
        merged[column] = merged[column].fillna(ours[column].reset_index(drop=True))
    others = theirs[~theirs.event_id.isin(ours.event_id) | (theirs.event_id == "")]
    frames = [frame for frame in (merged[ours.columns.to_list()], others) if not frame.empty]
    return pd.concat(frames, ignore_index=True) if frames else ours
