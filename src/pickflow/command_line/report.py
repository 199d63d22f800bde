"""``pickflow report``: how a run ended, and its page."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence

from pickflow.command_line.parser import Parser, command_parser, require_configuration, say
from pickflow.command_line.results import results_folder
from pickflow.command_line.workflow import as_shell, run_process, snakemake_command

EXAMPLES = """
pickflow report my-run
pickflow report my.yaml --make
pickflow report results/ridgecrest-2019 --open
"""


def make_parser() -> Parser:
    """The options of ``pickflow report``."""
    parser = command_parser("report", EXAMPLES)
    parser.add_argument("run", metavar="RUN", help="name, folder or configuration of a run")
    parser.add_argument("--make", action="store_true", help="run first what the page needs; RUN is a configuration")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow report``."""
    call = make_parser().parse_args(arguments)
    if call.make and (status := _make(call.run)):
        return status
    results = results_folder(call.run)
    from pickflow.run.layout import RunLayout
    from pickflow.run.outcome import outcome_text

    say(outcome_text(results))
    if call.open:
        webbrowser.open(RunLayout(results).report.resolve().as_uri())
    return 0


def _make(config: str) -> int:
    require_configuration(config)
    command = snakemake_command(config, "report")
    say(as_shell(command))
    return run_process(command)
