"""Networks of steps in any order, such as nobody has built yet, and numbers that matter for any network."""

import seisbench.models as sbm
import torch
from torch import nn
from torch.nn import functional

N_SAMPLES = 120


def randomised(model, gain=1.0):
    """A model, in evaluation mode, whose every parameter matters: with torch's first values signals fade."""
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
            module.weight.data *= gain
        elif type(module).__name__ == "SeqSelfAttention":
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.4)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.3, 1.5)
    return model.eval()


class Any(sbm.VariableLengthPhaseNet):
    """Layers that a test puts together; the last one makes labels of 8 channels."""

    def __init__(self, steps, **options):
        super().__init__(in_samples=N_SAMPLES, empty=True, **options)
        self.steps = steps
        self.first, self.norm = nn.Conv1d(3, 8, 7, padding=3), nn.BatchNorm1d(8)
        self.narrow, self.wide = nn.Conv1d(8, 8, 5, padding=2), nn.Conv1d(16, 8, 3, padding=1)
        self.short, self.wider = nn.Conv1d(8, 8, 3, padding=1), nn.Conv1d(16, 8, 3, padding=1)
        self.flat_too = nn.Linear(8, 8)
        self.depthwise_too = nn.Conv1d(8, 8, 3, padding=1, groups=8)
        self.depthwise = nn.Conv1d(8, 8, 5, padding=4, dilation=2, groups=8, bias=False)
        self.down, self.up = nn.Conv1d(8, 8, 4, stride=2, padding=1), nn.ConvTranspose1d(8, 8, 5, stride=2, padding=1)
        self.flat, self.lstm = nn.Linear(8, 8), nn.LSTM(8, 4, bidirectional=True)
        self.out = nn.Conv1d(8, 3, 1)

    def _forward_single(self, x):
        return self.out(self.steps(self, torch.relu(self.first(x))))


def recurrent(net, x):
    return net.lstm(x.permute(2, 0, 1))[0].permute(1, 2, 0)


def dense(layer, x):
    return layer(x.permute(0, 2, 1)).permute(0, 2, 1)


def upsampled(net, x):
    return functional.interpolate(net.down(x), scale_factor=2)


STEPS = {
    "a sum of what no layer can add": lambda net, x: torch.relu(x + functional.pad(x, (2, 0))[..., :N_SAMPLES]),
    "a normalisation that no rectifier follows": lambda net, x: net.narrow(net.norm(x)) + x,
    "a normalisation behind a sum": lambda net, x: torch.relu(net.norm(x + net.narrow(x))),
    "a sum that is read twice": lambda net, x: net.short(y := x + net.narrow(x)) + y,
    "twice the same": lambda net, x: (y := net.narrow(x)) + y,
    "joined twice": lambda net, x: net.wide(
        torch.cat([y := net.narrow(x), net.wider(torch.cat([x, y], dim=1))], dim=1)
    ),
    "joined to itself": lambda net, x: net.wide(torch.cat([x, x], dim=1)),
    "joined at another length": lambda net, x: functional.pad(
        net.wide(torch.cat([net.narrow(x)[..., 2:], net.norm(x)[..., 1:-1]], dim=1)), (1, 1)
    ),
    "padding that no layer does": lambda net, x: functional.pad(net.narrow(x), (3, 1))[..., 2:-2],
    "padding twice": lambda net, x: net.narrow(functional.pad(functional.pad(x, (1, 2)), (2, 0)))[..., 4:-1],
    "cropping before a layer": lambda net, x: functional.pad(net.narrow(x[..., 5:-3]), (4, 4)),
    "halved, cropped, repeated": lambda net, x: functional.pad(
        functional.interpolate(net.down(x)[..., 1:], scale_factor=2.0), (1, 1)
    ),
    "three times as many": lambda net, x: functional.interpolate(net.narrow(x)[..., :40], scale_factor=3),
    "repeated, normalised, added": lambda net, x: x + torch.relu(net.norm(net.narrow(upsampled(net, x)))),
    "repeated and cut": lambda net, x: functional.pad(net.narrow(upsampled(net, x)[..., 1:-2]), (1, 2)),
    "transposed, cropped, added": lambda net, x: torch.relu(net.norm(net.up(net.down(x))))[..., 1:] + x,
    "depthwise": lambda net, x: x + net.depthwise(torch.relu(net.depthwise_too(x))),
    "LSTM, linear layers": lambda net, x: x + dense(net.flat, torch.relu(dense(net.flat_too, recurrent(net, x)))),
    "an LSTM that is joined": lambda net, x: net.wide(torch.cat([recurrent(net, x), x], dim=1)),
    "a pool of three": lambda net, x: functional.interpolate(functional.max_pool1d(net.norm(x), 3), scale_factor=3),
    "a layer that is applied twice": lambda net, x: net.narrow(torch.relu(net.narrow(x))),
}


def network_of(steps):
    torch.manual_seed(0)
    model = Any(steps)
    torch.nn.init.uniform_(model.norm.running_var, 0.3, 1.5)
    torch.nn.init.normal_(model.norm.running_mean, std=0.3)
    return model.eval()
