"""``pickflow check``: errors and warnings of a configuration, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from pickflow.command_line.parser import Parser, command_parser, require_configuration, say, write_error

EXAMPLES = """
pickflow check my.yaml
pickflow check my.yaml --all > complete.yaml       (every key with its value, defaults included)
"""


def make_parser() -> Parser:
    """The options of ``pickflow check``."""
    parser = command_parser("check", EXAMPLES, "Nothing runs. Exit code 1: there are errors.")
    parser.add_argument("config", metavar="CONFIG", help="configuration of a run")
    parser.add_argument("--all", action="store_true", help="write the complete configuration, defaults included")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow check``."""
    call = make_parser().parse_args(arguments)
    require_configuration(call.config)
    import yaml

    from pickflow.command_line.configuration import check_configuration
    from pickflow.run.plan import make_plan, sentence

    checked = check_configuration(call.config)
    for warning in checked.warnings:
        write_error(f"WARNING {warning}")
    for error in checked.errors:
        write_error(f"ERROR {error}")
    if checked.run is None or checked.errors:
        return 1
    run = checked.run
    if call.all:
        return say(yaml.safe_dump(run.config, sort_keys=False, width=120).rstrip())
    pickers = ", ".join(map(str, run.candidates))
    size = make_plan(run.config, run.candidates, run.students, run.n_stations, run.day_share, False)
    return say(f"{call.config}: no errors\n{sentence(run.config['run'], size)}\npickers: {pickers}")
