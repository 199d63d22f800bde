"""Dask workers for the stations of a job. The only module that knows Dask."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")
StationMap = Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]

SCHEDULER_TIMEOUT_S = 10
# An exception is tried again. A worker that dies takes no task with it: another worker gets it, until so many have
# died of the same one (a station that needs more memory than there is).
TASK_RETRIES = 2
WORKER_DEATHS_OF_A_TASK = 3
LOCAL_STARTS = 3
# Workers of a job that is no more end by themselves.
LONELY_WORKER_S = 120
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

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SlurmParams:
    """Section ``compute.dask.slurm``: the SLURM jobs that the workers live in."""

    account: str | None = None
    partition: str | None = None
    runtime_minutes: int = 60
    workers_per_job: int = 1
    interface: str | None = None
    directives: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KubernetesParams:
    """Section ``compute.dask.kubernetes``: the pods that the workers live in."""

    namespace: str = "pickflow"
    image: str | None = None
    volume_claim: str | None = None
    mount_path: str = "/workdir"
    service_account: str | None = None


@dataclass(frozen=True, kw_only=True)
class DaskParams:
    """Section ``compute.dask``: where the workers of a job come from."""

    cluster: str = "local"
    address: str | None = None
    n_workers: int = 4
    worker_memory_mb: int = 4000
    slurm: SlurmParams = SlurmParams()
    kubernetes: KubernetesParams = KubernetesParams()


@contextmanager
def station_map(threads: int, params: DaskParams, progress: str) -> Iterator[StationMap]:
    """
    A map over stations that runs on Dask, keeps the order and shows its progress.

    Parameters
    ----------
    threads : int
        Workers of a local cluster; with 1 the items are done in this process.
    params : DaskParams
        Which cluster.
    progress : str
        Title of the progress bar.

    Yields
    ------
    callable
        ``station_map(function, items)``: an iterator over the results in the order of the items.

    Raises
    ------
    ValueError
        If no scheduler answers, or a cluster cannot be started.
    """
    if params.cluster == "local" and threads == 1:
        yield lambda function, items: _in_process(function, list(items), progress)
        return
    # Dask takes a second to import, and a job of one thread does without it.
    import dask
    import distributed  # noqa: F401 (brings its own settings, which ours are laid over)

    # Dask sets its loggers to be talkative when it is imported.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    settings = {
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        "distributed.scheduler.allowed-failures": WORKER_DEATHS_OF_A_TASK,
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        client = stack.enter_context(_client(threads, params, stack))
        yield lambda function, items: _on_dask(client, function, list(items), progress)


def _client(threads: int, params: DaskParams, stack: ExitStack) -> Any:
    """A client of the cluster that the parameters ask for; what it starts is closed with the stack."""
    from dask.distributed import Client

    if params.cluster == "address":
        if not params.address:
            raise ValueError(
                "config key compute.dask.address is missing; cluster 'address' connects to a scheduler there"
            )
        try:
            return Client(params.address, timeout=SCHEDULER_TIMEOUT_S)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise ValueError(
                f"config key compute.dask.address: no Dask scheduler answers at {params.address} ({error})"
            ) from error
    start = {"local": _local, "slurm": _slurm, "kubernetes": _kubernetes}[params.cluster]
    cluster = start(threads, params, stack)
    stack.callback(cluster.close)
    return Client(cluster)  # type: ignore[no-untyped-call]


def _local(threads: int, params: DaskParams, stack: ExitStack) -> Any:
    from dask.distributed import LocalCluster

    # Dask sets a small trim threshold of its own, but not over the environment; Snakemake sets threads to the job's.
    os.environ.update(WORKER_ENVIRONMENT)
    # Certificates of its own: on a machine of many users, whoever reaches a bare scheduler runs code as its owner.
    settings: dict[str, Any] = {"n_workers": threads, "threads_per_worker": 1, "processes": True, "security": True}
    settings |= {"dashboard_address": "127.0.0.1:0", "local_directory": os.environ.get("TMPDIR")}
    for _ in range(LOCAL_STARTS - 1):
        try:
            return LocalCluster(**settings)  # type: ignore[no-untyped-call]
        except RuntimeError as error:  # a worker was killed before it had begun
            logger.warning("the Dask workers did not start, again: %s", error)
    return LocalCluster(**settings)  # type: ignore[no-untyped-call]


def slurm_settings(params: DaskParams) -> dict[str, Any]:
    """What `dask_jobqueue.SLURMCluster` is asked for; its other settings are those of this process."""
    slurm = params.slurm
    return {
        "cores": slurm.workers_per_job,
        "processes": slurm.workers_per_job,
        "memory": f"{slurm.workers_per_job * params.worker_memory_mb} MB",
        "walltime": f"{slurm.runtime_minutes // 60:02d}:{slurm.runtime_minutes % 60:02d}:00",
        "account": slurm.account,
        "queue": slurm.partition,
        "interface": slurm.interface,
        "job_name": "pickflow-dask",
        "python": sys.executable,
        "death_timeout": LONELY_WORKER_S,
        "job_extra_directives": list(slurm.directives),
        "job_script_prologue": [f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items()],
        "protocol": "tls://",
    }


def _slurm(threads: int, params: DaskParams, stack: ExitStack) -> Any:
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise ValueError("config key compute.dask.cluster: 'slurm' needs the package dask-jobqueue") from error
    from distributed.security import Security

    # Certificates and the logs of the workers lie where all nodes see them, and nobody else does.
    shared = stack.enter_context(tempfile.TemporaryDirectory(prefix=".dask-", dir="."))
    cluster = SLURMCluster(
        **slurm_settings(params),
        log_directory=shared,
        local_directory=os.environ.get("TMPDIR", tempfile.gettempdir()),
        shared_temp_directory=os.path.abspath(shared),
        security=Security.temporary(),
    )
    stack.callback(cluster.close)
    _ask_slurm(cluster.job_script())
    cluster.scale(jobs=math.ceil(params.n_workers / params.slurm.workers_per_job))
    logger.info("waiting for Dask workers in SLURM jobs named pickflow-dask (squeue --name=pickflow-dask)")
    return cluster


def _ask_slurm(script: str) -> None:
    """Would SLURM take this job? Dask sends its jobs later, and would wait for ever for those that were refused."""
    try:
        subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ValueError(
            "config key compute.dask.cluster: 'slurm' needs the command sbatch, which is not here; use 'local'"
        ) from error
    except subprocess.CalledProcessError as error:
        raise ValueError(f"config key compute.dask.slurm: SLURM refuses the workers: {error.stderr.strip()}") from error


def kubernetes_cluster(params: DaskParams) -> dict[str, Any]:
    """
    The DaskCluster resource that the Dask operator makes pods of.

    Pods share no disk: the workers see the run's files only on a volume that can be mounted by many.

    Raises
    ------
    ValueError
        Without image or volume claim.
    """
    try:
        from dask_kubernetes.operator import make_cluster_spec
    except ImportError as error:
        raise ValueError("config key compute.dask.cluster: 'kubernetes' needs the package dask-kubernetes") from error
    pods = params.kubernetes
    for key, value in (("image", pods.image), ("volume_claim", pods.volume_claim)):
        if not value:
            raise ValueError(
                f"config key compute.dask.kubernetes.{key} is missing; workers need an image with pickflow, and"
                " a volume with the files of the run (access mode ReadWriteMany)"
            )
    memory = {"cpu": "1", "memory": f"{params.worker_memory_mb}M"}
    spec: dict[str, Any] = make_cluster_spec(
        name=f"pickflow-{uuid4().hex[:8]}",
        image=pods.image,
        n_workers=params.n_workers,
        resources={"requests": memory, "limits": memory},
        env=WORKER_ENVIRONMENT,
    )
    for part in ("scheduler", "worker"):
        pod = spec["spec"][part]["spec"]
        pod["volumes"] = [{"name": "run", "persistentVolumeClaim": {"claimName": pods.volume_claim}}]
        if pods.service_account:
            pod["serviceAccountName"] = pods.service_account
        for container in pod["containers"]:
            container["volumeMounts"] = [{"name": "run", "mountPath": pods.mount_path}]
            container["workingDir"] = os.getcwd()
    return spec


def _kubernetes(threads: int, params: DaskParams, stack: ExitStack) -> Any:
    spec = kubernetes_cluster(params)
    from dask_kubernetes.operator import KubeCluster

    return KubeCluster(custom_cluster_spec=spec, namespace=params.kubernetes.namespace, quiet=True)


def _bar(total: int, progress: str) -> tqdm:
    return tqdm(total=total, desc=progress, unit="station", mininterval=2.0, disable=total < 2, dynamic_ncols=True)


def _in_process(function: Callable[[Item], Result], items: list[Item], progress: str) -> Iterator[Result]:
    with _bar(len(items), progress) as bar:
        for item in items:
            yield function(item)
            bar.update()


def _on_dask(client: Any, function: Callable[[Item], Result], items: list[Item], progress: str) -> Iterator[Result]:
    from dask.distributed import KilledWorker, as_completed

    # Results are not pure: a worker that answers from a former run's cache would hide an edited file.
    futures = client.map(function, items, pure=False, retries=TASK_RETRIES)
    with _bar(len(items), progress) as bar:
        for _ in as_completed(futures):
            bar.update()
    try:
        yield from client.gather(futures)
    except KilledWorker as error:
        raise ValueError(
            f"{progress}: {WORKER_DEATHS_OF_A_TASK + 1} workers died of one task ({error.task}); most often of too"
            " little memory: give the job more (mem_mb), or the workers (compute.dask.worker_memory_mb)"
        ) from error
