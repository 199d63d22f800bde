"""
How fast records are read from a data set, and how much memory it takes: ours, and SeisBench trace by trace.

Writes a synthetic set in the format of STEAD, reads all of it, and prints a line of JSON:

    python benchmarks/datasets.py --traces 2048
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from pickflow.datasets.reading import Dataset, open_dataset
from pickflow.io.waveform_sets import Block, write_waveform_set

N_SAMPLES = 6000
BUCKET = 1024  # of SeisBench's writer


def write(folder: Path, n_traces: int) -> None:
    """Noise: what is in a trace does not matter here."""
    rng = np.random.default_rng(0)
    block = list(rng.normal(size=(min(BUCKET, n_traces), 3, N_SAMPLES)).astype(np.float32))

    def blocks():
        for first in range(0, n_traces, BUCKET):
            names = [f"r{index}" for index in range(first, min(first + BUCKET, n_traces))]
            facts = {"station_network_code": "XA", "station_code": "AAA", "trace_category": "noise"}
            yield Block(pd.DataFrame({"trace_name": names, **facts}), block[: len(names)], [])

    data_format = {"dimension_order": "CW", "component_order": "ZNE", "sampling_rate": 100}
    write_waveform_set(folder, blocks(), data_format, {})


def peak_mb() -> float:
    """Most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "set"
        write(folder, options.traces)
        dataset = open_dataset(folder)
        before_mb = peak_mb()
        ways = {
            "blocks": lambda: sum(len(block) for block in dataset.blocks(256)),
            "samples_only": lambda: samples_only(dataset),
            "one_by_one": lambda: sum(len(dataset.read([row])) for row in range(len(dataset))),
        }
        result = {way: milliseconds(read, options) for way, read in ways.items()}
        grown_mb = peak_mb() - before_mb
        from seisbench.data import WaveformDataset

        theirs = WaveformDataset(folder, component_order="ZNE")
        result["seisbench_get_sample"] = milliseconds(
            lambda: [theirs.get_sample(row) for row in range(len(theirs))], options
        )
    print(json.dumps({"benchmark": "datasets", "ms_per_trace": result, "grown_mb": round(grown_mb, 1)}))


def samples_only(dataset: Dataset) -> None:
    """As they are stored, without what makes records of them."""
    for _ in dataset.sources[0].read_stored(dataset.traces()):  # type: ignore[attr-defined]
        pass


def milliseconds(read, options) -> float:
    """Least of several times, for a trace."""
    times = []
    for _ in range(options.repeats):
        start = time.perf_counter()
        read()
        times.append(time.perf_counter() - start)
    return round(1000 * min(times) / options.traces, 3)


if __name__ == "__main__":
    main()
