"""``pickflow run``: the workflow, by the snakemake command that is the same."""

from __future__ import annotations

from collections.abc import Sequence

from pickflow.command_line.parser import Parser, command_parser, say
from pickflow.command_line.workflow import (
    add_target_option,
    add_workflow_options,
    as_shell,
    command_of,
    parse_call,
    run_process,
)

EXAMPLES = """
pickflow run my.yaml --cores 4
pickflow run my.yaml --profile leonardo
pickflow run my.yaml --target picks_all
pickflow run my.yaml -- --forcerun pick --keep-going      (after --: options of snakemake)
"""


def make_parser() -> Parser:
    """The options of ``pickflow run``."""
    parser = command_parser("run", EXAMPLES, "A run that was killed goes on where it was. Exit codes are snakemake's.")
    add_workflow_options(parser)
    add_target_option(parser)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow run``."""
    call = parse_call(make_parser(), arguments)
    from pickflow.command_line.configuration import valid_configuration

    valid_configuration(call.config, with_files=not call.profile)
    command = command_of(call)
    say(f"The same without pickflow run:\n{as_shell(command)}\n")
    return run_process(command)
