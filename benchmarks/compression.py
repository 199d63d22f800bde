"""
Teacher, SAFE students, magnitude pruning and LEQNet side by side, on manual picks and a catalog; prints one JSON line.

It runs the workflow on Ridgecrest 2019 (picks, compression, catalogs of teacher and students against the reviewed one),
then scores every picker on all records of ncedc154 and stead50 and times it. A run that was stopped goes on.

Examples:
  python benchmarks/compression.py --model EQTransformer --weights original_converted
  python benchmarks/compression.py --model PhaseNet --weights original_converted --target '{macs: 0.5}' '{macs: 0.25}'
  python benchmarks/compression.py --target '{macs: 0.07, parameters: 0.12}' --methods safe --tune-steps 1500
  python benchmarks/compression.py --leqnet results/train-leqnet/trained
The real data are found through PICKFLOW_SHARED (default: ../shared beside the repository).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TARGETS = ["{macs: 0.5}", "{macs: 0.25}", "{macs: 0.12}", "{macs: 0.07, parameters: 0.12}", "{macs: 0.05}"]
SHARED = Path(os.environ.get("PICKFLOW_SHARED", ROOT.parent / "shared"))


def main() -> int:
    options = arguments()
    if not (SHARED / "data").is_dir():
        print(f"no real data in {SHARED}; set PICKFLOW_SHARED", file=sys.stderr)
        return 1
    config = configuration(options)
    results = ROOT / "results" / config["run"]
    results.mkdir(parents=True, exist_ok=True)
    (results / "benchmark.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--cores", str(options.cores), "--rerun-incomplete", "--nolock"]
    command += ["--quiet", "host", "rules", "--configfile", str(results / "benchmark.yaml")]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    print(json.dumps(gather(results, options), sort_keys=True))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="EQTransformer", help="teacher")
    parser.add_argument("--weights", default="original_converted", help="of the teacher, in the shared SeisBench cache")
    parser.add_argument("--target", nargs="+", default=TARGETS, help="entries of compress.target, as YAML")
    parser.add_argument("--methods", nargs="+", default=["safe", "magnitude"], help="of compress.methods")
    parser.add_argument("--tune-steps", type=int, default=0, help="distillation of each student, 32 windows a step")
    parser.add_argument("--leqnet", type=Path, help="folder of a trained LEQNet (rule train, config/train-leqnet.yaml)")
    parser.add_argument("--int8", action="store_true", help="each student in 8-bit integers as well")
    parser.add_argument("--cores", type=int, default=2)
    return parser.parse_args()


def configuration(options: argparse.Namespace) -> dict[str, Any]:
    """Configuration of the run: Ridgecrest with the teacher, its students and LEQNet."""
    config = yaml.safe_load((ROOT / "config" / "ridgecrest-2019.yaml").read_text())
    tuned = f"-tuned{options.tune_steps}" if options.tune_steps else ""
    config["run"] = f"compression-{options.model}-{options.weights}{tuned}"
    pairs = [f"{options.model}/{options.weights}", *(["LEQNet/distilled"] if options.leqnet else [])]
    config["pick"] = {"models": [], "weights": [], "pairs": pairs}
    if options.leqnet:
        config["weights"]["files"] = {"LEQNet/distilled": str(options.leqnet.resolve())}
    config["associate"]["methods"] = ["pyocto"]
    config["compress"] = {
        "target": [yaml.safe_load(target) for target in options.target],
        "methods": options.methods,
        "teachers": pairs[:1],
        "int8": options.int8,
        "tune": {"steps": options.tune_steps, "batch_size": 32, "learning_rate": 0.003},
    }
    return config


def gather(results: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is known about each picker of the run."""
    import torch

    from pickflow.compress.costs import multiply_adds, n_parameters
    from pickflow.compress.exporting import write_onnx
    from pickflow.compress.latency import latency
    from pickflow.datasets.reading import open_dataset
    from pickflow.models.cards import read_card
    from pickflow.models.loading import load_model
    from pickflow.models.seisbench_internals import annotate_defaults
    from pickflow.train.evaluate import evaluate
    from pickflow.train.reading import LABELLED_SETS

    torch.set_num_threads(1)
    folder = results / "compress" / options.model / options.weights
    compression = json.loads((folder / "compression.json").read_text())
    summary = json.loads((results / "summary.json").read_text())
    records = [record for name in LABELLED_SETS for record in open_dataset(SHARED / "data" / "labelled" / name).read()]
    pickers: dict[str, Any] = {}
    for catalog in summary["catalogs"]:
        place = results / "models" / catalog["model"] / catalog["weights"]
        model, card = load_model(place), read_card(place)
        network = place / card.get("quantised", {}).get("file", "model.onnx")
        if not network.exists():
            write_onnx(model, place, None)
        defaults = annotate_defaults(model)
        thresholds = {p: float(defaults.get(f"{p}_threshold", defaults["*_threshold"])) for p in ("P", "S")}
        scores = evaluate(model, records, thresholds)
        times = latency(model, network)
        pickers[f"{catalog['model']}/{catalog['weights']}"] = {
            "params": n_parameters(model)[0],
            "macs": multiply_adds(model),
            "bytes": network.stat().st_size,
            "ms_per_window": {key.removesuffix("_ms"): times[key] for key in times if key.endswith("_ms")},
            "peak_mb": times["peak_mb"],
            "p_f1": {at: round(scores["P"][at]["f1"], 4) for at in ("0.1s", "0.3s", "0.5s")},
            "s_f1": {at: round(scores["S"][at]["f1"], 4) for at in ("0.1s", "0.3s", "0.5s")},
            "mae_s": {phase: scores[phase]["mae_s"] for phase in ("P", "S")},
            "ridgecrest_matched": catalog["reference"]["matched"],
            "ridgecrest_n": catalog["reference"]["n"],
            "ridgecrest_events": catalog["n_events"],
        }
    return {
        "benchmark": "compression",
        "teacher": f"{options.model}/{options.weights}",
        "tune_steps": options.tune_steps,
        "n_records": len(records),
        "pickers": pickers,
        "curve": compression["curve"],
    }


if __name__ == "__main__":
    sys.exit(main())
