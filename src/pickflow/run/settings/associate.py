"""Section ``associate`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pickflow.run.settings.section import Flag, Number, Section, Text, Unique, Whole, key


class VelocityParams(Section):
    """A half space, or a file of layers, which is used instead."""

    AFFECTS: ClassVar = ("associate", "locate", "amplitude", "report")
    ORDERED: ClassVar = (("s_km_s", "p_km_s"),)

    p_km_s: Number = key(6.0, "P velocity of the half space in km/s.", gt=0, le=15)
    s_km_s: Number = key(3.46, "S velocity of the half space in km/s.", gt=0, le=10)
    file: Text | None = key(None, "Layered model, TauP .nd or CSV with depth, vp and vs; null uses the half space.")


class PyoctoParams(Section):
    """Settings of PyOcto."""

    velocity_tolerance_s: Number | None = key(
        None, "Error of the travel times in the search, in s; null is 0.7 of the derived max_residual_s.", gt=0
    )
    cutoff_distance_km: Number | None = key(
        None, "Farthest stations in that search, in km; null is 4 station spacings, at least 150 km.", gt=0
    )
    time_before_s: Number | None = key(
        None, "Overlap of time slices in s; null is the S time across the network or to the cut-off distance.", gt=0
    )
    time_slice_s: Number | None = key(
        None, "Length of a time slice in s; null is 1200, or 4 overlaps if that is more.", gt=0
    )
    min_node_size_km: Number | None = key(
        None, "Cells of the octree are split down to this size in km; null is 10.", gt=0
    )
    min_pick_fraction: Number | None = key(
        None, "A station's picks count only if this share of the nearer stations has picks; null is 0.5.", ge=0, le=1
    )
    min_interevent_time_s: Number | None = key(None, "Least time between two events in s; null is 3.", ge=0)


class GammaParams(Section):
    """Settings of GaMMA."""

    dbscan_eps_s: Number | None = key(
        None,
        "Picks this close in time and distance over P velocity form a group, in s; null is two station spacings.",
        gt=0,
    )
    dbscan_min_samples: Whole | None = key(None, "Neighbours that make a pick the core of a group; null is 3.", ge=1)
    max_sigma_s: Number | None = key(None, "Largest misfit of an arrival inside GaMMA, in s; null is 2.0.", gt=0)
    oversample_factor: Whole | None = key(
        None, "Starting points per possible event; null is 2, as later passes find what is left.", ge=1
    )


class StackParams(Section):
    """Settings of the stack of picks."""

    grid_step_km: Number | None = key(
        None, "Distance of the places that are tried, in km; null is a tenth of the station spacing, 2 to 10.", gt=0
    )
    reach_km: Number | None = key(
        None, "Picks count up to this distance, less and less, in km; null is that of PyOcto's search.", gt=0
    )


class AssociateParams(Section):
    """Grouping picks into events; null asks for a value derived from the network and the velocity model."""

    AFFECTS: ClassVar = ("associate",)

    methods: Annotated[tuple[Literal["pyocto", "gamma", "stack"], ...], Unique] = key(
        ("pyocto",),
        "Associators, pyocto, gamma and stack; each makes a catalog of its own.",
        affects="paths",
        min_length=1,
    )
    velocity_model: VelocityParams = VelocityParams()
    halo_s: Number | None = key(
        None, "Picks this long before and after the day are used too, in s; null is twice pyocto.time_before_s.", ge=0
    )
    area_margin_km: Number | None = key(
        None,
        "Events are searched this far outside the network, in km; null is a quarter of its diagonal, 10 to 100.",
        ge=0,
    )
    max_depth_km: Number | None = key(
        None, "Largest depth searched, in km; null is 0.3 of the network's diagonal, 30 to 250.", gt=0
    )
    min_picks: Whole | None = key(
        None,
        "Least number of picks of an event; null is 5 to 7, more where there are more picks (docs/association.md).",
        ge=4,
    )
    min_p_picks: Whole | None = key(None, "Least number of P picks of an event; null is 2 or 3.", ge=0)
    min_s_picks: Whole | None = key(None, "Least number of S picks of an event; null is 0 to 2.", ge=0)
    min_p_and_s_stations: Whole | None = key(None, "Least number of stations with both P and S; null is 0 to 2.", ge=0)
    max_residual_s: Number | None = key(
        None, "Largest residual of an arrival, in s; null is 1.0, for a half space 1.0 to 2.0 from 150 to 300 km.", gt=0
    )
    min_evidence: Number = key(
        2.0, "How much better an event must explain its picks than chance does, as a logarithm (docs/association.md)."
    )
    passes: Whole = key(
        4, "How often the associator runs at most; each later pass sees the picks that no event has claimed.", ge=1
    )
    complete_with_stack: Flag = key(
        True, "Whether the stack proposes events beside the associator, and alone after the first pass."
    )
    threads: Whole = key(
        1, "Threads of PyOcto, processes of GaMMA; the result does not depend on it.", affects="nothing", ge=1
    )
    pyocto: PyoctoParams = PyoctoParams()
    gamma: GammaParams = GammaParams()
    stack: StackParams = StackParams()
