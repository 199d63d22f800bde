"""Choice of the events of a catalog that are shown with waveforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pickflow.run.settings.report import GatherParams
from pickflow.viewer.gather import Choice


def choose_events(
    events: pd.DataFrame,
    matches: pd.DataFrame,
    reference: pd.DataFrame | None,
    notes: Mapping[str, str],
    params: GatherParams,
) -> list[Choice]:
    """
    Best events (most picks, then smallest residual) and the worst of each kind.

    Parameters
    ----------
    events, matches : DataFrame
        `EVENTS` and `MATCHES` of one catalog.
    reference : DataFrame or None
        `EVENTS` of the reference.
    notes : mapping of str to str
        Remarks on missed and unmatched events, by their identifier.
    params : GatherParams
        Numbers of events.

    Returns
    -------
    list of Choice
        Kinds, in this order: ``best``, ``largest_error``, ``misses``, ``unmatched``.
    """
    by_id = events.set_index("event_id", drop=False)
    order = events.sort_values(["n_picks", "rms_residual_s", "event_id"], ascending=[False, True, True])
    best = [
        Choice(kind="best", event=_row(row), note=f"{row['n_picks']} picks, residual {row['rms_residual_s']:.2f} s rms")
        for row in order.head(params.n_best).to_dict("records")
    ]
    if reference is None:
        return best
    candidates = order[order["event_id"].isin(matches.loc[matches["reference_id"].isna(), "event_id"].dropna())]
    unmatched = [
        Choice(
            kind="unmatched",
            event=_row(row),
            note=_with_note(f"{row['n_picks']} picks, and no counterpart in the reference", notes, row),
        )
        for row in candidates.head(params.n_worst).to_dict("records")
    ]
    misses = _missed(matches, reference, notes, params)
    return [*best, *_largest_errors(by_id, matches, params.n_worst), *misses, *unmatched]


def _with_note(text: str, notes: Mapping[str, str], row: Mapping[Any, Any]) -> str:
    note = notes.get(str(row["event_id"]))
    return f"{text}; {note}" if note else text


def _largest_errors(by_id: pd.DataFrame, matches: pd.DataFrame, n_worst: int) -> list[Choice]:
    matched = matches.dropna(subset=["reference_id", "event_id"])
    matched = matched[matched["event_id"].isin(by_id.index)]
    errors = matched[["time_error_s", "epicentral_error_km"]].abs()
    # Seconds and kilometres are compared in units of the catalog's own median error.
    badness = (errors / errors.median().clip(lower=1e-9)).max(axis=1)
    largest = matched.loc[badness.sort_values(ascending=False, kind="stable").index[:n_worst]]
    return [
        Choice(
            kind="largest_error",
            event=_row(by_id.loc[str(row.event_id)].to_dict()),
            note=f"{row.time_error_s:+.2f} s and {row.epicentral_error_km:.1f} km from the reference",
        )
        for row in largest.itertuples()
    ]


def _row(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in values.items()}


def _missed(
    matches: pd.DataFrame, reference: pd.DataFrame, notes: Mapping[str, str], params: GatherParams
) -> list[Choice]:
    matched = set(matches.dropna(subset=["event_id"])["reference_id"].dropna())
    misses = reference[~reference["event_id"].isin(matched)]
    misses = misses.sort_values(["magnitude", "time"], ascending=[False, True], na_position="last")
    return [
        Choice(kind="missed", event=_row(row), note=_with_note("in the reference, not in this catalog", notes, row))
        for row in misses.head(params.n_worst).to_dict("records")
    ]
