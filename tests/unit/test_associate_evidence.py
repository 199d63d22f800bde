"""Evidence: which proposed events are real, and whose the picks are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pickflow.associate.evidence import Search, estimate_odds, preselect, select, series_of
from pickflow.associate.observations import NO_EVENTS, observe
from pickflow.associate.relocation import residuals_s
from pickflow.associate.settings import derive_settings
from pickflow.associate.with_stack import propose
from pickflow.travel_times.geometry import frame_around
from pickflow.travel_times.tables import TravelTimes
from tests.association_fixture import LAYERS, START, associate_params, make_scene

TIMES = TravelTimes(LAYERS, 300.0, (0.0, 40.0), (-2.0, 0.0))


def prepare(scene, picks=None):
    """The search, its series, odds before any event is known, and true origins."""
    picks = scene.picks if picks is None else picks
    frame = frame_around(scene.stations)
    observations = observe(picks, scene.stations, frame, pd.Timestamp(START))
    settings = derive_settings(scene.stations, LAYERS, associate_params(), 0.1)
    search = Search(observations=observations, series=series_of(observations), times=TIMES, settings=settings)
    odds = estimate_odds(search, NO_EVENTS)
    x, y = frame.to_local(scene.events.latitude_deg, scene.events.longitude_deg)
    seconds = (scene.events.time - pd.Timestamp(START)).dt.total_seconds()
    return search, search.series, odds, np.column_stack([x, y, scene.events.depth_km, seconds])


def owners(scene, search, chosen):
    """Names of the true events of each chosen event's picks."""
    names = search.observations.picks.pick_id.map(scene.owner).to_numpy()
    return [set(names[chosen.pick[chosen.event == row]]) for row in range(len(chosen.origin))]


def test_true_origins_take_their_own_picks_and_wrong_ones_none():
    scene = make_scene([600.0, 604.0, 1500.0], n_noise=60)
    search, series, odds, truth = prepare(scene)
    wrong = truth + np.array([25.0, -20.0, 0.0, 3.0])
    chosen = select(np.concatenate([wrong, truth]), series, odds, TIMES)
    assert len(chosen.origin) == 3
    assert all(len(names - {""}) == 1 for names in owners(scene, search, chosen))
    assert np.unique(chosen.pick).size == chosen.pick.size
    assert chosen.pick.size >= 0.95 * 3 * 24


def test_the_same_event_proposed_many_times_is_one():
    scene = make_scene([600.0])
    _, series, odds, truth = prepare(scene)
    generator = np.random.default_rng(0)
    near = truth + generator.normal(0, [1.0, 1.0, 1.0, 0.1], (50, 4))
    assert len(select(near, series, odds, TIMES).origin) == 1


def test_picks_that_are_not_free_are_not_claimed():
    scene = make_scene([600.0])
    _, series, odds, truth = prepare(scene)
    free = np.ones(series.order.size, bool)
    free[:10] = False
    assert not np.isin(np.arange(10), select(truth, series, odds, TIMES, free).pick).any()
    assert len(select(truth, series, odds, TIMES, np.zeros(series.order.size, bool)).origin) == 0


def test_near_stations_that_are_silent_speak_against_an_event():
    """Seven picks of the farthest stations, though the near ones, which pick other events, saw nothing."""
    scene = make_scene([600.0, 1500.0, 2400.0, 3300.0, 4200.0])
    *_, truth = prepare(scene)
    picks_of_event = scene.picks[scene.picks.pick_id.map(scene.owner) == "event0"]
    picks_of_others = scene.picks[scene.picks.pick_id.map(scene.owner) != "event0"]
    far, near = (
        pd.concat([picks_of_others, part]).sort_values("time")
        for part in (picks_of_event.iloc[-7:], picks_of_event.iloc[:7])
    )
    evidence = []
    for picks in (near, far):
        _, series, odds, _ = prepare(scene, picks.reset_index(drop=True))
        lenient = replace(odds, least_evidence=-1e9)
        claims = preselect(truth[:1], series, lenient, TIMES, np.ones(series.order.size, bool))
        assert claims.pick.size == 7
        enough = [
            level
            for level in range(-60, 60)
            if len(select(truth[:1], series, replace(odds, least_evidence=level), TIMES).origin)
        ]
        evidence.append(max(enough))
    assert evidence[0] > evidence[1] + 5


def test_busy_series_are_worth_less_and_explained_picks_do_not_count():
    quiet, busy = make_scene([600.0]), make_scene([600.0], n_noise=2000)
    values = []
    for scene in (quiet, busy):
        search, series, odds, truth = prepare(scene)
        events = select(truth, series, odds, TIMES)
        again = estimate_odds(search, events)
        values.append((odds.log_rate.mean(), again.log_rate[events.pick].mean(), odds.log_rate[events.pick].mean()))
    # 83 picks of each series in two hours against the single one that is assumed in ten minutes, and its own.
    assert values[1][0] > values[0][0] + 1.0
    assert all(after < before for _, after, before in values)


def test_residuals_teach_their_scatter():
    """Arrivals of S are moved by 0.2 s, half of them earlier and half later, those of P by 0.1 s."""
    scene = make_scene([600.0 + 200 * index for index in range(10)], error_s=0.0)
    search, series, odds, truth = prepare(scene)
    events = select(truth, series, odds, TIMES)
    is_s = search.observations.is_s[events.pick]
    sign = np.where(np.arange(events.pick.size) % 2, 1, -1)
    search.observations.time_s[events.pick] += -residuals_s(events, search.observations, TIMES) + sign * np.where(
        is_s, 0.2, 0.1
    )
    again = estimate_odds(search, events)
    assert again.sigma_s[~series.is_s] == pytest.approx(0.14826)
    assert again.sigma_s[series.is_s] == pytest.approx(0.29652)
    assert again.tolerance_s.max() <= search.settings.max_residual_s


def test_the_stack_proposes_an_origin_near_every_event():
    scene = make_scene([600.0, 604.0, 1500.0, 3000.0], n_noise=100)
    search, _, odds, truth = prepare(scene)
    proposed = propose(search, np.arange(search.observations.time_s.size), odds)
    for origin in truth:
        near = np.hypot(*(proposed[:, :2] - origin[:2]).T) < 2 * search.settings.stack.grid_step_km
        assert (near & (np.abs(proposed[:, 3] - origin[3]) < 1.5)).any()


def test_the_stack_finds_the_same_in_one_span_and_in_overlapping_ones(monkeypatch):
    scene = make_scene([600.0, 1800.0, 3000.0], n_noise=300)
    search, series, odds, _ = prepare(scene)
    every = np.arange(search.observations.time_s.size)
    whole = propose(search, every, odds)
    monkeypatch.setattr("pickflow.associate.with_stack._LONGEST_SPAN_S", 900.0)
    parts = propose(search, every, odds)
    chosen = [select(origins, series, odds.coarse(1.0, 0.0), TIMES) for origins in (whole, parts)]
    assert len(chosen[0].origin) == len(chosen[1].origin) >= 3
