"""
Picking a station-day: this engine against SeisBench's `classify`; prints one JSON line.

Both run in processes of their own, one thread each, in turns; times are medians of CPU seconds of picking, from traces
in memory to picks, without imports and without the loading of the model. Memory is the peak of the whole process.

Examples
--------
python benchmarks/picking.py --model PhaseNet
python benchmarks/picking.py --model EQTransformer --weights original_converted --peer tuned
python benchmarks/picking.py --model PhaseNet --mode fast
python benchmarks/picking.py --model PhaseNet --processes 2
python benchmarks/picking.py --model PhaseNet --stations 20 --hours 2
python benchmarks/picking.py --model PhaseNet --pieces 5000 --no-peer
python benchmarks/picking.py --model PhaseNet --pieces 5000 --bridge 0.1 --no-peer
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))
RATE_HZ = 100.0  # of the pickers
START = "2026-01-15T00:00:00Z"
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
# SeisBench as it comes; and with the batch and the allocator settings that serve it best.
PEER_BATCH = {"default": None, "tuned": 16}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="PhaseNet", help="a picker that pickflow knows")
    parser.add_argument("--weights", help="a name in the SeisBench cache; default: original_converted, ethz or random")
    parser.add_argument("--cache", type=Path, default=SHARED / "seisbench_cache", help="SeisBench cache (it is copied)")
    parser.add_argument("--peer", choices=["default", "tuned"], default="default", help="how SeisBench is run")
    parser.add_argument("--mode", choices=["exact", "fast"], default="exact")
    parser.add_argument("--backend", default="auto", help="auto, kernels, onnxruntime, torch")
    parser.add_argument("--hours", type=float, default=24.0, help="length of the record of each station")
    parser.add_argument("--stations", type=int, default=1, help="records picked one after the other by each process")
    parser.add_argument(
        "--pieces", type=int, default=1, help="pieces of random length, with a gap of one sample between"
    )
    parser.add_argument("--bridge", type=float, default=0.0, help="bridge gaps up to so many seconds (ours only)")
    parser.add_argument("--processes", type=int, default=1, help="processes side by side; then station-days per hour")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, in turns")
    parser.add_argument("--no-peer", action="store_true", help="time only this engine")
    parser.add_argument("--worker", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def load(options: argparse.Namespace):
    """The model with its weights; random ones where none are published here."""
    import torch

    torch.set_num_threads(1)
    from pickflow.models.loading import load_model, model_class, untrained
    from pickflow.models.registry import PICKERS

    if "bundled" in PICKERS[options.model].weights:
        return load_model(ROOT / "src" / "pickflow" / "models" / "bundled" / options.model)
    folder = Path(os.environ["SEISBENCH_CACHE_ROOT"]) / "models" / "v3" / options.model.lower()
    names = sorted({path.name.split(".")[0] for path in folder.glob("*.json.*")})
    name = options.weights or ("original_converted" if "original_converted" in names else (names or ["random"])[0])
    if name == "random":
        return untrained(options.model, 0).eval()
    return model_class(options.model).from_pretrained(name).eval()


def make_record(hours: float, seed: int, pieces: int):
    """Coloured noise with a transient every two minutes, in counts; gaps of one sample between pieces."""
    import numpy as np
    import obspy

    rng = np.random.default_rng(seed)
    n_samples = round(hours * 3600 * RATE_HZ)
    shape = np.exp(-np.arange(1500) / 300.0) * np.sin(np.arange(1500) * 0.5)
    stream = obspy.Stream()
    for component in "ZNE":
        samples = 100 * rng.standard_normal(n_samples, dtype=np.float32)
        samples[1:] += 0.8 * samples[:-1]
        for first in range(6000, n_samples - 3000, 12000):
            size = 200.0 * 10 ** rng.uniform(0, 2)
            samples[first : first + 1500] += np.float32(size * (0.4 if component != "Z" else 1)) * shape
            samples[first + 800 : first + 2300] += np.float32(size * (2 if component != "Z" else 0.6)) * shape
        header = {"network": "XX", "station": f"S{seed:03d}", "channel": f"HH{component}", "sampling_rate": RATE_HZ}
        whole = obspy.Trace(samples.astype(np.int32), header | {"starttime": obspy.UTCDateTime(START)})
        cuts = np.random.default_rng(seed).choice(n_samples - 1, pieces - 1, replace=False) + 1
        edges = np.r_[0, np.sort(cuts), n_samples]
        for begin, end in pairwise(edges):
            part = header | {"starttime": whole.stats.starttime + int(begin) / RATE_HZ}
            if end - begin > 1:
                stream.append(obspy.Trace(whole.data[begin : end - (pieces > 1)], part))
    return stream


def worker(options: argparse.Namespace) -> None:
    """Pick in this process; prints one JSON line and leaves probabilities and picks in a file."""
    import numpy as np

    model = load(options)
    seconds, picks, annotations, resident = 0.0, [], [], []
    extra = {}
    if options.worker == "ours":
        from pickflow.annotate import Annotator, resolve_settings
        from pickflow.annotate.backends import choose_backend

        backend = choose_backend(model, options.backend, options.mode)
        # The windows of SeisBench, so that values can be held against values.
        annotator = Annotator(model, resolve_settings(model, grid="record", bridge_s=options.bridge), backend)
        forward = Clock(backend)
        extra["backend"] = backend.name
    for seed in range(options.stations):
        stream = make_record(options.hours, seed, options.pieces)
        start_s = time.process_time()
        if options.worker == "ours":
            segments, _ = annotator.segments(stream)
            stream_picks = [
                (pick.phase, pick.segment.time_ns(pick.peak), pick.probability) for pick in annotator.picks(segments)
            ]
        else:
            batch = {} if PEER_BATCH[options.peer] is None else {"batch_size": PEER_BATCH[options.peer]}
            output = model.classify(stream, **batch).picks
            stream_picks = [(p.phase, p.peak_time.ns, p.peak_value) for p in output if p.phase in ("P", "S")]
        seconds += time.process_time() - start_s
        resident.append(resident_mb())
        picks += [(seed, *pick) for pick in stream_picks]
    if options.worker == "ours":
        extra |= {"forward_share": forward.seconds / seconds, "forward_s": forward.seconds}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.output:
        # Probabilities are compared over one hour: whole days of both would only fill the memory.
        stream = make_record(min(options.hours, 1.0), 0, 1)
        traces = annotator.annotate(stream) if options.worker == "ours" else model.annotate(stream, batch_size=16)
        annotations = {trace.stats.channel: trace.data for trace in traces}
        np.savez(options.output, picks=np.array(picks, dtype=object), **annotations)
    print(json.dumps({"cpu_s": seconds, "rss_mb": peak_mb, "resident_mb": resident, **extra}))


class Clock:
    """Counts the CPU time inside a backend."""

    def __init__(self, backend):
        self.seconds, self._predict = 0.0, backend.predict
        backend.predict = self

    def __call__(self, cuts):
        start_s = time.process_time()
        predictions = self._predict(cuts)
        self.seconds += time.process_time() - start_s
        return predictions


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def gemm_gflops() -> float:
    """Peak of float32 matrix products on one thread: the best of many."""
    import torch

    torch.set_num_threads(1)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    best = 0.0
    for _ in range(30):
        start_s = time.perf_counter()
        torch.mm(a, b)
        best = max(best, 2 * 1024**3 / (time.perf_counter() - start_s) / 1e9)
    return best


def model_flops(options: argparse.Namespace) -> tuple[float, int]:
    """Floating-point operations of the model itself for a window, and windows of a record."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from pickflow.annotate import resolve_settings

    model = load(options)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(1, len(model.component_order), model.in_samples))
    step = resolve_settings(model).step
    n_samples = round(options.hours * 3600 * RATE_HZ)
    return float(counter.get_total_flops()), max((n_samples - model.in_samples) // step + 2, 0) * options.stations


def run(options: argparse.Namespace, side_name: str, environment: dict[str, str], output: Path | None) -> list[dict]:
    """Run the processes of one side at the same time."""
    command = [sys.executable, __file__, *sys.argv[1:], "--worker", side_name]
    command += ["--output", str(output)] if output else []
    ours = ALLOCATOR if side_name == "ours" or options.peer == "tuned" else {}
    processes = [
        subprocess.Popen(command, env=environment | ours, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(options.processes)
    ]
    results = []
    for process in processes:
        text, errors = process.communicate()
        if process.returncode:
            sys.exit(f"{side_name} failed:\n{errors[-3000:]}")
        results.append(json.loads(text.splitlines()[-1]))
    return results


def compare(ours: Path, peer: Path) -> dict[str, float | int]:
    import numpy as np

    # Written by this benchmark a moment ago.
    our_content, peer_content = (np.load(path, allow_pickle=True) for path in (ours, peer))
    difference = 0.0
    for name in set(our_content.files) - {"picks"}:
        n_samples = min(our_content[name].size, peer_content[name].size)
        difference = max(
            difference, float(np.nanmax(np.abs(our_content[name][:n_samples] - peer_content[name][:n_samples])))
        )
    sides = [
        {(seed, phase, round(ns * RATE_HZ / 1e9)) for seed, phase, ns, _ in side["picks"]}
        for side in (our_content, peer_content)
    ]
    neighbours = {(seed, phase, sample + shift) for seed, phase, sample in sides[1] for shift in (-1, 0, 1)}
    n_most = max(map(len, sides)) or 1
    return {
        "max_abs_diff": difference,
        "n_picks_ours": len(sides[0]),
        "n_picks_peer": len(sides[1]),
        "picks_equal": len(sides[0] & sides[1]) / n_most,
        "picks_within_one_sample": len(sides[0] & neighbours) / n_most,
    }


def main() -> int:
    options = arguments()
    if options.worker:
        worker(options)
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) / "cache"
        if options.cache.is_dir():
            shutil.copytree(options.cache, cache, copy_function=shutil.copyfile)
            for path in [cache, *cache.rglob("*")]:
                path.chmod(0o755)
        environment = {**os.environ, **ONE_THREAD, "SEISBENCH_CACHE_ROOT": str(cache)}
        sides: dict[str, list[dict]] = {"ours": [], "peer": []}
        outputs = {side_name: Path(scratch) / f"{side_name}.npz" for side_name in sides}
        for repeat in range(options.repeat):
            for side_name in ["ours"] if options.no_peer else ["ours", "peer"]:
                output = outputs[side_name] if repeat == 0 and options.processes == 1 else None
                print(f"{side_name}: run {repeat + 1} of {options.repeat}", file=sys.stderr)
                sides[side_name] += run(options, side_name, environment, output)
        os.environ.update(ONE_THREAD, SEISBENCH_CACHE_ROOT=str(cache))
        print(json.dumps(report(options, sides, outputs)))
    return 0


def report(options: argparse.Namespace, sides: dict[str, list[dict]], outputs: dict[str, Path]) -> dict:
    days = options.hours / 24 * options.stations
    median = {side_name: statistics.median(run["cpu_s"] for run in runs) for side_name, runs in sides.items() if runs}
    result = {"model": options.model, "weights": options.weights, "mode": options.mode, "peer": options.peer}
    for side_name, seconds in median.items():
        result[f"{side_name}_s"] = round(seconds, 3)
        result[f"{side_name}_rss_mb"] = round(statistics.median(run["rss_mb"] for run in sides[side_name]))
        if options.processes > 1:
            result[f"{side_name}_station_days_per_hour"] = round(options.processes * days * 3600 / seconds)
    if "peer" in median:
        result["ratio"] = round(median["peer"] / median["ours"], 2)
    if options.processes == 1 and "peer" in median:
        result |= compare(outputs["ours"], outputs["peer"])
    ours = sides["ours"][-1]
    result["backend"] = ours["backend"]
    result["forward_share"] = round(statistics.median(run["forward_share"] for run in sides["ours"]), 3)
    if options.stations > 1:
        result["ours_resident_mb"] = [round(mb) for mb in ours["resident_mb"]]
    flops, n_windows = model_flops(options)
    peak = gemm_gflops()
    forward_s = statistics.median(run["forward_s"] for run in sides["ours"])
    result["gemm_peak_gflops"] = round(peak, 1)
    # Of the model as it was written: rewritten layers need fewer operations, and may so exceed 1.
    if options.pieces == 1:
        result["fraction_of_gemm_peak"] = round(flops * n_windows / forward_s / 1e9 / peak, 3)
    return result


if __name__ == "__main__":
    sys.exit(main())
