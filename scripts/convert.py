"""Convert a bulletin or catalog into another format, and say what was read, rejected and lost."""

import argparse
import sys

EXAMPLES = """examples: python scripts/convert.py bulletin.hpc --to quakeml --out bulletin.xml
  python scripts/convert.py data/RSFVG-2024 --to csv --out 2024.csv      (.dat, .hpc, .pun and .txt as one)
  python scripts/convert.py picks.dat --locations picks.hpc --to hypodd --out phase.dat
exit code: 0 all was read, 3 lines were rejected (they are listed), 1 nothing was written"""

if __name__ == "__main__":
    from pickflow.io.formats import FORMATS, READERS, convert

    known = "\n".join(f"  {key:14} {reader.title}" for key, reader in READERS.items())
    text = f"{EXAMPLES}\n\nformats read (found out from the content):\n{known}\nformats written: {', '.join(FORMATS)}"
    show = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=text, formatter_class=show)
    parser.add_argument("source", help="a file; or the folder, or name without ending, of an OGS bulletin")
    parser.add_argument("--to", required=True, metavar="FORMAT", help="one of the formats written, see below")
    parser.add_argument("--out", required=True, help="file to write")
    parser.add_argument("--format", help="format of the source, if its content does not say it")
    parser.add_argument("--locations", help="another file, with the locations of the same events")
    parser.add_argument("--rejected", help="CSV for the lines that could not be read")
    given = parser.parse_args()
    try:
        conversion = convert(given.source, given.to, given.out, given.format, given.locations, given.rejected)
    except ValueError as error:
        sys.exit(f"ERROR {error}")
    print(conversion.summary)
    sys.exit(3 if len(conversion.bulletin.rejected) else 0)
