"""Run Snakemake with the profile of the cloud, as a user would, against the emulated cluster and its bucket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from tests.cloud.bucket import ACCESS_KEY, SECRET_KEY, ObjectStorage
from tests.cloud.kubernetes_api import KubernetesApi
from tests.snakemake_runner import ROOT

# The endpoint is the emulator's. One worker a job, because this machine is small; a question a second, because jobs are
# short.
OVERRIDES = ["--seconds-between-status-checks", "1"]
ONE_THREAD = ["--set-threads", *(f"{rule}=1" for rule in ("pick", "denoise", "download", "compress", "amplitude"))]
KEYS = {"SNAKEMAKE_STORAGE_S3_ACCESS_KEY": ACCESS_KEY, "SNAKEMAKE_STORAGE_S3_SECRET_KEY": SECRET_KEY}

# The two commands of docs/ada-cloud.md that remove what a killed Snakemake leaves.
REMOVE_JOBS = "kubectl -n pickflow delete jobs -l app=snakemake"
REMOVE_SECRETS = (
    "kubectl -n pickflow get secrets -o name"
    " | grep -E '^secret/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' | xargs -r kubectl -n pickflow delete"
)

# A workflow of two rules that takes seconds: what is tested with it is the profile and what lies below.
TINY = """
pathvars:
    results="results/tiny",


rule all:
    input:
        "<results>/catalog.txt",


rule pick:
    output:
        directory("<results>/picks"),
    log:
        "<results>/logs/pick.log",
    shell:
        "mkdir {output} && echo picks > {output}/picks.txt && sleep {config[seconds]} && {config[command]}"
        " && test {resources.mem_mb} -ge {config[least_mb]} 2> {log}"


rule associate:
    input:
        "<results>/picks",
    output:
        ensure("<results>/catalog.txt", non_empty=True),
    log:
        "<results>/logs/associate.log",
    shell:
        "cat {input}/picks.txt > {output} 2> {log}"
"""


def git(*arguments: str, directory: Path) -> str:
    """Output of a git command."""
    run = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return run.stdout


def copy_of_checkout(directory: Path) -> Path:
    """This checkout in another folder, with a git of its own: what git knows is what pods get."""
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", directory=ROOT).splitlines():
        source, target = ROOT / name, directory / name
        if source.exists() or source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    git("init", "--quiet", directory=directory)
    git("add", "--all", directory=directory)
    return directory


def tiny_checkout(directory: Path) -> Path:
    """A folder with the tiny workflow and our profile."""
    shutil.copytree(ROOT / "profiles" / "ada-cloud", directory / "profiles" / "ada-cloud")
    (directory / "ada-cloud").symlink_to("profiles/ada-cloud")
    (directory / "Snakefile").write_text((ROOT / "workflow" / "rules" / "storage.smk").read_text() + TINY)
    git("init", "--quiet", directory=directory)
    git("add", "--all", directory=directory)
    return directory


def command_of(checkout: Path, storage: ObjectStorage, config: Mapping[str, Any], *arguments: str) -> list[str]:
    """The command of a run with the profile."""
    (checkout / "test-config.yaml").write_text(yaml.safe_dump(dict(config)))
    command = [sys.executable, "-m", "snakemake", "--profile", "ada-cloud", "--configfile", "test-config.yaml"]
    return [*command, "--storage-s3-endpoint-url", storage.endpoint, *OVERRIDES, *arguments]


def environment_of(api: KubernetesApi, **changes: str | None) -> dict[str, str]:
    """What the submitter's shell has set; a change to None removes a variable."""
    variables = {**os.environ, **KEYS, "KUBECONFIG": str(api.kubeconfig), "OMP_NUM_THREADS": "1", **changes}
    return {name: value for name, value in variables.items() if value is not None}


def start(command: list[str], checkout: Path, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a run; its output goes to a file, so that it never waits for a reader."""
    log = checkout.with_name(f"output-{uuid4().hex}")
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, cwd=checkout, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    process.log = log
    return process


def finish(process: subprocess.Popen[str], timeout_s: float = 900) -> tuple[int, str]:
    """Exit status and output of a run; one that hangs is ended, and says so."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, process.log.read_text()


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str], timeout_s: float = 600) -> None:
    """Wait for something to happen while a run goes on."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, finish(process)[1][-3000:]
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.05)


def kubectl(api: KubernetesApi, command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell as the administrator of the namespace."""
    environment = {**os.environ, "KUBECONFIG": str(api.admin), "HOME": str(api.folder)}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
