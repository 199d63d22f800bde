import numpy as np
import obspy
import pandas as pd
import pytest

from pickflow.annotate import TimedPick
from pickflow.annotate.picker import seisbench_stream
from pickflow.annotate.segments import make_segments
from pickflow.io.waveforms import write_stream
from pickflow.pick import measure, pick_day, pick_stream
from pickflow.run.settings.pick import PickParams
from pickflow.schemas import MANIFEST
from pickflow.windows import parse_time
from tests.waveform_fixture import with_digests

START = obspy.UTCDateTime("2020-01-01T00:00:00")
WINDOW = (parse_time("2020-01-01T00:00:10"), parse_time("2020-01-01T00:01:00"))
PARAMS = PickParams(
    p_threshold=0.4,
    s_threshold=None,
    overlap_samples=None,
    stacking=None,
    batch_size=8,
    backend="auto",
    mode="exact",
    bridge_gaps_s=0.0,
    drop_artefacts=True,
)


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
    """Picks at fixed times, so that what is around the engine can be tested without one."""

    component_order = "ZNE"
    in_samples = 3001
    backend = "stub"

    def __init__(self, *times_s, phase="P"):
        self.times_ns = [START.ns + round(time_s * 1e9) for time_s in times_s]
        self.phase = phase

    def segments(self, stream):
        return make_segments(stream, "ZNE", 100.0)

    def pick(self, stream):
        picks = [TimedPick(self.phase, time, time - 10**8, time + 10**8, 0.9) for time in self.times_ns]
        return picks, *self.segments(stream)

    def pick_many(self, streams):
        for index, stream in enumerate(streams):
            for pick in self.pick(stream)[0]:
                yield index, pick


def test_picks_outside_the_window_belong_to_another_day():
    result = pick_stream(make_stream(), StubPicker(9.99, 10.0, 59.99, 60.0), WINDOW)
    assert [str(time) for time in result.picks["time"]] == [
        "2020-01-01 00:00:10+00:00",
        "2020-01-01 00:00:59.990000+00:00",
    ]


def test_pick_identifiers_depend_on_the_content_only():
    once, again = (pick_stream(make_stream(), StubPicker(30.0, 40.0), WINDOW).picks for _ in range(2))
    assert once["pick_id"].is_unique
    pd.testing.assert_frame_equal(once, again)


def test_picks_on_the_edge_of_a_gap_are_counted_and_dropped():
    stream = make_stream(amplitude=0.0)
    whole = stream.copy()
    stream.trim(START, START + 40)
    stream += whole.trim(START + 45, START + 70)
    result_with_artefacts = pick_stream(stream, StubPicker(20.0, 45.05), WINDOW, drop_artefacts=False)
    assert (len(result_with_artefacts.picks), result_with_artefacts.artefacts.total()) == (2, 0)
    result_without_artefacts = pick_stream(stream, StubPicker(20.0, 45.05), WINDOW)
    assert (len(result_without_artefacts.picks), dict(result_without_artefacts.artefacts)) == (1, {"gap_edge": 1})


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1.0, 1e8])
def test_seisbench_sees_the_same_at_any_amplitude(scale):
    (reference,), (scaled,) = (make_segments(make_stream(scale=size), "ZNE", 100.0)[0] for size in (1.0, scale))
    for reference_trace, scaled_trace in zip(
        *(seisbench_stream(segment, "ZNE") for segment in (reference, scaled)), strict=True
    ):
        np.testing.assert_allclose(reference_trace.data, scaled_trace.data, rtol=1e-9)


def test_resampling_is_said():
    assert pick_stream(make_stream(rate_hz=50.0), StubPicker(30.0), WINDOW).rates == [
        "HHE 50 -> 100 Hz",
        "HHN 50 -> 100 Hz",
        "HHZ 50 -> 100 Hz",
    ]


def measured(stream, phase):
    segments, _ = make_segments(stream, "ZNE", 100.0)
    starts_ns = np.array([segment.start_ns for segment in segments])
    return measure(segments, starts_ns, START.ns + 30 * 10**9, phase, "ZNE")


def test_signal_to_noise_is_measured_on_the_right_component():
    stream = make_stream()
    stream.select(component="Z")[0].data *= 1e-3
    stream.select(component="Z")[0].data[3000:] = 0.0
    _, snr_p_db = measured(stream, "P")
    amplitude, snr_s_db = measured(stream, "S")
    assert snr_s_db == pytest.approx(40, abs=2)
    assert amplitude == pytest.approx(100, rel=0.05)
    assert snr_p_db < 10


def test_a_single_component_is_measured_for_both_phases():
    assert measured(make_stream("Z"), "S") == measured(make_stream("Z"), "P")


def test_amplitudes_are_ground_velocity_where_the_sensitivity_is_known():
    picks = pick_stream(make_stream(), StubPicker(30.0), WINDOW, sensitivity_counts_per_unit=1e6).picks
    assert picks["amplitude_m_s"][0] == pytest.approx(1e-4, rel=0.05)
    assert np.isnan(pick_stream(make_stream(), StubPicker(30.0), WINDOW).picks["amplitude_m_s"][0])


def make_manifest():
    rows = [
        {"station": "AAA", "usable": True, "reason": "ok"},
        {"station": "BBB", "usable": True, "reason": "gap"},
        {"station": "CCC", "usable": True, "reason": "ok"},
        {"station": "DDD", "usable": False, "reason": "no_data"},
    ]
    common = {name: "" for name in MANIFEST.schema.names} | {"network": "XX", "date": "2020-01-01", "n_gaps": 0}
    numbers = {"sampling_rate_hz": 100.0, "coverage": 1.0, "sensitivity_counts_per_unit": np.nan}
    return pd.DataFrame([{**common, **numbers, **row} for row in rows])


@pytest.mark.parametrize("device", ["cpu", "cuda"])  # on a GPU stations share batches; the stub needs none
def test_every_station_of_the_day_has_a_row_whatever_happens(tmp_path, monkeypatch, device):
    card = {"sampling_rate_hz": 100.0}
    monkeypatch.setattr("pickflow.pick._picker", lambda *arguments: (StubPicker(15.0), card))
    write_stream(make_stream(), tmp_path / "XX.AAA.mseed")
    short = make_stream(length_s=20.0)
    for trace in short:
        trace.stats.station = "BBB"
    write_stream(short, tmp_path / "XX.BBB.mseed")
    (tmp_path / "XX.CCC.mseed").write_bytes(b"this is no waveform")
    picks, ledger, cpu_s = pick_day(
        with_digests(make_manifest(), tmp_path), tmp_path, tmp_path / "model", PARAMS, WINDOW, device, map
    )
    assert dict(zip(ledger["station"], ledger["reason"], strict=True)) == {
        "AAA": "ok",
        "BBB": "too_short",
        "CCC": "pick_failed",
        "DDD": "no_data",
    }
    assert "CCC.mseed" in ledger["detail"][2]
    assert set(picks["station"]) == {"AAA", "BBB"}
    assert cpu_s > 0
