"""What a model does to a window before its network, in words that the kernels know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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
