"""Progress of a run: from Snakemake's log, the run's lock, the logs and benchmarks of its jobs, and its tables."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pickflow.command_line.workflow import TARGETS, reason_in
from pickflow.run.layout import RunLayout
from pickflow.run.lock import LockState, lock_state
from pickflow.run.outcome import outcome_text

_BLOCK = re.compile(r"((?:local)?(?:rule|checkpoint)|Error in rule) (\w+):")
_FINISHED = re.compile(r"Finished jobid: (\d+) \(Rule: \w+\)")
_STEPS = re.compile(r"(\d+) of (\d+) steps \(.*\) done")
_STAMP = re.compile(r"\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]")
_FIELD = re.compile(r" +(jobid|log|wildcards): (.*)")
_ROW = re.compile(r"(\w+) +(\d+)")
_CONFIGURATION = re.compile(r"PosixPath\('(.*?)'\)")
_REFUSED = "is already going on here"
# Columns of Snakemake's benchmark files: wall time, CPU time, largest resident memory.
_BENCHMARK = {"s": "wall_s", "cpu_time": "cpu_s", "max_rss": "memory_mb"}
_BAR = 40  # characters, chosen
_MOST_NAMED = 3  # rules in a message, chosen


class Job(NamedTuple):
    """A job that Snakemake's log names; times in s since 1970, its log seen from the folder of ``results/``."""

    rule: str
    wildcards: str
    log: str
    started_s: float
    ended_s: float | None = None
    failed: bool = False


class LogSummary(NamedTuple):
    """Summary of the newest log of Snakemake of a run."""

    path: Path
    configuration: str
    jobs: list[Job]
    jobs_by_rule: dict[str, int]  # jobs of this start, by rule
    n_done: int
    n_jobs: int


class Progress(NamedTuple):
    """Progress of a run; ready for JSON."""

    run: str
    state: str  # running, done, failed, killed, unknown
    since: str
    holder: str
    configuration: str
    n_done: int
    n_jobs: int
    rules: dict[str, dict[str, int]]
    running: list[dict[str, Any]]
    interrupted: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    rest_s: float | None
    not_measured: list[str]
    ledger: dict[str, int]
    n_picks: int
    log: str


def progress_of(results: Path) -> Progress:
    """
    Progress of a run.

    Parameters
    ----------
    results : Path
        ``results/<run>``; Snakemake's log lies two levels above.
    """
    lock, summary = lock_state(results), read_log(results)
    now_s = time.time()
    jobs = summary.jobs if summary else []
    ended_jobs = [job for job in jobs if job.ended_s is not None and not job.failed]
    failed_jobs = [job for job in jobs if job.failed]
    not_ended = [job for job in jobs if job.ended_s is None]
    running = not_ended if lock.is_held else []
    counts = {"done": _by_rule(ended_jobs), "running": _by_rule(running), "failed": _by_rule(failed_jobs)}
    rules = {}
    for rule, n in (summary.jobs_by_rule if summary else {}).items():
        row = {name: count[rule] for name, count in counts.items()}
        rules[rule] = row | {"to_do": max(0, n - sum(row.values()))}
    rest_s, not_measured = _remaining_time(results, rules, jobs, running, now_s) if lock.is_held else (None, [])
    return Progress(
        run=results.resolve().name,
        state=_state(results, lock, summary),
        since=lock.note.get("since", ""),
        holder=f"process {lock.note['pid']} on {lock.note['host']}" if lock.note else "",
        configuration=summary.configuration if summary else "",
        n_done=summary.n_done if summary else 0,
        n_jobs=summary.n_jobs if summary else 0,
        rules=rules,
        running=[_row(job) | {"seconds": round(now_s - job.started_s)} for job in running],
        interrupted=[_row(job) for job in not_ended if job not in running],
        failed=[_row(job) | {"reason": reason_in(_above(results) / job.log)} for job in failed_jobs],
        rest_s=rest_s,
        not_measured=not_measured,
        ledger=_ledger(results),
        n_picks=_n_picks(results),
        log=str(summary.path) if summary else "",
    )


def _state(results: Path, lock: LockState, summary: LogSummary | None) -> str:
    if lock.is_held or lock.note:
        return "running" if lock.is_held else "killed"
    if summary is None:  # as of copied results
        return "done" if RunLayout(results).summary.exists() else "unknown"
    return "done" if summary.n_done == summary.n_jobs and not any(job.failed for job in summary.jobs) else "failed"


def _by_rule(jobs: list[Job]) -> Counter[str]:
    return Counter(job.rule for job in jobs)


def _row(job: Job) -> dict[str, Any]:
    return {"rule": job.rule, "wildcards": job.wildcards, "log": job.log}


def _above(results: Path) -> Path:
    """The folder that holds ``results/``."""
    return results.resolve().parents[1]


def read_log(results: Path) -> LogSummary | None:
    """Summary of the newest log of Snakemake of a run; None if there is none."""
    head = f"run {results.resolve().name}: "
    for path in sorted((_above(results) / ".snakemake" / "log").glob("*.snakemake.log"), reverse=True):
        text = path.read_text(errors="replace")
        if any(line.startswith(head) for line in text[:10_000].splitlines()) and _REFUSED not in text:
            return parse_log(path, text)
    return None


def parse_log(path: Path, text: str) -> LogSummary:
    """
    Jobs in a log of Snakemake, in the order in which they started; of a repeated job only the last attempt counts.

    Parameters
    ----------
    path : Path
        Of the log.
    text : str
        Its content, also while it is written.
    """
    jobs: dict[str, Job] = {}
    by_rule: dict[str, int] = {}
    block: dict[str, str] = {}
    n_done = n_jobs = 0
    stamp_s = 0.0
    for line in [*text.splitlines(), ""]:
        if block and line.startswith("  "):
            block |= {} if (field := _FIELD.fullmatch(line)) is None else {field[1]: field[2]}
            continue
        _note_job(jobs, block, stamp_s)
        block = {}
        if match := _BLOCK.fullmatch(line):
            block = {"kind": match[1], "rule": match[2]}
        elif match := _STAMP.fullmatch(line):
            stamp_s = datetime.strptime(match[1], "%a %b %d %H:%M:%S %Y").timestamp()  # noqa: DTZ007 - local time
        elif line == "Job stats:":
            by_rule, n_done = {}, 0
        elif match := _ROW.fullmatch(line):
            by_rule[match[1]] = int(match[2])
        elif (match := _FINISHED.fullmatch(line)) and match[1] in jobs:
            jobs[match[1]] = jobs[match[1]]._replace(ended_s=stamp_s, failed=False)
        elif match := _STEPS.fullmatch(line):
            n_done, n_jobs = int(match[1]), int(match[2])
    configuration = _CONFIGURATION.search(text[:10_000])
    n_jobs = n_jobs or by_rule.get("total", 0)
    for target in ("total", *TARGETS):
        by_rule.pop(target, None)
    return LogSummary(path, configuration[1] if configuration else "", list(jobs.values()), by_rule, n_done, n_jobs)


def _note_job(jobs: dict[str, Job], block: dict[str, str], stamp_s: float) -> None:
    """Record the start or the failure of a job, which a block of lines describes."""
    name = block.get("jobid", "")
    if not name:
        return
    job = Job(
        block["rule"], block.get("wildcards", ""), block.get("log", "").partition(" (")[0].partition(", ")[0], stamp_s
    )
    if block["kind"].startswith("Error"):
        jobs[name] = jobs.get(name, job)._replace(ended_s=stamp_s, failed=True)
    else:
        jobs[name] = job


def _remaining_time(
    results: Path, rules: dict[str, dict[str, int]], jobs: list[Job], running: list[Job], now_s: float
) -> tuple[float | None, list[str]]:
    """Remaining seconds at the pace of this start, and the rules without a measured job."""
    table = time_by_rule(results).set_index("rule")
    mean_s = (table["wall_s"] / table["jobs"]).to_dict()
    spans = [(job.ended_s or now_s) - job.started_s for job in jobs if job.ended_s or job in running]
    elapsed_s = now_s - min((job.started_s for job in jobs), default=now_s)
    side_by_side = max(1.0, sum(spans) / elapsed_s) if elapsed_s else 1.0
    left_s = sum(row["to_do"] * mean_s.get(rule, 0.0) for rule, row in rules.items())
    left_s += sum(max(0.0, mean_s.get(job.rule, 0.0) - (now_s - job.started_s)) for job in running)
    unknown = [rule for rule, row in rules.items() if row["to_do"] + row["running"] and rule not in mean_s]
    return (left_s / side_by_side if mean_s else None), unknown


def time_by_rule(results: Path) -> pd.DataFrame:
    """
    Time and memory of the steps of a run, from the benchmarks of its jobs, also those of an earlier start.

    Returns
    -------
    DataFrame
        ``rule``, ``jobs``, ``wall_s`` and ``cpu_s`` (sums over the jobs), ``memory_mb`` (of the largest job); NaN where
        a job was too short to be measured.
    """
    rows = []
    for rule, path in RunLayout(results).benchmarks():
        try:
            line = pd.read_csv(path, sep="\t", na_values=["-"]).rename(columns=_BENCHMARK).iloc[0]
        except (IndexError, ValueError):  # of a job that was killed while it was written
            continue
        rows.append({"rule": rule, **{name: line.get(name) for name in _BENCHMARK.values()}})
    jobs = pd.DataFrame(rows, columns=["rule", *_BENCHMARK.values()])
    by_rule = jobs.groupby("rule", as_index=False).agg(
        jobs=("rule", "size"), wall_s=("wall_s", "sum"), cpu_s=("cpu_s", "sum"), memory_mb=("memory_mb", "max")
    )
    return by_rule.sort_values("cpu_s", ascending=False, kind="stable").reset_index(drop=True)


def _ledger(results: Path) -> dict[str, int]:
    """Station-days that have been downloaded, by reason."""
    reasons: Counter[str] = Counter()
    for column in _columns(RunLayout(results).manifests(), "reason"):
        reasons.update(column.to_pylist())
    return dict(reasons.most_common())


def _n_picks(results: Path) -> int:
    """Picks of all pickers so far."""
    files = RunLayout(results).ledgers()
    return sum(sum(column.to_pylist()) for name in ("n_p", "n_s") for column in _columns(files, name))


def _columns(files: Iterable[Path], name: str) -> Iterator[Any]:
    for path in files:
        try:
            yield pq.read_table(path, columns=[name])[name]
        except (OSError, pa.ArrowException):  # of a job that was killed while it was written
            continue


def text(progress: Progress, results: Path) -> str:
    """Text on the progress of a run."""
    lines = [f"run {progress.run}: {_headline(progress)}", *_bar(progress)]
    if progress.state != "done" and progress.rules:
        lines += ["", f"  {'rule':12} {'done':>6} {'running':>8} {'failed':>7} {'to do':>6}"]
        lines += [
            f"  {rule:12} {row['done']:6} {row['running']:8} {row['failed']:7} {row['to_do']:6}"
            for rule, row in progress.rules.items()
        ]
    lines += [f"running  {_name(job)}, for {_duration(job['seconds'])}" for job in progress.running]
    lines += [f"interrupted {_name(job)}" for job in progress.interrupted]
    lines += [f"FAILED   {_name(job)}: {job['reason']}\n         log: {job['log']}" for job in progress.failed]
    if progress.state == "done":
        lines += ["", _closing(results)]
    elif progress.ledger:
        reasons = ", ".join(f"{n} {reason}" for reason, n in progress.ledger.items())
        lines.append(f"so far   {sum(progress.ledger.values())} station-days: {reasons}; {progress.n_picks} picks")
    if progress.state in ("killed", "failed") and progress.configuration:
        lines.append(f"The same command goes on where it was, such as pickflow run {progress.configuration}")
    return "\n".join([*lines, f"log      {progress.log}"] if progress.log else lines)


def _closing(results: Path) -> str:
    try:
        return outcome_text(results)
    except ValueError as error:  # of a target that makes no report
        return str(error)


def _headline(progress: Progress) -> str:
    states = {
        "running": f"running since {progress.since} ({progress.holder})",
        "killed": f"killed; it was {progress.holder} since {progress.since}" if progress.holder else "killed",
        "unknown": "no log of Snakemake tells of it here",
        "failed": "ended with an error",
    }
    return states.get(progress.state, progress.state)


def _bar(progress: Progress) -> list[str]:
    if not progress.n_jobs:
        return []
    share = progress.n_done / progress.n_jobs
    full = int(share * _BAR)
    line = f"[{'#' * full}{'-' * (_BAR - full)}] {progress.n_done} of {progress.n_jobs} jobs, {share:.0%}"
    if progress.state == "running":
        line += f", {_rest_of_time(progress)}"
    return [line]


def _rest_of_time(progress: Progress) -> str:
    """Text on the remaining time; rules without an ended job have not been measured."""
    rules = ", ".join(progress.not_measured[:_MOST_NAMED])
    rules += f" and {len(progress.not_measured) - _MOST_NAMED} more" if len(progress.not_measured) > _MOST_NAMED else ""
    if not progress.rest_s or progress.rest_s < 1.0:
        return f"the rest is known when a job of {rules} has ended" if rules else "about to end"
    return f"about {_duration(progress.rest_s)} more" + (f", and what {rules} take" if rules else "")


def _name(job: dict[str, Any]) -> str:
    return " ".join([job["rule"], job["wildcards"]]).strip()


def _duration(seconds: float) -> str:
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest_s:02} s" if minutes else f"{rest_s} s"
