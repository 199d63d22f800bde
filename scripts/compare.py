"""Hold a catalog against another one: python scripts/compare.py OURS REFERENCE --out folder."""

import argparse
import sys
from pathlib import Path

from pickflow.analyze.bulletins import compare_files, comparison_words, write_comparison
from pickflow.analyze.reference import AnalyzeParams
from pickflow.config import build, complete, load_schema

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("ours", "reference"):
        parser.add_argument(name, help="catalog folder of a run, or a bulletin in any format that pickflow reads")
    parser.add_argument("--out", type=Path, help="folder for the page and the tables; else only numbers are printed")
    parser.add_argument("--starttime", help="UTC, ISO 8601; default: the time that both have in common")
    parser.add_argument("--endtime", help="UTC, ISO 8601, excluded")
    for name in ("event-time-tolerance-s", "event-distance-tolerance-km", "pick-time-tolerance-s"):
        parser.add_argument(f"--{name}", type=float, help="default: that of the section analyze")
    asked = vars(parser.parse_args())
    settings = {key: value for key, value in asked.items() if "tolerance" in key and value is not None}
    config = {"run": "compare", "starttime": "2000-01-01", "endtime": "2000-01-02", "analyze": settings}
    try:
        schema = load_schema(Path(__file__).parents[1] / "workflow" / "schemas")
        params = build(AnalyzeParams, complete(config, schema)["analyze"])
        compared = compare_files(asked["ours"], asked["reference"], params, asked["starttime"], asked["endtime"])
        written = write_comparison(*compared, asked["out"]) if asked["out"] else []
        print(comparison_words(compared[0]), *written, sep="\n")
    except ValueError as error:
        sys.exit(f"ERROR {error}")
