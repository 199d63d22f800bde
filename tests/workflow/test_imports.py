"""Who may import whom: the table of docs/architecture.md."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "pickflow"
MAP = (SOURCE.parents[1] / "docs" / "architecture.md").read_text()
# Rows of the table, in its order: name and rooms.
ROWS = {
    row: re.findall(r"`([\w.]+)`", rooms)
    for row, rooms in re.findall(r"^\| (\w+) \| (`[^|]+) \|", MAP.partition("## Decisions")[0], re.MULTILINE)
}
ROOMS = [room for rooms in ROWS.values() for room in rooms]


def imports_of(path):
    """Rooms of all pickflow modules that a file imports."""
    modules = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("pickflow."):
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names if alias.name.startswith("pickflow.")]
    return {room_of(module.split(".")[1:]) for module in modules} - {"__version__"}


def room_of(parts):
    """What the table names of a module: the first part; of a package in several rows the first two."""
    return next((name for name in (".".join(parts[:2]), parts[0]) if name in ROOMS), parts[0])


def room_of_file(path):
    return room_of(path.relative_to(SOURCE).with_suffix("").parts)


def allowed(room):
    row = next(name for name, rooms in ROWS.items() if room in rooms)
    above = list(ROWS)[: list(ROWS).index(row)]
    return {room}.union(*(ROWS[name] for name in above), [] if row == "stages" else ROWS[row])


MODULES = [path for path in sorted(SOURCE.rglob("*.py")) if path.read_text() and path != SOURCE / "__init__.py"]


def test_the_map_names_every_room_once():
    assert sorted(ROOMS) == sorted({room_of_file(path) for path in MODULES})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path):
    assert imports_of(path) <= allowed(room_of_file(path))


def test_no_rooms_go_in_a_circle():
    imported = {room: set() for room in ROOMS}
    for path in MODULES:
        imported[room_of_file(path)] |= imports_of(path) - {room_of_file(path)}
    TopologicalSorter(imported).prepare()  # raises CycleError, which names the rooms


def test_parsing_the_workflow_loads_neither_torch_nor_obspy():
    code = f"import sys, {', '.join(f'pickflow.{room}' for room in ROWS['light'])}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "obspy", "seisbench", "pandas", "matplotlib"} & set(loaded)


def test_two_files_are_compared_without_torch_and_obspy(tmp_path):
    for name in ("ours.csv", "reference.csv"):
        (tmp_path / name).write_text("id,time,latitude,longitude,depth,mag\n1,2024-03-05T10:05:00.4,46.3,13.1,8,1.2\n")
    code = "import sys; from pickflow.command_line.compare import run; run(sys.argv[1:]); print(*sys.modules)"
    for page in ([], ["--out", "page"]):
        call = [sys.executable, "-c", code, "ours.csv", "reference.csv", *page]
        answer = subprocess.run(call, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        assert "1 matched" in answer
        heavy = {"torch", "obspy", "seisbench"} | ({"matplotlib"} if not page else set())
        assert not heavy & set(answer.split())


def test_scripts_are_glue():
    for script in sorted((SOURCE.parents[1] / "scripts").glob("*.py")):
        assert len(script.read_text().splitlines()) <= 30, script.name


def test_the_conda_environment_pins_what_the_constraints_pin():
    root = SOURCE.parents[1]
    pins = {line for line in (root / "constraints" / "python-3.11.txt").read_text().splitlines() if "==" in line}
    lines = (root / "envs" / "pickflow.yaml").read_text().splitlines()
    requirements = {line.strip().removeprefix("- ") for line in lines if "==" in line}
    assert requirements
    assert requirements <= pins


def test_the_table_of_stations_is_read_through_one_door():
    """It holds all times; whoever reads it past `pickflow.io.places.read_stations` sees places of other years."""
    root = SOURCE.parents[1]
    modules = [path for folder in (SOURCE, root / "scripts", root / "benchmarks") for path in folder.rglob("*.py")]
    readers = {path.stem for path in modules if re.search(r"read_tables?\([^()]*STATIONS", path.read_text())}
    assert readers == {"places"}


def test_what_seisbench_does_not_document_is_used_in_one_module():
    """But for `_annotate_args` of our own classes, which override SeisBench's."""
    private = re.compile(r"\w\._(annotate_args|grouping|weights_metadata|path_internal)\b")
    users = {path.stem for path in MODULES if private.search(path.read_text().replace("self._annotate_args", ""))}
    assert users == {"seisbench_internals", "network"}
