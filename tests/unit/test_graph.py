"""A recorded network: what it says is what the model does."""

import pytest
import torch
from torch import nn

from pickflow.models.graph import trace


class Small(nn.Module):
    """A network of the steps that a test wants, for windows of 3 x 16 samples."""

    in_channels, in_samples = 3, 16

    def __init__(self, steps):
        super().__init__()
        self.conv, self.norm, self.turned = nn.Conv1d(3, 4, 3, padding=1), nn.BatchNorm1d(4), nn.Linear(4, 4)
        self.lstm, self.dropout, self.steps = nn.LSTM(4, 2), nn.Dropout(0.5), steps

    def forward(self, x):
        return self.steps(self, x)


def kinds(steps):
    return [node.kind for node in trace(Small(steps).eval()).nodes]


def test_layers_and_functions_are_steps_and_turned_axes_are_none():
    def steps(net, x):
        x = torch.relu(net.norm(net.conv(nn.functional.pad(x, (2, 1)))))
        x = net.dropout(net.turned(x.permute(0, 2, 1)).transpose(1, 2))
        return torch.cat([x[:, :, 1:-2], net.lstm(x.permute(2, 0, 1))[0].permute(1, 2, 0)[..., :16]], dim=1)

    graph = trace(Small(steps).eval())
    expected = "input pad Conv1d BatchNorm1d relu Linear crop LSTM crop cat"
    assert [node.kind for node in graph.nodes] == expected.split()
    pad, cropped, joined = graph.nodes[1], graph.nodes[6], graph.outputs[0]
    assert pad.settings == {"left": 2, "right": 1, "value": 0.0}
    assert (cropped.settings, cropped.n_channels, cropped.n_samples) == ({"left": 1}, 4, 16)
    assert [node.kind for node in joined.inputs] == ["crop", "crop"]
    assert (joined.n_channels, joined.n_samples) == (6, 16)
    assert [reader.kind for reader in graph.nodes[5].readers] == ["crop", "LSTM"]


def in_place(net, x):
    y = net.conv(x)
    y[:, 0] = 0.0
    return net.turned(y.permute(0, 2, 1)).permute(0, 2, 1)


@pytest.mark.parametrize(
    "steps",
    [
        in_place,
        lambda net, x: net.conv(x) + 1.0,
        lambda net, x: net.conv(x) + net.conv(x).mean(dim=-1, keepdim=True),
        lambda net, x: torch.cat(net.conv(x).chunk(2, dim=1), dim=1),
        lambda net, x: torch.cat([net.conv(x), net.conv(x)], dim=2),
        lambda net, x: net.conv(x)[:, 1:],
        lambda net, x: net.conv(x).mT,
        lambda net, x: torch.sub(input=net.conv(x), other=net.conv(x)),
        lambda net, x: net.conv(x)[:, :, ::2],
        lambda net, x: net.conv(nn.functional.pad(x, (1, 1), mode="reflect")),
        lambda net, x: torch.relu_(net.conv(x)).mul_(2.0),
        lambda net, x: torch.softmax(net.conv(x), dim=2),
        lambda net, x: nn.functional.interpolate(net.conv(x), scale_factor=2, mode="linear"),
        lambda net, x: nn.functional.max_pool1d(net.conv(x), 3, stride=2),
        lambda net, x: net.conv(x).permute(0, 2, 1)[:, :, 1:],
    ],
)
def test_what_is_no_plain_step_has_a_kind_of_its_own(steps):
    kinds = {"input", "Conv1d", "Linear", "relu", "add", "cat", "pad", "crop", "softmax", "interpolate", "max_pool1d"}
    strange = [node for node in trace(Small(steps).eval()).nodes if node.kind not in kinds]
    assert strange
    assert all(node.inputs for node in strange)


def test_a_rectifier_in_place_is_a_step():
    assert kinds(lambda net, x: net.norm(nn.functional.relu(net.conv(x), inplace=True))) == [
        "input",
        "Conv1d",
        "relu",
        "BatchNorm1d",
    ]


def test_a_layer_that_is_applied_twice_comes_twice():
    graph = trace(Small(lambda net, x: net.norm(torch.relu(net.norm(net.conv(x))))).eval())
    assert [node.name for node in graph.layers()] == ["conv", "norm", "norm"]


def test_recording_leaves_a_model_as_it_is():
    model = Small(lambda net, x: net.dropout(net.norm(net.conv(x)))).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(0)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    trace(model)
    assert torch.equal(torch.rand(1), drawn)
    assert model.training
    assert model.norm.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
