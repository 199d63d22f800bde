"""From a network of torch to an implicit model, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pickflow.implicit.builder import Builder, Signal, UnsupportedLayerError
from pickflow.implicit.model import ImplicitModel
from pickflow.implicit.recurrent import attention, feed_forward, layer_norm, lstm, transformer

# PhaseNet pads these levels by hand before their strided convolutions.
_MANUAL_PADDING = {1: (2, 3), 2: (1, 3), 3: (2, 3)}


def from_network(model: nn.Module, n_samples: int) -> ImplicitModel:
    """
    Implicit model that equals a network, up to rounding, on windows of one length.

    The inputs are the windows that the network itself sees: normalised, and for PickflowNet after ``prepare``.

    Parameters
    ----------
    model : Module
        In evaluation mode: SeisBench's PhaseNet, VariableLengthPhaseNet, PhaseNetLight or EQTransformer, LEQNet,
        PickflowNet, or an ``nn.Sequential`` of the layers that `sequential` knows.
    n_samples : int
        Of a window. States grow in proportion; keep it to some hundred.

    Raises
    ------
    UnsupportedLayerError
        With the name of a layer that cannot be expressed.
    ValueError
        If this length does not fit the network, or it is in training mode.
    """
    if model.training:
        raise ValueError(f"{type(model).__name__} is in training mode; call eval() on it first")
    walk = _WALKS.get(type(model).__name__)
    if walk is None:
        raise UnsupportedLayerError(
            f"layer {type(model).__name__} cannot be expressed as an implicit model; known networks: "
            f"{', '.join(_WALKS)}"
        )
    names = {id(module): name for name, module in model.named_modules() if name}
    builder = Builder(_channels_of(model), n_samples, names)
    outputs = walk(builder, builder.input, model)
    if not isinstance(model, nn.Sequential) and outputs.n_samples != n_samples:
        raise ValueError(
            f"{type(model).__name__} makes {outputs.n_samples} samples of {n_samples}; choose a length that fits it"
        )
    return builder.model(outputs)


def _channels_of(model: nn.Module) -> int:
    """Components of a window: what the first convolution takes."""
    for layer in model.modules():
        if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
            return layer.in_channels
    raise ValueError(f"{type(model).__name__} has no convolution, so that nothing says how many components come in")


def sequential(builder: Builder, x: Signal, model: nn.Sequential) -> Signal:
    """
    Layers one after the other.

    Conv1d, ConvTranspose1d, BatchNorm1d, ReLU, Tanh, Sigmoid, Softmax over channels, MaxPool1d, Upsample (nearest),
    Identity, Dropout, Flatten, Linear (over the last axis, as in torch), SeisBench's SeqSelfAttention,
    LayerNormalization and FeedForward, and sequences of them.
    """
    for layer in model.children():
        if isinstance(layer, nn.Sequential):
            x = sequential(builder, x, layer)
            continue
        kind = next((kind for kind in type(layer).__mro__ if kind.__name__ in _LAYERS), None)
        if kind is None:
            builder.require(False, layer, f"known layers are {', '.join(_LAYERS)}")
        else:
            x = _LAYERS[kind.__name__](builder, x, layer)
    return x


def _upsample(builder: Builder, x: Signal, layer: Any) -> Signal:
    nearest = layer.mode == "nearest" and layer.scale_factor is not None and float(layer.scale_factor).is_integer()
    builder.require(nearest, layer, "only repetition by a whole factor is")
    return builder.upsample(builder.settle(x), int(layer.scale_factor))


def _softmax(builder: Builder, x: Signal, layer: Any) -> Signal:
    builder.require(layer.dim in (1, -2), layer, "only the softmax over channels is")
    return builder.softmax(x)


def _flatten(builder: Builder, x: Signal, layer: Any) -> Signal:
    builder.require((layer.start_dim, layer.end_dim) == (1, -1), layer, "only all channels and samples together are")
    return Signal(x.matrix, 1, x.n_channels * x.n_samples, x.name, x.kind)


def _linear(builder: Builder, x: Signal, layer: Any) -> Signal:
    builder.require(x.n_channels == 1, layer, "over the samples of several channels; flatten them first")
    turned = builder.linear(Signal(x.matrix, x.n_samples, 1, x.name, x.kind), layer)
    return Signal(turned.matrix, 1, turned.n_channels, turned.name, turned.kind)


_LAYERS: dict[str, Callable[[Builder, Signal, Any], Signal]] = {
    "Conv1d": Builder.conv,
    "ConvTranspose1d": Builder.transposed_conv,
    "BatchNorm1d": Builder.norm,
    "ReLU": lambda builder, x, layer: builder.activate(x, "relu"),
    "Tanh": lambda builder, x, layer: builder.activate(x, "tanh"),
    "Sigmoid": lambda builder, x, layer: builder.activate(x, "sigmoid"),
    "Softmax": _softmax,
    "MaxPool1d": Builder.max_pool,
    "Upsample": _upsample,
    "Identity": lambda builder, x, layer: x,
    "Dropout": lambda builder, x, layer: x,
    "Flatten": _flatten,
    "Linear": _linear,
    "SeqSelfAttention": attention,
    "LayerNormalization": layer_norm,
    "FeedForward": feed_forward,
}


def _block(builder: Builder, x: Signal, layer: Any, norm: Any = None, padding: tuple[int, int] | None = None) -> Signal:
    """Convolution, normalisation if there is one, rectifier."""
    made = builder.conv(x, layer, padding)
    return builder.activate(made if norm is None else builder.norm(made, norm), "relu")


def phasenet(builder: Builder, x: Signal, model: Any) -> Signal:
    """Probabilities of PhaseNet."""
    return builder.softmax(_unet(builder, x, model, _MANUAL_PADDING, crop=(1, 2)))


def variable_length_phasenet(builder: Builder, x: Signal, model: Any) -> Signal:
    """Probabilities of VariableLengthPhaseNet: the same without manual padding and cropping."""
    logits = _unet(builder, x, model, {}, crop=(0, 0))
    if isinstance(model.output_activation, nn.Sigmoid):
        return builder.activate(logits, "sigmoid")
    return builder.softmax(logits)


def _unet(
    builder: Builder, x: Signal, model: Any, paddings: dict[int, tuple[int, int]], crop: tuple[int, int]
) -> Signal:
    builder.require(model.activation is torch.relu, model, f"its activation is {model.activation}")
    x = _block(builder, x, model.inc, model.in_bn)
    skips = []
    for level, (same, norm, down, down_norm) in enumerate(model.down_branch):
        x = _block(builder, x, same, norm)
        if down is not None:
            skips.append(x)
            x = _block(builder, x, down, down_norm, paddings.get(level))
    for up, norm, same, same_norm in model.up_branch:
        skip = skips.pop()
        # Cropped before the activation, so that there are no states that nobody reads.
        made = builder.crop(builder.norm(builder.transposed_conv(x, up), norm), *crop)
        excess = made.n_samples - skip.n_samples
        if excess < 0:
            raise ValueError(
                f"PhaseNet's skip connection has {skip.n_samples} samples and what meets it {made.n_samples}; this "
                "length of window does not fit the network"
            )
        made = builder.crop(made, excess // 2, excess - excess // 2)
        x = _block(builder, builder.concatenate([skip, builder.activate(made, "relu")]), same, same_norm)
    return builder.conv(x, model.out)


def phasenet_light(builder: Builder, x: Signal, model: Any) -> Signal:
    """Probabilities of PhaseNetLight."""
    skips = [_block(builder, x, model.inc, model.in_bn)]
    downs = ((model.conv1, model.bnd1), (model.conv2, model.bnd2), (model.conv3, model.bnd3), (model.conv4, model.bnd4))
    for same, norm in downs:
        builder.require(not same.cut_last_element, same, "it cuts its last sample")
        skips.append(_block(builder, skips[-1], same.conv, norm))
    x = skips.pop()
    for up, norm in (
        (model.up1, model.bnu1),
        (model.up2, model.bnu2),
        (model.up3, model.bnu3),
        (model.up4, model.bnu4),
    ):
        made = builder.activate(builder.norm(builder.transposed_conv(x, up), norm), "relu")
        x = builder.concatenate([made, skips.pop()])
    return builder.softmax(builder.transposed_conv(x, model.out))


def eqtransformer(builder: Builder, x: Signal, model: Any) -> Signal:
    """Probabilities of the detection and of each phase of EQTransformer, one channel each."""
    for layer, pool, padding in zip(model.encoder.convs, model.encoder.pools, model.encoder.paddings, strict=True):
        if padding != x.n_samples % 2:
            raise ValueError(
                f"EQTransformer pads as for {model.in_samples} samples, which does not fit {builder.input.n_samples}; "
                "build it with in_samples of the length wanted"
            )
        # What is padded is far below any state: the last group is short.
        x = builder.pool(builder.conv(x, layer), builder.pool_size(pool), "relu")
    for block in model.res_cnn_stack.members:
        x = _residual_block(builder, x, block)
    return _branches(builder, x, model, _decoded)


def _branches(builder: Builder, x: Signal, model: Any, decoded: Callable[[Builder, Signal, Any], Signal]) -> Signal:
    """Recurrent blocks and transformers, then a decoder with a last convolution for each output."""
    for block in model.bi_lstm_stack.members:
        x = builder.settle(builder.norm(builder.conv(lstm(builder, x, block.lstm), block.conv), block.norm))
    x = transformer(builder, transformer(builder, x, model.transformer_d0), model.transformer_d)
    decoders = [decoded(builder, x, model.decoder_d)]
    for recurrence, attending, decoder in zip(
        model.pick_lstms, model.pick_attentions, model.pick_decoders, strict=True
    ):
        decoders.append(decoded(builder, attention(builder, lstm(builder, x, recurrence), attending), decoder))
    convolutions = zip(decoders, (model.conv_d, *model.pick_convs), strict=True)
    return builder.concatenate([builder.activate(builder.conv(made, conv), "sigmoid") for made, conv in convolutions])


def _residual_block(builder: Builder, x: Signal, block: Any) -> Signal:
    padding = (0, 1) if block.manual_padding else None
    normed = builder.activate(builder.norm(x, block.norm1), "relu")
    hidden = _block(builder, normed, block.conv1, block.norm2, padding)
    return builder.add(x, builder.conv(hidden, block.conv2, padding))


def _decoded(builder: Builder, x: Signal, decoder: Any) -> Signal:
    for level, layer in enumerate(decoder.convs):
        x = _upsample(builder, x, decoder.upsample)
        left, right = (int(level == 3),) * 2 if decoder.original_compatible else (0, int(level in decoder.crops))
        x = _block(builder, builder.crop(x, left, right), layer)
    return x


def leqnet(builder: Builder, x: Signal, model: Any) -> Signal:
    """Probabilities of the detection and of each phase of LEQNet, one channel each."""
    for index in model.encoder.order:
        x = builder.pool(_separable(builder, x, model.encoder.layers[index]), 2, "relu")
    for block in model.res_cnn_stack:
        y = x
        for norm, convolution in zip(block.norms, block.convolutions, strict=True):
            y = builder.conv(builder.activate(builder.norm(y, norm), "relu"), convolution)
        x = builder.add(x, y)
    return _branches(builder, x, model, _leqnet_decoded)


def _separable(builder: Builder, x: Signal, layer: Any) -> Signal:
    return builder.conv(builder.conv(x, layer.depthwise), layer.pointwise)


def _leqnet_decoded(builder: Builder, x: Signal, decoder: Any) -> Signal:
    for index, length in zip(decoder.order, decoder.lengths, strict=True):
        copies = builder.upsample(x, 2)
        made = _separable(builder, builder.crop(copies, 0, copies.n_samples - length), decoder.layers[index])
        x = builder.activate(made, "relu")
    return x


def pickflownet(builder: Builder, x: Signal, model: Any) -> Signal:
    """Probabilities of PickflowNet from prepared windows."""
    x = _block(builder, x, model.stem.convolution, model.stem.norm)
    skips = []
    for down, residual in zip(model.down, model.down_residual, strict=True):
        skips.append(x)
        x = _residuals(builder, _block(builder, x, down.convolution, down.norm), residual)
    for separable in model.context:
        hidden = _block(builder, x, separable.depthwise, separable.norm)
        x = builder.add(x, _block(builder, hidden, separable.pointwise.convolution, separable.pointwise.norm))
    for up, residual, skip in zip(model.up, model.up_residual, reversed(skips), strict=True):
        made = builder.activate(builder.norm(builder.transposed_conv(x, up.convolution), up.norm), "relu")
        x = _residuals(builder, builder.add(skip, made), residual)
    x = _block(builder, x, model.last.convolution, model.last.norm)
    return builder.softmax(builder.conv(x, model.out))


def _residuals(builder: Builder, x: Signal, layers: Any) -> Signal:
    """One residual block, a sequence of them, or none."""
    if hasattr(layers, "block"):
        return builder.add(x, _block(builder, x, layers.block.convolution, layers.block.norm))
    for layer in layers.children():
        x = _residuals(builder, x, layer)
    return x


_WALKS: dict[str, Callable[[Builder, Signal, Any], Signal]] = {
    "PhaseNet": phasenet,
    "VariableLengthPhaseNet": variable_length_phasenet,
    "PhaseNetLight": phasenet_light,
    "EQTransformer": eqtransformer,
    "LEQNet": leqnet,
    "PickflowNet": pickflownet,
    "Sequential": sequential,
}
