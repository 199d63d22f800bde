"""Show single events of a run in a browser: python scripts/show.py results/demo --interactive."""

import argparse
import sys
import webbrowser
from pathlib import Path

from pickflow.analyze.viewer import open_run
from pickflow.analyze.viewer_server import show

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of the run, results/<run>")
    parser.add_argument("--catalog", help="signal/model/weights/associator; default: the first one")
    parser.add_argument("--event", help="identifier, or a time near its origin; default: the one with the most picks")
    parser.add_argument("--n-stations", type=int, default=15, help="largest number of stations, the nearest first (15)")
    parser.add_argument("--velocity-model", help="file that predicts arrivals; default: 6.0 and 3.5 km/s")
    parser.add_argument("--no-probabilities", action="store_true", help="do not load the picker")
    parser.add_argument("--out", type=Path, help="write one event as a page that needs no server, and end")
    parser.add_argument("--port", type=int, default=8137, help="of the server on this machine (8137); 0: any free one")
    parser.add_argument("--interactive", action="store_true", help="open the browser at once")
    a = parser.parse_args()
    open_page = webbrowser.open if a.interactive else lambda address: print(f"{address}  (Ctrl+C ends)", flush=True)
    try:
        viewer = open_run(a.results, a.catalog, a.n_stations, a.velocity_model, not a.no_probabilities)
        show(viewer, a.event, a.out, a.port, open_page)
    except KeyboardInterrupt:
        print()
    except ValueError as error:
        sys.exit(f"ERROR {error}")
