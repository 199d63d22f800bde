"""
Bundled picker against PhaseNet on the held-out parts of the labelled sets; prints one JSON line.

Usage: python benchmarks/bundled_picker.py [folder of the bundled model]
The real data are found through PICKFLOW_SHARED (default: ../shared beside the repository).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))
BUNDLED = ROOT / "src" / "pickflow" / "models" / "bundled"
# What the SeisBench user gets without saying anything.
PHASENET_THRESHOLDS = {"P": 0.3, "S": 0.3}
STATION_HOURS = 1.0  # of each record


def main() -> int:
    if not (SHARED / "data").is_dir():
        print(f"no real data in {SHARED}; set PICKFLOW_SHARED", file=sys.stderr)
        return 1
    import torch

    from pickflow.datasets.reading import open_dataset
    from pickflow.models.cards import read_card
    from pickflow.models.loading import load_model
    from pickflow.train.evaluate import evaluate
    from pickflow.train.reading import LABELLED_SETS, read_teacher

    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLED
    pickers = {
        "bundled": (load_model(folder), read_card(folder)["thresholds"]),
        "phasenet_original": (read_teacher(SHARED / "seisbench_cache"), PHASENET_THRESHOLDS),
    }
    result: dict = {"benchmark": "bundled_picker", "part": "test", "n_records": {}}
    for name in LABELLED_SETS:
        records = open_dataset(SHARED / "data" / "labelled" / name).select(part="test").read()
        result["n_records"][name] = len(records)
        for picker, (model, thresholds) in pickers.items():
            result.setdefault(picker, {})[name] = evaluate(model, records, thresholds)
    seconds = {picker: seconds_per_station_day(model) for picker, (model, _) in pickers.items()}
    result["seconds_per_station_day"] = seconds
    result["ratio_of_seconds"] = seconds["bundled"] / seconds["phasenet_original"]
    print(json.dumps(result, sort_keys=True))
    return 0


def seconds_per_station_day(model) -> float:
    """Seconds on one thread for a station-day of three components, from the best of three hours of noise."""
    import numpy as np
    import obspy

    samples = np.random.default_rng(0).normal(size=(3, int(STATION_HOURS * 360_000))).astype(np.float32)
    stream = obspy.Stream(
        [
            obspy.Trace(data, {"network": "XX", "station": "A", "channel": f"HH{component}", "sampling_rate": 100.0})
            for component, data in zip("ZNE", samples, strict=True)
        ]
    )
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        model.classify(stream, batch_size=16)
        seconds.append(time.perf_counter() - begin)
    return min(seconds) * 24 / STATION_HOURS


if __name__ == "__main__":
    sys.exit(main())
