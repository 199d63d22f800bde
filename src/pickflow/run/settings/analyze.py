"""Section ``analyze`` of a configuration."""

from __future__ import annotations

from typing import ClassVar

from pickflow.run.settings.section import Number, Section, Text, key


class ReferenceParams(Section):
    """Where the reference catalog comes from; neither file nor server means no comparison."""

    file: Text | None = key(
        None,
        "A bulletin in any of the formats of docs/catalog-formats.md, found out by its content, or the folder of "
        "a catalog of a run.",
    )
    server: Text | None = key(
        None, "FDSN event service, as a base URL or a name that ObsPy knows, such as USGS; used if file is null."
    )
    complete_file: Text | None = key(
        None,
        "All true events, where the reference holds only those that could be found; an event that matches one of "
        "them is not false.",
    )
    complete_picks_file: Text | None = key(
        None, "Parquet table of all true picks (truth_picks); with it picks are scored, wrong ones counted as false."
    )


class WindowParams(Section):
    """Time span of the comparison, inside that of the run; null is all of it."""

    starttime: Text = key(..., "Start, UTC, ISO 8601 (included).")
    endtime: Text = key(..., "End, UTC, ISO 8601 (excluded).")


class RegionParams(Section):
    """Edges of the comparison in degrees; null is everywhere, and the network's surroundings for a server."""

    ORDERED: ClassVar = (("min_latitude_deg", "max_latitude_deg"),)

    min_latitude_deg: Number = key(..., "Southern edge in degrees.", ge=-90, le=90)
    max_latitude_deg: Number = key(..., "Northern edge in degrees.", ge=-90, le=90)
    min_longitude_deg: Number = key(..., "Western edge in degrees.", ge=-180, le=360)
    max_longitude_deg: Number = key(..., "Eastern edge in degrees.", ge=-180, le=360)


class AnalyzeParams(Section):
    """Comparison of each catalog with a reference."""

    AFFECTS: ClassVar = ("analyze",)

    reference: ReferenceParams = ReferenceParams()
    reference_window: WindowParams | None = None
    region: RegionParams | None = None
    event_time_tolerance_s: Number = key(2.0, "Largest difference of origin times of a match in s.", gt=0)
    event_distance_tolerance_km: Number = key(8.0, "Largest epicentral distance of a match in km.", gt=0)
    pick_time_tolerance_s: Number = key(
        0.5, "Largest difference of the times of matching picks of a station and phase in s.", gt=0
    )
    pick_judged_within_s: Number = key(
        10.0,
        "A bulletin has the picks of its events only: a pick that it lacks counts as wrong if the bulletin has a "
        "pick of the same station so near in time, in s, and is not judged elsewhere. With complete_picks_file "
        "every pick is judged.",
        gt=0,
    )
    min_pick_snr_db: Number = key(6.0, "True picks of complete_picks_file weaker than this need not be found, in dB.")
