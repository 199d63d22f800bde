"""LEQNet as a program."""

from __future__ import annotations

from typing import Any

import numpy as np

from pickflow.kernels.eqtransformer import attend_and_decode
from pickflow.kernels.layers import array, conv_layer, depthwise_layer, norm_terms, taps_on_copies
from pickflow.kernels.program import Program, View, require


def leqnet(program: Program, windows: View, model: Any) -> View:
    """Logits of the detection and of each phase."""
    x = windows
    for index in model.encoder.order:
        layer = model.encoder.layers[index]
        x = _halved(program, conv_layer(program, _filtered(program, x, layer.depthwise), layer.pointwise))
    for block in model.res_cnn_stack:
        x = _bottleneck(program, x, block)
    return attend_and_decode(program, x, model, _decode)


def _halved(program: Program, x: View) -> View:
    """Maximum of two samples; the last may stand alone."""
    target = program.buffer(x.n_channels, (x.n_samples + 1) // 2)
    program.add("pool", x, target, stride=2, n_in=x.n_samples)
    return target


def _bottleneck(program: Program, x: View, block: Any) -> View:
    normed = program.buffer(x.n_channels, x.n_samples)
    scale, shift = norm_terms(block.norms[0])
    program.add("affine", x, normed, None, scale, shift, flag=1)
    narrow = conv_layer(program, normed, block.convolutions[0], block.norms[1])
    hidden = program.buffer(narrow.n_channels, x.n_samples)
    depthwise_layer(program, narrow, block.convolutions[1], block.norms[2], hidden)
    return conv_layer(program, hidden, block.convolutions[2], rectify=False, residual=x)


def _filtered(program: Program, x: View, layer: Any) -> View:
    """Depthwise convolution that keeps the length."""
    target = program.buffer(x.n_channels, x.n_samples)
    _depthwise(program, x, target, _taps_of(layer), start=-layer.padding[0], out_stride=1)
    return target


def _decode(program: Program, x: View, decoder: Any, last: Any, target: View) -> None:
    for index, n_samples in zip(decoder.order, decoder.lengths, strict=True):
        layer = decoder.layers[index]
        x = conv_layer(program, _filtered_copies(program, x, layer.depthwise, n_samples), layer.pointwise)
    conv_layer(program, x, last, target=target, rectify=False)


def _filtered_copies(program: Program, x: View, layer: Any, n_samples: int) -> View:
    """Repetition of every sample and depthwise convolution, at half the rate; see `layers.upsampled_layer`."""
    require(2 * x.n_samples - 1 <= n_samples <= 2 * x.n_samples, "decoders that cut off at most one sample")
    taps, reach = _taps_of(layer), layer.padding[0]
    target = program.buffer(x.n_channels, n_samples)
    # Next to a cut one copy of a sample is zero and the other is not: these outputs have taps of their own.
    cut = min(reach, n_samples) if n_samples % 2 else 0
    inner, done_before = n_samples - cut, program.multiply_adds
    phases = [(phase, (inner + 1 - phase) // 2) for phase in range(2)]
    for first, count in phases + [(t, 1) for t in range(inner, n_samples)]:
        start, summed = taps_on_copies(taps, first - reach, 0, n_samples, inside=first < 2)
        _depthwise(program, x, target, summed, start=start, out_start=first, out_stride=2, n_samples=count)
    program.saved_multiply_adds += taps.size * n_samples - (program.multiply_adds - done_before)
    return target


def _taps_of(layer: Any) -> np.ndarray:
    same = (layer.stride[0], layer.dilation[0], layer.padding_mode, layer.bias) == (1, 1, "zeros", None)
    require(same and layer.kernel_size[0] == 2 * layer.padding[0] + 1, "depthwise layers that keep the length, no bias")
    return array(layer.weight)


def _depthwise(program: Program, source: View, target: View, taps: np.ndarray, **steps: Any) -> None:
    fields: dict[str, Any] = {"out_start": 0, "stride": 1, "dilation": 1, "flag": 0, "taps": taps.shape[2]}
    program.add("depthwise", source, target, None, taps, np.zeros(len(taps)), **{**fields, **steps})
