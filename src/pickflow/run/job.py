"""Services for scripts around a stage: logs, progress, workers. The only module that depends on Snakemake."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, cast

from tqdm import tqdm

from pickflow import secrets
from pickflow.extras import advice
from pickflow.io.atomic import write_text, writing
from pickflow.progress import Progress
from pickflow.provenance import provenance, sha256_of_file
from pickflow.run.configuration import files_at, files_of
from pickflow.run.layout import RunLayout, manifest_of
from pickflow.run.lock import hold_job
from pickflow.run.settings.compute import DaskParams
from pickflow.run.workers import ONE_THREAD, StationMap, station_map
from pickflow.windows import ONE_DAY

logger = logging.getLogger(__name__)


def start_job(job: Any) -> Any:
    """
    Prepare a script: its log gets all messages and the traceback, the console only warnings and the final error.

    Parameters
    ----------
    job : snakemake.script.Snakemake
        The object that Snakemake gives to scripts.

    Returns
    -------
    job
        The same.
    """
    # Before numpy is loaded, which reads them then; Snakemake sets them to the threads of the job.
    os.environ.update(ONE_THREAD)
    log_to(job.log[0])
    secrets.remember_of(job.config)
    sys.stdout, sys.stderr = (cast(TextIO, secrets.Redacted(stream)) for stream in (sys.stdout, sys.stderr))
    hold_job(job.log[0])
    # SeisBench writes into its cache when it is imported; on a node without a home it needs another one.
    run = RunLayout.of_log(job.log[0])
    if run and "SEISBENCH_CACHE_ROOT" not in os.environ and not os.access(os.path.expanduser("~"), os.W_OK):
        os.environ["SEISBENCH_CACHE_ROOT"] = str(run.cache / "seisbench")
    return job


def log_to(path: str | Path) -> None:
    """Send the messages of this process to a file, warnings also to the console, and report the error that ends it."""
    with writing(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="w")
    file.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, console], force=True)
    secrets.install()
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").propagate = False
    logging.getLogger("py.warnings").addHandler(file)
    for chatty in ("matplotlib", "fontTools"):
        logging.getLogger(chatty).setLevel(logging.ERROR)

    def name_the_end(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        with suppress(OSError), open(path, "a") as log:  # on a full disk the console still has the error
            log.write(secrets.redact("".join(traceback.format_exception(kind, error, trace))))
        missing = advice(error) if isinstance(error, ModuleNotFoundError) else None
        name = missing or (error if isinstance(error, ValueError) else f"{kind.__name__}: {error}")
        sys.stderr.write(secrets.redact(f"ERROR {name}\n"))
        sys.stderr.write(f"      details: {path}\n")

    sys.excepthook = name_the_end


def workers_of(job: Any, progress: str, threads: int | None = None) -> AbstractContextManager[StationMap]:
    """
    A map over stations on the workers of the job's configuration; see `pickflow.run.workers.station_map`.

    The configuration is read past the rule's parameters: where a job computes does not change what it computes, and
    must not make it run again.

    Parameters
    ----------
    job : snakemake.script.Snakemake
        Its threads and configuration define the workers.
    progress : str
        Title of the progress bar.
    threads : int, optional
        Number of threads instead of the job's.
    """
    params = DaskParams(**job.config["compute"]["dask"])
    return station_map(job.threads if threads is None else threads, params, progress)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A function ``show(what, done, total)`` that keeps one progress bar for each title."""
    bars: dict[str, tqdm] = {}

    def show(title: str, n_done: int, total: int) -> None:
        if title in bars and n_done <= bars[title].n:  # repeated for another student
            bars.pop(title).close()
        if title not in bars:
            bars[title] = tqdm(total=total or None, desc=title, mininterval=2.0, dynamic_ncols=True)
        bars[title].update(n_done - bars[title].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


def provenance_of(job: Any, stage: str, *further: str | Path) -> dict[str, Any]:
    """
    Provenance of the output of a job: its settings, and the digest of each file that it reads.

    These are its inputs, of a folder of waveforms the manifest, which holds their digests; the files that its settings
    name; and more. They are named by their path in the run; files outside by the shortest unique end of theirs.
    """
    settings = dict(job.params.get("settings", {}))
    if velocity := job.params.get("velocity_model"):
        settings["velocity_model"] = velocity
    named = [file for path in files_of(settings).values() for file in files_at(path)]
    folders_too = map(Path, [*job.input, *named, *further])
    files = {manifest_of(path) if path.is_dir() else path for path in folders_too}
    digests = {path: sha256_of_file(path) for path in sorted(files) if path.is_file()}
    return provenance(stage, settings, _short_names(digests, RunLayout.of_log(job.log[0])))


def _short_names(digests: Mapping[Path, str], run: RunLayout | None) -> dict[str, str]:
    """The same by the path in the run, or by the shortest end of it that no other content has."""
    short: dict[str, str] = {}
    for path, digest in digests.items():
        parts = path.parts
        ends = [Path(*parts[-count:]) for count in range(1, len(parts) + 1)]
        if run and (name := run.path_inside(path)):
            ends = [name]
        free = (end for end in ends if short.get(end.as_posix(), digest) == digest)
        short[next(free, path).as_posix()] = digest
    return short


def device_of(job: Any) -> str:
    """
    Torch device that a job computes on: a GPU if its resources request one.

    The environment variable ``PICKFLOW_DEVICE=cpu`` keeps it on the CPU, with a warning: for tests of a
    profile on a machine without GPUs.

    Raises
    ------
    ValueError
        If it requests one and there is none, because hours of computing on the CPU would be unexpected.
    """
    if not job.resources.get("gpu"):
        return "cpu"
    if os.environ.get("PICKFLOW_DEVICE") == "cpu":
        logger.warning("the job has asked for a GPU, and computes on the CPU because PICKFLOW_DEVICE=cpu says so")
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        raise ValueError(
            "the job asks for a GPU (resource gpu) and torch finds none; remove the request or the driver's fault"
        )
    return "cuda"


def write_timing(path: str | Path, cpu_s: float, manifest: Any, window: tuple[datetime, datetime]) -> None:
    """Write the time of the stations of a day to a file beside the log; tables hold no run times."""
    full_days = manifest.loc[manifest["usable"], "coverage"].sum() * (window[1] - window[0]) / ONE_DAY
    write_text(path, json.dumps({"cpu_s": round(cpu_s, 3), "full_station_days": round(float(full_days), 6)}) + "\n")
