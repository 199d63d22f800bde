"""Arrivals of a catalog, for writing it to a file."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

logger = logging.getLogger(__name__)

_NAMED = 10  # picks in a warning


def arrivals_of(assignments: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    """
    Assignments with their picks, in order of time.

    Columns of the table `PICKS` that a pick need not have (location, channel, probability, time_uncertainty_s), and
    weight, polarity and onset of `BULLETIN_PICKS`, are empty or NaN where they are absent.

    Raises
    ------
    ValueError
        If an assignment's pick is not among the picks.
    """
    texts, numbers = ("location", "channel", "polarity", "onset"), ("probability", "time_uncertainty_s", "weight")
    blanks = {name: "" for name in texts if name not in picks} | {name: np.nan for name in numbers if name not in picks}
    columns = ["pick_id", "network", "station", *texts, "phase", "time", *numbers]
    arrivals = assignments.merge(picks.assign(**blanks)[columns], on="pick_id", how="left")
    has_no_pick = arrivals.time.isna()
    if has_no_pick.any():
        raise ValueError(f"pick {arrivals.pick_id[has_no_pick].iloc[0]} of an assignment is not among the picks given")
    return arrivals.sort_values(["time", "pick_id"], kind="stable", ignore_index=True)


def without_unused(assignments: pd.DataFrame, picks: pd.DataFrame, event_ids: pd.Series, format: str) -> pd.DataFrame:
    """
    Assignments of some events without the picks of weight 0, for a format that would give them full weight.

    A warning names those that are left out.

    Parameters
    ----------
    assignments, picks : DataFrame
        Tables `ASSIGNMENTS` and `PICKS`; picks may have a column weight.
    event_ids : Series
        Of the events concerned.
    format : str
        For the warning.

    Returns
    -------
    DataFrame
        Assignments that stay.
    """
    if "weight" not in picks:
        return assignments
    unused_picks = picks[picks.weight == 0]
    is_unused = assignments.pick_id.isin(unused_picks.pick_id) & assignments.event_id.isin(event_ids)
    if is_unused.any():
        replaced = unused_picks[unused_picks.pick_id.isin(assignments.pick_id[is_unused])]
        names = ", ".join(f"{row.network}.{row.station} {row.phase}" for row in replaced.head(_NAMED).itertuples())
        logger.warning("%s has no weight for them; %d picks of weight 0 are left out: %s", format, len(replaced), names)
    return assignments[~is_unused]
