"""Pickers with random weights and calibration windows of noise, for tests of the compression."""

from __future__ import annotations

import numpy as np
import seisbench.models
import torch

from pickflow.compress.states import Calibration
from pickflow.models.network import PickflowNet

ARCHITECTURES = {
    "PhaseNet": lambda: seisbench.models.PhaseNet(),
    "PhaseNetLight": lambda: seisbench.models.PhaseNetLight(),
    "EQTransformer": lambda: seisbench.models.EQTransformer(),
    "EQTransformer-conservative": lambda: seisbench.models.EQTransformer(original_compatible="conservative"),
    "PickflowNet": lambda: PickflowNet(),
}


def picker(name, seed=0):
    """An untrained picker whose normalisations are not trivial."""
    torch.manual_seed(seed)
    model = ARCHITECTURES[name]().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.3, 0.3)
    return model


def outputs(model, windows):
    """What a picker gives, stacked over its labels."""
    with torch.no_grad():
        made = model(windows)
    return torch.stack(made, dim=1) if isinstance(made, tuple) else made


def some_kept(wiring, rng, least=1):
    """A random choice of channels of each set."""
    return {
        one.name: np.sort(rng.choice(one.n_channels, rng.integers(least, one.n_channels + 1), replace=False))
        for one in wiring.sets
    }


def calibration(model, n_windows=6, seed=0):
    """Windows of noise, with an arrival in the middle of each."""
    windows = torch.from_numpy(
        np.random.default_rng(seed).normal(size=(n_windows, 3, model.in_samples)).astype(np.float32)
    )
    near = np.zeros((n_windows, model.in_samples), dtype=bool)
    near[:, model.in_samples // 2 - 100 : model.in_samples // 2 + 100] = True
    names = tuple(f"XA.A{index:02d} 2024-03-05T10:00:{index:02d}" for index in range(n_windows))
    return Calibration(windows=windows, near_arrival=near, names=names, arrival_weight=4.0)
