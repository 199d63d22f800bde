"""Where and when: local frames, observed and predicted arrivals, and the origins that fit them."""

from pickflow.locate.catalog import Located, locate_catalog
from pickflow.locate.params import LocateParams

__all__ = ["LocateParams", "Located", "locate_catalog"]
