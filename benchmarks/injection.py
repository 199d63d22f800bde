"""
Known wavelets in real noise at gaps, spikes, steps, padding and midnight: recall, and picks on artefacts.

Usage: python benchmarks/injection.py [--model M --weights W] [--n N] [--seed S] [--synthetic-noise]
Prints one line of JSON; the situations and words are explained in docs/injection.md.
Real noise and SeisBench weights are found through PICKFLOW_SHARED (default: ../shared beside the repository).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import obspy

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))
BUNDLED = ("PickflowNet", "bundled")
RATE_HZ = 100.0  # of the pickers
RECORD_S = 240.0  # a minute and more on both sides of everything, for EQTransformer
ANCHOR_S = 120.0  # where the phase in question arrives, or the artefact is
SNR_DB = (12.0, 20.0, 30.0)  # peak in 2-20 Hz over the rms of the noise
GAP_S = (0.5, 3.0, 20.0)  # lengths of gaps and of padding, in turn
DISTANCES_S = (0.5, 1.0, 2.0, 5.0, 10.0)
TOLERANCES_S = (0.3, 0.5)  # chosen
NEAR_S = 0.5  # a pick so near an edge, that the record without it does not have, is the artefact's
# Ridgecrest, 2019-07-04: between the catalogued events before the M6.4, with their coda left out.
QUIET = (("16:50:05", "17:02:50"), ("17:04:40", "17:09:15"), ("17:17:40", "17:27:30"), ("17:28:40", "17:33:40"))
MIDNIGHT = datetime(2024, 5, 2, tzinfo=UTC)
PADDING_S = 60.0  # of the day files, as `download.padding_s`

Pick = tuple[str, int, float]  # phase, time in ns since 1970, probability


@dataclass(frozen=True, kw_only=True)
class Record:
    """Samples of Z, N, E, shape (3, n_samples), counts; arrivals and artefacts in samples."""

    samples: np.ndarray
    is_recorded: np.ndarray  # shape (n_samples,): False in a gap
    arrivals: dict[str, float]
    edges: tuple[int, ...] = ()
    starttime_ns: int = 10**18

    def stream(self) -> obspy.Stream:
        """One trace per component and piece, int32."""
        bounds = np.flatnonzero(np.diff(np.r_[False, self.is_recorded, False]))
        header = {"network": "XX", "station": "A", "sampling_rate": RATE_HZ}
        return obspy.Stream(
            [
                obspy.Trace(
                    np.rint(row[first:end]).astype(np.int32),
                    header
                    | {"channel": f"HH{name}", "starttime": obspy.UTCDateTime(ns=int(self.time_ns(float(first))))},
                )
                for name, row in zip("ZNE", self.samples, strict=True)
                for first, end in bounds.reshape(-1, 2)
            ]
        )

    def time_ns(self, sample: float) -> int:
        """Time of a sample."""
        return self.starttime_ns + round(sample * 1e9 / RATE_HZ)


def real_noise(folder: Path) -> list[np.ndarray]:
    """Gapless quiet windows of Ridgecrest, Z, N, E, in counts, shape (3, n_samples) each."""
    n_samples = round(RECORD_S * RATE_HZ)
    windows = []
    for station in sorted(path for path in folder.glob("*/*/*") if path.is_dir()):
        stream = obspy.Stream()
        for path in sorted(station.glob("*.D/*")):
            stream += obspy.read(str(path))
        stream.traces.sort(key=lambda trace: "ZN1E2".index(trace.stats.channel[-1]))
        for first, last in QUIET:
            start, end = (obspy.UTCDateTime(f"2019-07-04T{text}") for text in (first, last))
            while start + RECORD_S <= end:
                cut = [trace.data for trace in stream.slice(start, start + RECORD_S)]
                if len(cut) == 3 and min(map(len, cut)) >= n_samples:
                    windows.append(np.stack([data[:n_samples].astype(float) for data in cut]))
                start += RECORD_S
    return windows


def synthetic_noise(n_windows: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Windows of our generator's noise, in counts, shape (3, n_samples) each."""
    from pickflow.synthesize.instruments import INSTRUMENTS
    from pickflow.synthesize.noise import coloured_noise

    n_samples = round(RECORD_S * RATE_HZ)
    levels = rng.uniform(0.4, 0.8, n_windows)
    return [
        np.stack([coloured_noise(n_samples, RATE_HZ, level, INSTRUMENTS["HH"], rng) for _ in "ZNE"]) for level in levels
    ]


def with_wavelet(noise: np.ndarray, phase: str, snr_db: float, rng: np.random.Generator) -> Record:
    """An earthquake of our generator in noise, with P or S at the anchor and that phase's ratio to the noise."""
    from pickflow.datasets.signals import make_signal, normalise_noise

    signal = make_signal(rng)
    while not ({"P", "S"} <= set(signal.picks) and signal.s_over_p > 0.5):
        signal = make_signal(rng)
    rms = noise[0].std() / max(float(normalise_noise(noise)[0].std()), 1e-12)
    size = rms * 10 ** (snr_db / 20) / (1.0 if phase == "P" else signal.s_over_p)
    # On whole samples, so that the arrival is where the situation says.
    first = round(ANCHOR_S * RATE_HZ - signal.picks[phase])
    begin, end = max(first, 0), min(first + signal.samples.shape[1], noise.shape[1])
    samples = noise.copy()
    samples[:, begin:end] += signal.samples[:, begin - first : end - first] * size
    arrivals = {name: at + first for name, at in signal.picks.items() if 0 <= at + first < noise.shape[1]}
    return Record(samples=samples, is_recorded=np.ones(noise.shape[1], bool), arrivals=arrivals)


def without_wavelet(noise: np.ndarray) -> Record:
    """Noise alone."""
    return Record(samples=noise, is_recorded=np.ones(noise.shape[1], bool), arrivals={})


def add_gap(record: Record, first: int, end: int) -> Record:
    """Take samples away, and the arrivals among them."""
    is_recorded = record.is_recorded.copy()
    is_recorded[first:end] = False
    arrivals = {phase: at for phase, at in record.arrivals.items() if not first <= at < end}
    return replace(record, is_recorded=is_recorded, arrivals=arrivals, edges=(*record.edges, first, end))


def add_spike(record: Record, sample: int, sigmas: float, rng: np.random.Generator) -> Record:
    """One to three samples far off, on one component or on all."""
    samples = record.samples.copy()
    width, rows = int(rng.integers(1, 4)), slice(None) if rng.random() < 0.7 else int(rng.integers(3))
    samples[rows, sample : sample + width] += (_sigma(record.samples) * sigmas * rng.choice([-1, 1]))[rows]
    return replace(record, samples=samples, edges=(*record.edges, sample))


def add_step(record: Record, sample: int, sigmas: float, rng: np.random.Generator) -> Record:
    """A lasting offset, on one component or on all."""
    samples = record.samples.copy()
    rows = slice(None) if rng.random() < 0.7 else int(rng.integers(3))
    samples[rows, sample:] += (_sigma(record.samples) * sigmas * rng.choice([-1, 1]))[rows]
    return replace(record, samples=samples, edges=(*record.edges, sample))


def add_pulse(record: Record, sample: int, sigmas: float, rng: np.random.Generator) -> Record:
    """An offset that the sensor forgets within seconds, as after a tilt or a calibration."""
    samples = record.samples.copy()
    time_s = np.arange(samples.shape[1] - sample) / RATE_HZ
    samples[:, sample:] += _sigma(record.samples) * sigmas * rng.choice([-1, 1]) * np.exp(-time_s / rng.uniform(1, 20))
    return replace(record, samples=samples, edges=(*record.edges, sample))


def add_padding(record: Record, first: int, end: int, value: str) -> Record:
    """Overwrite all components by zeros, their mean, or the value before."""
    samples = record.samples.copy()
    fill = {"zeros": np.zeros((3, 1)), "mean": samples.mean(axis=1, keepdims=True), "last": samples[:, first - 1, None]}
    samples[:, first:end] = fill[value]
    arrivals = {phase: at for phase, at in record.arrivals.items() if not first <= at < end}
    return replace(record, samples=samples, arrivals=arrivals, edges=(*record.edges, first, end))


def _sigma(samples: np.ndarray) -> np.ndarray:
    """Robust standard deviation of each component, shape (3, 1)."""
    from pickflow.statistics import MAD_TO_SIGMA

    deviation = np.abs(samples - np.median(samples, axis=1, keepdims=True))
    return np.maximum(MAD_TO_SIGMA * np.median(deviation, axis=1, keepdims=True), 1.0)


def situations(rng: np.random.Generator, turn: int) -> dict[str, Callable[[Record], Record]]:
    """What is done to a record with an arrival at the anchor; ``turn`` goes through the lengths of gaps."""
    anchor, length = round(ANCHOR_S * RATE_HZ), round(GAP_S[turn % len(GAP_S)] * RATE_HZ)
    sigmas = float(10 ** rng.uniform(1, 3))
    changes: dict[str, Callable[[Record], Record]] = {"plain": lambda record: record}
    for distance_s in DISTANCES_S:
        shift = round(distance_s * RATE_HZ)
        changes[f"{distance_s:g} s after a gap"] = lambda r, d=shift: add_gap(r, anchor - d - length, anchor - d)
        changes[f"{distance_s:g} s before a gap"] = lambda r, d=shift: add_gap(r, anchor + d, anchor + d + length)
    for distance_s in (0.5, 2.0):
        shift = round(distance_s * RATE_HZ)
        changes[f"{distance_s:g} s after a spike"] = lambda r, d=shift: add_spike(r, anchor - d, sigmas, rng)
        changes[f"{distance_s:g} s before a spike"] = lambda r, d=shift: add_spike(r, anchor + d, sigmas, rng)
        changes[f"{distance_s:g} s after a step"] = lambda r, d=shift: add_step(r, anchor - d, sigmas, rng)
        changes[f"{distance_s:g} s after padding"] = lambda r, d=shift: add_padding(
            r, anchor - d - length, anchor - d, "zeros"
        )
    return changes


def artefacts(rng: np.random.Generator, turn: int) -> dict[str, Callable[[Record], Record]]:
    """What is done to noise without an arrival."""
    anchor, length = round(ANCHOR_S * RATE_HZ), round(GAP_S[turn % len(GAP_S)] * RATE_HZ)
    changes: dict[str, Callable[[Record], Record]] = {"gap": lambda r: add_gap(r, anchor, anchor + length)}
    for sigmas in (10, 100, 1000):
        changes[f"spike of {sigmas} sigma"] = lambda r, size=sigmas: add_spike(r, anchor, size, rng)
        changes[f"step of {sigmas} sigma"] = lambda r, size=sigmas: add_step(r, anchor, size, rng)
        changes[f"pulse of {sigmas} sigma"] = lambda r, size=sigmas: add_pulse(r, anchor, size, rng)
    for value in ("zeros", "mean", "last"):
        changes[f"padding with {value}"] = lambda r, fill=value: add_padding(r, anchor, anchor + length, fill)
    return changes


def hidden(rng: np.random.Generator, turn: int) -> dict[str, Callable[[Record], Record]]:
    """What is done to a record whose arrival is lost, or long over: only artefacts are there to be picked."""
    anchor, length = round(ANCHOR_S * RATE_HZ), round(GAP_S[turn % len(GAP_S)] * RATE_HZ)
    begin, later = anchor - round(rng.uniform(0.2, 0.95) * length), round(rng.uniform(3, 10) * RATE_HZ)
    sigmas = float(10 ** rng.uniform(1, 3))

    def coda(record: Record) -> int:
        return round(max(record.arrivals.values())) + later

    return {
        "onset in a gap": lambda r: add_gap(r, begin, begin + length),
        "onset in padding": lambda r: add_padding(r, begin, begin + length, "zeros"),
        "gap in a coda": lambda r: add_gap(r, coda(r), coda(r) + length),
        "padding in a coda": lambda r: add_padding(r, coda(r), coda(r) + length, "zeros"),
        "spike in a coda": lambda r: add_spike(r, coda(r), sigmas, rng),
        "step in a coda": lambda r: add_step(r, coda(r), sigmas, rng),
    }


def load_picker(name: str, weights: str, options: dict[str, Any]) -> Any:
    """The one place where the picker is made: ours from the package, SeisBench's from SEISBENCH_CACHE_ROOT."""
    from pickflow.annotate import Picker, PickerOptions
    from pickflow.models.loading import load_model, model_class

    if (name, weights) == BUNDLED:
        model = load_model(ROOT / "src" / "pickflow" / "models" / "bundled" / "PickflowNet")
    else:
        model = model_class(name).from_pretrained(weights).eval()
    return Picker(model, PickerOptions(**options))


def picks_of(record: Record, picker: Any) -> list[Pick]:
    """Picks of a record, before the filter."""
    return [(pick.phase, pick.time_ns, pick.probability) for pick in picker.pick(record.stream())[0]]


def picks_across_midnight(record: Record, picker: Any) -> list[Pick]:
    """Picks of two days, each from its own padded day file, as a run of the workflow makes them; before the filter."""
    from pickflow.pick import pick_stream

    stream, picks = record.stream(), []
    for day in (MIDNIGHT - timedelta(days=1), MIDNIGHT):
        window = (day, day + timedelta(days=1))
        start, end = (obspy.UTCDateTime(moment) for moment in window)
        cut = stream.slice(start - PADDING_S, end + PADDING_S - 0.5 / RATE_HZ)
        table = pick_stream(cut, picker, window, drop_artefacts=False).picks
        picks += [(row.phase, row.time.value, float(row.probability)) for row in table.itertuples()]
    return picks


def reasons_of(record: Record, picks: list[Pick]) -> list[str]:
    """Why the filter drops each pick; empty: it stays."""
    from pickflow.quality.picks import artefact_reasons

    times_ns = np.array([time_ns for _, time_ns, _ in picks], np.int64)
    phases = np.array([phase for phase, _, _ in picks], str)
    return artefact_reasons(record.stream(), times_ns, phases).tolist()


def score(record: Record, picks: list[Pick], plain_picks: list[Pick], anchor: str | None) -> Counter[str]:
    """
    Count what became of the anchored arrival and what the artefacts made.

    ``known`` are the picks of the same record without artefacts: what they have is not the artefact's.
    """
    reasons = reasons_of(record, picks)
    counts: Counter[str] = Counter()
    kept_picks = [pick for pick, reason in zip(picks, reasons, strict=True) if not reason]
    if anchor and anchor in record.arrivals:
        true_ns = record.time_ns(record.arrivals[anchor])
        counts[f"n_{anchor}"] += 1
        for tolerance_s in TOLERANCES_S:
            for name, selection in (("found", picks), ("kept", kept_picks)):
                hits = sum(phase == anchor and abs(ns - true_ns) <= tolerance_s * 1e9 for phase, ns, _ in selection)
                counts[f"{name}_{anchor}_{tolerance_s:g}"] += hits > 0
                counts[f"double_{name}_{tolerance_s:g}"] += hits > 1
    arrivals_ns = [record.time_ns(at) for at in record.arrivals.values()]
    edges_ns = [record.time_ns(edge) for edge in record.edges]
    for (_, ns, _), reason in zip(picks, reasons, strict=True):
        if any(abs(ns - arrival) <= TOLERANCES_S[0] * 1e9 for arrival in arrivals_ns):
            counts["true_dropped"] += bool(reason)
        elif any(abs(ns - plain_ns) <= 0.5e9 for _, plain_ns, _ in plain_picks):
            counts["known_dropped"] += bool(reason)
        elif any(abs(ns - edge) <= NEAR_S * 1e9 for edge in edges_ns):
            counts["artefact_picks"] += 1
            counts["artefact_picks_kept"] += not reason
            counts[f"reason_{reason or 'kept'}"] += 1
        elif edges_ns:
            counts["new_elsewhere"] += not reason
    return counts


def run(noise: list[np.ndarray], picker: Any, n_records: int, seed: int) -> dict[str, Counter[str]]:
    """Counts of every situation, ``n_records`` records of each."""
    totals: dict[str, Counter[str]] = {}
    order = np.random.default_rng(seed).permutation(len(noise))
    for turn in range(n_records):
        rng = np.random.default_rng((seed, turn))
        window, phase = noise[order[turn % len(noise)]], "PS"[turn % 2]
        record = with_wavelet(window, phase, SNR_DB[(turn // 2) % len(SNR_DB)], rng)
        plain_picks = picks_of(record, picker)
        for name, damage in (situations(rng, turn // 2) | hidden(rng, turn // 2)).items():
            damaged = damage(record)
            picks = plain_picks if name == "plain" else picks_of(damaged, picker)
            totals.setdefault(name, Counter()).update(score(damaged, picks, plain_picks, phase))
        arrival = round(ANCHOR_S * RATE_HZ + rng.uniform(-3, 3) * RATE_HZ)
        midnight_ns = round(MIDNIGHT.timestamp()) * 10**9
        late = replace(record, starttime_ns=midnight_ns - round(arrival * 1e9 / RATE_HZ), edges=(arrival,))
        split_picks, plain_picks = picks_across_midnight(late, picker), picks_of(late, picker)
        totals.setdefault("midnight", Counter()).update(score(late, split_picks, plain_picks, phase))
        quiet = without_wavelet(window)
        plain_picks = picks_of(quiet, picker)
        for name, damage in artefacts(rng, turn).items():
            damaged = damage(quiet)
            totals.setdefault(name, Counter()).update(score(damaged, picks_of(damaged, picker), plain_picks, None))
    return totals


def summary(totals: dict[str, Counter[str]]) -> dict[str, dict[str, float]]:
    """Recall with the filter off (``found``) and on (``kept``), and counts."""
    result = {}
    for name, counts in totals.items():
        row: dict[str, float] = {}
        for phase in "PS":
            for tolerance_s in TOLERANCES_S if counts[f"n_{phase}"] else ():
                for kind in ("found", "kept"):
                    key = f"{kind}_{phase}_{tolerance_s:g}"
                    row[key] = round(counts[key] / counts[f"n_{phase}"], 3)
        prefixes = ("n_", "double_kept_0.3", "true_", "known_", "artefact_", "reason_", "new_")
        result[name] = row | {key: n for key, n in sorted(counts.items()) if key.startswith(prefixes)}
    return result


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BUNDLED[0])
    parser.add_argument("--weights", default=BUNDLED[1])
    parser.add_argument("--bridge-gaps-s", type=float, default=0.0, help="as pick.bridge_gaps_s")
    parser.add_argument("--n", type=int, default=30, help="records of each situation, P and S in turn")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--synthetic-noise", action="store_true")
    options = parser.parse_args(list(arguments))
    if not options.synthetic_noise and not (SHARED / "data").is_dir():
        print(f"no real data in {SHARED}; set PICKFLOW_SHARED, or use --synthetic-noise", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as cache:
        if (SHARED / "seisbench_cache").is_dir():
            shutil.copytree(SHARED / "seisbench_cache", cache, dirs_exist_ok=True)
        os.environ["SEISBENCH_CACHE_ROOT"] = cache
        import torch

        torch.set_num_threads(1)
        rng = np.random.default_rng(options.seed)
        archive = SHARED / "data" / "ridgecrest-2019" / "sds"
        noise = synthetic_noise(options.n, rng) if options.synthetic_noise else real_noise(archive)
        picker = load_picker(options.model, options.weights, {"bridge_gaps_s": options.bridge_gaps_s})
        totals = run(noise, picker, options.n, options.seed)
    result = {"benchmark": "injection", "model": options.model, "weights": options.weights, "n": options.n}
    result |= {"noise": "synthetic" if options.synthetic_noise else "ridgecrest-2019", "n_windows": len(noise)}
    result |= {"backend": picker.backend, "bridge_gaps_s": options.bridge_gaps_s}
    print(json.dumps(result | {"seed": options.seed, "situations": summary(totals)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
