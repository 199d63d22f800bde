"""``pickflow status``: what is done, running, failed and why, while a run goes on, after a kill, and at its end."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pickflow.command_line import main, progress
from pickflow.command_line.progress import parse_log, progress_of, text, time_by_rule

HOLD = """
import sys, time
from pickflow.run.lock import hold_run
hold_run(sys.argv[1], print)
open(sys.argv[1] + "/ready", "w").close()
time.sleep(60)
"""
BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def stamp(seconds):
    return time.strftime("[%a %b %d %H:%M:%S %Y]", time.localtime(seconds))


def started(jobid, rule, seconds, day="2026-01-15", kind="localrule"):
    return (
        f"{stamp(seconds)}\n{kind} {rule}:\n    input: results/my-run/x\n"
        f"    log: results/my-run/logs/{rule}/{day}.log, results/my-run/logs/{rule}/{day}.timing.json\n"
        f"    jobid: {jobid}\n    reason: Missing output files: results/my-run/y\n    wildcards: date={day}\n"
    )


def finished(jobid, rule, seconds, n_done, total):
    return f"{stamp(seconds)}\nFinished jobid: {jobid} (Rule: {rule})\n{n_done} of {total} steps (9%) done\n"


def failed(jobid, rule, seconds, day="2026-01-15"):
    return (
        f"{stamp(seconds)}\nError in rule {rule}:\n    message: None\n    jobid: {jobid}\n"
        f"    log: results/my-run/logs/{rule}/{day}.log (check log file(s) for error details)\n"
    )


HEAD = """run my-run: 2 stations x 2 days = 4 station-days, 6 jobs in all, about 0.1 CPU-hours and 0 GPU-hours
  Config file(s): [PosixPath('my.yaml')]
Job stats:
job         count
--------  -------
inventory       1
download        2
pick            2
all             1
total           6

"""


@pytest.fixture
def a_run(tmp_path, monkeypatch):
    """Writes Snakemake's log of a run into a working directory of its own, and gives the folder of the run."""
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results" / "my-run"
    results.mkdir(parents=True)
    logs = tmp_path / ".snakemake" / "log"
    logs.mkdir(parents=True)

    def write(*parts, name="2026-01-16T000000.000000"):
        (logs / f"{name}.snakemake.log").write_text(HEAD + "".join(parts))
        return results

    return write


@pytest.fixture
def holder():
    """Starts processes that hold a run, and ends them."""
    processes = []

    def hold(results):
        processes.append(subprocess.Popen([sys.executable, "-c", HOLD, str(results)]))
        deadline = time.monotonic() + 60
        while not (results / "ready").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return processes[-1]

    yield hold
    for process in processes:
        process.kill()
        process.wait()


def test_a_log_is_read_as_jobs_that_ended_failed_and_go_on(tmp_path):
    parts = [
        started(1, "inventory", 1000, kind="localcheckpoint"),
        finished(1, "inventory", 1010, 1, 6),
        started(2, "download", 1010, kind="rule"),
        failed(2, "download", 1015),
        started(2, "download", 1016, kind="rule"),
        started(3, "download", 1016, "2026-01-16"),
        failed(3, "download", 1020, "2026-01-16"),
        "Exiting because a job execution failed. Look below for error messages\n",
    ]
    story = parse_log(tmp_path, HEAD + "".join(parts))
    jobs = [(job.rule, job.wildcards, job.started_s, job.ended_s, job.failed) for job in story.jobs]
    assert jobs == [
        ("inventory", "date=2026-01-15", 1000, 1010, False),
        ("download", "date=2026-01-15", 1016, None, False),
        ("download", "date=2026-01-16", 1016, 1020, True),
    ]
    assert story.jobs[2].log == "results/my-run/logs/download/2026-01-16.log"
    assert (story.n_done, story.n_jobs, story.configuration) == (1, 6, "my.yaml")
    assert story.jobs_by_rule == {"inventory": 1, "download": 2, "pick": 2}


def test_every_beginning_of_a_log_can_be_read(tmp_path):
    whole = HEAD + started(1, "download", 1000) + finished(1, "download", 1010, 1, 6) + failed(2, "pick", 1020)
    for length in range(len(whole)):
        assert len(parse_log(tmp_path, whole[:length]).jobs) <= 2


def test_a_run_that_goes_on_tells_what_runs_and_how_long_the_rest_takes(a_run, holder, monkeypatch, capsys):
    now_s = 1_768_521_600.0
    monkeypatch.setattr(progress, "time", SimpleNamespace(time=lambda: now_s))
    results = a_run(
        started(1, "inventory", now_s - 110),
        finished(1, "inventory", now_s - 100, 1, 6),
        started(2, "download", now_s - 100),
        finished(2, "download", now_s - 50, 2, 6),
        started(3, "download", now_s - 50, "2026-01-16"),
    )
    holder(results)
    for rule, seconds in (("inventory", 10.0), ("download", 50.0), ("pick", 100.0)):
        path = results / "benchmarks" / rule / "a.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(f"{BENCHMARK}{seconds}\t0:00:10\t1\t1\t1\t1\t1\t1\t1\t1.5\n")
    far = progress_of(results)
    assert (far.state, far.n_done, far.n_jobs) == ("running", 2, 6)
    assert far.rules["download"] == {"done": 1, "running": 1, "failed": 0, "to_do": 0}
    assert far.rules["pick"] == {"done": 0, "running": 0, "failed": 0, "to_do": 2}
    assert far.rest_s == 200.0  # two picks; the download is about to end
    assert main(["status", "my-run"]) == 0
    output = capsys.readouterr().out
    assert "running  download date=2026-01-16, for 50 s\n" in output
    assert "2 of 6 jobs, 33%, about 3 min 20 s more\n" in output


def test_rules_of_which_no_job_has_ended_are_named(a_run, holder):
    results = a_run(started(1, "inventory", time.time() - 5))
    holder(results)
    far = progress_of(results)
    assert far.rest_s is None
    assert far.not_measured == ["inventory", "download", "pick"]
    assert ", the rest is known when a job of inventory, download, pick has ended" in text(far, results)
    benchmark = results / "benchmarks" / "download" / "a.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text(f"{BENCHMARK}30.0\t0:00:30\t1\t1\t1\t1\t1\t1\t1\t1.5\n")
    assert ", about 1 min 00 s more, and what inventory, pick take" in text(progress_of(results), results)


def test_a_run_that_was_killed_is_known_as_one(a_run, holder, capsys):
    results = a_run(started(1, "inventory", time.time() - 5))
    process = holder(results)
    assert progress_of(results).state == "running"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert main(["status", "results/my-run"]) == 1
    output = capsys.readouterr().out
    assert f"killed; it was process {process.pid}" in output
    assert "pickflow run my.yaml" in output
    assert "running  inventory" not in output
    assert "interrupted inventory date=2026-01-15" in output


def test_a_run_that_failed_says_which_job_and_why(a_run, capsys):
    results = a_run(started(1, "download", 1000), failed(1, "download", 1010))
    log = results / "logs" / "download" / "2026-01-15.log"
    log.parent.mkdir(parents=True)
    log.write_text("INFO x\nTraceback (most recent call last):\nValueError: no such server\n")
    assert main(["status", "my-run"]) == 1
    output = capsys.readouterr().out
    assert "run my-run: ended with an error" in output
    assert "FAILED   download date=2026-01-15: no such server\n         log: results/my-run/logs/download" in output
    log.unlink()
    assert "its log cannot be read" in progress_of(results).failed[0]["reason"]


def test_a_run_that_ended_names_its_report(a_run, monkeypatch, capsys):
    a_run(started(1, "all", 1000), finished(1, "all", 1010, 6, 6))
    monkeypatch.setattr(progress, "outcome_text", lambda results: f"Report       {results}/report.html")
    assert main(["status", "my-run", "--watch"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("run my-run: done\n")
    assert "6 of 6 jobs, 100%" in output
    assert "results/my-run/report.html" in output


def test_the_newest_log_of_the_run_counts_and_not_that_of_another_or_of_one_that_was_refused(a_run, tmp_path):
    a_run(finished(1, "all", 1010, 5, 6), name="2026-01-16T000000.000000")
    results = a_run(finished(1, "all", 1010, 6, 6), name="2026-01-17T000000.000000")
    logs = tmp_path / ".snakemake" / "log"
    (logs / "2026-01-18T000000.000000.snakemake.log").write_text(HEAD.replace("my-run", "my-run-2"))
    (logs / "2026-01-19T000000.000000.snakemake.log").write_text(
        HEAD + "results/my-run/.lock: the run 'my-run' is already going on here: process 1 on a since b\n"
    )
    assert progress_of(results).n_done == 6


def test_station_days_and_picks_so_far_are_counted_past_tables_that_are_not_whole(a_run, capsys):
    results = a_run()
    day = results / "waveforms" / "2026-01-15"
    day.mkdir(parents=True)
    pq.write_table(pa.table({"reason": ["ok", "ok", "no_data"]}), day / "manifest.parquet")
    picks = results / "picks" / "none" / "PhaseNet" / "stead"
    picks.mkdir(parents=True)
    pq.write_table(pa.table({"n_p": [3, 0], "n_s": [2, 1]}), picks / "2026-01-15.ledger.parquet")
    (picks / "2026-01-16.ledger.parquet").write_bytes(b"PAR1")
    assert main(["status", "my-run", "--json"]) == 1
    far = json.loads(capsys.readouterr().out)
    assert (far["ledger"], far["n_picks"]) == ({"ok": 2, "no_data": 1}, 6)


def test_a_folder_of_which_nothing_tells_is_not_as_it_should_be(tmp_path, capsys):
    (tmp_path / "results" / "moved").mkdir(parents=True)
    assert main(["status", str(tmp_path / "results" / "moved")]) == 1
    assert "no log of Snakemake tells of it here" in capsys.readouterr().out


def test_results_that_were_copied_are_known_by_their_summary(tmp_path):
    (tmp_path / "results" / "home").mkdir(parents=True)
    assert progress_of(tmp_path / "results" / "home").state == "unknown"
    (tmp_path / "results" / "home" / "summary.json").write_text("{}")
    assert progress_of(tmp_path / "results" / "home").state == "done"


def test_time_and_memory_are_added_up_by_rule(tmp_path):
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for name, line in (
        ("a", "2.0\t0:00:02\t100\t1\t1\t1\t1\t1\t1\t1.5\n"),
        ("b", "4.0\t0:00:04\t300\t1\t1\t1\t1\t1\t1\t3.5\n"),
    ):
        path = tmp_path / "benchmarks" / "pick" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + line)
    (tmp_path / "benchmarks" / "report").mkdir()
    (tmp_path / "benchmarks" / "report" / "r.tsv").write_text(head + "0.1\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n")
    table = time_by_rule(tmp_path)
    assert table.iloc[0].tolist() == ["pick", 2, 6.0, 5.0, 300.0]
    assert table["rule"].tolist() == ["pick", "report"]
