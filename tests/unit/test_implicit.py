"""The implicit model is the network, whatever its layers, and what has no form or does not fit is named."""

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
import seisbench.models as sbm
import torch
from seisbench.models.eqtransformer import FeedForward, LayerNormalization, SeqSelfAttention
from torch import nn

from pickflow.implicit import NotConvergedError, UnsupportedLayerError, from_network
from pickflow.implicit.activations import AttentionMixture
from pickflow.models.leqnet import LEQNet
from pickflow.models.network import PickflowNet
from tests.compress_fixture import network_of, windows_of

SHARED = Path(os.environ.get("PICKFLOW_SHARED", Path(__file__).parents[3] / "shared"))
TOLERANCE = 1e-10


def original_eqtransformer(kind, n_samples=240):
    """The form of EQTransformer that is only built for 6000 samples; 240 need the same padding and cropping."""
    model = sbm.EQTransformer(original_compatible=kind)
    model.in_samples = n_samples
    return model


def narrower_phasenet():
    """A student: three channels of a skip connection are gone."""
    model = sbm.PhaseNet()
    first, norm, down = nn.Conv1d(8, 5, 7, padding="same"), nn.BatchNorm1d(5), nn.Conv1d(5, 8, 7, 4, padding=3)
    model.down_branch[0] = nn.ModuleList([first, norm, down, model.down_branch[0][3]])
    model.up_branch[3][2] = nn.Conv1d(13, 8, 7, padding="same")
    return model


NETWORKS = {
    "PhaseNet": (lambda: sbm.PhaseNet(), 101),
    "PhaseNet, 4 components, 5 classes": (lambda: sbm.PhaseNet(in_channels=4, classes=5, phases="NPSDX"), 128),
    "PhaseNet, narrower": (narrower_phasenet, 101),
    "VariableLengthPhaseNet": (lambda: sbm.VariableLengthPhaseNet(in_samples=61), 61),
    "VariableLengthPhaseNet, sigmoid": (
        lambda: sbm.VariableLengthPhaseNet(in_samples=40, output_activation="sigmoid"),
        40,
    ),
    "PhaseNetLight": (lambda: sbm.PhaseNetLight(), 185),
    "EQTransformer": (lambda: sbm.EQTransformer(in_samples=128), 128),
    "EQTransformer, odd lengths": (
        lambda: sbm.EQTransformer(in_samples=201, lstm_blocks=1, classes=1, phases="P"),
        201,
    ),
    "EQTransformer, conservative": (lambda: original_eqtransformer("conservative"), 240),
    "EQTransformer, non-conservative": (lambda: original_eqtransformer("non-conservative"), 240),
    "LEQNet": (lambda: LEQNet(in_samples=201), 201),
    "PickflowNet": (lambda: PickflowNet(), 128),
}
WEIGHTS = [
    (sbm.PhaseNet, "original_converted", 128),
    (sbm.PhaseNet, "stead", 101),
    (sbm.PhaseNet, "volpick", 101),
    (sbm.PhaseNetLight, "ethz", 185),
    (sbm.EQTransformer, "original_converted", 240),
    (sbm.EQTransformer, "volpick", 256),
]
LAYERS = {
    "stride, padding, dilation": lambda: [nn.Conv1d(2, 4, 3, stride=2, padding=2, dilation=3), nn.ReLU()],
    "same, even kernel": lambda: [nn.Conv1d(2, 3, 4, padding="same"), nn.Tanh()],
    "valid": lambda: [nn.Conv1d(2, 3, 4, padding="valid", bias=False), nn.Sigmoid()],
    "groups": lambda: [nn.Conv1d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv1d(6, 4, 3, groups=2), nn.Softmax(dim=1)],
    "transposed": lambda: [nn.ConvTranspose1d(2, 3, 7, stride=4, padding=2, output_padding=3, dilation=2), nn.ReLU()],
    "a linear end": lambda: [nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Conv1d(3, 2, 5, stride=2)],
    "two linear layers": lambda: [nn.Conv1d(2, 3, 3), nn.Conv1d(3, 2, 5), nn.ReLU()],
    "normalisation first": lambda: [nn.BatchNorm1d(2, affine=False), nn.ReLU(), nn.Conv1d(2, 2, 1), nn.Dropout(0.5)],
    "pooling": lambda: [nn.Conv1d(2, 3, 2), nn.MaxPool1d(3), nn.Identity(), nn.MaxPool1d(2, ceil_mode=True)],
    "upsampling": lambda: [nn.Conv1d(2, 2, 3), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv1d(2, 2, 5, padding=2)],
    "dense": lambda: [nn.Conv1d(2, 2, 5), nn.ReLU(), nn.Flatten(), nn.Linear(26, 4), nn.Tanh(), nn.Linear(4, 2)],
    "attention": lambda: [nn.Conv1d(2, 3, 3), nn.Sequential(SeqSelfAttention(3, 4)), LayerNormalization(3)],
    "local attention": lambda: [nn.Conv1d(2, 3, 3), SeqSelfAttention(3, 4, 4, eps=0.1), FeedForward(3, 0.1, 5)],
}


def outputs_of(model, windows):
    """What the network makes of windows, in float64."""
    model = copy.deepcopy(model).double()
    if isinstance(model, PickflowNet):
        model.prepare = lambda prepared: prepared
    for module in model.modules():
        if isinstance(module, nn.Sequential):
            # SeisBench's attention returns its weights as well.
            for layer in module:
                layer.register_forward_hook(lambda _, __, out: out[0] if isinstance(out, tuple) else out)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(windows))
    return (torch.stack(outputs, dim=1) if isinstance(outputs, tuple) else outputs).numpy()


def assert_equal_to(model, implicit):
    windows = windows_of(implicit)
    expected = outputs_of(model, windows)
    assert np.ptp(expected, axis=0).max() > 1e-3, "these windows make no difference"
    iterated, swept = implicit.infer(windows), implicit.sweep(windows)
    for result in (iterated, swept):
        assert np.abs(result.outputs.reshape(expected.shape) - expected).max() < TOLERANCE
    assert implicit.is_well_posed().condition == "triangular"
    assert iterated.n_passes <= implicit.depth + 1


@pytest.mark.parametrize("name", NETWORKS)
def test_the_implicit_model_is_the_network(name):
    make, n_samples = NETWORKS[name]
    model = network_of(make)
    assert_equal_to(model, from_network(model, n_samples))


@pytest.mark.parametrize(("model_class", "weights", "n_samples"), WEIGHTS)
def test_the_implicit_model_is_the_network_with_published_weights(model_class, weights, n_samples):
    folder = SHARED / "seisbench_cache" / "models" / "v3" / model_class.__name__.lower()
    if not folder.is_dir():
        pytest.skip(f"no pretrained weights in {folder}; set PICKFLOW_SHARED")
    arguments = json.loads(next(folder.glob(f"{weights}.json.*")).read_text())["model_args"]
    if weights == "volpick" and model_class is sbm.EQTransformer:
        arguments["in_samples"] = n_samples
    model = model_class(**arguments)
    model.load_state_dict(torch.load(next(folder.glob(f"{weights}.pt.*")), map_location="cpu", weights_only=True))
    if weights == "original_converted":
        model.in_samples = n_samples
    assert_equal_to(model.eval(), from_network(model, n_samples))


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_has_its_form(name):
    model = network_of(lambda: nn.Sequential(*LAYERS[name]()))
    assert_equal_to(model, from_network(model, 17))


def test_a_row_of_a_convolution_holds_its_weights_once():
    model = network_of(lambda: nn.Sequential(nn.Conv1d(3, 4, 5), nn.ReLU(), nn.Conv1d(4, 2, 3), nn.ReLU()))
    implicit = from_network(model, 20)
    rows = implicit.A[implicit.blocks[1].rows]
    for channel in range(2):
        for row in rows[channel * 14 : (channel + 1) * 14]:
            assert sorted(row.data) == sorted(model[2].weight[channel].double().flatten().tolist())


def test_without_feedback_the_iteration_is_exact_after_as_many_passes_as_layers():
    implicit = from_network(network_of(lambda: sbm.PhaseNet()), 101)
    windows = windows_of(implicit)
    iterated, swept = implicit.infer(windows, tolerance=0.0), implicit.sweep(windows)
    assert iterated.n_passes == implicit.depth + 1 == 20
    assert np.array_equal(iterated.states, swept.states)
    with pytest.raises(NotConvergedError, match="after 18 passes"):
        implicit.infer(windows, tolerance=0.0, max_passes=18)


REFUSED = {
    "2": ("GRU", lambda: [nn.Conv1d(2, 3, 3), nn.ReLU(), nn.GRU(15, 2)]),
    "0": ("Conv1d", lambda: [nn.Conv1d(2, 3, 3, padding_mode="reflect", padding=1)]),
    "1.0": ("MaxPool1d", lambda: [nn.ReLU(), nn.Sequential(nn.MaxPool1d(3, stride=1)), nn.Conv1d(2, 2, 1)]),
    "1": ("Linear", lambda: [nn.Conv1d(2, 3, 3), nn.Linear(15, 2)]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_without_a_form_is_named(name):
    kind, layers = REFUSED[name]
    with pytest.raises(UnsupportedLayerError, match=rf"layer {name} \({kind}\)"):
        from_network(nn.Sequential(*layers()).eval(), 17)


def test_lstms_of_other_forms_are_named():
    model = sbm.EQTransformer(in_samples=128).eval()
    model.pick_lstms[1] = nn.LSTM(16, 16, num_layers=2)
    with pytest.raises(UnsupportedLayerError, match="pick_lstms.1"):
        from_network(model, 128)
    model = original_eqtransformer("conservative").eval()
    model.pick_lstms[0].cell_f.gate_activation = torch.tanh
    with pytest.raises(UnsupportedLayerError, match=r"pick_lstms.0.*tanh"):
        from_network(model, 240)


def test_a_length_that_does_not_fit_is_said():
    with pytest.raises(ValueError, match="PhaseNet does not fit 115 samples"):
        from_network(sbm.PhaseNet().eval(), 115)
    with pytest.raises(ValueError, match="does not fit 200"):
        from_network(sbm.EQTransformer(in_samples=128).eval(), 200)
    with pytest.raises(ValueError, match="too few"):
        from_network(nn.Sequential(nn.Conv1d(2, 2, 9)).eval(), 5)
    with pytest.raises(ValueError, match="training mode"):
        from_network(sbm.PhaseNet().train(), 101)


def test_bad_windows_are_named():
    implicit = from_network(nn.Sequential(nn.Conv1d(2, 2, 3), nn.ReLU()).eval(), 9)
    windows = windows_of(implicit)
    windows[2, 1, 4] = np.nan
    with pytest.raises(ValueError, match="window 2"):
        implicit.infer(windows)
    with pytest.raises(ValueError, match=r"needed is \(n_windows, \*\(2, 9\)\)"):
        implicit.sweep(windows[:, :, 1:])


def test_the_energies_of_attention_have_weights_and_its_values_none():
    implicit = from_network(network_of(lambda: nn.Sequential(*LAYERS["attention"]())), 6)
    mixture = next(block for block in implicit.blocks if isinstance(block.activation, AttentionMixture))
    assert implicit.fixed_rows[mixture.rows].tolist() == 16 * [False] + 12 * [True]
