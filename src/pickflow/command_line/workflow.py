"""The workflow of pickflow: its folder, Snakemake as a subprocess, its messages and failures."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import IO

from pickflow.command_line.parser import cores, require_configuration, value
from pickflow.extras import require
from pickflow.provenance import WORKFLOW_FILES

# Rules that are only targets.
TARGETS = ("all", "download_all", "weights_all", "lab_all", "picks_all", "stage_all")
_TRACEBACK = "Traceback (most recent call last)"
_LOOK_EVERY_S = 1.0  # chosen
# One thread a process: numpy and GaMMA take all cores otherwise. A value of the user takes precedence.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


def workflow_folder() -> Path:
    """The folder of the Snakefile, of the rules and of the profiles: installed, or the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / WORKFLOW_FILES
    return installed if installed.is_dir() else package.parents[1]


def snakemake_command(
    config: str | Path,
    target: str | None = None,
    profile: str | None = None,
    cores: str | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    """
    Command that runs the workflow below the current folder.

    Parameters
    ----------
    config : str or Path
        Configuration of the run.
    target : str, optional
        Rule to run; else the default one.
    profile : str, optional
        One of the profiles of pickflow, or a name that Snakemake resolves.
    cores : str, optional
        Processors to use at most; else the number of the profile, and all without one.
    options : sequence of str, optional
        Further options.
    """
    require("snakemake")
    root, folder = workflow_folder(), Path.cwd()
    beside = Path(sys.executable).parent / "snakemake"
    command = [str(beside)] if beside.is_file() else [sys.executable, "-m", "snakemake"]
    # The target comes first: options such as --configfile take any number of words.
    command += [target] if target else []
    command += [] if folder == root else ["--snakefile", str(root / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(config)]
    if profile:
        own_profile = root / "profiles" / profile
        command += ["--profile", str(own_profile if own_profile.is_dir() else profile)]
    if cores or not profile:
        command += ["--cores", cores or "all"]
    return [*command, *options]


def add_workflow_options(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """
    Add the options that all commands of the workflow share.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    default : str, optional
        Configuration that is taken where none is named.
    """
    nargs = None if default is None else "?"
    parser.add_argument("config", metavar="CONFIG", nargs=nargs, default=default, help="configuration of the run")
    parser.add_argument("--profile", metavar="NAME", help="where to run: leonardo, ada-cloud, or a profile of your own")
    parser.add_argument("--cores", type=value(cores), metavar="N", help="processors to use at most (all)")


def add_target_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for a part of the workflow."""
    parser.add_argument("--target", metavar="RULE", help=f"only a part: {', '.join(TARGETS[1:])}, or any rule")


def parse_call(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """
    A call of a command with `add_workflow_options`; what follows ``--`` is for Snakemake.

    Raises
    ------
    UsageError
        If the call is wrong, or there is no such configuration.
    """
    call_arguments = list(arguments)
    end = call_arguments.index("--") if "--" in call_arguments else len(call_arguments)
    call = parser.parse_args(call_arguments[:end])
    call.options = call_arguments[end + 1 :]
    require_configuration(call.config)
    return call


def command_of(call: argparse.Namespace, *options: str) -> list[str]:
    """The snakemake command of a call."""
    return snakemake_command(call.config, vars(call).get("target"), call.profile, call.cores, [*options, *call.options])


def asks_for_gpu(profile: str | None) -> bool:
    """Whether one of the profiles of pickflow gives pickers a GPU."""
    path = workflow_folder() / "profiles" / (profile or "") / "config.yaml"
    if not path.is_file():
        return False
    import yaml

    return "gpu" in yaml.safe_load(path.read_text()).get("set-resources", {}).get("pick", {})


def as_shell(command: Sequence[str]) -> str:
    """A command to copy and paste into a shell."""
    environment = {name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()}
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in environment.items()), shlex.join(command)])


def run_process(command: Sequence[str], output: IO[str] | None = None) -> int:
    """
    Run a command to its end, also after Ctrl+C, which it receives too.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    output : file, optional
        File for its output; else the terminal.

    Returns
    -------
    int
        Its exit code; 130 if it was interrupted, 128 and the number of a signal that ended it.
    """
    environment = {**_ENVIRONMENT, **os.environ}
    process = subprocess.Popen(list(command), env=environment, stdout=output, stderr=output and subprocess.STDOUT)
    previous_handler = signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    interrupted = False
    try:
        while True:
            try:
                code = process.wait()
                return 130 if interrupted else code if code >= 0 else 128 - code
            except KeyboardInterrupt:
                interrupted = True
    finally:
        signal.signal(signal.SIGTERM, previous_handler)


class LogFollower:
    """Repeats what jobs write into their logs, line by line, during a run; a context manager."""

    def __init__(self, folder: Path, write_line: Callable[[str], object]) -> None:
        self._folder, self._write_line = folder, write_line
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
            self._write_new_lines()
        self._write_new_lines()

    def _write_new_lines(self) -> None:
        for path in sorted(self._folder.rglob("*.log")):
            if path.stat().st_mtime_ns == self._before.get(path):
                continue
            with path.open("rb") as log:
                log.seek(self._offsets.get(path, 0))
                content = log.read()
            whole = content.rpartition(b"\n")[0]  # the rest of a line follows with the next look
            if whole:
                self._offsets[path] = self._offsets.get(path, 0) + len(whole) + 1
                name = path.relative_to(self._folder)
                for line in whole.decode(errors="replace").splitlines():
                    self._write_line(f"{name}: {line}")


def failures(logs: Path, start_s: float) -> list[str]:
    """
    Errors that ended jobs, from their logs.

    Parameters
    ----------
    logs : Path
        ``results/<run>/logs``.
    start_s : float
        Time, in s since 1970; logs that are older are not looked at.

    Returns
    -------
    list of str
        The last line of each traceback, and the path of the log.
    """
    logs_since = (path for path in sorted(logs.rglob("*.log")) if path.stat().st_mtime >= start_s)
    reasons = [(reason_in(path), path) for path in logs_since if _TRACEBACK in path.read_text(errors="replace")]
    return [f"{reason}\n      details: {path}" for reason, path in reasons]


def reason_in(log: Path) -> str:
    """Error that ended a job: the last line of its log."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError as error:
        return f"its log cannot be read ({error.strerror})"
    return lines[-1].removeprefix("ValueError: ") if lines else "its log is empty: it was killed, or could not start"
