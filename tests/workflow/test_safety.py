"""Data never become shell words or paths unchecked, and no pattern fits more than it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for folder in ("src", "scripts", "workflow")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".smk", ".yaml")
]
# A $ at the end of a pattern fits before a line break; \Z and fullmatch do not.
ANCHOR = re.compile(r"""(re\.\w+\(|pattern:|_\w*\s*=\s*r["']).*[^|]\$["']""")
SHELL = re.compile(r"shell=True|os\.system|os\.popen|subprocess\.getoutput|\bsubprocess\.getstatusoutput")


def lines_with(pattern):
    return [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in SOURCES
        for line in path.read_text().splitlines()
        if pattern.search(line)
    ]


def test_there_is_something_to_look_at():
    assert len(SOURCES) > 200


def test_no_pattern_lets_a_line_break_through():
    assert lines_with(ANCHOR) == []


@pytest.mark.parametrize("line", ['    pattern: "^[a-z]$"', "_END = re.compile(r'a$')", 're.match(r"^x$", text)'])
def test_such_a_pattern_would_be_seen(line):
    assert ANCHOR.search(line)


def test_no_program_goes_by_way_of_a_shell():
    assert lines_with(SHELL) == []


def test_rules_quote_what_they_hand_to_a_shell():
    commands = [
        command
        for path in SOURCES
        if path.suffix == ".smk"
        for command in re.findall(r"shell:\s*((?:\"[^\"]*\"\s*)+)", path.read_text())
    ]
    assert commands
    for command in commands:
        assert re.findall(r"\{[^}]*\}", command) == re.findall(r"\{\w+:q\}", command)


def test_one_function_makes_paths_of_codes():
    paths = [line for line in lines_with(re.compile(r"""\}\.mseed["']""")) if "codes.py" not in line]
    assert paths == []


def test_whatever_writes_a_file_goes_by_way_of_one_that_names_a_full_disk():
    writes = re.compile(r"""(?<!temporary)\.write_(text|bytes)\(|open\([^)]*["'][wax]b?["']|shutil\.(copy|move)""")
    allowed = (
        "src/pickflow/io/atomic.py",
        "src/pickflow/run/job.py: with suppress(OSError)",
        "src/pickflow/command_line/picker/work.py: output = path.open",  # inside `writing`
        "src/pickflow/download/throttle.py",
    )
    assert [line for line in lines_with(writes) if not line.startswith(allowed)] == []
