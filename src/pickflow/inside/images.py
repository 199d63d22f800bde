"""Arrays as small pictures: PNG with a palette, as data that a page holds itself."""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache

import matplotlib
import numpy as np
from numpy.typing import NDArray

# Perceptually ordered, and distinguishable with any colour vision: from nothing to much, and around zero.
SEQUENTIAL, DIVERGING = "viridis", "PuOr_r"
_N_LEVELS = 255
_GAP_RGB = (125, 135, 144)  # the grey of pickflow.report.drawing
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE_TYPE = 3


def picture(values: NDArray, largest: float, signed: bool) -> str:
    """
    A picture of an array, as a URI for the attribute ``src``.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_columns)
        One pixel each; NaN is grey.
    largest : float
        Value of the last colour.
    signed : bool
        Colours around zero from ``-largest`` on; else from zero on.
    """
    scaled = np.asarray(values, dtype=np.float64) / (largest if largest > 0 else 1.0)
    levels = (scaled + 1) / 2 if signed else scaled
    shares = np.where(np.isnan(levels), _N_LEVELS, np.round(np.clip(levels, 0, 1) * (_N_LEVELS - 1)))
    pixels = shares.astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(_png(pixels, DIVERGING if signed else SEQUENTIAL)).decode()


def _png(pixels: NDArray[np.uint8], colours: str) -> bytes:
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE_TYPE, 0, 0, 0)
    rows = np.concatenate([np.zeros((height, 1), dtype=np.uint8), pixels], axis=1)  # no filter in front of each
    chunks = (
        (b"IHDR", header),
        (b"PLTE", _palette(colours)),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@cache
def _palette(colours: str) -> bytes:
    levels = matplotlib.colormaps[colours](np.linspace(0, 1, _N_LEVELS))[:, :3]
    return np.round(255 * levels).astype(np.uint8).tobytes() + bytes(_GAP_RGB)


def shorten(values: NDArray, n_columns: int) -> NDArray:
    """
    The values of largest size of neighbouring samples, so that nothing that stands out is lost.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_samples)
    n_columns : int
        So many columns at most.
    """
    n_samples = values.shape[1]
    if n_samples <= n_columns:
        return values
    edges = np.linspace(0, n_samples, n_columns + 1).round().astype(int)[:-1]
    high, low = np.maximum.reduceat(values, edges, axis=1), np.minimum.reduceat(values, edges, axis=1)
    return np.where(-low > high, low, high)
