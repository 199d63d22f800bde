"""Statistics of a catalog: magnitude of completeness, b-value, and the ratio of P and S velocity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.io.tables import conform
from pickflow.schemas import WADATI
from pickflow.statistics import MAD_TO_SIGMA

Array = NDArray[np.float64]

MAGNITUDE_BIN = 0.1  # bulletins give one decimal
# Wiemer and Wyss (2000); the correction is that of Woessner and Wiemer (2005, 10.1785/0120040007).
_COMPLETENESS_CORRECTION = 0.2
FEWEST_MAGNITUDES = 20  # chosen: the b-value of fewer is uncertain by more than a fifth
_FEWEST_STATIONS = 4  # chosen: two more than a line needs
_N_REWEIGHTINGS = 30  # chosen


@dataclass(frozen=True, kw_only=True)
class FrequencyMagnitude:
    """
    Frequency of magnitudes.

    Parameters
    ----------
    magnitudes, n, n_above : ndarray, shape (n_bins,)
        Centres of the bins of 0.1, number in each, and number in it and in all larger ones.
    completeness, b, b_uncertainty, a : float
        Magnitude of completeness; slope, its standard deviation, and intercept of log10 n_above = a - b M. NaN where
        fewer than 20 magnitudes are complete.
    n_complete : int
        Number of events of at least the magnitude of completeness.
    """

    magnitudes: Array
    n: NDArray[np.int64]
    n_above: NDArray[np.int64]
    completeness: float
    b: float
    b_uncertainty: float
    a: float
    n_complete: int


def frequency_magnitude(magnitudes: Array) -> FrequencyMagnitude | None:
    """
    Completeness and b-value of a catalog.

    The completeness is the fullest bin of 0.1 (maximum curvature) + 0.2. The b-value is the maximum likelihood of Aki
    (1965) with Utsu's (1966) correction for bins, its standard deviation that of Shi and Bolt (1982).

    Parameters
    ----------
    magnitudes : ndarray, shape (n_events,)
        NaN: unknown, left out.

    Returns
    -------
    FrequencyMagnitude or None
        None if no magnitude is known.
    """
    valid = np.asarray(magnitudes, float)
    valid = valid[np.isfinite(valid)]
    if valid.size == 0:
        return None
    # Half a bin's rounding noise must not move magnitudes such as 0.15 into different bins.
    index = np.floor(valid / MAGNITUDE_BIN + 0.5 + 1e-9).astype(int)
    first = index.min()
    n = np.bincount(index - first)
    centres = MAGNITUDE_BIN * (first + np.arange(n.size))
    # Of equally full bins the largest, which is conservative.
    fullest = first + n.size - 1 - int(np.argmax(n[::-1]))
    complete_index = fullest + round(_COMPLETENESS_CORRECTION / MAGNITUDE_BIN)
    complete = MAGNITUDE_BIN * index[index >= complete_index]
    completeness = round(MAGNITUDE_BIN * complete_index, 6)
    b, b_uncertainty = _b_value(complete, completeness)
    return FrequencyMagnitude(
        magnitudes=centres,
        n=n.astype(np.int64),
        n_above=np.cumsum(n[::-1])[::-1].astype(np.int64),
        completeness=completeness,
        b=b,
        b_uncertainty=b_uncertainty,
        a=float(np.log10(complete.size) + b * completeness) if np.isfinite(b) else np.nan,
        n_complete=int(complete.size),
    )


def _b_value(complete: Array, completeness: float) -> tuple[float, float]:
    mean_excess = complete.mean() - (completeness - MAGNITUDE_BIN / 2) if complete.size else 0.0
    if complete.size < FEWEST_MAGNITUDES or mean_excess <= 0:
        return np.nan, np.nan
    b = float(np.log10(np.e) / mean_excess)
    variance = float(((complete - complete.mean()) ** 2).sum()) / (complete.size * (complete.size - 1))
    return b, float(np.log(10) * b**2 * np.sqrt(variance))


def wadati_arrivals(events: pd.DataFrame, assignments: pd.DataFrame, picks: pd.DataFrame) -> pd.DataFrame:
    """
    Stations with P and S of an event.

    Returns
    -------
    DataFrame
        Columns event_id, network, station, p_s (P after the catalog's origin time) and s_minus_p_s.
    """
    arrivals = assignments[["event_id", "pick_id"]].merge(
        picks[["pick_id", "network", "station", "phase", "time"]], on="pick_id"
    )
    arrivals = arrivals.merge(events[["event_id", "time"]].rename(columns={"time": "origin"}), on="event_id")
    arrivals["after_s"] = (arrivals.time - arrivals.origin) / pd.Timedelta(seconds=1)
    key = ["event_id", "network", "station"]
    first = arrivals.groupby([*key, "phase"]).after_s.min().unstack().reindex(columns=["P", "S"])
    pairs = first.dropna().reset_index()
    return pairs.assign(p_s=pairs.P, s_minus_p_s=pairs.S - pairs.P)[[*key, "p_s", "s_minus_p_s"]]


def wadati(arrivals: pd.DataFrame) -> tuple[pd.DataFrame, tuple[float, float]]:
    """
    Ratio of the velocities of P and S from S - P against P (Wadati 1933), by event and over all of them.

    Each event is centred, so that no origin time is needed; the line is fitted with the least sum of absolute
    deviations, which single wrong picks do not affect.

    Parameters
    ----------
    arrivals : DataFrame
        See `wadati_arrivals`.

    Returns
    -------
    DataFrame
        Table `WADATI`: events with at least 4 such stations.
    tuple of float
        Ratio over all of them and its uncertainty (one standard deviation); NaN if there is none.
    """
    n_stations = arrivals.groupby("event_id").p_s.transform("size")
    usable = arrivals[n_stations >= _FEWEST_STATIONS]
    if usable.empty:
        return conform(pd.DataFrame(), WADATI), (np.nan, np.nan)
    rows, centred = [], []
    for event_id, group in usable.groupby("event_id"):
        p_s, difference_s = group.p_s.to_numpy(float), group.s_minus_p_s.to_numpy(float)
        slope, uncertainty, residual_s = _fit(p_s, difference_s)
        rms_s = float(np.sqrt(np.mean(residual_s**2)))
        rows.append((event_id, len(group), 1 + slope, uncertainty, rms_s))
        centred.append((p_s - np.median(p_s), difference_s - np.median(difference_s)))
    p_s, difference_s = (np.concatenate(column) for column in zip(*centred, strict=True))
    slope, uncertainty, _ = _fit(p_s, difference_s)
    table = pd.DataFrame(rows, columns=WADATI.schema.names)
    return conform(table, WADATI), (1 + slope, uncertainty)


def _fit(x: Array, y: Array) -> tuple[float, float, Array]:
    """Slope of the line of least absolute deviations, its uncertainty, and the residuals, shape (n,)."""
    weight = np.ones(x.size)
    for _ in range(_N_REWEIGHTINGS):
        x_mean, y_mean = (np.average(values, weights=weight) for values in (x, y))
        spread = float(np.sum(weight * (x - x_mean) ** 2))
        if spread <= 0:
            return np.nan, np.nan, y - y_mean
        slope = float(np.sum(weight * (x - x_mean) * (y - y_mean)) / spread)
        residual = y - y_mean - slope * (x - x_mean)
        weight = 1 / np.maximum(np.abs(residual), 1e-3)
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(residual - np.median(residual))))
    # The median's efficiency of 2 / pi for normal errors.
    return slope, scatter * float(np.sqrt(np.pi / 2 / max(np.sum((x - x.mean()) ** 2), 1e-12))), residual
