"""Run the workflow with `--profile leonardo` on the SLURM of the tests, and ask SLURM what became of its jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.slurm import lab as slurm
from tests.snakemake_runner import ROOT

# What a small lab needs other than Leonardo: its nodes have two cores, and a test does not wait 20 s for a status.
SMALL_NODES = ["--set-threads", "pick=1", "denoise=1", "download=1", "compress=1", "amplitude=1"]
IMPATIENT = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]
WITHOUT_ACCOUNTING = ["--slurm-status-command", "squeue"]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "SBATCH_ACCOUNT": slurm.ACCOUNT, "PICKFLOW_DEVICE": "cpu"}


class ProfileRun:
    """
    A snakemake that runs beside the test.

    Parameters
    ----------
    directory : Path
        Where `results/` and `.snakemake/` go.
    config : mapping or Path
        A configuration, or the path of one.
    *arguments : str
        Targets, then options.
    snakefile : Path
        Another workflow.
    profile : bool
        False runs it without SLURM, on one core.
    """

    def __init__(self, directory, config, *arguments, snakefile=ROOT / "Snakefile", profile=True):
        self.directory = Path(directory)
        self.directory.mkdir(exist_ok=True)
        if isinstance(config, dict):
            path = self.directory / "test-config.yaml"
            path.write_text(yaml.safe_dump(config))
            config = path
        # Targets come first: an option that takes several values would take them as well.
        command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", snakefile, "--directory", directory]
        command += ["--configfile", config]
        command += ["--profile", "leonardo", *SMALL_NODES, *IMPATIENT] if profile else ["--cores", "1"]
        with (self.directory / "snakemake.out").open("a") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=ROOT,
                env={**os.environ, **ENVIRONMENT},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def output(self):
        """What it has said so far."""
        return (self.directory / "snakemake.out").read_text()

    def wait(self, timeout_s=900):
        """Its exit status."""
        return self.process.wait(timeout_s)

    def succeed(self):
        """Wait for its end, and fail the test if it failed."""
        status = self.wait()
        assert status == 0, f"snakemake failed:\n{self.output[-6000:]}"

    def kill(self):
        """`kill -9`, of it and all its processes; the jobs on the nodes are not among them."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def jobs(self, rule=None):
        """SLURM's records of the run's jobs, by their numbers; those of one rule."""
        return jobs_in(self.directory, rule)

    def running_job(self, rule, timeout_s=400):
        """Wait until a job of a rule is running, and return its record."""
        deadline = time.monotonic() + timeout_s
        while True:
            for job in self.jobs(rule):
                if job["JobState"] == "RUNNING":
                    return job
            assert self.process.poll() is None, f"snakemake ended before {rule}:\n{self.output[-6000:]}"
            assert time.monotonic() < deadline, f"no job of {rule} in {timeout_s} s:\n{self.output[-6000:]}"
            time.sleep(0.2)


def jobs_in(directory, rule=None):
    """SLURM's records of the jobs of a working directory."""
    records = [
        dict(re.findall(r"([\w:/]+)=(\S*)", line))
        for line in slurm.output("scontrol", "show", "job", "--oneliner").splitlines()
    ]
    jobs = [record for record in records if record.get("WorkDir") == str(directory)]
    return [job for job in jobs if rule is None or re.match(rf"rule_{rule}(_wildcards_|$)", job["Comment"])]


def memory_mb(job):
    """Memory that a job asked for; SLURM writes 32000M, and 62.50G for 64000."""
    number, unit = re.fullmatch(r"([\d.]+)([MG])", job["MinMemoryNode"]).groups()
    return round(float(number) * {"M": 1, "G": 1024}[unit])


def kill_process_of(job, script):
    """`kill -9` of the process of a job that runs a script."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
            except OSError:
                continue
            is_of_job = f"SLURM_JOB_ID={job['JobId']}\0".encode() in environment
            if is_of_job and re.search(rf"{script}\0$".encode(), command):
                os.kill(int(process.name), signal.SIGKILL)
                return
        time.sleep(0.1)
    raise AssertionError(f"no process of job {job['JobId']} runs {script}")
