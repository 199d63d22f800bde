"""One run of a name at a time, whatever becomes of its processes."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys

import pytest

from pickflow.io.atomic import atomic_path, remove_partial
from pickflow.run import lock

pytestmark = pytest.mark.usefixtures("_locks_end")

HOLD_RUN = "hold_run(sys.argv[1], lambda text: print(text, flush=True))"
HOLD_JOB = "hold_job(sys.argv[1])"


def hold(expression, folder, statement="time.sleep(60)"):
    """A process that holds a run or a job, when it says so."""
    code = f"import sys, time; from pickflow.run.lock import *; print({expression}, flush=True); {statement}"
    command = [sys.executable, "-c", code, str(folder)]
    # Not buffered: what has not been read yet is seen by `is_silent`.
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)


def is_silent(process, seconds):
    """Whether nothing more comes from a process for a while."""
    return not select.select([process.stdout], [], [], seconds)[0]


@pytest.fixture
def processes():
    started = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_a_second_run_of_the_name_is_refused_and_told_by_whom(tmp_path, processes, faults):
    first = hold(HOLD_RUN, tmp_path / "night")
    processes.append(first)
    assert first.stdout.readline() == b"False\n"
    with pytest.raises(lock.RunLockedError, match=rf"run 'night' is already going on here: process {first.pid} on"):
        lock.hold_run(tmp_path / "night", print)
    lock.hold_run(tmp_path / "day", print)
    faults.injected("two runs of one name")


def test_a_killed_run_holds_nothing_and_is_known_to_have_been_killed(tmp_path, processes, faults):
    first = hold(HOLD_RUN, tmp_path)
    processes.append(first)
    first.stdout.readline()
    first.kill()
    first.wait()
    messages = []
    assert lock.hold_run(tmp_path, messages.append) is True
    assert messages == []
    faults.injected("kill -9 of a run that holds its lock")


def test_a_run_that_ended_by_itself_leaves_no_trace(tmp_path):
    first = hold(HOLD_RUN, tmp_path, statement="end_run(sys.argv[1])")
    first.communicate(timeout=30)
    assert lock.hold_run(tmp_path, print) is False


def test_a_run_waits_for_the_jobs_that_a_killed_one_left_behind(tmp_path, processes, faults):
    orphan = hold(HOLD_JOB, tmp_path / "logs" / "pick" / "one.log")
    processes.append(orphan)
    orphan.stdout.readline()
    second = hold(HOLD_RUN, tmp_path)
    processes.append(second)
    assert f"is still at work (process {orphan.pid}); waiting for its end" in second.stdout.readline().decode()
    assert is_silent(second, 1.2 * lock.POLL_S)
    orphan.kill()
    assert second.stdout.readline() == b"False\n"
    faults.injected("an orphan job beside a second start")


def test_the_same_job_is_done_by_one_process_at_a_time_and_another_job_beside_it(tmp_path, processes):
    first = hold(HOLD_JOB, tmp_path / "logs" / "pick" / "one.log")
    processes.append(first)
    first.stdout.readline()
    other_job = hold(HOLD_JOB, tmp_path / "logs" / "pick" / "two.log")
    processes.append(other_job)
    assert other_job.stdout.readline() == b"None\n"
    same_job = hold(HOLD_JOB, tmp_path / "logs" / "pick" / "one.log", statement="")
    processes.append(same_job)
    assert b"one.log: another process is at the same job; waiting for its end" in same_job.stderr.readline()
    assert is_silent(same_job, 0.2)
    os.kill(first.pid, signal.SIGKILL)
    assert same_job.stdout.readline() == b"None\n"


def test_children_of_a_run_do_not_keep_its_lock(tmp_path, processes):
    child = "import subprocess; subprocess.Popen(['sleep', '30'], close_fds=False); print('child', flush=True)"
    first = hold(HOLD_RUN, tmp_path, statement=f"{child}; time.sleep(60)")
    processes.append(first)
    assert [first.stdout.readline() for _ in range(2)] == [b"False\n", b"child\n"]
    first.kill()
    first.wait()
    assert lock.hold_run(tmp_path, print) is True


def test_without_locks_in_the_file_system_a_run_warns_and_goes_on(tmp_path, monkeypatch, faults):
    def refuse(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "lockf", refuse)
    messages = []
    assert lock.hold_run(tmp_path, messages.append) is False
    assert "has no locks (No locks available); take care" in messages[0]
    lock.hold_job(tmp_path / "logs" / "pick" / "one.log")
    faults.injected("a file system without locks")


def test_a_run_of_another_host_that_did_not_end_by_itself_is_told(tmp_path, faults):
    note = {"host": "login07", "pid": 4711, "since": "2026-01-15T12:00:00+00:00"}
    (tmp_path / ".lock").write_text(json.dumps(note))
    messages = []
    assert lock.hold_run(tmp_path, messages.append) is True
    assert "process 4711 on login07 since 2026-01-15" in messages[0]
    faults.injected("two hosts whose locks do not meet")


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path, faults):
    code = "import sys, time; from pickflow.io.atomic import atomic_path\n"
    code += "with atomic_path(sys.argv[1]) as path: path.write_bytes(b'half'); print(flush=True); time.sleep(60)"
    target = tmp_path / "picks" / "one.parquet"
    writer = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE)
    writer.stdout.readline()
    writer.kill()
    writer.wait()
    (tmp_path / "picks" / "two.parquet").write_bytes(b"whole")
    assert not target.exists()
    assert len(remove_partial(tmp_path)) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["two.parquet"]
    with atomic_path(target) as path:
        path.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"
    faults.injected("kill -9 while writing")
