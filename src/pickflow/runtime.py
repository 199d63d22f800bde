"""What scripts need around a stage: logs, progress, workers. The only module that knows Snakemake and Dask."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from pickflow.io.atomic import write_text
from pickflow.provenance import provenance, sha256_of_file
from pickflow.windows import ONE_DAY

Item = TypeVar("Item")
Result = TypeVar("Result")
StationMap = Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]

SCHEDULER_TIMEOUT_S = 10
# One thread a worker: numpy, torch and GaMMA take all cores otherwise, and a busy machine then crawls. The allocator
# settings keep large activations in the heap instead of mapping and clearing fresh pages for every batch.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}


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


@contextmanager
def station_map(threads: int, scheduler: str | None, progress: str) -> Iterator[StationMap]:
    """
    A map over stations that runs on Dask, keeps the order and shows its progress.

    Parameters
    ----------
    threads : int
        Workers of a local cluster; with 1 the items are done in this process.
    scheduler : str or None
        Address of a running Dask scheduler, used instead.
    progress : str
        Title of the progress bar.

    Yields
    ------
    callable
        ``station_map(function, items)``: an iterator over the results in the order of the items.
    """
    if threads == 1 and scheduler is None:
        yield lambda function, items: _in_process(function, list(items), progress)
        return
    # Dask takes a second to import, and a job of one thread does without it.
    import dask
    from dask.distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=SCHEDULER_TIMEOUT_S)  # type: ignore[no-untyped-call]
        except OSError as error:
            raise ValueError(f"config key compute.dask_scheduler: no Dask scheduler answers at {scheduler}") from error
        with client:
            yield lambda function, items: _on_dask(client, function, list(items), progress)
        return
    # Dask sets its loggers to be talkative when it is imported.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    # Dask sets a small trim threshold of its own, but not over the environment; Snakemake sets threads to the job's.
    os.environ.update(WORKER_ENVIRONMENT)
    scratch = os.environ.get("TMPDIR")
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}),
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=threads, threads_per_worker=1, processes=True, dashboard_address=None, local_directory=scratch
        ) as cluster,
        Client(cluster) as client,  # type: ignore[no-untyped-call]
    ):
        yield lambda function, items: _on_dask(client, function, list(items), progress)


def _bar(total: int, progress: str) -> tqdm:
    return tqdm(total=total, desc=progress, unit="station", mininterval=2.0, disable=total < 2, dynamic_ncols=True)


def _in_process(function: Callable[[Item], Result], items: list[Item], progress: str) -> Iterator[Result]:
    with _bar(len(items), progress) as bar:
        for item in items:
            yield function(item)
            bar.update()


def _on_dask(client: Any, function: Callable[[Item], Result], items: list[Item], progress: str) -> Iterator[Result]:
    from dask.distributed import as_completed

    # Results are not pure: a worker that answers from a former run's cache would hide an edited file.
    futures = client.map(function, items, pure=False, retries=2)
    with _bar(len(items), progress) as bar:
        for _ in as_completed(futures):
            bar.update()
    yield from client.gather(futures)


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

    Raises
    ------
    ValueError
        If it asks for one and there is none: hours of computing on the CPU instead would be a bad surprise.
    """
    if not job.resources.get("gpu"):
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
