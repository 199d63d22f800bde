"""``pickflow show``: single events of a run in a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from pickflow.command_line.parser import Parser, command_parser, say
from pickflow.command_line.results import results_folder

EXAMPLES = """
pickflow show my-run --open
pickflow show results/my-run --event 2019-07-04T17:35 --n-stations 30
pickflow show my.yaml --event e0123456789abcdef --out event.html
"""


def make_parser() -> Parser:
    """The options of ``pickflow show``."""
    parser = command_parser("show", EXAMPLES)
    parser.add_argument("run", metavar="RUN", help="name, folder or configuration of a run")
    parser.add_argument("--catalog", help="signal/model/weights/associator; default: the first one")
    parser.add_argument("--event", help="identifier, or a time near its origin; default: the one with the most picks")
    parser.add_argument("--n-stations", type=int, default=15, help="largest number of stations, the nearest first (15)")
    parser.add_argument("--velocity-model", metavar="FILE", help="predicts arrivals; default: 6.0 and 3.5 km/s")
    parser.add_argument("--no-probabilities", action="store_true", help="do not load the picker")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write one event as a page that needs no server, and end"
    )
    parser.add_argument("--port", type=int, default=8137, help="of the server on this machine (8137); 0: any free one")
    parser.add_argument("--open", action="store_true", help="open the browser at once")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow show``."""
    call = make_parser().parse_args(arguments)
    results = results_folder(call.run)
    from pickflow.viewer.content import open_run
    from pickflow.viewer.server import show

    def show_address(address: str) -> None:
        say(f"{address}  (Ctrl+C ends)")
        if call.open:
            webbrowser.open(address)

    viewer = open_run(results, call.catalog, call.n_stations, call.velocity_model, not call.no_probabilities)
    try:
        show(viewer, call.event, call.out, call.port, show_address)
    except KeyboardInterrupt:
        return say("")
    return say(f"{call.out}: one event as a page; open it in a browser") if call.out else 0
