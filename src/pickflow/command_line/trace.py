"""``pickflow trace``: from a row of the catalog back to the trace, the weights, the parameters and the code."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from pickflow.io.tables import read_provenance, read_table, records
from pickflow.provenance import sha256_of_file
from pickflow.schemas import AMPLITUDES, ASSIGNMENTS, EVENTS, MANIFEST, PICKS

EXAMPLES = """examples:
  pickflow trace e0123456789abcdef                       an event, in all runs below results/
  pickflow trace e0123 --run results/my-run              the beginning of its name is enough
  pickflow trace p0123456789abcdef --json                a pick
exit code: 0 found, and every file is what it was when it was used; 1 not so"""
SAME, CHANGED, GONE = "same", "CHANGED", "gone"
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def run(arguments: Sequence[str]) -> int:
    """Answer a call of ``pickflow trace``."""
    given = make_parser().parse_args(arguments)
    folders = [Path(given.run)] if given.run else sorted(path.parent for path in Path("results").glob("*/catalog"))
    found = [item for folder in folders for item in trace(folder, given.id)]
    if not found:
        where = given.run or "the runs below results/"
        raise ValueError(
            f"no event or pick {given.id!r} in {where}; the column event_id of catalog.parquet or catalog.csv has"
            " the names"
        )
    names = sorted({item["id"] for item in found})
    if len(names) > 1:
        raise ValueError(
            f"{given.id!r} is the beginning of {len(names)} names: {', '.join(names[:5])} ...; write more of it"
        )
    print(json.dumps(found, indent=1) if given.json else "\n\n".join(map(text, found)))  # noqa: T201
    return int(any(file["state"] == CHANGED for item in found for file in item["files"]))


def make_parser() -> argparse.ArgumentParser:
    """The options of ``pickflow trace``."""
    show = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("pickflow trace", description=__doc__, epilog=EXAMPLES, formatter_class=show)
    parser.add_argument("id", help="event_id or pick_id, or the beginning of one")
    parser.add_argument("--run", metavar="FOLDER", help="results/<run>; otherwise all runs below results/")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    return parser


def trace(results: Path, name: str) -> Iterator[dict[str, Any]]:
    """
    Where an event or a pick of a run comes from: one answer for each catalog, or set of picks, that has it.

    Parameters
    ----------
    results : Path
        ``results/<run>``.
    name : str
        ``event_id`` or ``pick_id``, or the beginning of one.

    Yields
    ------
    dict
        ``id``, ``kind``, ``row``, ``arrivals`` (picks with trace, waveform file, weights), ``stages`` (version and
        parameters of each), ``files`` (digest when it was used, and whether it is the same now).

    Raises
    ------
    ValueError
        If the folder is not a run.
    """
    if not (results / "picks").is_dir():
        raise ValueError(f"--run {results}: not the folder of a run (it has no picks/)")
    for path in sorted(results.glob("catalog/*/*/*/*/catalog.parquet")):
        names = _rows(path, "event_id", name)
        events = read_table(path, EVENTS) if names else pd.DataFrame(columns=["event_id"])
        for event in records(events[events["event_id"].isin(names)]):
            yield _event(results, path, event)
    for path in sorted(results.glob("picks/*/*/*/*.parquet")):
        if not path.name.endswith(".ledger.parquet"):
            names = _rows(path, "pick_id", name)
            picks = read_table(path, PICKS) if names else pd.DataFrame(columns=["pick_id"])
            for pick in records(picks[picks["pick_id"].isin(names)]):
                yield _answer(results, "pick", pick["pick_id"], path, pick, [_arrival(results, path, pick)], [path])


def _rows(path: Path, column: str, name: str) -> list[str]:
    """Names of a table that begin with ``name``; only their column is read."""
    return [value for value in pq.read_table(path, columns=[column])[column].to_pylist() if value.startswith(name)]


def _event(results: Path, path: Path, event: dict[str, Any]) -> dict[str, Any]:
    folder, signal = path.parent, path.relative_to(results).parts[1]
    model, weights = path.relative_to(results).parts[2:4]
    assignments = read_table(folder / "assignments.parquet", ASSIGNMENTS)
    assigned = assignments[assignments["event_id"] == event["event_id"]]
    amplitudes = read_table(folder / "amplitudes.parquet", AMPLITUDES)
    days = [(event["time"] + pd.Timedelta(days=shift)).strftime("%Y-%m-%d") for shift in (-1, 0, 1)]
    files = [results / "picks" / signal / model / weights / f"{day}.parquet" for day in days]
    arrivals = []
    for pick_path in filter(Path.exists, files):
        picks = read_table(pick_path, PICKS).merge(assigned, on="pick_id")
        arrivals += [_arrival(results, pick_path, row) for row in records(picks)]
    lost = len(assigned) - len(arrivals)
    if lost:
        raise ValueError(f"{path}: {lost} arrivals of {event['event_id']} are in no table of picks of this run")
    row = event | {"n_amplitudes": int((amplitudes["event_id"] == event["event_id"]).sum())}
    arrivals.sort(key=lambda arrival: (arrival["time"], arrival["trace"], arrival["phase"]))
    return _answer(results, "event", event["event_id"], path, row, arrivals, [path])


def _arrival(results: Path, path: Path, pick: dict[str, Any]) -> dict[str, Any]:
    """One pick, the waveform file that it was made on, and the weights that made it."""
    _, signal, model, weights, file = path.relative_to(results).parts
    day = file.removesuffix(".parquet")
    manifest = read_table(results / "waveforms" / day / "manifest.parquet", MANIFEST)
    here = (manifest["network"] == pick["network"]) & (manifest["station"] == pick["station"])
    (station_day,) = records(manifest[here])
    waveforms = results / "waveforms" / day / f"{pick['network']}.{pick['station']}.mseed"
    card = json.loads((results / "models" / model / weights / "card.json").read_text())
    return {
        "pick_id": pick["pick_id"],
        "trace": ".".join(pick[key] for key in ("network", "station", "location", "channel")),
        "components": station_day["components"],
        "phase": pick["phase"],
        "time": pick["time"].isoformat(),
        "probability": pick["probability"],
        "residual_s": pick.get("residual_s"),
        "signal": signal,
        "waveforms": str(waveforms),
        "waveforms_sha256": station_day["sha256"],
        "waveforms_state": _state(waveforms, station_day["sha256"]),
        "model": model,
        "weights": weights,
        "weights_sha256": card["sha256"],
        "picks": str(path),
    }


def _answer(
    results: Path, kind: str, name: str, path: Path, row: dict[str, Any], arrivals: list[Any], begin: list[Path]
) -> dict[str, Any]:
    files, stages = _chain(results, begin, {arrival["picks"] for arrival in arrivals})
    for arrival in {arrival["waveforms"]: arrival for arrival in arrivals}.values():
        digest, state = arrival["waveforms_sha256"], arrival["waveforms_state"]
        files.append({"path": arrival["waveforms"], "sha256": digest, "state": state})
    for model, weights, digest in sorted({(a["model"], a["weights"], a["weights_sha256"]) for a in arrivals}):
        tensors = results / "models" / model / weights / "model.safetensors"
        files.append({"path": str(tensors), "sha256": digest, "state": _state(tensors, digest)})
    plain = {key: None if pd.isna(value) else str(value) for key, value in row.items()}
    return {
        "id": name,
        "kind": kind,
        "table": str(path),
        "row": plain,
        "arrivals": arrivals,
        "stages": stages,
        "files": files,
    }


def _chain(results: Path, begin: Sequence[Path], picks: set[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Every file that led to these, as their tables say, and how each stage was called; not picks of other days."""
    files: dict[str, dict[str, Any]] = {}
    stages: dict[str, Any] = {}
    waiting = list(begin)
    while waiting:
        path = waiting.pop(0)
        if path.suffix != ".parquet" or not path.exists():
            continue
        made = read_provenance(path)
        label = f"{made['stage']} {path.relative_to(results).parts[0]}"
        stages.setdefault(label, {key: value for key, value in made.items() if key != "inputs"})
        for name, digest in made["inputs"].items():
            source = _source(results, name, made["parameters"])
            if str(source) in files or (name.startswith("picks/") and picks and str(source) not in picks):
                continue
            files[str(source)] = {"path": str(source), "sha256": digest, "state": _state(source, digest)}
            waiting.append(source)
    return list(files.values()), stages


def _source(results: Path, name: str, parameters: Any) -> Path:
    """The file of that name in the run, or the one outside that the parameters name."""
    if (results / name).exists() or "/" in name:
        return results / name
    values = parameters.values() if isinstance(parameters, dict) else ()
    for value in values:
        if isinstance(value, dict) and (inside := _source(results, name, value)) != results / name:
            return inside
        if isinstance(value, str) and Path(value).name == name:
            return Path(value)
    return results / name


def _state(path: Path, digest: str) -> str:
    if not path.exists():
        return GONE
    return SAME if sha256_of_file(path) == digest else CHANGED


def text(found: dict[str, Any]) -> str:
    """The answer for people."""
    lines = [f"{found['kind']} {found['id']}", f"  in {found['table']}"]
    lines += [f"    {key:26} {value}" for key, value in found["row"].items() if value is not None]
    lines += ["", "  arrivals: pick, trace, phase, time, probability, residual"]
    for arrival in found["arrivals"]:
        residual = "" if arrival["residual_s"] is None else f"{arrival['residual_s']:+.3f} s"
        lines.append(
            f"    {arrival['pick_id']}  {arrival['trace']:16} {arrival['phase']}  {arrival['time'][:26]}"
            f"  {arrival['probability']:.3f}  {residual}"
        )
    lines += ["", "  stages, from the last to the first"]
    for label, made in found["stages"].items():
        code = f", code {made['code']}" if "code" in made else ""
        lines.append(f"    {label}: version {made['stage_version']} of pickflow {made['pickflow']}{code}")
        lines.append(f"      {json.dumps(made['parameters'], sort_keys=True)}")
    lines += ["", "  files that led to it: digest when it was used, and now"]
    days = {arrival["picks"][-len("YYYY-MM-DD.parquet") :][: len("YYYY-MM-DD")] for arrival in found["arrivals"]}
    shown = [file for file in found["files"] if file["state"] != SAME or set(DAY.findall(file["path"])) <= days]
    lines += [f"    {file['sha256'][:16]}  {file['state']:8} {file['path']}" for file in shown]
    if len(shown) < len(found["files"]):
        lines.append(f"    and {len(found['files']) - len(shown)} of other days, the same as then (--json names them)")
    changed = [file["path"] for file in found["files"] if file["state"] == CHANGED]
    gone = [file["path"] for file in found["files"] if file["state"] == GONE]
    lines.append("")
    if changed:
        lines.append(f"  {len(changed)} files CHANGED since; the same command makes what depends on them anew")
    if gone:
        lines.append(f"  {len(gone)} files are gone (what is denoised is temporary; deleted ones are made anew)")
    if not changed and not gone:
        lines.append(f"  all {len(found['files'])} files are as they were")
    return "\n".join(lines)
