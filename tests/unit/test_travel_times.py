import numpy as np
import pytest

from pickflow.travel_times.geometry import distance_and_azimuth
from pickflow.travel_times.layers import VelocityModel, direct_ray, homogeneous, refracted_ray, travel_time_s
from pickflow.travel_times.sphere import EARTH_RADIUS_KM, KM_PER_DEGREE, sphere_distance_km


@pytest.fixture
def crust():
    return VelocityModel(
        top_depth_km=np.array([0.0, 22.0, 39.5]),
        vp_km_s=np.array([5.85, 6.8, 8.0]),
        vs_km_s=np.array([3.28, 3.82, 4.42]),
    )


def test_times_in_a_half_space_are_distance_over_velocity():
    distance = np.linspace(0, 200, 40)
    times = travel_time_s(homogeneous(6.0, 3.5), "S", distance, 12.0, -1.5)
    np.testing.assert_allclose(times, np.hypot(distance, 13.5) / 3.5, rtol=1e-12)


def test_a_source_at_the_depth_of_the_receiver_has_the_horizontal_time():
    assert travel_time_s(homogeneous(6.0, 3.5), "P", 30.0, 0.0) == pytest.approx(5.0, abs=1e-9)


def test_head_wave_overtakes_the_direct_wave_at_the_crossover_distance():
    v1, v2, h = 5.0, 7.0, 10.0
    model = VelocityModel(top_depth_km=[0.0, h], vp_km_s=[v1, v2], vs_km_s=[v1 / 1.75, v2 / 1.75])
    crossover = 2 * h * np.sqrt((v2 + v1) / (v2 - v1))
    before, after = travel_time_s(model, "P", [crossover - 1, crossover + 1], 0.0)
    assert before == pytest.approx((crossover - 1) / v1, abs=1e-6)
    assert after == pytest.approx((crossover + 1) / v2 + 2 * h * np.sqrt(1 / v1**2 - 1 / v2**2), abs=1e-6)


def test_local_times_agree_with_taup(crust, tmp_path):
    from obspy.taup import TauPyModel
    from obspy.taup.taup_create import build_taup_model

    lines = [
        "0.0 5.85 3.28 2.7",
        "22.0 5.85 3.28 2.7",
        "22.0 6.8 3.82 2.9",
        "39.5 6.8 3.82 2.9",
        "mantle",
        "39.5 8.0 4.42 3.3",
        "2891.0 8.0 4.42 3.3",
        "outer-core",
        "2891.0 8.0 0.0 10.0",
        "5149.5 10.0 0.0 12.0",
        "inner-core",
        "5149.5 11.0 3.5 13.0",
        "6371.0 11.0 3.5 13.0",
    ]
    (tmp_path / "crust.nd").write_text("\n".join(lines) + "\n")
    build_taup_model(str(tmp_path / "crust.nd"), output_folder=str(tmp_path), verbose=False)
    taup = TauPyModel(str(tmp_path / "crust.npz"))
    for distance in (30.0, 90.0, 150.0):
        arrivals = taup.get_travel_times(10.0, distance / 111.195, ["p", "P", "Pn", "Pg"])
        expected = min(arrival.time for arrival in arrivals)
        assert travel_time_s(crust, "P", distance, 10.0) == pytest.approx(expected, abs=0.1)  # flat, not round


def test_ray_in_a_half_space_has_geometric_angles_and_spreading():
    ray = direct_ray(homogeneous(6.0, 3.5), "P", [0.0, 10.0], 10.0)
    np.testing.assert_allclose(ray.takeoff_angle_deg, [180, 135], atol=1e-6)
    np.testing.assert_allclose(ray.incidence_angle_deg, [0, 45], atol=1e-6)
    np.testing.assert_allclose(ray.spreading_km, [10, np.sqrt(200)], rtol=1e-6)
    np.testing.assert_allclose(ray.path_length_km, [10, np.sqrt(200)], rtol=1e-9)


def test_time_in_the_layers_adds_up_to_the_travel_time(crust):
    for ray in (direct_ray(crust, "S", [20.0, 180.0], 30.0), refracted_ray(crust, "S", [170.0, 250.0], 5.0)):
        np.testing.assert_allclose(ray.layer_time_s.sum(axis=1), ray.time_s, rtol=1e-9)


def test_no_head_wave_before_the_critical_distance(crust):
    assert np.isinf(refracted_ray(crust, "P", 5.0, 10.0).time_s[0])


def test_spreading_is_the_area_of_the_ray_tube(crust):
    # Area of the tube per solid angle at the source, by finite differences of the takeoff angle.
    distance = np.array([59.99, 60.0, 60.01])
    ray = direct_ray(crust, "P", distance, 30.0)
    takeoff, incidence = np.radians(ray.takeoff_angle_deg), np.radians(ray.incidence_angle_deg)
    angle_per_km = abs(takeoff[2] - takeoff[0]) / (distance[2] - distance[0])
    area = distance[1] * np.cos(incidence[1]) / (np.sin(takeoff[1]) * angle_per_km)
    assert ray.spreading_km[1] == pytest.approx(np.sqrt(area), rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_depth_km": [0.0, 0.0]}, "increase"),
        ({"vs_km_s": [3.0, 0.0]}, "positive"),
        ({"vp_km_s": [6.0]}, "one of each"),
    ],
)
def test_impossible_models_are_refused(change, message):
    layers = {"top_depth_km": [0.0, 10.0], "vp_km_s": [5.0, 6.0], "vs_km_s": [3.0, 3.5]}
    with pytest.raises(ValueError, match=message):
        VelocityModel(**(layers | change))


def test_unknown_phase_and_negative_distance_are_refused(crust):
    with pytest.raises(ValueError, match="phase 'Lg'"):
        travel_time_s(crust, "Lg", 1.0, 1.0)
    with pytest.raises(ValueError, match="at least 0 km"):
        travel_time_s(crust, "P", -1.0, 1.0)


def test_distances_on_the_sphere_and_on_the_ellipsoid_agree_to_half_a_per_cent():
    rng = np.random.default_rng(3)
    latitude, longitude = rng.uniform(-80, 80, (2, 500)), rng.uniform(-180, 180, (2, 500))
    exact, _ = distance_and_azimuth(latitude[0], longitude[0], latitude[1], longitude[1])
    near = sphere_distance_km(latitude[0], longitude[0], latitude[1], longitude[1])
    assert np.abs(near / exact - 1).max() < 6e-3
    assert sphere_distance_km(0.0, 179.5, 0.0, -179.5) == pytest.approx(np.pi * EARTH_RADIUS_KM / 180)
    assert pytest.approx(np.pi * EARTH_RADIUS_KM / 180, rel=1e-6) == KM_PER_DEGREE


def test_a_distance_to_a_place_that_is_not_known_is_not_known():
    distance, azimuth = distance_and_azimuth(45.0, 12.0, np.array([46.0, np.nan]), np.array([12.0, np.nan]))
    assert distance[0] == pytest.approx(111.14, abs=0.01)
    assert azimuth[0] == 0.0
    assert np.isnan([distance[1], azimuth[1]]).all()
