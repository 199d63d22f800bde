import numpy as np
import obspy
import pandas as pd
import pytest
import seisbench.models
import torch

from pickflow.denoise import bandpass, deepdenoise, denoise_day
from pickflow.io.waveforms import read_stream, write_stream
from pickflow.run.settings.denoise import DenoiseParams
from pickflow.schemas import MANIFEST
from tests.waveform_fixture import with_digests

PARAMS = DenoiseParams(minimum_frequency_hz=1.0, maximum_frequency_hz=20.0, corners=4)


def sine(frequency_hz, rate_hz=100.0, length_s=60.0, offset=0.0):
    times = np.arange(int(length_s * rate_hz)) / rate_hz
    header = {"network": "XX", "station": "AAA", "channel": "HHZ", "sampling_rate": rate_hz}
    return obspy.Stream([obspy.Trace(offset + np.sin(2 * np.pi * frequency_hz * times), header)])


@pytest.mark.parametrize(("frequency_hz", "passed"), [(0.1, 0.0), (5.0, 1.0), (45.0, 0.0)])
def test_the_bandpass_passes_its_band(frequency_hz, passed):
    clean = bandpass(sine(frequency_hz), PARAMS)[0].data[1000:]
    assert np.abs(clean).max() == pytest.approx(passed, abs=0.06)


def test_the_bandpass_is_causal_and_leaves_its_input_alone():
    stream = sine(5.0)
    stream[0].data[:3000] = 0.0
    before = stream[0].data.copy()
    clean = bandpass(stream, PARAMS)
    assert np.abs(clean[0].data[:3000]).max() == 0.0
    np.testing.assert_array_equal(stream[0].data, before)


def test_a_large_offset_does_not_ring():
    clean = bandpass(sine(5.0, offset=1e6), PARAMS)
    assert np.abs(clean[0].data).max() < 5


def test_a_rate_too_low_for_the_band_is_named():
    with pytest.raises(ValueError, match=r"XX.AAA..HHZ: at 2 Hz .*minimum_frequency_hz"):
        bandpass(sine(0.5, rate_hz=2.0), PARAMS)


def test_deepdenoiser_keeps_codes_times_and_scale():
    torch.manual_seed(0)
    model = seisbench.models.DeepDenoiser()
    stream = sine(5.0)
    small = sine(5.0)
    small[0].data = small[0].data * 1e-9
    clean, clean_small = deepdenoise(stream, model, 8), deepdenoise(small, model, 8)
    assert clean[0].id == "XX.AAA..HHZ"
    assert not np.allclose(clean[0].data[500:-500], stream[0].data[500 : len(clean[0]) - 500], atol=1e-3)
    np.testing.assert_allclose(clean[0].data * 1e-9, clean_small[0].data, rtol=1e-3, atol=1e-13)


def test_a_record_that_cannot_be_denoised_is_a_reason(tmp_path):
    source, target = tmp_path / "in", tmp_path / "out"
    write_stream(sine(5.0), source / "XX.AAA.mseed")
    write_stream(sine(0.5, rate_hz=2.0), source / "XX.BBB.mseed")
    row = {name: "" for name in MANIFEST.schema.names} | {"network": "XX", "date": "2020-01-01", "n_gaps": 0}
    row |= {
        "usable": True,
        "reason": "ok",
        "sampling_rate_hz": 1.0,
        "coverage": 1.0,
        "sensitivity_counts_per_unit": 1.0,
    }
    manifest = with_digests(pd.DataFrame([{**row, "station": "AAA"}, {**row, "station": "BBB"}]), source)
    cleaned = denoise_day(manifest, source, target, "bandpass", PARAMS, None, "cpu", 8, map)
    assert list(cleaned["reason"]) == ["ok", "denoise_failed"]
    assert "minimum_frequency_hz" in cleaned["detail"][1]
    assert len(read_stream(target / "XX.AAA.mseed")) == 1
    assert not (target / "XX.BBB.mseed").exists()


def test_denoised_pieces_of_two_clocks_keep_the_rate_of_each():
    first = obspy.Trace(np.arange(20_000) % 97, {"sampling_rate": 100.0})
    second = obspy.Trace(np.arange(20_000) % 97, {"sampling_rate": 100.04, "starttime": first.stats.endtime + 0.01})
    clean = bandpass(obspy.Stream([first, second]), PARAMS)
    assert [piece.stats.sampling_rate for piece in clean] == [100.0, 100.04]
