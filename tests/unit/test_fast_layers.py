"""Faster forms of layers give what the layers give, forwards and backwards."""

import copy

import pytest
import seisbench.models.eqtransformer
import torch
from seisbench.models.eqtransformer import SeqSelfAttention
from torch import nn

from pickflow.distillation import logits_of
from pickflow.models.loading import untrained
from pickflow.optimisation.fast_layers import speed_up


def answers(model, x):
    """Logits, and the gradient of a sum in which every one of them counts differently."""
    model.zero_grad()
    logits = logits_of(model, x)
    (logits * torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).reshape(logits.shape).sin()).sum().backward()
    return {"logits": logits.detach(), **{name: parameter.grad.clone() for name, parameter in model.named_parameters()}}


def pair(name, epsilon, **arguments):
    """A picker without dropout in double precision, plain and fast, with attention of any sharpness."""
    model = untrained(name, 0, **arguments).double().train()
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
        if isinstance(module, SeqSelfAttention):
            nn.init.normal_(module.Wa, generator=torch.Generator().manual_seed(1))
            module.eps = module.eps if epsilon else 0.0
    fast = copy.deepcopy(model)
    assert speed_up(fast) > 0
    return model, fast


@pytest.mark.parametrize(
    ("name", "n_samples"),
    [
        ("EQT", 6000),
        ("EQT", 3008),  # lengths that are odd elsewhere
        ("EQTransformer", 6000),
        ("kernel_size_changed", 6000),  # even kernels
        ("nb_filters_changed_trainer", 2000),
    ],
)
def test_logits_and_gradients_are_those_of_the_layers(name, n_samples):
    model, fast = pair(name, epsilon=False, in_samples=n_samples)
    x = torch.randn(2, 3, n_samples, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected, answers_of_fast = answers(model, x), answers(fast, x)
    largest = max(values_of_part.abs().max() for values_of_part in expected.values())
    for part, values in expected.items():
        torch.testing.assert_close(answers_of_fast[part], values, rtol=1e-9, atol=float(1e-12 * largest), msg=part)


def test_with_the_epsilon_of_the_attention_logits_differ_by_less_than_it():
    model, fast = pair("EQT", epsilon=True)
    x = torch.randn(2, 3, 6000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        difference = (logits_of(model, x) - logits_of(fast, x)).abs().max()
    assert 0 < difference < 1e-5


def test_every_layer_with_a_faster_form_has_it():
    model = untrained("EQT", 0)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert speed_up(model) == 1 + 3 + 3 + 2  # encoder, decoders, last convolutions, local attentions
    assert "forward" in vars(model.decoder_d)
    assert list(state) == list(model.state_dict())


class Doubled(nn.Conv1d):
    """A convolution that does more than its parent."""

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("layer", "is_fast"),
    [
        (nn.Conv1d(3, 1, 5, padding=2), True),
        (nn.Conv1d(3, 1, 5, padding="same"), True),
        (nn.Conv1d(3, 1, 1), True),
        (nn.Conv1d(3, 1, 5), False),
        (nn.Conv1d(3, 1, 5, padding="valid"), False),
        (nn.Conv1d(3, 1, 5, padding=(1,)), False),
        (nn.Conv1d(3, 1, 4, padding="same"), False),
        (nn.Conv1d(3, 1, 5, padding=2, padding_mode="reflect"), False),
        (nn.Conv1d(3, 1, 5, padding=4, dilation=2), False),
        (nn.Conv1d(3, 1, 5, padding=2, stride=2), False),
        (nn.Conv1d(3, 1, 5, padding=2, bias=False), False),
        (Doubled(3, 1, 5, padding=2), False),
    ],
)
def test_only_a_convolution_that_keeps_the_length_with_zeros_is_replaced(layer, is_fast):
    x = torch.randn(2, 3, 64, generator=torch.Generator().manual_seed(0))
    before = layer(x)
    assert speed_up(layer) == is_fast
    torch.testing.assert_close(layer(x), before, rtol=1e-4, atol=1e-5)


class Decoder(nn.Module):
    """Has the name and the parts of EQTransformer's, and another rectifier."""

    def __init__(self):
        super().__init__()
        self.convs, self.lengths = nn.ModuleList([nn.Conv1d(3, 4, 3, padding=1)]), [128]

    def forward(self, x):
        return torch.tanh(self.convs[0](nn.functional.interpolate(x, scale_factor=2.0)))


@pytest.mark.parametrize("module", [Decoder(), seisbench.models.eqtransformer.Encoder(3, [4], [4], 64)])
def test_an_encoder_or_decoder_that_computes_otherwise_is_left_alone(module):
    """One of another network, and SeisBench's with an even kernel, which makes a sample more."""
    assert speed_up(module) == 0


@pytest.mark.parametrize("name", ["PhaseNet", "PickflowNet", "LEQNet"])
def test_other_networks_stay_as_they_are(name):
    model = untrained(name, 0).eval()
    x = torch.randn(1, 3, model.in_samples, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = logits_of(model, x)
        speed_up(model)
        torch.testing.assert_close(logits_of(model, x), before, rtol=1e-4, atol=1e-5)


def test_a_compatible_decoder_which_crops_otherwise_is_left_alone():
    model = untrained("EQTransformer", 0, original_compatible="non-conservative")
    speed_up(model)
    assert "forward" not in vars(model.decoder_d)
