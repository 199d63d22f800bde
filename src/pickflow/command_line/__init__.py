"""The program ``pickflow``: one module for each command, with ``make_parser`` and ``run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

GROUPS = {
    "a run": {
        "init": "a commented configuration, from what a folder or a data centre holds",
        "check": "all errors and warnings of a configuration, before anything runs",
        "plan": "what a run would do and cost, from a dry run",
        "run": "the workflow, by the snakemake command that is the same",
        "status": "progress of a run: finished, running and failed jobs, and the remaining time",
        "report": "how a run ended, and its page",
        "show": "single events of a run in a browser: waveforms, picks, probabilities",
        "trace": "where an event or a pick comes from: trace, weights, parameters, versions",
        "estimate": "what a campaign costs: CPU- and GPU-hours, EUR, files, bytes",
    },
    "catalogs and picks in files": {
        "compare": "a catalog against a reference, without a run",
        "convert": "a bulletin or catalog in another format",
        "associate": "events from a file of picks, without a run",
    },
    "pickers": {
        "export": "a picker as an ONNX network, for other programs",
        "inside": "what the layers of a picker see, which of them matter, and why it picks",
        "train": "train one of pickflow's own pickers, by the workflow",
        "calibrate": "errors of the times of a picker's picks, from records with manual picks",
        "picker": "from waveforms to a catalog, with the options of the original picker of OGS",
    },
    "the program": {
        "completion": "the script that completes commands and options in bash, zsh or fish",
    },
}
COMMANDS = {name: summary for commands in GROUPS.values() for name, summary in commands.items()}


def overview() -> str:
    """List of the commands by purpose."""
    lines = ["usage: pickflow COMMAND ...", "       pickflow COMMAND --help", "       pickflow --version"]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:11} {summary}" for name, summary in commands.items())]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    The program ``pickflow``.

    Returns
    -------
    int
        See `pickflow.command_line.parser.EXIT_CODES`.
    """
    from pickflow.command_line.parser import say, write_error

    call = list(sys.argv[1:] if arguments is None else arguments)
    name = call[0] if call else ""
    if name in ("-h", "--help"):
        return say(overview())
    if name == "--version":
        from pickflow import __version__

        return say(f"pickflow {__version__}")
    if name not in COMMANDS:
        write_error(f"ERROR pickflow has no command {name!r}" if name else "ERROR pickflow needs a command")
        write_error(overview())
        return 2
    return _answer(name, call[1:])


def _answer(name: str, arguments: Sequence[str]) -> int:
    """Run a command; an error is a line, not a traceback."""
    from importlib import import_module

    from pickflow.command_line.parser import UsageError, write_error

    try:
        status: int = import_module(f"pickflow.command_line.{name}").run(arguments)
    except UsageError as error:
        write_error(f"ERROR {error}\n      pickflow {name} --help shows all options")
        return 2
    except ModuleNotFoundError as error:
        from pickflow.extras import advice

        problem = advice(error)
        if problem is None:
            raise
        write_error(f"ERROR {problem}")
        return 1
    except BrokenPipeError:  # as of `| head`: the reader has ended
        sys.stdout = None  # type: ignore[assignment]
        return 1
    except OSError as error:
        write_error(f"ERROR {error.filename}: {error.strerror}" if error.filename else f"ERROR {error}")
        return 1
    except ValueError as error:
        write_error(f"ERROR {error}")
        return 1
    except KeyboardInterrupt:
        write_error("interrupted")
        return 130
    return status
