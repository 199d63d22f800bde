"""Real training data: labelled windows, continuous records and a teacher's weights, all outside of the repository."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import obspy
import pandas as pd
import seisbench.models
import torch
from numpy.typing import NDArray

PARTS = ("train", "validation", "test")
LABELLED_SETS = ("ncedc154", "stead50")
SAMPLING_RATE_HZ = 100.0
TEACHER = ("PhaseNet", "original_converted")
_METADATA = (
    "trace_name",
    "station_network_code",
    "station_code",
    "trace_p_arrival_sample",
    "trace_s_arrival_sample",
)
# One of many possible splits; it was chosen by the sizes of the parts only.
_SPLIT = "1"


@dataclass(frozen=True, kw_only=True)
class LabelledRecord:
    """
    A record with manual picks.

    Parameters
    ----------
    name, dataset, station : str
        Where it comes from; the station is ``network.station``.
    samples : ndarray, shape (3, n_samples)
        Z, N, E at 100 Hz; a missing component is all zeros.
    part : str
        One of `PARTS`.
    picks : dict of str to float
        Sample of P and S, where inside the record.
    """

    name: str
    dataset: str
    station: str
    part: str
    samples: NDArray[np.float32]
    picks: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class ContinuousRecord:
    """A gapless record of a station, Z, N, E at 100 Hz, shape (3, n_samples)."""

    station: str
    samples: NDArray[np.float32]


def part_of(name: str) -> str:
    """
    Part of the data to which a group of records belongs, by a hash of its name: 65 % train, 15 % validation, 20 % test.

    Groups are stations, so that no station is in two parts; in a set of a single station they are its records.
    """
    share = hashlib.sha256(f"{_SPLIT}{name}".encode()).digest()[0] / 256
    return "train" if share < 0.65 else "validation" if share < 0.80 else "test"


def read_labelled(folder: str | Path, dataset: str) -> list[LabelledRecord]:
    """
    Read a set in SeisBench's format (metadata.csv and waveforms.hdf5, samples at 100 Hz).

    Small and capital letters of the columns are one; ``trace_name`` is the name where there is no original one.

    Parameters
    ----------
    folder : str or Path
        Holds the two files.
    dataset : str
        Name of the set.

    Returns
    -------
    list of LabelledRecord
        In the order of the metadata.

    Raises
    ------
    ValueError
        If the set or a column is absent, or the sampling rate is not 100 Hz.
    """
    metadata = _read_metadata(Path(folder))
    one_station = metadata.station_code.nunique() == 1
    records = []
    with h5py.File(Path(folder) / "waveforms.hdf5") as file:
        rate = float(file["data_format/sampling_rate"][()])
        if rate != SAMPLING_RATE_HZ:
            raise ValueError(f"{folder}: sampling rate {rate:g} Hz, expected {SAMPLING_RATE_HZ:g} Hz; resample the set")
        order = file["data_format/component_order"][()].decode()
        for row in metadata.to_dict("records"):
            bucket, _, index = str(row["trace_name"]).partition("$")
            stored = file["data"][bucket]
            samples = np.asarray(stored[int(index.split(",")[0])] if index else stored, dtype=np.float64)
            samples = samples[[order.index(component) for component in "ZNE"]]
            arrivals = {phase: float(row[f"trace_{phase.lower()}_arrival_sample"]) for phase in "PS"}
            name = str(row.get("trace_name_original", row["trace_name"]))
            station = f"{row['station_network_code']}.{row['station_code']}"
            records.append(
                LabelledRecord(
                    name=name,
                    dataset=dataset,
                    station=station,
                    part=part_of(name if one_station else station),
                    samples=to_unit_peak(samples),
                    picks={phase: at for phase, at in arrivals.items() if 0 <= at < samples.shape[1]},
                )
            )
    return records


def _read_metadata(folder: Path) -> pd.DataFrame:
    absent = [name for name in ("metadata.csv", "waveforms.hdf5") if not (folder / name).is_file()]
    if absent:
        raise ValueError(f"{folder}: no {absent[0]}; a labelled set is a folder with metadata.csv and waveforms.hdf5")
    metadata = pd.read_csv(folder / "metadata.csv").rename(columns=str.lower)
    missing = [name for name in _METADATA if name not in metadata]
    if missing:
        raise ValueError(f"{folder / 'metadata.csv'}: no column {missing[0]}; needed are {', '.join(_METADATA)}")
    return metadata


def to_unit_peak(samples: NDArray) -> NDArray[np.float32]:
    """Without mean and with a peak of 1 over all components; the ratio of components stays."""
    centred = samples - samples.mean(axis=1, keepdims=True)
    peak = np.abs(centred).max()
    return (centred / peak if peak > 0 else centred).astype(np.float32)


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
            stream += obspy.read(str(path))
        stream.merge(method=1)
        sensors = sorted({trace.id[:-1] for trace in stream})
        for sensor in sensors[:1]:
            traces = obspy.Stream([trace for trace in stream if trace.id[:-1] == sensor])
            station = ".".join(sensor.split(".")[:2])
            records += [ContinuousRecord(station=station, samples=samples) for samples in _stretches(traces)]
    return records


def _stretches(stream: obspy.Stream) -> list[NDArray[np.float32]]:
    """Arrays of the times that all three components cover."""
    order = sorted(stream, key=lambda trace: "ZNE12".index(trace.stats.channel[-1]))
    if len(order) != 3 or any(trace.stats.sampling_rate != SAMPLING_RATE_HZ for trace in order):
        return []
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
    folder = Path(cache) / "models" / "v3" / name.lower()
    versions = sorted(path.name.removeprefix(f"{weights}.json") for path in folder.glob(f"{weights}.json.v*"))
    if not versions:
        raise ValueError(f"train: no {name}/{weights} in {folder}; fetch the weights with SeisBench, or take others")
    card = json.loads((folder / f"{weights}.json{versions[0]}").read_text())
    model = getattr(seisbench.models, name)(**card.get("model_args", {}))
    model.load_state_dict(torch.load(folder / f"{weights}.pt{versions[0]}", map_location="cpu", weights_only=True))
    model.default_args.update(card.get("default_args", {}))
    return model.eval()
