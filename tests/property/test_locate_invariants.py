"""What must hold for any velocity model, any catalog and any moment: tables, and locations from arrivals alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.travel_times.layers import VelocityModel, predict_s
from pickflow.travel_times.tables import TravelTimes
from tests.locate_fixture import NO_CORRECTIONS, locate, make_catalog, square_of_stations

CATALOG = make_catalog([(0.0, 5.0, 8.0), (-25.0, 10.0, 12.0), (60.0, -20.0, 4.0)], square_of_stations(), error_s=0.1)


@st.composite
def velocity_models(draw):
    n_layers = draw(st.integers(1, 6))
    thickness = draw(st.lists(st.floats(0.5, 15), min_size=n_layers, max_size=n_layers))
    vp = np.array(draw(st.lists(st.floats(2.0, 8.0), min_size=n_layers, max_size=n_layers)))
    ratio = draw(st.floats(1.5, 2.2))
    return VelocityModel(top_depth_km=np.cumsum([0, *thickness[:-1]]), vp_km_s=vp, vs_km_s=vp / ratio)


@settings(max_examples=40, deadline=None)
@given(velocity_models(), st.integers(0, 2**32 - 1))
def test_tables_hold_the_computed_times_at_their_nodes_and_stay_near_them_between(model, seed):
    table = TravelTimes(model, 120.0, (0.0, 40.0), (-1.0, 0.0))
    generator = np.random.default_rng(seed)
    is_s = generator.random(400) < 0.5
    distance, depth = generator.integers(0, 240, 400) / 2, generator.integers(0, 80, 400) / 2
    receiver = generator.integers(-2, 1, 400) / 2
    exact = predict_s(model, is_s, distance, depth, receiver)
    np.testing.assert_allclose(table.times(is_s, distance, depth, receiver), exact, atol=1e-7)
    nudged = distance + generator.uniform(0, 0.25, 400)
    exact = predict_s(model, is_s, nudged, depth, receiver)
    # Half a cell at the difference of two slownesses is the most that a kink can hide.
    assert np.abs(table.times(is_s, nudged, depth, receiver) - exact).max() < 0.25 / model.vs_km_s.min()


@settings(max_examples=10, deadline=None)
@given(st.integers(-(10**9), 10**9))
def test_a_catalog_at_another_time_is_the_same_catalog_at_another_time(shift_s):
    shift = pd.Timedelta(milliseconds=shift_s)
    later = dataclasses.replace(CATALOG, picks=CATALOG.picks.assign(time=CATALOG.picks.time + shift))
    first, second = (locate(catalog, **NO_CORRECTIONS).events for catalog in (CATALOG, later))
    pd.testing.assert_frame_equal(first.assign(time=first.time + shift), second)


@settings(max_examples=10, deadline=None)
@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(-5, 700))
def test_where_the_associator_put_an_event_does_not_matter(latitude, longitude, depth):
    moved = CATALOG.events.assign(latitude_deg=latitude, longitude_deg=longitude, depth_km=depth)
    first, second = (
        locate(dataclasses.replace(CATALOG, events=events), **NO_CORRECTIONS).events
        for events in (CATALOG.events, moved)
    )
    pd.testing.assert_frame_equal(first, second)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, len(CATALOG.assignments) - 1)))
def test_whatever_arrivals_are_missing_nothing_else_is_lost(missing):
    assignments = CATALOG.assignments.drop(CATALOG.assignments.index[sorted(missing)])
    located = locate(dataclasses.replace(CATALOG, assignments=assignments))
    assert set(located.events.event_id) == set(CATALOG.events.event_id)
    assert len(located.assignments) == len(assignments)
    is_graded = located.events.quality != "D"
    assert np.isfinite(located.events.horizontal_uncertainty_km[is_graded]).all()
    assert np.isfinite(located.events[["latitude_deg", "longitude_deg", "depth_km"]].to_numpy()).all()
