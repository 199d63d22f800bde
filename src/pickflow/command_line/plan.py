"""``pickflow plan``: what a run would do and cost, from a dry run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

from pickflow.command_line.parser import Parser, command_parser, say, write_error
from pickflow.command_line.workflow import (
    TARGETS,
    add_target_option,
    add_workflow_options,
    as_shell,
    asks_for_gpu,
    command_of,
    parse_call,
)

EXAMPLES = """
pickflow plan my.yaml
pickflow plan my.yaml --profile leonardo --json
pickflow plan my.yaml -- --forcerun associate             (after --: options of snakemake)
"""


def make_parser() -> Parser:
    """The options of ``pickflow plan``."""
    parser = command_parser("plan", EXAMPLES, "Nothing runs. `pickflow estimate` has prices and more options.")
    add_workflow_options(parser)
    add_target_option(parser)
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow plan``."""
    call = parse_call(make_parser(), arguments)
    from pickflow.command_line import estimate
    from pickflow.command_line.configuration import remarks, valid_configuration

    resolved = valid_configuration(call.config, with_files=not call.profile)
    command = command_of(call, "--dry-run", "--quiet", "host", "rules")
    dry = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if dry.returncode:
        write_error(f"{dry.stdout.rstrip()}\nERROR the dry run of snakemake failed; its last lines say why")
        return 1
    jobs = jobs_of(dry.stdout)
    campaign = estimate.of_run(resolved)
    cost = campaign and estimate.estimate(campaign, asks_for_gpu(call.profile), estimate.CORES, estimate.PRICES)
    if call.json:
        return say(json.dumps({"jobs_to_do": jobs, "estimate": cost}, indent=1))
    lines = [line for line in dry.stdout.splitlines() if line.startswith(f"run {resolved.config['run']}: ")]
    lines += [f"WARNING {warning}" for warning in [*resolved.warnings, *remarks(resolved.config)]]
    lines += ["", estimate.text(cost), ""] if cost else [""]
    lines += [] if jobs else ["Nothing is to be done: all results are there."]
    lines += [f"  {'jobs to do':12} {sum(jobs.values()):12,}", *(f"  {rule:12} {n:12,}" for rule, n in jobs.items())]
    return say("\n".join([*lines, "", f"pickflow run does it with:\n{as_shell(command_of(call))}"]))


def jobs_of(output: str) -> dict[str, int]:
    """Jobs to do by rule, without the target itself, from the output of a dry run; empty if there is nothing to do."""
    _, title, table = output.rpartition("Job stats:\n")
    rows = [line.split() for line in table.partition("\ntotal ")[0].splitlines()[2:]] if title else []
    return {rule: int(count) for rule, count in rows if rule not in TARGETS}
