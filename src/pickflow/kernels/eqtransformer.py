"""EQTransformer and its relatives as programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pickflow.kernels.layers import array, conv_layer, convolve, folded, norm_terms, upsampled_layer
from pickflow.kernels.program import Program, View, require

_GATE_BLOCK = 8  # gates that one pass of the recurrence makes
_MAX_HIDDEN = 128
_BACKWARD, _HARD = 1, 2


def eqtransformer(program: Program, windows: View, model: Any) -> View:
    """Logits of the detection and of each phase."""
    x = windows
    for layer, pool, padding in zip(model.encoder.convs, model.encoder.pools, model.encoder.paddings, strict=True):
        x = _pooled(program, conv_layer(program, x, layer), pool, padding)
    for block in model.res_cnn_stack.members:
        x = _residual_block(program, x, block)
    return attend_and_decode(program, x, model, _decode)


def attend_and_decode(program: Program, x: View, model: Any, decode: Callable[..., None]) -> View:
    """
    What EQTransformer and its light relatives share behind their convolutions: recurrences, attention and branches.

    Parameters
    ----------
    program : Program
    x : View
        What the convolutions give.
    model : WaveformModel
    decode : callable
        ``decode(program, x, decoder, last convolution, target)``.

    Returns
    -------
    View
        Logits of the detection and of each phase.
    """
    for block in model.bi_lstm_stack.members:
        x = _recurrent_block(program, x, block)
    for transformer in (model.transformer_d0, model.transformer_d):
        x = _transformer(program, x, transformer)
    outputs = program.buffer(1 + len(model.pick_convs), model.in_samples)
    decode(program, x, model.decoder_d, model.conv_d, outputs.channels(0, 1))
    branches = zip(model.pick_lstms, model.pick_attentions, model.pick_decoders, model.pick_convs, strict=True)
    for label, (lstm, attention, decoder, conv) in enumerate(branches, start=1):
        attended = _attention(program, _recurrence(program, x, lstm), attention)
        decode(program, attended, decoder, conv, outputs.channels(label, 1))
    return outputs


def _pooled(program: Program, source: View, pool: Any, padding: int) -> View:
    size = pool.kernel_size
    plain = (pool.stride, pool.padding, pool.dilation, pool.ceil_mode) == (size, 0, 1, False)
    require(plain, "pooling of neighbours without padding")
    target = program.buffer(source.n_channels, (source.n_samples + padding) // size)
    program.add("pool", source, target, stride=size, n_in=source.n_samples)
    return target


def _residual_block(program: Program, x: View, block: Any) -> View:
    padding = (0, 1) if block.manual_padding else None
    normed = program.buffer(x.n_channels, x.n_samples)
    scale, shift = norm_terms(block.norm1)
    program.add("affine", x, normed, None, scale, shift, flag=1)
    hidden = conv_layer(program, normed, block.conv1, block.norm2, padding=padding)
    y = conv_layer(program, hidden, block.conv2, padding=padding, rectify=False, residual=x)
    return y


def _recurrent_block(program: Program, x: View, block: Any) -> View:
    states = _recurrence(program, x, block.lstm)
    y = conv_layer(program, states, block.conv, block.norm, rectify=False)
    return y


def _cells(lstm: Any) -> list[tuple[list[np.ndarray], bool]]:
    """Weights of each direction (of the input, of the state, both biases) and whether its gates are hard sigmoids."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    if hasattr(lstm, "cell_f"):
        cells = [lstm.cell_f, lstm.cell_b] if lstm.bidirectional else [lstm.cell_f]
        known = {cell.gate_activation.__name__ for cell in cells} <= {"hard_sigmoid", "sigmoid"}
        require(known, "sigmoids or hard sigmoids at the gates of an LSTM")
        hard = [cell.gate_activation.__name__ == "hard_sigmoid" for cell in cells]
        return [([array(getattr(cell, name)) for name in names], flag) for cell, flag in zip(cells, hard, strict=True)]
    require((lstm.num_layers, lstm.bias, lstm.proj_size) == (1, True, 0), "LSTMs of one layer, with bias")
    suffixes = ("_l0", "_l0_reverse") if lstm.bidirectional else ("_l0",)
    return [([array(getattr(lstm, name + suffix)) for name in names], False) for suffix in suffixes]


def _recurrence(program: Program, x: View, lstm: Any) -> View:
    """States of an LSTM: the input's share of all gates is one convolution, the rest goes step by step."""
    cells = _cells(lstm)
    n_hidden = cells[0][0][1].shape[1]
    require(n_hidden <= _MAX_HIDDEN and n_hidden % 2 == 0, f"an even number of at most {_MAX_HIDDEN} states")
    gates = program.buffer(4 * n_hidden * len(cells), x.n_samples)
    states = program.buffer(n_hidden * len(cells), x.n_samples)
    of_input = np.concatenate([weights[0] for weights, _ in cells])[:, :, None]
    bias = np.concatenate([weights[2] + weights[3] for weights, _ in cells])
    convolve(program, x, gates, of_input, bias, start=0)
    for index, (weights, hard) in enumerate(cells):
        blocks = weights[1].reshape(-1, _GATE_BLOCK, n_hidden).transpose(0, 2, 1)
        source = gates.channels(4 * n_hidden * index, 4 * n_hidden)
        target = states.channels(n_hidden * index, n_hidden)
        program.add("lstm", source, target, None, blocks, flag=_BACKWARD * index + _HARD * hard)
        program.multiply_adds += 4 * n_hidden**2 * x.n_samples
    return states


def _attention(program: Program, x: View, layer: Any) -> View:
    """Additive attention; queries with the bias, then keys, are one convolution."""
    projection = np.concatenate([array(layer.Wt).T, array(layer.Wx).T])[:, :, None]
    n_units = projection.shape[0] // 2
    require(n_units % 2 == 0, "units of the attention in pairs")
    projected = program.buffer(2 * n_units, x.n_samples)
    bias = np.concatenate([array(layer.bh), np.zeros(n_units)])
    convolve(program, x, projected, projection, bias, start=0)
    out, base = array(layer.Wa)[:, 0], float(array(layer.ba)[0])
    y = program.buffer(x.n_channels, x.n_samples)
    scratch = program.buffer(1, (2 * n_units + 1) * x.n_samples)
    width = layer.attention_width or 0
    numbers = np.concatenate([out, [out.sum() + base, base]])
    program.add("attention", x, y, projected, numbers, taps=n_units, flag=width, epsilon=layer.eps, scratch=scratch)
    return y


def _transformer(program: Program, x: View, transformer: Any) -> View:
    attended = _attention(program, x, transformer.attention)
    y = _normalised(program, x, attended, transformer.norm1)
    first, second = transformer.ff.lin1, transformer.ff.lin2
    hidden = program.buffer(first.out_features, x.n_samples)
    convolve(program, y, hidden, array(first.weight)[:, :, None], array(first.bias), start=0, rectify=True)
    fed = program.buffer(x.n_channels, x.n_samples)
    convolve(program, hidden, fed, array(second.weight)[:, :, None], array(second.bias), start=0)
    z = _normalised(program, y, fed, transformer.norm2)
    return z


def _normalised(program: Program, x: View, second: View, norm: Any) -> View:
    y = program.buffer(x.n_channels, x.n_samples)
    program.add("layernorm", x, y, second, array(norm.gamma), array(norm.beta), epsilon=norm.eps)
    return y


def _decode(program: Program, x: View, decoder: Any, last: Any, target: View) -> None:
    for level, layer in enumerate(decoder.convs):
        if decoder.original_compatible:
            crop, lost = (1, 2) if level == 3 else (0, 0)
        else:
            crop, lost = 0, int(level in decoder.crops)
        y = program.buffer(layer.out_channels, 2 * x.n_samples - lost)
        upsampled_layer(program, x, layer, y, crop=crop)
        x = y
    weights, bias = folded(last)
    convolve(program, x, target, weights, bias, start=-last.padding[0], integers=True)
