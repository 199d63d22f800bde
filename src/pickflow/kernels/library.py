"""The compiled library: where it is, and how it is called."""

from __future__ import annotations

import ctypes
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

_INT64, _POINTER = ctypes.c_int64, ctypes.c_void_p

# One row per operation, as `Op` in network.h.
_INTEGERS = """
    kind input input_pitch second second_pitch output output_pitch n_in n_out n_samples taps dilation start stride
    out_start out_stride weights bias scratch flag
"""
OPERATION = np.dtype([*((name, np.int64) for name in _INTEGERS.split()), ("epsilon", np.float64)])
_KINDS = """
    pack unpack conv depthwise pool affine lstm attention layernorm softmax sigmoid unit_peak compress
    conv_16 quantise spread_nan gru
"""
KINDS = tuple(_KINDS.split())
RECTIFY, TO_INTEGERS = 1, 2  # flags of convolutions
QUANTUM_LIMIT = 32767  # largest 16-bit activation
MAX_COMPONENTS = 16  # of windows
SCALES = ("unscaled", "deviation", "common_deviation", "peak", "common_peak")
SAMPLE_TYPES = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int32))


class Job(ctypes.Structure):
    """Where windows come from and where outputs go, as `Job` in network.h."""

    _fields_ = (
        ("windows", _POINTER),
        ("samples", _POINTER),
        ("type", _INT64),
        ("n_windows", _INT64),
        ("scale", _INT64),
        ("detrend", _INT64),
        ("taper", _POINTER),
        ("n_taper", _INT64),
        ("outputs", _POINTER),
    )


def facts() -> dict[str, int]:
    """What the library must know as it is known here: layouts in bytes, and numbers, by the names of ``dispatch.c``."""
    numbers = {"Op": OPERATION.itemsize, "Job": ctypes.sizeof(Job)}
    numbers |= {f"Op.{name}": OPERATION.fields[name][1] for name in OPERATION.names or ()}  # type: ignore[index]
    numbers |= {f"Job.{name}": getattr(Job, name).offset for name, _ in Job._fields_}
    numbers |= {name: number for names in (KINDS, SCALES) for number, name in enumerate(names)}
    flags = {"rectify": RECTIFY, "to_integers": TO_INTEGERS}
    return numbers | flags | {"quantum_limit": QUANTUM_LIMIT, "max_components": MAX_COMPONENTS}


def disagreements(library: Any) -> list[str]:
    """Names of `facts` that a loaded library knows otherwise: it was built from other sources."""
    library.pickflow_fact.restype = _INT64
    library.pickflow_fact.argtypes = [ctypes.c_char_p]
    return [name for name, number in facts().items() if library.pickflow_fact(name.encode()) != number]


@lru_cache(maxsize=1)
def load() -> ctypes.CDLL | None:
    """The library, or None if it was not built or does not load here."""
    path = Path(__file__).with_name("_network.so")
    if not path.exists():
        return None
    try:
        library = ctypes.CDLL(str(path))
        library.pickflow_widest.restype = _INT64
        library.pickflow_has_integers.restype = _INT64
        library.pickflow_run.restype = _INT64
        library.pickflow_run.argtypes = [_INT64, _POINTER, _INT64, _POINTER, _POINTER, ctypes.POINTER(Job)]
        differing = disagreements(library)
    except (OSError, AttributeError):
        return None
    if differing:
        logger.warning("%s was built from other sources (%s); install pickflow again", path, differing[0])
        return None
    return library


def is_available() -> bool:
    """Whether the compiled kernels are here."""
    return load() is not None


def has_integers() -> bool:
    """Whether there are convolutions of 16-bit integers for this processor."""
    library = load()
    return library is not None and bool(library.pickflow_has_integers())


def lane_choices() -> list[int]:
    """Windows per block of every variant that this processor can run, narrowest first."""
    library = load()
    widest = library.pickflow_widest() if library else 0
    return [lanes for lanes in (4, 8, 16) if lanes <= widest]


def run(lanes: int, operations: np.ndarray, numbers: np.ndarray, arena: np.ndarray, job: Job) -> None:
    """
    All operations for every block of windows.

    Parameters
    ----------
    lanes : int
        One of `lane_choices`.
    operations : ndarray of `OPERATION`
    numbers : ndarray of float32
        Weights.
    arena : ndarray of float32
        Buffers; zeros before the first call, aligned to 64 bytes.
    job : Job
    """
    library = load()
    assert library is not None
    arguments: list[Any] = [operations.ctypes.data, len(operations), numbers.ctypes.data, arena.ctypes.data]
    if library.pickflow_run(lanes, *arguments, ctypes.byref(job)) != 0:
        raise ValueError(f"kernels for {lanes} lanes do not run on this processor; it has {lane_choices()}")
