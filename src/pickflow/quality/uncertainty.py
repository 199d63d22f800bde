"""Uncertainty of the time of a pick: calibrated against manual picks, by phase and probability."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NotRequired, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

# The range between the percentiles of 25 picks is known to 20 % (normal distribution).
MIN_PICKS = 25
# Manual picks and the pickers' are on a grid of samples: at 100 Hz no time is known better than to half of one.
RESOLUTION_S = 0.005
_N_BINS = 10  # chosen: tenths of probability
# float32 means of windows may exceed 1 by their rounding.
_ROUNDING = 1e-5


class PhaseUncertainty(TypedDict):
    """Bins of probability, from low to high; a bin includes its lower edge, the last one both."""

    probability_edges: list[float]  # one more than bins
    uncertainty_s: list[float]  # one standard deviation (68 %)
    bias_s: list[float]  # median of picker - manual; not subtracted from any pick
    n_picks: list[int]


class TimeUncertainty(TypedDict):
    """Table under the key ``time_uncertainty`` of a card; a phase that is absent is not calibrated."""

    phases: dict[str, PhaseUncertainty]
    data: NotRequired[str]  # the manual picks behind it
    tolerance_s: NotRequired[float]  # picks with larger errors count as another arrival
    remark: NotRequired[str]


def calibrate(errors: pd.DataFrame, min_picks: int = MIN_PICKS) -> TimeUncertainty:
    """
    Uncertainty of picks as a function of their probability.

    Parameters
    ----------
    errors : DataFrame
        One row for each pick that has a manual one: ``phase``, ``probability`` (0 to 1) and ``time_error_s``
        (picker - manual).
    min_picks : int
        A bin with fewer is merged with the one above it; a phase that has fewer in all gets one bin.

    Returns
    -------
    TimeUncertainty
        Bins are tenths of probability from the lowest one seen, merged. The uncertainty is half of the range between
        the 16th and the 84th percentile of the errors, which for a normal distribution is its standard deviation and
        which outliers hardly move; at least half a sample. It never grows with probability: where it would, the two
        neighbours are pooled and calibrated from the picks of both, because their order is accidental.

    Raises
    ------
    ValueError
        If a probability is outside of 0 to 1, or there are errors without a number.
    """
    if not np.isfinite(errors[["probability", "time_error_s"]].to_numpy(float)).all():
        raise ValueError("calibration: a probability or time error is not a number; leave such picks out")
    probability = _checked(errors["probability"])
    error_s = errors["time_error_s"].to_numpy(float)
    phases = errors["phase"].to_numpy(object)
    return {
        "phases": {
            str(phase): _calibrate_phase(probability[phases == phase], error_s[phases == phase], min_picks)
            for phase in sorted(set(phases))
        }
    }


def _calibrate_phase(probability: NDArray, error_s: NDArray, min_picks: int) -> PhaseUncertainty:
    bins = np.minimum(np.floor(probability * _N_BINS).astype(int), _N_BINS - 1)
    lowest = int(bins.min())
    edges = [index / _N_BINS for index in range(lowest, _N_BINS + 1)]
    groups = [error_s[bins == index] for index in range(lowest, _N_BINS)]
    while (lower := _first_to_merge(groups, min_picks)) is not None:
        groups[lower : lower + 2] = [np.concatenate(groups[lower : lower + 2])]
        del edges[lower + 1]
    return {
        "probability_edges": edges,
        "uncertainty_s": [round(_spread_s(group), 4) for group in groups],
        "bias_s": [round(float(np.median(group)), 4) for group in groups],
        "n_picks": [group.size for group in groups],
    }


def _first_to_merge(groups: list[NDArray], min_picks: int) -> int | None:
    """Lower one of two bins to be merged; None if all bins may stay."""
    small = [index for index, group in enumerate(groups) if group.size < min_picks]
    if len(groups) == 1:
        return None
    if small:
        return min(small[0], len(groups) - 2)
    spreads_s = [_spread_s(group) for group in groups]
    return next((index for index in range(len(groups) - 1) if spreads_s[index] < spreads_s[index + 1]), None)


def _spread_s(error_s: NDArray) -> float:
    lower, upper = np.percentile(error_s, [15.865, 84.135])
    return max(float(upper - lower) / 2, RESOLUTION_S)


def time_uncertainty_s(
    table: Mapping[str, Any] | None, phase: str | ArrayLike, probability: ArrayLike
) -> NDArray[np.float64]:
    """
    Uncertainty of the times of picks.

    Parameters
    ----------
    table : mapping or None
        `TimeUncertainty` of the picker's card; None if it has none.
    phase : str or array_like of str
        Phase of all picks, or of each.
    probability : array_like, shape (n_picks,)
        0 to 1; NaN where unknown.

    Returns
    -------
    ndarray, shape (n_picks,)
        One standard deviation in s. NaN where nothing was calibrated: no table, another phase, no probability, or one
        below the lowest of the calibration.

    Raises
    ------
    ValueError
        If a probability is outside of 0 to 1.
    """
    phases, values = np.broadcast_arrays(np.asarray(phase, dtype=object), _checked(probability))
    uncertainty_s = np.full(values.shape, np.nan)
    for name, bins in (table["phases"] if table else {}).items():
        edges = bins["probability_edges"]
        is_calibrated = (phases == name) & (values >= edges[0])
        index = np.searchsorted(edges[1:-1], values[is_calibrated], side="right")
        uncertainty_s[is_calibrated] = np.asarray(bins["uncertainty_s"])[index]
    return uncertainty_s


def _checked(probability: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(probability, dtype=np.float64)
    is_outside = (values < -_ROUNDING) | (values > 1 + _ROUNDING)
    if is_outside.any():
        raise ValueError(f"probability {values[is_outside].flat[0]:g} is outside of 0 to 1")
    return np.clip(values, 0.0, 1.0)


def describe(table: TimeUncertainty) -> str:
    """Text of a table: its bins, the data they were measured on, and which of them rest on few picks."""
    lines = ["phase  probability  uncertainty_s   bias_s  n_picks"]
    sparse_phases = []
    for phase, bins in table["phases"].items():
        edges = pairwise(bins["probability_edges"])
        columns = zip(edges, bins["uncertainty_s"], bins["bias_s"], bins["n_picks"], strict=True)
        for (low, high), uncertainty_s, bias_s, n_picks in columns:
            lines.append(f"{phase:<5}  {low:.1f} to {high:.1f}  {uncertainty_s:>15.3f}  {bias_s:>+7.3f}  {n_picks:>7d}")
        if min(bins["n_picks"]) < MIN_PICKS:
            sparse_phases.append(phase)
    if sparse_phases:
        lines.append(f"{' and '.join(sparse_phases)}: one bin, of fewer than {MIN_PICKS} picks")
    return "\n".join([*lines, *(table[key] for key in ("data", "remark") if key in table)])
