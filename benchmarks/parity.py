"""
The same probabilities and picks as SeisBench? One JSON line for each model, weights and data set.

SeisBench gets the record without its median (in float32 it loses small signals on large offsets, see docs/engine.md),
and both cut the same windows. Data: a synthetic station for every fault; Ridgecrest 2019, ncedc154 and stead50 where
PICKFLOW_SHARED has them.

Examples
--------
python benchmarks/parity.py
python benchmarks/parity.py --only PhaseNet/stead PickflowNet/bundled --records 20 --backend onnxruntime
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))
BUNDLED = ROOT / "src" / "pickflow" / "models" / "bundled" / "PickflowNet"
RATE_HZ = 100.0  # of the pickers
LABELLED = ("ncedc154", "stead50")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="MODEL/WEIGHTS; default: the bundled picker and the whole cache")
    parser.add_argument("--backend", default="auto", help="auto, kernels, onnxruntime, torch")
    parser.add_argument("--mode", choices=["exact", "fast"], default="exact")
    parser.add_argument("--records", type=int, default=1000, help="records of each data set at most")
    parser.add_argument("--minutes", type=int, default=20, help="length of each synthetic record")
    return parser.parse_args()


def synthetic_days(folder: Path, minutes: int):
    """Streams of stations with one fault each, as the download stage leaves them."""
    from pickflow.download import download_day, fetch_inventory, requested_stations
    from pickflow.io.waveforms import read_stream
    from pickflow.run.settings.download import DownloadParams
    from pickflow.run.settings.synthesize import SynthesizeParams
    from pickflow.synthesize import with_every_fault, write_archive
    from pickflow.windows import parse_time

    start = parse_time("2026-01-15T12:00:00Z")
    end = start + timedelta(minutes=minutes)
    params = with_every_fault(SynthesizeParams(), start, end, n_well=1, n_events=12, min_spacing_s=40.0)
    write_archive(params, folder)
    download = DownloadParams(
        path=str(folder / "sds"), inventory=(str(folder / "stations.xml"),), cache=str(folder / "cache")
    )
    inventory = fetch_inventory(download, start, end)
    stations = requested_stations(inventory, download)
    download_day("2026-01-15", (start, end), stations, inventory, download, folder / "waveforms")
    return [read_stream(path) for path in sorted((folder / "waveforms").glob("*.mseed"))]


def ridgecrest():
    import obspy

    from pickflow.download.merging import merge_channel

    streams = []
    for station in sorted((SHARED / "data" / "ridgecrest-2019" / "sds" / "2019").glob("*/*")):
        channels = [obspy.read(str(path)) for path in sorted(station.glob("*.D/*"))]
        streams.append(obspy.Stream([piece for channel in channels for piece in merge_channel(channel).pieces]))
    return streams


def labelled(name: str):
    from pickflow.datasets.reading import open_dataset
    from pickflow.datasets.streams import record_stream

    return [record_stream(record) for record in open_dataset(SHARED / "data" / "labelled" / name).read()]


def scaled(stream):
    """As SeisBench's networks need it: float64, of a median deviation of 1, with components that they can name."""
    import numpy as np
    import obspy

    from pickflow.codes import component_letters

    centred = [trace.data - np.median(trace.data) for trace in stream]
    deviations = np.concatenate([np.abs(samples) for samples in centred])
    scale = float(np.median(deviations)) or float(deviations.max()) or 1.0
    letters = component_letters({trace.stats.channel[-1] for trace in stream}, "ZNE")
    scaled_stream = obspy.Stream()
    for trace, samples in zip(stream, centred, strict=True):
        code = trace.stats.channel
        scaled_stream.append(obspy.Trace(samples / scale, trace.stats))
        scaled_stream[-1].stats.channel = code[:-1] + letters.get(code[-1], code[-1])
    return scaled_stream


def compare(model, streams, options) -> dict:
    import numpy as np

    from pickflow.annotate import Picker, PickerOptions
    from pickflow.sampling.pieces import resample
    from pickflow.sampling.rates import conversion

    picker = Picker(model, PickerOptions(backend=options.backend, mode=options.mode, grid="record"))
    filters = model.filter_args, model.filter_kwargs
    totals = {"n_ours": 0, "n_seisbench": 0, "same": 0, "near": 0}
    difference = 0.0
    for stream in streams:
        # SeisBench filters before it resamples, and resamples by FFT; here both sides resample in the same way.
        scaled_stream = scaled(stream)
        model._filter_stream(scaled_stream)
        for trace in scaled_stream:
            trace.data = resample(trace.data, conversion(trace.stats.sampling_rate, model.sampling_rate))
            trace.stats.sampling_rate = model.sampling_rate
        model.filter_args = model.filter_kwargs = None
        annotations = model.annotate(scaled_stream.copy(), batch_size=16)
        seisbench_picks = {
            (pick.phase, round(pick.peak_time.ns * RATE_HZ / 1e9))
            for pick in model.classify(scaled_stream, batch_size=16).picks
            if pick.phase in ("P", "S")
        }
        model.filter_args, model.filter_kwargs = filters
        picks, _, _ = picker.pick(stream)
        own_picks = {(pick.phase, round(pick.time_ns * RATE_HZ / 1e9)) for pick in picks}
        neighbours = {(phase, sample + shift) for phase, sample in seisbench_picks for shift in (-1, 0, 1)}
        totals["n_ours"] += len(own_picks)
        totals["n_seisbench"] += len(seisbench_picks)
        totals["same"] += len(own_picks & seisbench_picks)
        totals["near"] += len(own_picks & neighbours)
        for trace in picker.annotate(stream):
            for annotation in annotations.select(channel=trace.stats.channel):
                lag = (annotation.stats.starttime - trace.stats.starttime) * RATE_HZ
                if abs(lag) < 1:
                    n_samples = min(len(trace), len(annotation))
                    step = np.abs(trace.data[:n_samples] - annotation.data[:n_samples])
                    difference = max(difference, float(np.nanmax(step)))
    n_largest = max(totals["n_ours"], totals["n_seisbench"], 1)
    return {
        "backend": picker.backend,
        "n_records": len(streams),
        "n_picks": totals["n_ours"],
        "n_picks_seisbench": totals["n_seisbench"],
        "picks_equal": totals["same"] / n_largest,
        "picks_within_one_sample": totals["near"] / n_largest,
        "max_abs_diff": difference,
    }


def weights_of(cache: Path) -> list[str]:
    from pickflow.models.registry import PICKERS

    names = {name.lower(): name for name in PICKERS}
    paths = sorted((cache / "models" / "v3").glob("*/*.json.*"))
    return ["PickflowNet/bundled"] + [f"{names[path.parent.name]}/{path.name.split('.')[0]}" for path in paths]


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "cache"
        if (SHARED / "seisbench_cache").is_dir():
            shutil.copytree(SHARED / "seisbench_cache", cache, copy_function=shutil.copyfile)
            for path in [cache, *cache.rglob("*")]:
                path.chmod(0o755)
        os.environ["SEISBENCH_CACHE_ROOT"] = str(cache)
        import seisbench.models
        import torch

        from pickflow.models.loading import load_model

        torch.set_num_threads(1)
        data = {"synthetic_faults": synthetic_days(Path(scratch) / "synthetic", options.minutes)}
        if (SHARED / "data").is_dir():
            data["ridgecrest"] = ridgecrest()
            data |= {name: labelled(name) for name in LABELLED}
        else:
            print(f"no real data in {SHARED}; set PICKFLOW_SHARED", file=sys.stderr)
        for pair in options.only or weights_of(cache):
            name, weights = pair.split("/")
            kind = getattr(seisbench.models, name, None)
            model = load_model(BUNDLED) if kind is None else kind.from_pretrained(weights).eval()
            for set_name, streams in data.items():
                result = compare(model, streams[: options.records], options)
                print(json.dumps({"model": name, "weights": weights, "data": set_name, **result}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
