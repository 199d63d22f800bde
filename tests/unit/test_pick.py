from types import SimpleNamespace

import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.io.waveforms import write_stream
from pickflow.models.preparation import prepare, resample
from pickflow.pick import PickParams, annotate_arguments, measure, pick_day, pick_stream
from pickflow.schemas import MANIFEST
from pickflow.windows import parse_time

START = obspy.UTCDateTime("2020-01-01T00:00:00")
WINDOW = (parse_time("2020-01-01T00:00:10"), parse_time("2020-01-01T00:01:00"))
PARAMS = PickParams(p_threshold=0.4, s_threshold=None, overlap_samples=None, stacking="avg", batch_size=8)


def make_stream(components="ZNE", rate_hz=100.0, length_s=70.0, amplitude=100.0, onset_s=30.0, scale=1.0):
    """Noise with a burst at ``onset_s`` on every component."""
    rng = np.random.default_rng(7)
    n_samples = int(length_s * rate_hz)
    times = np.arange(n_samples) / rate_hz
    stream = obspy.Stream()
    for component in components:
        samples = rng.normal(size=n_samples) + amplitude * np.sin(8 * np.pi * times) * (times >= onset_s)
        header = {"network": "XX", "station": "AAA", "channel": f"HH{component}", "starttime": START}
        stream.append(obspy.Trace(scale * samples, {**header, "sampling_rate": rate_hz}))
    return stream


class StubPicker:
    """Picks at fixed times, so that what is around the model can be tested without one."""

    sampling_rate = 100.0
    in_samples = 3001

    def __init__(self, *times_s, phase="P"):
        self.times_s, self.phase, self.seen = times_s, phase, None

    def classify(self, stream, **arguments):
        self.seen, self.arguments = stream, arguments
        picks = [
            SimpleNamespace(
                phase=self.phase,
                peak_time=START + time,
                start_time=START + time - 0.1,
                end_time=START + time + 0.1,
                peak_value=0.9,
            )
            for time in self.times_s
        ]
        return SimpleNamespace(picks=picks)


def test_picks_outside_the_window_belong_to_another_day():
    picks, _ = pick_stream(make_stream(), StubPicker(9.99, 10.0, 59.99, 60.0), PARAMS, WINDOW)
    assert [str(time) for time in picks["time"]] == ["2020-01-01 00:00:10+00:00", "2020-01-01 00:00:59.990000+00:00"]


def test_other_phases_are_not_picks():
    assert pick_stream(make_stream(), StubPicker(30.0, phase="Detection"), PARAMS, WINDOW)[0].empty


def test_only_what_is_set_overrides_the_weights():
    assert annotate_arguments(PARAMS) == {"P_threshold": 0.4, "stacking": "avg", "batch_size": 8}


def test_pick_identifiers_depend_on_the_content_only():
    once, again = (pick_stream(make_stream(), StubPicker(30.0, 40.0), PARAMS, WINDOW)[0] for _ in range(2))
    assert once["pick_id"].is_unique
    pd.testing.assert_frame_equal(once, again)


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1.0, 1e8])
def test_the_model_sees_the_same_at_any_amplitude(scale):
    reference, _, _ = prepare(make_stream(), 100.0)
    scaled, _, _ = prepare(make_stream(scale=scale), 100.0)
    for one, two in zip(reference, scaled, strict=True):
        np.testing.assert_allclose(one.data, two.data, rtol=1e-9)


def test_a_constant_record_stays_finite():
    stream = make_stream()
    for trace in stream:
        trace.data = np.full(trace.stats.npts, 5.0)
    ready, _, _ = prepare(stream, 100.0)
    assert all(np.all(trace.data == 0) for trace in ready)


def test_resampling_is_said_and_keeps_the_times():
    stream = make_stream(rate_hz=50.0)
    ready, _, rates = prepare(stream, 100.0)
    assert rates == ["HHE 50 -> 100 Hz", "HHN 50 -> 100 Hz", "HHZ 50 -> 100 Hz"]
    assert {trace.stats.sampling_rate for trace in ready} == {100.0}
    assert abs(ready[0].stats.endtime - stream[0].stats.endtime) <= 0.01


def test_resampling_keeps_a_sine():
    times = np.arange(4000) / 40.0
    trace = obspy.Trace(np.sin(2 * np.pi * 3 * times), {"sampling_rate": 40.0})
    new = resample(trace, 100.0)
    inside = slice(500, -500)
    np.testing.assert_allclose(new.data[inside], np.sin(2 * np.pi * 3 * new.times())[inside], atol=2e-3)


@pytest.mark.parametrize(
    ("components", "names"),
    [("ZNE", "ZNE"), ("Z12", "Z12"), ("Z23", "Z12"), ("123", "Z12"), ("Z", "Z"), ("UVW", "Z12")],
)
def test_components_are_named_as_pickers_know_them(components, names):
    ready, _, _ = prepare(make_stream(components), 100.0)
    assert "".join(trace.stats.channel[-1] for trace in ready) == names


def test_signal_to_noise_is_measured_on_the_right_component():
    stream = make_stream()
    stream.select(component="Z")[0].data *= 1e-3
    stream.select(component="Z")[0].data[3000:] = 0.0
    _, snr_p_db = measure(stream, START + 30, "P")
    amplitude, snr_s_db = measure(stream, START + 30, "S")
    assert snr_s_db == pytest.approx(40, abs=2)
    assert amplitude == pytest.approx(100, rel=0.05)
    assert snr_p_db < 10


def test_amplitudes_are_ground_velocity_where_the_sensitivity_is_known():
    picks, _ = pick_stream(make_stream(), StubPicker(30.0), PARAMS, WINDOW, sensitivity_counts_per_unit=1e6)
    assert picks["amplitude_m_s"][0] == pytest.approx(1e-4, rel=0.05)
    picks, _ = pick_stream(make_stream(), StubPicker(30.0), PARAMS, WINDOW)
    assert np.isnan(picks["amplitude_m_s"][0])


def test_every_station_of_the_day_has_a_row_whatever_happens(tmp_path, monkeypatch):
    monkeypatch.setattr("pickflow.pick.load_model", lambda folder, device: StubPicker(30.0))
    write_stream(make_stream(), tmp_path / "XX.AAA.mseed")
    short = make_stream(length_s=20.0)
    for trace in short:
        trace.stats.station = "BBB"
    write_stream(short, tmp_path / "XX.BBB.mseed")
    (tmp_path / "XX.CCC.mseed").write_bytes(b"this is no waveform")
    rows = [
        {"station": "AAA", "usable": True, "reason": "ok"},
        {"station": "BBB", "usable": True, "reason": "gap"},
        {"station": "CCC", "usable": True, "reason": "ok"},
        {"station": "DDD", "usable": False, "reason": "no_data"},
    ]
    common = {name: "" for name in MANIFEST.schema.names} | {"network": "XX", "date": "2020-01-01", "n_gaps": 0}
    numbers = {"sampling_rate_hz": 100.0, "coverage": 1.0, "sensitivity_counts_per_unit": np.nan}
    manifest = pd.DataFrame([{**common, **numbers, **row} for row in rows])
    picks, ledger, cpu_s = pick_day(manifest, tmp_path, tmp_path / "model", PARAMS, WINDOW, "cpu", map)
    assert dict(zip(ledger["station"], ledger["reason"], strict=True)) == {
        "AAA": "ok",
        "BBB": "too_short",
        "CCC": "pick_failed",
        "DDD": "no_data",
    }
    assert "CCC.mseed" in ledger["detail"][2]
    assert set(picks["station"]) == {"AAA", "BBB"}
    assert cpu_s > 0
