"""``pickflow train``: train one of pickflow's own pickers, by the rule ``train`` of the workflow."""

from __future__ import annotations

from collections.abc import Sequence

from pickflow.command_line.parser import Parser, command_parser, say
from pickflow.command_line.workflow import (
    add_workflow_options,
    as_shell,
    command_of,
    parse_call,
    run_process,
    workflow_folder,
)

EXAMPLES = """
pickflow train --cores 2                                  (config/train.yaml: the bundled picker)
pickflow train config/train-leqnet.yaml --cores 2
"""


def make_parser() -> Parser:
    """The options of ``pickflow train``."""
    details = "The result is in results/<run>/trained (docs/bundled-picker.md). Exit codes are snakemake's."
    parser = command_parser("train", EXAMPLES, details)
    add_workflow_options(parser, default=str(workflow_folder() / "config" / "train.yaml"))
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow train``."""
    call = parse_call(make_parser(), arguments)
    call.target = "train"
    from pickflow.command_line.configuration import valid_configuration

    resolved = valid_configuration(call.config, with_files=False)
    command = command_of(call)
    say(f"The same without pickflow train:\n{as_shell(command)}\n")
    if status := run_process(command):
        return status
    model, folder = resolved.config["train"]["model"], resolved.layout.trained
    return say(f"{folder}: trained; to pick with it write weights: {{files: {{{model}/mine: {folder}}}}}")
