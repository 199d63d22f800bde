"""``pickflow calibrate``: errors of the times of a picker's picks, by phase and probability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pickflow.command_line.parser import Parser, command_parser, say

EXAMPLES = """
pickflow calibrate results/train/trained --write
pickflow calibrate EQTransformer/volpick --data /data/my_set --remark "volcanoes only"
"""


def make_parser() -> Parser:
    """The options of ``pickflow calibrate``."""
    parser = command_parser("calibrate", EXAMPLES, "docs/models.md describes the method and its limits.")
    parser.add_argument("picker", help="a folder with model.safetensors and card.json, or MODEL/WEIGHTS of the cache")
    parser.add_argument("--data", nargs="+", help="sets in SeisBench's format, 100 Hz (default: PICKFLOW_SHARED's)")
    parser.add_argument("--cache", metavar="FOLDER", help="SeisBench cache (default: PICKFLOW_SHARED's)")
    parser.add_argument("--remark", default="", help="note on the table, stored with it")
    parser.add_argument("--write", action="store_true", help="into the card, or pickflow's list of published weights")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow calibrate``."""
    call = make_parser().parse_args(arguments)
    from pickflow.quality.uncertainty import describe
    from pickflow.train.calibrate import calibrate_folder
    from pickflow.weights import keep_time_uncertainty, model_folder

    with model_folder(call.picker, call.cache) as folder:
        table = calibrate_folder(folder, call.data, call.remark)
        say(describe(table))
        if call.write:
            path = keep_time_uncertainty(folder, table, published=folder != Path(call.picker))
            say(f"written to {path}")
    return 0
