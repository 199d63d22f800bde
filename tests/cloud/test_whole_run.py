"""Whole runs in the cloud: killed in the middle, cleaned up, resumed; or staged; the same bytes as on this machine."""

import io
import os
import shutil
import signal

import pyarrow.parquet as pq
import pytest

from tests.cloud.kubernetes_nodes import requests_of, usual_nodes
from tests.cloud.runner import (
    ONE_THREAD,
    REMOVE_JOBS,
    REMOVE_SECRETS,
    command_of,
    copy_of_checkout,
    environment_of,
    finish,
    kubectl,
    start,
    wait_until,
)
from tests.e2e.test_night import tables_of
from tests.snakemake_runner import SMALL, snakemake

# The pods' GPU is emulated; this machine has two CPUs for them.
ON_CPU = {"PICKFLOW_DEVICE": "cpu"}
OPTIONS = [*ONE_THREAD, "--envvars", "PICKFLOW_DEVICE"]


@pytest.fixture(scope="module")
def local(tmp_path_factory, private_pods):
    """The same run on this machine."""
    directory = tmp_path_factory.mktemp("local")
    snakemake(directory=directory, config=SMALL)
    return directory


@pytest.fixture
def small_cluster(api):
    api.cluster.nodes = usual_nodes(cpu=2)
    return api


def test_a_run_that_is_killed_and_resumed_ends_with_the_bytes_of_a_local_one(small_cluster, storage, local, tmp_path):
    api = small_cluster
    checkout = copy_of_checkout(tmp_path / "checkout")
    command = command_of(checkout, storage, SMALL, *OPTIONS)
    environment = environment_of(api, **ON_CPU)
    process = start(command, checkout, environment)
    wait_until(lambda: ("pick", "gpu-0") in api.cluster.placed, process)
    os.killpg(process.pid, signal.SIGKILL)
    assert finish(process)[0] == -signal.SIGKILL
    assert api.cluster.remaining_names().keys() == {"jobs", "pods", "secrets"}
    for line in (REMOVE_JOBS, REMOVE_SECRETS):
        removed = kubectl(api, line)
        assert removed.returncode == 0, removed.stderr
    assert api.cluster.remaining_names() == {}

    n_placed = len(api.cluster.placed)
    code, output = finish(start(command, checkout, environment))
    assert code == 0, output[-4000:]
    assert api.cluster.remaining_names() == {}
    again = [rule for rule, _ in api.cluster.placed[n_placed:]]
    assert {"weights", "synthesize", "inventory"}.isdisjoint(again)
    assert_gpus_went_to(api, {"pick"})

    for key, content in storage.contents("results/").items():
        path = tmp_path / "cloud" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    expected, tables = tables_of(local), tables_of(tmp_path / "cloud")
    assert len(expected) > 40
    assert expected.keys() == tables.keys()
    assert [name for name in expected if expected[name] != tables[name]] == []


def assert_gpus_went_to(api, rules):
    """Pods of these rules ask for one GPU as request and limit and run on its node; all others do neither."""
    jobs = [thing["spec"]["template"] for thing in api.cluster.created if thing["kind"] == "Job"]
    with_gpu = [job for job in jobs if requests_of(job)["nvidia.com/gpu"]]
    assert with_gpu
    for job in with_gpu:
        resources = job["spec"]["containers"][0]["resources"]
        assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == "1"
    assert {rule for rule, node in api.cluster.placed if node == "gpu-0"} == rules
    assert {rule for rule, node in api.cluster.placed if node == "cpu-0"}.isdisjoint(rules)


def archive_of(local, checkout):
    """What a user has on this machine alone: an archive, and files that the configuration names; the configuration."""
    shutil.copytree(local / "results" / "small" / "synthetic", checkout / "data")
    return {
        **SMALL,
        "download": {
            "source": "sds",
            "path": "data/sds",
            "inventory": ["data/stations.xml"],
            "stations": ["*.*"],
        },
        "associate": {"velocity_model": {"file": "data/velocity.nd"}},
        "analyze": {"reference": {"file": "data/reference.quakeml"}},
    }


def test_what_is_staged_from_here_is_what_pods_work_on(small_cluster, storage, local, tmp_path):
    api = small_cluster
    checkout = copy_of_checkout(tmp_path / "checkout")
    config = archive_of(local, checkout)
    environment = environment_of(api, **ON_CPU)
    staging = ["download_all", "weights_all", "stage_all", "--executor", "local", "--cores", "1"]
    code, output = finish(start(command_of(checkout, storage, config, *staging, *OPTIONS), checkout, environment))
    assert code == 0, output[-4000:]
    assert api.requests == []
    staged = storage.contents()
    assert staged["data/velocity.nd"] == (checkout / "data" / "velocity.nd").read_bytes()
    assert "results/small/waveforms/2026-01-15/manifest.parquet" in staged
    assert "results/small/models/PickflowNet/bundled/model.safetensors" in staged

    events = "results/small/events/none/PickflowNet/bundled/pyocto/2026-01-15.events.parquet"
    code, output = finish(start(command_of(checkout, storage, config, events, *OPTIONS), checkout, environment))
    assert code == 0, output[-4000:]
    assert [rule for rule, _ in api.cluster.placed] == ["pick", "pick", "associate"]
    # Their provenance names the archive, which is another one.
    assert pq.read_table(io.BytesIO(storage.contents()[events])).equals(pq.read_table(local / events))
    assert pq.read_table(local / events).num_rows > 0


@pytest.mark.parametrize("path", ["/somewhere/stations.xml", "../stations.xml"])
def test_a_file_that_pods_could_not_see_is_refused_before_any_work(path, small_cluster, storage, local, tmp_path):
    api = small_cluster
    checkout = copy_of_checkout(tmp_path / "checkout")
    shutil.copy(local / "results" / "small" / "synthetic" / "stations.xml", tmp_path)
    path = path.replace("/somewhere", str(tmp_path))
    config = {**SMALL, "download": {**SMALL["download"], "inventory": [path]}}
    code, output = finish(start(command_of(checkout, storage, config), checkout, environment_of(api)))
    assert code == 1
    assert f"{path!r} is not below this folder" in output
    assert api.requests == []
