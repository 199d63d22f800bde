"""Location: local frames, observed and predicted arrivals, and the origins that fit them."""

from pickflow.locate.catalog import LocatedCatalog, locate_catalog

__all__ = ["LocatedCatalog", "locate_catalog"]
