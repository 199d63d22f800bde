"""``pickflow picker``: from waveforms to picks and a catalog, with the options of the original program of OGS."""

from __future__ import annotations

from collections.abc import Sequence

from pickflow.command_line.picker.options import make_parser, parse_options

__all__ = ["make_parser", "run"]


def run(arguments: Sequence[str]) -> int:
    """Run ``pickflow picker``, or ``scripts/picker.py``."""
    options = parse_options(list(arguments))
    from pickflow.command_line.picker.work import run_picker  # seconds of imports that --help does not need

    return run_picker(options, arguments)
