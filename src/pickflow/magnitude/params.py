"""Parameters of the stage, as the configuration has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CustomLaw:
    """A law of the user's own; see ``workflow/schemas/magnitude.schema.yaml``."""

    a: float
    b: float
    c: float
    gain: float
    damping: float
    min_distance_km: float
    max_distance_km: float


@dataclass(frozen=True, kw_only=True)
class MagnitudeParams:
    """Parameters of magnitudes; see ``workflow/schemas/magnitude.schema.yaml``."""

    law: str
    custom: CustomLaw | None
    minimum_frequency_hz: float
    noise_s: float
    window_factor: float
    min_window_s: float
    max_window_s: float
    min_snr_db: float
    min_stations: int
    station_corrections: Mapping[str, float]
    estimate_corrections: bool
    min_correction_events: int
