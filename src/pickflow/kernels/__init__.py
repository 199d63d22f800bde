"""
Pickers as compiled kernels: the arithmetic of the models in C, for processors without a GPU.

`compilation.compile_network` turns a model of torch into a `Network`; its outputs are the model's to rounding. All else
here needs numpy and the compiled library alone: `files` reads a network that was compiled elsewhere.
"""

from pickflow.kernels.library import is_available
from pickflow.kernels.network import Network
from pickflow.kernels.normalisation import Normalisation
from pickflow.kernels.program import UnsupportedNetwork

__all__ = ["Network", "Normalisation", "UnsupportedNetwork", "is_available"]
