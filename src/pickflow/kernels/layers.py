"""Layers of torch as operations of a program: normalisations folded, strides of outputs resolved into phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from pickflow.kernels.program import Program, View, require
from pickflow.models.layers import conv_padding, is_depthwise, is_plain, norm_terms, parameter

OUTPUT_BLOCK = 4  # output channels that one pass of the convolution kernel makes


@dataclass(frozen=True, kw_only=True)
class Ending:
    """
    What follows a layer and is done by the operation of the layer itself, in this order.

    Attributes
    ----------
    norm : BatchNorm1d or None
    rectify : bool
        Cut below zero.
    crop : int
        Samples cut off at the start; what is beyond the target is cut off at the end.
    residual : View or None
        Added.
    """

    norm: Any = None
    rectify: bool = False
    crop: int = 0
    residual: View | None = None


PLAIN = Ending()


def folded(layer: Any, norm: Any = None, out_axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """
    Weights and bias of a convolution with the normalisation that follows it, in float64.

    Parameters
    ----------
    layer : Conv1d, ConvTranspose1d or Linear
    norm : BatchNorm1d or None
    out_axis : int
        Axis of the output channels: 0, or 1 of a transposed convolution.

    Returns
    -------
    weights : ndarray, shape (n_out, n_in, n_taps)
    bias : ndarray, shape (n_out,)
    """
    weights = np.moveaxis(parameter(layer.weight), out_axis, 0)
    weights = weights[:, :, None] if weights.ndim == 2 else weights
    bias = np.zeros(len(weights)) if layer.bias is None else parameter(layer.bias)
    if norm is None:
        return weights, bias
    scale, shift = norm_terms(norm)
    return weights * scale[:, None, None], bias * scale + shift


def convolve(
    program: Program,
    source: View,
    target: View,
    weights: np.ndarray,
    bias: np.ndarray,
    ending: Ending = PLAIN,
    *,
    start: int = 0,
    stride: int = 1,
    dilation: int = 1,
    out_start: int = 0,
    out_stride: int = 1,
    n_samples: int | None = None,
    integers: bool = False,
    depthwise: bool = False,
) -> None:
    """
    Add a convolution.

    Parameters
    ----------
    program : Program
    source, target : View
    weights : ndarray, shape (n_out, n_in, n_taps)
        Normalised already; of a depthwise convolution n_in is 1.
    bias : ndarray, shape (n_out,)
    ending : Ending
        Its rectifier and residual.
    start : int
        Input sample under the first tap of the first output; negative in the padding.
    stride, dilation : int
        As torch's.
    out_start, out_stride, n_samples : int
        Which samples of the target are made; all unless given.
    integers : bool
        Whether the fast mode may round its input and weights, if it is dense.
    depthwise : bool
        Whether each channel has a filter of its own.
    """
    shape = (target.n_channels, 1 if depthwise else source.n_channels)
    require(weights.shape[:2] == shape, f"{shape} channels of a convolution, not {weights.shape[:2]}")
    fields: dict[str, Any] = {"taps": weights.shape[2], "start": start, "stride": stride, "dilation": dilation}
    fields |= {"flag": int(ending.rectify), "out_start": out_start, "out_stride": out_stride}
    fields["n_samples"] = target.n_samples if n_samples is None else n_samples
    if depthwise:
        program.add("depthwise", source, target, ending.residual, weights, bias, **fields)
        return
    fields |= {"integers": weights if integers else None, "shift": bias}
    program.add("conv", source, target, ending.residual, _packed(weights), bias, **fields)


def _packed(weights: np.ndarray) -> np.ndarray:
    """As the kernel reads them: blocks of output channels, in each (input channel, tap, output channel)."""
    blocks = [weights[first : first + OUTPUT_BLOCK] for first in range(0, len(weights), OUTPUT_BLOCK)]
    return np.concatenate([block.transpose(1, 2, 0).ravel() for block in blocks])


def conv_layer(
    program: Program, source: View, layer: Any, target: View, ending: Ending = PLAIN, padding: int = 0
) -> None:
    """
    Conv1d, dense or depthwise, or Linear.

    Parameters
    ----------
    program : Program
    source, target : View
    layer : Module
    ending : Ending
    padding : int
        Zeros before the input, beside the layer's own.
    """
    weights, bias = folded(layer, ending.norm)
    if isinstance(layer, nn.Linear):
        convolve(program, source, target, weights, bias, ending, start=ending.crop)
        return
    depthwise = is_depthwise(layer)
    usual = layer.padding_mode == "zeros" and (layer.groups == 1 or depthwise)
    require(usual, "convolutions, dense or depthwise, padded with zeros")
    steps: dict[str, Any] = {"stride": layer.stride[0], "dilation": layer.dilation[0], "depthwise": depthwise}
    start = ending.crop * layer.stride[0] - padding - conv_padding(layer)[0]
    integers = weights.shape[2] > 1
    convolve(program, source, target, weights, bias, ending, start=start, integers=integers, **steps)


def resampled(
    program: Program, source: View, target: View, *, start: int = 0, scale: int = 1, residual: View | None = None
) -> None:
    """
    Samples as they are, each ``scale`` times, from a sample of the input on; zeros outside.

    Parameters
    ----------
    program : Program
    source, target : View
    start, scale : int
    residual : View or None
        Added.
    """
    weights, zeros = np.ones((target.n_channels, 1, 1)), np.zeros(target.n_channels)
    for phase in range(scale):
        steps: dict[str, Any] = {"start": start, "out_start": phase, "out_stride": scale, "depthwise": True}
        n_samples = len(range(phase, target.n_samples, scale))
        convolve(program, source, target, weights, zeros, Ending(residual=residual), n_samples=n_samples, **steps)


def transposed_layer(program: Program, source: View, layer: Any, target: View, ending: Ending = PLAIN) -> None:
    """
    Transposed convolution as one small convolution per phase of its stride.

    Parameters
    ----------
    program : Program
    source, target : View
    layer : ConvTranspose1d
    ending : Ending
    """
    require(layer.groups == 1 and layer.dilation[0] == 1, "dense transposed convolutions without dilation")
    weights, bias = folded(layer, ending.norm, out_axis=1)
    stride, skipped = layer.stride[0], ending.crop + layer.padding[0]
    for phase in range(min(stride, target.n_samples)):
        first, tap = divmod(phase + skipped, stride)
        # Output phase + stride m takes tap + stride j from input first + m - j: ascending inputs, descending taps.
        taps = weights[:, :, tap::stride][:, :, ::-1]
        n_samples = len(range(phase, target.n_samples, stride))
        steps: dict[str, Any] = {"out_start": phase, "out_stride": stride, "n_samples": n_samples, "integers": True}
        convolve(program, source, target, taps, bias, ending, start=first - max(taps.shape[2] - 1, 0), **steps)


def upsampled_layer(
    program: Program, source: View, layer: Any, target: View, ending: Ending = PLAIN, crop: int = 0, padding: int = 0
) -> None:
    """
    Repetition of every sample, cropping and convolution, at half the rate: taps on copies add up.

    Parameters
    ----------
    program : Program
    source, target : View
    layer : Conv1d
        Without stride and dilation; the target has as many samples as its input.
    ending : Ending
        Without another cropping.
    crop : int
        Copies cut off at the start; what is beyond the target is cut off at the end.
    padding : int
        Zeros before the input, beside the layer's own.
    """
    weights, bias = folded(layer, ending.norm)
    n_samples, before, depthwise = target.n_samples, conv_padding(layer)[0] + padding, is_depthwise(layer)
    after = weights.shape[2] - 1 - before
    require(is_plain(layer) and ending.crop == 0 and after >= 0, "decoders that keep the length")
    require(layer.groups == 1 or depthwise, "convolutions, dense or depthwise")
    # A sample of which both copies are cut off would still be read.
    require(crop in (0, 1) and 2 * source.n_samples - crop - n_samples in (0, 1), "at most one copy cut off at an end")
    # Next to a cut one copy of a sample is zero and the other is not: these outputs have taps of their own.
    left = min(before, n_samples) if crop % 2 else 0
    right = min(after, n_samples - left) if (crop + n_samples) % 2 else 0
    single = [(t, 1, False) for t in (*range(left), *range(n_samples - right, n_samples))]
    inner, done_before = n_samples - left - right, program.multiply_adds
    phases = [(left + phase, (inner + 1 - phase) // 2, True) for phase in range(2)]
    for first, count, inside in phases + single:
        start, taps = taps_on_copies(weights, first - before, crop, n_samples, inside)
        steps: dict[str, Any] = {"out_start": first, "out_stride": 2, "n_samples": count, "depthwise": depthwise}
        if count:
            convolve(program, source, target, taps, bias, ending, start=start, integers=True, **steps)
    program.saved_multiply_adds += weights.size * n_samples - (program.multiply_adds - done_before)


def taps_on_copies(weights: np.ndarray, first: int, crop: int, n_samples: int, inside: bool) -> tuple[int, np.ndarray]:
    """
    Taps on the samples behind the copies that a kernel at ``first`` covers.

    Returns
    -------
    start : int
        Sample of the first tap.
    taps : ndarray, shape (n_out, n_in, n_taps)
    """
    start = (first + crop) // 2
    stop = (first + crop + weights.shape[2] - 1) // 2 + 1
    taps = np.zeros((*weights.shape[:2], stop - start))
    for k in range(weights.shape[2]):
        if inside or 0 <= first + k < n_samples:
            taps[:, :, (first + k + crop) // 2 - start] += weights[:, :, k]
    return start, taps
