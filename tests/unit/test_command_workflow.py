"""The workflow as a process: its command, its exit code, its messages."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time

from pickflow.command_line.workflow import LogFollower, as_shell, failures, run_process, snakemake_command
from tests.conftest import ROOT


def test_the_command_can_be_pasted_into_a_shell(tmp_path, monkeypatch):
    place = tmp_path / "a place"
    place.mkdir()
    monkeypatch.chdir(place)
    command = snakemake_command(place / "my.yaml", "train", cores="3", options=["--forceall"])
    assert command[1] == "train"
    assert command[-1] == "--forceall"
    assert command[command.index("--snakefile") + 1] == str(ROOT / "Snakefile")
    assert command[command.index("--directory") + 1] == str(place)
    assert command[command.index("--cores") + 1] == "3"
    words = shlex.split(as_shell(command))
    assert words[1:] == command
    assert words[0].startswith("OMP_NUM_THREADS=")


def test_in_the_checkout_the_command_is_short(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert snakemake_command("my.yaml")[1:] == ["--configfile", "my.yaml", "--cores", "all"]


def test_a_profile_of_ours_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = snakemake_command("my.yaml", profile="leonardo")
    assert command[command.index("--profile") + 1] == str(ROOT / "profiles" / "leonardo")
    assert "--cores" not in command
    command = snakemake_command("my.yaml", profile="mine")
    assert command[command.index("--profile") + 1] == "mine"


def test_the_exit_code_and_the_words_of_a_process_come_back(tmp_path):
    with (tmp_path / "said").open("w") as output:
        assert run_process([sys.executable, "-c", "import sys; print('out'); sys.exit(3)"], output) == 3
    assert (tmp_path / "said").read_text() == "out\n"
    assert run_process([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 128 + 9


PATIENT = """
import signal, sys, time
def end(number, frame):
    time.sleep(1)
    open("ended", "w").close()
    sys.exit(1)
signal.signal(signal.SIGINT, end)
open("ready", "w").close()
time.sleep(60)
"""


def test_ctrl_c_waits_for_the_process_to_end(tmp_path):
    code = (
        "import sys; from pickflow.command_line.workflow import run_process;"
        " sys.exit(run_process([sys.executable, *sys.argv[1:]]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, "-c", PATIENT], cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert (tmp_path / "ended").exists()


def test_logs_are_told_as_they_grow_and_failures_are_named(tmp_path):
    (tmp_path / "pick").mkdir()
    old, new = tmp_path / "pick" / "old.log", tmp_path / "pick" / "new.log"
    old.write_text("INFO of yesterday\n")
    messages = []
    with LogFollower(tmp_path, messages.append):
        new.write_text("INFO one\nTraceback (most recent call last):\nValueError: no such weights\n")
    assert messages == [f"pick/new.log: {line}" for line in new.read_text().splitlines()]
    assert failures(tmp_path, 0.0) == [f"no such weights\n      details: {new}"]
    assert failures(tmp_path, new.stat().st_mtime + 10) == []
