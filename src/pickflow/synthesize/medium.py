"""The medium of a synthetic network."""

from __future__ import annotations

import numpy as np

from pickflow.run.settings.synthesize import Layer
from pickflow.travel_times.layers import VelocityModel


def velocity_model(layers: tuple[Layer, ...]) -> VelocityModel:
    """Velocities of the layers of a medium."""
    return VelocityModel(
        top_depth_km=np.array([layer.top_depth_km for layer in layers]),
        vp_km_s=np.array([layer.vp_km_s for layer in layers]),
        vs_km_s=np.array([layer.vs_km_s for layer in layers]),
    )
