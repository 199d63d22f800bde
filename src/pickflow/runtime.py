"""What scripts need around a stage: logs, progress, workers. The only module that knows Snakemake."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pickflow import workers
from pickflow.config import build
from pickflow.io.atomic import write_text
from pickflow.provenance import provenance, sha256_of_file
from pickflow.run_lock import hold_job
from pickflow.windows import ONE_DAY
from pickflow.workers import DaskParams, StationMap

logger = logging.getLogger(__name__)


def start(job: Any) -> Any:
    """
    Prepare a script: its log gets all messages and the traceback, the console only what a person needs.

    Parameters
    ----------
    job : snakemake.script.Snakemake
        The object that Snakemake gives to scripts.

    Returns
    -------
    job
        The same.
    """
    log_to(job.log[0])
    hold_job(job.log[0])
    # SeisBench writes into its cache when it is imported; on a node without a home it needs another one.
    if "SEISBENCH_CACHE_ROOT" not in os.environ and not os.access(Path.home(), os.W_OK):
        os.environ["SEISBENCH_CACHE_ROOT"] = str(Path(job.log[0]).parents[2] / "cache" / "seisbench")
    return job


def log_to(path: str | Path) -> None:
    """Send the messages of this process to a file, warnings also to the console, and name what ends it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(path, mode="w")
    file.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[file, console], force=True)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").propagate = False
    logging.getLogger("py.warnings").addHandler(file)
    for chatty in ("matplotlib", "fontTools"):
        logging.getLogger(chatty).setLevel(logging.ERROR)

    def name_the_end(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        with open(path, "a") as log:
            log.write("".join(traceback.format_exception(kind, error, trace)))
        sys.stderr.write(f"ERROR {error if isinstance(error, ValueError) else f'{kind.__name__}: {error}'}\n")
        sys.stderr.write(f"      the whole story: {path}\n")

    sys.excepthook = name_the_end


def station_map(job: Any, progress: str, threads: int | None = None) -> AbstractContextManager[StationMap]:
    """
    A map over stations on the workers that the job's configuration asks for; see `pickflow.workers.station_map`.

    The configuration is read past the rule's parameters: where a job computes does not change what it computes, and
    must not make it run again.

    Parameters
    ----------
    job : snakemake.script.Snakemake
        Its threads and configuration say which workers.
    progress : str
        Title of the progress bar.
    threads : int, optional
        Other than the job's.
    """
    params = build(DaskParams, job.config["compute"]["dask"])
    return workers.station_map(job.threads if threads is None else threads, params, progress)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A function ``show(what, done, total)`` that keeps one progress bar for each thing that is done."""
    bars: dict[str, tqdm] = {}

    def show(what: str, done: int, total: int) -> None:
        if what in bars and done <= bars[what].n:  # the same once more, of another student
            bars.pop(what).close()
        if what not in bars:
            bars[what] = tqdm(total=total, desc=what, mininterval=2.0, dynamic_ncols=True)
        bars[what].update(done - bars[what].n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()


def origin(job: Any, stage: str, *inputs: str | Path) -> dict[str, Any]:
    """Provenance of what a job writes: its settings and the digests of the inputs named, by their path in the run."""
    digests = {_path_in_run(path): sha256_of_file(path) for path in inputs}
    return provenance(stage, job.params.get("settings", {}), digests)


def _path_in_run(path: str | Path) -> str:
    parts = Path(path).parts
    return "/".join(parts[parts.index("results") + 2 :] if "results" in parts else parts[-1:])


def device(job: Any) -> str:
    """
    Torch device that a job computes on: a GPU if its resources ask for one.

    The environment variable ``PICKFLOW_DEVICE=cpu`` keeps it on the CPU all the same, with a warning: for trying a
    profile where there are no GPUs.

    Raises
    ------
    ValueError
        If it asks for one and there is none: hours of computing on the CPU instead would be a bad surprise.
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
    """Say in a file beside the log how long the stations of a day took; tables hold no times of running."""
    covered = manifest.loc[manifest["usable"], "coverage"].sum() * (window[1] - window[0]) / ONE_DAY
    write_text(path, json.dumps({"cpu_s": round(cpu_s, 3), "full_station_days": round(float(covered), 6)}) + "\n")
