"""Say how a run ended: python scripts/summarize.py results/demo."""

import argparse
import sys

from pickflow.closing import closing_words

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python scripts/summarize.py results/ridgecrest-2019"
    )
    parser.add_argument("results", help="folder of the run, results/<run>")
    try:
        print(closing_words(parser.parse_args().results))
    except ValueError as error:
        sys.exit(f"ERROR {error}")
