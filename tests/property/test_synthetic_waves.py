import numpy as np
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.run.settings.synthesize import Layer, Scattering
from pickflow.synthesize.waves import Earthquake, Path, ground_motion

LAYERS = tuple(
    Layer(top_depth_km=top, vp_km_s=vp, vs_km_s=vp / 1.76, density_g_cm3=2.7, qp=400.0, qs=220.0)
    for top, vp in ((0.0, 4.6), (2.0, 5.8), (22.0, 6.7), (39.0, 8.0))
)
SCATTERING = Scattering(quality_1hz=90.0, exponent=0.8, energy_ratio=6.0)


@settings(max_examples=40, deadline=None)
@given(
    distance=st.floats(1, 200),
    depth=st.floats(0.5, 35),
    magnitude=st.floats(0, 5),
    azimuth=st.floats(0, 360),
    strike=st.floats(0, 360),
    dip=st.floats(5, 90),
    rake=st.floats(-180, 180),
    seed=st.integers(0, 2**32),
)
def test_waves_are_finite_and_begin_with_p(distance, depth, magnitude, azimuth, strike, dip, rake, seed):
    path = Path(
        distance_km=distance,
        azimuth_deg=azimuth,
        receiver_depth_km=-0.4,
        kappa_s=0.03,
        amplification=1.0,
        delay_s={"P": 0.0, "S": 0.0},
    )
    earthquake = Earthquake(
        magnitude=magnitude, depth_km=depth, strike_deg=strike, dip_deg=dip, rake_deg=rake, stress_drop_mpa=3.0
    )
    motion = ground_motion(
        earthquake, path, LAYERS, SCATTERING, 20_000, 100.0, 5.0, lambda name: np.random.default_rng([seed, ord(name)])
    )
    record = scipy.fft.irfft(motion.spectrum, motion.n_samples)
    assert np.isfinite(record).all()
    assert motion.onset_s["P"] < motion.onset_s["S"]
    onset = int((5.0 + motion.onset_s["P"]) * 100)
    assert np.abs(record[:, : onset - 5]).max() < 0.02 * np.abs(record[:, onset:]).max()
