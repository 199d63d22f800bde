"""Constants of robust statistics."""

MAD_TO_SIGMA = 1.4826  # 1/Φ⁻¹(3/4): standard deviation of a normal distribution over its median absolute deviation
