"""Settings of the association: given in the configuration, or derived from the network and the velocity model."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.stats import poisson

from pickflow.run.settings.associate import AssociateParams, GammaParams, PyoctoParams, StackParams
from pickflow.travel_times.geometry import deepest_source_km, frame_around
from pickflow.travel_times.layers import VelocityModel, travel_time_s

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PyoctoSettings:
    """`PyoctoParams` with every value."""

    velocity_tolerance_s: float
    cutoff_distance_km: float
    time_before_s: float
    time_slice_s: float
    min_node_size_km: float
    min_pick_fraction: float
    min_interevent_time_s: float


@dataclass(frozen=True, kw_only=True)
class GammaSettings:
    """`GammaParams` with every value."""

    dbscan_eps_s: float
    dbscan_min_samples: int
    max_sigma_s: float
    oversample_factor: int


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """`StackParams` with every value."""

    grid_step_km: float
    reach_km: float


@dataclass(frozen=True, kw_only=True)
class AssociateSettings:
    """
    `AssociateParams` with every value, and the box that is searched.

    Parameters
    ----------
    x_range_km, y_range_km : tuple of float
        Box in the frame of `geometry.frame_around`.
    """

    x_range_km: tuple[float, float]
    y_range_km: tuple[float, float]
    halo_s: float
    area_margin_km: float
    max_depth_km: float
    min_picks: int
    min_p_picks: int
    min_s_picks: int
    min_p_and_s_stations: int
    max_residual_s: float
    min_evidence: float
    passes: int
    complete_with_stack: bool
    threads: int
    pyocto: PyoctoSettings
    gamma: GammaSettings
    stack: StackSettings


def located_stations(stations: pd.DataFrame) -> pd.DataFrame:
    """Rows of `STATIONS` that have coordinates; an unknown elevation becomes sea level."""
    located = np.isfinite(stations.latitude_deg.astype(float)) & np.isfinite(stations.longitude_deg.astype(float))
    return stations[located].fillna({"elevation_m": 0.0}).reset_index(drop=True)


def derive_settings(
    stations: pd.DataFrame, model: VelocityModel, params: AssociateParams, picks_per_s: float
) -> AssociateSettings:
    """
    Settings for a network, a velocity model and a rate of picks; values of the parameters take precedence.

    Parameters
    ----------
    stations : DataFrame
        Rows of `STATIONS`; those without coordinates are left out.
    model : VelocityModel
        See `pickflow.travel_times.layers`.
    params : AssociateParams
        None stands for the derived value.
    picks_per_s : float
        Of all stations together, in the busiest ten minutes.

    Returns
    -------
    AssociateSettings

    Raises
    ------
    ValueError
        If no station has coordinates.
    """
    located = located_stations(stations)
    if located.empty:
        raise ValueError("associate: no station has coordinates; check download.inventory and the station codes")
    x, y = frame_around(located).to_local(located.latitude_deg, located.longitude_deg)
    aperture = float(np.hypot(np.ptp(x), np.ptp(y)))
    margin = _value_or(params.area_margin_km, round(float(np.clip(0.25 * aperture, 10.0, 100.0)), 1))
    depth = _value_or(params.max_depth_km, round(deepest_source_km(aperture), 1))
    spacing = _spacing_km(x, y)
    pyocto = _pyocto_settings(params.pyocto, model, spacing, aperture, margin, depth)
    max_residual = _value_or(params.max_residual_s, round(_mismatch(model, aperture), 2))
    derived: dict[str, Any] = {
        "halo_s": 2 * pyocto.time_before_s,
        "max_residual_s": max_residual,
        **_least_picks(len(located), 2 * max_residual * picks_per_s),
    }
    settings = AssociateSettings(
        x_range_km=(float(x.min() - margin), float(x.max() + margin)),
        y_range_km=(float(y.min() - margin), float(y.max() + margin)),
        area_margin_km=margin,
        max_depth_km=depth,
        min_evidence=params.min_evidence,
        passes=params.passes,
        complete_with_stack=params.complete_with_stack,
        threads=params.threads,
        pyocto=pyocto,
        gamma=_gamma_settings(params.gamma, model, spacing),
        stack=_stack_settings(params.stack, spacing, pyocto.cutoff_distance_km),
        **{name: _value_or(getattr(params, name), value) for name, value in derived.items()},
    )
    logger.info("association settings: %s", dataclasses.asdict(settings))
    return settings


def _value_or(value: Any, derived: Any) -> Any:
    return derived if value is None else value


def _spacing_km(x: np.ndarray, y: np.ndarray) -> float:
    """Median distance of a station to its fourth neighbour: the distance within which an event is usually seen."""
    distance = np.sort(cdist(np.column_stack([x, y]), np.column_stack([x, y])), axis=1)
    return float(np.median(distance[:, min(4, len(x) - 1)]))


def _mismatch(model: VelocityModel, aperture: float) -> float:
    """Errors of predicted arrivals in s: a half space gets worse with distance, layers much less so."""
    return 1.0 if model.top_depth_km.size > 1 else float(np.clip(aperture / 150.0, 1.0, 2.0))


def _least_picks(n_stations: int, n_by_chance: float) -> dict[str, int]:
    """
    Least numbers of picks: as many as chance puts beside an origin in one of 500 places, between 5 and 7.

    Parameters
    ----------
    n_stations : int
        A network of three has six arrivals at most.
    n_by_chance : float
        Mean number of picks within the largest residual.
    """
    n_picks = int(np.clip(poisson.isf(1 / 500, n_by_chance) + 1, 5, 7 if n_stations > 3 else 6))
    min_p, min_s, min_both = {5: (2, 0, 0), 6: (3, 1, 1), 7: (3, 2, 2)}[n_picks]
    return {"min_picks": n_picks, "min_p_picks": min_p, "min_s_picks": min_s, "min_p_and_s_stations": min_both}


def _stack_settings(params: StackParams, spacing: float, cutoff: float) -> StackSettings:
    step = _value_or(params.grid_step_km, round(float(np.clip(spacing / 10, 2.0, 10.0)), 1))
    return StackSettings(grid_step_km=step, reach_km=_value_or(params.reach_km, cutoff))


def _pyocto_settings(
    params: PyoctoParams, model: VelocityModel, spacing: float, aperture: float, margin: float, depth: float
) -> PyoctoSettings:
    farthest = aperture + margin
    cutoff = _value_or(params.cutoff_distance_km, round(float(min(farthest, max(150.0, 4 * spacing))), 1))
    crossing = float(travel_time_s(model, "S", min(farthest, cutoff), depth))
    time_before = _value_or(params.time_before_s, float(np.ceil(crossing)))
    derived = {
        "velocity_tolerance_s": round(0.7 * _mismatch(model, aperture), 2),
        "time_slice_s": max(1200.0, 4 * time_before),
        "min_node_size_km": 10.0,
        "min_pick_fraction": 0.5,
        "min_interevent_time_s": 3.0,
    }
    return PyoctoSettings(
        cutoff_distance_km=cutoff,
        time_before_s=time_before,
        **{name: _value_or(getattr(params, name), value) for name, value in derived.items()},
    )


def _gamma_settings(params: GammaParams, model: VelocityModel, spacing: float) -> GammaSettings:
    derived = {
        # P of one station and S of the next must still be neighbours, with room for stations without picks.
        "dbscan_eps_s": round(float(max(5.0, 2 * spacing / model.vp_km_s[0])), 1),
        "dbscan_min_samples": 3,
        "max_sigma_s": 2.0,
        "oversample_factor": 2,
    }
    return GammaSettings(**{name: _value_or(getattr(params, name), value) for name, value in derived.items()})
