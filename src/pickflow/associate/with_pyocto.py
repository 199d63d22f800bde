"""Association with PyOcto (Münchmeyer 2024, Seismica 3, 10.26443/seismica.v3i1.1130)."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyocto

from pickflow.associate.observations import Array, Observations
from pickflow.associate.settings import AssociateSettings
from pickflow.associate.tables import travel_time_table
from pickflow.io.atomic import write_bytes
from pickflow.travel_times.tables import TravelTimes

_TABLE_STEP_KM = 1.0  # chosen: travel times bend little within a kilometre


def associate_pyocto(observations: Observations, times: TravelTimes, settings: AssociateSettings) -> Array:
    """
    Origins x, y, depth, time, shape (n, 4), by partitioning space and time into an octree.

    Parameters
    ----------
    observations : Observations
        Picks, sorted by time.
    times : TravelTimes
        One layer is treated as homogeneous, more as a table of travel times.
    settings : AssociateSettings
        See `derive_settings`.
    """
    places = pd.DataFrame(
        {"id": observations.station, "x": observations.x_km, "y": observations.y_km, "z": observations.depth_km}
    )
    stations = places.drop_duplicates("id").sort_values("id", ignore_index=True)
    picks = pd.DataFrame(
        {
            "station": observations.station,
            "phase": np.where(observations.is_s, "S", "P"),
            "time": observations.time_s,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        associator = _associator(_velocity_model(times, settings, Path(folder)), settings)
        events, _ = associator.associate(picks, stations)
    if events.empty:  # without the columns of an event
        return np.empty((0, 4))
    return events[["x", "y", "z", "time"]].to_numpy(float)


def _associator(velocity_model: pyocto.VelocityModel, settings: AssociateSettings) -> pyocto.OctoAssociator:
    return pyocto.OctoAssociator(
        xlim=settings.x_range_km,
        ylim=settings.y_range_km,
        zlim=(0.0, settings.max_depth_km),
        velocity_model=velocity_model,
        time_before=settings.pyocto.time_before_s,
        time_slicing=settings.pyocto.time_slice_s,
        min_node_size=settings.pyocto.min_node_size_km,
        min_pick_fraction=settings.pyocto.min_pick_fraction,
        min_interevent_time=settings.pyocto.min_interevent_time_s,
        pick_match_tolerance=settings.max_residual_s,
        n_picks=settings.min_picks,
        n_p_picks=settings.min_p_picks,
        n_s_picks=settings.min_s_picks,
        n_p_and_s_picks=settings.min_p_and_s_stations,
        n_threads=settings.threads,
    )


def _velocity_model(times: TravelTimes, settings: AssociateSettings, folder: Path) -> pyocto.VelocityModel:
    model = times.model
    tolerance = settings.pyocto.velocity_tolerance_s
    cutoff = settings.pyocto.cutoff_distance_km
    if model.top_depth_km.size == 1:
        return pyocto.VelocityModel0D(
            float(model.vp_km_s[0]), float(model.vs_km_s[0]), tolerance, association_cutoff_distance=cutoff
        )
    width = np.ptp(settings.x_range_km), np.ptp(settings.y_range_km)
    table = travel_time_table(times, float(np.hypot(*width)), settings.max_depth_km, _TABLE_STEP_KM)
    path = folder / "travel_times.bin"
    # The layout that PyOcto's VelocityModel1D reads: two counts, the step, then the times of P and of S.
    header = struct.pack("iid", *table.p_time_s.shape, table.step_km)
    write_bytes(path, header + table.p_time_s.tobytes() + table.s_time_s.tobytes())
    return pyocto.VelocityModel1D(
        path,
        tolerance,
        association_cutoff_distance=cutoff,
        surface_p_velocity=float(model.vp_km_s[0]),
        surface_s_velocity=float(model.vs_km_s[0]),
    )
