"""Configuration, wildcards and input functions: all of the workflow's Python."""

import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from pickflow import config as configuration
from pickflow import grid, plan, students, windows
from pickflow.io.atomic import remove_partial
from pickflow.io.velocity import read_velocity_model
from pickflow.run_lock import RunLockedError, end_run, hold_run
from pickflow.schemas import CATALOG_FILE
from pickflow.versions import STAGE_VERSIONS

# Keys that stand in the paths: a longer grid must not run again what was done. And those that decide whether a job ends,
# not what it writes.
GRID_KEYS = {
    "pick": {"models", "weights", "pairs"},
    "denoise": {"methods"},
    "associate": {"methods"},
    "compress": {"target", "methods", "teachers"},
    "download": {"fdsn.server_errors"},
}
SHARED = os.environ.get("PICKFLOW_SHARED", "../shared")


def check_velocity(path):
    """Read the velocity model now: it is needed late, and wrong units are easily written."""
    try:
        read_velocity_model(path)
    except ValueError as error:
        raise configuration.ConfigError(f"config key associate.velocity_model.file: {error}") from None


def read_configuration():
    """Check and complete the configuration, and decide the grid of models and weights, and which of them teach."""
    schema = configuration.load_schema(Path(workflow.basedir, "workflow/schemas"))
    completed = configuration.complete(config, schema)
    completed = configuration.place(completed, {"results": f"results/{completed['run']}", "shared": SHARED})
    if workflow.is_main_process:
        configuration.check_paths(completed, made_by_run=(f"results/{completed['run']}/", *seen_by_pods(completed)))
    if (velocity := completed["associate"]["velocity_model"]["file"]) and Path(velocity).exists():
        check_velocity(velocity)
    section, sources = completed["pick"], completed["weights"]
    candidates, warnings = grid.resolve_grid(
        section["models"], section["weights"], section["pairs"], sources["cache"], sources["files"]
    )
    return completed, candidates, warnings, students.resolve_students(completed["compress"], candidates)


try:
    COMPLETED, CANDIDATES, GRID_WARNINGS, STUDENTS = read_configuration()
except configuration.ConfigError as error:
    raise WorkflowError(str(error)) from None

config.update(COMPLETED)
RESULTS = f"results/{config['run']}"
STARTTIME, ENDTIME = (windows.parse_time(config[key]) for key in ("starttime", "endtime"))
DAYS = windows.days_between(STARTTIME, ENDTIME)
SIGNALS = config["denoise"]["methods"]
ASSOCIATORS = config["associate"]["methods"]
TEACHERS = [str(teacher) for teacher in STUDENTS]
STUDENT_NAMES = students.student_names(config["compress"])
QUANTISED_NAMES = [name for name in STUDENT_NAMES if students.read_student(name).int8]
QUANTISED = [f"{teacher}-{name}" for teacher in TEACHERS for name in QUANTISED_NAMES]
# All that pick: each teacher is followed by its students.
PICKERS = [pair for candidate in CANDIDATES for pair in (candidate, *STUDENTS.get(candidate, []))]
# The catalogs of the run, each a path below picks/, events/ and catalog/.
PICK_SETS = [f"{signal}/{pair.model}/{pair.weights}" for signal in SIGNALS for pair in PICKERS]
CATALOGS = [f"{picks}/{associator}" for picks in PICK_SETS for associator in ASSOCIATORS]
# One for each format that is asked for.
CATALOG_FILES = [CATALOG_FILE[name] for name in config["catalog"]["formats"]]
# Tables of the analysis: of the run, of each set of picks, of each catalog.
FINDINGS = (
    ["ledger", "reference", "reference_picks"]
    + [f"{picks}/{name}" for picks in PICK_SETS for name in ("pick_matches", "pick_scores")]
    + [
        f"{catalog}/{name}"
        for catalog in CATALOGS
        for name in ("matches", "event_scores", "missed_events", "new_events", "wadati")
    ]
)


wildcard_constraints:
    date=r"\d{4}-\d{2}-\d{2}",
    signal="|".join(SIGNALS),
    model=r"[A-Za-z0-9]+",
    weights=r"[A-Za-z0-9._-]+",
    associator="|".join(ASSOCIATORS),


def without_keys(section, keys, place=""):
    """A section of the configuration without some keys, written with dots where they lie deeper."""
    return {
        key: without_keys(value, keys, f"{place}{key}.") if isinstance(value, dict) else value
        for key, value in section.items()
        if f"{place}{key}" not in keys
    }


def stage_params(stage, *sections):
    """Version and settings of a stage, so that a change of either runs the stage again; the grid is in the paths."""
    settings = {}
    for section in sections or (stage,):
        settings.update(without_keys(config[section], GRID_KEYS.get(section, set())))
    return {"stage_version": STAGE_VERSIONS[stage], "settings": settings}


def bundle_digest(wildcards):
    """Digest of the weights that come with pickflow, so that new ones are taken; empty for weights of others."""
    return grid.bundled_digest(wildcards.model, wildcards.weights)


def window_of_day(wildcards):
    """The part of a day that belongs to the run."""
    return [moment.isoformat() for moment in windows.day_window(wildcards.date, STARTTIME, ENDTIME)]


def made_by_run(*paths):
    """The synthetic archive, if one of the paths lies in it; else those of the paths that are files."""
    inside = [path for path in paths if path and path.startswith(f"{RESULTS}/synthetic")]
    return ["<results>/synthetic"] if inside else [path for path in paths if path and is_named_file(path)]


def archive(wildcards):
    """What the download stage reads, as far as it is files of ours."""
    return made_by_run(config["download"]["path"], *config["download"]["inventory"])


def reference(wildcards):
    """What the catalogs are held against."""
    return made_by_run(*configuration.files_of(config["analyze"]["reference"]).values())


def velocity_file(wildcards):
    """The velocity model, where it is a file."""
    return made_by_run(config["associate"]["velocity_model"].get("file"))


def signal_of_day(wildcards):
    """The waveforms that a picker reads: downloaded, or denoised."""
    return denoised_or_not(wildcards.signal, wildcards.date)


def denoised_or_not(signal, day):
    """The waveforms of a day and a signal."""
    return f"<results>/waveforms/{day}" if signal == "none" else f"<results>/denoised/{signal}/{day}"


def denoiser(wildcards):
    """The denoiser's weights, where the method is a model."""
    if wildcards.signal != "deepdenoiser":
        return []
    return f"<results>/models/DeepDenoiser/{config['denoise']['weights']}/model.safetensors"


def picks_around_day(wildcards):
    """Picks of the day before, the day and the day after: events at midnight have picks in two."""
    folder = f"<results>/picks/{wildcards.signal}/{wildcards.model}/{wildcards.weights}"
    return [f"{folder}/{day}.parquet" for day in windows.neighbours(wildcards.date, DAYS)]


def ledgers_around_day(wildcards):
    """How many picks each station has on these days."""
    return [path.replace(".parquet", ".ledger.parquet") for path in picks_around_day(wildcards)]


def picks_of_run(wildcards):
    """All tables of picks."""
    return [f"<results>/picks/{picks}/{day}.parquet" for picks in PICK_SETS for day in DAYS]


def ledgers_of_run(wildcards):
    """What became of each station-day in picking."""
    return [f"<results>/picks/{picks}/{day}.ledger.parquet" for picks in PICK_SETS for day in DAYS]


def weights_of_run(wildcards):
    """All weights that the run fetches; students are made, not fetched."""
    pairs = [str(pair) for pair in CANDIDATES]
    if "deepdenoiser" in SIGNALS:
        pairs.append(f"DeepDenoiser/{config['denoise']['weights']}")
    return [f"<results>/models/{pair}/model.safetensors" for pair in pairs]


def models_of_run(wildcards):
    """All models that the run uses, with their cards: fetched, and compressed."""
    made = [f"<results>/models/{student}/model.safetensors" for some in STUDENTS.values() for student in some]
    tensors = weights_of_run(wildcards) + made
    cards = [path.replace("model.safetensors", "card.json") for path in tensors]
    return tensors + cards + [f"<results>/models/{name}/model.int8.onnx" for name in QUANTISED]


def quantised(wildcards):
    """The network in 8-bit integers, where the picker is a student that has one."""
    name = f"{wildcards.model}/{wildcards.weights}"
    return f"<results>/models/{name}/model.int8.onnx" if name in QUANTISED else []


def waveforms_of_teacher(wildcards):
    """What compression takes its windows from: each day of the first signal."""
    return [denoised_or_not(SIGNALS[0], day) for day in DAYS]


def picks_of_teacher(wildcards):
    """Where its windows lie: the teacher's picks of the same signal and days."""
    folder = f"<results>/picks/{SIGNALS[0]}/{wildcards.model}/{wildcards.weights}"
    return [f"{folder}/{day}.parquet" for day in DAYS]


def teachers_of_run(name):
    """One file of what compression says about each teacher."""
    return [f"<results>/compress/{teacher}/{name}" for teacher in TEACHERS]


def names_of(values):
    """A pattern that fits these names and no other; without any, none."""
    return "|".join(map(re.escape, values)) or "(?!)"


def catalogs_of_run(name):
    """One file of each catalog of the run."""
    return [f"<results>/catalog/{catalog}/{name}" for catalog in CATALOGS]


def announce():
    """Say what the run is, once, before it starts."""
    for warning in GRID_WARNINGS:
        logger.warning(warning)
    stations = plan.count_stations(
        config["download"]["inventory"], f"{RESULTS}/inventory/stations.parquet", config["download"]["stations"]
    )
    if stations is None and made_by_run(config["download"]["path"]) == ["<results>/synthetic"]:
        stations = len(config["synthesize"]["stations"])
    shares = [
        (end - start) / windows.ONE_DAY for start, end in (windows.day_window(day, STARTTIME, ENDTIME) for day in DAYS)
    ]
    on_gpu = "gpu" in workflow.resource_settings.overwrite_resources.get("pick", {})
    logger.info(plan.sentence(config["run"], plan.make_plan(config, CANDIDATES, STUDENTS, stations, shares, on_gpu)))


def refuse_what_would_hang():
    """Of SLURM's plugin (2.6.1): it waits for ever, without a word, for jobs that it has not sent."""
    arrays = getattr(workflow.executor_settings, "array_jobs", None)
    if not hasattr(workflow.executor_settings, "array_jobs"):
        return
    if arrays and workflow.resource_settings.nodes < sys.maxsize:
        raise WorkflowError(
            f"--jobs {workflow.resource_settings.nodes} together with arrays would wait for ever (a fault of the SLURM"
            ' plugin): leave --jobs out, or give up the arrays: --slurm-array-jobs ""'
        )
    account = workflow.resource_settings.default_resources._data.get("slurm_account")
    if account is not None and "my_account" in str(account.raw):
        raise WorkflowError(
            "no account for SLURM: export SBATCH_ACCOUNT=<project> (saldo -b, or sacctmgr show associations, lists yours)"
        )


def hold_run_or_refuse():
    """Be the only run of this name here; after one that was killed, remove what it left half written."""
    try:
        killed_before = hold_run(RESULTS, logger.warning)
    except RunLockedError as error:
        raise WorkflowError(str(error)) from None
    if killed_before:
        remove_partial(RESULTS)


if workflow.is_main_process:
    try:
        announce()
    except configuration.ConfigError as error:
        raise WorkflowError(str(error)) from None
