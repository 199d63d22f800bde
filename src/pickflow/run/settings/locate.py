"""Section ``locate`` of a configuration."""

from __future__ import annotations

from typing import ClassVar

from pickflow.run.settings.section import Flag, Number, Section, Whole, key


class CorrectionParams(Section):
    """Station corrections, the median residual of each station and phase, estimated together with the origins."""

    enabled: Flag = key(True, "Whether they are estimated and applied.")
    rounds: Whole = key(4, "How often they are estimated and the events located anew.", ge=1, le=20)
    min_events: Whole = key(
        30, "Least number of well-located events (quality A to C); with fewer there are no corrections.", ge=1
    )
    min_picks: Whole = key(5, "Least number of picks of a station and phase.", ge=1)
    damping_picks: Number = key(5.0, "A median of n residuals counts as n / (n + this).", ge=0)


class LocateParams(Section):
    """
    Relocation of the associated events in the velocity model of the association; null asks for a derived value.
    """

    AFFECTS: ClassVar = ("locate",)
    ORDERED: ClassVar = (("min_depth_km", "max_depth_km"),)

    min_depth_km: Number | None = key(
        None, "Least depth in km below sea level; null is minus the median elevation of the stations.", ge=-10, le=700
    )
    max_depth_km: Number | None = key(
        None, "Largest depth in km below sea level; null is 0.3 of the network's diagonal, 30 to 250.", gt=0, le=700
    )
    reach_km: Number = key(
        300.0, "Epicentres are searched this far, in km, around the station of the first arrival.", gt=0, le=1000
    )
    p_uncertainty_s: Number = key(
        0.1, "Standard deviation of the time of P picks that have none of their own, in s.", gt=0
    )
    s_uncertainty_s: Number = key(
        0.2, "Standard deviation of the time of S picks that have none of their own, in s.", gt=0
    )
    model_error_s: Number = key(
        0.1,
        "Standard deviation of every predicted travel time, in s; uncertainties do not fall far below what it implies.",
        gt=0,
    )
    model_error_fraction: Number = key(
        0.02, "More of that, as a share of the travel time, so that far stations count less.", ge=0, le=0.5
    )
    corrections: CorrectionParams = CorrectionParams()
