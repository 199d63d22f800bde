"""Station corrections: the common part of the residuals of many events at a station."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.io.tables import conform
from pickflow.run.settings.locate import CorrectionParams
from pickflow.schemas import STATION_CORRECTIONS

Array = NDArray[np.float64]
_KEY = ["network", "station", "phase"]


def estimate_corrections(
    picks: pd.DataFrame, residual_s: Array, weight: Array, params: CorrectionParams
) -> pd.DataFrame:
    """
    Weighted median of the residuals of each station and phase, damped where there are few.

    The mean correction of all P picks is zero: a constant in all of them would be origin time.

    Parameters
    ----------
    picks : DataFrame
        With ``network``, ``station`` and ``phase``, shape (n,).
    residual_s : ndarray, shape (n,)
        Observed minus predicted without any correction.
    weight : ndarray, shape (n,)
        Weight of each residual.
    params : CorrectionParams
        The settings.

    Returns
    -------
    DataFrame
        Table `STATION_CORRECTIONS`.
    """
    arrivals = picks[_KEY].assign(residual_s=residual_s, weight=weight).sort_values([*_KEY, "residual_s", "weight"])
    rows = []
    for key, group in arrivals.groupby(_KEY, sort=True):
        if len(group) < params.min_picks:
            continue
        residual, weights = group.residual_s.to_numpy(), group.weight.to_numpy()
        median = _weighted_median(residual, weights)
        deviation = np.abs(residual - median)
        order = np.argsort(deviation, kind="stable")
        correction = median * len(group) / (len(group) + params.damping_picks)
        rows.append((*key, correction, _weighted_median(deviation[order], weights[order]), len(group)))
    if not rows:
        return conform(pd.DataFrame(), STATION_CORRECTIONS)
    table = pd.DataFrame(rows, columns=[*_KEY, "correction_s", "mad_s", "n_picks"])
    of_p = table[table.phase == "P"]
    if len(of_p):
        table["correction_s"] -= np.average(of_p.correction_s, weights=of_p.n_picks)
    table[["correction_s", "mad_s"]] = table[["correction_s", "mad_s"]].round(4)
    return conform(table, STATION_CORRECTIONS)


def correction_s(picks: pd.DataFrame, corrections: pd.DataFrame) -> Array:
    """Correction of each pick, shape (n,); 0 where its station has none."""
    values = picks[_KEY].merge(corrections, on=_KEY, how="left").correction_s
    return values.fillna(0.0).to_numpy(float)


def _weighted_median(ordered: Array, weight: Array) -> float:
    """Median of increasing values: half of the weight lies on either side."""
    middle = np.cumsum(weight) - weight / 2
    return float(np.interp(weight.sum() / 2, middle, ordered))
