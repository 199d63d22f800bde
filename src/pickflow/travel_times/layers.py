"""First arrivals and rays of P and S in flat layers of constant velocity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

PHASES = ("P", "S")
# A source exactly at the receiver's depth has no vertical path; one millimetre selects the layer and changes no time.
MIN_VERTICAL_PATH_KM = 1e-6
# Faster than any P wave in the Earth.
FASTEST_KM_S = 15.0
_CHUNK_ROWS = 8192  # chosen: limits memory


@dataclass(frozen=True, kw_only=True)
class VelocityModel:
    """
    Flat layers of constant velocity over a half space.

    Depths are km below sea level, positive downwards. The first layer reaches up without end, so that sources and
    receivers above its top (mountains) are inside it; the last one reaches down without end.

    Parameters
    ----------
    top_depth_km : ndarray, shape (n_layers,)
        Top of each layer, increasing.
    vp_km_s, vs_km_s : ndarray, shape (n_layers,)
        Velocities, positive.

    Raises
    ------
    ValueError
        If shapes differ, tops do not increase, a velocity is not positive, vs is not below vp, or vp is no rock's.
    """

    top_depth_km: Array
    vp_km_s: Array
    vs_km_s: Array

    def __post_init__(self) -> None:
        for name in ("top_depth_km", "vp_km_s", "vs_km_s"):
            object.__setattr__(self, name, np.atleast_1d(np.asarray(getattr(self, name), dtype=float)))
        if not self.top_depth_km.shape == self.vp_km_s.shape == self.vs_km_s.shape or self.top_depth_km.ndim != 1:
            raise ValueError(
                f"velocity model: {self.top_depth_km.size} tops, {self.vp_km_s.size} vp, {self.vs_km_s.size} vs; "
                "give one of each per layer"
            )
        if self.top_depth_km.size == 0 or np.any(np.diff(self.top_depth_km) <= 0):
            raise ValueError(f"velocity model: tops {self.top_depth_km.tolist()} km must increase with depth")
        if not (np.all(self.vp_km_s > 0) and np.all(self.vs_km_s > 0)):
            raise ValueError("velocity model: every vp and vs must be positive; fluids are not supported")
        if np.any(self.vs_km_s >= self.vp_km_s) or np.any(self.vp_km_s > FASTEST_KM_S):
            raise ValueError(
                f"velocity model: vp {self.vp_km_s.tolist()} and vs {self.vs_km_s.tolist()} km/s; vs must be smaller,"
                f" and vp at most {FASTEST_KM_S:g} km/s (are these m/s?)"
            )

    def velocity_km_s(self, phase: str) -> Array:
        """Velocity of each layer for a phase, shape (n_layers,)."""
        if phase not in PHASES:
            raise ValueError(f"phase {phase!r} is unknown; known: {', '.join(PHASES)}")
        return self.vp_km_s if phase == "P" else self.vs_km_s

    def layer_of(self, depth_km: ArrayLike) -> NDArray[np.intp]:
        """Index of the layer that holds a depth; an interface belongs to the layer below."""
        return np.maximum(np.searchsorted(self.top_depth_km, np.asarray(depth_km, dtype=float), side="right") - 1, 0)


@dataclass(frozen=True, kw_only=True)
class Ray:
    """
    Rays, one per row.

    Parameters
    ----------
    time_s : ndarray, shape (n,)
        Travel time; infinite where the ray does not exist.
    ray_parameter_s_km : ndarray, shape (n,)
        Horizontal slowness.
    takeoff_angle_deg : ndarray, shape (n,)
        Angle at the source from the downward vertical: 0 down, 180 up.
    incidence_angle_deg : ndarray, shape (n,)
        Angle at the receiver from the vertical.
    path_length_km : ndarray, shape (n,)
        Length of the ray.
    spreading_km : ndarray, shape (n,)
        Distance in a homogeneous medium that would weaken the wave as much.
    layer_time_s : ndarray, shape (n, n_layers)
        Time spent in each layer; divided by Q and summed it is t*.
    """

    time_s: Array
    ray_parameter_s_km: Array
    takeoff_angle_deg: Array
    incidence_angle_deg: Array
    path_length_km: Array
    spreading_km: Array
    layer_time_s: Array


def homogeneous(vp_km_s: float, vs_km_s: float) -> VelocityModel:
    """Velocity model of one half space."""
    return VelocityModel(top_depth_km=np.zeros(1), vp_km_s=np.array([vp_km_s]), vs_km_s=np.array([vs_km_s]))


def travel_time_s(
    model: VelocityModel,
    phase: str,
    distance_km: ArrayLike,
    source_depth_km: ArrayLike,
    receiver_depth_km: ArrayLike = 0.0,
) -> Array:
    """
    Time of the first arrival: the direct ray or a head wave on a deeper interface.

    Parameters
    ----------
    model : VelocityModel
        The layers.
    phase : str
        ``P`` or ``S``.
    distance_km, source_depth_km, receiver_depth_km : array_like
        Epicentral distance and depths below sea level; broadcast against each other.

    Returns
    -------
    ndarray
        Travel times in s, in the broadcast shape.

    Raises
    ------
    ValueError
        If the phase is unknown, or a distance is negative or not finite.
    """
    velocity = model.velocity_km_s(phase)
    shape, distance, source, receiver = _broadcast(distance_km, source_depth_km, receiver_depth_km)
    upper, lower = _ends(source, receiver)
    times = np.empty(distance.size)
    for start in range(0, distance.size, _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        thickness = _thickness(model, upper[rows], lower[rows])
        slowness, _ = _direct_slowness(velocity, thickness, distance[rows])
        times[rows] = _time(velocity, thickness, distance[rows], slowness)
        head, _ = _head_wave(model, velocity, distance[rows], upper[rows], lower[rows])
        times[rows] = np.minimum(times[rows], head)
    return times.reshape(shape)


def predict_s(
    model: VelocityModel, is_s: NDArray[np.bool_], distance_km: Array, source_depth_km: Array, receiver_depth_km: Array
) -> Array:
    """Travel time of each arrival in s; all arrays have the shape (n,)."""
    times = np.empty(distance_km.size)
    for phase, rows in (("P", ~is_s), ("S", is_s)):
        times[rows] = travel_time_s(model, phase, distance_km[rows], source_depth_km[rows], receiver_depth_km[rows])
    return times


def direct_ray(
    model: VelocityModel,
    phase: str,
    distance_km: ArrayLike,
    source_depth_km: ArrayLike,
    receiver_depth_km: ArrayLike = 0.0,
) -> Ray:
    """
    Ray that goes straight up from the source (or down to a deeper receiver), refracted at each interface.

    Parameters are those of `travel_time_s`; the result has one row per broadcast element. The geometrical spreading
    is the exact one of ray theory in layers (Aki and Richards 2002, section 9.3).
    """
    velocity = model.velocity_km_s(phase)
    _, distance, source, receiver = _broadcast(distance_km, source_depth_km, receiver_depth_km)
    thickness = _thickness(model, *_ends(source, receiver))
    slowness, slope = _direct_slowness(velocity, thickness, distance)
    cosine = np.sqrt(np.maximum(1 - (slowness[:, None] * velocity) ** 2, 1e-18))
    source_layer, receiver_layer = _end_layers(model, source, receiver)
    rows = np.arange(distance.size)
    # x / p has the finite limit dx/dp straight above the source.
    distance_per_slowness = np.where(slowness > 1e-9, distance / np.maximum(slowness, 1e-9), slope)
    cosines = cosine[rows, source_layer] * cosine[rows, receiver_layer]
    takeoff = np.degrees(np.arcsin(np.minimum(slowness * velocity[source_layer], 1.0)))
    return Ray(
        time_s=_time(velocity, thickness, distance, slowness),
        ray_parameter_s_km=slowness,
        takeoff_angle_deg=np.where(source >= receiver, 180 - takeoff, takeoff),
        incidence_angle_deg=np.degrees(np.arcsin(np.minimum(slowness * velocity[receiver_layer], 1.0))),
        path_length_km=(thickness / cosine).sum(axis=1),
        spreading_km=np.sqrt(cosines * slope * distance_per_slowness) / velocity[source_layer],
        layer_time_s=thickness / (velocity * cosine),
    )


def refracted_ray(
    model: VelocityModel,
    phase: str,
    distance_km: ArrayLike,
    source_depth_km: ArrayLike,
    receiver_depth_km: ArrayLike = 0.0,
) -> Ray:
    """
    Fastest head wave on an interface below source and receiver.

    Parameters are those of `travel_time_s`; the result has one row per broadcast element, with infinite time where no
    head wave exists.
    """
    # ASSUME velocity rises a little below each interface, so that the wave spreads as a body wave along its path:
    # pure head waves, which decay faster, are rarely observed.
    velocity = model.velocity_km_s(phase)
    _, distance, source, receiver = _broadcast(distance_km, source_depth_km, receiver_depth_km)
    upper, lower = _ends(source, receiver)
    times, interface = _head_wave(model, velocity, distance, upper, lower)
    exists = interface > 0
    slowness = np.where(exists, 1 / velocity[interface], 0.0)
    bottom = model.top_depth_km[interface]
    legs = np.where(exists[:, None], _thickness(model, upper, bottom) + _thickness(model, lower, bottom), 0.0)
    cosine = np.sqrt(np.maximum(1 - (slowness[:, None] * velocity) ** 2, 1e-18))
    interface_km = np.where(exists, distance - (legs * slowness[:, None] * velocity / cosine).sum(axis=1), 0.0)
    layer_time = legs / (velocity * cosine)
    layer_time[np.arange(distance.size), interface] += interface_km * slowness
    path = (legs / cosine).sum(axis=1) + interface_km
    source_layer, receiver_layer = _end_layers(model, source, receiver)
    return Ray(
        time_s=times,
        ray_parameter_s_km=slowness,
        takeoff_angle_deg=np.degrees(np.arcsin(np.minimum(slowness * velocity[source_layer], 1.0))),
        incidence_angle_deg=np.degrees(np.arcsin(np.minimum(slowness * velocity[receiver_layer], 1.0))),
        path_length_km=path,
        spreading_km=path,
        layer_time_s=layer_time,
    )


def _broadcast(
    distance_km: ArrayLike, source_depth_km: ArrayLike, receiver_depth_km: ArrayLike
) -> tuple[tuple[int, ...], Array, Array, Array]:
    """Broadcast shape, and distance, source and receiver depth as flat arrays."""
    values = [np.asarray(value, dtype=float) for value in (distance_km, source_depth_km, receiver_depth_km)]
    shape = np.broadcast_shapes(*(value.shape for value in values))
    distance, source, receiver = (np.broadcast_to(value, shape).ravel() for value in values)
    if not np.all(np.isfinite(distance) & np.isfinite(source) & np.isfinite(receiver)) or np.any(distance < 0):
        raise ValueError("travel times need finite depths and finite distances of at least 0 km")
    return shape, distance, source, receiver


def _ends(source: Array, receiver: Array) -> tuple[Array, Array]:
    """Upper and lower end; reciprocity makes source and receiver interchangeable."""
    upper = np.minimum(source, receiver)
    return upper, np.maximum(np.maximum(source, receiver), upper + MIN_VERTICAL_PATH_KM)


def _end_layers(model: VelocityModel, source: Array, receiver: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Layers in which rays leave the source and reach the receiver: the lower end counts to the layer above it."""
    upper, lower = _ends(source, receiver)
    upper_layer, lower_layer = model.layer_of(upper), model.layer_of(lower - MIN_VERTICAL_PATH_KM / 2)
    upwards = source >= receiver
    return np.where(upwards, lower_layer, upper_layer), np.where(upwards, upper_layer, lower_layer)


def _thickness(model: VelocityModel, upper_km: Array, lower_km: Array) -> Array:
    """Vertical path in each layer between two depths, shape (n, n_layers)."""
    tops = np.concatenate([[-np.inf], model.top_depth_km[1:]])
    bottoms = np.concatenate([model.top_depth_km[1:], [np.inf]])
    path = np.minimum(lower_km[:, None], bottoms) - np.maximum(upper_km[:, None], tops)
    return np.maximum(path, 0.0)


def _direct_slowness(velocity: Array, thickness: Array, distance: Array) -> tuple[Array, Array]:
    """
    Ray parameter of the direct ray and dx/dp.

    The unknown is the tangent of the angle in the fastest layer crossed: the distance rises with it and is concave,
    so that Newton's method from a lower bound never overshoots and needs no safeguard.
    """
    highest = np.where(thickness > 0, velocity, 0.0).max(axis=1)
    ratio = np.where(thickness > 0, velocity / highest[:, None], 0.0)
    weight = thickness * ratio
    bend = np.maximum(1 - ratio**2, 0.0)
    tangent = distance / weight.sum(axis=1)
    for _ in range(100):
        root = np.sqrt(1 + tangent[:, None] ** 2 * bend)
        missing = distance - tangent * (weight / root).sum(axis=1)
        step = np.maximum(missing, 0.0) / (weight / root**3).sum(axis=1)
        tangent = tangent + step
        if np.all(step <= 1e-13 * (1 + tangent)):
            break
    secant = np.sqrt(1 + tangent**2)
    slope_per_tangent = (weight / np.sqrt(1 + tangent[:, None] ** 2 * bend) ** 3).sum(axis=1)
    return tangent / (highest * secant), slope_per_tangent * highest * secant**3


def _time(velocity: Array, thickness: Array, distance: Array, slowness: Array) -> Array:
    """Travel time as p x + intercept, which is stationary in p: small errors of p do not matter."""
    vertical = np.sqrt(np.maximum(1 / velocity**2 - slowness[:, None] ** 2, 0.0))
    return slowness * distance + (thickness * vertical).sum(axis=1)


def _head_wave(
    model: VelocityModel, velocity: Array, distance: Array, upper: Array, lower: Array
) -> tuple[Array, NDArray[np.intp]]:
    """Time and interface (index of the layer below it; 0: none) of the fastest head wave."""
    best = np.full(distance.size, np.inf)
    interface = np.zeros(distance.size, dtype=np.intp)
    for layer in range(1, velocity.size):
        bottom = np.full(distance.size, model.top_depth_km[layer])
        legs = (_thickness(model, upper, bottom) + _thickness(model, lower, bottom))[:, :layer]
        slowness = 1 / velocity[layer]
        is_slower = velocity[:layer] < velocity[layer]
        vertical = np.sqrt(np.where(is_slower, 1 / velocity[:layer] ** 2 - slowness**2, 1.0))
        exists = (lower <= bottom) & ~np.any((legs > 0) & ~is_slower, axis=1)
        exists &= distance >= (legs * slowness / vertical).sum(axis=1)
        times = np.where(exists, distance * slowness + (legs * vertical).sum(axis=1), np.inf)
        interface = np.where(times < best, layer, interface)
        best = np.minimum(best, times)
    return best, interface
