"""``pickflow inside``: what the layers of a picker see, which of them matter, and why it picks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pickflow.command_line.parser import Parser, UsageError, command_parser, count, say, value, write_error
from pickflow.command_line.results import results_folder

EXAMPLES = """
pickflow inside PickflowNet/bundled
pickflow inside EQTransformer/original --data /data/my_set --trace ev0001 ev0002 --out eqt
pickflow inside PhaseNet/instance --run my-run --event 2024-05-03T10:12 --no-sensitivity
pickflow inside results/my-run/models/PhaseNet/instance --student results/my-run/models/PhaseNet/instance-safe-s50
"""
_N_WINDOWS = 60
_N_STEPS = 10


def make_parser() -> Parser:
    """The options of ``pickflow inside``."""
    parser = command_parser("inside", EXAMPLES, "docs/inside.md says what each picture and number means.")
    parser.add_argument("picker", help="a folder with model.safetensors and card.json, or MODEL/WEIGHTS of the cache")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", metavar="SET", help="windows of a data set, by name or folder (default: synthetic)")
    source.add_argument("--run", metavar="RUN", help="windows of an event of a run: its name, folder or configuration")
    parser.add_argument("--trace", nargs="+", default=[], metavar="NAME", help="traces of --data that are shown")
    parser.add_argument("--event", help="of --run: identifier, or a time near its origin; default: most picks")
    parser.add_argument("--catalog", help="of --run: signal/model/weights/associator; default: the first one")
    parser.add_argument("--student", metavar="FOLDER", help="a student of this picker: what it lacks is marked")
    parser.add_argument(
        "--n-windows", type=value(count), default=_N_WINDOWS, metavar="N",
        help=f"windows in which parts are silenced ({_N_WINDOWS})",
    )  # fmt: skip
    parser.add_argument("--no-sensitivity", action="store_true", help="do not silence parts: seconds, not minutes")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: inside/MODEL-WEIGHTS)")
    parser.add_argument("--cache", metavar="FOLDER", help="SeisBench cache (default: PICKFLOW_SHARED's)")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Answer a call of ``pickflow inside``."""
    call = make_parser().parse_args(arguments)
    if call.trace and not call.data:
        raise UsageError("--trace names traces of a set: give it with --data")
    if (call.event or call.catalog) and not call.run:
        raise UsageError("--event and --catalog are of a run: give it with --run")
    results = results_folder(call.run) if call.run else None
    from pickflow.datasets.sources import dataset_by_name
    from pickflow.inside.run import PAGE_FILE, look_inside
    from pickflow.inside.sources import Source
    from pickflow.models.cards import read_card
    from pickflow.weights import model_folder

    data = dataset_by_name(call.data) if call.data else None
    source = Source(data=data, traces=tuple(call.trace), results=results, catalog=call.catalog, event=call.event)
    n_windows = 0 if call.no_sensitivity else call.n_windows
    with model_folder(call.picker, call.cache) as folder:
        card = read_card(folder)
        out = call.out or Path("inside", f"{card['model']}-{card['weights']}")
        table = look_inside(folder, out, source, n_windows, call.student, _tell)
    parts = "" if table.empty else f": {len(table) - 1} parts, each silenced in turn"
    return say(f"{out / PAGE_FILE}{parts}")


def _tell(stage: str, n_done: int, total: int) -> None:
    """Say each tenth of the way."""
    if n_done * _N_STEPS // total > (n_done - 1) * _N_STEPS // total:
        write_error(f"{stage}: {n_done} of {total}")
