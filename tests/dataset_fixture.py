"""Small data sets in SeisBench's format, sound and odd ones."""

import h5py
import numpy as np
import pandas as pd

N_SAMPLES = 3000


def wave(seed, n_samples=N_SAMPLES, n_components=3):
    """Noise of which every component is different, shape (n_components, n_samples)."""
    return np.random.default_rng(seed).normal(size=(n_components, n_samples)).astype(np.float32)


def row(name, **values):
    """Metadata of an earthquake at a station of its own, with P and S."""
    return {
        "trace_name": name,
        "station_network_code": "XA",
        "station_code": "AAA",
        "source_id": f"event of {name}",
        "trace_category": "earthquake_local",
        "trace_p_arrival_sample": 1000.0,
        "trace_s_arrival_sample": 1500.0,
        **values,
    }


def noise_row(name, **values):
    """Metadata of noise."""
    arrivals = {"trace_p_arrival_sample": np.nan, "trace_s_arrival_sample": np.nan}
    return {**row(name), "source_id": "", "trace_category": "noise", **arrivals, **values}


def write_set(folder, rows, traces, *, chunk="", bucket=None, **data_format):
    """
    Write a set: an array for each trace, or all traces in a bucket, padded with zeros to the longest.

    ``data_format`` replaces ``component_order``, ``dimension_order`` and ``sampling_rate``; None leaves one out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = {"component_order": "ZNE", "dimension_order": "CW", "sampling_rate": 100, **data_format}
    rows = [dict(metadata) for metadata in rows]
    with h5py.File(folder / f"waveforms{chunk}.hdf5", "w") as file:
        file.create_group("data")
        for name, value in values.items():
            if value is not None:
                file[f"data_format/{name}"] = value
        if bucket is None:
            for metadata, trace in zip(rows, traces, strict=True):
                file[f"data/{metadata['trace_name']}"] = trace
        else:
            shape = np.max([trace.shape for trace in traces], axis=0)
            block = np.zeros((len(traces), *shape), np.float32)
            for index, (metadata, trace) in enumerate(zip(rows, traces, strict=True)):
                block[index, : trace.shape[0], : trace.shape[1]] = trace
                location = f"{index},:{trace.shape[0]},:{trace.shape[1]}"
                metadata |= {"trace_name_original": metadata["trace_name"], "trace_name": f"{bucket}${location}"}
            file[f"data/{bucket}"] = block
    pd.DataFrame(rows).to_csv(folder / f"metadata{chunk}.csv", index=False)
    return folder


def write_labelled_set(folder):
    """Write a set of two events, the second with P alone, and one trace of noise."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "trace_name": ["first", "second", "quiet"],
            "station_network_code": "XA",
            "station_code": ["A", "B", "C"],
            "trace_p_arrival_sample": [4000, 100, np.nan],
            "trace_s_arrival_sample": [4300, np.nan, np.nan],
        }
    )
    traces = [rng.normal(size=(3, 9000)) for _ in range(3)]
    return write_set(folder, table.to_dict("records"), traces, component_order="ENZ")


def network(n_events=40, n_stations=12, n_noise=6):
    """Metadata of a dense network: every event at every station, and noise of every station."""
    events = [
        row(f"e{event}s{station}", station_code=f"S{station:02d}", source_id=f"{event:06d}")
        for event in range(n_events)
        for station in range(n_stations)
    ]
    noise = [
        noise_row(f"n{index}s{station}", station_code=f"S{station:02d}")
        for index in range(n_noise)
        for station in range(n_stations)
    ]
    return events + noise
