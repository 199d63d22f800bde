"""What a synthetic network consists of; the defaults are in the schema of the config's section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import numpy as np

from pickflow.synthesize.instruments import INSTRUMENTS
from pickflow.travel_times import VelocityModel
from pickflow.windows import parse_time

FAULTS = (
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
)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of the medium; Q is that of the whole path inside it."""

    top_depth_km: float
    vp_km_s: float
    vs_km_s: float
    density_g_cm3: float
    qp: float
    qs: float


@dataclass(frozen=True, kw_only=True)
class Scattering:
    """Coda: Qc(f) = quality_1hz · f^exponent; energy_ratio is coda over direct energy at 30 km."""

    quality_1hz: float
    exponent: float
    energy_ratio: float


@dataclass(frozen=True, kw_only=True)
class Site:
    """
    A station: where it is, how noisy, and what its ground does.

    Parameters
    ----------
    network, station : str
        Codes.
    latitude_deg, longitude_deg, elevation_m : float
        Place.
    bands : tuple of str
        Band and instrument codes, such as HH.
    noise_level : float
        0 is Peterson's low-noise model, 1 the high-noise model.
    bursts_per_hour : float
        Cultural noise.
    amplification : float
        Factor on ground motion.
    kappa_s : float
        Attenuation below the site.
    delay_s : float
        Delay of P; that of S is 1.7 times as long.
    """

    network: str
    station: str
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    bands: tuple[str, ...]
    noise_level: float
    bursts_per_hour: float
    amplification: float
    kappa_s: float
    delay_s: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "bands", tuple(self.bands))
        for band in self.bands:
            if band not in INSTRUMENTS:
                raise ValueError(f"station {self.station}: band {band!r} is unknown; known: {', '.join(INSTRUMENTS)}")


@dataclass(frozen=True, kw_only=True)
class SeismicSource:
    """A rectangular fault, given by its centre, on which earthquakes happen with this share (weight)."""

    name: str
    latitude_deg: float
    longitude_deg: float
    depth_km: float
    strike_deg: float
    dip_deg: float
    rake_deg: float
    length_km: float
    width_km: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class PinnedEvent:
    """An earthquake with chosen origin time and magnitude."""

    time: datetime
    magnitude: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", parse_time(self.time))


@dataclass(frozen=True, kw_only=True)
class Seismicity:
    """
    Earthquakes: how many, how large, how close in time.

    Parameters
    ----------
    n_events : int
        Number, pinned ones included.
    min_magnitude, max_magnitude, b_value : float
        Gutenberg-Richter distribution, cut at both ends.
    min_spacing_s : float
        Least time between two origins.
    stress_drop_mpa : float
        Median; single events scatter by a factor of about 2.
    pinned : tuple of PinnedEvent
        Events that must be there.
    sources : tuple of SeismicSource
        Where they happen.
    """

    n_events: int
    min_magnitude: float
    max_magnitude: float
    b_value: float
    min_spacing_s: float
    stress_drop_mpa: float
    pinned: tuple[PinnedEvent, ...]
    sources: tuple[SeismicSource, ...]

    def __post_init__(self) -> None:
        _nest(self, pinned=PinnedEvent, sources=SeismicSource)
        if self.n_events < len(self.pinned) or self.max_magnitude <= self.min_magnitude or not self.sources:
            raise ValueError(
                "synthesize.seismicity: needs a source, n_events at least the number of pinned events, "
                "and max_magnitude above min_magnitude"
            )


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    Something wrong with a record.

    Parameters
    ----------
    fault : str
        One of `FAULTS`.
    station : str
        ``network.station``.
    starttime : datetime or None
        When it begins; None: at a third of the record, or for the whole record where the fault has no beginning.
    duration_s : float or None
        How long; None: a default for the fault.
    size : float or None
        clock_jump: seconds; spike and step: multiples of the noise; saturated: share of the peak that is left.
    """

    fault: str
    station: str
    starttime: datetime | None
    duration_s: float | None
    size: float | None

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"synthesize.faults: fault {self.fault!r} is unknown; known: {', '.join(FAULTS)}")
        if self.starttime is not None:
            object.__setattr__(self, "starttime", parse_time(self.starttime))


@dataclass(frozen=True, kw_only=True)
class SynthesizeParams:
    """
    Everything that decides the synthetic archive.

    Parameters
    ----------
    seed : int
        Each event, station and channel draws from its own stream of it: adding a station changes no other.
    starttime, endtime : datetime
        Window in which earthquakes happen.
    padding_s : float
        Records reach this much beyond the window on both sides.
    sampling_rate_hz : float
        Of every channel.
    min_stations, min_snr_db : int, float
        An earthquake is detectable when P stands this much above the noise at this many stations.
    layers, scattering, seismicity, stations, faults
        The medium, the earthquakes, the network, and what is wrong with it. Mappings are turned into their classes.
    """

    seed: int
    starttime: datetime
    endtime: datetime
    padding_s: float
    sampling_rate_hz: float
    min_stations: int
    min_snr_db: float
    layers: tuple[Layer, ...]
    scattering: Scattering
    seismicity: Seismicity
    stations: tuple[Site, ...]
    faults: tuple[Fault, ...]

    def __post_init__(self) -> None:
        _nest(self, layers=Layer, stations=Site, faults=Fault)
        for name, kind in (("scattering", Scattering), ("seismicity", Seismicity)):
            if isinstance(getattr(self, name), Mapping):
                object.__setattr__(self, name, kind(**getattr(self, name)))
        object.__setattr__(self, "starttime", parse_time(self.starttime))
        object.__setattr__(self, "endtime", parse_time(self.endtime))
        if self.endtime <= self.starttime:
            raise ValueError("synthesize.endtime must be later than synthesize.starttime")
        names = {f"{site.network}.{site.station}" for site in self.stations}
        if len(names) < len(self.stations):
            raise ValueError("synthesize.stations: a station occurs more than once")
        for fault in self.faults:
            if fault.station not in names:
                known = ", ".join(sorted(names))
                raise ValueError(f"synthesize.faults: {fault.station!r} is not in synthesize.stations ({known})")

    @property
    def velocity_model(self) -> VelocityModel:
        """Velocities of the layers."""
        return velocity_model(self.layers)


def with_every_fault(
    params: SynthesizeParams, starttime: datetime, endtime: datetime, n_well: int, n_events: int, min_spacing_s: float
) -> SynthesizeParams:
    """
    A network for tests: the stations S00, S01 and so on have one fault each, in the order of `FAULTS`.

    Parameters
    ----------
    params : SynthesizeParams
        Of which the rest is kept.
    starttime, endtime : datetime
        Of the archive.
    n_well : int
        Further stations, which have none.
    n_events, min_spacing_s : int, float
        Events in that time, and the least time between them.
    """
    sites = tuple(
        replace(params.stations[index % len(params.stations)], station=f"S{index:02d}", bands=("HH",))
        for index in range(len(FAULTS) + n_well)
    )
    faults = tuple(
        Fault(fault=fault, station=f"{site.network}.{site.station}", starttime=None, duration_s=None, size=None)
        for fault, site in zip(FAULTS, sites, strict=False)
    )
    seismicity = replace(params.seismicity, n_events=n_events, pinned=(), min_spacing_s=min_spacing_s)
    return replace(params, starttime=starttime, endtime=endtime, stations=sites, faults=faults, seismicity=seismicity)


def velocity_model(layers: tuple[Layer, ...]) -> VelocityModel:
    """Velocities of the layers of a medium."""
    return VelocityModel(
        top_depth_km=np.array([layer.top_depth_km for layer in layers]),
        vp_km_s=np.array([layer.vp_km_s for layer in layers]),
        vs_km_s=np.array([layer.vs_km_s for layer in layers]),
    )


def _nest(params: Any, **kinds: type) -> None:
    """Turn the lists of mappings of a config into tuples of their dataclasses; what is left out is None."""
    for name, kind in kinds.items():
        optional = dict.fromkeys(field.name for field in fields(kind)) if kind is Fault else {}
        items = [kind(**{**optional, **item}) if isinstance(item, Mapping) else item for item in getattr(params, name)]
        object.__setattr__(params, name, tuple(items))
