"""Students on disk: the same network after reading, in ONNX, and in 8-bit integers."""

import json
from types import SimpleNamespace

import numpy as np
import obspy
import onnx
import pytest
import torch
from onnx import numpy_helper

from pickflow.annotate import Picker, PickerOptions
from pickflow.annotate.backends import choose_backend, export_onnx, onnx_session
from pickflow.compress.channels import wiring_of
from pickflow.compress.correction import narrowed
from pickflow.compress.exporting import largest_difference, quantised, write_onnx
from pickflow.compress.writing import write_student
from pickflow.models.cards import read_card, read_state, write_model
from pickflow.models.layers import n_outputs
from pickflow.models.loading import load_model
from pickflow.run.settings.compress import CompressParams
from pickflow.run.students import read_student
from tests.compress_fixture import ARCHITECTURES, calibration, outputs, picker, random_selection

MODEL_ARGS = {
    "EQTransformer-conservative": {"original_compatible": "conservative"},
    "GRU": {"in_samples": 3000},
    "kernel_size_changed": {"in_samples": 3000, "recurrent_blocks": []},
}
PARAMS = CompressParams(
    penalty="group", n_windows=8, pick_share=0.5, arrival_weight=4.0, n_path=4,
    tune={"steps": 0, "batch_size": 2, "learning_rate": 1e-4}, int8=True, check_certificate=False, seed=0,
)  # fmt: skip


def student_of(name, seed=0):
    """A narrow network, its teacher and the teacher's card."""
    teacher = picker(name)
    wiring = wiring_of(teacher)
    card = {
        "model": name.partition("-")[0], "weights": "made", "model_args": MODEL_ARGS.get(name, {}),
        "default_args": {"P_threshold": 0.2}, "sha256": "0" * 64, "n_parameters": 1, "thresholds": {},
    }  # fmt: skip
    return narrowed(teacher, wiring, random_selection(wiring, np.random.default_rng(seed), least=2)), wiring, card


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_a_student_is_read_as_it_was_written(name, tmp_path):
    student, wiring, card = student_of(name)
    write_model(tmp_path, student.state_dict(), card | {"compression": {"method": "safe"}})
    again = load_model(tmp_path)
    windows = torch.randn(2, 3, student.in_samples)
    assert torch.equal(outputs(student, windows), outputs(again, windows))
    assert [n_outputs(again.get_submodule(channel_set.name)) for channel_set in wiring.sets] == [
        n_outputs(student.get_submodule(channel_set.name)) for channel_set in wiring.sets
    ]
    assert again.default_args["P_threshold"] == 0.2


def test_tensors_that_do_not_fit_the_card_are_refused(tmp_path):
    student, _, card = student_of("PickflowNet")
    state = student.state_dict()
    write_model(tmp_path, state, card)
    with pytest.raises(ValueError, match=r"the tensors do not fit PickflowNet as its card describes it: (?s:.*)stem"):
        load_model(tmp_path)  # the card does not say that it was compressed
    write_model(
        tmp_path, {k: v for k, v in state.items() if k != "out.bias"}, card | {"compression": {"method": "safe"}}
    )
    with pytest.raises(ValueError, match=r"the tensors do not fit PickflowNet (?s:.*)Missing key.*out.bias"):
        load_model(tmp_path)
    write_model(tmp_path, state, card | {"compression": {"method": "safe"}})
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    with pytest.raises(ValueError, match=r"model.safetensors: sha256 is not \w+, as its card says"):
        load_model(tmp_path)


@pytest.fixture(scope="module")
def student_folder(tmp_path_factory):
    """A student in 8-bit integers on disk."""
    folder = tmp_path_factory.mktemp("student")
    student, wiring, card = student_of("PhaseNet")
    windows = calibration(student, 8)
    teacher = SimpleNamespace(calibration=windows, wiring=wiring, not_expressed=("x.lstm",))
    request = read_student("safe-s50-int8")
    write_student(teacher, student, card, "made-safe-s50-int8", request, folder, PARAMS, {"totals": {}})
    return folder, student, wiring, windows.windows


def test_the_card_of_a_student_says_what_was_done(student_folder):
    folder, student, wiring, _ = student_folder
    card = read_card(folder)
    assert (card["weights"], card["parent"], card["default_args"]) == ("made-safe-s50-int8", "0" * 64, {})
    assert card["sha256"] != card["parent"]
    assert card["n_parameters"] == sum(tensor.numel() for tensor in read_state(folder).values())
    compression = card["compression"]
    assert (compression["method"], compression["target"], compression["not_expressed"]) == (
        "safe",
        {"macs": 0.5},
        ["x.lstm"],
    )
    assert compression["widths"] == {
        channel_set.name: n_outputs(student.get_submodule(channel_set.name)) for channel_set in wiring.sets
    }
    assert compression["teacher_widths"] == {channel_set.name: channel_set.n_channels for channel_set in wiring.sets}
    assert compression["parameters"]["tune"]["steps"] == 0
    assert not {"target", "methods", "teachers"} & set(compression["parameters"])  # what other students there are
    assert json.loads((folder / compression["certificate"]).read_text()) == {"totals": {}}
    assert "thresholds" not in card


def test_exports_differ_by_what_the_card_says(student_folder):
    folder, student, _, windows = student_folder
    exports = read_card(folder)["exports"]
    expected = outputs(student, windows).numpy()
    for file, entry in exports.items():
        outputs_of_export = onnx_session((folder / file).read_bytes()).run(None, {"windows": windows.numpy()})[0]
        assert np.abs(outputs_of_export - expected).max() == pytest.approx(entry["largest_difference"], abs=1e-6)
    assert exports["model.onnx"]["largest_difference"] < 1e-4
    assert 1e-4 < exports["model.int8.onnx"]["largest_difference"] < 0.5


def test_the_largest_difference_is_that_of_all_windows(student_folder):
    folder, student, _, windows = student_folder
    content = (folder / "model.int8.onnx").read_bytes()
    differences = np.array([largest_difference(student, content, window[None]) for window in windows])
    # The worst window stands alone in the second batch.
    order = [*[int(differences.argmin())] * 16, int(differences.argmax())]
    assert largest_difference(student, content, windows[order]) == pytest.approx(differences.max(), abs=1e-6)
    assert differences.max() > differences.min() + 1e-4


def test_integers_are_what_computes(student_folder):
    folder, _, _, _ = student_folder
    model = load_model(folder)
    assert choose_backend(model).name == "onnxruntime"
    cuts = [tuple(np.random.default_rng(part).normal(size=(3, model.in_samples)).astype(np.float32)) for part in (0, 1)]
    ready = model.annotate_batch_pre(torch.from_numpy(np.stack(cuts)), argdict={})
    session = onnx_session((folder / "model.int8.onnx").read_bytes())
    probabilities = choose_backend(model).predict(cuts)
    assert np.array_equal(probabilities, session.run(None, {"windows": ready.numpy()})[0])
    assert np.abs(probabilities - outputs(model, ready).numpy()).max() > 1e-4
    header = {"network": "XA", "station": "AAA", "sampling_rate": 100.0}
    samples = np.random.default_rng(3).normal(size=(3, 7000))
    stream = obspy.Stream(
        obspy.Trace(row, header | {"channel": f"HH{letter}"}) for row, letter in zip(samples, "ZNE", strict=True)
    )
    sure = PickerOptions(p_threshold=0.3, s_threshold=0.3)
    picks, _, _ = Picker(model, sure).pick(stream)
    plain, _, _ = Picker(picker_without_integers(folder), sure).pick(stream)
    assert picks
    assert [pick.probability for pick in picks] != [pick.probability for pick in plain]


def picker_without_integers(folder):
    """The same student in float32."""
    model = load_model(folder)
    del model.quantised_network
    return model


def test_the_convolutions_at_both_ends_stay_in_float32(student_folder):
    folder, student, _, _ = student_folder
    network = onnx.load(folder / "model.int8.onnx")
    node_of_output = {output: node for node in network.graph.node for output in node.output}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in network.graph.initializer}
    layers = [node for node in network.graph.node if node.op_type in ("Conv", "ConvTranspose")]
    in_integers = [
        node_of_output[n.input[1]].op_type == "DequantizeLinear" if n.input[1] in node_of_output else False
        for n in layers
    ]
    assert len(layers) == sum(isinstance(m, torch.nn.Conv1d | torch.nn.ConvTranspose1d) for m in student.modules())
    assert in_integers == [False, *[True] * (len(layers) - 2), False]
    weight = constants[layers[-1].input[1]]
    assert np.allclose(weight, student.out.weight.detach().numpy())


def test_quantisation_needs_no_more_than_a_window(student_folder):
    folder, student, _, windows = student_folder
    content = quantised((folder / "model.onnx").read_bytes(), windows[:1])
    assert len(content) > 0
    assert largest_difference(student, content, windows[:1]) < 0.5


@pytest.mark.parametrize("name", ["PhaseNetLight", "EQTransformer", "PickflowNet"])
def test_exports_compute_narrow_networks(name, tmp_path):
    student, _, _ = student_of(name)
    assert write_onnx(student, tmp_path, torch.randn(3, 3, student.in_samples)) < 1e-4
    assert write_onnx(student, tmp_path, None) is None


def test_recurrences_stay_in_float32_among_integers():
    student, _, _ = student_of("EQTransformer-conservative")
    windows = torch.randn(1, 3, student.in_samples)
    content = export_onnx(student)
    assert largest_difference(student, content, windows) < 1e-5
    small = quantised(content, windows)
    kinds = [node.op_type for node in onnx.load_from_string(small).graph.node]
    assert (kinds.count("LSTM"), "Clip" in kinds) == (5, False)
    assert 1e-6 < largest_difference(student, small, windows) < 0.5
