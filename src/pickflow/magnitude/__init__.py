"""Local magnitudes: simulated Wood-Anderson amplitudes of each station, and the network's median."""

from pickflow.magnitude.day import WORTH_WORKERS, Catalog, amplitudes_of_day
from pickflow.magnitude.network import corrected, network_magnitudes

__all__ = ["WORTH_WORKERS", "Catalog", "amplitudes_of_day", "corrected", "network_magnitudes"]
