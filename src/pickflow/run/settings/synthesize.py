"""Section ``synthesize`` of a configuration."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import model_validator

from pickflow.codes import code_problem
from pickflow.run.settings.section import Number, Section, Text, Whole, key, refusal
from pickflow.windows import parse_time

FaultName = Literal[
    "gap",
    "overlap",
    "spike",
    "dead_channel",
    "clock_jump",
    "wrong_rate",
    "one_component",
    "duplicate_location",
    "step",
    "saturated",
]
FAULTS = get_args(FaultName)
_Section = TypeVar("_Section", bound=Section)
# The network of the demo: the values of the classes below in the order of their keys.
# fmt: off
_LAYERS = (
    (0, 4.6, 2.6, 2.5, 150, 80),
    (2, 5.8, 3.26, 2.65, 450, 250),
    (12, 6.2, 3.5, 2.75, 700, 380),
    (22, 6.7, 3.8, 2.9, 900, 500),
    (39, 8.0, 4.5, 3.3, 1200, 600),
)
_SOURCES = (
    ("foothill thrust", 46.24, 13.05, 9, 265, 35, 90, 28, 12, 3),
    ("western thrust", 46.12, 12.48, 10, 240, 40, 85, 22, 10, 2),
    ("eastern strike slip", 46.22, 13.62, 8, 312, 80, 175, 30, 9, 2),
)
_STATIONS = (
    ("SY", "ALBA", 46.412, 12.815, 820, ("HH",), 0.38, 3, 1.0, 0.025, -0.03),
    ("SY", "BORA", 46.332, 13.241, 610, ("HH",), 0.35, 2, 1.0, 0.022, 0.02),
    ("SY", "CIMA", 46.488, 13.448, 1240, ("HH",), 0.32, 1, 0.9, 0.02, -0.04),
    ("SY", "DOSS", 46.214, 12.662, 540, ("HH",), 0.4, 4, 1.1, 0.028, 0.01),
    ("SY", "ERBE", 46.121, 13.136, 190, ("HH",), 0.48, 8, 1.5, 0.036, 0.06),
    ("SY", "FORC", 46.318, 12.311, 980, ("HH",), 0.36, 2, 1.0, 0.024, -0.02),
    ("SY", "GRAV", 45.968, 12.768, 70, ("EH",), 0.5, 10, 1.9, 0.042, 0.09),
    ("SY", "LAGO", 46.141, 12.204, 390, ("HH", "HN",), 0.42, 4, 1.1, 0.028, 0.02),
    ("SY", "MONT", 46.045, 13.446, 330, ("HH",), 0.43, 5, 1.2, 0.03, 0.03),
    ("SY", "NEVE", 46.548, 13.012, 1510, ("EH",), 0.32, 1, 0.9, 0.02, -0.04),
    ("SY", "PALU", 46.262, 13.851, 710, ("HH",), 0.37, 2, 1.0, 0.024, -0.01),
    ("SY", "ROCA", 46.196, 12.942, 260, ("HN",), 0.45, 6, 1.4, 0.034, 0.05),
)
# fmt: on


def _of(kind: type[_Section], rows: Iterable[tuple[Any, ...]]) -> tuple[_Section, ...]:
    return tuple(kind(**dict(zip(kind.model_fields, row, strict=True))) for row in rows)


class Layer(Section):
    """A layer of the medium; its quality factors are those of the whole path inside it."""

    top_depth_km: Number = key(..., "Top of the layer below sea level, km.")
    vp_km_s: Number = key(..., "P velocity, km/s.", gt=0)
    vs_km_s: Number = key(..., "S velocity, km/s.", gt=0)
    density_g_cm3: Number = key(..., "Density, g/cm3.", gt=0)
    qp: Number = key(..., "Quality factor of P.", gt=0)
    qs: Number = key(..., "Quality factor of S.", gt=0)


class Scattering(Section):
    """The coda."""

    quality_1hz: Number = key(90.0, "Coda Q at 1 Hz.", gt=0)
    exponent: Number = key(0.8, "Coda Q grows as frequency to this power.")
    energy_ratio: Number = key(6.0, "Energy of the coda over that of the direct wave at 30 km.", ge=0)


class PinnedEvent(Section):
    """An earthquake that must be there."""

    time: Text = key(..., "Origin time, UTC.")
    magnitude: Number = key(..., "Moment magnitude.")


class SeismicSource(Section):
    """A rectangular fault on which earthquakes happen."""

    name: Text = key(..., "Name of the fault.")
    latitude_deg: Number = key(..., "Latitude of its centre, degrees.")
    longitude_deg: Number = key(..., "Longitude of its centre, degrees.")
    depth_km: Number = key(..., "Depth of its centre, km.")
    strike_deg: Number = key(..., "Strike, degrees.")
    dip_deg: Number = key(..., "Dip, degrees.")
    rake_deg: Number = key(..., "Rake, degrees.")
    length_km: Number = key(..., "Length along strike, km.")
    width_km: Number = key(..., "Width down dip, km.")
    weight: Number = key(..., "Share of the earthquakes.", gt=0)


class Seismicity(Section):
    """The earthquakes."""

    ORDERED: ClassVar = (("min_magnitude", "max_magnitude"),)

    n_events: Whole = key(40, "Number of earthquakes, pinned ones included.", ge=1)
    min_magnitude: Number = key(0.8, "Least moment magnitude.")
    max_magnitude: Number = key(3.5, "Largest moment magnitude.")
    b_value: Number = key(0.85, "Slope of the Gutenberg-Richter law.", gt=0)
    min_spacing_s: Number = key(70.0, "Least time between two origins, s.", ge=0)
    stress_drop_mpa: Number = key(3.0, "Median stress drop, MPa.", gt=0)
    pinned: tuple[PinnedEvent, ...] = key(
        (PinnedEvent(time="2026-01-15T23:59:54.2Z", magnitude=2.3),),
        "Earthquakes that must be there, by origin time and moment magnitude.",
    )
    sources: tuple[SeismicSource, ...] = key(
        _of(SeismicSource, _SOURCES), "Rectangular faults on which the earthquakes happen.", min_length=1
    )

    @model_validator(mode="after")
    def _check_number(self) -> Self:
        if self.n_events < len(self.pinned):
            raise refusal("n_events", f"{self.n_events} are fewer than the {len(self.pinned)} pinned ones")
        return self


class Site(Section):
    """A station: where it is, how noisy, and what its ground does."""

    network: Text = key(..., "Network code.")
    station: Text = key(..., "Station code.")
    latitude_deg: Number = key(..., "Latitude, degrees.")
    longitude_deg: Number = key(..., "Longitude, degrees.")
    elevation_m: Number = key(..., "Elevation, m.")
    bands: tuple[Literal["HH", "EH", "HN"], ...] = key(
        ..., "Band and instrument codes - HH broadband, EH geophone, HN accelerometer.", min_length=1
    )
    noise_level: Number = key(..., "0 is Peterson's low-noise model, 1 the high-noise model.")
    bursts_per_hour: Number = key(..., "Bursts of cultural noise per hour.", ge=0)
    amplification: Number = key(..., "Factor of the site on ground motion.", gt=0)
    kappa_s: Number = key(..., "Attenuation below the site, s.", ge=0)
    delay_s: Number = key(..., "Delay of P at the site, s; S has 1.7 times as much.")


class Fault(Section):
    """Something that is wrong with the records of a station."""

    fault: FaultName = key(..., "Kind.")
    station: Text = key(..., "network.station.")
    starttime: Text | None = key(
        None, "When it begins, UTC; without it at a third of the window (dead_channel - always)."
    )
    duration_s: Number | None = key(None, "How long, s; without it 120 (gap), 60 (overlap) or to the end.", gt=0)
    size: Number | None = key(
        None,
        "clock_jump - seconds; spike and step - multiples of the noise; saturated - share of the peak that is left.",
    )


class SynthesizeParams(Section):
    """The synthetic network that the demo uses; made only when the run's source asks for it."""

    AFFECTS: ClassVar = ("synthesize",)

    seed: Whole = key(
        20260115, "Seed of everything random; each event, station and channel has its own stream of it.", ge=0
    )
    starttime: Text = key("2026-01-15T23:00:00Z", "Begin of the window with earthquakes, UTC.", affects="nothing")
    endtime: Text = key("2026-01-16T01:00:00Z", "End of the window with earthquakes, UTC.", affects="nothing")
    padding_s: Number = key(120.0, "Records reach this much beyond the window on both sides, s.", ge=0)
    sampling_rate_hz: Number = key(100.0, "Sampling rate of every channel, Hz.", gt=0)
    min_stations: Whole = key(4, "An earthquake is detectable when P is above the noise at this many stations.", ge=1)
    min_snr_db: Number = key(15.0, 'What "above the noise" means - peak of P over the rms of the noise, 2-20 Hz, dB.')
    layers: tuple[Layer, ...] = key(
        _of(Layer, _LAYERS), "The medium, from the top down; the last layer is the half space.", min_length=1
    )
    scattering: Scattering = Scattering()
    seismicity: Seismicity = Seismicity()
    stations: tuple[Site, ...] = key(_of(Site, _STATIONS), "The network.", min_length=1)
    faults: tuple[Fault, ...] = key((), "What is wrong with the records.")

    @model_validator(mode="after")
    def _check_stations(self) -> Self:
        codes = [f"{site.network}.{site.station}" for site in self.stations]
        for site in self.stations:
            if problem := code_problem(site.network, site.station):
                raise refusal("stations", problem)
        if len(set(codes)) < len(codes):
            raise refusal("stations", "a station occurs more than once")
        for fault in self.faults:
            if fault.station not in codes:
                raise refusal("faults", f"no station {fault.station!r}; known: {', '.join(sorted(codes))}")
        return self

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Window in which earthquakes happen."""
        starttime, endtime = parse_time(self.starttime), parse_time(self.endtime)
        if endtime <= starttime:
            raise ValueError("synthesize.endtime must be later than synthesize.starttime")
        return starttime, endtime
