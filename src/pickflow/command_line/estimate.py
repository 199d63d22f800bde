"""``pickflow estimate``: what a campaign costs, before anybody applies for the hours."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pickflow import config as configuration
from pickflow import grid, plan, students, windows
from pickflow.grid import Candidate

ROOT = Path(__file__).parents[3]
# ASSUME these prices of rented machines; an allocation has none. Give your own.
EUR_PER_CPU_HOUR = 0.04
EUR_PER_GPU_HOUR = 2.0
EUR_PER_TB_MONTH = 20.0
EXAMPLES = """examples:
  pickflow estimate --configfile my.yaml
  pickflow estimate --stations 1400 --days 365 --models PhaseNet --gpu      (AdriaArray for a year)
  pickflow estimate --stations 100 --days 365 --measured results/demo       (picking as fast as that run was)"""


class Campaign(NamedTuple):
    """What is asked for: the size of a run, without its data."""

    name: str
    n_stations: int
    day_share: list[float]
    candidates: list[Candidate]
    students: Mapping[Candidate, Sequence[Candidate]]
    config: Mapping[str, Any]


def run(arguments: Sequence[str]) -> int:
    """Answer a call of ``pickflow estimate``."""
    given = make_parser().parse_args(arguments)
    campaign = of_configuration(given.configfile) if given.configfile else of_numbers(given)
    picking_cpu_s = measured_picking(given.measured) if given.measured else None
    found = estimate(campaign, given.gpu, given.cores, _prices(given), picking_cpu_s)
    print(json.dumps(found, indent=1) if given.json else text(found))  # noqa: T201
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The options of ``pickflow estimate``."""
    show = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("pickflow estimate", description=__doc__, epilog=EXAMPLES, formatter_class=show)
    what = parser.add_argument_group("what is computed")
    what.add_argument("--configfile", help="configuration of a run; or the numbers below")
    what.add_argument("--stations", type=_positive, metavar="N", help="number of stations; over a configuration's")
    what.add_argument("--days", type=_positive, metavar="N", help="number of days")
    what.add_argument(
        "--models", nargs="+", default=["PhaseNet"], metavar="MODEL", help="one per pair of model and weights"
    )
    what.add_argument("--denoise", nargs="+", default=["none"], choices=sorted(plan.DENOISE_CPU_S), metavar="METHOD")
    what.add_argument(
        "--associators", nargs="+", default=["pyocto"], choices=sorted(plan.ASSOCIATE_CPU_S), metavar="NAME"
    )
    where = parser.add_argument_group("where, and at which price")
    where.add_argument("--gpu", action="store_true", help="networks run on a GPU")
    where.add_argument(
        "--cores", type=_positive, default=128, help="CPU cores that work at the same time (%(default)s)"
    )
    where.add_argument("--measured", metavar="RUN", help="folder of a run; picking costs what it cost there")
    where.add_argument("--eur-per-cpu-hour", type=float, default=EUR_PER_CPU_HOUR, help="(%(default)s, assumed)")
    where.add_argument("--eur-per-gpu-hour", type=float, default=EUR_PER_GPU_HOUR, help="(%(default)s, assumed)")
    where.add_argument("--eur-per-tb-month", type=float, default=EUR_PER_TB_MONTH, help="(%(default)s, assumed)")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    return parser


def _positive(value: str) -> int:
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{value} is not positive")
    return number


def _prices(given: argparse.Namespace) -> dict[str, float]:
    return {name: getattr(given, name) for name in ("eur_per_cpu_hour", "eur_per_gpu_hour", "eur_per_tb_month")}


def of_numbers(given: argparse.Namespace) -> Campaign:
    """A campaign of so many stations and days."""
    if not (given.stations and given.days):
        raise ValueError("give --configfile, or both --stations and --days; pickflow estimate --help has examples")
    unknown = sorted(set(given.models) - set(grid.known_weights()))
    if unknown:
        raise ValueError(f"model {unknown[0]!r} is not known; known: {', '.join(sorted(grid.known_weights()))}")
    config = {
        "run": "campaign",
        "download": {"path": ""},
        "denoise": {"methods": given.denoise},
        "associate": {"methods": given.associators},
    }
    candidates = [Candidate(model, f"weights{number}") for number, model in enumerate(given.models)]
    return Campaign("campaign", given.stations, [1.0] * given.days, candidates, {}, config)


def of_configuration(path: str) -> Campaign:
    """The campaign that a configuration asks for."""
    try:
        config = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"--configfile {path}: {error}") from error
    config = configuration.complete(config, configuration.load_schema(ROOT / "workflow" / "schemas"))
    results = f"results/{config['run']}"
    config = configuration.place(config, {"results": results, "shared": "../shared"})
    section, sources = config["pick"], config["weights"]
    candidates, _ = grid.resolve_grid(
        section["models"], section["weights"], section["pairs"], sources["cache"], sources["files"]
    )
    start, end = (windows.parse_time(config[key]) for key in ("starttime", "endtime"))
    parts = (windows.day_window(day, start, end) for day in windows.days_between(start, end))
    download = config["download"]
    n_stations = plan.count_stations(
        download["inventory"], f"{results}/inventory/stations.parquet", download["stations"]
    )
    if n_stations is None and str(download["path"]).startswith(f"{results}/"):
        n_stations = len(config["synthesize"]["stations"])
    if n_stations is None:
        raise ValueError(
            f"--configfile {path}: only the server knows how many stations {', '.join(download['stations'])} are; run"
            f" snakemake --cores 1 --configfile {path} inventory first, or give --stations and --days instead"
        )
    shares = [(end - start) / windows.ONE_DAY for start, end in parts]
    pickers = students.resolve_students(config["compress"], candidates)
    return Campaign(config["run"], n_stations, shares, candidates, pickers, config)


def measured_picking(run_folder: str) -> float:
    """
    CPU time of picking one full station-day, in s, over all jobs of a run.

    Raises
    ------
    ValueError
        If the folder has no timings.
    """
    files = sorted(Path(run_folder, "logs", "pick").glob("*.timing.json"))
    timings = [json.loads(path.read_text()) for path in files]
    station_days = sum(timing["full_station_days"] for timing in timings)
    if not station_days:
        raise ValueError(
            f"--measured {run_folder}: no timings of picking in {run_folder}/logs/pick; name the folder of a run"
        )
    return float(sum(timing["cpu_s"] for timing in timings) / station_days)


def estimate(
    campaign: Campaign, on_gpu: bool, cores: int, prices: Mapping[str, float], picking_cpu_s: float | None = None
) -> dict[str, Any]:
    """
    What a campaign costs.

    Parameters
    ----------
    campaign : Campaign
        Stations, days, models.
    on_gpu : bool
        Whether networks run on a GPU.
    cores : int
        That work at the same time.
    prices : mapping
        ``eur_per_cpu_hour``, ``eur_per_gpu_hour``, ``eur_per_tb_month``.
    picking_cpu_s : float, optional
        Measured CPU time of picking a station-day with one picker, in s, instead of the planned ones.

    Returns
    -------
    dict
        Ready for JSON.
    """
    signals, associators = campaign.config["denoise"]["methods"], campaign.config["associate"]["methods"]
    pickers = [*campaign.candidates, *(student for some in campaign.students.values() for student in some)]
    size = plan.make_plan(
        campaign.config, campaign.candidates, campaign.students, campaign.n_stations, campaign.day_share, on_gpu
    )
    station_days = campaign.n_stations * sum(campaign.day_share)
    costs = plan.stage_costs(signals, [pair.model for pair in pickers], associators, on_gpu)
    if picking_cpu_s is not None:
        picking = plan.StageCost("pick", *plan.where(picking_cpu_s * len(signals) * len(pickers), on_gpu))
        costs = [picking if cost.stage == "pick" else cost for cost in costs]
    hours = {cost.stage: [station_days * cost.cpu_s / 3600, station_days * cost.gpu_s / 3600] for cost in costs}
    hours["compress"] = [sum(plan.COMPRESS_CPU_S[teacher.model] for teacher in campaign.students) / 3600, 0.0]
    hours["start jobs"] = [size.n_jobs * plan.JOB_CPU_S / 3600, 0.0]
    n_picks = len(signals) * len(pickers)
    used = plan.disk(campaign.n_stations, size.n_days, n_picks, n_picks * len(associators), size.n_jobs)
    cpu_hours, gpu_hours = (sum(column) for column in zip(*hours.values(), strict=True))
    terabytes = (used.waveform_bytes + used.table_bytes) / 1e12
    return {
        "run": campaign.name,
        "n_stations": campaign.n_stations,
        "n_days": size.n_days,
        "station_days": round(station_days, 3),
        "n_jobs": size.n_jobs,
        "stages": {
            name: {"cpu_hours": round(cpu, 3), "gpu_hours": round(gpu, 3)} for name, (cpu, gpu) in hours.items()
        },
        "cpu_hours": round(cpu_hours, 3),
        "gpu_hours": round(gpu_hours, 3),
        "cpu_s_per_station_day": round(3600 * cpu_hours / station_days, 3),
        "cores": cores,
        "days_on_cores": round(cpu_hours / cores / 24, 3),
        "n_files": used.n_files,
        "waveform_gb": round(used.waveform_bytes / 1e9, 3),
        "table_gb": round(used.table_bytes / 1e9, 3),
        "eur_cpu": round(cpu_hours * prices["eur_per_cpu_hour"], 2),
        "eur_gpu": round(gpu_hours * prices["eur_per_gpu_hour"], 2),
        "eur_disk_month": round(terabytes * prices["eur_per_tb_month"], 2),
        "prices": dict(prices),
        "picking_measured": picking_cpu_s is not None,
        "gpu_speed_assumed": plan.GPU_SPEED if on_gpu else None,
    }


def text(found: Mapping[str, Any]) -> str:
    """The estimate for people."""
    rows = [
        f"  {name:12} {stage['cpu_hours']:12,.2f} {stage['gpu_hours']:12,.2f}"
        for name, stage in found["stages"].items()
    ]
    picking = "measured in the run that was named" if found["picking_measured"] else "as planned (docs/scale.md)"
    money = f"{found['eur_cpu'] + found['eur_gpu']:,.2f} EUR ({found['eur_cpu']:,.2f} CPU, {found['eur_gpu']:,.2f} GPU)"
    size = f"{found['waveform_gb']:,.1f} GB of waveforms, {found['table_gb']:,.1f} GB of tables"
    lines = [
        f"{found['run']}: {found['n_stations']:,} stations x {found['n_days']:,} days = {found['station_days']:,.6g}"
        f" station-days, {found['n_jobs']:,} jobs",
        "",
        f"  {'stage':12} {'CPU-hours':>12} {'GPU-hours':>12}",
        *rows,
        f"  {'all':12} {found['cpu_hours']:12,.2f} {found['gpu_hours']:12,.2f}",
        "",
        f"  {found['cpu_s_per_station_day']:.1f} CPU-seconds a station-day; {found['days_on_cores']:,.2f} days on"
        f" {found['cores']:,} cores",
        f"  disk: {found['n_files']:,} files, {size}",
        f"  cost: {money}, {found['eur_disk_month']:,.2f} EUR a month for the disk",
        "",
        f"  picking: {picking}; good to a factor of two. Prices are assumed unless given (--eur-per-...).",
    ]
    if found["gpu_speed_assumed"]:
        lines.append(f"  ASSUMED: a GPU is as fast as {found['gpu_speed_assumed']:.0f} cores; it was not measured.")
    return "\n".join(lines)
