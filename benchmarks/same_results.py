"""
Do two runs have the same results? Each file that differs, and in what; exit code 1 if any does.

Provenance is left out: it names the code, which another version has changed. Tables are compared by columns, types and
values, JSON by content, everything else byte by byte. Not compared: what tells of the time that something took (logs,
benchmarks, caches, latency.json), and the report, which shows the rest of it.

Examples
--------
python benchmarks/same_results.py results/demo ../before/results/demo
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

FOLDERS_NOT_COMPARED = {"logs", "benchmarks", "cache"}
FILES_NOT_COMPARED = {".lock", "latency.json", "report.html", ".snakemake_timestamp"}


def differences(run: Path, second_run: Path) -> list[str]:
    """One line for each file that only one of the runs has, or that differs."""
    files, other_files = _files(run), _files(second_run)
    lines = [f"{name}: only in {run}" for name in sorted(files - other_files)]
    lines += [f"{name}: only in {second_run}" for name in sorted(other_files - files)]
    for name in sorted(files & other_files):
        if problem := _difference(run / name, second_run / name):
            lines.append(f"{name}: {problem}")
    return lines


def _files(run: Path) -> set[str]:
    if not run.is_dir():
        raise SystemExit(f"ERROR {run} is no folder of a run, such as results/demo")
    paths = (path.relative_to(run) for path in run.rglob("*") if path.is_file())
    return {
        path.as_posix()
        for path in paths
        if path.parts[0] not in FOLDERS_NOT_COMPARED and path.name not in FILES_NOT_COMPARED
    }


def _difference(path: Path, second_path: Path) -> str | None:
    if path.read_bytes() == second_path.read_bytes():
        return None
    if path.suffix == ".parquet":
        return _difference_of_tables(path, second_path)
    if path.suffix == ".json":
        is_same = _without_provenance(json.loads(path.read_text())) == _without_provenance(
            json.loads(second_path.read_text())
        )
        return None if is_same else "the content differs"
    return "the bytes differ"


def _difference_of_tables(path: Path, second_path: Path) -> str | None:
    table, other_table = (pq.read_table(file).replace_schema_metadata(None) for file in (path, second_path))
    if table.schema != other_table.schema:
        return "the columns or their types differ"
    if table.num_rows != other_table.num_rows:
        return f"{table.num_rows} rows and {other_table.num_rows}"
    columns = ((name, table[name].to_pandas(), other_table[name].to_pandas()) for name in table.column_names)
    unequal = [name for name, left, right in columns if not left.equals(right)]  # of pandas: NaN equals NaN
    return f"values differ in {', '.join(unequal)}" if unequal else None


def _without_provenance(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_provenance(item) for name, item in value.items() if name not in ("provenance", "code")}
    return [_without_provenance(item) for item in value] if isinstance(value, list) else value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run, results/<run>")
    parser.add_argument("other", type=Path, help="folder of the other")
    call = parser.parse_args()
    lines = differences(call.run, call.other)
    print("\n".join(lines) if lines else f"{len(_files(call.run))} files, all the same")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
