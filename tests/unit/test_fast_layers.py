"""Faster forms of layers give what the layers give, forwards and backwards."""

import copy

import pytest
import torch
from seisbench.models.eqtransformer import SeqSelfAttention
from torch import nn

from pickflow.distillation import logits_of
from pickflow.models.loading import untrained
from pickflow.optimisation.fast_layers import plain, speed_up


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


def test_every_layer_with_a_faster_form_has_it_and_gives_it_back():
    model = untrained("EQT", 0)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert speed_up(model) == 1 + 3 + 3 + 2  # encoder, decoders, last convolutions, local attentions
    assert "forward" in vars(model.decoder_d)
    assert list(state) == list(model.state_dict())
    plain(model)
    assert not any("forward" in vars(module) for module in model.modules())


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
