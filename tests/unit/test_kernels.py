"""The compiled kernels give the values of the models they were made from."""

import json
import os
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import seisbench.models as sbm
import torch

from pickflow.compress.channels import wiring_of
from pickflow.compress.correction import narrowed
from pickflow.kernels import Normalisation, UnsupportedNetwork, is_available, library
from pickflow.kernels.compilation import compile_network
from pickflow.kernels.fast import quantised
from pickflow.kernels.library import QUANTUM_LIMIT, lane_choices
from pickflow.models.loading import build
from pickflow.models.network import PickflowNet
from pickflow.models.registry import VARIANTS
from tests.network_fixture import randomised

SHARED = Path(os.environ.get("PICKFLOW_SHARED", Path(__file__).parents[3] / "shared"))


def narrow(model):
    """A compressed picker, whose layers have any widths and whose skips are not as wide as what they are joined to."""
    rng, wiring = np.random.default_rng(2), wiring_of(model)
    selection = {
        channel_set.name: np.arange(rng.integers(1, channel_set.n_channels + 1)) for channel_set in wiring.sets
    }
    return narrowed(model, wiring, selection)


TOLERANCE = {"EQTransformer": 2e-5, "OBSTransformer": 2e-5, "EQTransformerVariant": 5e-5, "PickflowNet": 5e-5}
GAINS = {"EQTransformerVariant": 2.0}
MODELS = {
    "PhaseNet": lambda: sbm.PhaseNet(),
    "PhaseNet, 4 components, 5 classes": lambda: sbm.PhaseNet(in_channels=4, classes=5, phases="NPSDX"),
    "PhaseNet, filter factor": lambda: sbm.PhaseNet(filter_factor=2),
    "VariableLengthPhaseNet": lambda: sbm.VariableLengthPhaseNet(in_samples=601),
    "VariableLengthPhaseNet, sigmoid": lambda: sbm.VariableLengthPhaseNet(
        in_samples=1000, output_activation="sigmoid", norm_axis=(-1, -2)
    ),
    "PhaseNetLight": lambda: sbm.PhaseNetLight(),
    "EQTransformer": lambda: sbm.EQTransformer(),
    "EQTransformer, odd lengths": lambda: sbm.EQTransformer(in_samples=3001, lstm_blocks=1, classes=1, phases="P"),
    "EQTransformer, conservative": lambda: sbm.EQTransformer(original_compatible="conservative"),
    "EQTransformer, non-conservative": lambda: sbm.EQTransformer(original_compatible="non-conservative"),
    "OBSTransformer": lambda: sbm.OBSTransformer(in_channels=4),
    "PickflowNet": lambda: PickflowNet(),
    "PhaseNet, narrow": lambda: narrow(sbm.PhaseNet()),
    "PhaseNetLight, narrow": lambda: narrow(sbm.PhaseNetLight()),
    "EQTransformer, narrow": lambda: narrow(sbm.EQTransformer()),
    "EQTransformer, conservative, narrow": lambda: narrow(sbm.EQTransformer(original_compatible="conservative")),
    "PickflowNet, narrow": lambda: narrow(PickflowNet()),
    **{name: partial(build, name, in_samples=1501) for name in VARIANTS},
    "GRU, 5 states": lambda: build("GRU", n_units=5, in_samples=1501),
    "GRU, 128 states": lambda: build("GRU", n_units=128, in_samples=1501, recurrent_blocks=("gru",)),
    "GRU, LSTM and no attention": lambda: build(
        "GRU",
        in_samples=3000,
        attention_blocks=0,
        recurrent_blocks=("gru", "bilstm"),
        branch_recurrences=("bigru", "lstm"),
    ),
    "even kernels, five layers": lambda: build(
        "EQT", in_samples=1501, filters=(4, 8, 8, 16, 16), kernel_sizes=(10, 8, 6, 4, 2), residual_kernels=(2, 4, 5)
    ),
    "GRU, narrow": lambda: narrow(build("GRU")),
    "Salvation, narrow": lambda: narrow(build("Salvation")),
}
WEIGHTS = [
    ("PhaseNet", "original_converted"),
    ("PhaseNet", "stead"),
    ("PhaseNet", "volpick"),
    ("PhaseNetLight", "ethz"),
    ("EQTransformer", "original_converted"),
    ("EQTransformer", "volpick"),
]

pytestmark = pytest.mark.skipif(not is_available(), reason="the kernels are not built: no C compiler at installation")


def random_model(name):
    """A model whose every parameter is random and matters: torch's own start values let signals fade."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MODELS[name]()
    return randomised(model, gain=GAINS.get(type(model).__name__, 1.6))


def random_windows(model, n_windows, seed=1):
    shape = (n_windows, getattr(model, "in_channels", 3), model.in_samples)
    windows = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    windows[:, :, model.in_samples // 2 :] *= 5.0
    return windows / windows.std(axis=-1, keepdims=True)


def outputs_of(model, windows):
    with torch.inference_mode():
        probabilities = model(torch.from_numpy(windows))
    return (torch.stack(probabilities, dim=1) if isinstance(probabilities, tuple) else probabilities).numpy()


@pytest.mark.parametrize("lanes", lane_choices())
@pytest.mark.parametrize("name", MODELS)
def test_every_sample_has_the_models_value(name, lanes):
    model = random_model(name)
    network = compile_network(model, lanes=lanes)
    windows = random_windows(model, lanes + 3)
    outputs = network.predict(windows)
    assert outputs.dtype == np.float32
    assert np.abs(outputs - outputs_of(model, windows)).max() < TOLERANCE.get(type(model).__name__, 1e-5)


@pytest.mark.parametrize(("model_name", "weights"), WEIGHTS)
def test_pretrained_weights_give_the_models_values(model_name, weights):
    folder = SHARED / "seisbench_cache" / "models" / "v3" / model_name.lower()
    if not folder.is_dir():
        pytest.skip(f"no pretrained weights in {folder}; set PICKFLOW_SHARED")
    model = read_pretrained(getattr(sbm, model_name), folder, weights)
    windows = random_windows(model, 10)
    expected = outputs_of(model, windows)
    assert np.abs(compile_network(model).predict(windows) - expected).max() < TOLERANCE.get(model_name, 1e-5)
    assert np.abs(compile_network(model, "fast").predict(windows) - expected).max() < 0.05


def read_pretrained(model_class, folder, weights):
    """As `from_pretrained`, which writes into the cache that it reads."""
    metadata = json.loads(next(folder.glob(f"{weights}.json.*")).read_text())
    model = model_class(**metadata.get("model_args", {}))
    model.load_state_dict(torch.load(next(folder.glob(f"{weights}.pt.*")), map_location="cpu", weights_only=True))
    return model.eval()


@pytest.mark.parametrize("lanes", lane_choices())
@pytest.mark.parametrize("name", MODELS)
def test_the_fast_mode_stays_close(name, lanes):
    model = random_model(name)
    windows = random_windows(model, lanes + 3)
    outputs = compile_network(model, "fast", lanes=lanes).predict(windows)
    difference = np.abs(outputs - outputs_of(model, windows))
    assert 0 < difference.max() < 0.02
    assert difference.mean() < 1e-3


@pytest.mark.parametrize("positive", [False, True])
def test_no_sum_of_integers_can_overflow(positive):
    weights = np.random.default_rng(0).standard_normal((6, 128, 7)) * np.logspace(-6, 6, 6)[:, None, None]
    weights[3] = np.abs(weights[3])
    weights[4] = 0.0
    integers, scales = quantised(weights, positive)
    assert np.abs(integers).max() < 2**15
    one_sign = np.maximum(np.maximum(integers, 0).sum(axis=(1, 2)), np.maximum(-integers, 0).sum(axis=(1, 2)))
    worst = one_sign if positive else np.abs(integers).sum(axis=(1, 2))
    assert worst.max() * QUANTUM_LIMIT < 2**31
    rounding = np.abs(integers * scales[:, None, None] - weights).max(axis=(1, 2))
    assert (rounding <= scales / 2 * (1 + 1e-9)).all()


@pytest.mark.parametrize("name", ["PhaseNet", "EQTransformer"])
def test_a_window_does_not_depend_on_its_neighbours(name):
    network = compile_network(random_model(name))
    windows = random_windows(random_model(name), 2 * network.lanes + 1)
    alone = np.concatenate([network.predict(windows[[index]]) for index in range(len(windows))])
    assert np.array_equal(network.predict(windows), alone)


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("name", ["PhaseNet", "EQTransformer", "PickflowNet"])
def test_nan_stays_in_its_window_and_leaves_nothing_behind(name, mode):
    network = compile_network(random_model(name), mode)
    windows = random_windows(random_model(name), network.lanes)
    clean = network.predict(windows)
    poisoned = windows.copy()
    poisoned[1] = np.nan
    outputs = network.predict(poisoned)
    sound_windows = [index for index in range(len(windows)) if index != 1]
    assert np.array_equal(outputs[sound_windows], clean[sound_windows])
    assert np.isnan(outputs[1]).all()
    assert np.array_equal(network.predict(windows), clean)


def test_the_samples_of_no_window_are_no_samples():
    network = compile_network(random_model("PhaseNet"))
    assert network.predict(np.zeros((0, 3, 3001), dtype=np.float32)).shape == (0, 3, 3001)


def test_large_arguments_of_the_attention_take_the_slow_path():
    model = random_model("EQTransformer")
    with torch.no_grad():
        model.transformer_d.attention.Wx *= 3000.0
        model.transformer_d.attention.bh += 30.0
    windows = random_windows(model, 3)
    assert np.abs(compile_network(model).predict(windows) - outputs_of(model, windows)).max() < 2e-5


def test_unsupported_models_say_why():
    with pytest.raises(UnsupportedNetwork, match="class GPD"):
        compile_network(sbm.GPD().eval())
    with pytest.raises(UnsupportedNetwork, match="mode sloppy"):
        compile_network(sbm.PhaseNet().eval(), "sloppy")
    with pytest.raises(UnsupportedNetwork, match="training mode"):
        compile_network(sbm.PhaseNet().train())
    changed = sbm.PhaseNet().eval()
    changed.inc = torch.nn.Conv1d(3, 8, 7, padding=3, padding_mode="reflect")
    with pytest.raises(UnsupportedNetwork, match="padded with zeros"):
        compile_network(changed)


def test_windows_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="needs"):
        compile_network(random_model("PhaseNet")).predict(np.zeros((1, 3, 3000), dtype=np.float32))


RECORD_MODELS = {
    "deviation": lambda: sbm.PhaseNet(norm="std"),
    "peak": lambda: sbm.PhaseNet(norm="peak"),
    "amplitude and detrend": lambda: sbm.PhaseNet(norm_amp_per_comp=True, norm_detrend=True),
    "common peak": lambda: sbm.VariableLengthPhaseNet(norm="peak", norm_axis=(-1, -2)),
    "common deviation": lambda: sbm.VariableLengthPhaseNet(norm="std", norm_axis=(-1, -2)),
    "transformer": lambda: sbm.EQTransformer(in_samples=1500, lstm_blocks=1),
    "ours": lambda: PickflowNet(),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("name", RECORD_MODELS)
def test_a_record_is_normalised_as_the_model_does(name, dtype):
    torch.manual_seed(0)
    model = RECORD_MODELS[name]().eval()
    rng = np.random.default_rng(3)
    samples = [(rng.standard_normal(8000) * 300 + 1000 * part).astype(dtype) for part in (1, -2, 3)]
    starts = np.array([0, 17, 500, 900, 2000, 8000 - model.in_samples, 1, 2, 3, 4])
    windows = np.stack([[x[start : start + model.in_samples] for x in samples] for start in starts]).astype(np.float32)
    with torch.inference_mode():
        ready = model.annotate_batch_pre(torch.from_numpy(windows), argdict={})
    network = compile_network(model)
    expected = network.predict(np.ascontiguousarray(ready.numpy()))
    assert np.abs(network.predict_cuts(cut(samples, starts, model.in_samples)) - expected).max() < 2e-5


def cut(samples, starts, in_samples=3001):
    return [[None if x is None else x[start : start + in_samples] for x in samples] for start in starts]


def test_a_missing_component_is_zeros_and_the_unit_does_not_matter():
    network = compile_network(random_model("PhaseNet"))
    samples = np.random.default_rng(4).standard_normal(4000)
    zeros = np.zeros(4000)
    starts = np.array([0, 999])
    expected = network.predict_cuts(cut([samples, zeros, samples], starts))
    assert np.array_equal(network.predict_cuts(cut([samples, None, samples], starts)), expected)
    tiny = samples * 2.0**-60
    assert np.array_equal(network.predict_cuts(cut([tiny, None, tiny], starts)), expected)


def test_records_that_do_not_fit_are_refused():
    network = compile_network(random_model("PhaseNet"))
    record = [np.zeros(4000, dtype=np.float32)] * 3
    with pytest.raises(ValueError, match="4000.* samples; the model needs 3 and 3001"):
        network.predict_cuts([record])
    with pytest.raises(ValueError, match="components"):
        network.predict_cuts(cut(record[:2], [0]))


def test_a_normalisation_can_be_chosen():
    network = compile_network(random_model("PhaseNet"))
    samples = [np.random.default_rng(part).standard_normal(3001) for part in range(3)]
    usual = network.predict_cuts(cut(samples, [0]))
    peak = network.predict_cuts(cut(samples, [0]), Normalisation(scale="peak"))
    assert not np.allclose(usual, peak)


@pytest.mark.skipif(not is_available(), reason="the kernels are not built")
def test_the_library_knows_the_same_layouts_and_numbers():
    assert library.disagreements(library.load()) == []


def test_a_library_of_other_sources_is_not_used(monkeypatch, caplog):
    monkeypatch.setattr(library, "KINDS", tuple(reversed(library.KINDS)))
    library.load.cache_clear()
    try:
        assert library.load() is None
    finally:
        library.load.cache_clear()
    if any(Path(library.__file__).parent.glob("_network.so")):
        assert "was built from other sources (gru)" in caplog.text


@pytest.mark.skipif(not is_available(), reason="the kernels are not built")
def test_windows_of_more_components_than_there_is_room_for_are_refused():
    with pytest.raises(UnsupportedNetwork, match="1 to 16 components"):
        compile_network(sbm.PhaseNet(in_channels=17, component_order="ZNE12345678901234").eval())
