"""From waveforms to picks and a catalog with the options of the original program of OGS: scripts/picker.py --help."""

import sys
from pathlib import Path

from pickflow.command_line.picker_options import UsageError, parse_options

if __name__ == "__main__":
    try:
        options = parse_options(sys.argv[1:])
    except UsageError as error:
        sys.stderr.write(f"ERROR {error}\n      picker.py --help shows all options\n")
        sys.exit(2)
    from pickflow.command_line.picker import run_picker  # seconds of imports that --help does without

    sys.exit(run_picker(options, sys.argv[1:], Path(__file__).resolve().parents[1]))
