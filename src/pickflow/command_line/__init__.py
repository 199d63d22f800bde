"""Programs that people call: what they say and how they answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

COMMANDS = {
    "estimate": "what a campaign costs: CPU- and GPU-hours, EUR, files, bytes",
    "trace": "where an event or a pick comes from: trace, weights, parameters, versions",
}
USAGE = "usage: pickflow COMMAND ...\n\ncommands:\n" + "\n".join(
    f"  {name:10} {what}" for name, what in COMMANDS.items()
)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    The program ``pickflow``.

    Returns
    -------
    int
        0; 1 if something is not as it should be; 2 for a wrong call.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(f"{USAGE}\n\nhelp of a command: pickflow COMMAND --help")  # noqa: T201
        return 0 if given else 2
    if given[0] not in COMMANDS:
        sys.stderr.write(f"ERROR pickflow has no command {given[0]!r}\n{USAGE}\n")
        return 2
    from importlib import import_module

    try:
        status: int = import_module(f"pickflow.command_line.{given[0]}").run(given[1:])
    except ValueError as error:
        sys.stderr.write(f"ERROR {error}\n")
        return 1
    return status
