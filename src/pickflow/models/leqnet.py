"""LEQNet: a light relative of EQTransformer, after Lim et al. (2022)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from seisbench.models import EQTransformer
from seisbench.models.eqtransformer import BiLSTMStack
from torch import Tensor, nn

from pickflow.models.eqtransformer import halved_lengths

FILTERS = (8, 16, 16, 32)
KERNEL_SIZES = (11, 9, 7, 7)
# Which layer makes each of the seven halvings (doublings): the third, of equal channels, four times.
PASSES = (0, 1, 2, 2, 2, 2, 3)
N_BLOCKS = 4
N_BOTTLENECK = 8
N_CODE = 16  # channels between the recurrent blocks and the decoders, as in EQTransformer


class LEQNet(EQTransformer):
    """
    EQTransformer with separable, recurrent convolutions and a bottleneck: 39,776 weights.

    Outputs, preparation of windows, recurrent blocks, attention and all that SeisBench's `annotate` does are
    EQTransformer's. The encoder and the decoders are depthwise-separable convolutions, one of which is applied four
    times (a recurrent CNN); four residual blocks of 1×1, depthwise 3×1 and 1×1 stand between. See docs/leqnet.md for
    what the paper leaves open.

    Parameters
    ----------
    in_channels, in_samples, classes, phases, drop_rate, sampling_rate, norm
        As in `seisbench.models.EQTransformer`.
    lstm_blocks : int
        Blocks of a bidirectional LSTM.
    **kwargs
        For `seisbench.models.EQTransformer`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        in_samples: int = 6000,
        classes: int = 2,
        phases: str = "PS",
        lstm_blocks: int = 2,
        drop_rate: float = 0.1,
        sampling_rate: float = 100,
        norm: str = "std",
        **kwargs: Any,
    ):
        kwargs.setdefault("component_order", "ZNE")
        super().__init__(
            in_channels, in_samples, classes, phases, lstm_blocks, drop_rate, False, sampling_rate, norm, **kwargs
        )
        self._citation = (
            "Lim, J., Jung, S., JeGal, C., Jung, G., Yoo, J. H., Gahm, J. K., and Song, G. LEQNet: Light Earthquake "
            "Deep Neural Network for Earthquake Detection and Phase Picking. Front. Earth Sci. 10 (2022). "
            "https://doi.org/10.3389/feart.2022.848237"
        )
        lengths = halved_lengths(in_samples, len(PASSES))
        self.encoder = _Encoder(in_channels, lengths)
        self.res_cnn_stack = nn.Sequential(*(_Block(FILTERS[-1], N_BOTTLENECK, drop_rate) for _ in range(N_BLOCKS)))
        self.bi_lstm_stack = BiLSTMStack(lstm_blocks, FILTERS[-1], drop_rate)
        self.decoder_d = _Decoder(lengths)
        self.pick_decoders = nn.ModuleList(_Decoder(lengths) for _ in range(classes))

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again."""
        return {name: value for name, value in super().get_model_args().items() if name != "original_compatible"}


class _Separable(nn.Module):
    """Depthwise and pointwise convolution, rectifier; the only bias is behind the second."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int):
        super().__init__()
        self.depthwise = nn.Conv1d(n_in, n_in, kernel_size, padding=kernel_size // 2, groups=n_in, bias=False)
        self.pointwise = nn.Conv1d(n_in, n_out, 1)
        # No normalisation follows: signals must neither fade nor grow over seven layers.
        nn.init.normal_(self.depthwise.weight, std=kernel_size**-0.5)
        nn.init.kaiming_normal_(self.pointwise.weight, nonlinearity="relu")
        assert self.pointwise.bias is not None
        nn.init.zeros_(self.pointwise.bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.pointwise(self.depthwise(x)))


class _Encoder(nn.Module):
    """Seven times: convolution, rectifier, maximum of two samples; shapes (n, 3, 6000) to (n, 32, 47)."""

    def __init__(self, n_in: int, lengths: list[int]):
        super().__init__()
        self.order = PASSES
        self.layers = _layers((n_in, *FILTERS), KERNEL_SIZES)
        self.paddings = [length % 2 for length in lengths[:-1]]

    def forward(self, x: Tensor) -> Tensor:
        for index, padding in zip(self.order, self.paddings, strict=True):
            x = self.layers[index](x)
            if padding:  # the rectified are not negative: a zero never is the larger one
                x = nn.functional.pad(x, (0, padding))
            x = nn.functional.max_pool1d(x, 2)
        return x


class _Decoder(nn.Module):
    """Seven times: every sample twice, convolution, rectifier; shapes (n, 16, 47) to (n, 8, 6000)."""

    def __init__(self, lengths: list[int]):
        super().__init__()
        self.order = PASSES
        self.layers = _layers((N_CODE, *FILTERS[::-1]), KERNEL_SIZES[::-1])
        self.lengths = lengths[-2::-1]

    def forward(self, x: Tensor) -> Tensor:
        for index, length in zip(self.order, self.lengths, strict=True):
            x = self.layers[index](nn.functional.interpolate(x, scale_factor=2.0)[..., :length])
        return x


class _Block(nn.Module):
    """Bottleneck around which its input passes; each convolution has a normalisation and a rectifier before it."""

    def __init__(self, n_channels: int, n_bottleneck: int, drop_rate: float):
        super().__init__()
        widths = (n_channels, n_bottleneck, n_bottleneck)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width, eps=1e-3) for width in widths)
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(n_channels, n_bottleneck, 1, bias=False),
                nn.Conv1d(n_bottleneck, n_bottleneck, 3, padding=1, groups=n_bottleneck, bias=False),
                nn.Conv1d(n_bottleneck, n_channels, 1, bias=False),
            ]
        )
        self.dropout = nn.Dropout1d(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            y = convolution(self.dropout(torch.relu(norm(y))))
        return x + y


def _layers(channels: Iterable[int], kernel_sizes: Iterable[int]) -> nn.ModuleList:
    widths = list(channels)
    return nn.ModuleList(_Separable(*sizes) for sizes in zip(widths[:-1], widths[1:], kernel_sizes, strict=True))
