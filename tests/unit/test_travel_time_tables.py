"""Travel-time tables: as good as the computed times, with slopes, inside and outside of the table."""

from __future__ import annotations

import numpy as np
import pytest

from pickflow.travel_times.layers import VelocityModel, homogeneous, predict_s
from pickflow.travel_times.tables import TravelTimes
from tests.locate_fixture import LAYERS

N = 20_000


def paths(seed=0, top=-2.0, bottom=50.0):
    generator = np.random.default_rng(seed)
    return (
        generator.random(N) < 0.5,
        generator.uniform(0, 250, N) * generator.random(N),
        generator.uniform(top, bottom, N),
        generator.uniform(-2.5, 0.5, N),
    )


@pytest.fixture(scope="module")
def table():
    return TravelTimes(LAYERS, 250.0, (-2.0, 50.0), (-2.5, 0.5))


def test_times_agree_with_those_computed_ray_by_ray(table):
    error = np.abs(table.times(*paths()) - predict_s(LAYERS, *paths()))
    # Kinks (where a head wave overtakes, at interfaces) are rounded; elsewhere nothing is lost.
    assert np.median(error) < 2e-4
    assert np.quantile(error, 0.99) < 6e-3
    assert error.max() < 0.05


def test_nodes_of_the_table_are_exact(table):
    depth, distance = (grid.ravel() for grid in np.meshgrid(np.arange(-2, 50, 0.5), np.arange(0, 250, 0.5)))
    for is_s in (False, True):
        phase, receiver = np.full(depth.size, is_s), np.full(depth.size, -1.0)
        np.testing.assert_allclose(
            table.times(phase, distance, depth, receiver),
            predict_s(LAYERS, phase, distance, depth, receiver),
            atol=1e-9,
        )


def test_a_layer_that_slows_down_is_tabulated_as_it_is_computed():
    slow = VelocityModel(
        top_depth_km=np.array([0.0, 3.0, 6.0]), vp_km_s=np.array([6.0, 4.0, 7.0]), vs_km_s=np.array([3.4, 2.2, 4.0])
    )
    nodes = (np.repeat([False, True], 400), np.tile(np.arange(400) / 2, 2), np.full(800, 4.5), np.zeros(800))
    table = TravelTimes(slow, 200.0, (0.0, 20.0))
    np.testing.assert_allclose(table.times(*nodes), predict_s(slow, *nodes), atol=1e-9)


def test_a_half_space_is_exact_everywhere():
    half_space = homogeneous(6.0, 3.5)
    table = TravelTimes(half_space, 250.0, (-2.0, 50.0), (-2.5, 0.5))
    np.testing.assert_allclose(table.times(*paths()), predict_s(half_space, *paths()), atol=1e-6)


def test_slopes_are_those_of_the_interpolated_times(table):
    is_s, distance, depth, receiver = paths(1, top=-1.9, bottom=49.9)
    distance = distance + 0.1
    _, by_distance, by_depth = table.times_and_slopes(is_s, distance, depth, receiver)
    step = 1e-5
    far, near = (table.times(is_s, distance + sign * step, depth, receiver) for sign in (1, -1))
    np.testing.assert_allclose(by_distance, (far - near) / (2 * step), atol=1e-3)
    deep, shallow = (table.times(is_s, distance, depth + sign * step, receiver) for sign in (1, -1))
    np.testing.assert_allclose(by_depth, (deep - shallow) / (2 * step), atol=1e-3)


def test_times_have_no_steps_at_the_nodes(table):
    distance = np.linspace(80, 81, 2001)
    times, by_distance, _ = table.times_and_slopes(np.zeros(2001, bool), distance, 8.3, -0.7)
    assert np.abs(np.diff(by_distance)).max() < 1e-3
    assert np.abs(np.diff(times, 2)).max() < 1e-6


@pytest.mark.parametrize(
    ("distance", "depth", "receiver"), [(400.0, 10.0, 0.0), (10.0, 90.0, 0.0), (10.0, -2.6, 0.0), (10.0, 5.0, -4.0)]
)
def test_what_lies_outside_is_computed(table, distance, depth, receiver):
    arguments = (np.array([False, True]), np.full(2, distance), np.full(2, depth), np.full(2, receiver))
    times, by_distance, by_depth = table.times_and_slopes(*arguments)
    np.testing.assert_allclose(times, predict_s(LAYERS, *arguments), rtol=1e-12)
    farther, deeper = (
        predict_s(LAYERS, arguments[0], arguments[1] + 1e-3 * (k == 0), arguments[2] + 1e-3 * (k == 1), arguments[3])
        for k in range(2)
    )
    np.testing.assert_allclose(by_distance, (farther - times) / 1e-3, atol=1e-9)
    np.testing.assert_allclose(by_depth, (deeper - times) / 1e-3, atol=1e-9)


def test_inputs_broadcast(table):
    times = table.times(np.array([False, True])[:, None], np.array([1.0, 2.0, 3.0]), 5.0, 0.0)
    assert times.shape == (2, 3)
    assert (times[1] > times[0]).all()


def test_a_distance_that_is_no_number_is_refused(table):
    with pytest.raises(ValueError, match="finite distances"):
        table.times(np.array([False]), np.array([np.nan]), 5.0, 0.0)


@pytest.mark.parametrize(("reach", "depths"), [(0.0, (0.0, 10.0)), (100.0, (10.0, 0.0)), (np.inf, (0.0, 10.0))])
def test_an_empty_or_endless_table_is_refused(reach, depths):
    with pytest.raises(ValueError, match="travel-time table"):
        TravelTimes(LAYERS, reach, depths)


def test_a_table_of_a_continent_stays_small():
    grid = TravelTimes(LAYERS, 4000.0, (0.0, 700.0)).grid
    assert grid.slowness_s_km.nbytes < 10e6
