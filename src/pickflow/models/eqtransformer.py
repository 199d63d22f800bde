"""One EQTransformer whose every part is a parameter; its named variants are entries of the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from seisbench.models import EQTransformer
from seisbench.models.eqtransformer import SeqSelfAttention, SpatialDropout1d, Transformer
from torch import Tensor, nn

# Mousavi et al. (2020), as Lim et al. (2022) count them: 323,063 weights.
FILTERS = (8, 16, 16, 32, 32, 64, 64)
KERNEL_SIZES = (11, 9, 7, 7, 5, 5, 3)
RESIDUAL_KERNELS = (3, 3, 3, 2, 2)
RECURRENT_BLOCKS = ("bilstm", "bilstm")
BRANCH_RECURRENCES = ("lstm",)
N_UNITS = 16

RECURRENCES: dict[str, tuple[type[nn.LSTM | nn.GRU], bool]] = {
    "lstm": (nn.LSTM, False),
    "bilstm": (nn.LSTM, True),
    "gru": (nn.GRU, False),
    "bigru": (nn.GRU, True),
}
NORMS = ("std", "peak")
_ATTENTION_EPSILON = 1e-5  # as SeisBench's
_LOCAL_WIDTH = 3  # steps that the attention of a branch sees (Mousavi et al., 2020)
_END_KERNEL = 11  # of the convolution before each probability (Mousavi et al., 2020)


class EQTransformerVariant(EQTransformer):
    """
    EQTransformer (Mousavi et al., 2020, doi:10.1038/s41467-020-17591-w) of any depth, width and kind of layers.

    Labels, preparation of windows, thresholds and all that SeisBench's `annotate` does are EQTransformer's. Layers have
    SeisBench's names, so that weights of ``seisbench.models.EQTransformer`` load where the parameters are SeisBench's:
    ``residual_kernels=(3, 3, 3, 3, 2, 3, 2), recurrent_blocks=("bilstm",) * 3``.

    Parameters
    ----------
    in_channels, in_samples, classes, phases, drop_rate, sampling_rate
        As in `seisbench.models.EQTransformer`.
    norm : {"std", "peak"}
        What a window is divided by.
    filters : sequence of int
        Channels of each encoder layer, each of which halves the samples; their number is the depth.
    kernel_sizes : sequence of int
        One for each encoder layer. With an even kernel the odd zero of the padding is at the end, as in Keras.
    decoder_filters, decoder_kernel_sizes : sequence of int or None
        Of the three decoders, as many as the encoder has; None for those of the encoder in reverse.
    residual_kernels : sequence of int
        Kernel of each residual block.
    recurrent_blocks : sequence of {"bilstm", "lstm", "bigru", "gru"}
        Blocks of a recurrent layer, a convolution of width 1 and a normalisation, before the attention. Without one
        the attention works on the channels of the encoder.
    attention_blocks : int
        Transformers with additive attention over all steps.
    branch_recurrences : sequence of {"lstm", "gru", "bilstm", "bigru"}
        Recurrent layers of each phase, before its local attention.
    n_units : int
        States of each direction of a recurrent layer.
    **kwargs
        For `seisbench.models.EQTransformer`.

    Raises
    ------
    ValueError
        If the parameters contradict one another, or a kernel is longer than what it reads; it names the layer.
    """

    def __init__(
        self,
        in_channels: int = 3,
        in_samples: int = 6000,
        classes: int = 2,
        phases: str = "PS",
        drop_rate: float = 0.1,
        sampling_rate: float = 100,
        norm: str = "std",
        *,
        filters: Sequence[int] = FILTERS,
        kernel_sizes: Sequence[int] = KERNEL_SIZES,
        decoder_filters: Sequence[int] | None = None,
        decoder_kernel_sizes: Sequence[int] | None = None,
        residual_kernels: Sequence[int] = RESIDUAL_KERNELS,
        recurrent_blocks: Sequence[str] = RECURRENT_BLOCKS,
        attention_blocks: int = 2,
        branch_recurrences: Sequence[str] = BRANCH_RECURRENCES,
        n_units: int = N_UNITS,
        **kwargs: Any,
    ):
        self._parts: dict[str, Any] = {
            "filters": list(filters),
            "kernel_sizes": list(kernel_sizes),
            "decoder_filters": list(decoder_filters or reversed(filters)),
            "decoder_kernel_sizes": list(decoder_kernel_sizes or reversed(kernel_sizes)),
            "residual_kernels": list(residual_kernels),
            "recurrent_blocks": list(recurrent_blocks),
            "attention_blocks": attention_blocks,
            "branch_recurrences": list(branch_recurrences),
            "n_units": n_units,
        }
        _check(self._parts, norm, in_samples)
        kwargs.setdefault("component_order", "ZNE")
        super().__init__(
            in_channels,
            in_samples,
            classes,
            phases,
            len(recurrent_blocks),
            drop_rate,
            False,
            sampling_rate,
            norm,
            **kwargs,
        )
        self._make_common()
        self._make_branches()

    def _make_common(self) -> None:
        """All before the decoders."""
        parts, rate = self._parts, self.drop_rate
        self.filters, self.kernel_sizes = parts["filters"], parts["kernel_sizes"]
        self.res_cnn_kernels = parts["residual_kernels"]
        lengths = halved_lengths(self.in_samples, len(self.filters))
        self.encoder = _Encoder(self.in_channels, self.filters, self.kernel_sizes, lengths)
        width, units = self.filters[-1], parts["n_units"]
        self.res_cnn_stack = _Stack([_ResidualBlock(width, kernel, rate) for kernel in self.res_cnn_kernels])
        blocks = []
        for kind in parts["recurrent_blocks"]:
            blocks.append(_RecurrentBlock(kind, width, units, rate))
            width = units
        self.bi_lstm_stack = _Stack(blocks)
        del self.transformer_d0, self.transformer_d
        self.attention_names = attention_names(parts["attention_blocks"])
        for name in self.attention_names:
            setattr(self, name, Transformer(width, rate, eps=_ATTENTION_EPSILON))
        self.n_code = width

    def _make_branches(self) -> None:
        """Decoders, and what the phases have before theirs."""
        parts = self._parts
        decoder = (parts["decoder_filters"], parts["decoder_kernel_sizes"])
        lengths = halved_lengths(self.in_samples, len(self.filters))
        self.decoder_d = _Decoder(self.n_code, *decoder, lengths)
        self.conv_d = _convolution(decoder[0][-1], 1, _END_KERNEL)
        # Layer by layer, in each phase by phase: the first ones have SeisBench's names.
        self.pick_lstms, width = nn.ModuleList(), self.n_code
        for kind in parts["branch_recurrences"]:
            layers = [_recurrent_layer(kind, width, parts["n_units"]) for _ in range(self.classes)]
            self.pick_lstms.extend(layers)
            width = parts["n_units"] * (2 if layers[0].bidirectional else 1)
        branches = range(self.classes)
        self.pick_attentions = nn.ModuleList(
            SeqSelfAttention(width, attention_width=_LOCAL_WIDTH, eps=_ATTENTION_EPSILON) for _ in branches
        )
        self.pick_decoders = nn.ModuleList(_Decoder(width, *decoder, lengths) for _ in branches)
        self.pick_convs = nn.ModuleList(_convolution(decoder[0][-1], 1, _END_KERNEL) for _ in branches)

    def forward(self, x: Tensor, logits: bool = False) -> tuple[Tensor, ...]:
        """
        Probabilities of a detection and of each phase, or their logits.

        Parameters
        ----------
        x : Tensor, shape (n, in_channels, in_samples)
        logits : bool

        Returns
        -------
        tuple of Tensor, each of shape (n, in_samples)

        Raises
        ------
        ValueError
            If the windows have another shape.
        """
        if tuple(x.shape[1:]) != (self.in_channels, self.in_samples):
            raise ValueError(
                f"windows of shape {tuple(x.shape)}, the model needs (n, {self.in_channels}, {self.in_samples})"
            )
        x = self.bi_lstm_stack(self.res_cnn_stack(self.encoder(x)))
        for name in self.attention_names:
            x, _ = getattr(self, name)(x)
        outputs = [self.conv_d(self.decoder_d(x))]
        branches = zip(self.pick_attentions, self.pick_decoders, self.pick_convs, strict=True)
        for phase, (attention, decoder, convolution) in enumerate(branches):
            y = x
            for layer in self.pick_lstms[phase :: self.classes]:
                y = self.dropout(_over_time(layer, y))
            y, _ = attention(y)
            outputs.append(convolution(decoder(y)))
        if not logits:
            outputs = [torch.sigmoid(output) for output in outputs]
        return tuple(torch.squeeze(output, dim=1) for output in outputs)

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again."""
        arguments = {**super().get_model_args(), **self._parts}
        return {name: value for name, value in arguments.items() if name not in ("lstm_blocks", "original_compatible")}


class _Encoder(nn.Module):
    """Convolution, rectifier, larger of two samples; for each layer."""

    def __init__(self, n_in: int, filters: Sequence[int], kernel_sizes: Sequence[int], lengths: Sequence[int]):
        super().__init__()
        self.convs = _convolutions([n_in, *filters], kernel_sizes)
        self.paddings = [length % 2 for length in lengths[:-1]]

    def forward(self, x: Tensor) -> Tensor:
        for convolution, padding in zip(self.convs, self.paddings, strict=True):
            x = torch.relu(_same_length(convolution, x))
            if padding:  # the rectified are not negative: a zero never is the larger one
                x = nn.functional.pad(x, (0, padding))
            x = nn.functional.max_pool1d(x, 2)
        return x


class _Decoder(nn.Module):
    """Every sample twice, convolution, rectifier; for each layer."""

    def __init__(self, n_in: int, filters: Sequence[int], kernel_sizes: Sequence[int], lengths: Sequence[int]):
        super().__init__()
        self.convs = _convolutions([n_in, *filters], kernel_sizes)
        self.lengths = list(lengths[-2::-1])

    def forward(self, x: Tensor) -> Tensor:
        for convolution, length in zip(self.convs, self.lengths, strict=True):
            x = nn.functional.interpolate(x, scale_factor=2.0)[..., :length]
            x = torch.relu(_same_length(convolution, x))
        return x


class _Stack(nn.Module):
    """Layers one after another; without any, nothing happens."""

    def __init__(self, members: Sequence[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        for member in self.members:
            x = member(x)
        return x


class _ResidualBlock(nn.Module):
    """Two convolutions around which the input passes; each has a normalisation and a rectifier before it."""

    def __init__(self, width: int, kernel_size: int, drop_rate: float):
        super().__init__()
        self.dropout = SpatialDropout1d(drop_rate)
        self.norm1 = nn.BatchNorm1d(width, eps=1e-3)  # Keras' epsilon
        self.conv1 = _convolution(width, width, kernel_size)
        self.norm2 = nn.BatchNorm1d(width, eps=1e-3)
        self.conv2 = _convolution(width, width, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        y = _same_length(self.conv1, self.dropout(torch.relu(self.norm1(x))))
        return x + _same_length(self.conv2, self.dropout(torch.relu(self.norm2(y))))


class _RecurrentBlock(nn.Module):
    """A recurrent layer, a convolution of width 1, a normalisation."""

    def __init__(self, kind: str, n_in: int, n_units: int, drop_rate: float):
        super().__init__()
        self.lstm = _recurrent_layer(kind, n_in, n_units)  # SeisBench's name, of a GRU as well
        self.dropout = nn.Dropout(drop_rate)
        self.conv = nn.Conv1d(n_units * (2 if self.lstm.bidirectional else 1), n_units, 1)
        self.norm = nn.BatchNorm1d(n_units, eps=1e-3)  # Keras' epsilon

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.norm(self.conv(self.dropout(_over_time(self.lstm, x))))
        return output


def attention_names(n_blocks: int) -> list[str]:
    """Names of the transformers in their order: SeisBench's for two."""
    return [*(f"transformer_d{index}" for index in range(n_blocks - 1)), *["transformer_d"][:n_blocks]]


def halved_lengths(n_samples: int, n_layers: int) -> list[int]:
    """Samples before each halving, and after the last; odd ones are rounded up."""
    lengths = [n_samples]
    for _ in range(n_layers):
        lengths.append((lengths[-1] + 1) // 2)
    return lengths


def _recurrent_layer(kind: str, n_in: int, n_units: int) -> nn.LSTM | nn.GRU:
    make, bidirectional = RECURRENCES[kind]
    return make(n_in, n_units, bidirectional=bidirectional)


def _over_time(layer: nn.Module, x: Tensor) -> Tensor:
    """Outputs of a recurrent layer, which wants time first; shapes (n, n_in, n_samples) to (n, n_out, n_samples)."""
    outputs: Tensor = layer(x.permute(2, 0, 1))[0]
    return outputs.permute(1, 2, 0)


def _convolutions(widths: Sequence[int], kernel_sizes: Sequence[int]) -> nn.ModuleList:
    sizes = zip(widths[:-1], widths[1:], kernel_sizes, strict=True)
    return nn.ModuleList(_convolution(*size) for size in sizes)


def _convolution(n_in: int, n_out: int, kernel_size: int) -> nn.Conv1d:
    """For `_same_length`: of an odd kernel the padding is torch's own."""
    return nn.Conv1d(n_in, n_out, kernel_size, padding=kernel_size // 2 if kernel_size % 2 else 0)


def _same_length(convolution: nn.Module, x: Tensor) -> Tensor:
    """Output of a convolution with as many samples as its input."""
    (kernel_size,) = convolution.kernel_size  # type: ignore[misc]
    if kernel_size % 2 == 0:
        x = nn.functional.pad(x, (kernel_size // 2 - 1, kernel_size // 2))
    output: Tensor = convolution(x)
    return output


def _check(parts: dict[str, Any], norm: str, in_samples: int) -> None:
    """Refuse parameters that make no network; the messages name parameter and value."""
    if norm not in NORMS:
        raise ValueError(f"norm {norm!r} is not one of {', '.join(NORMS)}")
    depth = len(parts["filters"])
    for name in ("kernel_sizes", "decoder_filters", "decoder_kernel_sizes"):
        if len(parts[name]) != depth or not depth:
            raise ValueError(f"{name} {parts[name]}: {len(parts[name])} layers, filters has {depth}; give as many")
    for name in ("filters", "kernel_sizes", "decoder_filters", "decoder_kernel_sizes", "residual_kernels", "n_units"):
        numbers = parts[name] if isinstance(parts[name], list) else [parts[name]]
        if not all(isinstance(number, int) and number >= 1 for number in numbers):
            raise ValueError(f"{name} {parts[name]}: whole numbers from 1 on are needed")
    if not isinstance(parts["attention_blocks"], int) or parts["attention_blocks"] < 0:
        raise ValueError(f"attention_blocks {parts['attention_blocks']}: a whole number from 0 on is needed")
    for name in ("recurrent_blocks", "branch_recurrences"):
        if unknown := [kind for kind in parts[name] if kind not in RECURRENCES]:
            raise ValueError(f"{name}: {unknown[0]!r} is not one of {', '.join(RECURRENCES)}")
    _check_window(parts, in_samples)


def _check_window(parts: dict[str, Any], in_samples: int) -> None:
    """Refuse a kernel that is longer than its input: some of its weights would only ever meet zeros."""
    lengths = halved_lengths(in_samples, len(parts["filters"]))
    kernels = [("encoder.convs.{}", parts["kernel_sizes"], lengths)]
    kernels += [("res_cnn_stack.members.{}", parts["residual_kernels"], [lengths[-1]] * len(parts["residual_kernels"]))]
    kernels += [("decoder_d.convs.{}", parts["decoder_kernel_sizes"], lengths[-2::-1])]
    for name, sizes, read in kernels:
        for index, (kernel_size, n_samples) in enumerate(zip(sizes, read, strict=False)):
            if kernel_size > n_samples:
                raise ValueError(
                    f"layer {name.format(index)} has a kernel of {kernel_size} samples and reads {n_samples} of a "
                    f"window of {in_samples}; take a longer window (in_samples), fewer layers or a smaller kernel"
                )
