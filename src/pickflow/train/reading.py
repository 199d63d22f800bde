"""Real training data beside the labelled sets: continuous records and a teacher's weights."""

from __future__ import annotations

import glob
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import obspy
import seisbench.models
import torch
from numpy.typing import NDArray

from pickflow.datasets.records import SAMPLING_RATE_HZ, to_unit_peak
from pickflow.sampling.rates import same_rate

logger = logging.getLogger(__name__)

LABELLED_SETS = ("ncedc154", "stead50")
TEACHER = ("PhaseNet", "original_converted")
_COMPONENTS = "ZNE12"


@dataclass(frozen=True, kw_only=True)
class ContinuousRecord:
    """A gapless record of a station, Z, N, E at 100 Hz, shape (3, n_samples)."""

    station: str
    samples: NDArray[np.float32]


def read_continuous(root: str | Path) -> list[ContinuousRecord]:
    """
    Read the gapless stretches of every three-component sensor of an SDS archive.

    Parameters
    ----------
    root : str or Path
        Folder with ``YEAR/NET/STA/CHA.D``.

    Returns
    -------
    list of ContinuousRecord
        One per station (its first sensor and location in the order of the codes) and stretch.
    """
    records = []
    for folder in sorted(path for path in Path(root).glob("*/*/*") if path.is_dir()):
        stream = obspy.Stream()
        for path in sorted(folder.glob("*.D/*")):
            stream += obspy.read(glob.escape(str(path)))
        sensors = sorted({trace.id[:-1] for trace in stream})
        for sensor in sensors[:1]:
            traces = obspy.Stream([trace for trace in stream if trace.id[:-1] == sensor])
            if problem := _unusable(traces):
                logger.warning("%s: left out of training: %s", folder, problem)
                continue
            station = ".".join(sensor.split(".")[:2])
            records += [ContinuousRecord(station=station, samples=samples) for samples in _stretches(traces)]
    return records


def _unusable(stream: obspy.Stream) -> str:
    """Why traces of one sensor cannot be learnt from; empty if they can."""
    letters = sorted({trace.stats.channel[-1:] for trace in stream})
    rates_hz = sorted({trace.stats.sampling_rate for trace in stream})
    if len(letters) != 3 or not set(letters) <= set(_COMPONENTS):
        return f"components {', '.join(letters)}; three of Z, N, E, 1, 2 are needed"
    if len(rates_hz) > 1 or not same_rate(rates_hz[0], SAMPLING_RATE_HZ):
        return f"{', '.join(f'{rate_hz:g}' for rate_hz in rates_hz)} Hz; one rate of {SAMPLING_RATE_HZ:g} Hz is needed"
    return ""


def _stretches(stream: obspy.Stream) -> list[NDArray[np.float32]]:
    """Arrays of the times that all three components cover."""
    order = sorted(stream.merge(method=1), key=lambda trace: _COMPONENTS.index(trace.stats.channel[-1]))
    start = max(trace.stats.starttime for trace in order)
    end = min(trace.stats.endtime for trace in order)
    cut = [trace.slice(start, end).data for trace in order]
    n_samples = min(map(len, cut))
    masked = np.ma.stack([np.ma.asarray(data[:n_samples]) for data in cut])
    present = ~np.ma.getmaskarray(masked).any(axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], present.astype(int), [0]])))
    return [
        to_unit_peak(masked[:, first:last].filled(0).astype(float))
        for first, last in edges.reshape(-1, 2)
        if last - first > 60 * SAMPLING_RATE_HZ
    ]


def read_teacher(
    cache: str | Path, name: str = TEACHER[0], weights: str = TEACHER[1]
) -> seisbench.models.WaveformModel:
    """
    A picker from a SeisBench cache, without writing to it.

    Parameters
    ----------
    cache : str or Path
        A ``SEISBENCH_CACHE_ROOT``.
    name, weights : str
        The first version of the weights is taken: what is trained shall not depend on updates.

    Raises
    ------
    ValueError
        If they are not there.
    """
    folder = Path(cache, "models", "v3", name.lower())
    versions = sorted(
        path.name.removeprefix(f"{weights}.json") for path in folder.glob(f"{glob.escape(weights)}.json.v*")
    )
    if not versions:
        raise ValueError(f"train: no {name}/{weights} in {folder}; fetch the weights with SeisBench, or take others")
    card = json.loads((folder / f"{weights}.json{versions[0]}").read_text())
    model = getattr(seisbench.models, name)(**card.get("model_args", {}))
    model.load_state_dict(torch.load(folder / f"{weights}.pt{versions[0]}", map_location="cpu", weights_only=True))
    model.default_args.update(card.get("default_args", {}))
    return model.eval()
