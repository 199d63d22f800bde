"""Recurrent layers in ONNX: one operator each, with the numbers of torch."""

from collections import Counter

import onnx
import pytest
import torch
from onnx import helper
from seisbench.models.base import ActivationLSTMCell, CustomLSTM, hard_sigmoid
from torch import nn

from pickflow.annotate import backends
from pickflow.annotate.backends import choose_backend, export_onnx, network_digest, onnx_session
from pickflow.annotate.operators import with_operators
from pickflow.models.layers import is_recurrent
from tests.compress_fixture import outputs
from tests.network_fixture import STEPS, network_of

LSTM_OF = {
    "hard_sigmoid": ["HardSigmoid", "Tanh", "Tanh"],
    "sigmoid": ["Sigmoid", "Tanh", "Tanh"],
}
GATES = {"hard_sigmoid": hard_sigmoid, "sigmoid": torch.sigmoid}


def seisbench_lstm(gate, bidirectional):
    """SeisBench's LSTM of 8 outputs."""
    n_hidden = 4 if bidirectional else 8
    return CustomLSTM(ActivationLSTMCell, 8, n_hidden, gate_activation=gate, bidirectional=bidirectional)


def picker_with(layer):
    """A picker with a recurrent layer, of random weights that all matter: gates reach both ends of a hard sigmoid."""
    model = network_of(STEPS["LSTM, linear layers"])
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.8)
    model.lstm = layer
    return model.eval()


def operators_of(content):
    """How many nodes there are of each kind, and the attributes of the recurrent ones."""
    nodes = onnx.load_from_string(content).graph.node
    (recurrent,) = [node for node in nodes if node.op_type in ("LSTM", "GRU")]
    attributes = {one.name: helper.get_attribute_value(one) for one in recurrent.attribute}
    return Counter(node.op_type for node in nodes), attributes


def assert_as_torch(model, content):
    session = onnx_session(content)
    for n_windows in (1, 2, 17):
        windows = torch.randn(n_windows, 3, model.in_samples)
        exported = torch.from_numpy(session.run(None, {"windows": windows.numpy()})[0])
        torch.testing.assert_close(exported, outputs(model, windows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("gate", list(GATES))
def test_a_loop_over_time_is_one_operator(gate, bidirectional):
    model = picker_with(seisbench_lstm(GATES[gate], bidirectional))
    content = export_onnx(model)
    counts, attributes = operators_of(content)
    assert counts["LSTM"] == 1
    assert counts["Tanh"] == counts["Clip"] == 0
    assert [name.decode() for name in attributes["activations"]] == LSTM_OF[gate] * (1 + bidirectional)
    assert_as_torch(model, content)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("make", [nn.LSTM, nn.GRU])
def test_recurrent_layers_of_torch_are_one_operator_as_they_are(make, bidirectional):
    model = picker_with(make(8, 4 if bidirectional else 8, bidirectional=bidirectional))
    content = export_onnx(model)
    _, attributes = operators_of(content)
    assert attributes.get("linear_before_reset", 0) == (make is nn.GRU)
    assert_as_torch(model, content)


def test_a_loop_of_other_gates_stays_one():
    model = picker_with(seisbench_lstm(torch.tanh, False))
    result, windows = with_operators(model), torch.randn(2, 3, model.in_samples)
    assert isinstance(result.lstm, CustomLSTM)
    assert torch.equal(outputs(result, windows), outputs(model, windows))


def test_the_exported_model_is_left_as_it_is():
    model = picker_with(seisbench_lstm(hard_sigmoid, True))
    layer, windows = model.lstm, torch.randn(2, 3, model.in_samples)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    expected = outputs(model, windows)
    export_onnx(model)
    assert model.lstm is layer
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(outputs(model, windows), expected)
    assert not any(is_recurrent(each) for each in with_operators(model).modules())


def test_networks_that_were_cached_by_another_export_are_not_taken(tmp_path, monkeypatch):
    model = picker_with(seisbench_lstm(hard_sigmoid, True))
    monkeypatch.setattr(backends, "EXPORT_VERSION", backends.EXPORT_VERSION - 1)
    (tmp_path / f"model.{network_digest(model)[:16]}.onnx").write_bytes(export_onnx(network_of(STEPS["depthwise"])))
    monkeypatch.undo()
    assert choose_backend(model, "onnxruntime", cache=tmp_path).name == "onnxruntime"
    assert len(list(tmp_path.glob("*.onnx"))) == 2
