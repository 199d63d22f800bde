"""Association with GaMMA (Zhu et al. 2022, Journal of Geophysical Research 127, 10.1029/2021JB023249)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import gamma.utils
import numpy as np
from threadpoolctl import threadpool_limits

from pickflow.associate.observations import Array, Index, Observations
from pickflow.associate.settings import AssociateSettings
from pickflow.associate.tables import travel_time_table
from pickflow.travel_times.tables import TravelTimes

_TABLE_STEP_KM = 0.5  # as in the table that locates
_SEED = 42  # arbitrary: the same picks must give the same events
_MIXTURE = "BGMM"
# Chosen: GaMMA leaves out arrivals that fit; the stage adds them later and then applies the minimum of the settings.
_MISSED_PICKS = 2
_MAX_GROUP = 150  # picks
# Parts of a large group overlap by this share of the time that waves need to cross the network: the mixture's time
# grows with the square of the picks, and the nearer half of its picks is enough for an origin.
_OVERLAP = 0.3


def associate_gamma(observations: Observations, times: TravelTimes, settings: AssociateSettings) -> Array:
    """
    Origins x, y, depth, time, shape (n, 4), as components of a Bayesian Gaussian mixture.

    DBSCAN cuts the picks into groups; each group is solved on its own, seeded, so that the result depends neither on
    the order of the groups nor on the number of processes.

    Parameters
    ----------
    observations : Observations
        Picks, sorted by time.
    times : TravelTimes
        One layer is treated as homogeneous, more as a table of travel times.
    settings : AssociateSettings
        See `derive_settings`.
    """
    arrays = _arrays(observations)
    config = _config(observations, times, settings)
    velocity = {"p": float(times.model.vp_km_s[0]), "s": float(times.model.vs_km_s[0])}
    labels = _groups(arrays, velocity, settings)
    groups = [
        part
        for label in np.unique(labels[labels >= 0])
        for part in _cut(np.flatnonzero(labels == label), observations.time_s, settings)
        if part.size >= settings.min_picks
    ]
    tasks = [(tuple(array[group] for array in arrays), config, velocity) for group in groups]
    if settings.threads > 1 and len(tasks) > 1:
        # Its processes end when they are told; those of a Pool are sent SIGTERM, whose handler they may have inherited.
        with ProcessPoolExecutor(min(settings.threads, len(tasks)), mp_context=get_context("fork")) as pool:
            solutions = list(pool.map(_solve, *zip(*tasks, strict=True)))
    else:
        solutions = [_solve(*task) for task in tasks]
    return np.concatenate([np.empty((0, 4)), *solutions])


Arrays = tuple[np.ndarray, ...]


def _arrays(observations: Observations) -> Arrays:
    """What GaMMA calls data, locations, phase type, phase weight, pick index and pick station."""
    phase = np.where(observations.is_s, "s", "p")
    return (
        observations.time_s[:, None],
        np.column_stack([observations.x_km, observations.y_km, observations.depth_km]),
        phase,
        observations.picks.probability.fillna(1.0).to_numpy(float)[:, None],
        np.arange(phase.size),
        np.char.add(np.char.add(observations.station, "_"), phase),
    )


def _groups(arrays: Arrays, velocity: dict[str, float], settings: AssociateSettings) -> np.ndarray:
    time, sites, phase, weight, *_ = arrays
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return gamma.utils.hierarchical_dbscan_clustering(
            time,
            sites,
            phase,
            weight,
            velocity,
            eps=settings.gamma.dbscan_eps_s,
            min_samples=settings.gamma.dbscan_min_samples,
        )


def _cut(rows: Index, time_s: Array, settings: AssociateSettings) -> list[Index]:
    """
    A group as it is, or in parts that overlap by half if it is large.

    In a swarm DBSCAN makes one group of a whole day, for which the mixture does not converge.
    """
    if rows.size <= _MAX_GROUP:
        return [rows]
    time = time_s[rows]
    length = _OVERLAP * settings.pyocto.time_before_s
    starts = np.arange(time.min(), time.max(), length)
    return [rows[(time >= start) & (time < start + 2 * length)] for start in starts]


def _config(observations: Observations, times: TravelTimes, settings: AssociateSettings) -> dict[str, Any]:
    x_range, y_range, depth = settings.x_range_km, settings.y_range_km, settings.max_depth_km
    bounds = (x_range, y_range, (0.0, depth), (None, None))
    return {
        "dims": ["x(km)", "y(km)", "z(km)"],
        "x(km)": x_range,
        "y(km)": y_range,
        "z(km)": (0.0, depth),
        "bfgs_bounds": bounds,
        "use_amplitude": False,
        "oversample_factor": settings.gamma.oversample_factor,
        "max_sigma11": settings.gamma.max_sigma_s,
        "min_picks_per_eq": max(4, settings.min_picks - _MISSED_PICKS),
        "min_p_picks_per_eq": max(1, settings.min_p_picks - _MISSED_PICKS),
        "min_s_picks_per_eq": max(1, settings.min_s_picks - _MISSED_PICKS),
        "eikonal": _table(observations, times, settings) if times.model.top_depth_km.size > 1 else None,
    }


def _table(observations: Observations, times: TravelTimes, settings: AssociateSettings) -> dict[str, Any]:
    """Our travel times in the layout of GaMMA's eikonal solver, which would write a folder to the current one."""
    width = np.ptp(settings.x_range_km), np.ptp(settings.y_range_km)
    max_depth_km = settings.max_depth_km + max(0.0, -float(observations.depth_km.min()))
    table = travel_time_table(times, float(np.hypot(*width)), max_depth_km, _TABLE_STEP_KM)
    n_distances, n_depths = table.p_time_s.shape
    content: dict[str, Any] = {
        "nr": n_distances,
        "nz": n_depths,
        "h": table.step_km,
        "rgrid": table.step_km * np.arange(n_distances),
        "zgrid": table.step_km * np.arange(n_depths),
    }
    for key, time_s in (("up", table.p_time_s), ("us", table.s_time_s)):
        content[key] = time_s.ravel()
        content[f"grad_{key}"] = np.array([slope.ravel() for slope in np.gradient(time_s, table.step_km)])
    return content


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """GaMMA draws its starting points from numpy's global generator: seed it, and restore it afterwards."""
    state = np.random.get_state()
    np.random.seed(_SEED)
    try:
        yield
    finally:
        np.random.set_state(state)


def _solve(arrays: Arrays, config: dict[str, Any], velocity: dict[str, float]) -> Array:
    """Origins of one group."""
    time, sites, phase, weight, pick, pick_station = arrays
    with (
        _seeded(),
        threadpool_limits(1),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        events, _ = gamma.utils.associate(
            0, np.zeros(phase.size), time, sites, phase, weight, pick, pick_station, config, 0.0, velocity, _MIXTURE, 0
        )
    epoch = np.datetime64(0, "ns")
    origin = [
        [
            *(event[name] for name in config["dims"]),
            (np.datetime64(event["time"], "ns") - epoch) / np.timedelta64(1, "s"),
        ]
        for event in events
    ]
    return np.array(origin, float).reshape(-1, 4)
