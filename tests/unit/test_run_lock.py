"""Whatever stands in the file of a run's lock, a run that nobody holds can start."""

from __future__ import annotations

import errno
import json
import os

import pytest

from pickflow.run import lock
from pickflow.run.lock import RunLockedError, end_run, hold_job, hold_run

pytestmark = pytest.mark.usefixtures("_locks_end")


def note(**changes):
    return json.dumps({"host": os.uname().nodename, "pid": 1, "since": "2020-01-01T00:00:00+00:00"} | changes).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 100, b"[]", b"5", b"null", b'"text"', b"garbage", b"{", b"[" * 4096, b"\xff\xfe\x00", b'{"host": 1}',
        b'{"pid": 1}', b"x" * 1_000_000,
    ],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
def test_what_is_no_note_of_a_run_is_said_and_does_not_stop_it(content, tmp_path):
    (tmp_path / ".lock").write_bytes(content)
    messages = []
    assert hold_run(tmp_path, messages.append) is True
    assert len(messages) == 1
    assert "no note of a run" in messages[0]
    assert json.loads((tmp_path / ".lock").read_bytes())["pid"] == os.getpid()
    end_run(tmp_path)
    assert (tmp_path / ".lock").read_bytes() == b""


@pytest.mark.parametrize("content", [b"", b"\n", b"{}"])
def test_an_empty_file_is_that_of_a_run_that_ended_by_itself(content, tmp_path):
    (tmp_path / ".lock").write_bytes(content)
    messages = []
    assert hold_run(tmp_path, messages.append) is False
    assert messages == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (note(pid=2**22 + 1), []),  # of a process that is no more
        (note(pid=os.getppid()), []),  # its number is another's now
        (note(since="2999-01-01T00:00:00+00:00"), []),  # of a clock that was ahead
        (note(host="elsewhere"), ["process 1 on elsewhere"]),
        (note(host=["x" * 500]), ["did not end by itself"]),
        (note(pid=None, since=5), []),
    ],
)
def test_the_note_of_a_run_that_nobody_holds_does_not_stop_the_next(content, words, tmp_path):
    (tmp_path / ".lock").write_bytes(content)
    messages = []
    assert hold_run(tmp_path, messages.append) is True
    assert len(messages) == len(words)
    for text, word in zip(messages, words, strict=True):
        assert word in text
        assert len(text) < 400


def test_a_folder_in_its_place_is_named_with_the_way_out(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(RunLockedError, match=r"\.lock: the lock of the run cannot be used \(a folder.* delete it"):
        hold_run(tmp_path, print)


def test_a_link_in_its_place_has_no_other_file_emptied(tmp_path):
    other_file = tmp_path / "other"
    other_file.write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(other_file)
    with pytest.raises(RunLockedError, match="a folder, link or device"):
        hold_run(tmp_path / "run", print)
    assert other_file.read_text() == "precious"


def test_a_pipe_in_its_place_does_not_wait_for_ever(tmp_path):
    os.mkfifo(tmp_path / ".lock")
    with pytest.raises(RunLockedError, match="a folder, link or device"):
        hold_run(tmp_path, print)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize("function", ["open", "pwrite"])
def test_a_file_that_may_not_be_opened_or_written_is_named(number, function, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.os, function, fail)
    with pytest.raises(RunLockedError, match=rf"\.lock: .*\({os.strerror(number)}\)"):
        hold_run(tmp_path, print)
    monkeypatch.undo()


def test_a_job_below_a_folder_in_the_place_of_the_lock_is_named_too(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(RunLockedError, match="cannot be used"):
        hold_job(tmp_path / "logs" / "pick" / "job.log")
