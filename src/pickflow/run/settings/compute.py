"""Section ``compute`` of a configuration."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pickflow.run.settings.section import Section, Text, Whole, key


class SlurmParams(Section):
    """The SLURM jobs that the workers live in."""

    account: Text | None = key(
        None, "Account that is charged; null leaves it to SLURM.", pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.,:@+-]*\Z"
    )
    partition: Text | None = key(
        None, "Partition of the workers; null is SLURM's default.", pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.,:@+-]*\Z"
    )
    runtime_minutes: Whole = key(60, "Time limit of the workers, in minutes.", ge=1)
    workers_per_job: Whole = key(1, "Workers in one SLURM job.", ge=1)
    interface: Text | None = key(
        None,
        "Network interface that workers and scheduler meet on, such as ib0; null lets Dask choose.",
        pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.,:@+-]*\Z",
    )
    directives: tuple[Annotated[Text, Field(pattern=r"^-")], ...] = key(
        (), "Further options of sbatch, such as --qos=boost_qos_dbg."
    )


class KubernetesParams(Section):
    """The pods that the workers live in; the Dask operator must be installed in the cluster."""

    namespace: Text = key("pickflow", "Namespace of the pods.")
    image: Text | None = key(None, "Image that holds pickflow.")
    volume_claim: Text | None = key(
        None, "Persistent volume claim (ReadWriteMany) that holds the files of the run; pods share nothing else."
    )
    mount_path: Text = key("/workdir", "Where the volume is mounted, in the job's pod and in the workers alike.")
    service_account: Text | None = key(None, "Service account of the pods; null is the namespace's default.")


class DaskParams(Section):
    """Where the Dask workers of a job come from. The results do not depend on it."""

    cluster: Literal["local", "slurm", "kubernetes", "address"] = key(
        "local",
        "local (processes of the job itself), slurm or kubernetes (workers of their own for each job), address (a "
        "scheduler that runs already).",
    )
    address: Text | None = key(
        None,
        "Of the running scheduler, such as tcp://host:8786; its workers must see the run's files under the same paths.",
    )
    n_workers: Whole = key(
        4,
        "Workers that SLURM or Kubernetes is asked for, one thread each; a local cluster has compute.threads of them.",
        ge=1,
    )
    worker_memory_mb: Whole = key(4000, "Memory of each worker of SLURM or Kubernetes, in MB.", ge=500)
    slurm: SlurmParams = SlurmParams()
    kubernetes: KubernetesParams = KubernetesParams()


class ComputeParams(Section):
    """How the jobs of a run use the machine."""

    AFFECTS: ClassVar = ("nothing",)

    threads: Whole = key(
        2, "Dask workers (one thread each) of a day job; never more than the cores given to snakemake.", ge=1
    )
    dask: DaskParams = DaskParams()
