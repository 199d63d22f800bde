"""Snakemake as a process of its own: its command, its messages, and what failed."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import IO

from pickflow.command_line.picker_options import Options

_TRACEBACK = "Traceback (most recent call last)"
_LOOK_EVERY_S = 1.0
# One thread a process: numpy and GaMMA take all cores otherwise. A value of the user's own stays.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


def snakemake_command(root: Path, options: Options, config: Path, target: str | None = None) -> list[str]:
    """
    Command that runs the workflow below the current folder.

    Parameters
    ----------
    root : Path
        The repository of pickflow.
    options : Options
        Cores, profile, dry run, force, and how much is said.
    config : Path
        Configuration of the run.
    target : str, optional
        Rule to run; else the default one.
    """
    beside = Path(sys.executable).parent / "snakemake"
    command = [str(beside)] if beside.is_file() else [sys.executable, "-m", "snakemake"]
    # The target comes first: options such as --configfile take any number of words.
    command += [target] if target else []
    command += ["--snakefile", str(root / "Snakefile"), "--directory", str(Path.cwd()), "--configfile", str(config)]
    if options.profile:
        ours = root / "profiles" / options.profile
        command += ["--profile", str(ours if ours.is_dir() else options.profile)]
    if options.cores or not options.profile:
        command += ["--cores", options.cores or "all"]
    # Two runs of one name are kept apart by a lock of the run itself, which a kill cannot leave behind.
    command += ["--keep-going", "--rerun-incomplete", "--nolock"]
    command += ["--forceall"] if options.force else []
    command += ["--dry-run"] if options.dry_run else []
    return command if options.verbose else [*command, "--quiet", "host", "rules"]


def as_shell(command: Sequence[str]) -> str:
    """A command to copy and paste into a shell."""
    environment = {name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()}
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in environment.items()), shlex.join(command)])


def run(command: Sequence[str], output: IO[str] | None = None) -> int:
    """
    Run a command to its end, also through Ctrl+C, which it gets as well and needs a moment for.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    output : file, optional
        Takes all that it says; else it speaks to the terminal.

    Returns
    -------
    int
        Its exit code; 130 if it was interrupted.
    """
    environment = {**_ENVIRONMENT, **os.environ}
    process = subprocess.Popen(list(command), env=environment, stdout=output, stderr=output and subprocess.STDOUT)
    before = signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    interrupted = False
    try:
        while True:
            try:
                code = process.wait()
                return 130 if interrupted else code
            except KeyboardInterrupt:
                interrupted = True
    finally:
        signal.signal(signal.SIGTERM, before)


class LogFollower:
    """Says what jobs write into their logs, line by line, while a run goes on; a context manager."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.log")}
        self._offsets: dict[Path, int] = {}
        self._ended = Event()
        self._thread = Thread(target=self._follow, daemon=True)

    def __enter__(self) -> LogFollower:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            self._say_news()
        self._say_news()

    def _say_news(self) -> None:
        for path in sorted(self._folder.rglob("*.log")):
            if path.stat().st_mtime_ns == self._before.get(path):
                continue
            with path.open("rb") as log:
                log.seek(self._offsets.get(path, 0))
                news = log.read()
            whole = news.rpartition(b"\n")[0]  # the rest of a line comes with the next look
            if whole:
                self._offsets[path] = self._offsets.get(path, 0) + len(whole) + 1
                name = path.relative_to(self._folder)
                for line in whole.decode(errors="replace").splitlines():
                    self._say(f"{name}: {line}")


def failures(logs: Path, since: float) -> list[str]:
    """
    What ended jobs in error, from their logs.

    Parameters
    ----------
    logs : Path
        ``results/<run>/logs``.
    since : float
        Time, in s since 1970; logs that are older are not looked at.

    Returns
    -------
    list of str
        The last line of each traceback, and where it stands.
    """
    found = []
    for path in sorted(logs.rglob("*.log")):
        if path.stat().st_mtime < since:
            continue
        text = path.read_text(errors="replace")
        if _TRACEBACK in text:
            last = text.strip().splitlines()[-1].removeprefix("ValueError: ")
            found.append(f"{last}\n      the whole story: {path}")
    return found
