import logging
from types import SimpleNamespace

import numpy as np
import obspy
import pytest
import seisbench.models
import torch
from obspy.signal.trigger import trigger_onset

from pickflow.annotate import Annotator, Picker, PickerOptions, resolve_settings
from pickflow.annotate.backends import (
    BackendRefusedError,
    TorchBackend,
    _checked,
    choose_backend,
    network_digest,
)
from pickflow.annotate.cutting import centre, cut, window_starts
from pickflow.annotate.engine import refusal
from pickflow.annotate.filtering import make_filter
from pickflow.annotate.segments import make_segments
from pickflow.annotate.stacking import Stack
from pickflow.annotate.triggers import Trigger
from tests.network_fixture import network_of

START = obspy.UTCDateTime("2026-01-15T00:00:00")


def trace(samples, channel="HHZ", start=START, rate=100.0):
    header = {"network": "XX", "station": "A", "channel": channel, "starttime": start, "sampling_rate": rate}
    return obspy.Trace(np.asarray(samples), header)


def noise(n_samples, seed=0):
    return np.rint(1000 * np.random.default_rng(seed).normal(size=n_samples)).astype(np.int32)


def record(n_samples, components="ZNE"):
    return obspy.Stream(trace(noise(n_samples, seed), f"HH{letter}") for seed, letter in enumerate(components))


# Segments


def test_a_whole_record_is_one_segment_and_is_not_copied():
    stream = record(5000)
    (segment,), rates = make_segments(stream, "ZNE", 100.0)
    assert all(
        np.shares_memory(component, trace_of_component.data)
        for component, trace_of_component in zip(segment.components, stream, strict=True)
    )
    assert (segment.start_ns, segment.time_ns(4999), rates) == (START.ns, (START + 49.99).ns, [])


def test_components_come_in_the_order_of_the_model():
    stream = record(100)
    (segment,), _ = make_segments(stream, "ENZ", 100.0)
    assert segment.components[0] is not None
    np.testing.assert_array_equal(segment.components[2], stream[0].data)


@pytest.mark.parametrize(("letters", "order"), [("Z12", "ZNE"), ("123", "ZNE"), ("ZNE", "Z12")])
def test_sensors_in_other_directions_are_known(letters, order):
    (segment,), _ = make_segments(record(100, letters), order, 100.0)
    assert all(samples is not None for samples in segment.components)


def test_a_gap_of_all_components_ends_a_segment():
    stream = record(1000)
    later = [trace(noise(500), whole.stats.channel, START + 20) for whole in stream]
    segments, _ = make_segments(stream + obspy.Stream(later), "ZNE", 100.0)
    assert [(segment.n_samples, segment.start_ns) for segment in segments] == [
        (1000, START.ns),
        (500, (START + 20).ns),
    ]


def test_a_gap_of_one_component_is_filled_with_its_level():
    vertical = [trace(np.full(400, 7)), trace(np.full(400, 7), start=START + 6)]
    (segment,), _ = make_segments([*vertical, trace(noise(1000), "HHN")], "ZNE", 100.0)
    np.testing.assert_array_equal(segment.components[0], 7)
    assert segment.components[2] is None


def test_short_gaps_are_bridged_by_a_straight_line_when_asked():
    pieces = [trace(np.zeros(100, dtype=np.int32)), trace(np.full(100, 4, dtype=np.int32), start=START + 1.03)]
    assert len(make_segments(pieces, "ZNE", 100.0)[0]) == 2
    (segment,), _ = make_segments(pieces, "ZNE", 100.0, bridge_s=0.05)
    np.testing.assert_array_equal(segment.components[0][99:105], [0, 1, 2, 3, 4, 4])


def test_of_overlapping_samples_the_first_stay():
    pieces = [trace(np.full(100, 1)), trace(np.full(100, 2), start=START + 0.5)]
    (segment,), _ = make_segments(pieces, "ZNE", 100.0)
    assert segment.components[0].tolist() == [1] * 100 + [2] * 50


def test_samples_that_are_not_finite_are_missing():
    samples = np.ones(1000)
    samples[400:600] = np.nan
    segments, _ = make_segments([trace(samples)], "ZNE", 100.0)
    assert [segment.n_samples for segment in segments] == [400, 400]


def test_other_rates_are_resampled_and_said():
    times = np.arange(4000) / 40.0
    (segment,), rates = make_segments([trace(np.sin(2 * np.pi * 3 * times), rate=40.0)], "ZNE", 100.0)
    assert rates == ["HHZ 40 -> 100 Hz"]
    inside = np.arange(1000, 9000)
    np.testing.assert_allclose(segment.components[0][inside], np.sin(2 * np.pi * 3 * inside / 100), atol=2e-3)


def test_a_record_without_samples_or_known_components_has_no_segment():
    assert make_segments([], "ZNE", 100.0) == ([], [])
    assert make_segments([trace(noise(100), "HDF")], "ZNE", 100.0) == ([], [])


# Windows


def test_windows_are_those_of_seisbench_on_the_grid_of_the_record():
    (segment,), _ = make_segments(record(10_000), "ZNE", 100.0)
    assert window_starts(segment, 3001, 1501, "record").tolist() == [0, 1501, 3002, 4503, 6004, 6999]


def test_windows_stay_where_they_are_when_a_record_begins_later():
    whole, later = record(10_000), record(10_000).trim(START + 1.23)
    (whole_segment,), (late_segment,) = make_segments(whole, "ZNE", 100.0)[0], make_segments(later, "ZNE", 100.0)[0]
    starts = [
        {segment.time_ns(start) for start in window_starts(segment, 3001, 1501, "absolute")}
        for segment in (whole_segment, late_segment)
    ]
    assert len(starts[0] & starts[1]) >= 4


def test_a_segment_shorter_than_a_window_has_none():
    (segment,), _ = make_segments(record(3000), "ZNE", 100.0)
    assert window_starts(segment, 3001, 1501, "absolute").size == 0


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e8])
def test_windows_are_centred_and_of_the_order_of_one(scale):
    samples = scale * (noise(3001).astype(np.float64) + 1e6)
    (segment,), _ = make_segments([trace(samples)], "ZNE", 100.0)
    window = centre([cut(segment, 0, 3001)], 3001)[0]
    assert abs(window[0].mean(dtype=np.float64)) < 1e-6
    assert 0.5 <= np.abs(window).max() <= 1.0
    assert not window[1:].any()


# Filters


@pytest.mark.parametrize("zerophase", [True, False])
def test_filters_are_those_of_obspy_in_whatever_slices_they_are_read(zerophase):
    samples = noise(300_000) + 5000
    keywords = {"freqmin": 1.0, "freqmax": 45.0, "corners": 2, "zerophase": zerophase}
    expected = trace(samples - float(np.median(samples[:: samples.size // 10_000]))).filter("bandpass", **keywords).data
    filtered = make_filter(["bandpass"], keywords)(samples, 100.0)
    for first in (0, 1000, 140_000, 299_000, 5):
        np.testing.assert_allclose(filtered[first : first + 6000], expected[first : first + 6000], atol=1e-3)


def test_other_filters_are_obspys_own():
    samples = noise(2000)
    filtered = make_filter(["bandstop"], {"freqmin": 5.0, "freqmax": 6.0})(samples, 100.0)
    expected = trace(samples - float(np.median(samples))).filter("bandstop", freqmin=5.0, freqmax=6.0).data
    np.testing.assert_allclose(filtered, expected, rtol=1e-6, atol=1e-3)


# Stacking


@pytest.mark.parametrize(("method", "combine"), [("avg", np.nanmean), ("max", np.nanmax)])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_stacks_are_means_or_maxima_over_all_windows(method, combine, chunk):
    rng = np.random.default_rng(1)
    starts, n_window, n_samples = [0, 30, 60, 71], 100, 171
    windows = rng.random((len(starts), 2, n_window)).astype(np.float32)
    table = np.full((len(starts), 2, n_samples), np.nan)
    for row, start in enumerate(starts):
        table[row, :, start + 10 : start + 95] = windows[row, :, 10:95]
    stack = Stack(2, n_window, method, (10, 5))
    pieces = []
    for row, start in enumerate(starts):
        stack.add(start, windows[row])
        following = starts[row + 1] + 10 if row + 1 < len(starts) else n_samples
        ends = [*range(stack.first + chunk, following, chunk), following]
        pieces += [stack.take(end)[1] for end in ends]
    covered = ~np.isnan(table).all(axis=(0, 1))
    curves = np.concatenate(pieces, axis=1)
    assert curves.shape == (2, n_samples)
    np.testing.assert_allclose(curves[:, covered], combine(table[:, :, covered], axis=0), rtol=1e-6)
    assert np.isnan(curves[:, ~covered]).all()


def test_a_blinding_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="blinding"):
        Stack(2, 100, "avg", (50, 50))


# Triggers


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("chunk", [1, 13, 5000])
def test_triggers_are_those_of_obspy_however_they_are_fed(seed, chunk):
    rng = np.random.default_rng(seed)
    values = np.convolve(rng.random(5000), np.hanning(21) / 10, "same").astype(np.float32) - 0.3
    values[:3] = values[-3:] = 0.9
    trigger = Trigger(0.4)
    onsets = [onset for first in range(0, 5000, chunk) for onset in trigger.feed(first, values[first : first + chunk])]
    onsets += trigger.flush()
    expected = trigger_onset(values, 0.4, 0.2)
    assert [(onset.on, onset.off) for onset in onsets] == [tuple(pair) for pair in expected]
    assert [onset.peak for onset in onsets] == [on + int(np.argmax(values[on : off + 1])) for on, off in expected]


# Backends and fallbacks


@pytest.fixture(scope="module")
def phasenet():
    torch.manual_seed(3)
    return seisbench.models.PhaseNet().eval()


def test_an_unknown_backend_is_named(phasenet):
    with pytest.raises(ValueError, match="tensorflow.*known are auto"):
        choose_backend(phasenet, "tensorflow")


def test_a_backend_that_computes_something_else_is_refused(phasenet):
    wrong = SimpleNamespace(name="onnxruntime", predict=lambda cuts: np.zeros((len(cuts), 3, 3001)))
    with pytest.raises(BackendRefusedError, match="differ from torch's"):
        _checked(wrong, TorchBackend(phasenet), phasenet, "exact")


def test_a_backend_that_cannot_is_named_with_the_way_out():
    model = network_of(lambda net, x: torch.tanh(net.narrow(x)))
    with pytest.raises(BackendRefusedError, match=r"pick.backend kernels cannot compute Any: .*tanh.*; take auto"):
        choose_backend(model, "kernels")
    assert choose_backend(model).name == "onnxruntime"


def test_without_kernels_the_next_best_is_taken_and_the_fast_mode_is_not_promised(phasenet, monkeypatch, caplog):
    monkeypatch.setattr("pickflow.annotate.backends.is_available", lambda: False)
    assert choose_backend(phasenet, mode="fast").name == "onnxruntime"
    assert "only the kernels have the mode fast" in caplog.text


def test_exports_are_cached_by_what_they_depend_on(tmp_path, phasenet):
    choose_backend(phasenet, "onnxruntime", cache=tmp_path)
    (path,) = tmp_path.glob("*.onnx")
    assert network_digest(phasenet)[:16] in path.name
    before = path.stat().st_mtime_ns
    choose_backend(phasenet, "onnxruntime", cache=tmp_path)
    assert path.stat().st_mtime_ns == before
    second_model = seisbench.models.PhaseNet().eval()
    choose_backend(second_model, "onnxruntime", cache=tmp_path)
    assert len(list(tmp_path.glob("*.onnx"))) == 2


def test_a_damaged_cache_is_made_anew(tmp_path, phasenet):
    choose_backend(phasenet, "onnxruntime", cache=tmp_path)
    (path,) = tmp_path.glob("*.onnx")
    path.write_bytes(b"half of it")
    assert choose_backend(phasenet, "onnxruntime", cache=tmp_path).name == "onnxruntime"
    assert path.stat().st_size > 1000


@pytest.mark.parametrize(
    "name", ["PhaseNet", "PhaseNetLight", "VariableLengthPhaseNet", "EQTransformer", "OBSTransformer", "LFEDetect"]
)
def test_models_of_windows_go_through_the_engine(name):
    torch.manual_seed(1)
    model = getattr(seisbench.models, name)().eval()
    assert refusal(model) is None
    n_samples = 2 * model.in_samples + 777
    letters = [letter for letter in model.component_order if letter in "ZNE12H"]
    stream = obspy.Stream(trace(noise(n_samples, i) - 3.0, f"HH{letter}") for i, letter in enumerate(letters))
    for channel_trace in stream:
        channel_trace.stats.sampling_rate = model.sampling_rate
    annotator = Annotator(model, resolve_settings(model, grid="record"), choose_backend(model))
    ours, theirs = annotator.annotate(stream), model.annotate(stream)
    assert [channel_trace.id for channel_trace in ours] == [channel_trace.id for channel_trace in theirs]
    for our_trace, their_trace in zip(ours, theirs, strict=True):
        assert abs(our_trace.stats.starttime - their_trace.stats.starttime) < 1e-6
        np.testing.assert_allclose(our_trace.data, their_trace.data, atol=1e-4)


@pytest.mark.parametrize(("name", "why"), [("GPD", "point"), ("DKPN", "annotate_stream_pre")])
def test_other_models_are_annotated_by_seisbench_and_it_is_said(name, why, caplog):
    torch.manual_seed(1)
    model = getattr(seisbench.models, name)().eval()
    with caplog.at_level(logging.WARNING):
        picker = Picker(model, PickerOptions(p_threshold=0.2))
    assert picker.backend == "seisbench"
    assert why in caplog.text
    picks, segments, _ = picker.pick(record(8000))
    assert len(segments) == 1
    assert all(START.ns <= pick.time_ns <= (START + 80).ns for pick in picks)
    assert picker.annotate(record(8000))


def test_a_pick_is_at_the_sample_of_its_probability(phasenet):
    picker = Picker(phasenet, PickerOptions(p_threshold=0.01, s_threshold=0.01))
    picks, _, _ = picker.pick(record(12_000))
    curves = {curve.stats.channel[-1]: curve for curve in picker.annotate(record(12_000))}
    assert {pick.phase for pick in picks} == {"P", "S"}
    for pick in picks:
        start_ns, rate_hz = curves[pick.phase].stats.starttime.ns, curves[pick.phase].stats.sampling_rate
        on, peak, off = (
            round((time_ns - start_ns) * rate_hz / 1e9)
            for time_ns in (pick.starttime_ns, pick.time_ns, pick.endtime_ns)
        )
        assert on <= peak <= off
        assert curves[pick.phase].data[peak] == pytest.approx(pick.probability, abs=1e-6)
        assert curves[pick.phase].data[on : off + 1].max() == pytest.approx(pick.probability, abs=1e-6)


def test_overlaps_of_a_window_or_more_are_refused(phasenet):
    with pytest.raises(ValueError, match="overlap 3001: PhaseNet has windows of 3001 samples"):
        resolve_settings(phasenet, overlap_samples=3001)


def test_what_the_weights_say_holds_unless_one_is_told(phasenet):
    model = seisbench.models.EQTransformer(default_args={"P_threshold": 0.07, "overlap": 0.5}).eval()
    settings_of_weights = resolve_settings(model)
    assert (settings_of_weights.step, settings_of_weights.thresholds["P"], settings_of_weights.blinding) == (
        3000,
        0.07,
        (500, 500),
    )
    settings_of_call = resolve_settings(model, overlap_samples=5000, thresholds={"P": 0.6, "S": None}, stacking="max")
    assert (settings_of_call.step, settings_of_call.thresholds["P"], settings_of_call.stacking) == (1000, 0.6, "max")
