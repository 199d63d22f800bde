"""The results folder of a run that is named on the command line."""

from __future__ import annotations

import re
from pathlib import Path

from pickflow.command_line.parser import UsageError
from pickflow.run.layout import RESULTS
from pickflow.suggestions import suggestion

CONFIGURATIONS = (".yaml", ".yml", ".json")


def results_folder(run: str) -> Path:
    """
    The folder ``results/<run>``.

    Parameters
    ----------
    run : str
        That folder, the name of a run below ``results/`` of the current folder, or the configuration of a run.

    Raises
    ------
    UsageError
        If there is no such folder, naming the runs that there are; or if the configuration has no name of a run.
    """
    path = Path(run)
    if path.suffix in CONFIGURATIONS and path.is_file():
        from pickflow.run.config_file import read_config
        from pickflow.run.settings.configuration import RUN_NAME

        name = read_config(path).get("run")
        if not (isinstance(name, str) and re.fullmatch(RUN_NAME, name)):
            raise UsageError(
                f"run {run}: its key run is {name!r}, not the name of a run; pickflow check {run} says more"
            )
        path = RESULTS / name
    elif not path.is_dir() and (RESULTS / run).is_dir():
        path = RESULTS / run
    if path.is_dir():
        return path
    names = sorted(entry.name for entry in RESULTS.glob("[!.]*") if entry.is_dir())
    hint = suggestion(path.name, names) if names else "there are no runs here"
    raise UsageError(f"run {run}: there is no folder {path} (seen from {Path.cwd()}); {hint}")
