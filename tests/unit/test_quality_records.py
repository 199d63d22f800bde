"""Spikes, steps and clipping are found; earthquakes are not taken for them."""

from __future__ import annotations

import numpy as np
import obspy
import pytest

from pickflow.quality.clipping import is_clipped_record
from pickflow.quality.flat import flat_runs, is_dead
from pickflow.quality.glitches import find_glitches
from tests.costs import MOST_GROWTH, growth
from tests.waveform_fixture import noise

RATE = 100.0
CLIPPED_IN_THE_M64 = {"CCC", "CLC", "JRC2", "LRL", "SLA", "SRT", "TOW2", "WBM", "WBS", "WMF", "WRC2", "B921"}


@pytest.fixture
def samples():
    return noise(60_000, seed=1)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_spike_is_found_where_it_is(samples, width):
    samples[20_000 : 20_000 + width] += 60_000
    glitches = find_glitches(samples, RATE)
    assert glitches.spikes.tolist() == [20_000]
    assert glitches.steps.size == 0


def test_a_swing_of_many_samples_is_no_spike(samples):
    samples[20_000:20_100] += np.rint(60_000 * np.hanning(100)).astype(np.int32)
    assert find_glitches(samples, RATE).spikes.size == 0


def test_spikes_across_chunk_borders_are_all_found():
    samples = noise(400_000, seed=2, amplitude=20.0)
    places = [*range(130_000, 132_000, 100), *range(262_000, 263_000, 100)]
    samples[places] += 200_000
    assert find_glitches(samples, RATE).spikes.tolist() == places


def test_a_lasting_offset_is_a_step(samples):
    samples[15_000:] += 100_000
    glitches = find_glitches(samples, RATE)
    assert glitches.steps.tolist() == [15_000]
    assert glitches.spikes.size == 0


def test_an_offset_that_goes_back_within_seconds_is_no_step(samples):
    samples[15_000:15_500] += 100_000
    assert find_glitches(samples, RATE).steps.size == 0


def test_an_impulsive_earthquake_is_neither_spike_nor_step():
    samples = noise(60_000, seed=3, amplitude=20.0)
    after = np.arange(30_000)
    samples[30_000:] += np.rint(1e6 * np.exp(-after / 500.0) * np.cos(after * 1.3)).astype(np.int32)
    glitches = find_glitches(samples, RATE)
    assert glitches.spikes.size == glitches.steps.size == 0


@pytest.mark.parametrize("size", [0, 1, 10, 60])
def test_a_few_samples_are_no_problem(size):
    samples = np.arange(size, dtype=np.int32)
    assert find_glitches(samples, RATE).spikes.size == 0
    assert not is_clipped_record(samples, RATE)
    assert flat_runs(samples, RATE) == []


def test_clipped_digits_are_found(samples):
    limit = int(0.3 * np.abs(samples).max())
    assert is_clipped_record(np.clip(samples, -limit, limit), RATE)


def test_clipping_before_the_filter_is_found():
    time_s = np.arange(60_000) / RATE
    swing = np.clip(np.exp(-np.abs(time_s - 300) / 40) * np.sin(2 * np.pi * 0.7 * time_s) * 3e7, -8e6, 8e6)
    swing[::7] += 5e4
    assert is_clipped_record(np.rint(swing).astype(np.int32), RATE)


@pytest.mark.parametrize("period_s", [0.1, 0.63, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("amplitude", [30, 1e6])
def test_a_sine_is_not_clipped(period_s, amplitude):
    sine = amplitude * np.sin(2 * np.pi * np.arange(100_000) / (period_s * RATE))
    assert not is_clipped_record(np.rint(sine).astype(np.int32), RATE)


def test_a_digitizer_that_shows_few_levels_is_not_clipped():
    samples = np.random.default_rng(4).integers(-2, 3, 60_000).astype(np.int32)
    assert not is_clipped_record(samples, RATE)


def test_a_constant_is_dead_whatever_its_value_in_each_piece(samples):
    assert is_dead([np.full(10, 3), np.full(5, 4)])
    assert not is_dead([np.full(10, 3), samples])


def test_minutes_of_a_constant_are_found_to_the_sample():
    samples = noise(200_000, seed=5)
    samples[50_001:90_003] = 0
    samples[49_999:50_001] = samples[90_003:90_005] = 7
    samples[120_000:140_000] = 0
    assert flat_runs(samples, RATE) == [(50_001, 90_003)]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_floating_point_samples_of_any_unit_are_judged_alike(samples, scale):
    spoilt = samples.copy()
    spoilt[20_000] += 60_000
    assert find_glitches(spoilt * scale, RATE).spikes.tolist() == [20_000]
    assert not is_clipped_record(samples * scale, RATE)


def test_a_component_day_costs_no_more_than_its_parts():
    day = np.tile(noise(864_000, seed=6), 10)

    def judge(n_samples):
        find_glitches(day[:n_samples], RATE)
        is_clipped_record(day[:n_samples], RATE)

    assert growth(judge, 864_000, 8_640_000) < MOST_GROWTH


def test_real_records_of_an_m64_are_flagged_as_an_analyst_would(shared):
    root = shared / "data" / "ridgecrest-2019" / "sds" / "2019"
    clipped = set()
    for path in sorted(root.glob("*/*/*/*")):
        trace = obspy.read(str(path))[0]
        glitches = find_glitches(trace.data, RATE)
        assert glitches.spikes.size == glitches.steps.size == 0, path.name
        if is_clipped_record(trace.data, RATE):
            clipped.add(trace.stats.station)
    assert clipped == CLIPPED_IN_THE_M64
