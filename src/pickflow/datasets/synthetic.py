"""Synthetic records, as many as are asked for, and a synthetic set with the columns and the format of STEAD."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pickflow.datasets.records import COMPONENTS, SAMPLING_RATE_HZ, Record, to_unit_peak
from pickflow.datasets.signals import make_noise, make_signal
from pickflow.datasets.splits import SEISBENCH_PARTS, part_of
from pickflow.datasets.subsets import STEAD_COUNTS
from pickflow.io.waveform_sets import Block, write_waveform_set

NAME = "synthetic"
N_SAMPLES = 6000  # a trace of STEAD
NOISE_SHARE = STEAD_COUNTS["noise"] / sum(STEAD_COUNTS.values())
# P of STEAD lies 4 to 9 s after the start of its trace; its picks are visible ones.
P_SAMPLES = (400, 900)
SNR_DB = (8.0, 50.0)
_LEAD_SAMPLES = 200  # of the signals before P
_STATIONS_PER_EVENT = 3
_BLOCK = 256
_START = datetime(2010, 1, 1, tzinfo=UTC)


def synthetic_record(seed: int, index: int, n_samples: int = N_SAMPLES) -> Record:
    """
    One of endlessly many records: an earthquake in noise, or noise alone.

    Parameters
    ----------
    seed, index : int
        The same ones give the same record.
    n_samples : int
        Length at 100 Hz.

    Returns
    -------
    Record
        Its event and its station are its own, and so is its part.
    """
    rng = np.random.default_rng([seed, index])
    name = f"{NAME}-{seed}-{index:08d}"
    picks: dict[str, float] = {}
    if rng.random() < NOISE_SHARE:
        samples = make_noise(rng, n_samples)
    else:
        samples, picks, _ = _earthquake(rng, n_samples)
    return Record(
        name=name,
        dataset=NAME,
        station=f"SY.{index % 100_000:05d}",
        event=name if picks else "",
        kind="event" if picks else "noise",
        part=part_of(name),
        samples=to_unit_peak(samples),
        picks=picks,
    )


def _earthquake(rng: np.random.Generator, n_samples: int) -> tuple[NDArray, dict[str, float], dict[str, float]]:
    """Samples, arrivals inside of them, and magnitude, distance and signal-to-noise ratio."""
    signal = make_signal(rng)
    p_sample = int(rng.integers(*P_SAMPLES))
    snr_db = float(rng.uniform(*SNR_DB))
    first = p_sample - _LEAD_SAMPLES
    samples = make_noise(rng, n_samples)
    length = min(n_samples - first, signal.samples.shape[1])
    samples[:, first : first + length] += signal.samples[:, :length] * np.float32(10 ** (snr_db / 20))
    picks = {phase: at + first for phase, at in signal.picks.items() if at + first < n_samples}
    facts = {"magnitude": signal.magnitude, "distance_km": signal.distance_km, "snr_db": snr_db}
    return samples, picks, facts


def write_stand_in(folder: str | Path, n_events: int, n_noise: int, seed: int = 0) -> None:
    """
    Write a synthetic set that looks like STEAD in SeisBench, to try on what is meant for STEAD.

    Parameters
    ----------
    folder : str or Path
        Where to.
    n_events, n_noise : int
        Traces of earthquakes, up to three of each earthquake, and of noise. A hundredth of STEAD has 10,302 and 2,354.
    seed : int
        The same one gives the same bytes.
    """
    data_format = {
        "dimension_order": "CW",
        "component_order": COMPONENTS,
        "sampling_rate": int(SAMPLING_RATE_HZ),
        "measurement": "velocity",
        "unit": "counts",
        "instrument_response": "not restituted",
    }
    origin = {"name": "STEAD", "stand_in": True, "n_events": n_events, "n_noise": n_noise, "seed": seed}
    write_waveform_set(folder, _stand_in_blocks(n_events, n_noise, seed), data_format, origin)


def _stand_in_blocks(n_events: int, n_noise: int, seed: int) -> Iterator[Block]:
    n_traces = n_events + n_noise
    n_stations = max(int(np.sqrt(n_traces)), 4)
    for first in range(0, n_traces, _BLOCK):
        rows, traces = [], []
        for index in range(first, min(first + _BLOCK, n_traces)):
            rng = np.random.default_rng([seed, index])
            make = _noise_trace if index >= n_events else _event_trace
            row, trace = make(rng, index, n_stations)
            rows.append(row)
            traces.append((trace * 10 ** rng.uniform(2, 5)).astype(np.float32))
        yield Block(pd.DataFrame(rows), traces, [])


def _event_trace(rng: np.random.Generator, index: int, n_stations: int) -> tuple[dict[str, Any], NDArray]:
    event, number = divmod(index, _STATIONS_PER_EVENT)
    samples, picks, facts = _earthquake(rng, N_SAMPLES)
    origin = _START + timedelta(minutes=17 * event)
    row = _common(_station_number(event, number, n_stations), origin, "EV")
    row |= {
        "trace_category": "earthquake_local",
        "trace_p_arrival_sample": picks["P"],
        "trace_p_status": "manual",
        "trace_p_weight": 0.5,
        "trace_s_arrival_sample": picks.get("S", np.nan),
        "trace_s_status": "manual",
        "trace_s_weight": 0.5,
        "trace_coda_end_sample": f"[[{N_SAMPLES - 1}.]]",
        "trace_snr_db": f"[{facts['snr_db']:.1f} {facts['snr_db']:.1f} {facts['snr_db']:.1f}]",
        "source_id": f"{900_000 + event}",
        "source_origin_time": f"{origin:%Y-%m-%d %H:%M:%S.%f}",
        "source_magnitude": round(facts["magnitude"], 1),
        "source_magnitude_type": "ml",
        "source_distance_km": round(facts["distance_km"], 2),
    }
    return row, samples


def _noise_trace(rng: np.random.Generator, index: int, n_stations: int) -> tuple[dict[str, Any], NDArray]:
    time = _START + timedelta(minutes=17 * index + 8)
    row = _common(index % n_stations, time, "NO")
    return row | {"trace_category": "noise"}, make_noise(rng, N_SAMPLES)


def _station_number(event: int, number: int, n_stations: int) -> int:
    """Stations of one event are neighbours; those of the next one are elsewhere, because 7919 is a prime."""
    return (7919 * event + number) % n_stations


def _common(station: int, time: datetime, kind: str) -> dict[str, Any]:
    code, network = f"S{station:03d}", "SY"
    return {
        "trace_name": f"{code}.{network}_{time:%Y%m%d%H%M%S}_{kind}",
        "station_network_code": network,
        "station_code": code,
        "trace_channel": "HH",
        "station_latitude_deg": round(45 + 0.01 * station, 4),
        "station_longitude_deg": 13.0,
        "station_elevation_m": 100.0,
        "trace_start_time": f"{time:%Y-%m-%d %H:%M:%S.%f}",
        "split": SEISBENCH_PARTS[part_of(f"{code} {time:%Y%m%d%H%M%S}", shares=(0.85, 0.05, 0.10))],
    }
