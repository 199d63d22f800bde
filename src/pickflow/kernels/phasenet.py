"""PhaseNet and its relatives as programs."""

from __future__ import annotations

from typing import Any

from pickflow.kernels.layers import conv_layer, transposed_layer
from pickflow.kernels.program import Program, View

# PhaseNet pads these levels by hand before their strided convolutions.
_MANUAL_PADDING = {1: (2, 3), 2: (1, 3), 3: (2, 3)}


def phasenet(program: Program, windows: View, model: Any) -> View:
    """Logits of PhaseNet."""
    return _unet(program, windows, model, _MANUAL_PADDING, crop=(1, 2))


def variable_length_phasenet(program: Program, windows: View, model: Any) -> View:
    """Logits of VariableLengthPhaseNet: the same without manual padding and cropping."""
    return _unet(program, windows, model, {}, crop=(0, 0))


def _unet(
    program: Program, windows: View, model: Any, paddings: dict[int, tuple[int, int]], crop: tuple[int, int]
) -> View:
    x = conv_layer(program, windows, model.inc, model.in_bn)
    merged = []
    widths = [up.out_channels for up, *_ in reversed(model.up_branch)]
    for level, (same, norm, down, down_norm) in enumerate(model.down_branch):
        if down is None:
            x = conv_layer(program, x, same, norm)
            continue
        # The way down fills the first part of a buffer, the way up the second: the concatenation.
        merged.append(program.buffer(same.out_channels + widths[level], x.n_samples))
        skip = conv_layer(program, x, same, norm, target=merged[-1].channels(0, same.out_channels))
        x = conv_layer(program, skip, down, down_norm, padding=paddings.get(level))
    for up, norm, same, same_norm in model.up_branch:
        both = merged.pop()
        made = (x.n_samples - 1) * up.stride[0] + up.kernel_size[0] - sum(crop)
        offset = (made - both.n_samples) // 2
        target = both.channels(both.n_channels - up.out_channels, up.out_channels)
        transposed_layer(program, x, up, norm, target, crop=crop[0] + offset)
        x = conv_layer(program, both, same, same_norm)
    return conv_layer(program, x, model.out, rectify=False)


def phasenet_light(program: Program, windows: View, model: Any) -> View:
    """Logits of PhaseNetLight."""
    downs = [(model.conv1, model.bnd1), (model.conv2, model.bnd2), (model.conv3, model.bnd3), (model.conv4, model.bnd4)]
    ups = [(model.up1, model.bnu1), (model.up2, model.bnu2), (model.up3, model.bnu3), (model.up4, model.bnu4)]
    widths = [up.out_channels for up, _ in reversed(ups)]
    layers = [(model.inc, model.in_bn), *((same.conv, norm) for same, norm in downs[:-1])]
    merged = []
    x = windows
    for (layer, norm), width in zip(layers, widths, strict=True):
        n_samples = (x.n_samples + 2 * layer.padding[0] - layer.kernel_size[0]) // layer.stride[0] + 1
        merged.append(program.buffer(width + layer.out_channels, n_samples))
        target = merged[-1].channels(width, layer.out_channels)
        x = conv_layer(program, x, layer, norm, target=target)
    x = conv_layer(program, x, downs[-1][0].conv, downs[-1][1])
    for up, norm in ups:
        both = merged.pop()
        transposed_layer(program, x, up, norm, both.channels(0, up.out_channels))
        x = both
    logits = program.buffer(model.out.out_channels, x.n_samples)
    transposed_layer(program, x, model.out, None, logits, rectify=False)
    return logits
