"""The variants of EQTransformer: what they consist of, and that they are pickers like any other."""

import re
from pathlib import Path

import numpy as np
import obspy
import pytest
import seisbench.models as sbm
import torch
from pydantic import ValidationError
from torch import nn

from benchmarks import variants
from pickflow.annotate import Picker, PickerOptions
from pickflow.annotate.backends import choose_backend
from pickflow.annotate.engine import refusal
from pickflow.compress.costs import n_weights_of_keras
from pickflow.implicit import from_network
from pickflow.kernels import is_available
from pickflow.models import registry
from pickflow.models.cards import write_model
from pickflow.models.eqtransformer import halved_lengths
from pickflow.models.loading import build, describe, load_model, untrained
from pickflow.run.configuration import ConfigError, complete
from pickflow.run.grid import Candidate, resolve_grid
from pickflow.run.plan import stage_costs
from pickflow.run.settings.train import TrainParams
from pickflow.weights import fetch_weights
from tests.network_fixture import randomised

ROOT = Path(__file__).parents[2]
SEISBENCH = {"residual_kernels": (3, 3, 3, 3, 2, 3, 2), "recurrent_blocks": ("bilstm",) * 3}
# Residual blocks, recurrent layers of the common part and of both branches (b: bidirectional), channels of the code.
PARTS = {
    "EQT": (5, ["bLSTM"] * 2, ["LSTM"] * 2, 16),
    "BCLOS": (5, ["LSTM"] * 2, ["LSTM"] * 2, 16),
    "BC": (5, [], ["LSTM"] * 2, 64),
    "BO": (5, ["bLSTM"] * 2 + ["LSTM"] * 2, ["LSTM"] * 2, 16),
    "PartialVanilla": (0, [], ["LSTM"] * 2, 64),
    "Salvation": (5, [], ["LSTM"] * 2, 64),
    "Genesis": (5, ["bLSTM"] * 2, [], 16),
    "Vanilla": (0, [], [], 64),
    "GRU": (5, ["bGRU"] * 2, ["GRU"] * 2, 16),
    "4x4": (4, ["bLSTM"] * 4, ["LSTM"] * 2, 16),
    "2LSTM": (5, ["bLSTM"] * 2, ["LSTM"] * 4, 16),
    "nb_filters_changed_EQTUtils": (5, ["bLSTM"] * 2, ["LSTM"] * 2, 16),
    "kernel_size_changed": (5, ["bLSTM"] * 2, ["LSTM"] * 2, 16),
    "nb_filters_changed_trainer": (5, ["bLSTM"] * 2, ["LSTM"] * 2, 8),
}


def recurrences_of(module):
    layers = [layer for layer in module.modules() if isinstance(layer, nn.LSTM | nn.GRU)]
    return ["b" * layer.bidirectional + type(layer).__name__ for layer in layers]


def windows_of(n_samples=6000):
    torch.manual_seed(1)
    return torch.randn(2, 3, n_samples)


@torch.inference_mode()
def probabilities_of(model, windows):
    return torch.stack(model(windows), dim=1)


def convolutions_of(module):
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv1d)]
    return [layer.out_channels for layer in layers], [layer.kernel_size[0] for layer in layers]


def test_there_are_fourteen():
    assert list(registry.VARIANTS) == list(PARTS)
    assert len(PARTS) == 14


@pytest.mark.parametrize("name", PARTS)
def test_a_variant_consists_of_what_its_study_says(name):
    model = untrained(name, 0)
    n_residual, common, branches, n_code = PARTS[name]
    assert len(model.res_cnn_stack.members) == n_residual
    assert (recurrences_of(model.bi_lstm_stack), recurrences_of(model.pick_lstms)) == (common, branches)
    assert model.transformer_d.attention.Wx.shape[0] == n_code
    windows = windows_of()
    assert model.encoder(windows).shape == (2, model.filters[-1], 47)
    probabilities = probabilities_of(model.eval(), windows)
    assert probabilities.shape == (2, 3, 6000)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    logits = torch.stack(model(windows, logits=True), dim=1).detach()
    torch.testing.assert_close(torch.sigmoid(logits), probabilities)


def test_the_changed_filters_and_kernels_are_those_of_the_studies():
    filters, kernels = [8, 16, 16, 32, 32, 64, 64], [11, 9, 7, 7, 5, 5, 3]
    model = untrained("EQT", 0)
    assert convolutions_of(model.encoder) == (filters, kernels)
    assert convolutions_of(model.decoder_d) == (filters[::-1], kernels[::-1])
    model = untrained("nb_filters_changed_EQTUtils", 0)
    assert convolutions_of(model.encoder) == (filters, kernels)
    assert [convolutions_of(decoder)[0] for decoder in (model.decoder_d, *model.pick_decoders)] == [
        [128, 64, 64, 32, 32, 16, 16]
    ] * 3
    model = untrained("kernel_size_changed", 0)
    assert convolutions_of(model.encoder) == (filters, [10, 9, 8, 7, 6, 5, 4])
    model = untrained("nb_filters_changed_trainer", 0)
    assert convolutions_of(model.encoder) == ([8, 8, 32, 32, 128, 128, 128], kernels)


def test_eqt_has_the_published_number_of_weights():
    # Lim et al. (2022): 323,063; of these 34,672 in the encoder and 109,696 in the residual blocks.
    model = untrained("EQT", 0)
    assert n_weights_of_keras(model) == 323_063
    assert n_weights_of_keras(model.encoder) == 34_672
    assert n_weights_of_keras(model.res_cnn_stack) == 109_696


@pytest.mark.parametrize("arguments", [{}, {"in_samples": 3001, "classes": 1, "phases": "P"}])
def test_weights_of_seisbench_give_its_values(arguments):
    torch.manual_seed(3)
    theirs = sbm.EQTransformer(**arguments)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.3, 1.5)
    ours = build("EQT", **SEISBENCH, **arguments)
    ours.load_state_dict(theirs.state_dict())
    windows = windows_of(theirs.in_samples)
    assert torch.equal(probabilities_of(ours.eval(), windows), probabilities_of(theirs.eval(), windows))
    assert sum(parameter.numel() for parameter in ours.parameters()) == sum(
        parameter.numel() for parameter in theirs.parameters()
    )


def test_it_is_treated_as_eqtransformer_is():
    ours, theirs = build("4x4"), sbm.EQTransformer()
    assert ours._annotate_args == theirs._annotate_args
    assert (ours.labels, ours.citation) == (theirs.labels, theirs.citation)
    assert torch.equal(ours.annotate_batch_pre(windows_of(), {}), theirs.annotate_batch_pre(windows_of(), {}))
    assert refusal(ours) is None


@pytest.mark.parametrize("name", PARTS)
def test_a_variant_is_read_by_its_name(name, tmp_path):
    model = untrained(name, 0, norm="peak").eval()
    card = describe(model, name, "trained") | {"model_args": model.get_model_args()}
    write_model(tmp_path, model.state_dict(), card)
    again = load_model(tmp_path)
    assert (again.norm, again.get_model_args()) == ("peak", model.get_model_args())
    assert torch.equal(probabilities_of(again, windows_of()), probabilities_of(model, windows_of()))


def test_a_card_without_arguments_means_the_entrys(tmp_path):
    model = untrained("Vanilla", 0)
    write_model(tmp_path, model.state_dict(), describe(model, "Vanilla", "trained"))
    assert load_model(tmp_path).get_model_args() == model.get_model_args()


def test_a_card_of_another_variant_is_refused(tmp_path):
    model = untrained("GRU", 0)
    write_model(tmp_path, model.state_dict(), describe(model, "EQT", "trained"))
    with pytest.raises(ValueError, match="the tensors do not fit EQT"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", ["EQT", "GRU", "PhaseNet", "PickflowNet"])
def test_the_seed_makes_the_first_weights(name):
    states = [untrained(name, seed).state_dict() for seed in (5, 5, 6)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert any(not torch.equal(states[0][key], states[2][key]) for key in states[0])


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_sizes": (10, 8, 6, 4, 4, 2, 2), "residual_kernels": (2, 4, 5), "in_samples": 1537},
        {"filters": (4, 8, 8), "kernel_sizes": (7, 6, 5), "in_samples": 601},
        {"filters": (4,) * 10, "kernel_sizes": (3,) * 10, "attention_blocks": 3},
        {"attention_blocks": 0, "recurrent_blocks": ("gru", "bilstm"), "branch_recurrences": ("bigru", "lstm")},
    ],
)
def test_any_depth_kernel_and_length_keeps_the_window(arguments):
    model = build("EQT", **arguments).eval()
    windows = windows_of(model.in_samples)
    n_steps = halved_lengths(model.in_samples, len(model.filters))[-1]
    assert model.encoder(windows).shape[-1] == n_steps
    assert probabilities_of(model, windows).shape == (2, 3, model.in_samples)


def test_an_even_kernel_is_padded_as_in_keras():
    # One zero more at the end than at the start: the second sample meets the weight before the middle.
    model = build("kernel_size_changed", filters=(1,) * 7)
    layer = model.encoder.convs[0]
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.zero_()
        layer.weight[0, 0, 4] = 1.0
    window = torch.zeros(1, 3, 6000)
    window[0, 0, 1000] = 1.0
    model.encoder.convs, model.encoder.paddings = model.encoder.convs[:1], [0]
    (place,) = torch.nonzero(model.encoder(window)[0, 0]).ravel()
    assert int(place) == 500


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("4x4", {"in_samples": 100}, "4x4: layer encoder.convs.5 has a kernel of 5 samples and reads 4 of a window"),
        ("EQT", {"filters": (4, 4), "kernel_sizes": (3, 3), "residual_kernels": (40,), "in_samples": 100},
         "EQT: layer res_cnn_stack.members.0 has a kernel of 40"),
        ("EQT", {"filters": (4, 4), "kernel_sizes": (3, 3), "decoder_kernel_sizes": (60, 3), "in_samples": 100},
         "EQT: layer decoder_d.convs.0 has a kernel of 60 samples and reads 50"),
        ("GRU", {"kernel_sizes": (3, 3)}, "GRU: kernel_sizes [3, 3]: 2 layers, filters has 7"),
        ("BO", {"recurrent_blocks": ("lstm", "rnn")}, "BO: recurrent_blocks: 'rnn' is not one of lstm, bilstm"),
        ("EQT", {"norm": "peek"}, "EQT: norm 'peek' is not one of std, peak"),
        ("EQT", {"n_units": 0}, "EQT: n_units 0: whole numbers from 1 on"),
        ("EQT", {"attention_blocks": -1}, "EQT: attention_blocks -1"),
        ("EQT", {"depth": 3}, "EQT: .*depth"),
    ],
)  # fmt: skip
def test_parameters_that_make_no_network_are_named(name, arguments, message):
    pattern = message if ".*" in message else re.escape(message)
    with pytest.raises(ValueError, match=f"model {pattern}"):
        build(name, **arguments)


def test_windows_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"windows of shape \(2, 3, 3000\), the model needs \(n, 3, 6000\)"):
        untrained("EQT", 0)(windows_of(3000))


def test_a_variant_is_an_implicit_model():
    arguments = {"in_samples": 60, "filters": (4, 4), "kernel_sizes": (4, 3), "residual_kernels": (3, 2)}
    model = randomised(build("BCLOS", **arguments, n_units=4), gain=2.4)
    outputs = from_network(model, 60).sweep(windows_of(60).numpy()).outputs.reshape(2, 3, 60)
    expected = probabilities_of(model, windows_of(60)).numpy()
    assert np.ptp(expected) > 1e-2
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_the_implicit_model_names_what_it_does_not_know():
    model = build("GRU", in_samples=300, filters=(4, 4), kernel_sizes=(3, 3)).eval()
    with pytest.raises(ValueError, match=r"bi_lstm_stack\.members\.0\.lstm.*GRU"):
        from_network(model, 300)


def test_a_run_knows_them_by_name():
    files = {f"{name}/trained": "somewhere" for name in PARTS}
    candidates, warnings = resolve_grid(list(PARTS), ["trained"], [], None, files)
    assert (candidates, warnings) == ([Candidate(name, "trained") for name in PARTS], [])
    with pytest.raises(ConfigError, match="did you mean 'nb_filters_changed_EQTUtils'"):
        resolve_grid(["nb_filters_changed_EQTutil"], ["trained"], [], None, files)
    (picking,) = [cost for cost in stage_costs(["none"], ["2LSTM"], [], False) if cost.stage == "pick"]
    assert picking.cpu_s == registry.PICKERS["2LSTM"].pick_cpu_s


def test_the_plan_knows_which_variants_are_dear():
    sizes = {row[0]: float(row[-1]) for row in variants.sizes()[1:]}
    for name in PARTS:
        entry, share = registry.PICKERS[name], sizes[name] / sizes["EQT"]
        assert entry.pick_cpu_s == pytest.approx(registry.PICKERS["EQTransformer"].pick_cpu_s * share, rel=0.05)


def test_weights_in_seisbenchs_format_are_read_by_the_entrys_name(tmp_path):
    model = untrained("GRU", 0).eval()
    place = tmp_path / "cache" / "models" / "v3" / "gru"
    place.mkdir(parents=True)
    torch.save(model.state_dict(), place / "mine.pt.v1")
    (place / "mine.json.v1").write_text('{"model_args": {"norm": "peak"}, "version": "1"}')
    card = fetch_weights("GRU", "mine", tmp_path / "folder", str(tmp_path / "cache"), None, {})
    assert (card["model"], card["model_args"]) == ("GRU", {"norm": "peak"})
    again = load_model(tmp_path / "folder")
    assert again.norm == "peak"
    assert torch.equal(probabilities_of(again, windows_of()), probabilities_of(model, windows_of()))


def test_whatever_the_registry_calls_trainable_can_be_trained():
    assert {"PhaseNet", "PhaseNetLight", "PickflowNet", "LEQNet", "EQTransformer", *PARTS} <= set(registry.trainable())
    for name in registry.trainable():
        assert TrainParams(model=name).model == name
    with pytest.raises(ValidationError, match="did you mean 'Salvation'"):
        TrainParams(model="salvatoin")
    span = {"starttime": "2024-01-01", "endtime": "2024-01-02"}
    with pytest.raises(ConfigError, match=r"train\.model.*'GPD' cannot be trained"):
        complete({**span, "train": {"model": "GPD"}})


@pytest.mark.skipif(not is_available(), reason="the kernels are not built: no C compiler at installation")
@pytest.mark.parametrize("name", PARTS)
def test_kernels_and_torch_annotate_alike(name):
    model = randomised(untrained(name, 0), gain=2.4)
    rng = np.random.default_rng(0)
    envelope = 1 + 9 * (np.arange(9000) > 5000)
    header = {"network": "XX", "station": "A", "sampling_rate": 100.0}
    stream = obspy.Stream(
        obspy.Trace(rng.normal(size=9000) * envelope, header | {"channel": f"HH{letter}"}) for letter in "ZNE"
    )
    pickers = [Picker(model, PickerOptions(backend=backend)) for backend in ("auto", "torch")]
    assert [picker.backend for picker in pickers] == ["kernels", "torch"]
    curves, expected = (picker.annotate(stream) for picker in pickers)
    assert [trace.id for trace in curves] == [trace.id for trace in expected]
    assert len(curves) == 3
    for ours, theirs in zip(curves, expected, strict=True):
        assert np.abs(ours.data - theirs.data).max() < min(0.05 * theirs.data.std(), 1e-4)


@pytest.mark.parametrize("name", PARTS)
def test_onnx_runtime_computes_it(name):
    # Before it is handed out, a backend is compared with torch.
    assert choose_backend(randomised(untrained(name, 0), gain=2.4), "onnxruntime").name == "onnxruntime"


def test_the_table_in_the_documentation_is_that_of_the_command():
    assert variants.table(variants.sizes()) in (ROOT / "docs" / "lab-variants.md").read_text()


def test_predictions_differ_from_variant_to_variant():
    # Nothing of a configuration is forgotten: no two but the two of the same parts are one network.
    texts = {name: str(sorted(untrained(name, 0).get_model_args().items(), key=str)) for name in PARTS}
    assert len(set(texts.values())) == len(PARTS) - 1
    assert texts["BC"] == texts["Salvation"]
    np.testing.assert_array_equal(
        probabilities_of(untrained("BC", 0).eval(), windows_of()),
        probabilities_of(untrained("Salvation", 0).eval(), windows_of()),
    )
