"""``pickflow compare``: two catalogs in files, without a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pickflow.command_line.parser import Parser, command_parser, say

EXAMPLES = """
pickflow compare results/my-run/catalog/none/PhaseNet/instance/pyocto bulletin.hpc --out comparison
pickflow compare ours.quakeml theirs.csv --event-time-tolerance-s 3
pickflow compare ours.quakeml theirs.csv --starttime 2024-05-01 --endtime 2024-05-08
"""
TOLERANCES = ("event-time-tolerance-s", "event-distance-tolerance-km", "pick-time-tolerance-s")


def make_parser() -> Parser:
    """The options of ``pickflow compare``."""
    parser = command_parser("compare", EXAMPLES, "docs/analysis.md describes how events and picks are matched.")
    for name in ("ours", "reference"):
        parser.add_argument(name, help="catalog folder of a run, or a bulletin in any format that pickflow reads")
    parser.add_argument("--out", type=Path, help="folder for the page and the tables; else only numbers are printed")
    parser.add_argument("--starttime", help="UTC, ISO 8601; default: the time that both have in common")
    parser.add_argument("--endtime", help="UTC, ISO 8601, excluded")
    for name in TOLERANCES:
        parser.add_argument(f"--{name}", type=float, help="default: that of the section analyze")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow compare``."""
    call = vars(make_parser().parse_args(arguments))
    from pickflow.comparison.bulletins import compare_files, comparison_text
    from pickflow.run.configuration import complete
    from pickflow.run.settings.analyze import AnalyzeParams

    settings = {key: value for key, value in call.items() if "tolerance" in key and value is not None}
    config = {"run": "compare", "starttime": "2000-01-01", "endtime": "2000-01-02", "analyze": settings}
    params = AnalyzeParams(**complete(config)["analyze"])
    compared = compare_files(call["ours"], call["reference"], params, call["starttime"], call["endtime"])
    lines = [comparison_text(compared.findings)]
    if call["out"]:  # the page needs matplotlib
        from pickflow.report.bulletins import write_comparison

        lines += map(str, write_comparison(compared, call["out"]))
    return say("\n".join(lines))
