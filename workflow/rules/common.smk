"""Configuration, wildcards and input functions: all of the workflow's Python."""

import functools
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import IncompleteCheckpointException, WorkflowError
from snakemake.logging import logger

from pickflow import provenance, secrets, windows
from pickflow.io.atomic import remove_partial
from pickflow.run import configuration, effects, grid, lab, plan
from pickflow.run.config_file import read_config
from pickflow.run.grid import Candidate
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.layout import shared_folder
from pickflow.run.lock import RunLockedError, end_run, hold_run
from pickflow.run.resolved import ResolvedRun, check_files
from pickflow.run.stations_of_days import StationsOfDays
from pickflow.versions import STAGE_VERSIONS

# For envs/pickflow.post-deploy.sh.
os.environ.update(PICKFLOW_PACKAGE=str(Path(provenance.__file__).parent))


def read_configuration():
    """The run that the configuration describes; the files that it names are looked for by the main process alone."""
    for path in workflow.configfiles if workflow.is_main_process else ():
        read_config(path)  # Snakemake's own reader takes the last of two equal keys
    run = ResolvedRun.from_config(config)
    if workflow.is_main_process:
        check_files(run.config, seen_by_pods(run.config))
    return run


try:
    RUN = read_configuration()
except configuration.ConfigError as error:
    raise WorkflowError(str(error)) from None

secrets.remember_of(RUN.config)
secrets.install()
config.update(RUN.config)
DAYS = RUN.days
QUANTISED = RUN.quantised
INVENTORY = RUN.inventory
# Where everything lies; in rules the names of a picker, a set of picks and a catalog, and the day, are wildcards.
PATHS = RUN.layout
PICKER = Candidate("{model}", "{weights}")
PICK_SET = PickSetKey("{signal}", *PICKER)
CATALOG = CatalogKey(PICK_SET, "{associator}")
DATE = "{date}"
TRAINED_FILES = ("model.safetensors", "card.json", "history.json")


wildcard_constraints:
    date=r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    signal="|".join(RUN.signals),
    model=r"[A-Za-z0-9_]+",
    weights=r"[A-Za-z0-9][A-Za-z0-9._-]*",
    associator="|".join(config["associate"]["methods"]),


def settings_of_associator(wildcards):
    """What one associator reads of the section associate."""
    return effects.associator_settings(RUN.settings("associate", "associate"), wildcards.associator)


def settings_of_denoiser(wildcards):
    """What one method reads of the section denoise."""
    return effects.denoiser_settings(RUN.settings("denoise", "denoise"), wildcards.signal)


@functools.cache
def read_stations_of_days(made):
    """What the inventory of the run says about the stations of each day, before or after it has been made anew."""
    return StationsOfDays(read_from_run(str(PATHS.epochs)), INVENTORY)


def known_stations():
    """The same, now; `inventory` is a checkpoint, so that Snakemake asks again after it has run."""
    try:
        checkpoints.inventory.get()
        return read_stations_of_days(True)
    except IncompleteCheckpointException:
        return read_stations_of_days(False)


def digests_of_days(days):
    """
    Digests of the stations of some days, and of their metadata then: what the jobs of these days depend on.

    Not the files of the inventory, which hold all days. Jobs that were sent elsewhere do not decide.
    """
    return [known_stations().digest(day) for day in days] if workflow.is_main_process else []


def of_inventory(path):
    """
    A file of the inventory as an input that does not make a job run again when it is newer.

    A dry run cannot know which days will have other stations when the inventory is to be made anew: it shows them all.
    """
    return ancient(path) if not workflow.dryrun or known_stations().is_current else path


def station_table(wildcards):
    """See `of_inventory`."""
    return of_inventory(PATHS.stations)


def station_xml(wildcards):
    """See `of_inventory`."""
    return of_inventory(PATHS.inventory)


def stations_of_day(wildcards):
    """See `digests_of_days`."""
    return digests_of_days([wildcards.date])


def stations_around_day(wildcards):
    """See `digests_of_days`."""
    return digests_of_days(windows.neighbours(wildcards.date, DAYS))


def stations_of_run(wildcards):
    """See `digests_of_days`."""
    return digests_of_days(DAYS)


def digest_of_weights(wildcards):
    """Digest of weights that come with pickflow or are given as files, so that new ones are taken; empty for published."""
    return grid.digest_of_weights(wildcards.model, wildcards.weights, config["weights"]["files"])


def window_of_day(wildcards):
    """The part of a day that belongs to the run."""
    return [moment.isoformat() for moment in windows.day_window(wildcards.date, *RUN.window)]


def files_and_archive(*paths):
    """Those of the paths that are files, and the synthetic archive in place of those that lie in it."""
    in_archive = [path for path in paths if PATHS.is_synthetic(path)]
    files = [path for path in paths if path and path not in in_archive and is_named_file(path)]
    return [PATHS.archive, *files] if in_archive else files


def archive(wildcards):
    """The waveforms that the download stage reads, as far as they are files of ours."""
    return files_and_archive(config["download"]["path"])


def archive_and_inventories(wildcards):
    """These, and the files of station metadata that are given."""
    return files_and_archive(config["download"]["path"], *config["download"]["inventory"])


def reference(wildcards):
    """What the catalogs are compared with."""
    named = configuration.files_of(config["analyze"]["reference"]).values()
    return files_and_archive(*(file for path in named for file in configuration.files_at(path)))


def velocity_file(wildcards):
    """The velocity model, where it is a file."""
    return files_and_archive(config["associate"]["velocity_model"].get("file"))


def picks_of(wildcards):
    """The set of picks that a job makes or reads."""
    return PickSetKey(wildcards.signal, wildcards.model, wildcards.weights)


def signal_of_day(wildcards):
    """The waveforms that a picker reads: downloaded, or denoised."""
    return PATHS.waveforms(wildcards.date, wildcards.signal)


def denoiser(wildcards):
    """The denoiser's weights, where the method is a model."""
    return PATHS.model(*RUN.denoiser, "model.safetensors") if wildcards.signal == "deepdenoiser" else []


def picks_around_day(wildcards):
    """Picks of the day before, the day and the day after: events at midnight have picks in two."""
    return [PATHS.picks(picks_of(wildcards), day) for day in windows.neighbours(wildcards.date, DAYS)]


def ledgers_around_day(wildcards):
    """How many picks each station has on these days."""
    return [PATHS.ledger(picks_of(wildcards), day) for day in windows.neighbours(wildcards.date, DAYS)]


def picks_of_run(wildcards):
    """All tables of picks."""
    return [PATHS.picks(picks, day) for picks in RUN.pick_sets for day in DAYS]


def ledgers_of_run(wildcards):
    """What became of each station-day in picking."""
    return [PATHS.ledger(picks, day) for picks in RUN.pick_sets for day in DAYS]


def weights_of_run(wildcards):
    """All weights that the run fetches; students are made, not fetched."""
    return [PATHS.model(*pair, "model.safetensors") for pair in RUN.fetched]


def models_of_run(wildcards):
    """All models that the run uses, with their cards: fetched, and compressed."""
    models = RUN.fetched + RUN.trained + [student for some in RUN.students.values() for student in some]
    files = [PATHS.model(*pair, file) for file in ("model.safetensors", "card.json") for pair in models]
    return files + [PATHS.model(*pair, "model.int8.onnx") for pair in QUANTISED]


def quantised(wildcards):
    """The network in 8-bit integers, where the picker is a student that has one."""
    pair = Candidate(wildcards.model, wildcards.weights)
    return PATHS.model(*pair, "model.int8.onnx") if pair in QUANTISED else []


def waveforms_of_teacher(wildcards):
    """What compression takes its windows from: each day of the first signal."""
    return [PATHS.waveforms(day, RUN.signals[0]) for day in DAYS]


def picks_of_teacher(wildcards):
    """Where its windows lie: the teacher's picks of the same signal and days."""
    return [PATHS.picks(PickSetKey(RUN.signals[0], wildcards.model, wildcards.weights), day) for day in DAYS]


def files_of_students(file, names):
    """One file of each student of a teacher."""
    return [PATHS.model(PICKER.model, f"{PICKER.weights}-{name}", file) for name in names]


def files_of_sources(wildcards):
    """Metadata of the labelled sets that are given as folders, and the files of archives."""
    patterns = {"folder": "metadata*.csv", "archive": "*/*/*/*.D/*"}
    sources = [source for source in config["lab"]["sources"] if source["kind"] in patterns]
    return sorted(str(file) for source in sources for file in Path(source["path"]).glob(patterns[source["kind"]]))


def cards_of_lab_teachers(wildcards):
    """Pickers whose probabilities are the labels of the lab's data."""
    return [PATHS.model(*teacher, "card.json") for teacher in RUN.lab_teachers]


def seed_of_training(wildcards):
    """Of first weights and windows, as the name of the weights says."""
    return lab.seed_of(Candidate(wildcards.model, wildcards.weights))


def pages_of_lab():
    """What the lab makes of the pickers that it trains; nothing without any."""
    return [PATHS.lab("lab.html"), *(PATHS.inside(*pair, "inside.html") for pair in RUN.trained)] if RUN.trained else []


def names_of(values):
    """A pattern that fits these names and no other; without any, none."""
    return "|".join(map(re.escape, values)) or "(?!)"


def catalogs_of_run(file):
    """One file of each catalog of the run."""
    return [PATHS.catalog(catalog, file) for catalog in RUN.catalogs]


def files_of_implicit(file):
    """One file of each picker in the experiment with implicit models."""
    return [PATHS.implicit_picker(*picker, file) for picker in RUN.implicit_pickers]


def targets_of_run(wildcards):
    """What a run is for: its catalogs and their report, or the experiment that its configuration asks for."""
    if RUN.implicit_pickers:
        return PATHS.implicit("implicit.html")
    catalogs = [path for file in RUN.catalog_files for path in catalogs_of_run(file)]
    return [PATHS.report, PATHS.summary, *catalogs, *pages_of_lab()]


def announce():
    """Say what the run is, once, before it starts."""
    if RUN.implicit_pickers:
        logger.info(f"run {config['run']}: {len(RUN.implicit_pickers)} pickers as implicit models")
        return
    for warning in RUN.warnings:
        logger.warning(warning)
    on_gpu = "gpu" in workflow.resource_settings.overwrite_resources.get("pick", {})
    size = plan.make_plan(config, RUN.candidates, RUN.students, RUN.n_stations, RUN.day_share, on_gpu)
    logger.info(plan.sentence(config["run"], size))


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
        killed_before = hold_run(PATHS.folder, logger.warning)
    except RunLockedError as error:
        raise WorkflowError(str(error)) from None
    if killed_before:
        remove_partial(PATHS.folder)


if workflow.is_main_process:
    try:
        announce()
    except configuration.ConfigError as error:
        raise WorkflowError(str(error)) from None
