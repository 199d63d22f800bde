"""
Layers of EQTransformer and its relatives in forms that are faster to train on a CPU.

Outputs and gradients are those of the layers themselves, but for the order of sums. Samples lie with their channels
side by side ("channels last"), as oneDNN wants them. A decoder does not repeat samples: a convolution
of repeated samples is, for the even and the odd results each, a convolution of the samples themselves with fewer
weights (polyphase decomposition), and both are made at once, as twice as many channels. In the same way a convolution
with a single result makes eight neighbours at once. Attention to a few neighbouring steps is computed for these only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pickflow.models.layers import conv_padding, is_plain

# Of encoders, decoders and attentions with one name only these compute what is here.
_MODULES = ("seisbench.models.eqtransformer", "pickflow.models.eqtransformer")


def speed_up(model: nn.Module) -> int:
    """
    Let the layers of a network that are known compute in their faster forms.

    Parameters
    ----------
    model : Module
        Changed in place; parameters and state dict stay the same.

    Returns
    -------
    int
        How many layers have a faster form.
    """
    n_layers = 0
    for module in model.modules():
        if forward := _fast_form(module):
            module.forward = partial(forward, module)  # type: ignore[method-assign]
            n_layers += 1
    return n_layers


def _fast_form(module: nn.Module) -> Callable[..., Any] | None:
    kind = type(module).__name__.strip("_") if type(module).__module__ in _MODULES else ""
    convolutions = getattr(module, "convs", None)
    if convolutions is not None and all(map(_is_replaceable, convolutions)):
        if kind == "Encoder":
            return _encode
        if kind == "Decoder" and not getattr(module, "original_compatible", False):
            return _decode
    if kind == "SeqSelfAttention" and module.attention_width is not None:
        return _attend
    if isinstance(module, nn.Conv1d) and module.out_channels == 1 and _is_replaceable(module):
        return _convolve_to_one if module.kernel_size[0] % 2 else None
    return None


def _is_replaceable(layer: nn.Module) -> bool:
    """Whether a layer is torch's plain convolution, with a bias, without groups, and keeps the number of samples."""
    if not isinstance(layer, nn.Conv1d) or type(layer).forward is not nn.Conv1d.forward:
        return False
    (size,) = layer.kernel_size
    # Of an even kernel, the encoder or decoder itself puts the zeros.
    reach = size // 2 if size % 2 else 0
    return is_plain(layer) and layer.groups == 1 and layer.bias is not None and conv_padding(layer) == (reach, reach)


def _rows(x: Tensor) -> Tensor:
    """Shape (n, n_channels, n_samples) as (n, n_channels, 1, n_samples), channels side by side."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def _convolve(x: Tensor, convolution: Any) -> Tensor:
    """As many samples as before, of rows; of an even kernel the odd zero of the padding is at the end."""
    (size,) = convolution.kernel_size
    if size % 2 == 0:
        x = functional.pad(x, (size // 2 - 1, size // 2))
    padding = (0, size // 2 if size % 2 else 0)
    return functional.conv2d(x, convolution.weight.unsqueeze(2), convolution.bias, padding=padding)


def _encode(module: Any, x: Tensor) -> Tensor:
    """Convolution, larger of two samples, rectifier: the order of the last two does not matter."""
    x = _rows(x)
    for convolution, padding in zip(module.convs, module.paddings, strict=True):
        x = _convolve(x, convolution)
        if padding:  # what is rectified afterwards is not negative: a zero never is the larger one
            x = functional.pad(x, (0, padding))
        x = torch.relu(functional.max_pool2d(x, (1, 2)))
    return x.squeeze(2)


def _lengths(module: Any, n_samples: int) -> list[int]:
    """Samples after each layer of a decoder."""
    if hasattr(module, "lengths"):
        return list(module.lengths)
    lengths = []
    for index, _ in enumerate(module.convs):
        n_samples = 2 * n_samples - (index in module.crops)
        lengths.append(n_samples)
    return lengths


def _decode(module: Any, x: Tensor) -> Tensor:
    """Every sample twice, convolution, rectifier."""
    lengths = _lengths(module, x.shape[2])
    x = _rows(x)
    for convolution, length in zip(module.convs, lengths, strict=True):
        if length == 2 * x.shape[3] and convolution.kernel_size[0] % 2:
            x = _convolve_repeated(x, convolution)
        else:  # the repeated samples are cut, or the kernel is not symmetric: seldom, and short
            repeated = x.permute(0, 2, 3, 1).repeat_interleave(2, dim=2)[:, :, :length]
            x = _convolve(repeated.contiguous().permute(0, 3, 1, 2), convolution)
        x = torch.relu(x)
    return x.squeeze(2)


def _convolve_repeated(x: Tensor, convolution: Any) -> Tensor:
    """Convolution of rows of which every sample stands twice, without repeating them."""
    n_out, _, size = convolution.weight.shape
    taps = _taps(size, 2, x.device)
    weight = torch.einsum("ock,pkt->poct", convolution.weight, taps.to(convolution.weight)).flatten(0, 1)
    parities = functional.conv2d(x, weight.unsqueeze(2), convolution.bias.repeat(2), padding=(0, taps.shape[2] // 2))
    # Even and odd results are neighbours among the channels, and so already in the order of time.
    return parities.permute(0, 2, 3, 1).reshape(len(x), 1, -1, n_out).permute(0, 3, 1, 2)


@lru_cache
def _taps(size: int, n_phases: int, device: torch.device) -> Tensor:
    """
    Which weight of a kernel meets which sample, shape (n_phases, size, n_taps): 1 where it does.

    With every sample standing ``n_phases`` times, result ``n_phases`` t + phase takes with weight k the repeated sample
    ``n_phases`` t + phase + k - size // 2, which is the sample t + (phase + k - size // 2) // ``n_phases``.
    """
    reach = -(-(size // 2) // n_phases)
    taps = torch.zeros(n_phases, size, 2 * reach + 1, device=device)
    for phase in range(n_phases):
        for index in range(size):
            taps[phase, index, (phase + index - size // 2) // n_phases + reach] = 1
    return taps


_N_TOGETHER = 8  # neighbouring results that are made at once: as many as an AVX register has numbers


def _convolve_to_one(module: Any, x: Tensor) -> Tensor:
    """Convolution with one result: blocks of samples as channels give blocks of results."""
    n, n_in, n_samples = x.shape
    if n_samples % _N_TOGETHER:
        return nn.Conv1d.forward(module, x)
    blocks = x.transpose(1, 2).reshape(n, 1, n_samples // _N_TOGETHER, _N_TOGETHER * n_in).permute(0, 3, 1, 2)
    size = module.kernel_size[0]
    places = _places(size, x.device).to(module.weight)
    weight = torch.einsum("ck,pkst->psct", module.weight[0], places).flatten(1, 2)
    padding = (0, places.shape[3] // 2)
    together = functional.conv2d(blocks, weight.unsqueeze(2), module.bias.expand(_N_TOGETHER), padding=padding)
    return together.permute(0, 2, 3, 1).reshape(n, 1, n_samples)


@lru_cache
def _places(size: int, device: torch.device) -> Tensor:
    """
    Which weight of a kernel meets which sample of a block, shape (n_results, size, n_samples of a block, n_blocks).

    Result p of a block takes with weight k the sample p + k - size // 2, counted from the begin of its block.
    """
    reach = -(-(size // 2) // _N_TOGETHER)
    places = torch.zeros(_N_TOGETHER, size, _N_TOGETHER, 2 * reach + 1, device=device)
    for result in range(_N_TOGETHER):
        for index in range(size):
            block, sample = divmod(result + index - size // 2, _N_TOGETHER)
            places[result, index, sample, block + reach] = 1
    return places


def _attend(module: Any, x: Tensor) -> tuple[Tensor, None]:
    """
    Additive attention to a few neighbouring steps, shape (n, n_channels, n_steps).

    The layer subtracts the largest emission of all steps before it adds its epsilon of 1e-5 to the sum, this form the
    largest of the neighbours: both differ by less than that. The weights, which no network uses, are not given.
    """
    width, n_steps = module.attention_width, x.shape[2]
    after = width // 2
    around = (0, 0, width - 1 - after, after)
    x = x.permute(0, 2, 1)

    def neighbours(values: Tensor) -> Tensor:
        padded = functional.pad(values, around)
        return torch.stack([padded[:, shift : shift + n_steps] for shift in range(width)], dim=2)

    keys, queries = neighbours(torch.matmul(x, module.Wx)), torch.matmul(x, module.Wt).unsqueeze(2)
    emissions = (torch.matmul(torch.tanh(queries + keys + module.bh), module.Wa) + module.ba).squeeze(-1)
    is_neighbour = neighbours(torch.ones_like(x[:1, :, :1])).squeeze(-1) > 0
    emissions = torch.where(is_neighbour, emissions, -torch.inf)
    weights = torch.exp(emissions - emissions.amax(dim=-1, keepdim=True).detach())
    weights = weights / (weights.sum(dim=-1, keepdim=True) + module.eps)
    return torch.einsum("ntw,ntwc->nct", weights, neighbours(x)), None
