from itertools import product

import numpy as np
import obspy
import pytest

from pickflow.annotate.segments import NS_PER_S, make_segments
from pickflow.compress.scores import BlockPicks, agreement, best_thresholds, blocks_of, n_matches
from pickflow.compress.windows import BLOCK_S, TEST_BLOCK, Record, calibrate, draw_varied, is_test, make_source
from tests.compress_fixture import picker

START_NS = 1_709_632_800 * NS_PER_S + 137_000_000


@pytest.fixture(scope="module")
def model():
    return picker("PickflowNet")


def record(seconds=2400.0, gaps=(), picks_s=(), start_ns=START_NS, seed=0):
    """A station's record of noise, with gaps and picks at seconds after its start."""
    rng = np.random.default_rng(seed)
    edges = [0.0, *[edge for gap in gaps for edge in gap], seconds]
    stream = obspy.Stream()
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        for component in "ZNE":
            header = {"network": "XA", "station": "AAA", "channel": f"HH{component}", "sampling_rate": 100.0}
            header["starttime"] = obspy.UTCDateTime(ns=start_ns + round(first * NS_PER_S))
            stream.append(obspy.Trace(rng.normal(size=round((last - first) * 100)), header))
    times = np.array([start_ns + round(at * NS_PER_S) for at in picks_s], dtype=np.int64)
    segments = tuple(make_segments(stream, "ZNE", 100.0)[0])
    return Record(name="XA.AAA 2024-03-05", stream=stream, segments=segments, pick_times_ns=times)


@pytest.mark.parametrize("seed", range(4))
def test_no_window_of_the_fit_touches_a_block_that_judges(model, seed):
    rng = np.random.default_rng(seed)
    gaps = np.sort(rng.uniform(60, 2300, 4)).reshape(2, 2)
    source = make_source([record(gaps=gaps, picks_s=np.sort(rng.uniform(0, 2400, 40)), seed=seed)], model)
    for _ in range(200):
        for _r, segment, start in (source.around_arrival(rng), source.anywhere(rng)):
            own = source.records[0].segments[segment]
            assert 0 <= start <= own.n_samples - model.in_samples
            assert not is_test(own.time_ns(start))
            assert not is_test(own.time_ns(start + model.in_samples))
    test = blocks_of(source.records, TEST_BLOCK)
    assert test
    for block in test:
        times = [trace.stats.starttime.ns for trace in block] + [trace.stats.endtime.ns for trace in block]
        assert all(is_test(time) for time in times)


def test_picks_are_marked_where_they_are(model):
    at_s = [130.0, 420.5, 700.25]
    source = make_source([record(picks_s=at_s)], model)
    drawn = calibrate(source, model, 12, 0.5, 4.0, 0)
    again = calibrate(source, model, 12, 0.5, 4.0, 0)
    assert np.array_equal(drawn.windows, again.windows)
    assert drawn.names == again.names
    assert drawn.near_arrival.any(axis=1).sum() >= 6
    for name, near in zip(drawn.names, drawn.near_arrival, strict=True):
        begin_ns = obspy.UTCDateTime(name.split()[1]).ns
        inside = [START_NS + s * NS_PER_S - begin_ns for s in at_s]
        inside = [round(offset * 100 / NS_PER_S) for offset in inside if 0 <= offset * 100 / NS_PER_S < near.size - 0.5]
        assert all(near[index] for index in inside)
        assert near.any() == bool(inside)


def test_varied_windows_are_finite_and_repeatable(model):
    source = make_source([record(picks_s=[200.0, 500.0])], model)
    drawn = draw_varied(source, np.random.default_rng(3), 40)
    assert drawn.shape == (40, 3, model.in_samples)
    assert drawn.dtype == np.float32
    assert np.isfinite(drawn).all()
    assert np.array_equal(drawn, draw_varied(source, np.random.default_rng(3), 40))


def test_records_without_windows_or_picks_say_so(model):
    with pytest.raises(ValueError, match=r"no record holds a window of 30.72 s outside of the test blocks"):
        make_source([record(seconds=20.0)], model)
    with pytest.raises(ValueError, match=r"the teacher has no pick in the records"):
        make_source([record()], model)


def best_matching(left, right, reach):
    """Largest number of pairs, by trying everything."""
    if not left:
        return 0
    without = best_matching(left[1:], right, reach)
    return max(
        [without]
        + [
            1 + best_matching(left[1:], right[:i] + right[i + 1 :], reach)
            for i, time in enumerate(right)
            if abs(time - left[0]) <= reach
        ]
    )


def test_matching_finds_the_most_pairs():
    rng = np.random.default_rng(0)
    for n_left, n_right in product(range(5), range(5)):
        left, right = (np.sort(rng.integers(0, 12, n)) * (NS_PER_S // 10) for n in (n_left, n_right))
        found = n_matches(left.astype(np.int64), right.astype(np.int64), 0.25)
        assert found == best_matching(left.tolist(), right.tolist(), 0.25 * NS_PER_S)


def block(p_s=(), s_s=(), p=None):
    times = {"P": np.array(p_s) * NS_PER_S, "S": np.array(s_s) * NS_PER_S}
    values = {"P": np.array(p if p is not None else [1.0] * len(p_s)), "S": np.ones(len(s_s))}
    return BlockPicks({phase: own.astype(np.int64) for phase, own in times.items()}, values)


def test_agreement_counts_pairs_within_the_tolerance():
    scores = agreement([block([1.0, 5.0], [])], [block([1.2], [7.0])])
    assert scores["p_f1"] == {"0.1s": 0.0, "0.3s": pytest.approx(2 / 3), "0.5s": pytest.approx(2 / 3)}
    assert scores["s_f1"]["0.5s"] == 0.0
    assert agreement([block()], [block()])["p_f1"]["0.1s"] == 1.0


def test_thresholds_drop_the_picks_that_the_teacher_lacks():
    found = [block([1.0, 5.0, 9.0], p=[0.9, 0.12, 0.06])]
    assert best_thresholds(found, [block([1.0])], 0.1)["P"] == pytest.approx(0.15)
    assert best_thresholds(found, [block([1.0, 5.0, 9.0])], 0.1) == {"P": pytest.approx(0.06), "S": 0.1}


def test_blocks_are_longer_than_every_window(model):
    assert BLOCK_S * 100 > 6000 > model.in_samples
