"""Association: what PyOcto and GaMMA find, what the tables say about it, and what happens to poor input."""

from __future__ import annotations

import dataclasses
import logging
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

import pickflow.associate
from pickflow.associate import associate, derive_settings, merge_days
from pickflow.associate.observations import Hypotheses, observe
from pickflow.associate.relocation import relocate, residuals_s
from pickflow.associate.with_gamma import associate_gamma
from pickflow.io.tables import conform
from pickflow.schemas import ASSIGNMENTS, EVENTS, PICKS
from pickflow.travel_times.geometry import azimuthal_gap_deg, distance_and_azimuth, frame_around
from pickflow.travel_times.layers import homogeneous, travel_time_s
from pickflow.travel_times.tables import TravelTimes
from tests.association_fixture import LAYERS, START, associate_params, make_scene, stations_around_centre

METHODS = ["pyocto", "gamma", "stack"]
HALF_SPACE = homogeneous(6.0, 3.45)


@pytest.fixture(scope="module")
def scene():
    return make_scene([300.0, 900.0, 1500.0, 2100.0, 2106.0, 3000.0], n_noise=60)


def found_events(events, truth, seconds, km):
    """True events with a counterpart."""
    near = []
    for row in truth.itertuples():
        distance, _ = distance_and_azimuth(
            events.latitude_deg, events.longitude_deg,
            np.full(len(events), row.latitude_deg), np.full(len(events), row.longitude_deg),
        )  # fmt: skip
        near.append(bool((((events.time - row.time).abs() <= pd.Timedelta(seconds=seconds)) & (distance <= km)).any()))
    return sum(near)


@pytest.mark.parametrize(
    ("method", "model"),
    [("pyocto", LAYERS), ("pyocto", HALF_SPACE), ("gamma", HALF_SPACE), ("stack", LAYERS), ("stack", HALF_SPACE)],
    ids=["pyocto-layers", "pyocto-half space", "gamma-half space", "stack-layers", "stack-half space"],
)  # fmt: skip
def test_every_event_is_found_once_and_nothing_else(scene, method, model):
    events, assignments = associate(scene.picks, scene.stations, model, associate_params(), method, scene.window)
    assert found_events(events, scene.events, seconds=1.0, km=5.0) == len(scene.events) == len(events)
    owners = assignments.assign(owner=assignments.pick_id.map(scene.owner)).groupby("event_id").owner
    assert (owners.agg(lambda owner: owner.value_counts(normalize=True).iloc[0]) > 0.9).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_rows_does_not_matter(scene, method):
    mixed = [table.sample(frac=1, random_state=3) for table in (scene.picks, scene.stations)]
    for first, second in zip(
        associate(scene.picks, scene.stations, HALF_SPACE, associate_params(), method, scene.window),
        associate(*mixed, HALF_SPACE, associate_params(), method, scene.window),
        strict=True,
    ):
        pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_threads_does_not_matter(scene, method):
    tables_of_one, tables_of_two = (
        associate(scene.picks, scene.stations, HALF_SPACE, associate_params(threads=threads), method, scene.window)
        for threads in (1, 2)
    )
    pd.testing.assert_frame_equal(tables_of_one[0], tables_of_two[0], check_exact=True)
    pd.testing.assert_frame_equal(tables_of_one[1], tables_of_two[1], check_exact=True)


def test_gamma_neither_depends_on_the_global_random_numbers_nor_changes_them(scene):
    settings = derive_settings(scene.stations, HALF_SPACE, associate_params(), 0.1)
    frame = frame_around(scene.stations)
    observations = observe(scene.picks, scene.stations, frame, pd.Timestamp(START))
    times = TravelTimes(HALF_SPACE, 400.0, (0.0, 60.0), (-2.0, 0.0))
    origins, draws = [], []
    for seed in (1, 2):
        np.random.seed(seed)
        origins.append(associate_gamma(observations, times, settings))
        draws.append(np.random.random())
    np.testing.assert_array_equal(*origins)
    np.random.seed(1)
    assert draws[0] == np.random.random()


def test_the_tables_agree_with_each_other(scene):
    events, assignments = associate(scene.picks, scene.stations, LAYERS, associate_params(), "pyocto", scene.window)
    arrivals = assignments.merge(scene.picks, on="pick_id").merge(scene.stations, on=["network", "station"])
    arrivals = arrivals.merge(events, on="event_id", suffixes=("", "_origin"))
    distance, azimuth = distance_and_azimuth(
        arrivals.latitude_deg_origin, arrivals.longitude_deg_origin, arrivals.latitude_deg, arrivals.longitude_deg
    )
    np.testing.assert_allclose(arrivals.distance_km, distance, atol=1e-3)
    np.testing.assert_allclose(arrivals.azimuth_deg, azimuth, atol=1e-2)
    for phase, rows in arrivals.groupby("phase"):
        travel = travel_time_s(LAYERS, phase, rows.distance_km, rows.depth_km, -rows.elevation_m / 1000)
        observed = (rows.time - rows.time_origin).dt.total_seconds()
        np.testing.assert_allclose(rows.residual_s, observed - travel, atol=1e-4)
    for row in events.itertuples():
        arrivals_of_event = arrivals[arrivals.event_id == row.event_id]
        assert (row.n_picks, row.n_p) == (len(arrivals_of_event), (arrivals_of_event.phase == "P").sum())
        assert row.n_p + row.n_s == row.n_picks
        assert row.n_stations == arrivals_of_event.station.nunique()
        assert row.rms_residual_s == pytest.approx(np.sqrt((arrivals_of_event.residual_s**2).mean()), abs=1e-5)
        assert row.azimuthal_gap_deg == pytest.approx(azimuthal_gap_deg(arrivals_of_event.azimuth_deg), abs=1e-2)


def test_no_pick_belongs_to_two_events_and_no_event_has_a_phase_twice():
    scene = make_scene([600.0, 604.0, 609.0], n_noise=200)
    _, assignments = associate(scene.picks, scene.stations, LAYERS, associate_params(), "pyocto", scene.window)
    assert assignments.pick_id.is_unique
    assert not assignments.merge(scene.picks, on="pick_id").duplicated(["event_id", "station", "phase"]).any()


def test_an_event_seen_by_four_stations_is_found():
    scene = make_scene([1200.0], n_seeing=4)
    events, _ = associate(scene.picks, scene.stations, LAYERS, associate_params(), "pyocto", scene.window)
    assert list(events.n_picks) == [8]


def test_three_p_and_two_s_are_enough_if_the_configuration_says_so():
    scene = make_scene([1200.0], n_seeing=3)
    picks = scene.picks.drop(scene.picks.index[(scene.picks.phase == "S")][-1])
    params = associate_params(min_picks=5, min_p_picks=3, min_s_picks=2, min_p_and_s_stations=2)
    assert len(associate(picks, scene.stations, LAYERS, params, "pyocto", scene.window)[0]) == 1
    assert associate(picks, scene.stations, LAYERS, associate_params(min_picks=6), "pyocto", scene.window)[0].empty


@pytest.mark.parametrize("method", METHODS)
def test_an_event_at_midnight_is_in_the_catalog_once(method):
    scene = make_scene([3600.0 + shift for shift in (-40.0, -0.4, 45.0)])
    midnight = START + timedelta(hours=1)
    days = [(START, midnight), (midnight, scene.window[1])]
    tables_of_days = [associate(scene.picks, scene.stations, LAYERS, associate_params(), method, day) for day in days]
    events, assignments = merge_days(tables_of_days, scene.picks)
    assert [len(day_events) for day_events, _ in tables_of_days] == [2, 2]
    assert len(events) == found_events(events, scene.events, seconds=1.0, km=3.0) == 3
    assert set(assignments.event_id) == set(events.event_id)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("border", ["midnight", "part of a day"])
def test_no_event_is_lost_or_doubled_at_a_border_in_whichever_second_it_comes(method, border, monkeypatch):
    """An event in every second around a border, each alone in its hour; the borders of hours are the borders."""
    shifts = np.arange(-10, 11)
    for shift in shifts[:: 1 if method == "stack" else 4]:
        scene = make_scene([3600.0 + float(shift)], n_noise=20, seed=int(shift) + 20)
        if border == "midnight":
            middle = START + timedelta(hours=1)
            days = [(START, middle), (middle, scene.window[1])]
            tables_of_days = [
                associate(scene.picks, scene.stations, LAYERS, associate_params(), method, day) for day in days
            ]
            events, assignments = merge_days(tables_of_days, scene.picks)
        else:
            monkeypatch.setattr(pickflow.associate, "MAX_PICKS", len(scene.picks) // 2 + 1)
            events, assignments = associate(
                scene.picks, scene.stations, LAYERS, associate_params(), method, scene.window
            )
        assert len(events) == found_events(events, scene.events, seconds=1.0, km=3.0) == 1, shift
        owners = assignments.pick_id.map(scene.owner)
        assert (owners == "event0").sum() >= 22, shift


def test_a_swarm_across_a_border_is_what_it_is_without_the_border(monkeypatch):
    """One event every 8 s for 5 minutes around a border: all are found, no pick is in two."""
    scene = make_scene([3600.0 + shift for shift in range(-152, 153, 8)], n_stations=20, n_seeing=10)
    whole, _ = associate(scene.picks, scene.stations, LAYERS, associate_params(), "stack", scene.window)
    monkeypatch.setattr(pickflow.associate, "MAX_PICKS", len(scene.picks) // 2 + 1)
    events, assignments = associate(scene.picks, scene.stations, LAYERS, associate_params(), "stack", scene.window)
    counts = [found_events(table, scene.events, seconds=1.0, km=4.0) for table in (whole, events)]
    assert counts == [len(scene.events)] * 2
    assert len(whole) == len(events) == len(scene.events)
    assert assignments.pick_id.is_unique


def test_a_swarm_with_as_many_false_picks_as_true_ones_is_found():
    """One event every 15 s, 5,760 a day, and a false pick for each true one."""
    scene = make_scene([300.0 + 15 * index for index in range(60)], n_stations=20, n_seeing=10, n_noise=1200, hours=0.4)
    events, assignments = associate(scene.picks, scene.stations, LAYERS, associate_params(), "stack", scene.window)
    owner = assignments.assign(owner=assignments.pick_id.map(scene.owner)).groupby("event_id").owner
    mostly = owner.agg(lambda names: names.value_counts(normalize=True).iloc[0]) >= 0.6
    right = owner.agg(lambda names: names.value_counts().index[0])[mostly]
    right = set(right[right != ""])
    assert len(right) >= 0.95 * 60
    assert len(right) >= 0.95 * len(events)


def test_gamma_finds_the_same_events_when_its_groups_are_cut(scene, monkeypatch):
    params = associate_params(complete_with_stack=False, passes=1)
    monkeypatch.setattr("pickflow.associate.with_gamma._MAX_GROUP", 20)
    events, _ = associate(scene.picks, scene.stations, HALF_SPACE, params, "gamma", scene.window)
    assert found_events(events, scene.events, seconds=1.0, km=5.0) == len(scene.events) == len(events)


def _day(rows):
    """Tables of a day: event names with their picks, a letter each."""
    events = pd.DataFrame({"event_id": list(rows)}).reindex(columns=EVENTS.schema.names).assign(
        time=pd.Timestamp(START), rms_residual_s=0.1, n_p=0, n_s=0, n_stations=0, n_magnitude_stations=0
    )  # fmt: skip
    events["n_picks"] = [len(picks) for picks in rows.values()]
    arrivals = [(event, pick, 0.0, 1.0, 2.0) for event, picks in rows.items() for pick in picks]
    return conform(events, EVENTS), conform(pd.DataFrame(arrivals, columns=ASSIGNMENTS.schema.names), ASSIGNMENTS)


def _picks(letters):
    return pd.DataFrame(
        {"pick_id": list(letters), "network": "XX", "station": [f"S{letter}" for letter in letters], "phase": "P"}
    )


def test_merging_keeps_the_event_with_more_picks_and_spares_strangers():
    days = [_day({"a": "123456", "b": "uvwxyz"}), _day({"c": "12345", "d": "78901"})]
    events, _ = merge_days(days, _picks("1234567890uvwxyz"))
    assert sorted(events.event_id) == ["a", "b", "d"]


def test_a_pick_that_two_events_still_share_stays_with_the_larger_one():
    days = [_day({"a": "123456"}), _day({"b": "6789"})]
    events, assignments = merge_days(days, _picks("123456789"))
    assert assignments.groupby("event_id").size().to_dict() == {"a": 6, "b": 3}
    assert events.set_index("event_id").n_picks.to_dict() == {"a": 6, "b": 3}
    assert events.set_index("event_id").n_stations.to_dict() == {"a": 6, "b": 3}


def test_picks_without_coordinates_are_left_out_and_counted(scene, caplog):
    stations = scene.stations.copy()
    stations.loc[0, ["latitude_deg", "longitude_deg"]] = np.nan
    with caplog.at_level(logging.WARNING):
        _, assignments = associate(scene.picks, stations, LAYERS, associate_params(), "pyocto", scene.window)
    stations_of_picks = assignments.merge(scene.picks, on="pick_id").station
    lost = int((scene.picks.station == stations.station[0]).sum())
    assert stations.station[0] not in set(stations_of_picks)
    assert f"{lost} of {len(scene.picks)} picks" in caplog.text


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", ["no picks", "unknown stations", "one phase", "two stations", "a single pick"])
def test_poor_input_gives_empty_tables(scene, method, case):
    picks, stations = scene.picks, scene.stations
    if case == "no picks":
        picks = conform(pd.DataFrame(), PICKS)
    elif case == "unknown stations":
        picks = picks.assign(network="XX")
    elif case == "one phase":
        picks = picks[picks.phase == "S"]
    elif case == "two stations":
        stations = stations.iloc[:2]
    else:
        picks = picks.iloc[:1]
    events, assignments = associate(picks, stations, LAYERS, associate_params(), method, scene.window)
    assert (len(events), len(assignments)) == (0, 0)
    assert list(events.columns) == EVENTS.schema.names


@pytest.mark.parametrize("method", ["pyocto", "stack"])
def test_picks_that_were_made_twice_do_not_make_events_twice(method):
    scene = make_scene([300.0, 900.0], n_noise=40)
    again = scene.picks.assign(
        pick_id=scene.picks.pick_id + "again", time=scene.picks.time + pd.Timedelta(milliseconds=20)
    )
    picks = pd.concat([scene.picks, again])
    events, _ = associate(picks, scene.stations, LAYERS, associate_params(), method, scene.window)
    assert len(events) == found_events(events, scene.events, seconds=1.0, km=3.0) == 2


def test_a_phase_that_is_neither_p_nor_s_is_named(scene):
    with pytest.raises(ValueError, match="phase 'Lg' of a pick is neither P nor S"):
        associate(scene.picks.assign(phase="Lg"), scene.stations, LAYERS, associate_params(), "stack", scene.window)


def test_unusable_requests_are_named(scene):
    arguments = (HALF_SPACE, associate_params())
    with pytest.raises(ValueError, match="'real' is unknown; known: pyocto, gamma, stack"):
        associate(scene.picks, scene.stations, *arguments, "real", scene.window)
    nowhere = scene.stations.assign(latitude_deg=np.nan)
    with pytest.raises(ValueError, match="no station has coordinates"):
        associate(scene.picks, nowhere, *arguments, "pyocto", scene.window)
    twice = pd.concat([scene.stations, scene.stations.assign(latitude_deg=45.0)])
    with pytest.raises(ValueError, match="occurs more than once"):
        associate(scene.picks, twice, *arguments, "pyocto", scene.window)


def test_given_settings_are_kept_and_the_others_follow_the_network():
    small, large = (stations_around_centre(12, width_km=width) for width in (20.0, 400.0))
    near, far = (derive_settings(stations, HALF_SPACE, associate_params(), 0.1) for stations in (small, large))
    assert near.area_margin_km < far.area_margin_km
    assert near.pyocto.time_before_s < far.pyocto.time_before_s < far.halo_s
    assert near.gamma.dbscan_eps_s < far.gamma.dbscan_eps_s
    assert (near.max_residual_s, far.max_residual_s) == (1.0, 2.0)
    assert derive_settings(large, LAYERS, associate_params(), 0.1).max_residual_s == 1.0
    changed_settings = derive_settings(
        small, HALF_SPACE, associate_params(min_picks=11, pyocto={"time_before_s": 99.0}), 0.1
    )
    assert (changed_settings.min_picks, changed_settings.pyocto.time_before_s, changed_settings.halo_s) == (
        11,
        99.0,
        198.0,
    )
    assert None not in dataclasses.asdict(near).values()


def test_more_picks_call_for_more_picks_of_an_event():
    stations = stations_around_centre(12)
    rates = [1e-4, 0.1, 0.3, 1.0, 10.0]
    least = [derive_settings(stations, LAYERS, associate_params(), rate) for rate in rates]
    assert [settings.min_picks for settings in least] == [5, 5, 5, 7, 7]
    assert [settings.min_s_picks for settings in least] == [0, 0, 0, 2, 2]
    assert derive_settings(stations[:3], LAYERS, associate_params(), 10.0).min_picks == 6


def test_a_network_across_the_date_line_stays_together():
    stations = stations_around_centre(8).assign(latitude_deg=-18.0)
    shifted = stations.assign(longitude_deg=(stations.longitude_deg - 13.0 + 360) % 360 - 180)
    x, _ = frame_around(shifted).to_local(shifted.latitude_deg, shifted.longitude_deg)
    assert np.ptp(x) < 300


def test_relocation_brings_a_displaced_origin_back():
    scene = make_scene([600.0, 1800.0], error_s=0.0)
    frame = frame_around(scene.stations)
    observations = observe(scene.picks, scene.stations, frame, pd.Timestamp(START))
    event = observations.picks.pick_id.map(scene.owner).map({"event0": 0, "event1": 1}).to_numpy(np.int64)
    x, y = frame.to_local(scene.events.latitude_deg, scene.events.longitude_deg)
    truth = np.column_stack([x, y, scene.events.depth_km, [600.0, 1800.0]])
    moved = Hypotheses(origin=truth + np.array([6.0, -5.0, 4.0, 0.8]), event=event, pick=np.arange(event.size))
    times = TravelTimes(LAYERS, 200.0, (0.0, 40.0), (-2.0, 0.0))
    located = relocate(moved, observations, times, 0.25, 100.0)
    assert np.abs(residuals_s(moved, observations, times)).max() > 0.5
    assert np.hypot(*(located.origin - truth)[:, :2].T).max() < 0.5
    # The scene's flat geometry is not exactly the frame's: the truth itself moves a little.
    relocated_truth = relocate(Hypotheses(origin=truth, event=event, pick=moved.pick), observations, times, 0.25, 100.0)
    assert np.abs(located.origin - relocated_truth.origin).max() < 0.1
    assert np.abs(residuals_s(located, observations, times)).max() < 0.1


def test_one_bad_arrival_does_not_move_the_origin_much():
    scene = make_scene([600.0], error_s=0.0)
    observations = observe(scene.picks, scene.stations, frame_around(scene.stations), pd.Timestamp(START))
    x, y = frame_around(scene.stations).to_local(scene.events.latitude_deg, scene.events.longitude_deg)
    start = np.column_stack([x, y, scene.events.depth_km, [600.0]])
    observations.time_s[5] += 3.0
    whole = Hypotheses(origin=start, event=np.zeros(observations.time_s.size, np.int64), pick=np.arange(24))
    times = TravelTimes(LAYERS, 200.0, (0.0, 40.0), (-2.0, 0.0))
    moved = relocate(whole, observations, times, 0.25, 100.0).origin - start
    assert np.hypot(*moved[0, :2]) < 1.0
