"""``pickflow status``: progress of a run: finished, running and failed jobs, and the remaining time."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from pickflow.command_line.parser import Parser, command_parser, number, say, value
from pickflow.command_line.results import results_folder

EXAMPLES = """
pickflow status my-run
pickflow status my.yaml --watch
pickflow status results/my-run --json
"""
_CLEAR = "\x1b[2J\x1b[H"


def make_parser() -> Parser:
    """The options of ``pickflow status``."""
    details = (
        "While it is going on, after a kill, and at its end."
        " Exit code 1: a job failed, the run was killed, or there is no log of it."
    )
    parser = command_parser("status", EXAMPLES, details)
    parser.add_argument("run", metavar="RUN", help="name, folder or configuration of a run")
    parser.add_argument("--watch", action="store_true", help="show it anew until the run ends")
    parser.add_argument("--every", type=value(_seconds), default=5.0, metavar="S", help="seconds between two looks (5)")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    return parser


def _seconds(text: str) -> float:
    return float(number(text, "a number of seconds from 0.1 on", lambda value: value >= 0.1))


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow status``."""
    call = make_parser().parse_args(arguments)
    results = results_folder(call.run)
    from pickflow.command_line.progress import progress_of, text

    while True:
        progress = progress_of(results)
        page = json.dumps(progress._asdict(), indent=1) if call.json else text(progress, results)
        say((_CLEAR if call.watch and sys.stdout.isatty() else "") + page)
        if not (call.watch and progress.state == "running"):
            return int(progress.state in ("failed", "killed", "unknown"))
        time.sleep(call.every)
