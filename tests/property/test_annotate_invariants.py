"""What must not change a pick: how a record is cut, ordered, scaled, batched; and when it happened."""

from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import obspy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pickflow.annotate import Picker, PickerOptions, engine
from pickflow.datasets.signals import make_noise, make_signal
from pickflow.models.loading import load_model

BUNDLED = Path(str(resources.files("pickflow.models"))) / "bundled" / "PickflowNet"
MIDNIGHT = obspy.UTCDateTime("2026-01-16T00:00:00")
N_SAMPLES = 36_000
EVENTS = (2_000, 7_500, 13_000, 17_700, 18_400, 24_000, 29_500)  # samples; 18,000 is midnight
PADDING_S = 60.0


@lru_cache
def picker(**options):
    return Picker(load_model(BUNDLED), PickerOptions(**options))


@lru_cache
def samples():
    """Six minutes of noise around midnight with earthquakes, two of them beside it."""
    n_blocks = N_SAMPLES // 3072 + 1
    noise = np.concatenate([make_noise(np.random.default_rng(seed)) for seed in range(n_blocks)], axis=1)
    record = noise[:, :N_SAMPLES].astype(np.float64)
    for index, first in enumerate(EVENTS):
        signal = make_signal(np.random.default_rng(index)).samples
        end = min(first + signal.shape[1], N_SAMPLES)
        record[:, first:end] += 10.0 ** (index % 3) * signal[:, : end - first]
    return np.rint(1000 * record).astype(np.int32)


def stream(data=None, start=MIDNIGHT - 180.0, first=0, last=N_SAMPLES):
    data = samples() if data is None else data
    header = {"network": "XX", "station": "A", "sampling_rate": 100.0, "starttime": start + first / 100}
    return obspy.Stream(
        obspy.Trace(row[first:last].copy(), header | {"channel": f"HH{component}"})
        for component, row in zip("ZNE", data, strict=True)
    )


def picks(record, within=None, **options):
    all_picks = picker(**options).pick(record)[0]
    begin, end = (moment.ns for moment in within) if within else (-(2**63), 2**63)
    return [pick for pick in all_picks if begin <= pick.time_ns < end]


def assert_same(ours, theirs, shift_ns=0):
    assert len(theirs) >= 8
    assert [(pick.phase, pick.time_ns) for pick in ours] == [(pick.phase, pick.time_ns + shift_ns) for pick in theirs]
    np.testing.assert_allclose([pick.probability for pick in ours], [pick.probability for pick in theirs], atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(shift_ns=st.integers(0, 86_400 * 10**9))
def test_picks_move_with_the_time_stamps(shift_ns):
    moved = stream(start=obspy.UTCDateTime(ns=(MIDNIGHT - 180).ns + shift_ns))
    assert_same(picks(moved, grid="record"), picks(stream(), grid="record"), shift_ns)


@settings(max_examples=10, deadline=None)
@given(n_steps=st.integers(-1000, 1000))
def test_on_the_absolute_grid_they_move_with_whole_steps(n_steps):
    shift_s = n_steps * 1536 / 100
    assert_same(picks(stream(start=MIDNIGHT - 180 + shift_s)), picks(stream()), round(shift_s * 1e9))


@settings(max_examples=10, deadline=None)
@given(first=st.integers(1, 1500))
def test_samples_cut_off_before_change_nothing_behind(first):
    inside = (MIDNIGHT - 120, MIDNIGHT + 180)
    assert_same(picks(stream(first=first), inside), picks(stream(), inside))


def test_a_day_cut_at_midnight_joins_without_a_double_or_a_lost_pick():
    padding = round(PADDING_S * 100)
    evening = picks(stream(last=18_000 + padding), (MIDNIGHT - 180, MIDNIGHT))
    morning = picks(stream(first=18_000 - padding), (MIDNIGHT, MIDNIGHT + 180))
    assert_same(evening + morning, picks(stream()))


@settings(max_examples=15, deadline=None)
@given(batch_size=st.integers(1, 70), flush=st.integers(1, 50_000))
def test_batches_and_chunks_do_not_matter(batch_size, flush):
    whole = picks(stream())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "FLUSH_SAMPLES", flush)
        assert_same(picks(stream(), batch_size=batch_size), whole)


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, N_SAMPLES - 1), unique=True, max_size=40), seed=st.integers(0, 99))
def test_one_file_or_many_in_any_order(cuts, seed):
    pieces = obspy.Stream()
    for trace in stream():
        edges = [0, *sorted(cuts), N_SAMPLES]
        for first, last in pairwise(edges):
            header = {**trace.stats, "starttime": trace.stats.starttime + first / 100}
            pieces.append(obspy.Trace(trace.data[first:last], {k: header[k] for k in KEPT}))
    np.random.default_rng(seed).shuffle(pieces.traces)
    assert_same(picks(pieces), picks(stream()))


KEPT = ("network", "station", "channel", "sampling_rate", "starttime")


@settings(max_examples=10, deadline=None)
@given(exponent=st.floats(-20, 8), offset=st.floats(-1e6, 1e6))
def test_unit_and_offset_do_not_matter(exponent, offset):
    assert_same(picks(stream((samples() + offset) * 10.0**exponent)), picks(stream()))


def test_records_of_many_stations_may_share_batches():
    alone = [picks(stream(first=first)) for first in (0, 500, 3000)]
    together = [[], [], []]
    for index, pick in picker().pick_many(stream(first=first) for first in (0, 500, 3000)):
        together[index].append(pick)
    for picks_of_record, picks_of_batch in zip(alone, together, strict=True):
        assert_same(sorted(picks_of_batch), sorted(picks_of_record))


@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "kernels"])
def test_backends_find_the_same_picks(backend):
    assert_same(picks(stream(), backend=backend), picks(stream()))


def test_the_number_of_threads_does_not_matter():
    whole = picks(stream(), backend="torch")
    torch.set_num_threads(2)
    try:
        assert_same(picks(stream(), backend="torch"), whole)
    finally:
        torch.set_num_threads(1)


def test_any_shift_of_the_windows_moves_strong_picks_by_little():
    """How stable picks are where the windows fall differently: a number to watch, not an identity."""
    strong = [pick for pick in picks(stream()) if pick.probability > 0.7]
    for shift in (100, 333, 777, 1200):
        moved = picks(stream(start=MIDNIGHT - 180 + shift / 100))
        for pick in strong:
            near = [
                abs(candidate.time_ns - pick.time_ns - shift * 10**7)
                for candidate in moved
                if candidate.phase == pick.phase
            ]
            assert min(near) <= 60_000_000, (shift, pick)
