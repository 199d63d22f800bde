"""Who may import whom: the arrows of docs/architecture.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "pickflow"
LIGHT = {"windows", "codes", "schemas", "versions", "config", "grid", "students", "plan"}
TIERS = [
    LIGHT,
    {"provenance", "run_lock", "travel_times", "safe"},
    {"io"},
    {"models", "uncertainty", "artefacts", "implicit", "locate"},
    {"kernels"},
    {"annotate"},
    {"distillation"},
]
STAGES = {
    *("synthesize", "train", "weights", "download", "denoise", "pick", "compress", "associate", "magnitude", "analyze"),
}
# What people and rules call; it sees everything below, and one another.
TOP = {"workers", "runtime", "closing", "command_line"}


def imports_of(path):
    """First part of every pickflow module that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pickflow"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("pickflow.")}
    return found - {"__version__"}


def room_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def allowed(room):
    for index, tier in enumerate(TIERS):
        if room in tier:
            return set().union(*TIERS[: index + 1])
    if room in STAGES:
        return set().union(*TIERS) | {room}
    if room == "command_line":
        return set().union(*TIERS) | TOP | STAGES  # programs call stages, as scripts do
    return set().union(*TIERS) | TOP if room in TOP else set()


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path):
    room = room_of(path)
    if room == "__init__":
        return
    assert room in set().union(*TIERS) | STAGES | TOP, f"{room} has no place in docs/architecture.md"
    if room == "train":
        # Training makes its windows with the generator: the one stage that uses another's library.
        assert imports_of(path) <= allowed(room) | {"synthesize"}
    else:
        assert imports_of(path) <= allowed(room)


def test_parsing_the_workflow_loads_neither_torch_nor_obspy():
    code = f"import sys; from pickflow import {', '.join(sorted(LIGHT))}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "obspy", "seisbench", "pandas", "matplotlib"} & set(loaded)


def test_scripts_are_glue():
    for script in sorted((SOURCE.parents[1] / "scripts").glob("*.py")):
        assert len(script.read_text().splitlines()) <= 30, script.name


def test_the_conda_environment_pins_what_the_constraints_pin():
    root = SOURCE.parents[1]
    pins = {line for line in (root / "constraints.txt").read_text().splitlines() if "==" in line}
    lines = (root / "envs" / "pickflow.yaml").read_text().splitlines()
    used = {line.strip().removeprefix("- ") for line in lines if "==" in line}
    assert used
    assert used <= pins
