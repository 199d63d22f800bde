"""Section ``catalog`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pickflow.run.settings.section import Section, Unique, key

CatalogFormat = Literal["csv", "quakeml", "scml", "nonlinloc", "hypodd", "nordic", "pyrocko"]


class CatalogParams(Section):
    """The catalogs that a run writes, beside the Parquet tables."""

    AFFECTS: ClassVar = ("catalog",)

    formats: Annotated[
        tuple[Literal["csv", "quakeml", "scml", "nonlinloc", "hypodd", "nordic", "pyrocko"], ...], Unique
    ] = key(
        ("csv", "quakeml"),
        "Formats of each catalog; see docs/catalog-formats.md for what each of them holds.",
        affects="paths",
        min_length=1,
    )
