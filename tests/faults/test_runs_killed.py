"""Runs that are killed, stopped or started twice: the same command goes on, with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.faults.conftest import RUNS, SHORT, UP_TO_PICKS
from tests.snakemake_runner import snakemake, start, wait_for

pytestmark = [pytest.mark.slow, RUNS]
WORK_BEGUN_CPU_S = 2.5  # a worker has started after one second


def logs_of(directory, stage):
    return directory / "results" / "small" / "logs" / stage


def children_of(pid):
    """Processes below a process, deepest last."""
    processes = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            processes += [child, *children_of(child)]
    return processes


def script_of(pid):
    """Which script of a rule a process runs, such as ``pick``; empty if none."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return ""
    return next((Path(word).stem.split(".")[-1] for word in words if ".snakemake/scripts/" in word), "")


def processes_of_group(group):
    """Processes that are alive in a group."""
    alive = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, own_group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(own_group) == group and state != "Z":
            alive.append(int(path.parent.name))
    return alive


def finish(process, seconds=600):
    assert process.wait(seconds) == 0


@pytest.mark.parametrize("stage", ["download", "pick", "locate"])
def test_a_run_killed_with_all_its_processes_goes_on_with_the_same_command(stage, run_up_to, undisturbed, faults):
    before = {"download": "inventory", "pick": "waveforms", "locate": "events"}
    directory = run_up_to(before[stage])
    process = start(directory=directory, config=SHORT)
    wait_for(logs_of(directory, stage), "*.log", process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    faults.injected("kill -9 of a run")
    snakemake(directory=directory, config=SHORT)
    faults.nothing_is_lost(undisturbed, directory)
    assert not list(directory.rglob("*.partial"))


def job_of(process, stage):
    """The process of a job of a run."""
    return next(pid for pid in reversed(children_of(process.pid)) if script_of(pid) == stage)


def wait_for_words(words, directory, process):
    """Wait until a run says something, and goes on."""
    deadline = time.monotonic() + 120
    while words not in (directory / "output.txt").read_text():
        assert process.poll() is None, "the run ended instead"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_jobs_of_a_run_whose_main_process_was_killed_are_waited_for(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    process = start(directory=directory, config=SHORT)
    wait_for(logs_of(directory, "pick"), "*.log", process)
    orphan = job_of(process, "pick")
    os.kill(orphan, signal.SIGSTOP)  # so that it is still there when the next run comes
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    faults.injected("kill -9 of the main process only")
    again = start(directory=directory, config=SHORT)
    wait_for_words(f"a job of an earlier run, which was killed, is still at work (process {orphan})", directory, again)
    os.kill(orphan, signal.SIGCONT)
    finish(again)
    assert not processes_of_group(process.pid)
    faults.nothing_is_lost(undisturbed, directory)


def test_a_job_that_is_killed_fails_and_is_done_again(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    process = start("picks_all", directory=directory, config=SHORT)
    wait_for(logs_of(directory, "pick"), "*.log", process)
    os.kill(job_of(process, "pick"), signal.SIGKILL)
    assert process.wait(120) != 0
    faults.injected("kill -9 of a job")
    snakemake("picks_all", directory=directory, config=SHORT)
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)


def test_a_worker_that_is_killed_loses_nothing(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    config = {**SHORT, "compute": {"threads": 2}}
    process = start("--cores", "2", "picks_all", directory=directory, config=config)
    wait_for(logs_of(directory, "pick"), "*.log", process)
    worker = wait_for_worker(process)
    os.kill(worker, signal.SIGKILL)
    faults.injected("kill -9 of a Dask worker")
    finish(process)
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)


def wait_for_worker(process):
    """A worker process of a job, when it has done some work: one that is killed while it starts ends the job."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for pid in reversed(children_of(process.pid)):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_text()
                ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            except OSError:
                continue
            if "spawn_main" in words and sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") > WORK_BEGUN_CPU_S:
                return pid
        time.sleep(0.05)
    raise AssertionError("no worker was at work")


def test_ctrl_c_ends_a_run_within_seconds_and_leaves_nobody(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    process = start("picks_all", directory=directory, config=SHORT)
    wait_for(logs_of(directory, "pick"), "*.log", process)
    time.sleep(2.0)
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(60) != 0
    assert time.monotonic() - begin < 20
    assert not processes_of_group(process.pid)
    faults.injected("Ctrl-C")
    snakemake("picks_all", directory=directory, config=SHORT)
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)


def test_of_two_runs_of_one_name_the_second_is_refused_and_other_names_run_beside(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    first = start("picks_all", directory=directory, config=SHORT)
    wait_for(logs_of(directory, "pick"), "*.log", first)
    job = job_of(first, "pick")
    os.kill(job, signal.SIGSTOP)  # the first run takes as long as all others here
    second = snakemake("picks_all", directory=directory, config=SHORT, check=False)
    assert second.returncode != 0
    refusal = f"the run 'small' is already going on here: process {first.pid} on"
    assert refusal in second.stdout + second.stderr
    assert "Traceback" not in second.stdout + second.stderr
    snakemake("-n", directory=directory, config=SHORT)
    (directory / "other.yaml").write_text(yaml.safe_dump({**SHORT, "run": "other"}))
    snakemake("download_all", directory=directory, config=directory / "other.yaml")
    os.kill(job, signal.SIGCONT)
    finish(first)
    faults.injected("two runs of one name")
    faults.injected("two runs of different names in one directory")
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)
    waveforms = {path.name: path.read_bytes() for path in (directory / "results" / "other").rglob("*.mseed")}
    assert len(waveforms) == 12


def move_clock(directory, days):
    """Waveforms and inventory of a time when the clock was wrong."""
    moved = time.time() + days * 86400
    results = directory / "results" / "small"
    for path in [*(results / "waveforms").rglob("*"), *(results / "inventory").rglob("*")]:
        os.utime(path, (moved, moved))


def test_files_of_a_clock_that_was_behind_are_made_again_at_most_once(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    move_clock(directory, days=-400)
    faults.injected("files of a clock that was behind")
    snakemake("picks_all", directory=directory, config=SHORT)
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)
    again = snakemake("picks_all", directory=directory, config=SHORT)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_files_of_a_clock_that_was_ahead_are_named_and_touching_them_is_enough(run_up_to, undisturbed, faults):
    directory = run_up_to("waveforms")
    move_clock(directory, days=400)
    faults.injected("files of a clock that was ahead")
    run = snakemake("picks_all", directory=directory, config=SHORT, check=False)
    assert run.returncode != 0
    assert "has older modification time" in run.stdout + run.stderr
    assert "than input results/small/waveforms/2026-01-15" in run.stdout + run.stderr
    # As docs/faults.md says.
    touch = ["find", "results/small", "-newermt", "now", "-exec", "touch", "{}", "+"]
    subprocess.run(touch, cwd=directory, check=True)
    snakemake("picks_all", directory=directory, config=SHORT)
    faults.nothing_is_lost(undisturbed, directory, UP_TO_PICKS)
    again = snakemake("picks_all", directory=directory, config=SHORT)
    assert "Nothing to be done" in again.stdout + again.stderr
