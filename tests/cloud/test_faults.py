"""What goes wrong in a cloud, on a workflow that takes seconds: it is repaired or named, and nothing is left behind."""

import json
import os
import signal
import time
from types import SimpleNamespace

import pytest

from tests.cloud.bucket import ACCESS_KEY, SECRET_KEY, ObjectStorage
from tests.cloud.kubernetes_api import KubernetesApi
from tests.cloud.kubernetes_cluster import Fault, rule_of
from tests.cloud.kubernetes_nodes import usual_nodes
from tests.cloud.runner import (
    KEYS,
    REMOVE_JOBS,
    command_of,
    environment_of,
    finish,
    kubectl,
    start,
    tiny_checkout,
    wait_until,
)
from tests.snakemake_runner import ROOT

QUICK = {"seconds": 0, "command": "true", "least_mb": 0}
LONG = {**QUICK, "seconds": 100}
DONE = {"results/tiny/picks/picks.txt": b"picks\n", "results/tiny/catalog.txt": b"picks\n"}


def run(api, storage, directory, config, *arguments, **environment):
    """Exit status and output of a run of the tiny workflow."""
    checkout = tiny_checkout(directory / "checkout")
    return finish(
        start(command_of(checkout, storage, config, *arguments), checkout, environment_of(api, **environment))
    )


def is_done(storage):
    """Whether the bucket holds what the tiny workflow makes."""
    return DONE.items() <= storage.contents().items()


def memory_asked(api, rule):
    """Memory that the pods of a rule were given, one after the other."""
    specs = [job["spec"]["template"] for job in api.cluster.created if job["kind"] == "Job"]
    return [spec["spec"]["containers"][0]["resources"]["limits"]["memory"] for spec in specs if rule_of(spec) == rule]


@pytest.fixture(scope="module")
def retried(tmp_path_factory, private_pods):
    """A run whose first pod fails until it has more memory, and if it could see the submitter's files."""
    directory = tmp_path_factory.mktemp("retried")
    checkout = tiny_checkout(directory / "checkout")
    config = {**QUICK, "command": f"test ! -e {checkout}", "least_mb": 32000}
    with ObjectStorage() as storage, KubernetesApi(ROOT / "envs/kubernetes", usual_nodes(), [directory]) as api:
        command = command_of(checkout, storage, config, "--verbose")
        code, output = finish(start(command, checkout, environment_of(api)))
        graph = finish(start([*command, "--forceall", "--dag"], checkout, environment_of(api)))[1]
        return SimpleNamespace(
            api=api,
            code=code,
            output=output,
            graph=graph,
            logs=[path.read_text(errors="replace") for path in (api.folder / "pods").glob("*/log")],
            files=[path.read_bytes() for path in checkout.rglob("*") if path.is_file()],
            left=api.cluster.remaining_names(),
            bucket=storage.contents(),
        )


def test_a_pod_that_fails_is_sent_again_with_more_memory(retried):
    assert retried.code == 0, retried.output[-3000:]
    assert memory_asked(retried.api, "pick") == ["16000M", "32000M"]
    assert DONE.items() <= retried.bucket.items()


def test_each_pod_says_who_it_is_and_the_most_that_it_takes(retried):
    _, *jobs = retried.api.cluster.created
    assert len(jobs) == 3
    for job in jobs:
        pod = job["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == "pickflow-job"
        resources = pod["containers"][0]["resources"]
        assert {"cpu", "memory", "ephemeral-storage"} <= resources["limits"].keys()
        assert resources["limits"].keys() == resources["requests"].keys()


def test_the_role_holds_the_rights_that_are_used_and_no_more(retried):
    assert retried.api.used == retried.api.granted


def test_nothing_is_left_of_a_run_that_has_ended(retried):
    assert retried.left == {}
    assert not [name for name in retried.bucket if "sources" in name]


def test_the_keys_stand_in_the_secret_and_nowhere_else(retried):
    secret, *jobs = retried.api.cluster.created
    assert secret["kind"] == "Secret"
    assert "digraph" in retried.graph
    assert len(retried.logs) == 3
    texts = [json.dumps(jobs), retried.output, retried.graph, *retried.logs, *retried.api.requests]
    contents = [*retried.files, *retried.bucket.values(), *(text.encode() for text in texts)]
    for key in (ACCESS_KEY, SECRET_KEY):
        assert not [content for content in contents if key.encode() in content]


def test_a_run_that_fails_leaves_nothing(api, storage, tmp_path):
    code, output = run(api, storage, tmp_path, {**QUICK, "command": "false"}, "--retries", "0")
    assert code == 1
    assert "Error in rule pick" in output
    assert api.cluster.ended == [("pick", "Error")]
    assert api.cluster.remaining_names() == {}


def test_a_run_that_is_interrupted_takes_its_pods_along(api, storage, tmp_path):
    checkout = tiny_checkout(tmp_path / "checkout")
    process = start(command_of(checkout, storage, LONG), checkout, environment_of(api))
    wait_until(lambda: api.cluster.placed, process)
    # The plugin forgets a Job that it has just asked for; docs/ada-cloud.md says so.
    wait_until(lambda: any("Get status with" in log.read_text() for log in tmp_path.glob("output-*")), process)
    container = next(iter(api.cluster.processes.values())).process
    os.kill(process.pid, signal.SIGINT)
    code, output = finish(process, 60)
    assert code != 0
    assert api.cluster.remaining_names() == {}, output[-3000:]
    assert container.wait(10) != 0


def test_pods_that_the_kernel_kills_or_a_node_sends_away_are_sent_again(api, storage, tmp_path):
    api.cluster.faults = [Fault("pick", "oom"), Fault("associate", "evicted")]
    code, output = run(api, storage, tmp_path, QUICK)
    assert code == 0, output[-3000:]
    reasons = [("pick", "OOMKilled"), ("pick", "Completed")]
    assert api.cluster.ended == [*reasons, ("associate", "ContainerStatusUnknown"), ("associate", "Completed")]
    assert memory_asked(api, "pick") == ["16000M", "32000M"]
    assert api.cluster.remaining_names() == {}


def test_what_a_pod_that_never_began_leaves_is_removed_by_the_documented_command(api, storage, tmp_path):
    api.cluster.faults = [Fault("pick", "lost")]
    code, output = run(api, storage, tmp_path, QUICK)
    assert code == 0, output[-3000:]
    assert api.cluster.ended[:2] == [("pick", "Evicted"), ("pick", "Completed")]
    # The plugin keeps a failed Job that has no container to show.
    assert set(api.cluster.remaining_names()) == {"jobs", "pods"}
    assert kubectl(api, REMOVE_JOBS).returncode == 0
    assert api.cluster.remaining_names() == {}


def test_a_full_cluster_is_waited_for(api, storage, tmp_path):
    nodes, api.cluster.nodes = api.cluster.nodes, []
    checkout = tiny_checkout(tmp_path / "checkout")
    process = start(command_of(checkout, storage, QUICK), checkout, environment_of(api))
    wait_until(lambda: "pods" in api.cluster.remaining_names(), process)
    time.sleep(3)
    (pod,) = api.cluster.things["pods"].values()
    assert pod["status"]["conditions"][0]["reason"] == "Unschedulable"
    assert process.poll() is None
    api.cluster.nodes = nodes
    code, output = finish(process)
    assert code == 0, output[-3000:]
    assert is_done(storage)


def test_a_storage_that_is_down_for_seconds_is_asked_again(api, storage, tmp_path):
    checkout = tiny_checkout(tmp_path / "checkout")
    process = start(command_of(checkout, storage, QUICK), checkout, environment_of(api))
    wait_until(lambda: api.cluster.placed, process)
    storage.fail_for(6)
    code, output = finish(process)
    assert code == 0, output[-3000:]
    assert storage.n_failed > 0
    assert api.cluster.ended == [("pick", "Completed"), ("associate", "Completed")]
    assert is_done(storage)


def test_a_storage_that_stays_down_is_named_and_the_same_command_goes_on_later(api, storage, tmp_path):
    checkout = tiny_checkout(tmp_path / "checkout")
    command = command_of(checkout, storage, QUICK, "--storage-s3-retries", "2", "--retries", "0")
    process = start(command, checkout, environment_of(api))
    wait_until(lambda: api.cluster.placed, process)
    storage.fail_for(3600)
    code, output = finish(process, 120)
    assert code == 1
    assert "Error in rule pick" in output
    assert "reached max retries: 1): Service Unavailable" in output or "SlowDown" in output
    assert api.cluster.remaining_names() == {}
    storage.fail_for(0)
    code, output = finish(start(command, checkout, environment_of(api)))
    assert code == 0, output[-3000:]
    assert is_done(storage)


def test_wrong_keys_are_named_before_anything_is_sent(api, storage, tmp_path):
    code, output = run(api, storage, tmp_path, QUICK, SNAKEMAKE_STORAGE_S3_ACCESS_KEY="AKIAWRONG")
    assert code == 1
    assert "does not open bucket 'pickflow'" in output
    assert "Traceback" not in output
    assert api.requests == []


def test_missing_keys_are_named_before_anything_is_sent(api, storage, tmp_path):
    code, output = run(api, storage, tmp_path, QUICK, **dict.fromkeys(KEYS))
    assert code == 1
    assert "export SNAKEMAKE_STORAGE_S3_ACCESS_KEY and SNAKEMAKE_STORAGE_S3_SECRET_KEY" in output
    assert "Traceback" not in output
    assert api.requests == []


def test_a_bucket_of_others_is_named_before_anything_is_sent(api, storage, tmp_path):
    code, output = run(api, storage, tmp_path, QUICK, "--default-storage-prefix", "s3://theirs")
    assert code == 1
    assert "does not open bucket 'theirs'" in output
    assert api.requests == []


@pytest.mark.parametrize(
    ("right", "message"),
    [
        (("create", "secrets"), 'cannot create resource \\"secrets\\"'),
        (("create", "batch/jobs"), 'cannot create resource \\"batch/jobs\\"'),
    ],
)
def test_a_right_that_is_missing_is_named(right, message, storage, tmp_path):
    with KubernetesApi(ROOT / "envs/kubernetes", usual_nodes(), [tmp_path], without=right) as api:
        code, output = run(api, storage, tmp_path, QUICK)
    assert code == 1
    assert message in output
    assert api.cluster.placed == []
