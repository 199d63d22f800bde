"""Dask workers for the stations of a job. The only module that depends on Dask."""

from __future__ import annotations

import logging
import math
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from uuid import uuid4

from tqdm import tqdm

from pickflow import secrets
from pickflow.run.settings.compute import DaskParams

Item = TypeVar("Item")
Result = TypeVar("Result")
StationMap = Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]

SCHEDULER_TIMEOUT_S = 10  # chosen: a scheduler that runs answers within a second
POD_TIMEOUT_S = 600  # chosen: time to pull an image and start a pod
# Dashboards have no authentication.
NO_DASHBOARD = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
HEALTH = "distributed.http.health"
CERTIFICATE_FILES = ("authority.pem", "certificate.pem", "key.pem")
# Chosen. A task is repeated after an exception. If its worker dies, another one gets it, until this number have died of
# the same task (a station that needs more memory than there is).
TASK_RETRIES = 2
WORKER_DEATHS_OF_A_TASK = 3
LOCAL_STARTS = 3  # attempts
# Chosen: workers without a scheduler end after this time.
ORPHAN_WORKER_S = 120
# One thread a process: numpy, torch and GaMMA take all cores otherwise, which is slow on a busy machine; and threads
# sum in another order, so that results would depend on the number of cores.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# The allocator settings keep large activations in the heap instead of mapping and clearing fresh pages for every batch.
WORKER_ENVIRONMENT = {
    **ONE_THREAD,
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}

logger = logging.getLogger(__name__)


@contextmanager
def station_map(threads: int, params: DaskParams, progress: str) -> Iterator[StationMap]:
    """
    A map over stations that runs on Dask, keeps the order and shows its progress.

    Parameters
    ----------
    threads : int
        Workers of a local cluster; with 1 the items are done in this process.
    params : DaskParams
        Kind of cluster.
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
    # Dask takes a second to import, and a job of one thread does not need it.
    import dask
    import distributed  # noqa: F401 (brings its own settings, which ours are laid over)

    # Dask raises the level of its loggers when it is imported.
    logging.getLogger("distributed").setLevel(logging.ERROR)
    settings = {
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
        "distributed.scheduler.allowed-failures": WORKER_DEATHS_OF_A_TASK,
        "distributed.scheduler.http.routes": [HEALTH],
        "distributed.worker.http.routes": [HEALTH],
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        client = stack.enter_context(_client(threads, params, stack))
        client.register_plugin(_without_secrets(), name="without-secrets")
        yield lambda function, items: _on_dask(client, function, list(items), progress)


def _without_secrets() -> Any:
    """Plugin that removes secrets from the logs of a worker, which is a process of its own."""
    from distributed import WorkerPlugin

    class WithoutSecrets(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            secrets.remember_environment()
            secrets.install()

    return WithoutSecrets()


def _client(threads: int, params: DaskParams, stack: ExitStack) -> Any:
    """A client of the cluster of the parameters; everything it starts is closed with the stack."""
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
    if params.cluster == "kubernetes":
        return _on_kubernetes(params, stack)
    start = {"local": _local, "slurm": _slurm}[params.cluster]
    cluster = start(threads, params, stack)
    stack.callback(cluster.close)
    return Client(cluster)  # type: ignore[no-untyped-call]


def _local(threads: int, params: DaskParams, stack: ExitStack) -> Any:
    from dask.distributed import LocalCluster

    # Dask sets a small trim threshold of its own, but not over the environment; Snakemake sets threads to the job's.
    os.environ.update(WORKER_ENVIRONMENT)
    # With certificates: on a machine of many users, any user could run code through an open scheduler.
    settings: dict[str, Any] = {"n_workers": threads, "threads_per_worker": 1, "processes": True, "security": True}
    settings |= {"dashboard_address": NO_DASHBOARD["dashboard_address"], "scheduler_kwargs": NO_DASHBOARD}
    settings["local_directory"] = os.environ.get("TMPDIR")
    for _ in range(LOCAL_STARTS - 1):
        try:
            return LocalCluster(**settings)  # type: ignore[no-untyped-call]
        except RuntimeError as error:  # a worker was killed before it had begun
            logger.warning("the Dask workers did not start, again: %s", error)
    return LocalCluster(**settings)  # type: ignore[no-untyped-call]


def slurm_settings(params: DaskParams) -> dict[str, Any]:
    """Settings of `dask_jobqueue.SLURMCluster`; others are those of this process."""
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
        "python": shlex.quote(sys.executable),  # into a script for a shell
        "death_timeout": ORPHAN_WORKER_S,
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

    # Certificates and the logs of the workers are visible to all nodes, but not to other users.
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".dask-", dir="."))
    cluster = SLURMCluster(
        **slurm_settings(params),
        log_directory=folder,
        local_directory=shlex.quote(os.environ.get("TMPDIR", tempfile.gettempdir())),
        shared_temp_directory=os.path.abspath(folder),
        security=Security.temporary(),
        scheduler_options=NO_DASHBOARD,
    )
    stack.callback(cluster.close)
    _ask_slurm(cluster.job_script())
    cluster.scale(jobs=math.ceil(params.n_workers / params.slurm.workers_per_job))
    logger.info("waiting for Dask workers in SLURM jobs named pickflow-dask (squeue --name=pickflow-dask)")
    return cluster


def _ask_slurm(script: str) -> None:
    """Check that SLURM accepts this job: Dask submits its jobs later, and would wait without end for refused ones."""
    try:
        subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise ValueError(
            "config key compute.dask.cluster: 'slurm' needs the command sbatch, which is not here; use 'local'"
        ) from error
    except subprocess.CalledProcessError as error:
        raise ValueError(f"config key compute.dask.slurm: SLURM refuses the workers: {error.stderr.strip()}") from error


def kubernetes_cluster(params: DaskParams, certificates: str = ".dask") -> dict[str, Any]:
    """
    The DaskCluster resource that the Dask operator makes pods of.

    Pods share no disk: the workers see the run's files only on a volume that can be mounted by many.

    Parameters
    ----------
    params : DaskParams
        With image and volume claim.
    certificates : str
        Folder on the volume that holds `CERTIFICATE_FILES`, under the path that it has in the pods.

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
    name = f"pickflow-{uuid4().hex[:8]}"
    spec: dict[str, Any] = make_cluster_spec(
        name=name,
        image=pods.image,
        n_workers=params.n_workers,
        resources={"requests": memory, "limits": memory},
        env=WORKER_ENVIRONMENT | _tls_environment(certificates, _scheduler_of(name, pods.namespace)),
    )
    for part in ("scheduler", "worker"):
        pod = spec["spec"][part]["spec"]
        pod["volumes"] = [{"name": "run", "persistentVolumeClaim": {"claimName": pods.volume_claim}}]
        pod["automountServiceAccountToken"] = False
        if pods.service_account:
            pod["serviceAccountName"] = pods.service_account
        for container in pod["containers"]:
            container["volumeMounts"] = [{"name": "run", "mountPath": pods.mount_path}]
            container["workingDir"] = os.getcwd()
            container["args"] += ["--protocol", "tls", "--no-dashboard"]
            if "--dashboard" in container["args"]:
                container["args"].remove("--dashboard")
    return spec


def _scheduler_of(name: str, namespace: str) -> str:
    return f"tls://{name}-scheduler.{namespace}.svc.cluster.local:8786"


def _tls_environment(certificates: str, scheduler: str) -> dict[str, str]:
    """Settings that require our certificate; the operator keeps an address of the scheduler."""
    authority, certificate, key = (f"{certificates}/{file}" for file in CERTIFICATE_FILES)
    tls = {"CA_FILE": authority}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        tls |= {f"{role}__CERT": certificate, f"{role}__KEY": key}
    health_only = f'["{HEALTH}"]'
    return {
        "DASK_SCHEDULER_ADDRESS": scheduler,
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": health_only,
        "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": health_only,
        **{f"DASK_DISTRIBUTED__COMM__TLS__{name}": path for name, path in tls.items()},
    }


def write_certificates(security: Any, folder: str) -> None:
    """Put the certificates of a temporary `distributed.Security` into a folder, not readable by other users."""
    texts = (security.tls_ca_file, security.tls_client_cert, security.tls_client_key)
    for file, text in zip(CERTIFICATE_FILES, texts, strict=True):
        with open(os.open(os.path.join(folder, file), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)


def _on_kubernetes(params: DaskParams, stack: ExitStack) -> Any:
    """A client of a scheduler in a pod; `KubeCluster` of the operator's package would speak to it in clear."""
    from dask.distributed import Client
    from distributed.security import Security

    security = Security.temporary()
    folder = os.path.abspath(stack.enter_context(tempfile.TemporaryDirectory(prefix=".dask-", dir=".")))
    write_certificates(security, folder)
    spec = kubernetes_cluster(params, folder)
    from kr8s.objects import new_class

    namespace = params.kubernetes.namespace
    cluster = new_class("DaskCluster", "kubernetes.dask.org/v1")(spec, namespace=namespace)
    cluster.create()
    stack.callback(cluster.delete)
    address = _scheduler_of(spec["metadata"]["name"], namespace)
    try:
        return Client(address, security=security, timeout=POD_TIMEOUT_S)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise ValueError(
            f"config key compute.dask.kubernetes: no scheduler answers at {address} within {POD_TIMEOUT_S} s ({error});"
            f" see kubectl -n {namespace} get pods, and whether this is a pod of the same namespace"
        ) from error


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
