"""``pickflow init``: a commented configuration, from what a folder of waveforms or a data centre holds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pickflow.command_line.parser import Parser, UsageError, command_parser, say, write_error

EXAMPLES = """
pickflow init /data/sds --out my.yaml
pickflow init /data/waveforms --inventory stations.xml --velocity layers.nd --run friuli
pickflow init INGV --stations 'IV.*' --starttime 2024-05-01 --endtime 2024-05-08
pickflow init                                          (asks)
"""


def make_parser() -> Parser:
    """The options of ``pickflow init``."""
    details = "The written configuration is complete: pickflow check finds no errors in it."
    parser = command_parser("init", EXAMPLES, details)
    parser.add_argument(
        "source", nargs="?", help="folder of waveforms, SDS archive, or data centre (a name such as INGV, or a URL)"
    )
    parser.add_argument("--out", type=Path, default=Path("my.yaml"), metavar="FILE", help="file to write (my.yaml)")
    parser.add_argument("--force", action="store_true", help="write it also where there is one already")
    parser.add_argument("--run", metavar="NAME", help="name of the run (made of the source and the days)")
    parser.add_argument("--starttime", metavar="TIME", help="UTC, ISO 8601 (the first day that there is)")
    parser.add_argument("--endtime", metavar="TIME", help="UTC, ISO 8601, excluded (the end of the last day)")
    parser.add_argument("--stations", nargs="+", metavar="NET.STA", help="patterns; data centres need them (all)")
    parser.add_argument("--inventory", nargs="+", metavar="FILE", help="StationXML (what lies in or beside the folder)")
    parser.add_argument("--velocity", metavar="FILE", help="velocity model, .nd or CSV (a half space)")
    parser.add_argument("--reference", metavar="FILE", help="bulletin to compare with (none)")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="pickers (PhaseNet and EQTransformer)")
    parser.add_argument("--weights", nargs="+", metavar="NAME", help="of each picker (those made for the region)")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow init``."""
    call = make_parser().parse_args(arguments)
    if call.source is None:
        _ask_for_the_rest(call)
    if call.out.exists() and not call.force:
        raise UsageError(f"{call.out} exists and stays as it is; name another file with --out, or add --force")
    from pickflow.command_line.configuration import check_configuration
    from pickflow.command_line.proposal import inspect_source, propose, text_of
    from pickflow.io.atomic import write_text

    holding = inspect_source(call)
    text = text_of(propose(call, holding), holding, arguments)
    with TemporaryDirectory() as scratch:
        trial = Path(scratch, call.out.name)
        write_text(trial, text)
        checked = check_configuration(trial)
    for kind, sentences in (("WARNING", checked.warnings), ("ERROR", checked.errors)):
        for sentence in sentences:
            write_error(f"{kind} {sentence}")
    if checked.errors:
        return 1
    write_text(call.out, text)
    return say(f"{call.out}: written from {holding}\nNext: pickflow plan {call.out}, then pickflow run {call.out}")


def _ask_for_the_rest(call: argparse.Namespace) -> None:
    """Ask on a terminal; without one, raise an error with what a call needs."""
    if not sys.stdin.isatty():
        raise UsageError("name a folder of waveforms or a data centre, such as pickflow init /data/sds")
    call.source = _answer("Where are the waveforms? A folder, or a data centre such as INGV", None)
    if not Path(call.source).is_dir():
        call.stations = call.stations or _answer("Which stations? Patterns such as IV.* OX.CAE", None).split()
        call.starttime = call.starttime or _answer("From when on (UTC)? Such as 2024-05-01", None)
        call.endtime = call.endtime or _answer("Until when (UTC, excluded)?", None)
    call.velocity = call.velocity or _answer("A file with a velocity model? Enter: none", "") or None
    call.reference = call.reference or _answer("A bulletin to compare with? Enter: none", "") or None
    call.out = Path(_answer(f"Which file shall be written? Enter: {call.out}", str(call.out)))


def _answer(question: str, otherwise: str | None) -> str:
    """An answer on the terminal; asked again if there must be one."""
    while True:
        say(question)
        try:
            text = input("> ").strip()
        except EOFError:
            raise UsageError("the questions were not answered to the end; pickflow init also takes options") from None
        if text or otherwise is not None:
            return text or str(otherwise)
