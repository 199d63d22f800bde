"""Synthetic networks with known truth, made from rays, Brune sources, Q, coda, coloured noise and instruments."""

from pickflow.synthesize.archive import detectable_events, inventory, write_archive
from pickflow.synthesize.faults import with_every_fault

__all__ = ["detectable_events", "inventory", "with_every_fault", "write_archive"]
