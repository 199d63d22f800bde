"""``pickflow convert``: a bulletin or catalog in another format, and an account of what was read, rejected and lost."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from pickflow.command_line.parser import Parser, command_parser, say

EXAMPLES = """
pickflow convert bulletin.hpc --to quakeml --out bulletin.xml
pickflow convert data/RSFVG-2024 --to csv --out 2024.csv      (.dat, .hpc, .pun and .txt as one)
pickflow convert results/demo/catalog/none/PhaseNet/instance/pyocto --to hypodd --out phase.dat
pickflow convert picks.dat --locations picks.hpc --to hypodd --out phase.dat
pickflow convert --formats
"""


class _Formats(argparse.Action):
    """List all formats, and exit."""

    def __call__(self, *_: Any) -> None:
        from pickflow.io.formats import FORMATS, READERS

        names = "\n".join(f"  {name:16} {reader.title}" for name, reader in READERS.items())
        say(f"formats read (known by their content):\n{names}\nformats written: {', '.join(FORMATS)}")
        raise SystemExit(0)


def make_parser() -> Parser:
    """The options of ``pickflow convert``."""
    parser = command_parser(
        "convert", EXAMPLES, "Exit code 1: lines were rejected, which are listed, or nothing was written."
    )
    parser.add_argument("source", help="a file; or the folder of a run's catalog, or of an OGS bulletin")
    parser.add_argument("--to", required=True, metavar="FORMAT", help="format to write; --formats lists them")
    parser.add_argument("--out", required=True, metavar="FILE", help="file to write")
    parser.add_argument("--format", help="format of the source, if its content does not say it")
    parser.add_argument("--locations", metavar="FILE", help="another file, with the locations of the same events")
    parser.add_argument("--rejected", metavar="FILE", help="CSV for the lines that could not be read")
    parser.add_argument("--formats", action=_Formats, nargs=0, help="list the formats, and end")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow convert``."""
    call = make_parser().parse_args(arguments)
    from pickflow.io.formats import convert

    conversion = convert(call.source, call.to, call.out, call.format, call.locations, call.rejected)
    say(conversion.summary)
    return int(len(conversion.bulletin.rejected) > 0)
