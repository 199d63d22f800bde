"""Every sample keeps the time that its record gives it: at any rate, over any length, from piece to piece."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import obspy
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pickflow.annotate.cutting import window_starts
from pickflow.annotate.segments import make_segments
from pickflow.sampling.pieces import make_pieces
from pickflow.sampling.rates import RATE_TOLERANCE, conversion, is_plausible, same_rate
from pickflow.sampling.timeline import Line, Timeline

NS = 10**9
MIDNIGHT = obspy.UTCDateTime("2026-01-16")
RATES = st.one_of(
    st.floats(1.0, 1000.0),
    st.sampled_from([1.0, 20.0, 50.0, 62.5, 99.9, 99.98, 99.99999, 100.00000149, 100.04, 125.0, 128.0, 200.0, 1000.0]),
)


def exact_ns(start_ns, position, rate_hz):
    return start_ns + Fraction(position) * NS / Fraction(rate_hz)


def trace(samples, rate_hz, start, channel="HHZ"):
    header = {"network": "XX", "station": "A", "channel": channel, "sampling_rate": rate_hz, "starttime": start}
    return obspy.Trace(np.asarray(samples), header)


@given(rate_hz=RATES, start_ns=st.integers(0, 4 * 10**18), days=st.floats(0.0, 40.0))
def test_a_sample_of_a_long_record_has_its_time_to_the_nanosecond(rate_hz, start_ns, days):
    timeline = Timeline([Line(0.0, start_ns, rate_hz)])
    position = int(days * 86_400 * rate_hz)
    assert abs(timeline.time_ns(position) - exact_ns(start_ns, position, rate_hz)) <= 1
    assert timeline.position(timeline.time_ns(position)) == pytest.approx(position, abs=1e-3)


@given(rate_hz=RATES, model_hz=st.sampled_from([20.0, 50.0, 100.0, 250.0]))
def test_any_rate_becomes_the_models_by_a_simple_fraction(rate_hz, model_hz):
    ratio = conversion(rate_hz, model_hz)
    assert same_rate(rate_hz * ratio, model_hz)
    assert ratio.denominator <= max(2 / RATE_TOLERANCE * rate_hz / model_hz, 1)
    assert (ratio == 1) == (abs(model_hz / rate_hz - 1) < 0.999 * RATE_TOLERANCE * model_hz / rate_hz)


@st.composite
def records(draw):
    """Pieces of one channel that follow one another, some after a gap, whose clocks differ; and their exact times."""
    nominal_hz = draw(RATES)
    n_pieces = draw(st.integers(1, 5))
    start_ns, traces, times = MIDNIGHT.ns + draw(st.integers(0, NS)), [], []
    for index in range(n_pieces):
        rate_hz = nominal_hz * (1 + draw(st.floats(-4e-4, 4e-4)) * (index > 0))
        n_samples = draw(st.integers(2, 400))
        label = 1000.0 * index + np.arange(n_samples)
        traces.append(trace(label, rate_hz, obspy.UTCDateTime(ns=start_ns)))
        times.append([exact_ns(start_ns, k, rate_hz) for k in range(n_samples)])
        jump = draw(st.one_of(st.floats(-0.45, 0.45), st.floats(1.5, 30.0)))  # in samples
        start_ns = round(exact_ns(start_ns, n_samples + jump, rate_hz))
    return nominal_hz, traces, times


@settings(max_examples=60, deadline=None)
@given(record=records(), order=st.randoms(use_true_random=False))
def test_pieces_of_any_clocks_keep_each_sample_and_its_time(record, order):
    nominal_hz, traces, times = record
    shuffled = list(traces)
    order.shuffle(shuffled)
    time_of_sample = {}
    for piece in make_pieces(shuffled, nominal_hz):
        stamped = piece.timeline.start_ns + piece.timeline.offsets_ns(np.arange(piece.samples.size))
        time_of_sample |= dict(zip(piece.samples.tolist(), stamped.tolist(), strict=True))
    expected = {1000.0 * i + k: time_ns for i, piece in enumerate(times) for k, time_ns in enumerate(piece)}
    assert time_of_sample.keys() == expected.keys()
    # What is joined to the piece before may be off by a fiftieth of a sample.
    assert max(abs(time_of_sample[label] - expected[label]) for label in time_of_sample) <= 0.0201 * NS / nominal_hz


@settings(max_examples=60, deadline=None)
@given(record=records(), bridge_s=st.sampled_from([0.0, 0.1, 1.0]), second=st.floats(-4e-4, 4e-4))
def test_in_a_segment_no_sample_is_off_by_more_than_half_a_sample(record, bridge_s, second):
    nominal_hz, traces, times = record
    later = [
        trace(
            piece_of_clock.data,
            piece_of_clock.stats.sampling_rate,
            piece_of_clock.stats.starttime + second / nominal_hz,
            "HHN",
        )
        for piece_of_clock in traces
    ]
    segments, rates = make_segments([*traces, *later], "ZNE", nominal_hz, bridge_s)
    assert rates == []
    expected = {1000.0 * i + k: time_ns for i, piece in enumerate(times) for k, time_ns in enumerate(piece)}
    labels_of_segments = set()
    for segment in segments:
        stamped = [segment.time_ns(index) for index in range(segment.n_samples)]
        assert all(after > before for before, after in pairwise(stamped))
        labels = segment.components[0].tolist()
        labels_of_segments |= set(labels)
        inside = [
            (time_ns, expected[label]) for time_ns, label in zip(stamped, labels, strict=True) if label in expected
        ]
        assert max(abs(ours - theirs) for ours, theirs in inside) <= 0.5 * NS / nominal_hz
    assert labels_of_segments >= expected.keys()


@settings(max_examples=20, deadline=None)
@given(rate_hz=RATES, minutes=st.floats(1.0, 30.0))
@example(rate_hz=141.0, minutes=5.0)
def test_resampled_records_keep_the_time_of_a_pulse(rate_hz, minutes):
    n_samples = int(min(minutes * 60 * rate_hz, 40_000))
    assume(n_samples > 200)
    at = n_samples - 100
    pulse = np.exp(-(((np.arange(n_samples) - at) / 3.0) ** 2))
    (segment,), _ = make_segments([trace(pulse, rate_hz, MIDNIGHT)], "ZNE", 100.0)
    peak_ns = segment.time_ns(int(np.argmax(segment.components[0])))
    # By a simple fraction to within 0.2 % of 100 Hz: half a sample is half of what the record has then.
    sample_ns = segment.time_ns(1) - segment.time_ns(0)
    assert sample_ns == pytest.approx(NS / 100.0, rel=2e-3)
    allowed_ns = 0.5 * max(NS / rate_hz, sample_ns + 1)
    assert abs(peak_ns - exact_ns(MIDNIGHT.ns, at, rate_hz)) <= allowed_ns


@settings(max_examples=30, deadline=None)
@given(deviation=st.floats(-1.5e-3, 1.5e-3), phase=st.floats(-0.4, 0.4))
def test_components_whose_clocks_disagree_are_aligned(deviation, phase):
    n_samples = 20_000
    rate_hz = 100.0 * (1 + deviation)
    times = [np.arange(n_samples) / 100.0, phase / 100.0 + np.arange(n_samples) / rate_hz]
    wave = [np.sin(2 * np.pi * 4.0 * component_times) for component_times in times]
    vertical, north = trace(wave[0], 100.0, MIDNIGHT), trace(wave[1], rate_hz, MIDNIGHT + phase / 100.0, "HHN")
    segment = max(make_segments([vertical, north], "ZNE", 100.0)[0], key=lambda candidate: candidate.n_samples)
    inside = slice(100, int(n_samples * 0.99))
    difference = segment.components[0][inside] - segment.components[1][inside]
    # Half a sample of 4 Hz is an eighth of the amplitude; a drift of the whole record would be all of it.
    assert np.abs(difference).max() <= 2 * np.pi * 4.0 * 0.56 / 100.0


def windows_of(segment, first_ns, end_ns):
    starts = window_starts(segment, 3001, 1501, "absolute")[1:-1]
    times = [segment.time_ns(int(start)) for start in starts]
    return [time_ns for time_ns in times if first_ns <= time_ns < end_ns]


@settings(max_examples=25, deadline=None)
@given(
    rates_hz=st.lists(st.floats(99.9, 100.1), min_size=2, max_size=3),
    start=st.floats(0.0, 600.0),
    cut_s=st.floats(60.0, 500.0),
)
def test_files_that_overlap_at_midnight_have_the_same_windows_there(rates_hz, start, cut_s):
    """Whatever the clock did since either file began: each half hour of it states another rate."""
    traces, begin_ns = [], MIDNIGHT.ns - round((1000 + start) * NS)
    for rate_hz in rates_hz:
        traces.append(trace(np.zeros(round(1800 * rate_hz)), rate_hz, obspy.UTCDateTime(ns=begin_ns)))
        begin_ns = round(exact_ns(begin_ns, traces[-1].stats.npts, rate_hz))
    whole = obspy.Stream(traces)
    evening = whole.slice(MIDNIGHT - 900, MIDNIGHT + cut_s)
    morning = whole.slice(MIDNIGHT - cut_s, MIDNIGHT + 900)
    span = MIDNIGHT.ns - round((cut_s - 46) * NS), MIDNIGHT.ns + round((cut_s - 46) * NS)
    ours, theirs = (windows_of(make_segments(stream, "ZNE", 100.0)[0][0], *span) for stream in (evening, morning))
    assert len(ours) >= int((span[1] - span[0]) / NS / 15.1) - 1
    assert len(ours) == len(theirs)
    assert max(abs(our_time - their_time) for our_time, their_time in zip(ours, theirs, strict=True)) <= 2


def test_a_rate_that_is_no_number_cannot_be():
    assert not is_plausible(float("nan"))


@pytest.mark.parametrize("rate_hz", [0.0, -100.0, float("inf"), 1e6, 0.01])
def test_a_rate_that_cannot_be_is_named(rate_hz):
    assert not is_plausible(rate_hz)
    odd = trace(np.zeros(1000), rate_hz, MIDNIGHT, "HHE")
    with pytest.raises(
        ValueError, match=rf"XX\.A\.\.HHE: a sampling rate of {rate_hz:g} Hz is not possible".replace("+", r"\+")
    ):
        make_segments([odd], "ZNE", 100.0)
    (segment,), (remark,) = make_segments([odd, trace(np.ones(1000), 100.0, MIDNIGHT)], "ZNE", 100.0)
    assert segment.components[2] is None
    assert "HHE" in remark
