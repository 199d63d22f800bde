"""Curves as text that a page holds itself: integers in base64."""

from __future__ import annotations

import base64

import numpy as np

_FULL_SCALE = 32767  # largest 16-bit integer


def packed_samples(values: np.ndarray) -> str:
    """Samples as little-endian 16-bit integers of full scale, in base64; gaps are -32768."""
    peak = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    counts = np.round(values * (_FULL_SCALE / peak if peak else 0.0))
    whole = np.where(np.isfinite(values), np.nan_to_num(counts), -_FULL_SCALE - 1).astype("<i2")
    return base64.b64encode(whole.tobytes()).decode()


def packed_shares(values: np.ndarray) -> str:
    """Numbers from 0 to 1 as bytes of full scale, in base64; gaps are 0."""
    return base64.b64encode(np.round(255 * np.clip(np.nan_to_num(values), 0, 1)).astype("u1").tobytes()).decode()
