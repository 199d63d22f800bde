"""Our own picker as a program, with the preparation of raw windows that is part of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pickflow.kernels.layers import array, conv_layer, depthwise_layer, transposed_layer
from pickflow.kernels.program import Program, View


def pickflownet(program: Program, windows: View, model: Any) -> View:
    """Logits from raw windows."""
    x = _block(program, _prepared(program, windows, model), model.stem)
    skips = []
    for down, residual in zip(model.down, model.down_residual, strict=True):
        skips.append(x)
        x = _residuals(program, _block(program, x, down), residual)
    for separable in model.context:
        hidden = program.buffer(x.n_channels, x.n_samples)
        depthwise_layer(program, x, separable.depthwise, separable.norm, hidden)
        x = _block(program, hidden, separable.pointwise, residual=x)
    for up, residual, skip in zip(model.up, model.up_residual, reversed(skips), strict=True):
        y = program.buffer(up.convolution.out_channels, skip.n_samples)
        transposed_layer(program, x, up.convolution, up.norm, y, residual=skip)
        x = _residuals(program, y, residual)
    x = _block(program, x, model.last)
    return conv_layer(program, x, model.out, rectify=False)


def _prepared(program: Program, windows: View, model: Any) -> View:
    """What `PickflowNet.prepare` does."""
    frames = array(model.high_pass)
    n_taps = frames.shape[2] - frames.shape[0] + 1
    kernel = frames[0, 0, :n_taps]
    # The first sample stands for everything before it: this one margin is not of zeros.
    program.add("unit_peak", None, windows, taps=n_taps - 1)
    filtered = program.buffer(windows.n_channels, windows.n_samples)
    weights, bias = np.tile(kernel, windows.n_channels), np.zeros(windows.n_channels)
    steps: dict[str, Any] = {"stride": 1, "dilation": 1, "out_start": 0, "out_stride": 1}
    program.add("depthwise", windows, filtered, None, weights, bias, start=1 - n_taps, taps=n_taps, **steps)
    program.add("compress", None, filtered)
    return filtered


def _block(program: Program, x: View, block: Any, residual: View | None = None) -> View:
    return conv_layer(program, x, block.convolution, block.norm, residual=residual)


def _residuals(program: Program, x: View, layers: Any) -> View:
    """One residual block, a sequence of them, or none."""
    if hasattr(layers, "block"):
        return _block(program, x, layers.block, residual=x)
    for layer in layers.children():
        x = _residuals(program, x, layer)
    return x
