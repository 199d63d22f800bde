"""Intervals of the lab."""

import numpy as np
import pytest

from pickflow.lab.bootstrap import (
    Interval,
    block_of_records,
    draw_blocks,
    interval,
    mean_of_trainings,
    sum_draws,
    verdict,
)
from tests.costs import MOST_GROWTH, growth
from tests.lab_fixture import event, noise, records_table

RECORDS = records_table(
    event("a", event_id="1", station="X.A"), event("b", event_id="1", station="X.B"),
    event("c", event_id="2", station="X.A"), event("d", event_id="1", station="X.C", dataset="other"),
    noise("m", station="X.A"), noise("n", station="X.B"),
)  # fmt: skip


def groups(by):
    names = RECORDS.record.groupby(block_of_records(RECORDS, by)).agg("".join)
    return sorted(names)


def test_records_of_an_event_are_one_block_and_noise_records_are_their_own():
    assert groups("event") == ["ab", "c", "d", "m", "n"]


def test_records_of_a_station_are_one_block_with_its_noise():
    assert groups("station") == ["acm", "bn", "d"]


def test_other_blocks_are_refused():
    with pytest.raises(ValueError, match="drawn by 'day'"):
        block_of_records(RECORDS, "day")


def test_each_draw_has_as_many_blocks_as_there_are_and_a_seed_repeats_it():
    draws = draw_blocks(30, 200, seed=7)
    assert (draws.sum(axis=1) == 30).all()
    assert (draws == draw_blocks(30, 200, seed=7)).all()
    assert (draws != draw_blocks(30, 200, seed=8)).any()


def test_all_records_of_a_block_are_drawn_together():
    block, weights = np.array([0, 0, 1]), np.array([[2, 0], [1, 1]], np.float32)
    sums = sum_draws(np.array([[1.0], [10.0], [100.0]]), block, weights)
    assert sums.tolist() == [[22.0], [111.0]]


def test_the_interval_of_a_share_is_as_wide_as_theory_says():
    hits = (np.arange(400) % 4 > 0).astype(float)[:, None]
    shares = sum_draws(hits, np.arange(400), draw_blocks(400, 4000, seed=1))[:, 0] / 400
    low, high = interval(shares, 400)
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert [low, high] == pytest.approx([0.75 - half, 0.75 + half], abs=0.003)


def test_few_blocks_or_no_value_give_no_interval():
    assert np.isnan(interval(np.linspace(0, 1, 100), 9)).all()
    assert np.isnan(interval(np.full(100, np.nan), 50)).all()
    assert interval(np.linspace(0, 1, 101), 10) == pytest.approx((0.025, 0.975))


def test_a_difference_that_is_not_one_says_so():
    assert verdict(Interval(-0.1, 0.2), True) == "no difference"
    assert verdict(Interval(0.0, 0.2), True) == "no difference"
    assert verdict(Interval(0.01, 0.2), True) == verdict(Interval(-0.2, -0.01), False) == "better"
    assert verdict(Interval(0.01, 0.2), False) == verdict(Interval(-0.2, -0.01), True) == "worse"
    assert verdict(Interval(np.nan, np.nan), True) == "unknown"


def test_trainings_are_drawn_anew_so_that_their_spread_widens_the_interval():
    draws = np.stack([np.full(2000, 0.6), np.full(2000, 0.8)])
    together = mean_of_trainings(draws, 0, "GRU")
    assert sorted(set(np.round(together, 6))) == [0.6, 0.7, 0.8]
    assert together.mean() == pytest.approx(0.7, abs=0.01)
    assert (together == mean_of_trainings(draws, 0, "GRU")).all()
    assert (together != mean_of_trainings(draws, 0, "BO")).any()
    assert (mean_of_trainings(draws[:1], 0, "GRU") == draws[0]).all()


def test_ten_times_the_records_cost_ten_times_as_much():
    def draw(n):
        sum_draws(np.ones((n, 12)), np.arange(n), draw_blocks(n, 1000, seed=0))

    assert growth(draw, 100, 1000) < MOST_GROWTH
