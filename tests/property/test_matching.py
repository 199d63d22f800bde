"""Matching: one to one, inside the tolerances, and as many pairs as there can be."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.comparison.matching import best_pairs, match_events, match_picks
from pickflow.io.tables import conform
from pickflow.schemas import EVENTS
from pickflow.travel_times.sphere import sphere_distance_km

TOLERANCE_S, TOLERANCE_KM = 2.0, 8.0
ZERO = pd.Timestamp("2026-01-01T00:00:00Z")
# Few and coarse values, so that ties and crowds are common.
events_strategy = st.lists(
    st.tuples(st.integers(0, 24), st.integers(0, 12)), max_size=7
).map(lambda rows: make_events([(time / 2, place * 2.0) for time, place in rows]))  # fmt: skip


def make_events(rows):
    """Events at times in s and distances in km north of a point."""
    frame = pd.DataFrame(rows, columns=["time_s", "north_km"])
    frame["event_id"] = [f"e{index:03d}" for index in range(len(frame))]
    frame["time"] = ZERO + pd.to_timedelta(frame.time_s, unit="s")
    frame = frame.assign(latitude_deg=46 + frame.north_km / 111.195, longitude_deg=13.0, n_picks=0, n_p=0, n_s=0)
    return conform(frame.reindex(columns=EVENTS.schema.names).assign(n_stations=0), EVENTS)


def errors(events, reference, pairs):
    times = np.abs(events.time.to_numpy("M8[ns]")[pairs.left] - reference.time.to_numpy("M8[ns]")[pairs.right])
    distance = sphere_distance_km(
        events.latitude_deg.to_numpy()[pairs.left], events.longitude_deg.to_numpy()[pairs.left],
        reference.latitude_deg.to_numpy()[pairs.right], reference.longitude_deg.to_numpy()[pairs.right],
    )  # fmt: skip
    return times / np.timedelta64(1, "s"), distance


@settings(deadline=None)
@given(events_strategy, events_strategy)
def test_pairs_are_one_to_one_and_inside_the_tolerances(events, reference):
    pairs = match_events(events, reference, TOLERANCE_S, TOLERANCE_KM)
    assert len(set(pairs.left)) == len(set(pairs.right)) == len(pairs.left) == len(pairs.right)
    times, distance = errors(events, reference, pairs)
    assert np.all(times <= TOLERANCE_S)
    assert np.all(distance <= TOLERANCE_KM)


@settings(deadline=None)
@given(events_strategy, events_strategy)
def test_exchanging_catalog_and_reference_keeps_the_number_of_pairs(events, reference):
    forward = match_events(events, reference, TOLERANCE_S, TOLERANCE_KM)
    backward = match_events(reference, events, TOLERANCE_S, TOLERANCE_KM)
    assert forward.left.size == backward.left.size


@settings(deadline=None)
@given(events_strategy)
def test_a_catalog_matches_itself_without_error(events):
    pairs = match_events(events, events, TOLERANCE_S, TOLERANCE_KM)
    times, distance = errors(events, events, pairs)
    assert pairs.left.size == len(events)
    assert times.sum() == 0
    assert distance.sum() < 1e-6


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_no_choice_has_more_pairs_or_as_many_at_less_cost(n_left, n_right, data):
    costs = {
        (left, right): data.draw(st.integers(0, 4)) / 4
        for left in range(n_left)
        for right in range(n_right)
        if data.draw(st.booleans())
    }
    left, right = (np.array([pair[side] for pair in costs], np.int64) for side in (0, 1))
    pairs = best_pairs(left, right, np.array(list(costs.values()), float))
    choice = list(zip(pairs.left, pairs.right, strict=True))
    assert set(choice) <= set(costs)
    assert (-len(choice), sum(costs[pair] for pair in choice)) == best_by_trying(costs, n_left, n_right)


def best_by_trying(costs, n_left, n_right):
    """Number of pairs (negative) and cost of the best choice, over all assignments."""
    size = max(n_left, n_right)
    tried = [
        [pair for pair in enumerate(order) if pair in costs] for order in permutations(range(size))
    ]  # fmt: skip
    return min((-len(choice), sum(costs[pair] for pair in choice)) for choice in tried)


picks_strategy = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), st.sampled_from("PS"), st.integers(0, 20)), max_size=12
).map(
    lambda rows: pd.DataFrame(rows, columns=["station", "phase", "tenths"]).assign(
        network="SY", time=lambda frame: ZERO + pd.to_timedelta(frame.tenths.astype(float) / 10, unit="s")
    )
)


@settings(deadline=None)
@given(picks_strategy, picks_strategy)
def test_picks_match_only_their_own_station_and_phase(picks, reference):
    pairs = match_picks(picks, reference, 0.5)
    left, right = picks.iloc[pairs.left], reference.iloc[pairs.right]
    assert len(set(pairs.left)) == len(set(pairs.right)) == len(pairs.left)
    assert (left.station.to_numpy() == right.station.to_numpy()).all()
    assert (left.phase.to_numpy() == right.phase.to_numpy()).all()
    assert np.all(np.abs(left.tenths.to_numpy() - right.tenths.to_numpy()) <= 5)
    # Every pick left over has nothing left to match.
    for row in set(range(len(picks))) - set(pairs.left):
        free = reference.drop(reference.index[pairs.right])
        candidates = free[(free.station == picks.station[row]) & (free.phase == picks.phase[row])]
        assert not ((candidates.tenths - picks.tenths[row]).abs() < 5).any()


@settings(deadline=None)
@given(picks_strategy, picks_strategy, st.data())
def test_an_empty_network_is_any_and_others_must_agree(picks, reference, data):
    networks = st.sampled_from(["", "SY", "XX"])
    picks, reference = (
        table.assign(network=[data.draw(networks) for _ in range(len(table))]) for table in (picks, reference)
    )
    pairs = match_picks(picks, reference, 0.5)
    left, right = (table.network.to_numpy()[rows] for table, rows in ((picks, pairs.left), (reference, pairs.right)))
    assert ((left == right) | (left == "") | (right == "")).all()
    nameless = match_picks(picks.assign(network=""), reference, 0.5)
    equal_networks = match_picks(picks.assign(network="SY"), reference.assign(network="SY"), 0.5)
    assert nameless.left.size == equal_networks.left.size >= pairs.left.size


def test_a_crowd_of_events_is_matched_as_a_whole():
    events = make_events([(0.0, 0.0), (1.5, 0.0), (3.0, 0.0)])
    reference = make_events([(1.4, 0.0), (2.9, 0.0), (4.5, 0.0)])
    assert match_events(events, reference, TOLERANCE_S, TOLERANCE_KM).left.size == 3


def test_a_year_of_events_takes_little_time_and_memory():
    generator = np.random.default_rng(0)
    rows = sorted(zip(generator.uniform(0, 3e7, 20000), generator.uniform(0, 100, 20000), strict=True))
    events = make_events(rows)
    assert match_events(events, events, TOLERANCE_S, TOLERANCE_KM).left.size == len(events)
