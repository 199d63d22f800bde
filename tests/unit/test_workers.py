import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from pickflow.run.configuration import ConfigError, complete
from pickflow.run.settings.compute import DaskParams, KubernetesParams, SlurmParams
from pickflow.run.workers import (
    WORKER_DEATHS_OF_A_TASK,
    WORKER_ENVIRONMENT,
    kubernetes_cluster,
    slurm_settings,
    station_map,
    write_certificates,
)

ROOT = Path(__file__).parents[2]
LOCAL = DaskParams()


def slow_square(number):
    """Later items finish first, so that order is earned."""
    time.sleep(0.2 if number == 0 else 0.0)
    return number**2


@pytest.mark.parametrize("threads", [1, 2])
def test_results_come_in_the_order_of_the_stations(threads):
    with station_map(threads, LOCAL, "square") as mapped:
        assert list(mapped(slow_square, range(6))) == [0, 1, 4, 9, 16, 25]


def environment_of_worker(_):
    return {name: os.environ.get(name) for name in WORKER_ENVIRONMENT}


def test_workers_have_one_thread_and_a_patient_allocator_whatever_the_job_says(monkeypatch):
    for name in WORKER_ENVIRONMENT:
        monkeypatch.setenv(name, "2")
    with station_map(2, LOCAL, "environment") as mapped:
        assert list(mapped(environment_of_worker, range(2))) == [WORKER_ENVIRONMENT] * 2


def die_once(task):
    """The first to come here kills its own worker; whoever gets the task afterwards does it."""
    number, marker = task
    if number == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(tmp_path):
    tasks = [(number, tmp_path / "killed") for number in range(8)]
    with station_map(2, LOCAL, "square") as mapped:
        assert list(mapped(die_once, tasks)) == [number**2 for number in range(8)]
    assert (tmp_path / "killed").exists()


def die_always(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_task_that_kills_every_worker_ends_the_job_and_says_what_to_do():
    words = rf"pick 2026-01-15: {WORKER_DEATHS_OF_A_TASK + 1} workers died of one task .*mem_mb"
    with pytest.raises(ValueError, match=words), station_map(2, LOCAL, "pick 2026-01-15") as mapped:
        list(mapped(die_always, range(3)))


def fail(number):
    raise ValueError(f"station {number}: broken")


def test_an_error_of_a_task_is_the_error_of_the_job():
    with pytest.raises(ValueError, match="station 7: broken"), station_map(2, LOCAL, "fail") as mapped:
        list(mapped(fail, [7]))


def test_strangers_cannot_use_the_workers():
    from dask.distributed import LocalCluster
    from distributed import get_client

    with station_map(2, LOCAL, "square") as mapped:
        list(mapped(slow_square, [1]))
        assert get_client().scheduler.address.startswith("tls://127.0.0.1:")
        assert isinstance(get_client().cluster, LocalCluster)
        host, port = "127.0.0.1", get_client().cluster.scheduler.http_server.port
        assert get_client().cluster.scheduler.http_server.address == host
        assert urllib.request.urlopen(f"http://{host}:{port}/health").status == 200
        for page in ("status", "info/main/workers.html", "json/counts.json"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://{host}:{port}/{page}")


def test_a_running_scheduler_is_used():
    from dask.distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        params = DaskParams(cluster="address", address=cluster.scheduler_address)
        with station_map(8, params, "square") as mapped:
            assert list(mapped(slow_square, [3])) == [9]


def test_an_unreachable_scheduler_is_named():
    words = r"compute.dask.address: no Dask scheduler answers at tcp://127.0.0.1:9"
    with (
        pytest.raises(ValueError, match=words),
        station_map(1, DaskParams(cluster="address", address="tcp://127.0.0.1:9"), "square"),
    ):
        pass


def test_an_address_is_asked_for():
    with (
        pytest.raises(ValueError, match="compute.dask.address is missing"),
        station_map(1, DaskParams(cluster="address"), "square"),
    ):
        pass


def test_the_workers_of_slurm_are_asked_for_in_its_own_words():
    from dask_jobqueue.slurm import SLURMJob

    slurm = SlurmParams(
        account="me", partition="boost_usr_prod", runtime_minutes=90, workers_per_job=8, directives=("--qos=normal",)
    )
    params = DaskParams(cluster="slurm", n_workers=16, worker_memory_mb=2000, slurm=slurm)
    settings = {key: value for key, value in slurm_settings(params).items() if key not in ("interface", "protocol")}
    script = SLURMJob("tls://10.0.0.1:8786", name="worker", protocol="tls://", **settings).job_script()
    lines = script.splitlines()
    for directive in ("-A me", "-p boost_usr_prod", "-n 1", "--cpus-per-task=8", "-t 01:30:00", "--qos=normal"):
        assert f"#SBATCH {directive}" in lines
    assert any(line.startswith("#SBATCH --mem=") and line.endswith("15G") for line in lines)
    assert "export OMP_NUM_THREADS=1" in lines
    assert f"{sys.executable} -m distributed.cli.dask_worker tls://10.0.0.1:8786" in script
    assert "--nworkers 8" in script


ON_SLURM = DaskParams(cluster="slurm", n_workers=1, slurm=SlurmParams(interface="lo"))


def test_a_cluster_without_slurm_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="'slurm' needs the command sbatch"), station_map(1, ON_SLURM, "square"):
        pass
    assert not list(tmp_path.iterdir())


def test_what_slurm_refuses_is_said_at_once(tmp_path, monkeypatch):
    refusing = tmp_path / "sbatch"
    refusing.write_text("#!/bin/sh\necho 'sbatch: error: invalid account' >&2; exit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    words = "compute.dask.slurm: SLURM refuses the workers: sbatch: error: invalid account"
    with pytest.raises(ValueError, match=words), station_map(1, ON_SLURM, "square"):
        pass


PODS = KubernetesParams(image="pickflow:1", volume_claim="run", service_account="dask")


def test_the_workers_of_kubernetes_share_the_volume_of_the_run():
    spec = kubernetes_cluster(DaskParams(cluster="kubernetes", n_workers=3, worker_memory_mb=2000, kubernetes=PODS))
    assert spec["kind"] == "DaskCluster"
    worker = spec["spec"]["worker"]
    assert worker["replicas"] == 3
    (container,) = worker["spec"]["containers"]
    assert container["image"] == "pickflow:1"
    assert container["resources"]["limits"] == container["resources"]["requests"] == {"cpu": "1", "memory": "2000M"}
    assert container["volumeMounts"] == [{"name": "run", "mountPath": "/workdir"}]
    assert {"name": "OMP_NUM_THREADS", "value": "1"} in container["env"]
    assert worker["spec"]["serviceAccountName"] == "dask"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def started(part, replaced, stack):
    """A process with command and environment of a container, as far as it can run without a cluster."""
    (container,) = part["spec"]["containers"]
    program, *arguments = [replaced.get(argument, argument) for argument in container["args"]]
    environment = {entry["name"]: replaced.get(entry["value"], entry["value"]) for entry in container["env"]}
    command = [sys.executable, "-m", f"distributed.cli.{program.replace('-', '_')}", *arguments]
    process = subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def test_scheduler_and_workers_in_pods_speak_to_nobody_without_our_certificate(tmp_path):
    from dask.distributed import Client
    from distributed.security import Security

    security = Security.temporary()
    write_certificates(security, str(tmp_path))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    spec = kubernetes_cluster(DaskParams(cluster="kubernetes", n_workers=1, kubernetes=PODS), str(tmp_path))["spec"]
    port, web = free_port(), free_port()
    address = f"tls://127.0.0.1:{port}"
    (pods_address,) = {
        entry["value"] for entry in spec["worker"]["spec"]["containers"][0]["env"] if "ADDRESS" in entry["name"]
    }
    assert pods_address.startswith("tls://pickflow-")
    spec["scheduler"]["spec"]["containers"][0]["args"] += ["--port", str(port), "--dashboard-address", f":{web}"]
    replaced = {"0.0.0.0": "127.0.0.1", "8788": "127.0.0.1:0", "$(DASK_WORKER_NAME)": "w", pods_address: address}
    with contextlib.ExitStack() as stack:
        started(spec["scheduler"], replaced, stack)
        started(spec["worker"], replaced, stack)
        with Client(address, security=security, timeout=60) as client:
            assert client.submit(abs, -3).result(timeout=60) == 3
            (worker,) = client.scheduler_info()["workers"]
        assert worker.startswith("tls://")
        for reachable in (address, worker):
            with pytest.raises((OSError, ValueError)):
                Client(reachable.replace("tls://", "tcp://"), timeout=1)
        assert urllib.request.urlopen(f"http://127.0.0.1:{web}/health").status == 200
        for page in ("status", "info/main/workers.html", "json/counts.json", "api/v1/retire_workers"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{web}/{page}")


@pytest.mark.parametrize("missing", ["image", "volume_claim"])
def test_pods_without_image_or_volume_are_refused(missing):
    settings = {"image": "pickflow:1", "volume_claim": "run"} | {missing: None}
    with pytest.raises(ValueError, match=rf"compute.dask.kubernetes.{missing} is missing"):
        kubernetes_cluster(DaskParams(cluster="kubernetes", kubernetes=KubernetesParams(**settings)))


def test_the_section_of_the_configuration_becomes_the_parameters():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["compute"] = {"dask": {"cluster": "slurm", "slurm": {"account": "me", "directives": ["--qos=normal"]}}}
    params = DaskParams(**complete(config)["compute"]["dask"])
    assert params == DaskParams(cluster="slurm", slurm=SlurmParams(account="me", directives=("--qos=normal",)))
    config["compute"] = {"dask": {"cluster": "slrum"}}
    with pytest.raises(ConfigError, match="did you mean 'slurm'"):
        complete(config)


def test_one_process_does_without_dask():
    code = (
        "import sys; from pickflow.run.workers import DaskParams, station_map\n"
        "with station_map(1, DaskParams(), 'x') as mapped: print(list(mapped(abs, [-1])), 'distributed' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[1] False"
