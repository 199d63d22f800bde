"""Costs of a run, estimated before it starts."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pickflow.codes import StationCode, code_problem, matches
from pickflow.models.registry import compress_cpu_s, pick_cpu_s
from pickflow.run.configuration import ConfigError
from pickflow.run.grid import Candidate
from pickflow.run.lab import teachers, trained_pickers
from pickflow.run.layout import RunLayout

# Seconds of one CPU core for one full station-day (3 x 8,640,000 samples), measured on a busy server core; they are for
# planning, good to a factor of two. Every run measures picking again: results/<run>/logs/pick/*.timing.json.
DOWNLOAD_CPU_S = 3.0
DENOISE_CPU_S = {"none": 0.0, "bandpass": 1.0, "deepdenoiser": 60.0}
# Of a quiet network, and amid aftershocks: the cost grows with the rate of events, which is unknown before. The
# second is a day after an M6.0 (20 h of 8 stations: GaMMA 70 s, PyOcto 27 s, the stack 8 s).
ASSOCIATE_CPU_S = {"pyocto": 0.5, "gamma": 5.0, "stack": 0.3}
ASSOCIATE_BUSY_CPU_S = {"pyocto": 4.1, "gamma": 10.5, "stack": 1.2}
AMPLITUDE_CPU_S = 0.5  # as DOWNLOAD_CPU_S
# Seconds of one CPU core that a job needs before it begins: Snakemake, imports, the model.
JOB_CPU_S = 4.0
# Time for a window of a training, as a share of that for picking a station-day: 12.6 ms of EQTransformer, 5.5 ms of
# PhaseNet (docs/training.md).
TRAIN_WINDOW_SHARE = 1.3e-3
# ASSUME a data-centre GPU is this many times faster than a core; the waveforms are decoded by the CPU meanwhile.
GPU_SPEED = 10.0
# Bytes of a station-day of 3 components at 100 Hz in STEIM2: 17 MB in the demo, 37 MB amid aftershocks.
WAVEFORM_BYTES = 20e6
# Picks, events, arrivals and amplitudes of a station-day, for each catalog.
TABLE_BYTES = 30e3


class StageCost(NamedTuple):
    """Cost of a stage for one full station-day, in seconds of a core and of a GPU."""

    stage: str
    cpu_s: float
    gpu_s: float


class Disk(NamedTuple):
    """Files of a run on disk."""

    n_files: int
    waveform_bytes: float
    table_bytes: float


class Plan(NamedTuple):
    """Size of a run; ``n_stations`` is None if only a server has the number."""

    n_stations: int | None
    n_days: int
    n_jobs: int
    cpu_hours: float | None
    gpu_hours: float | None
    busy_cpu_hours: float | None = None  # if every day were one of aftershocks


def count_stations(inventories: Iterable[str], stations: str | Path, patterns: Sequence[str]) -> int | None:
    """
    Number of stations of a run, as far as it is known without network access.

    Parameters
    ----------
    inventories : iterable of str
        StationXML files; those that do not exist yet are ignored.
    stations : str or Path
        Table of an earlier `inventory` job, which counts if it exists.
    patterns : sequence of str
        ``network.station`` with wildcards.

    Returns
    -------
    int or None
        None if unknown.
    """
    if Path(stations).exists():
        try:
            codes_only = pq.read_table(stations, columns=["network", "station"]).to_pylist()
            return len({(row["network"], row["station"]) for row in codes_only})  # one that moves has several rows
        except (OSError, pa.ArrowException):  # the job that reads it reports the error
            return None
    codes = {code for path in inventories if Path(path).exists() for code in _codes(path)}
    named = {pattern for pattern in patterns if not set(pattern) & set("*?")}
    stations_known = {str(code) for code in codes if matches(code, list(patterns))} | named
    wildcards = len(named) < len(patterns)
    return len(stations_known) if stations_known and (codes or not wildcards) else None


def _codes(path: str) -> set[StationCode]:
    codes: set[StationCode] = set()
    network = ""
    try:
        for _, element in ElementTree.iterparse(path, events=("start",)):  # noqa: S314 (the user's own file)
            name = element.tag.rpartition("}")[2]
            if name == "Network":
                network = element.get("code", "")
            elif name == "Station":
                code = StationCode(network, element.get("code", ""))
                codes |= set() if code_problem(*code) else {code}
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise ConfigError(f"config key download.inventory: {path} is not StationXML ({error})") from error
    return codes


def make_plan(
    config: Mapping[str, Any],
    candidates: Sequence[Candidate],
    students: Mapping[Candidate, Sequence[Candidate]],
    n_stations: int | None,
    day_share: Sequence[float],
    on_gpu: bool,
) -> Plan:
    """
    Size of a run.

    Parameters
    ----------
    config : mapping
        Completed configuration.
    candidates : sequence of Candidate
        Models and weights.
    students : mapping of Candidate to sequence of Candidate
        Compressed pickers by their teacher; see `resolve_students`.
    n_stations : int or None
        See `count_stations`.
    day_share : sequence of float
        Which part of each day the run covers, 0 to 1.
    on_gpu : bool
        Whether the profile requests a GPU for picking and denoising.

    Returns
    -------
    Plan
        Jobs of the whole run; a run that is resumed has fewer to do.
    """
    n_days = len(day_share)
    methods, associators = config["denoise"]["methods"], config["associate"]["methods"]
    pickers = [*candidates, *(student for group in students.values() for student in group)]
    n_models = len(pickers)
    n_denoised = sum(method != "none" for method in methods)
    has_archive = RunLayout.of(config["run"]).is_synthetic(config["download"]["path"])
    n_jobs = (
        1
        + has_archive
        + n_days * (1 + n_denoised + len(methods) * n_models * (1 + 2 * len(associators)))  # associate, amplitude
        + len(candidates)  # weights
        + len(students)  # compress
        + ("deepdenoiser" in methods)
        + 2 * len(methods) * n_models * len(associators)  # locate, catalog
        + 2  # analyze, report
        + 1  # the target itself
        + _n_lab_jobs(config["lab"], pickers)
    )
    if n_stations is None:
        return Plan(None, n_days, n_jobs, None, None)
    station_days = n_stations * sum(day_share)
    costs = stage_costs(methods, [pair.model for pair in pickers], associators, on_gpu)
    compressing_s = sum(compress_cpu_s(teacher.model) for teacher in students)
    training_s = training_cpu_s(config["lab"])
    cpu_s = station_days * sum(cost.cpu_s for cost in costs) + compressing_s + training_s + n_jobs * JOB_CPU_S
    gpu_s = station_days * sum(cost.gpu_s for cost in costs)
    busy_s = cpu_s + station_days * aftershock_cpu_s(len(methods) * n_models, associators)
    return Plan(n_stations, n_days, n_jobs, cpu_s / 3600, gpu_s / 3600, busy_s / 3600)


def _n_lab_jobs(lab: Mapping[str, Any], pickers: Sequence[Candidate]) -> int:
    """Jobs of the lab beside the trainings, each of which stands for the weights that need not be fetched."""
    trained = trained_pickers(lab)
    if not trained:
        return 0
    n_teachers = sum(teacher not in pickers for teacher in teachers(lab))
    return 1 + n_teachers + len(trained) + len(pickers) + 1  # data, weights, inside, pick, table


def training_cpu_s(lab: Mapping[str, Any]) -> float:
    """
    CPU-seconds of the trainings of a lab.

    Parameters
    ----------
    lab : mapping
        Completed section ``lab`` of a configuration.

    Returns
    -------
    float
        0 if an epoch has as many steps as take every record once: how many records there are is known later.
    """
    optimisation = lab["training"]["optimisation"]
    n_windows = optimisation["epochs"] * (optimisation["steps_per_epoch"] or 0) * optimisation["batch_size"]
    return n_windows * sum(TRAIN_WINDOW_SHARE * pick_cpu_s(picker.model) for picker in trained_pickers(lab))


def stage_costs(
    signals: Sequence[str], models: Sequence[str], associators: Sequence[str], on_gpu: bool
) -> list[StageCost]:
    """
    Cost of each stage for one full station-day.

    Parameters
    ----------
    signals : sequence of str
        Methods of denoising.
    models : sequence of str
        One architecture for each pair of model and weights that picks, students included.
    associators : sequence of str
        Methods of association.
    on_gpu : bool
        Whether networks run on a GPU.
    """
    picking_s = len(signals) * sum(pick_cpu_s(model) for model in models)
    denoising_s = sum(DENOISE_CPU_S[signal] for signal in signals)
    n_sets = len(signals) * len(models)
    on_gpu_denoise = on_gpu and "deepdenoiser" in signals
    return [
        StageCost("download", DOWNLOAD_CPU_S, 0.0),
        StageCost("denoise", *on_device(denoising_s, on_gpu_denoise)),
        StageCost("pick", *on_device(picking_s, on_gpu)),
        StageCost("associate", n_sets * sum(ASSOCIATE_CPU_S[name] for name in associators), 0.0),
        StageCost("amplitude", n_sets * len(associators) * AMPLITUDE_CPU_S, 0.0),
    ]


def aftershock_cpu_s(n_pick_sets: int, associators: Sequence[str]) -> float:
    """Additional cost of association amid aftershocks, in CPU-seconds for one full station-day."""
    return n_pick_sets * sum(ASSOCIATE_BUSY_CPU_S[name] - ASSOCIATE_CPU_S[name] for name in associators)


def on_device(cpu_s: float, on_gpu: bool) -> tuple[float, float]:
    """Seconds of a network on a core, and on a GPU, of which one is zero."""
    return (0.0, cpu_s / GPU_SPEED) if on_gpu else (cpu_s, 0.0)


def disk(n_stations: int, n_days: int, n_picks: int, n_catalogs: int, n_jobs: int) -> Disk:
    """
    Files and bytes of a run.

    Parameters
    ----------
    n_stations, n_days : int
        Every station-day has one file of waveforms.
    n_picks, n_catalogs : int
        Sets of picks (signal, model, weights), and catalogs (those and an associator).
    n_jobs : int
        Each has a log and a benchmark, and Snakemake a note of its outputs.
    """
    waveforms = n_days * (n_stations + 2)  # manifest and Snakemake's time stamp
    tables = n_days * (2 * n_picks + 3 * n_catalogs)
    notes = 2 * n_jobs + n_days * (1 + 3 * n_picks + 3 * n_catalogs)  # logs, benchmarks, timing; .snakemake/metadata
    n_station_days = n_stations * n_days
    return Disk(waveforms + tables + notes, n_station_days * WAVEFORM_BYTES, n_station_days * n_catalogs * TABLE_BYTES)


def sentence(run: str, plan: Plan) -> str:
    """The plan in one line of text."""
    days = f"{plan.n_days} day{'s' if plan.n_days != 1 else ''}"
    if plan.n_stations is None or plan.cpu_hours is None or plan.gpu_hours is None:
        return (
            f"run {run}: {days}, {plan.n_jobs} jobs in all; the number of stations, and with it the CPU- and GPU-hours,"
            " is known once the inventory is fetched (snakemake inventory)"
        )
    return (
        f"run {run}: {plan.n_stations} stations x {days} = {plan.n_stations * plan.n_days} station-days,"
        f" {plan.n_jobs} jobs in all, about {_hours(plan.cpu_hours)} CPU-hours and {_hours(plan.gpu_hours)} GPU-hours"
        + (f" (up to {_hours(plan.busy_cpu_hours)} CPU-hours amid aftershocks)" if plan.busy_cpu_hours else "")
    )


def _hours(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"
