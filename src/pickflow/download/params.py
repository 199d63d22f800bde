"""Parameters of the download stage; their defaults are in ``workflow/schemas/download.schema.yaml``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RectangleParams:
    """Rectangle in geographic coordinates; it crosses the date line if the minimum longitude is the larger one."""

    min_latitude_deg: float
    max_latitude_deg: float
    min_longitude_deg: float
    max_longitude_deg: float


@dataclass(frozen=True, kw_only=True)
class CircleParams:
    """Ring around a point, on the ellipsoid."""

    latitude_deg: float
    longitude_deg: float
    min_radius_km: float
    max_radius_km: float


@dataclass(frozen=True, kw_only=True)
class DomainParams:
    """Where stations are asked for: one of the two shapes, or both."""

    rectangle: RectangleParams | None
    circle: CircleParams | None


@dataclass(frozen=True, kw_only=True)
class FdsnParams:
    """Data centres, access and manners towards them."""

    servers: tuple[str, ...]
    routing: str | None
    token_file: str | None
    user: str | None
    password_env: str | None
    max_requests_per_second: float
    connections: int
    retries: int
    backoff_s: float
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class DownloadParams:
    """Section ``download`` of the configuration."""

    source: str
    path: str | None
    inventory: tuple[str, ...]
    stations: tuple[str, ...]
    exclude: tuple[str, ...]
    domain: DomainParams | None
    channel_priority: tuple[str, ...]
    location_priority: tuple[str, ...]
    network_priority: tuple[str, ...]
    min_station_distance_km: float
    padding_s: float
    min_coverage: float
    cache: str
    fdsn: FdsnParams
