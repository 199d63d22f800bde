"""The ledger: the outcome of every requested station-day."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from pickflow.io.tables import conform
from pickflow.schemas import ASSIGNMENTS, LEDGER, MANIFEST, PICK_LEDGER, PICKS, REASONS

_STATION_DAY = list(MANIFEST.key)
_STAGE_OF_FAILURE = {"denoise_failed": "denoise", "pick_failed": "pick"}


def build_ledger(
    manifests: Sequence[pd.DataFrame],
    pick_ledgers: Sequence[pd.DataFrame],
    picks: Sequence[pd.DataFrame],
    assignments: Sequence[pd.DataFrame],
) -> pd.DataFrame:
    """
    One row for each station-day of the manifests, with the reason of the first stage that could not use it.

    A record that is lost for one model and not for another stays usable; the loss is a remark. Otherwise the worst
    remark of all stages is the reason, ``no_picks`` among them if nothing was picked.

    Parameters
    ----------
    manifests : sequence of DataFrame
        Tables `MANIFEST`, of different days.
    pick_ledgers : sequence of DataFrame
        Tables `PICK_LEDGER`, of all days and pick sets.
    picks : sequence of DataFrame
        Tables `PICKS`, of all days and pick sets.
    assignments : sequence of DataFrame
        Tables `ASSIGNMENTS` of all catalogs.

    Returns
    -------
    DataFrame
        Table `LEDGER`.

    Raises
    ------
    ValueError
        If a pick ledger has a station-day that no manifest has.
    """
    manifest = _joined(manifests, MANIFEST)
    later = pd.concat(
        [conform(ledger, PICK_LEDGER) for ledger in pick_ledgers] or [conform(pd.DataFrame(), PICK_LEDGER)]
    )
    station_days = manifest.set_index(_STATION_DAY).index
    is_unknown = ~later.set_index(_STATION_DAY).index.isin(station_days)
    if is_unknown.any():
        day, network, station = later.loc[is_unknown, _STATION_DAY].iloc[0]
        raise ValueError(
            f"ledger: {network}.{station} on {day} was picked but is in no manifest; run the download again"
        )
    by_day = {key: rows for key, rows in later.groupby(_STATION_DAY)}
    rows = [_row(row, by_day.get(tuple(row[name] for name in _STATION_DAY))) for row in manifest.to_dict("records")]
    ledger = pd.DataFrame(rows, columns=LEDGER.schema.names).drop(columns=["n_picks", "n_assigned"])
    for name, counts in _counts(picks, assignments).items():
        ledger = ledger.merge(counts.rename(name), how="left", left_on=_STATION_DAY, right_index=True)
        ledger[name] = ledger[name].fillna(0).astype("int64")
    return conform(ledger, LEDGER)


def _joined(manifests: Sequence[pd.DataFrame], table: Any) -> pd.DataFrame:
    frames = [frame for frame in manifests if len(frame)]
    return conform(pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), table)


def _row(manifest: dict[Hashable, Any], later: pd.DataFrame | None) -> dict[Hashable, Any]:
    """The manifest's row with the reason, remarks, detail and stage of the whole chain."""
    if not manifest["usable"] or later is None:
        return {**manifest, "stage": "download"}
    first = dict.fromkeys(code for code in (manifest["remarks"] or "").split(",") if code not in ("", "ok"))
    later_reasons = {reason: None for reason in later.reason if reason not in ("ok", "no_picks")}
    unusable = [reason for reason in later_reasons if not REASONS[reason].usable]
    all_lost = bool(unusable) and all(not REASONS[reason].usable for reason in later.reason)
    if not (later.n_p + later.n_s).sum() and not unusable:
        later_reasons["no_picks"] = None
    order = list(REASONS)
    codes = sorted({**first, **later_reasons}, key=order.index) or ["ok"]
    # A record that one model lost and another used is a remark, not the reason of the station-day.
    reason = next((code for code in codes if all_lost or REASONS[code].usable), "ok")
    details = [
        manifest["detail"],
        *(detail for code, detail in zip(later.reason, later.detail, strict=True) if code != "ok"),
    ]
    return {
        **manifest,
        "reason": reason,
        "remarks": ",".join(codes),
        "detail": "; ".join(dict.fromkeys(detail for detail in details if detail)),
        "usable": not all_lost,
        "stage": _STAGE_OF_FAILURE.get(reason, "download" if reason in first or reason == "ok" else "pick"),
    }


def _counts(picks: Sequence[pd.DataFrame], assignments: Sequence[pd.DataFrame]) -> dict[str, pd.Series]:
    """Numbers of picks and of assigned picks by station-day."""
    frames = [frame for frame in picks if len(frame)]
    all_picks = pd.concat(frames, ignore_index=True) if frames else conform(pd.DataFrame(), PICKS)
    all_picks = all_picks[["pick_id", "network", "station", "time"]].assign(date=all_picks.time.dt.strftime("%Y-%m-%d"))
    tables = [frame for frame in assignments if len(frame)]
    arrivals = pd.concat(tables, ignore_index=True) if tables else conform(pd.DataFrame(), ASSIGNMENTS)
    arrivals_of_picks = arrivals[["pick_id"]].merge(all_picks.drop_duplicates("pick_id"), on="pick_id", how="left")
    return {
        "n_picks": all_picks.groupby(_STATION_DAY).size(),
        "n_assigned": arrivals_of_picks.groupby(_STATION_DAY).size(),
    }
