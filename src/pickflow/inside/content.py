"""What the page shows: windows, layers with their pictures, shares of components and samples, sensitivities."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.signal
from numpy.typing import NDArray
from torch import nn

from pickflow.compress.costs import multiply_adds_by_layer
from pickflow.datasets.records import SAMPLING_RATE_HZ
from pickflow.inside.attribution import Attribution
from pickflow.inside.images import picture, shorten
from pickflow.inside.network import CONVOLUTIONS, Layer, Network
from pickflow.inside.recording import Recording
from pickflow.inside.sensitivity import pick_times_s
from pickflow.inside.windows import Window
from pickflow.models.layers import parameter
from pickflow.viewer.packing import packed_samples, packed_shares

# Of waveforms as they are drawn, as in `pickflow show`; what the picker reads is its own affair.
HIGHPASS_HZ = 1.0
# Of a feature map: as many as a projector shows side by side, within 10 MB for a page of EQTransformer.
_N_COLUMNS = 400
# Colours end where all but a thousandth of the values lie: a few large ones would leave the rest dark.
_SHARE_IN_COLOUR = 0.999


@dataclass(frozen=True, kw_only=True)
class Look:
    """
    All that was found out about a picker.

    Parameters
    ----------
    name : str
        ``MODEL/WEIGHTS``.
    network : Network
        The picker.
    windows : sequence of Window
        Those that are shown.
    probabilities : ndarray, shape (n_windows, n_phases, in_samples)
        Of these.
    recording : Recording
        Of these.
    attributions : sequence of list of Attribution
        Of these, one for each phase.
    sensitivity : DataFrame
        Of all parts, with what else is known about them; empty if it was not asked for.
    correlations : DataFrame
        See `pickflow.inside.comparison.rank_correlations`; empty if there is no compression.
    source : str
        Where the windows come from, in words.
    n_windows : int
        Of the sensitivities.
    student : str
        Name of the student whose channels are marked; empty for none.
    """

    name: str
    network: Network
    windows: Sequence[Window]
    probabilities: NDArray[np.float32]
    recording: Recording
    attributions: Sequence[list[Attribution]]
    sensitivity: pd.DataFrame
    correlations: pd.DataFrame
    source: str
    n_windows: int
    student: str


def content_of(look: Look) -> dict[str, Any]:
    """
    Content of the page, ready for JSON.

    Parameters
    ----------
    look : Look
        What was found out.

    Returns
    -------
    dict
        Samples are 16-bit integers and probabilities bytes in base64, maps are pictures as URIs.
    """
    return {
        "name": look.name,
        "phases": list(look.network.phases),
        "components": look.network.model.component_order,
        "rate_hz": SAMPLING_RATE_HZ,
        "highpass_hz": HIGHPASS_HZ,
        "n_samples": int(look.network.model.in_samples),
        "judged": [look.network.judged.start, look.network.judged.stop],
        "windows": [_window(look, index) for index in range(len(look.windows))],
        "layers": _layers(look),
        "sensitivity": _rows(look.sensitivity),
        "n_windows": look.n_windows,
        "correlations": _rows(look.correlations),
        "student": look.student,
    }


def _window(look: Look, index: int) -> dict[str, Any]:
    window, network = look.windows[index], look.network
    curves = look.probabilities[index]
    return {
        "name": window.name,
        "kind": window.kind,
        "waveforms": [packed_samples(row) for row in _for_the_eye(window.samples)],
        "probabilities": {phase: packed_shares(curves[row]) for row, phase in enumerate(network.phases)},
        "truth": {phase: _rounded(at / SAMPLING_RATE_HZ) for phase, at in window.picks.items()},
        "picks": {
            phase: [_rounded(time_s) for time_s in pick_times_s(network, phase, curves[row])]
            for row, phase in enumerate(network.phases)
        },
        "shares": {
            attribution.phase: {
                "probability": _list(attribution.probability),
                "time_error_s": _list(attribution.time_error_s),
                "whole": _list(attribution.whole),
                "nothing": _list(attribution.nothing),
                "segments": _list(attribution.segments),
            }
            for attribution in look.attributions[index]
        },
    }


def _for_the_eye(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Waveforms without what lies below `HIGHPASS_HZ`, by a causal filter: nothing may precede an onset."""
    sos = scipy.signal.butter(2, HIGHPASS_HZ, "highpass", fs=SAMPLING_RATE_HZ, output="sos")
    return np.asarray(scipy.signal.sosfilt(sos, samples.astype(np.float64) - samples[:, :1], axis=1))


def _layers(look: Look) -> list[dict[str, Any]]:
    costs = multiply_adds_by_layer(look.network.model)
    rows = {} if look.sensitivity.empty else _rows_of_layers(look.sensitivity)
    return [
        {
            "key": layer.key,
            "name": layer.name,
            "kind": layer.kind,
            "group": layer.group,
            "sources": list(layer.sources),
            "labels": list(layer.labels),
            "n_channels": int(look.recording.features[layer.key].shape[1]),
            "n_samples": int(look.recording.features[layer.key].shape[2]),
            "n_parameters": _n_weights(look.network.model.get_submodule(layer.name)),
            "multiply_adds": costs.get(layer.name, 0),
            "rectified": layer.rectified,
            "filters": _filters(look.network.model.get_submodule(layer.name)),
            "features": _maps(look.recording.features[layer.key]),
            "attention": _attention(look.recording, layer),
            "without": rows.get(layer.name),
        }
        for layer in look.network.layers
    ]


def _rows_of_layers(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    whole = table[table.kind.isin(["layer", "attention"])]
    return {row["layer"]: row for row in _rows(whole)}


def _filters(module: nn.Module) -> dict[str, Any] | None:
    """Weights of a convolution, a row for each filter: what it looks for in each of its inputs, one after another."""
    kind = type(module).__name__
    if kind not in (*CONVOLUTIONS, "Linear"):
        return None
    weights = parameter(module.weight)
    weights = weights.transpose(1, 0, 2) if kind == "ConvTranspose1d" else weights.reshape(*weights.shape[:2], -1)
    n_filters, n_inputs, width = weights.shape
    # A grey column between inputs, where there is something to keep apart.
    separator = np.full((n_filters, n_inputs, 1 if width > 1 else 0), np.nan)
    rows = np.concatenate([weights, separator], axis=2).reshape(n_filters, -1)
    rows = rows[:, :-1] if width > 1 else rows
    largest = float(np.abs(weights).max())
    return {
        "n_filters": n_filters, "n_inputs": n_inputs, "width": width, "n_columns": rows.shape[1],
        "largest": _rounded(largest), "picture": picture(rows, largest, signed=True),
    }  # fmt: skip


def _maps(features: NDArray[np.float32]) -> dict[str, Any]:
    """Feature maps of a layer for each window, with the same colours."""
    signed = bool(features.min() < 0)
    largest = float(np.quantile(np.abs(features), _SHARE_IN_COLOUR)) or float(np.abs(features).max())
    return {
        "signed": signed,
        "largest": _rounded(largest),
        "n_silent": int((~features.any(axis=(0, 2))).sum()),
        "pictures": [picture(shorten(window, _N_COLUMNS), largest, signed) for window in features],
    }


def _attention(recording: Recording, layer: Layer) -> dict[str, Any] | None:
    weights = recording.attention.get(layer.key)
    if weights is None:
        return None
    means = weights.mean(axis=1)
    largest = float(np.quantile(weights, _SHARE_IN_COLOUR))
    return {
        "n_samples": weights.shape[2],
        "largest": _rounded(largest),
        "pictures": [picture(window, largest, signed=False) for window in weights],
        "means": [packed_shares(window / max(float(means.max()), 1e-12)) for window in means],
        "largest_mean": _rounded(float(means.max())),
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    return _rounded(float(value)) if isinstance(value, float) else value


def _list(values: Sequence[float] | NDArray[np.float64]) -> list[float | None]:
    return [_rounded(float(value)) for value in values]


def _rounded(value: float) -> float | None:
    return round(value, 4) + 0.0 if math.isfinite(value) else None


def tiles(look: Look) -> list[tuple[str, str, str]]:
    """Headline numbers: label, value, remark."""
    model = look.network.model
    kinds = _counts(look.network.layers)
    numbers = [
        ("Parameters", f"{_n_weights(model):,}", ""),
        ("Multiply-adds", f"{sum(multiply_adds_by_layer(model).values()) / 1e6:.1f} M", "for a window"),
        ("Window", f"{int(model.in_samples) / SAMPLING_RATE_HZ:g} s", f"of {model.component_order}"),
        ("Layers", str(len(look.network.layers)), ", ".join(f"{n} {kind}" for kind, n in kinds.items())),
    ]
    if not look.sensitivity.empty:
        whole = look.sensitivity.iloc[0]
        scores = " / ".join(f"{whole[f'{phase.lower()}_f1']:.2f}" for phase in look.network.phases)
        numbers.append((f"F1 of {' / '.join(look.network.phases)}", scores, f"at 0.3 s, {look.n_windows} windows"))
    return numbers


def _n_weights(module: nn.Module) -> int:
    return sum(weights.numel() for weights in module.parameters())


def _counts(layers: Sequence[Layer]) -> Mapping[str, int]:
    words = {
        "Conv1d": "convolutions", "ConvTranspose1d": "convolutions", "LSTM": "recurrent", "GRU": "recurrent",
        "RNN": "recurrent", "SeqSelfAttention": "attention", "MultiheadAttention": "attention", "Linear": "linear",
    }  # fmt: skip
    counts: dict[str, int] = {}
    for layer in layers:
        counts[words[layer.kind]] = counts.get(words[layer.kind], 0) + 1
    return counts
