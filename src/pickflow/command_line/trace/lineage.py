"""From a row of the catalog back to the trace, the weights, the parameters and the code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pickflow.codes import station_file
from pickflow.io.atomic import StorageError
from pickflow.io.documents import AGAIN, read_json
from pickflow.io.tables import read_provenance, read_table, records
from pickflow.provenance import sha256_of_file
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.layout import AMPLITUDES_TABLE, ASSIGNMENTS_TABLE, RunLayout, manifest_of
from pickflow.schemas import AMPLITUDES, ASSIGNMENTS, EVENTS, MANIFEST, PICKS

SAME, CHANGED, GONE = "same", "CHANGED", "gone"
# What every table of a run says of itself, as far as it is needed here.
_ORIGIN = {"pickflow", "stage", "stage_version", "parameters", "inputs"}
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def trace(results: Path, name: str) -> Iterator[dict[str, Any]]:
    """
    Origin of an event or a pick of a run: one answer for each catalog, or set of picks, that has it.

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
    run = RunLayout(results)
    if not run.picks_folder.is_dir():
        raise ValueError(f"--run {results}: not the folder of a run (it has no {run.picks_folder.name}/)")
    for catalog in run.catalogs():
        path = run.catalog(catalog)
        names = _rows(path, "event_id", name)
        events = read_table(path, EVENTS) if names else pd.DataFrame(columns=["event_id"])
        for event in records(events[events["event_id"].isin(names)]):
            yield _event(run, catalog, event)
    for pick_set, day in ((key, day) for key in run.pick_sets() for day in run.days_of_picks(key)):
        path = run.picks(pick_set, day)
        names = _rows(path, "pick_id", name)
        picks = read_table(path, PICKS) if names else pd.DataFrame(columns=["pick_id"])
        for pick in records(picks[picks["pick_id"].isin(names)]):
            arrival = _arrival(run, pick_set, day, pick)
            yield _answer(results, "pick", pick["pick_id"], path, pick, [arrival], [path])


def _rows(path: Path, column: str, name: str) -> list[str]:
    """Names of a table that begin with ``name``; only their column is read."""
    try:
        values = pq.read_table(path, columns=[column])[column].to_pylist()
    except (OSError, pa.ArrowException, KeyError) as error:
        raise StorageError(f"{path}: not a readable Parquet file with a column {column} ({error})") from error
    return [value for value in values if isinstance(value, str) and value.startswith(name)]


def _event(run: RunLayout, catalog: CatalogKey, event: dict[str, Any]) -> dict[str, Any]:
    path = run.catalog(catalog)
    assignments = read_table(run.catalog(catalog, ASSIGNMENTS_TABLE), ASSIGNMENTS)
    arrivals_of_event = assignments[assignments["event_id"] == event["event_id"]]
    amplitudes = read_table(run.catalog(catalog, AMPLITUDES_TABLE), AMPLITUDES)
    days = [(event["time"] + pd.Timedelta(days=shift)).strftime("%Y-%m-%d") for shift in (-1, 0, 1)]
    arrivals = []
    for day in days:
        if (table := run.picks(catalog.pick_set, day)).exists():
            picks = read_table(table, PICKS).merge(arrivals_of_event, on="pick_id")
            arrivals += [_arrival(run, catalog.pick_set, day, row) for row in records(picks)]
    n_lost = len(arrivals_of_event) - len(arrivals)
    if n_lost:
        raise ValueError(f"{path}: {n_lost} arrivals of {event['event_id']} are in no table of picks of this run")
    row = event | {"n_amplitudes": int((amplitudes["event_id"] == event["event_id"]).sum())}
    arrivals.sort(key=lambda arrival: (arrival["time"], arrival["trace"], arrival["phase"]))
    return _answer(run.folder, "event", event["event_id"], path, row, arrivals, [path])


def _arrival(run: RunLayout, pick_set: PickSetKey, day: str, pick: dict[str, Any]) -> dict[str, Any]:
    """One pick, the waveform file that it was made on, and the weights that made it."""
    path, folder = run.picks(pick_set, day), run.waveforms(day)
    manifest = read_table(manifest_of(folder), MANIFEST)
    is_station = (manifest["network"] == pick["network"]) & (manifest["station"] == pick["station"])
    station_days = records(manifest[is_station])
    if not station_days:
        raise StorageError(f"{path}: {pick['pick_id']} is of a station that the manifest of {day} does not have")
    station_day = station_days[0]
    waveforms = station_file(folder, pick["network"], pick["station"])
    card = read_json(run.model(pick_set.model, pick_set.weights, "card.json"), {"required": ["sha256"]})
    return {
        "pick_id": pick["pick_id"],
        "trace": ".".join(pick[key] for key in ("network", "station", "location", "channel")),
        "components": station_day["components"],
        "phase": pick["phase"],
        "time": pick["time"].isoformat(),
        "probability": pick["probability"],
        "residual_s": pick.get("residual_s"),
        "signal": pick_set.signal,
        "waveforms": str(waveforms),
        "waveforms_sha256": station_day["sha256"],
        "waveforms_state": _state(waveforms, station_day["sha256"]),
        "model": pick_set.model,
        "weights": pick_set.weights,
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
    """All input files of these, from their provenance, and the parameters of each stage; not picks of other days."""
    files: dict[str, dict[str, Any]] = {}
    stages: dict[str, Any] = {}
    all_picks = RunLayout(results).picks_folder
    queue = list(begin)
    while queue:
        path = queue.pop(0)
        if path.suffix != ".parquet" or results not in path.parents or not path.exists():
            continue
        origin = read_provenance(path)
        if not origin.keys() >= _ORIGIN:
            raise StorageError(f"{path}: does not say what it was made from; {AGAIN}")
        label = f"{origin['stage']} {path.relative_to(results).parts[0]}"
        stages.setdefault(label, {key: value for key, value in origin.items() if key != "inputs"})
        for name, digest in origin["inputs"].items():
            source = _source(results, name, origin["parameters"])
            if str(source) in files or (picks and all_picks in source.parents and str(source) not in picks):
                continue
            files[str(source)] = {"path": str(source), "sha256": digest, "state": _state(source, digest)}
            queue.append(source)
    return list(files.values()), stages


def _source(results: Path, name: str, parameters: Any) -> Path:
    """The file of that name in the run, or the one outside that the parameters name."""
    if (results / name).exists():
        return results / name
    paths = (path for path in map(Path, _texts(parameters)) if path.parts[-len(Path(name).parts) :] == Path(name).parts)
    return next(paths, results / name)


def _texts(value: Any) -> Iterator[str]:
    """Every text among values at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _state(path: Path, digest: str) -> str:
    if not path.exists():
        return GONE
    return SAME if sha256_of_file(path) == digest else CHANGED


def text(answer: dict[str, Any]) -> str:
    """Text of the answer."""
    lines = [f"{answer['kind']} {answer['id']}", f"  in {answer['table']}"]
    lines += [f"    {key:26} {value}" for key, value in answer["row"].items() if value is not None]
    lines += ["", "  arrivals: pick, trace, phase, time, probability, residual"]
    for arrival in answer["arrivals"]:
        residual = "" if arrival["residual_s"] is None else f"{arrival['residual_s']:+.3f} s"
        lines.append(
            f"    {arrival['pick_id']}  {arrival['trace']:16} {arrival['phase']}  {arrival['time'][:26]}"
            f"  {arrival['probability']:.3f}  {residual}"
        )
    lines += ["", "  stages, from the last to the first"]
    for label, origin in answer["stages"].items():
        code = f", code {origin['code']}" if "code" in origin else ""
        lines.append(f"    {label}: version {origin['stage_version']} of pickflow {origin['pickflow']}{code}")
        lines.append(f"      {json.dumps(origin['parameters'], sort_keys=True)}")
    lines += ["", "  files that led to it: digest when it was used, and now"]
    days = {arrival["picks"][-len("YYYY-MM-DD.parquet") :][: len("YYYY-MM-DD")] for arrival in answer["arrivals"]}
    files = [file for file in answer["files"] if file["state"] != SAME or set(DAY.findall(file["path"])) <= days]
    lines += [f"    {file['sha256'][:16]}  {file['state']:8} {file['path']}" for file in files]
    if len(files) < len(answer["files"]):
        lines.append(f"    and {len(answer['files']) - len(files)} of other days, the same as then (--json names them)")
    changes = [file["path"] for file in answer["files"] if file["state"] == CHANGED]
    losses = [file["path"] for file in answer["files"] if file["state"] == GONE]
    lines.append("")
    if changes:
        lines.append(f"  {len(changes)} files CHANGED since; the same command makes what depends on them anew")
    if losses:
        lines.append(f"  {len(losses)} files are gone (what is denoised is temporary; deleted ones are made anew)")
    if not changes and not losses:
        lines.append(f"  all {len(answer['files'])} files are as they were")
    return "\n".join(lines)
