"""
The workflow itself: dry runs at scale, what a job costs beyond its work, and how Dask shares the stations.

Prints one JSON line: jobs, seconds and memory of dry runs of a year of 100 and of 1,000 stations; overhead of Snakemake
for each job, of a run of trivial jobs; overhead of Dask for each task; time of picking full station-days in this
process and with one and two workers, in turns, medians; and what the model of docs/scale.md makes of them for 128.

Examples
--------
python benchmarks/workflow.py
python benchmarks/workflow.py --parts dry-run
python benchmarks/workflow.py --parts dask --station-days 8
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("dry-run", "jobs", "dask")
N_TRIVIAL_JOBS = 40  # chosen
N_TRIVIAL_TASKS = 1000
RULES = """
rule all:
    input: expand("out/{{n}}", n=range({n}))
rule one:
    output: "out/{{n}}"
    log: "log/{{n}}"
    script: "one.py"
"""
SCRIPT = """from pickflow.run.job import start_job
if __name__ == "__main__":
    job = start_job(snakemake)
    open(job.output[0], "w").close()
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--station-days", type=int, default=4, help="full station-days that are picked each time")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each number of workers, in turns")
    parser.add_argument("--workers", type=int, default=128, help="that the model speaks of")
    return parser.parse_args()


def snakemake(*options: str | Path, directory: Path) -> tuple[float, float, str]:
    """Seconds, peak memory in MB, and output of a run of snakemake."""
    code = "import resource, subprocess, sys; r = subprocess.run(sys.argv[1:]).returncode; "
    code += "sys.stderr.write(f'PEAK {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}'); sys.exit(r)"
    command = [sys.executable, "-c", code, sys.executable, "-m", "snakemake", "--directory", str(directory)]
    begin = time.perf_counter()
    run = subprocess.run([*command, *map(str, options)], capture_output=True, text=True, cwd=ROOT, check=False)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    return time.perf_counter() - begin, int(run.stderr.rsplit("PEAK ", 1)[1]) / 1024, run.stdout + run.stderr


def dry_run(n_stations: int, n_days: int, scratch: Path) -> dict[str, Any]:
    """Dry run of a year of so many stations, one model, one associator."""
    end = time.strftime("%Y-%m-%d", time.gmtime(1735689600 + n_days * 86400))
    config = {
        "run": f"stations{n_stations}",
        "starttime": "2025-01-01",
        "endtime": end,
        "download": {
            "source": "fdsn",
            "fdsn": {"servers": ["INGV"]},
            "stations": [f"N{number // 100}.S{number:04d}" for number in range(n_stations)],
        },
        "pick": {"models": ["PickflowNet"], "weights": ["bundled"]},
        "associate": {"methods": ["pyocto"]},
    }
    path = scratch / f"{n_stations}.yaml"
    path.write_text(yaml.safe_dump(config))
    options = ("--snakefile", ROOT / "Snakefile", "--configfile", path, "-n", "--quiet", "rules")
    seconds, megabytes, output = snakemake(*options, directory=scratch)
    n_jobs = int(output.split(" station-days, ")[1].split(" jobs")[0])
    return {"stations": n_stations, "days": n_days, "jobs": n_jobs, "s": round(seconds, 2), "mb": round(megabytes)}


def job_overhead(scratch: Path) -> dict[str, Any]:
    """What each job of a script costs beside its work, from runs of few and of many trivial jobs, one at a time."""
    seconds = {}
    for n_jobs in (1, N_TRIVIAL_JOBS + 1):
        folder = scratch / f"jobs{n_jobs}"
        folder.mkdir()
        (folder / "Snakefile").write_text(RULES.format(n=n_jobs))
        (folder / "one.py").write_text(SCRIPT)
        options = ("--snakefile", folder / "Snakefile", "--cores", "1", "--quiet", "all")
        seconds[n_jobs] = snakemake(*options, directory=folder)[0]
    per_job = (seconds[N_TRIVIAL_JOBS + 1] - seconds[1]) / N_TRIVIAL_JOBS
    return {"start_s": round(seconds[1] - per_job, 2), "per_job_s": round(per_job, 3)}


def do_nothing(number: int) -> int:
    return number


def write_station_days(folder: Path, number: int) -> list[Any]:
    """Full station-days on disk, and what the stage pick asks for each."""
    sys.path.insert(0, str(ROOT))
    from benchmarks.picking import make_record
    from pickflow.pick import StationTask
    from pickflow.provenance import sha256_of_file
    from pickflow.run.settings.pick import PickParams
    from pickflow.schemas import MANIFEST
    from pickflow.windows import parse_time

    window = (parse_time("2026-01-15"), parse_time("2026-01-16"))
    params = PickParams()
    model = ROOT / "src" / "pickflow" / "models" / "bundled" / "PickflowNet"
    tasks = []
    for seed in range(number):
        path = folder / f"XX.S{seed:03d}.mseed"
        make_record(24, seed, 1).write(str(path), format="MSEED", encoding="STEIM2")
        row: dict[str, Any] = dict.fromkeys(MANIFEST.schema.names, "") | {
            "network": "XX",
            "station": f"S{seed:03d}",
            "date": "2026-01-15",
            "reason": "ok",
            "usable": True,
            "location": "",
            "channel": "HH",
            "components": "ZNE",
            "sampling_rate_hz": 100.0,
            "coverage": 1.0,
            "n_gaps": 0,
            "sensitivity_counts_per_unit": float("nan"),
            "sha256": sha256_of_file(path),
        }
        tasks.append([StationTask(row, path, model, "cpu", params, window)])
    return tasks


def share_stations(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Picking the same station-days in this process, and with one and two workers."""
    from pickflow.pick import pick_stations
    from pickflow.run.workers import station_map

    tasks = write_station_days(scratch, options.station_days)
    single_s: list[float] = []
    start: dict[int, list[float]] = {1: [], 2: []}
    work: dict[int, list[float]] = {1: [], 2: []}
    counts_of_runs: list[Any] = []
    per_task = []
    pick_stations(tasks[0])  # imports and compiles
    for _ in range(options.repeat):
        begin = time.perf_counter()
        counts_of_runs.append([len(picks) for task in tasks for picks, _, _ in pick_stations(task)])
        single_s.append(time.perf_counter() - begin)
        for n_workers in (1, 2):
            # One thread is otherwise this process itself; a cluster of one worker is had by its address.
            with one_or_two(n_workers) as params, station_map(n_workers, params, "benchmark") as parallel_map:
                begin = time.perf_counter()
                list(parallel_map(do_nothing, range(n_workers)))
                list(parallel_map(pick_stations, [tasks[0]] * n_workers))  # each worker imports
                start[n_workers].append(time.perf_counter() - begin)
                begin = time.perf_counter()
                counts_of_runs.append(
                    [len(picks) for group in parallel_map(pick_stations, tasks) for picks, _, _ in group]
                )
                work[n_workers].append(time.perf_counter() - begin)
                begin = time.perf_counter()
                list(parallel_map(do_nothing, range(N_TRIVIAL_TASKS)))
                per_task.append((time.perf_counter() - begin) / N_TRIVIAL_TASKS)
    assert all(counts == counts_of_runs[0] for counts in counts_of_runs), "the results depend on the number of workers"
    single, one_worker, two_workers = (statistics.median(times) for times in (single_s, work[1], work[2]))
    return {
        "station_days": options.station_days,
        "picks": sum(counts_of_runs[0]),
        "in_process_s": round(single, 2),
        "one_worker_s": round(one_worker, 2),
        "two_workers_s": round(two_workers, 2),
        "efficiency_1": round(single / one_worker, 3),
        "efficiency_2": round(single / (2 * two_workers), 3),
        "first_task_s": round(statistics.median(start[2]), 2),
        "per_task_ms": round(1000 * statistics.median(per_task), 2),
    } | model(options.workers, single / options.station_days, statistics.median(start[2]), statistics.median(per_task))


def one_or_two(n_workers: int) -> Any:
    """Parameters of a cluster of so many processes."""
    from contextlib import contextmanager

    from dask.distributed import LocalCluster

    from pickflow.run.settings.compute import DaskParams
    from pickflow.run.workers import WORKER_ENVIRONMENT

    @contextmanager
    def cluster() -> Any:
        os.environ.update(WORKER_ENVIRONMENT)
        with LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as local:
            yield DaskParams(cluster="address", address=local.scheduler_address)

    return cluster()


def model(n_workers: int, station_day_s: float, start_s: float, per_task_s: float) -> dict[str, Any]:
    """
    Efficiency of many workers on a day of so many stations: T = start + max(ceil(n / N) t, n tau).

    N workers, n stations, t for picking a station-day, tau for what the scheduler does for each task, one by one.
    """
    efficiency = {}
    for n_stations in (100, 1000, 1400, 10000):
        busy = max(math.ceil(n_stations / n_workers) * station_day_s, n_stations * per_task_s)
        efficiency[str(n_stations)] = round(n_stations * station_day_s / n_workers / (start_s + busy), 3)
    return {
        "model_workers": n_workers,
        "model_efficiency_by_stations": efficiency,
        "model_workers_that_the_scheduler_feeds": math.floor(station_day_s / per_task_s),
    }


def main() -> None:
    options = arguments()
    os.environ["OMP_NUM_THREADS"] = "1"
    results: dict[str, Any] = {"benchmark": "workflow", "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="pickflow-workflow-") as folder:
        scratch = Path(folder)
        if "dry-run" in options.parts:
            results["dry_runs"] = [dry_run(n_stations, options.days, scratch) for n_stations in (100, 1000)]
        if "jobs" in options.parts:
            results["jobs"] = job_overhead(scratch)
        if "dask" in options.parts:
            results["dask"] = share_stations(options, scratch)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
