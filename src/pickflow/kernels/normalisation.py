"""What a model does to a window before its network, in words that the kernels know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_EQT_TAPER_SAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """
    Preparation of a window whose components have lost their means.

    Attributes
    ----------
    scale : {"unscaled", "deviation", "common_deviation", "peak", "common_peak"}
        What a component is divided by: nothing, its standard deviation, that of all components, its peak, theirs.
    detrend : bool
        Whether a linear fit is taken away, too.
    taper_samples : int
        Length of the cosine taper at both ends.
    """

    scale: str = "unscaled"
    detrend: bool = False
    taper_samples: int = 0

    def taper(self) -> np.ndarray:
        """Factors of the first samples, float32; those of the last are their mirror."""
        return (0.5 * (1 + np.cos(np.linspace(np.pi, 2 * np.pi, self.taper_samples)))).astype(np.float32)


def normalisation_of(model: Any) -> Normalisation:
    """
    What `annotate_batch_pre` of a model does.

    Parameters
    ----------
    model : WaveformModel
        One that `compile_network` knows.
    """
    if not hasattr(model, "norm"):  # ours prepares its windows itself, whatever their scale
        return Normalisation()
    transformer = hasattr(model, "decoder_d")
    axes = tuple(getattr(model, "norm_axis", (-1,)))
    common = transformer or len(axes) > 1
    scale = {"std": "common_deviation" if common else "deviation", "peak": "peak"}.get(model.norm, "unscaled")
    if scale == "peak" and len(axes) > 1:
        scale = "common_peak"
    if model.norm_amp_per_comp:
        scale = "peak"
    taper_samples = _EQT_TAPER_SAMPLES if transformer else 0
    return Normalisation(scale=scale, detrend=bool(model.norm_detrend), taper_samples=taper_samples)
