"""Section ``magnitude`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from pickflow.run.settings.section import Flag, Names, Number, Section, Text, Whole, key, refusal


class CustomLaw(Section):
    """
    A law of your own, ML = log10(A) + a log10(R / 100) + b (R - 100) + c, with A in mm and the hypocentral distance
    R in km; null unless law is custom.
    """

    ORDERED: ClassVar = (("min_distance_km", "max_distance_km"),)

    a: Number = key(..., "Factor of log10(R / 100).")
    b: Number = key(..., "Factor of R - 100, per km.")
    c: Number = key(3.0, "Magnitude of 1 mm at 100 km.")
    gain: Number = key(2080.0, "Static magnification of the Wood-Anderson seismometer.", gt=0)
    damping: Number = key(0.7, "Its damping.", gt=0)
    min_distance_km: Number = key(0.0, "Smallest hypocentral distance in km.", ge=0)
    max_distance_km: Number = key(1000.0, "Largest hypocentral distance in km.", gt=0)


class MagnitudeParams(Section):
    """Local magnitudes from simulated Wood-Anderson amplitudes."""

    AFFECTS: ClassVar = ("amplitude",)

    law: Literal["california", "italy", "ne-italy", "custom"] = key(
        "california",
        "Attenuation law of ML, named after the region it was made for; custom takes the numbers of magnitude.custom.",
    )
    custom: CustomLaw | None = None
    minimum_frequency_hz: Number = key(
        0.5,
        "Corner of the high-pass filter in Hz, which keeps microseism and the drift of accelerometers out.",
        gt=0,
        le=1,
    )
    noise_s: Number = key(10.0, "Length of the noise before the P arrival, in s.", ge=2, le=60)
    window_factor: Number = key(1.0, "The window ends this many S-P times after the S arrival.", ge=0.5)
    min_window_s: Number = key(5.0, "It ends at least this long after the S arrival, in s.", ge=1, le=20)
    max_window_s: Number = key(60.0, "It ends at most this long after the S arrival, in s.", ge=20)
    min_snr_db: Number = key(
        6.0, "Least ratio of the peaks of signal and noise on each horizontal component, in dB.", ge=0
    )
    min_stations: Whole = key(2, "An event with magnitudes of fewer stations has none.", affects="catalog", ge=2)
    station_corrections: Annotated[
        dict[
            Annotated[Text, Field(pattern=r"\A[^.]+[.][^.]+\Z", description="NETWORK.STATION such as CI.CLC")], Number
        ],
        Names,
    ] = key({}, "Added to the magnitudes of a station, by NETWORK.STATION.", affects="catalog")
    estimate_corrections: Flag = key(
        False,
        "Whether corrections of the stations that have none are estimated from the catalog's own residuals.",
        affects="catalog",
    )
    min_correction_events: Whole = key(
        10,
        "Least number of events with magnitudes from which a correction of a station is estimated.",
        affects="catalog",
        ge=2,
    )

    @model_validator(mode="after")
    def _check_law(self) -> Self:
        if self.law == "custom" and self.custom is None:
            raise refusal("custom", "law is custom: give the numbers of yours, at least a and b")
        return self
