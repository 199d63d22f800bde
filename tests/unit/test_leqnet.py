"""LEQNet: as light as the paper says, and as good a citizen as EQTransformer."""

import numpy as np
import obspy
import pytest
import seisbench.models as sbm
import torch

from pickflow.annotate import Picker, PickerOptions
from pickflow.annotate.backends import choose_backend
from pickflow.annotate.engine import refusal
from pickflow.compress.costs import n_weights_of_keras
from pickflow.kernels import is_available
from pickflow.kernels.compilation import compile_network
from pickflow.models.cards import write_model
from pickflow.models.leqnet import LEQNet
from pickflow.models.loading import load_model
from tests.network_fixture import randomised

N_WEIGHTS = 39_776


def random_leqnet(**arguments):
    """Every parameter matters and is random."""
    torch.manual_seed(0)
    return randomised(LEQNet(**arguments))


def windows_of(model, n_windows=3):
    windows = np.random.default_rng(1).standard_normal((n_windows, 3, model.in_samples)).astype(np.float32)
    windows[:, :, model.in_samples // 2 :] *= 5.0
    return windows / windows.std(axis=-1, keepdims=True)


def probabilities_of(model, windows):
    with torch.inference_mode():
        return torch.stack(model(torch.from_numpy(windows)), dim=1).numpy()


def test_it_has_as_many_weights_as_in_the_paper():
    assert n_weights_of_keras(LEQNet()) == N_WEIGHTS


def test_the_papers_count_is_understood():
    # 323,063 in the paper; SeisBench's network with five residual blocks and two blocks of LSTM.
    model = sbm.EQTransformer(lstm_blocks=2)
    members = [model.res_cnn_stack.members[index] for index in (0, 1, 2, 4, 6)]
    model.res_cnn_stack.members = torch.nn.ModuleList(members)
    assert n_weights_of_keras(model) == 323_063


def test_it_gives_three_probabilities_for_each_sample():
    model = LEQNet().eval()
    assert list(model.labels) == ["Detection", "P", "S"]
    probabilities = probabilities_of(model, windows_of(model))
    assert probabilities.shape == (3, 3, 6000)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    with torch.inference_mode():
        logits = torch.stack(model(torch.from_numpy(windows_of(model)), logits=True), dim=1)
    np.testing.assert_allclose(torch.sigmoid(logits).numpy(), probabilities, atol=1e-6)


def test_signals_reach_the_bottleneck_in_their_size():
    torch.manual_seed(0)
    model = LEQNet().eval()
    code = model.encoder(torch.from_numpy(windows_of(model))).detach()
    assert code.shape == (3, 32, 47)
    assert 0.1 < float(code.std()) < 10


def test_it_is_treated_as_eqtransformer_is():
    ours, theirs = LEQNet(), sbm.EQTransformer()
    assert ours._annotate_args == theirs._annotate_args
    batch = torch.from_numpy(windows_of(ours))
    expected = theirs.annotate_batch_pre(batch.clone(), {})
    assert torch.equal(ours.annotate_batch_pre(batch.clone(), {}), expected)
    assert refusal(ours) is None
    assert "LEQNet" in ours.citation


def test_it_is_built_again_from_its_arguments(tmp_path):
    band = {"freqmin": 1, "freqmax": 45, "corners": 2, "zerophase": True}
    model = random_leqnet(norm="peak", filter_args=["bandpass"], filter_kwargs=band)
    card = {"model": "LEQNet", "model_args": model.get_model_args(), "default_args": {"P_threshold": 0.2}}
    write_model(tmp_path, model.state_dict(), card)
    again = load_model(tmp_path)
    assert (again.norm, again.filter_args, again.filter_kwargs) == ("peak", ["bandpass"], band)
    assert again.default_args["P_threshold"] == 0.2
    windows = windows_of(model)
    np.testing.assert_array_equal(probabilities_of(again, windows), probabilities_of(model, windows))


@pytest.mark.skipif(not is_available(), reason="the kernels are not built: no C compiler at installation")
@pytest.mark.parametrize(
    "arguments", [{}, {"in_samples": 3001}, {"classes": 1, "phases": "P", "in_samples": 1537, "lstm_blocks": 1}]
)
def test_the_kernels_give_its_values(arguments):
    model = random_leqnet(**arguments)
    windows = windows_of(model)
    expected = probabilities_of(model, windows)
    assert expected.std() > 0.05
    np.testing.assert_allclose(compile_network(model).predict(windows), expected, atol=1e-5)


def test_seisbench_and_the_engine_pick_the_same():
    model = random_leqnet()
    rng = np.random.default_rng(0)
    stream = obspy.Stream(
        obspy.Trace(
            rng.normal(size=18_000) * (1 + 9 * (np.arange(18_000) > 9000)),
            {"network": "XX", "station": "A", "channel": f"HH{component}", "sampling_rate": 100.0},
        )
        for component in "ZNE"
    )
    thresholds = {phase: 0.999 * _largest(model, stream, phase) for phase in "PS"}
    options = PickerOptions(p_threshold=thresholds["P"], s_threshold=thresholds["S"], grid="record")
    ours, _, _ = Picker(model, options).pick(stream)
    theirs = model.classify(stream, P_threshold=thresholds["P"], S_threshold=thresholds["S"]).picks
    assert len(ours) > 0
    assert sorted((p.phase, p.time_ns) for p in ours) == sorted((p.phase, p.peak_time.ns) for p in theirs)


def _largest(model, stream, phase):
    return float(np.nanmax(model.annotate(stream).select(channel=f"*_{phase}")[0].data))


def test_onnx_runtime_gives_its_values():
    # Before it is handed out, a backend is compared with torch.
    assert choose_backend(random_leqnet(), "onnxruntime").name == "onnxruntime"
