"""``pickflow estimate``: the costs of a campaign, for the application for computing time."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pickflow.command_line.configuration import valid_configuration
from pickflow.command_line.parser import Parser, UsageError, command_parser, count, say, value
from pickflow.models.registry import PICKERS, compress_cpu_s
from pickflow.run import plan
from pickflow.run.grid import Candidate
from pickflow.run.layout import RunLayout
from pickflow.run.outcome import picking_cpu_s
from pickflow.run.resolved import ResolvedRun
from pickflow.run.settings.lab import LabParams

# ASSUME these prices of rented machines; an allocation has none. Give your own.
CORES = 128
PRICES = {"eur_per_cpu_hour": 0.04, "eur_per_gpu_hour": 2.0, "eur_per_tb_month": 20.0}
# What a campaign without a configuration computes with.
METHODS = {"models": ["PhaseNet"], "denoise": ["none"], "associators": ["pyocto"]}
EXAMPLES = """
pickflow estimate --configfile my.yaml
pickflow estimate --configfile my.yaml --stations 300 --days 365          (a year of it, with more stations)
pickflow estimate --stations 1400 --days 365 --models PhaseNet --gpu      (AdriaArray for a year)
pickflow estimate --stations 100 --days 365 --measured results/demo       (picking as fast as that run was)
"""


class Campaign(NamedTuple):
    """Size of a run, without its data."""

    name: str
    n_stations: int
    day_share: list[float]
    candidates: list[Candidate]
    students: Mapping[Candidate, Sequence[Candidate]]
    config: Mapping[str, Any]


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow estimate``."""
    call = make_parser().parse_args(arguments)
    campaign = of_configuration(call) if call.configfile else of_numbers(call)
    picking_cpu_s = measured_picking(call.measured) if call.measured else None
    costs = estimate(campaign, call.gpu, call.cores, _prices(call), picking_cpu_s)
    return say(json.dumps(costs, indent=1) if call.json else text(costs))


def make_parser() -> Parser:
    """The options of ``pickflow estimate``."""
    parser = command_parser("estimate", EXAMPLES, "docs/scale.md describes the computation.")
    size = parser.add_argument_group("what is computed")
    size.add_argument("--configfile", help="configuration of a run, which has the methods as well")
    size.add_argument("--stations", type=value(count), metavar="N", help="number of stations; over a configuration's")
    size.add_argument("--days", type=value(count), metavar="N", help="number of whole days; over a configuration's")
    size.add_argument("--models", nargs="+", metavar="MODEL", help="one per pair of model and weights (PhaseNet)")
    size.add_argument(
        "--denoise", nargs="+", choices=sorted(plan.DENOISE_CPU_S), metavar="METHOD", help="%(choices)s (none)"
    )
    size.add_argument(
        "--associators", nargs="+", choices=sorted(plan.ASSOCIATE_CPU_S), metavar="NAME", help="%(choices)s (pyocto)"
    )
    prices = parser.add_argument_group("where, and at which price")
    prices.add_argument("--gpu", action="store_true", help="networks run on a GPU")
    prices.add_argument(
        "--cores", type=value(count), default=CORES, help="CPU cores that work at the same time (%(default)s)"
    )
    prices.add_argument("--measured", metavar="RUN", help="folder of a run; picking costs what it cost there")
    for name, price in PRICES.items():
        prices.add_argument(f"--{name.replace('_', '-')}", type=float, default=price, help="(%(default)s, assumed)")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    return parser


def _prices(call: argparse.Namespace) -> dict[str, float]:
    return {name: getattr(call, name) for name in PRICES}


def of_numbers(call: argparse.Namespace) -> Campaign:
    """Campaign of a number of stations and days."""
    if not (call.stations and call.days):
        raise UsageError("give --configfile, or both --stations and --days; such as --stations 100 --days 365")
    models, denoise, associators = (getattr(call, name) or default for name, default in METHODS.items())
    unknown = sorted(set(models) - set(PICKERS))
    if unknown:
        raise UsageError(f"model {unknown[0]!r} is not known; known: {', '.join(sorted(PICKERS))}")
    config = {
        "run": "campaign",
        "download": {"path": ""},
        "denoise": {"methods": denoise},
        "associate": {"methods": associators},
        "lab": LabParams().model_dump(),
    }
    candidates = [Candidate(model, f"weights{number}") for number, model in enumerate(models)]
    return Campaign("campaign", call.stations, [1.0] * call.days, candidates, {}, config)


def of_configuration(call: argparse.Namespace) -> Campaign:
    """Campaign of a configuration, with the numbers of stations and days that the call gives instead of its own."""
    path = call.configfile
    for name in METHODS:
        if methods := getattr(call, name):
            raise UsageError(
                f"--{name} {' '.join(methods)}: --configfile {path} has the methods; change them there, or leave"
                " --configfile out"
            )
    run = valid_configuration(path, with_files=False)
    campaign = of_run(run, call.stations, call.days)
    if campaign is None:
        stations = run.config["download"]["stations"]
        raise ValueError(
            f"--configfile {path}: only the server knows how many stations {', '.join(stations)} are; run snakemake"
            f" inventory --cores 1 --configfile {path} first, or give --stations as well"
        )
    return campaign


def of_run(run: ResolvedRun, n_stations: int | None = None, n_days: int | None = None) -> Campaign | None:
    """The campaign of a run, or of other numbers; None where only a server knows the number of stations."""
    n_stations = n_stations or run.n_stations
    if n_stations is None:
        return None
    day_share = [1.0] * n_days if n_days else run.day_share
    return Campaign(run.config["run"], n_stations, day_share, run.candidates, run.students, run.config)


def measured_picking(run_folder: str) -> float:
    """
    CPU time of picking one full station-day, in s, over all jobs of a run.

    Raises
    ------
    ValueError
        If the folder has no timings.
    """
    layout = RunLayout(run_folder)
    cpu_s = picking_cpu_s(layout)
    if cpu_s is None:
        raise ValueError(
            f"--measured {run_folder}: no timings of picking in {layout.logs('pick')}; name the folder of a run"
        )
    return cpu_s


def estimate(
    campaign: Campaign, on_gpu: bool, cores: int, prices: Mapping[str, float], picking_cpu_s: float | None = None
) -> dict[str, Any]:
    """
    Costs of a campaign.

    Parameters
    ----------
    campaign : Campaign
        Stations, days, models.
    on_gpu : bool
        Whether networks run on a GPU.
    cores : int
        Used at the same time.
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
    pickers = [
        *campaign.candidates,
        *(student for group in campaign.students.values() for student in group),
    ]
    size = plan.make_plan(
        campaign.config, campaign.candidates, campaign.students, campaign.n_stations, campaign.day_share, on_gpu
    )
    station_days = campaign.n_stations * sum(campaign.day_share)
    costs = plan.stage_costs(signals, [pair.model for pair in pickers], associators, on_gpu)
    if picking_cpu_s is not None:
        picking = plan.StageCost("pick", *plan.on_device(picking_cpu_s * len(signals) * len(pickers), on_gpu))
        costs = [picking if cost.stage == "pick" else cost for cost in costs]
    hours = {cost.stage: [station_days * cost.cpu_s / 3600, station_days * cost.gpu_s / 3600] for cost in costs}
    hours["compress"] = [sum(compress_cpu_s(teacher.model) for teacher in campaign.students) / 3600, 0.0]
    hours["train"] = [plan.training_cpu_s(campaign.config["lab"]) / 3600, 0.0]
    hours["start jobs"] = [size.n_jobs * plan.JOB_CPU_S / 3600, 0.0]
    n_picks = len(signals) * len(pickers)
    busy_s = plan.aftershock_cpu_s(n_picks, associators)
    disk = plan.disk(campaign.n_stations, size.n_days, n_picks, n_picks * len(associators), size.n_jobs)
    cpu_hours, gpu_hours = (sum(column) for column in zip(*hours.values(), strict=True))
    terabytes = (disk.waveform_bytes + disk.table_bytes) / 1e12
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
        "cpu_hours_amid_aftershocks": round(cpu_hours + station_days * busy_s / 3600, 3),
        "gpu_hours": round(gpu_hours, 3),
        "cpu_s_per_station_day": round(3600 * cpu_hours / station_days, 3),
        "cores": cores,
        "days_on_cores": round(cpu_hours / cores / 24, 3),
        "n_files": disk.n_files,
        "waveform_gb": round(disk.waveform_bytes / 1e9, 3),
        "table_gb": round(disk.table_bytes / 1e9, 3),
        "eur_cpu": round(cpu_hours * prices["eur_per_cpu_hour"], 2),
        "eur_gpu": round(gpu_hours * prices["eur_per_gpu_hour"], 2),
        "eur_disk_month": round(terabytes * prices["eur_per_tb_month"], 2),
        "prices": dict(prices),
        "picking_measured": picking_cpu_s is not None,
        "gpu_speed_assumed": plan.GPU_SPEED if on_gpu else None,
    }


def text(costs: Mapping[str, Any]) -> str:
    """Text of the estimate."""
    rows = [
        f"  {name:12} {stage['cpu_hours']:12,.2f} {stage['gpu_hours']:12,.2f}"
        for name, stage in costs["stages"].items()
    ]
    picking = "measured in the run that was named" if costs["picking_measured"] else "as planned (docs/scale.md)"
    money = f"{costs['eur_cpu'] + costs['eur_gpu']:,.2f} EUR ({costs['eur_cpu']:,.2f} CPU, {costs['eur_gpu']:,.2f} GPU)"
    size = f"{costs['waveform_gb']:,.1f} GB of waveforms, {costs['table_gb']:,.1f} GB of tables"
    lines = [
        f"{costs['run']}: {costs['n_stations']:,} stations x {costs['n_days']:,} days, as much data as"
        f" {costs['station_days']:,.6g} whole station-days, {costs['n_jobs']:,} jobs",
        "",
        f"  {'stage':12} {'CPU-hours':>12} {'GPU-hours':>12}",
        *rows,
        f"  {'all':12} {costs['cpu_hours']:12,.2f} {costs['gpu_hours']:12,.2f}",
        "",
        f"  {costs['cpu_s_per_station_day']:.1f} CPU-seconds a station-day; {costs['days_on_cores']:,.2f} days on"
        f" {costs['cores']:,} cores",
        f"  amid aftershocks on every day, association makes that {costs['cpu_hours_amid_aftershocks']:,.2f} CPU-hours:"
        " its cost grows with the rate of events",
        f"  disk: {costs['n_files']:,} files, {size}",
        f"  cost: {money}, {costs['eur_disk_month']:,.2f} EUR a month for the disk",
        "",
        f"  picking: {picking}; good to a factor of two. Prices are assumed unless given (--eur-per-...).",
    ]
    if costs["gpu_speed_assumed"]:
        lines.append(f"  ASSUMED: a GPU is as fast as {costs['gpu_speed_assumed']:.0f} cores; it was not measured.")
    return "\n".join(lines)
