"""PickflowNet: the small phase picker that comes with pickflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal
import torch
from seisbench.models.base import WaveformModel
from seisbench.util import ClassifyOutput, PickList
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

IN_SAMPLES = 3072
SAMPLING_RATE_HZ = 100.0
HIGH_PASS_HZ = 1.0
_HIGH_PASS_TAPS = 160
_HIGH_PASS_FRAME = 32
_STRIDE = 4
_DILATIONS = (1, 2, 4, 8, 1, 2, 4, 8)


class PickflowNet(WaveformModel):
    """
    Residual U-shaped network that gives probabilities of noise, P and S for each sample of a 30.72 s window.

    Three levels of stride 4 carry dense residual blocks; at the bottom, where a step is 0.64 s, depthwise-separable
    blocks with growing dilation see the whole window. Everything that prepares the waveforms is inside ``forward``:
    a causal high-pass, a robust scale per component and a logarithmic compression, so that any unit and gain will do
    and an exported network needs no code around it. A component that is missing is all zeros.
    ``component_order`` of one letter makes a picker for stations with one component.

    Parameters
    ----------
    channels : sequence of int
        Width of the four levels.
    phases : str
        Labels in the order of the output.
    sampling_rate : float
        In Hz.
    **kwargs
        For `seisbench.models.WaveformModel`.
    """

    _annotate_args = WaveformModel._annotate_args.copy()
    _annotate_args["*_threshold"] = ("Detection threshold for the provided phase", 0.3)
    _annotate_args["blinding"] = (
        "Number of prediction samples to discard on each side of each window prediction",
        (200, 200),
    )
    _annotate_args["overlap"] = (_annotate_args["overlap"][0], IN_SAMPLES // 2)

    def __init__(
        self,
        channels: tuple[int, ...] = (8, 16, 32, 64),
        phases: str = "NPS",
        sampling_rate: float = SAMPLING_RATE_HZ,
        **kwargs: Any,
    ):
        kwargs.setdefault("component_order", "ZNE")
        super().__init__(
            citation="pickflow, the bundled picker: see docs/bundled-picker.md",
            in_samples=IN_SAMPLES,
            output_type="array",
            pred_sample=(0, IN_SAMPLES),
            labels=phases,
            sampling_rate=sampling_rate,
            **kwargs,
        )
        self.channels = tuple(channels)
        fine, upper, lower, bottom = self.channels
        self.register_buffer("high_pass", _high_pass_frames(sampling_rate), persistent=False)
        self.stem = _Block(len(self.component_order), fine, kernel_size=9)
        self.down = nn.ModuleList(
            [
                _Block(fine, upper, kernel_size=9, stride=_STRIDE),
                _Block(upper, lower, kernel_size=9, stride=_STRIDE),
                _Block(lower, bottom, kernel_size=5, stride=_STRIDE),
            ]
        )
        self.down_residual = nn.ModuleList([_residuals(upper), _residuals(lower), nn.Identity()])
        self.context = nn.Sequential(*(_SeparableResidual(bottom, dilation) for dilation in _DILATIONS))
        self.up = nn.ModuleList([_Upsample(bottom, lower), _Upsample(lower, upper), _Upsample(upper, fine)])
        self.up_residual = nn.ModuleList([_Residual(lower), _residuals(upper), nn.Identity()])
        self.last = _Block(fine, fine, kernel_size=7)
        self.out = nn.Conv1d(fine, len(phases), 1)

    def prepare(self, windows: Tensor) -> Tensor:
        """
        Filter, scale and compress raw windows.

        Parameters
        ----------
        windows : Tensor, shape (n_windows, n_components, n_samples)
            Any unit.

        Returns
        -------
        Tensor, shape (n_windows, n_components, n_samples)
            Noise of the order of 1, events as the logarithm of their ratio to it; zero components stay zero.
        """
        if has_torch_function((windows,)):  # somebody records the network: this is one step
            return handle_torch_function(PickflowNet.prepare, (windows,), self, windows)  # type: ignore[no-any-return]
        # First to unit peak: squares and products of 1e-20 or 1e+8 leave the range of float32.
        centred = windows - windows.mean(dim=-1, keepdim=True)
        centred = centred / _or_one(centred.abs().amax(dim=-1, keepdim=True))
        # The first sample stands for everything before the window: a step there would ring.
        padded = nn.functional.pad(centred, (_HIGH_PASS_TAPS - 1, 0), mode="replicate").flatten(0, 1)[:, None]
        frames = nn.functional.conv1d(padded, self.high_pass, stride=_HIGH_PASS_FRAME)
        filtered = frames.transpose(1, 2).reshape(windows.shape)
        # The squared mean of roots stays close to the level of the noise even when an event fills half of the window.
        scale = filtered.abs().sqrt().mean(dim=-1, keepdim=True) ** 2
        return torch.sign(filtered) * torch.log1p(filtered.abs() / _or_one(scale))

    def forward(self, windows: Tensor, logits: bool = False) -> Tensor:
        """
        Probabilities of each label at each sample.

        Parameters
        ----------
        windows : Tensor, shape (n_windows, n_components, n_samples)
            Raw waveforms; n_samples is a multiple of 64.
        logits : bool
            Leave out the softmax.

        Returns
        -------
        Tensor, shape (n_windows, 3, n_samples)
        """
        x = self.stem(self.prepare(windows))
        skips = []
        for down, residual in zip(self.down, self.down_residual, strict=True):
            skips.append(x)
            x = residual(down(x))
        x = self.context(x)
        for up, residual, skip in zip(self.up, self.up_residual, reversed(skips), strict=True):
            x = residual(skip + up(x))
        x = self.out(self.last(x))
        return x if logits else torch.softmax(x, dim=1)

    def annotate_batch_post(self, batch: Tensor, piggyback: Any, argdict: dict[str, Any]) -> Tensor:
        """Samples before labels, and NaN where a window's edge is blinded."""
        batch = torch.transpose(batch, -1, -2)
        before, after = argdict.get("blinding", self._annotate_args["blinding"][1])
        if before > 0:
            batch[:, :before] = np.nan
        if after > 0:
            batch[:, -after:] = np.nan
        return batch

    def classify_aggregate(self, annotations: Any, argdict: dict[str, Any]) -> ClassifyOutput:
        """Picks where a probability exceeds its threshold (``P_threshold``, ``S_threshold``)."""
        picks = PickList()
        for phase in self.labels:
            if phase != "N":
                threshold = argdict.get(f"{phase}_threshold", self._annotate_args["*_threshold"][1])
                trace = annotations.select(channel=f"{self.__class__.__name__}_{phase}")
                picks += self.picks_from_annotations(trace, threshold, phase)
        return ClassifyOutput(self.name, picks=PickList(sorted(picks)))

    def get_model_args(self) -> dict[str, Any]:
        """Arguments that build this model again."""
        return {
            "channels": list(self.channels),
            "phases": self.labels,
            "sampling_rate": self.sampling_rate,
            "component_order": self.component_order,
        }


class _Block(nn.Module):
    """Convolution, normalisation, rectifier."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int, stride: int = 1):
        super().__init__()
        self.convolution = nn.Conv1d(n_in, n_out, kernel_size, stride=stride, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm1d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.convolution(x)))


class _Residual(nn.Module):
    """Dense convolution around which its input passes."""

    def __init__(self, n_channels: int):
        super().__init__()
        self.block = _Block(n_channels, n_channels, kernel_size=5)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


def _residuals(n_channels: int) -> nn.Sequential:
    return nn.Sequential(_Residual(n_channels), _Residual(n_channels))


class _SeparableResidual(nn.Module):
    """Dilated depthwise convolution and a pointwise one, around which their input passes."""

    def __init__(self, n_channels: int, dilation: int):
        super().__init__()
        self.depthwise = nn.Conv1d(
            n_channels, n_channels, 5, padding=2 * dilation, dilation=dilation, groups=n_channels, bias=False
        )
        self.norm = nn.BatchNorm1d(n_channels)
        self.pointwise = _Block(n_channels, n_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(torch.relu(self.norm(self.depthwise(x))))


class _Upsample(nn.Module):
    """Transposed convolution by the stride."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.convolution = nn.ConvTranspose1d(n_in, n_out, _STRIDE, stride=_STRIDE, bias=False)
        self.norm = nn.BatchNorm1d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.convolution(x)))


def _or_one(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def _high_pass_frames(sampling_rate_hz: float) -> Tensor:
    """
    Kernel of a causal Butterworth high-pass that has no response to a constant.

    Returns
    -------
    Tensor, shape (n_frame_samples, 1, n_taps + n_frame_samples - 1)
        One output channel per sample of a frame: the same filter, shifted; many samples at once are fast.
    """
    b, a = scipy.signal.butter(2, HIGH_PASS_HZ, "highpass", fs=sampling_rate_hz)
    impulse = np.zeros(_HIGH_PASS_TAPS)
    impulse[0] = 1.0
    taps = scipy.signal.lfilter(b, a, impulse)
    taps = (taps - taps.mean())[::-1]
    kernel = np.zeros((_HIGH_PASS_FRAME, 1, _HIGH_PASS_TAPS + _HIGH_PASS_FRAME - 1))
    for shift in range(_HIGH_PASS_FRAME):
        kernel[shift, 0, shift : shift + _HIGH_PASS_TAPS] = taps
    return torch.tensor(kernel, dtype=torch.float32)
