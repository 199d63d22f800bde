"""From waveforms to picks and a catalog with the options of the original program of OGS: scripts/picker.py --help."""

import sys

from pickflow.command_line import main

if __name__ == "__main__":
    sys.exit(main(["picker", *sys.argv[1:]]))
