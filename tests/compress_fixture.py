"""Networks with random weights and windows of noise: what tests of compression, implicit models and insides share."""

from __future__ import annotations

import copy
import warnings
from importlib import resources
from pathlib import Path

import numpy as np
import obspy
import pandas as pd
import seisbench.models
import torch
from seisbench.models.base import ActivationLSTMCell
from seisbench.models.eqtransformer import LayerNormalization, SeqSelfAttention
from torch import nn

from pickflow.codes import band_instrument
from pickflow.compress.states import Calibration
from pickflow.inside.network import open_network
from pickflow.inside.windows import synthetic_windows
from pickflow.io.tables import conform, write_table
from pickflow.io.waveforms import write_stream
from pickflow.models.layers import input_axes, n_outputs
from pickflow.models.loading import build
from pickflow.models.network import PickflowNet
from pickflow.safe import GramAccumulator
from pickflow.schemas import MANIFEST, PICKS
from tests.waveform_fixture import with_digests

BUNDLED = Path(str(resources.files("pickflow.models"))) / "bundled" / "PickflowNet"
START = obspy.UTCDateTime("2024-03-05T10:00:00")

ARCHITECTURES = {
    "PhaseNet": lambda: seisbench.models.PhaseNet(),
    "PhaseNetLight": lambda: seisbench.models.PhaseNetLight(),
    "EQTransformer": lambda: seisbench.models.EQTransformer(),
    "EQTransformer-conservative": lambda: seisbench.models.EQTransformer(original_compatible="conservative"),
    "PickflowNet": lambda: PickflowNet(),
    "GRU": lambda: build("GRU", in_samples=3000),
    "kernel_size_changed": lambda: build("kernel_size_changed", in_samples=3000, recurrent_blocks=()),
}
ATTENTIVE = ["EQTransformer", "EQTransformer-conservative"]
PICKERS = ["PhaseNet", "PhaseNetLight", "PickflowNet", *ATTENTIVE]
# With the start values of torch the signal fades in deep networks: a channel read at the wrong place changes nothing.
GAINS = {
    "PhaseNet": 2.4,
    "EQTransformer": 2.4,
    "EQTransformer-conservative": 2.4,
    "GRU": 2.4,
    "kernel_size_changed": 2.4,
}


def picker(name, seed=0):
    """An untrained picker of which every channel matters, with normalisations that are not trivial."""
    torch.manual_seed(seed)
    model = ARCHITECTURES[name]().eval()
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
            module.weight.data *= GAINS.get(name, 1.0)
        elif type(module).__name__ == "SeqSelfAttention":
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.4)
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return model


def look(name, n_events=1, n_noise=1):
    """An untrained picker, its windows and what it reads of them."""
    network = open_network(picker(name))
    windows = synthetic_windows(n_events, n_noise, network.model.in_samples)
    return network, windows, network.inputs(windows)


def vivid(model):
    """A model whose every parameter is random and matters: torch's own start values let signals fade."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d, nn.Linear)):
            module.weight.data *= 2.0
        elif isinstance(module, (nn.LSTM, ActivationLSTMCell)):
            for parameter in module.parameters():
                parameter.data *= 3.0
        elif isinstance(module, (SeqSelfAttention, LayerNormalization)):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.5)
        elif isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_var, 0.3, 1.5)
            nn.init.normal_(module.running_mean, std=0.2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
    return model.eval()


def network_of(make):
    """The network that a function makes, vivid; what it warns of is not the concern of a test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return vivid(make())


def windows_of(implicit, n_windows=4, seed=1):
    """Windows of noise for an implicit model."""
    return np.random.default_rng(seed).standard_normal((n_windows, *implicit.input_shape))


def outputs(model, windows):
    """What a picker gives, stacked over its labels."""
    with torch.no_grad():
        probabilities = model(windows)
    return torch.stack(probabilities, dim=1) if isinstance(probabilities, tuple) else probabilities


def random_selection(wiring, rng, least=1):
    """A random choice of channels of each set."""
    return {
        channel_set.name: np.sort(
            rng.choice(channel_set.n_channels, rng.integers(least, channel_set.n_channels + 1), replace=False)
        )
        for channel_set in wiring.sets
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


def deaf_to(model, wiring, selection):
    """A copy of a model whose layers read nothing of the channels that are not kept."""
    deaf = copy.deepcopy(model)
    state = deaf.state_dict()
    for channel_set in wiring.sets:
        complement = torch.from_numpy(np.setdiff1d(np.arange(channel_set.n_channels), selection[channel_set.name]))
        for reader, first in channel_set.readers:
            for key, axis in input_axes(deaf.get_submodule(reader)):
                state[f"{reader}.{key}"].index_fill_(axis, first + complement, 0.0)
    return deaf


def bias_of(layer):
    """Bias of a layer's rows, float64: that of the inputs for a recurrent layer, zero if it has none."""
    parameters = {name: parameter.detach().double().numpy() for name, parameter in layer.named_parameters()}
    of_input = [value for name, value in parameters.items() if "bias_ih" in name]
    if of_input:
        return np.concatenate(of_input)
    return parameters.get("bias", np.zeros(n_outputs(layer))).copy()


def stream_of(station, minutes, seed):
    """Three components of noise with a burst about every 70 s, and the times of the bursts in s."""
    rng = np.random.default_rng(seed)
    onsets_s = np.arange(40.0, minutes * 60 - 60, 70.0)
    onsets_s += rng.uniform(0, 10)
    samples = rng.normal(size=(3, minutes * 6000)) * 100
    for onset_s in onsets_s:
        first = round(onset_s * 100)
        samples[:, first : first + 1500] += rng.normal(size=(3, 1500)) * 4000 * np.exp(-np.arange(1500) / 300)
    codes = {"network": "XA", "station": station, "location": "", "sampling_rate": 100.0, "starttime": START}
    traces = [obspy.Trace(row, codes | {"channel": f"HH{letter}"}) for row, letter in zip(samples, "ZNE", strict=True)]
    return obspy.Stream(traces), onsets_s


def table_of(rows, table):
    """A table whose other columns are empty."""
    empty = conform(pd.DataFrame(), table)
    frame = pd.DataFrame(rows)
    kinds = {name: empty[name].dtype for name in empty if name not in frame}
    fill = {name: 0 if kind.kind in "iufb" else pd.NaT if kind.kind == "M" else "" for name, kind in kinds.items()}
    return conform(frame.assign(**fill), table)


def manifest_of(stations, usable=True):
    """A manifest of one day."""
    columns = {"usable": usable, "reason": "ok" if usable else "no_data", "date": "2024-03-05"}
    return table_of([{"network": "XA", "station": station} | columns for station in stations], MANIFEST)


def write_day(folder, stations, minutes):
    """Waveforms of a day, and a table with a pick at each burst; returns both paths."""
    waveforms, picks = folder / "waveforms" / "2024-03-05", []
    for seed, station in enumerate(stations):
        stream, onsets_s = stream_of(station, minutes, seed)
        write_stream(stream, waveforms / f"XA.{station}.mseed")
        for onset_s in onsets_s:
            time = pd.Timestamp((START + onset_s).datetime, tz="UTC")
            names = {"network": "XA", "station": station, "location": "", "channel": band_instrument("HHZ")}
            moments = {"time": time, "starttime": time, "endtime": time}
            picks.append(names | moments | {"phase": "P", "probability": 0.9, "pick_id": f"p{station}{onset_s}"})
    write_table(with_digests(manifest_of(stations), waveforms), MANIFEST, waveforms / "manifest.parquet", {})
    write_table(table_of(picks, PICKS), PICKS, folder / "picks.parquet", {})
    return waveforms, folder / "picks.parquet"


def gram_of(features, targets, weights=None):
    """Statistics of samples that come in one batch."""
    accumulator = GramAccumulator()
    accumulator.add(features, targets, weights)
    return accumulator.result()


def sparse_samples(rng):
    """200 samples of 12 features, of which the first three explain two targets."""
    features = rng.normal(size=(200, 12)) + 3
    coefficients = np.zeros((12, 2))
    coefficients[:3] = [[2, -1], [1, 1], [-3, 0.5]]
    targets = features @ coefficients + 0.1 * rng.normal(size=(200, 2)) + 7
    return features, targets
