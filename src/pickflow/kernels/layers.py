"""Layers of torch as operations of a program: normalisations folded, strides of outputs resolved into phases."""

from __future__ import annotations

from typing import Any

import numpy as np

from pickflow.kernels.program import Program, View, require

_OUTPUT_BLOCK = 4  # output channels that one pass of the convolution kernel makes


def array(parameter: Any) -> np.ndarray:
    """A parameter of torch as float64."""
    return np.asarray(parameter.detach().cpu().double().numpy())


def norm_terms(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift per channel of a batch normalisation in evaluation mode."""
    deviation = np.sqrt(array(norm.running_var) + norm.eps)
    scale = array(norm.weight) / deviation if norm.affine else 1 / deviation
    shift = (array(norm.bias) if norm.affine else 0.0) - array(norm.running_mean) * scale
    return scale, shift


def folded(layer: Any, norm: Any = None, out_axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """
    Weights and bias of a convolution with the normalisation that follows it, in float64.

    Parameters
    ----------
    layer : Conv1d or ConvTranspose1d
    norm : BatchNorm1d or None
    out_axis : int
        Axis of the output channels: 0, or 1 of a transposed convolution.

    Returns
    -------
    weights : ndarray, shape (n_out, n_in, n_taps)
    bias : ndarray, shape (n_out,)
    """
    weights = np.moveaxis(array(layer.weight), out_axis, 0)
    bias = np.zeros(len(weights)) if layer.bias is None else array(layer.bias)
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
    *,
    start: int,
    stride: int = 1,
    dilation: int = 1,
    rectify: bool = False,
    residual: View | None = None,
    out_start: int = 0,
    out_stride: int = 1,
    n_samples: int | None = None,
    integers: bool = False,
) -> None:
    """
    Add a convolution.

    Parameters
    ----------
    program : Program
    source, target : View
    weights : ndarray, shape (n_out, n_in, n_taps)
    bias : ndarray, shape (n_out,)
    start : int
        Input sample under the first tap of the first output; negative in the padding.
    stride, dilation : int
        As torch's.
    rectify : bool
        Cut below zero.
    residual : View or None
        Added after that.
    out_start, out_stride, n_samples : int
        Which samples of the target are made; all unless said.
    integers : bool
        Whether the fast mode may round its input and weights.
    """
    shape = (target.n_channels, source.n_channels)
    require(weights.shape[:2] == shape, f"{shape} channels of a convolution, not {weights.shape[:2]}")
    program.add(
        "conv",
        source,
        target,
        residual,
        _packed(weights),
        bias,
        taps=weights.shape[2],
        start=start,
        stride=stride,
        dilation=dilation,
        flag=int(rectify),
        out_start=out_start,
        out_stride=out_stride,
        n_samples=target.n_samples if n_samples is None else n_samples,
        integers=weights if integers else None,
        shift=bias,
    )


def _packed(weights: np.ndarray) -> np.ndarray:
    """As the kernel reads them: blocks of output channels, in each (input channel, tap, output channel)."""
    blocks = [weights[first : first + _OUTPUT_BLOCK] for first in range(0, len(weights), _OUTPUT_BLOCK)]
    return np.concatenate([block.transpose(1, 2, 0).ravel() for block in blocks])


def conv_layer(
    program: Program,
    source: View,
    layer: Any,
    norm: Any = None,
    *,
    target: View | None = None,
    padding: tuple[int, int] | None = None,
    rectify: bool = True,
    residual: View | None = None,
) -> View:
    """
    Convolution, normalisation and rectifier.

    Parameters
    ----------
    program : Program
    source : View
    layer : Conv1d
        Without groups.
    norm : BatchNorm1d or None
    target : View or None
        Where to; a new buffer unless given.
    padding : tuple of int or None
        Zeros left and right; the layer's own unless given.
    rectify : bool
    residual : View or None

    Returns
    -------
    View
        The target.
    """
    require(layer.groups == 1 and layer.padding_mode == "zeros", "dense convolutions padded with zeros")
    weights, bias = folded(layer, norm)
    stride, dilation = layer.stride[0], layer.dilation[0]
    reach = dilation * (weights.shape[2] - 1)
    if padding is None:
        padding = (reach // 2, reach - reach // 2) if layer.padding == "same" else (layer.padding[0],) * 2
    n_samples = (source.n_samples + sum(padding) - reach - 1) // stride + 1
    target = target or program.buffer(len(weights), n_samples)
    require(target.n_samples == n_samples, f"{target.n_samples} samples where a convolution makes {n_samples}")
    options: dict[str, Any] = {"rectify": rectify, "residual": residual, "stride": stride, "dilation": dilation}
    options["integers"] = weights.shape[2] > 1
    convolve(program, source, target, weights, bias, start=-padding[0], **options)
    return target


def depthwise_layer(program: Program, source: View, layer: Any, norm: Any, target: View) -> None:
    """Depthwise convolution, normalisation and rectifier."""
    require(
        layer.groups == source.n_channels == layer.out_channels, "one filter per channel of a depthwise convolution"
    )
    require(layer.stride[0] == 1 and layer.padding_mode == "zeros", "depthwise convolutions of stride 1, zeros around")
    weights, bias = folded(layer, norm)
    steps: dict[str, Any] = {"start": -layer.padding[0], "dilation": layer.dilation[0], "taps": weights.shape[2]}
    program.add("depthwise", source, target, None, weights, bias, flag=1, stride=1, out_start=0, out_stride=1, **steps)


def transposed_layer(
    program: Program,
    source: View,
    layer: Any,
    norm: Any,
    target: View,
    *,
    crop: int = 0,
    rectify: bool = True,
    residual: View | None = None,
) -> None:
    """
    Transposed convolution as one small convolution per phase of its stride.

    Parameters
    ----------
    program : Program
    source, target : View
    layer : ConvTranspose1d
    norm : BatchNorm1d or None
    crop : int
        Samples cut off at the start; what is beyond the target is cut off at the end.
    rectify : bool
    residual : View or None
    """
    require(layer.groups == 1 and layer.dilation[0] == 1, "dense transposed convolutions without dilation")
    weights, bias = folded(layer, norm, out_axis=1)
    stride, skipped = layer.stride[0], crop + layer.padding[0]
    made = (source.n_samples - 1) * stride - 2 * layer.padding[0] + weights.shape[2] + layer.output_padding[0]
    require(0 <= crop <= made - target.n_samples, f"at least {target.n_samples} samples of a transposed convolution")
    for phase in range(min(stride, target.n_samples)):
        first, tap = divmod(phase + skipped, stride)
        # Output phase + stride m takes tap + stride j from input first + m - j: ascending inputs, descending taps.
        taps = weights[:, :, tap::stride][:, :, ::-1]
        convolve(
            program,
            source,
            target,
            taps,
            bias,
            start=first - max(taps.shape[2] - 1, 0),
            rectify=rectify,
            residual=residual,
            integers=True,
            out_start=phase,
            out_stride=stride,
            n_samples=len(range(phase, target.n_samples, stride)),
        )


def upsampled_layer(program: Program, source: View, layer: Any, target: View, *, crop: int = 0) -> None:
    """
    Repetition of every sample, cropping, convolution and rectifier, at half the rate: taps on copies add up.

    Parameters
    ----------
    program : Program
    source, target : View
    layer : Conv1d
        Of odd kernel size, padded to keep the length.
    crop : int
        Copies cut off at the start; what is beyond the target is cut off at the end.
    """
    weights, bias = folded(layer)
    n_samples, reach = target.n_samples, layer.padding[0]
    require(weights.shape[2] == 2 * reach + 1, "decoders that keep the length")
    require(crop + n_samples <= 2 * source.n_samples, "decoders that crop and do not pad")
    # Next to a cut one copy of a sample is zero and the other is not: these outputs have taps of their own.
    left = min(reach, n_samples) if crop % 2 else 0
    right = min(reach, n_samples - left) if (crop + n_samples) % 2 else 0
    single = [(t, 1) for t in (*range(left), *range(n_samples - right, n_samples))]
    inner, done_before = n_samples - left - right, program.multiply_adds
    phases = [(left + phase, (inner + 1 - phase) // 2) for phase in range(2)]
    for first, count in phases + single:
        inside = count > 1
        start, taps = taps_on_copies(weights, first - reach, crop, n_samples, inside)
        if count:
            convolve(
                program,
                source,
                target,
                taps,
                bias,
                start=start,
                rectify=True,
                integers=True,
                out_start=first,
                out_stride=2,
                n_samples=count,
            )
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
