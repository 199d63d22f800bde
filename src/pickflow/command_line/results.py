"""The results folder of a run that is named on the command line."""

from __future__ import annotations

import difflib
from pathlib import Path

from pickflow.command_line.parser import UsageError
from pickflow.run.layout import RESULTS

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
        If there is no such folder; names the runs that there are.
    """
    path = Path(run)
    if path.suffix in CONFIGURATIONS and path.is_file():
        from pickflow.run.config_file import read_config

        path = RESULTS / str(read_config(path).get("run", ""))
    elif not path.is_dir() and (RESULTS / run).is_dir():
        path = RESULTS / run
    if path.is_dir():
        return path
    names = sorted(entry.name for entry in RESULTS.glob("[!.]*") if entry.is_dir())
    hits = difflib.get_close_matches(path.name, names, n=1)
    hint = (
        f"did you mean {hits[0]}?" if hits else f"there are {', '.join(names)}" if names else "there are no runs here"
    )
    raise UsageError(f"run {run}: there is no folder {path} (seen from {Path.cwd()}); {hint}")
