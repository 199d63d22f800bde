import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.travel_times.layers import VelocityModel, travel_time_s


@st.composite
def models(draw):
    n_layers = draw(st.integers(1, 5))
    thickness = draw(st.lists(st.floats(0.5, 20), min_size=n_layers, max_size=n_layers))
    vp = draw(st.lists(st.floats(2.0, 8.5), min_size=n_layers, max_size=n_layers))
    tops = np.cumsum([draw(st.floats(-2, 2)), *thickness[1:]])
    return VelocityModel(top_depth_km=tops, vp_km_s=np.array(vp), vs_km_s=np.array(vp) / 1.75)


depths = st.floats(0, 40)
distances = st.floats(0, 300)


@settings(max_examples=60, deadline=None)
@given(model=models(), distance=distances, source=depths, receiver=st.floats(-3, 10))
def test_source_and_receiver_can_be_exchanged(model, distance, source, receiver):
    time_forth = travel_time_s(model, "P", distance, source, receiver)
    time_back = travel_time_s(model, "P", distance, receiver, source)
    np.testing.assert_allclose(time_forth, time_back, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(model=models(), source=depths)
def test_time_grows_with_distance_and_never_faster_than_the_slowest_layer(model, source):
    distance = np.linspace(0, 250, 501)
    times = travel_time_s(model, "P", distance, source)
    step = np.diff(times)
    assert np.all(step >= -1e-9)
    assert np.all(step <= 0.5 / model.vp_km_s.min() + 1e-9)


@settings(max_examples=60, deadline=None)
@given(model=models(), distance=distances, source=depths)
def test_time_changes_little_when_the_source_moves_a_metre(model, distance, source):
    time_above, time_below = travel_time_s(model, "S", distance, np.array([source, source + 1e-3]))
    assert abs(time_above - time_below) <= 1.01e-3 / model.vs_km_s.min() + 1e-6


@settings(max_examples=60, deadline=None)
@given(model=models(), distance=distances, source=depths)
def test_no_ray_beats_the_fastest_layer_nor_is_slower_than_the_slowest(model, distance, source):
    time = travel_time_s(model, "P", distance, source)
    length = np.hypot(distance, source)
    assert length / model.vp_km_s.max() - 1e-6 <= time <= length / model.vp_km_s.min() + 1e-6


@settings(max_examples=40, deadline=None)
@given(model=models(), distance=distances, source=depths)
def test_splitting_a_layer_in_two_changes_no_time(model, distance, source):
    deeper = model.top_depth_km[-1] + 3.7
    split = VelocityModel(
        top_depth_km=np.append(model.top_depth_km, deeper),
        vp_km_s=np.append(model.vp_km_s, model.vp_km_s[-1]),
        vs_km_s=np.append(model.vs_km_s, model.vs_km_s[-1]),
    )
    np.testing.assert_allclose(
        travel_time_s(model, "P", distance, source), travel_time_s(split, "P", distance, source), rtol=1e-8, atol=1e-8
    )
