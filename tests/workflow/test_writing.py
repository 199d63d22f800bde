"""Results are whole or absent: what writes a file does so through `pickflow.io.atomic`."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "pickflow"
# Locks, logs and keys of Dask's workers, which are no results and must be there at once.
AT_ONCE = {"run/lock.py", "run/job.py", "run/workers.py", "download/throttle.py", "command_line/picker/work.py"}
WRITERS = {"write_text", "write_bytes", "tofile", "to_parquet", "write_table", "save_file", "dump"}
MODES = {"w", "a", "x", "wb", "ab", "xb"}
FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT"}


def writes(tree):
    """What below a node writes into a file by its name, but for those inside ``with atomic_path(...)``."""
    if isinstance(tree, ast.With) and any("atomic_path(" in ast.unparse(item.context_expr) for item in tree.items):
        return []
    return [tree] * is_writing(tree) + [node for child in ast.iter_child_nodes(tree) for node in writes(child)]


def is_writing(node):
    if isinstance(node, ast.Attribute):
        return node.attr in FLAGS
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "open":
        return any(isinstance(part, ast.Constant) and part.value in MODES for part in ast.walk(node))
    return isinstance(node.func, ast.Attribute) and name in WRITERS


MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "io")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_io_writes_results(path):
    lines = [node.lineno for node in writes(ast.parse(path.read_text()))]
    assert bool(lines) == (path.relative_to(SOURCE).as_posix() in AT_ONCE), f"lines {lines} write a file themselves"


@pytest.mark.parametrize(
    "line", ["open(path, 'w')", "path.write_text(text)", "table.to_parquet(path)", "os.open(p, os.O_CREAT)"]
)
def test_writing_is_recognized(line):
    assert writes(ast.parse(line))
    assert not writes(ast.parse(f"with atomic_path(path) as temporary:\n    {line}"))


@pytest.mark.parametrize("line", ["open(path, 'rb')", "write_text(path, text)", "os.open(path, os.O_RDONLY)"])
def test_reading_is_not_writing(line):
    assert not writes(ast.parse(line))
