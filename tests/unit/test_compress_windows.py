"""Windows that students learn from and blocks that judge them, and how picks are compared."""

from itertools import pairwise, product

import numpy as np
import obspy
import pytest

from pickflow.annotate.segments import NS_PER_S, make_segments
from pickflow.compress import windows as windows_module
from pickflow.compress.scores import BlockPicks, agreement, best_thresholds, blocks_of, n_matches
from pickflow.compress.windows import (
    BLOCK_S,
    N_BLOCKS,
    TEST_BLOCK,
    Record,
    calibrate,
    draw_varied,
    is_test,
    make_source,
    read_records,
)
from pickflow.io.tables import write_table
from pickflow.schemas import MANIFEST
from tests.compress_fixture import START, manifest_of, picker, write_day
from tests.waveform_fixture import with_digests

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
        for _r, segment, start in (source.around_arrival(rng), source.at_random(rng)):
            piece = source.records[0].segments[segment]
            assert 0 <= start <= piece.n_samples - model.in_samples
            assert not is_test(piece.time_ns(start))
            assert not is_test(piece.time_ns(start + model.in_samples))
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


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    return write_day(tmp_path_factory.mktemp("day"), ("AAA", "BBB", "CCC"), 12)


def test_records_are_those_of_usable_stations_with_their_own_picks(model, day):
    records = read_records([day], model, 0.5, 0)
    assert [station_record.name for station_record in records] == [
        f"XA.{station} 2024-03-05" for station in ("AAA", "BBB", "CCC")
    ]
    for station_record in records:
        assert {trace.stats.station for trace in station_record.stream} == {station_record.name[3:6]}
        offsets_s = (station_record.pick_times_ns - START.ns) / NS_PER_S
        assert np.allclose(np.diff(offsets_s), 70.0)
        assert 40 <= offsets_s[0] < 50
    assert len({station_record.pick_times_ns[0] for station_record in records}) == 3


def test_a_few_stations_of_a_large_network_are_chosen_by_the_seed(model, day, monkeypatch):
    monkeypatch.setattr(windows_module, "MOST_STATION_DAYS", 2)
    chosen = {
        tuple(station_record.name for station_record in read_records([day], model, 0.5, seed)) for seed in range(6)
    }
    assert len(chosen) > 1
    assert all(len(names) == 2 for names in chosen)
    assert [station_record.name for station_record in read_records([day], model, 0.5, 3)] in [
        list(names) for names in chosen
    ]


def test_a_part_of_a_long_record_holds_a_pick(model, day, monkeypatch):
    monkeypatch.setattr(windows_module, "SPAN_S", 100)
    for seed in range(5):
        for station_record, again in zip(
            read_records([day], model, 0.5, seed), read_records([day], model, 0.5, seed), strict=True
        ):
            start, end = station_record.stream[0].stats.starttime, station_record.stream[0].stats.endtime
            assert end - start == pytest.approx(100, abs=0.02)
            assert ((station_record.pick_times_ns >= start.ns) & (station_record.pick_times_ns <= end.ns)).any()
            assert again.stream[0].stats.starttime == start


def test_a_record_that_cannot_be_read_is_left_out(model, tmp_path, caplog):
    waveforms, picks = write_day(tmp_path, ("AAA", "BBB"), 2)
    (waveforms / "XA.AAA.mseed").write_bytes(b"not MiniSEED")
    manifest = with_digests(manifest_of(["AAA", "BBB"]), waveforms)
    write_table(manifest, MANIFEST, waveforms / "manifest.parquet", {})
    assert [station_record.name for station_record in read_records([(waveforms, picks)], model, 0.5, 0)] == [
        "XA.BBB 2024-03-05"
    ]
    assert "XA.AAA is left out" in caplog.text
    write_table(manifest_of(["AAA", "BBB"], usable=False), MANIFEST, waveforms / "manifest.parquet", {})
    with pytest.raises(ValueError, match="compress: none of the 1 days has a usable station; the ledger says why"):
        read_records([(waveforms, picks)], model, 0.5, 0)


def test_blocks_share_nothing_and_miss_nothing():
    whole = record(seconds=1500.0)
    spans = [
        (block[0].stats.starttime.ns, block[0].stats.endtime.ns)
        for number in range(N_BLOCKS)
        for block in blocks_of([whole], number)
    ]
    spans.sort()
    assert sum(block[0].stats.npts for number in range(N_BLOCKS) for block in blocks_of([whole], number)) == 150_000
    assert all(after[0] - before[1] == NS_PER_S // 100 for before, after in pairwise(spans))
    assert blocks_of([Record(name="x", stream=obspy.Stream(), segments=(), pick_times_ns=np.array([]))], 0) == []


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
        n_pairs = n_matches(left.astype(np.int64), right.astype(np.int64), 0.25)
        assert n_pairs == best_matching(left.tolist(), right.tolist(), 0.25 * NS_PER_S)


def block(p_s=(), s_s=(), p=None):
    times = {"P": np.array(p_s) * NS_PER_S, "S": np.array(s_s) * NS_PER_S}
    values = {"P": np.array(p if p is not None else [1.0] * len(p_s)), "S": np.ones(len(s_s))}
    return BlockPicks({phase: times_ns.astype(np.int64) for phase, times_ns in times.items()}, values)


def test_agreement_counts_pairs_within_the_tolerance():
    scores = agreement([block([1.0, 5.0], [])], [block([1.2], [7.0])])
    assert scores["p_f1"] == {"0.1s": 0.0, "0.3s": pytest.approx(2 / 3), "0.5s": pytest.approx(2 / 3)}
    assert scores["s_f1"]["0.5s"] == 0.0
    assert agreement([block()], [block()])["p_f1"]["0.1s"] == 1.0


def test_thresholds_drop_the_picks_that_the_teacher_lacks():
    picks_of_student = [block([1.0, 5.0, 9.0], p=[0.9, 0.12, 0.06])]
    assert best_thresholds(picks_of_student, [block([1.0])], 0.1)["P"] == pytest.approx(0.15)
    assert best_thresholds(picks_of_student, [block([1.0, 5.0, 9.0])], 0.1) == {"P": pytest.approx(0.06), "S": 0.1}


def test_blocks_are_longer_than_every_window(model):
    assert BLOCK_S * 100 > 6000 > model.in_samples
