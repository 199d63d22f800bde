"""Measure how far the times of a picker's picks are off, by phase and probability, on records with manual picks."""

import argparse
import sys
from pathlib import Path

EXAMPLES = """examples: python scripts/calibrate.py results/train/trained --write
  python scripts/calibrate.py EQTransformer/volpick --data /data/my_set --remark "volcanoes only" """

if __name__ == "__main__":
    show = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLES, formatter_class=show)
    parser.add_argument("picker", help="a folder with model.safetensors and card.json, or MODEL/WEIGHTS of the cache")
    parser.add_argument("--data", nargs="+", help="sets in SeisBench's format, 100 Hz (default: PICKFLOW_SHARED's)")
    parser.add_argument("--cache", help="SeisBench cache (default: PICKFLOW_SHARED's)")
    parser.add_argument("--remark", default="", help="what a reader of the table must know; kept with it")
    parser.add_argument("--write", action="store_true", help="into the card, or pickflow's list of published weights")
    given = parser.parse_args()
    from pickflow.train.calibrate import calibrate_folder
    from pickflow.uncertainty import words
    from pickflow.weights import keep_time_uncertainty, model_folder

    try:
        with model_folder(given.picker, given.cache) as folder:
            table = calibrate_folder(folder, given.data, given.remark)
            print(words(table))
            if given.write:
                print("written to", keep_time_uncertainty(folder, table, published=folder != Path(given.picker)))
    except ValueError as error:
        sys.exit(f"ERROR {error}")
