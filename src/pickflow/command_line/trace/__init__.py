"""``pickflow trace``: from a row of the catalog back to the trace, the weights, the parameters and the code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pickflow.command_line.parser import Parser, UsageError, command_parser, say, write_error
from pickflow.command_line.results import results_folder

EXAMPLES = """
pickflow trace e0123456789abcdef                       (an event, in all runs below results/)
pickflow trace e0123 --run my-run                      (the beginning of its name is enough)
pickflow trace p0123456789abcdef --json                (a pick)
"""


def make_parser() -> Parser:
    """The options of ``pickflow trace``."""
    parser = command_parser(
        "trace", EXAMPLES, "Exit code 1: a file is not what it was when it was used, or a run is damaged."
    )
    parser.add_argument("id", help="event_id or pick_id, or the beginning of one")
    parser.add_argument(
        "--run", metavar="RUN", help="name, folder or configuration of a run; otherwise all below results/"
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow trace``."""
    call = make_parser().parse_args(arguments)
    from pickflow.run.layout import RESULTS, RunLayout

    folders = [folder for folder in sorted(RESULTS.glob("*")) if RunLayout(folder).catalogs()]
    if call.run:
        folders = [results_folder(call.run)]
    from pickflow.command_line.trace import lineage

    lineages: list[dict[str, Any]] = []
    n_damaged = 0
    for folder in folders:
        try:
            lineages += lineage.trace(folder, call.id)
        except (ValueError, OSError) as error:
            if call.run:
                raise
            n_damaged += 1
            write_error(f"WARNING {folder} was not searched to its end: {error}")
    if not lineages:
        folder_text = call.run or "the runs below results/"
        raise ValueError(
            f"no event or pick {call.id!r} in {folder_text}; the column event_id of catalog.parquet or catalog.csv has"
            " the names"
        )
    names = sorted({item["id"] for item in lineages})
    if len(names) > 1:
        raise UsageError(
            f"{call.id!r} is the beginning of {len(names)} names: {', '.join(names[:5])} ...; write more of it"
        )
    say(json.dumps(lineages, indent=1) if call.json else "\n\n".join(map(lineage.text, lineages)))
    has_changes = any(file["state"] == lineage.CHANGED for item in lineages for file in item["files"])
    return int(has_changes or n_damaged > 0)
