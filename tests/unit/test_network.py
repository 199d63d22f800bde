import numpy as np
import obspy
import pytest
import torch

from pickflow.models.network import IN_SAMPLES, PickflowNet


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return PickflowNet().eval()


@pytest.fixture
def windows():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, IN_SAMPLES)).astype(np.float32))


def test_probabilities_of_each_sample_add_up_to_one(model, windows):
    with torch.no_grad():
        probability = model(windows)
    assert probability.shape == (2, 3, IN_SAMPLES)
    torch.testing.assert_close(probability.sum(dim=1), torch.ones(2, IN_SAMPLES))


def test_the_weights_fit_into_four_hundred_kilobytes(model):
    assert sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values()) < 385_000


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1e8])
def test_units_do_not_matter(model, windows, scale):
    with torch.no_grad():
        torch.testing.assert_close(model(windows * scale), model(windows), atol=1e-4, rtol=0)


def test_gain_and_offset_of_a_component_do_not_matter(model, windows):
    changed = (
        windows * torch.tensor([1.0, 1000.0, 1e-3])[None, :, None] + torch.tensor([0.0, 50.0, -3.0])[None, :, None]
    )
    with torch.no_grad():
        torch.testing.assert_close(model(changed), model(windows), atol=2e-3, rtol=0)


def test_missing_components_stay_silent(model, windows):
    windows[:, 1:] = 0
    assert torch.equal(model.prepare(windows)[:, 1:], torch.zeros(2, 2, IN_SAMPLES))
    with torch.no_grad():
        assert torch.isfinite(model(windows)).all()
        assert torch.isfinite(model(torch.zeros(1, 3, IN_SAMPLES))).all()


def test_nothing_is_smeared_ahead_of_an_onset(model):
    windows = torch.zeros(1, 3, IN_SAMPLES)
    windows[:, :, 2000:] = 1.0
    prepared = model.prepare(windows - windows.mean())
    assert prepared[:, :, :1995].abs().max() < 1e-2 * prepared.abs().max()


def test_microseism_is_suppressed(model):
    time = torch.arange(IN_SAMPLES) / 100
    slow, fast = torch.sin(2 * np.pi * 0.15 * time), 0.1 * torch.sin(2 * np.pi * 6 * time)
    prepared = model.prepare((slow + fast).expand(1, 3, -1).clone())[0, 0, 500:]
    spectrum = torch.fft.rfft(prepared * torch.hann_window(prepared.numel())).abs()
    frequency = torch.fft.rfftfreq(prepared.numel(), 0.01)
    assert spectrum[(frequency - 6).abs().argmin()] > 3 * spectrum[frequency < 0.5].max()


def test_seisbench_annotates_and_classifies_with_it(model):
    rng = np.random.default_rng(1)
    traces = [
        obspy.Trace(
            rng.normal(size=9000), {"network": "XX", "station": "A", "channel": f"HH{c}", "sampling_rate": 100.0}
        )
        for c in "ZNE"
    ]
    annotations = model.annotate(obspy.Stream(traces))
    assert {trace.stats.channel for trace in annotations} == {"PickflowNet_N", "PickflowNet_P", "PickflowNet_S"}
    assert {trace.stats.npts for trace in annotations} == {9000 - 400}  # the blinded edges of the record
    picks = model.classify(obspy.Stream(traces), P_threshold=1e-6, S_threshold=1.1).picks
    assert {pick.phase for pick in picks} == {"P"}


def test_its_arguments_build_it_again(model):
    again = PickflowNet(**model.get_model_args())
    again.load_state_dict(model.state_dict())
    assert again.get_model_args() == model.get_model_args()
