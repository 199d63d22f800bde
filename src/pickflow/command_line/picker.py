"""The picker: from options to a configuration, a run of the workflow, and what a person wants to see afterwards."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pickflow.closing import closing_words
from pickflow.command_line.picker_config import bands, configuration, station_patterns, training
from pickflow.command_line.picker_files import (
    Supporting,
    Wanted,
    check_key,
    inventories_in,
    look_through,
    sort_files,
)
from pickflow.command_line.picker_options import DEFAULT_DIRECTORY, GROUPS, Options
from pickflow.command_line.picker_run import LogFollower, as_shell, failures, run, snakemake_command
from pickflow.command_line.picker_tables import CatalogName, as_text, picks_by_group, time_by_rule
from pickflow.config import build, check_paths, complete, load_schema, place
from pickflow.download import DownloadParams, check_source
from pickflow.grid import Candidate, bundled_digest, cached_weights, resolve_grid
from pickflow.io.atomic import write_text
from pickflow.windows import days_between, parse_time

DENOISER = Candidate("DeepDenoiser", "original")
CONFIG_FILE = "picker.yaml"
INTERRUPTED = 130


class Planned(NamedTuple):
    """A run that can start: its configuration, what should be known, and what is to be made; None: everything."""

    config: dict[str, Any]
    candidates: list[Candidate]
    warnings: list[str]
    target: str | None = None


def run_picker(options: Options, arguments: Sequence[str], root: Path) -> int:
    """
    Do what the options ask for.

    Parameters
    ----------
    options : Options
        See `parse_options`.
    arguments : sequence of str
        The command line as written, for the head of the configuration.
    root : Path
        The repository of pickflow, where Snakefile and schemas are. Results go below the current folder.

    Returns
    -------
    int
        0: all done; 1: the workflow failed, or a part of what was asked for; 2: it cannot start; 130: interrupted.
    """
    level = logging.ERROR if options.silent else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s", force=True)
    if not (options.silent or options.download or options.train):
        _say(f"Looking through {options.directory or DEFAULT_DIRECTORY} …")
    try:
        planned = make_plan(options, root)
        results = Path("results") / planned.config["run"]
        config = Path.cwd() / results / CONFIG_FILE
        _write_config(config, planned.config, arguments)
    except (ValueError, OSError) as error:
        _complain(f"ERROR {error}")
        return 2
    for warning in () if options.silent else planned.warnings:
        _complain(f"WARNING {warning}")
    if options.dry_run:
        _say(config.read_text())
    missing = [] if options.dry_run or options.profile or options.train else _not_here(planned.candidates, results)
    lost: list[Candidate] = []
    if missing:
        lost, code = _fetch_weights(options, root, config, planned.candidates, results)
        if code:
            return code
        if lost:
            _write_config(config, _without(planned, lost), arguments)
    command = snakemake_command(root, options, config, planned.target)
    if not options.silent:
        _say(f"The same without picker.py:\n{as_shell(command)}\n")
    code = _run(command, options, results)
    if code or options.dry_run:
        return code
    kept = [pair for pair in planned.candidates if pair not in lost]
    _show_results(options, planned._replace(candidates=kept), results)
    for pair in lost:
        _complain(f"ERROR {pair}: was left out, because its weights could not be had")
    return 1 if lost else 0


def make_plan(options: Options, root: Path) -> Planned:
    """
    Configuration of what was asked for, checked as far as it can be without running anything.

    Raises
    ------
    ValueError
        If there is nothing to do, or what was asked for is wrong.
    """
    schema = load_schema(root / "workflow" / "schemas")
    shared = os.environ.get("PICKFLOW_SHARED", "../shared")
    if options.train:
        config, warnings = training(options, shared)
        complete(config, schema)
        return Planned(config, [], warnings, "train")
    defaults = schema["properties"]["download"]["properties"]
    files = sort_files(options.file)
    warnings = check_key(options.key) if options.key and options.download else []
    if options.download:
        if options.days() is None:
            raise ValueError("--download: say which days, such as -D 240501 240507")
        holding = None
    else:
        wanted = Wanted(
            tuple(station_patterns(options.network, options.station)),
            tuple(bands(options.channel, defaults["channel_priority"]["default"])),
            options.days(),
        )
        directory = options.directory or DEFAULT_DIRECTORY
        holding = look_through(directory, _index_folder(), wanted)
        files, more = _with_stations(files, directory)
        warnings += more
    config, more = configuration(options, holding, files, defaults)
    if holding and holding.source == "directory":
        config["download"]["cache"] = str(_index_folder())
    completed = place(complete(config, schema), {"results": f"results/{config['run']}", "shared": shared})
    check_paths(completed, made_by_run=f"results/{config['run']}/")
    times = [parse_time(config[key]) for key in ("starttime", "endtime")]
    check_source(build(DownloadParams, completed["download"]), *times)
    candidates, skipped = resolve_grid(completed["pick"]["models"], completed["pick"]["weights"], [], None, {})
    target = None if options.download or files.inventory else "picks_all"
    needed = candidates + ([DENOISER] if options.denoiser else [])
    return Planned(config, needed, [*warnings, *more, *skipped], target)


def _index_folder() -> Path:
    """Where the index of a folder of files is kept, for all runs that read it."""
    return Path.cwd() / "results" / ".cache"


def _with_stations(files: Supporting, directory: Path) -> tuple[Supporting, list[str]]:
    """Supporting files with the StationXML of the directory, if no other is given."""
    if files.inventory:
        return files, []
    if found := inventories_in(directory):
        return files._replace(inventory=found), [
            f"no StationXML is given: the directory's own is taken ({', '.join(map(str, found))})"
        ]
    beside = inventories_in(directory.resolve().parent)
    hint = f"-F {beside[0]}" if beside else "-F stations.xml"
    return files, [f"no StationXML: waveforms are picked, but nothing can be associated; give the stations with {hint}"]


def _write_config(path: Path, config: Mapping[str, Any], arguments: Sequence[str]) -> None:
    head = f"# Written by: picker.py {shlex.join(arguments)}\n# It is written anew by each such command.\n"
    write_text(path, head + yaml.safe_dump(dict(config), sort_keys=False, width=100))


def _not_here(candidates: Sequence[Candidate], results: Path) -> list[Candidate]:
    """Those of the weights that would have to be fetched from SeisBench's repository."""
    cached = cached_weights(None)
    return [
        pair
        for pair in candidates
        if not bundled_digest(*pair)
        and pair.weights not in cached.get(pair.model.lower(), [])
        and not _weights_file(results, pair).exists()
    ]


def _weights_file(results: Path, pair: Candidate) -> Path:
    return results / "models" / pair.model / pair.weights / "model.safetensors"


def _fetch_weights(
    options: Options, root: Path, config: Path, candidates: Sequence[Candidate], results: Path
) -> tuple[list[Candidate], int]:
    """Fetch weights before anything else; those that cannot be had, and an exit code if nothing can go on."""
    started = time.time()
    code = _run_quietly(snakemake_command(root, options, config, "weights_all"), options, results)
    lost = [pair for pair in candidates if not _weights_file(results, pair).exists()]
    for failure in failures(results / "logs" / "weights", started):
        _complain(f"ERROR {failure}")
    if code == INTERRUPTED:
        return lost, code
    if DENOISER in lost or len(lost) == len(candidates):
        lacking = f"{DENOISER}, which comes before all pickers," if DENOISER in lost else "weights"
        _complain(f"ERROR nothing was picked: {lacking} could not be had")
        return lost, 1
    for pair in lost:
        _complain(f"WARNING {pair}: its weights could not be had; the other pickers run without it")
    return lost, 0


def _without(planned: Planned, lost: Sequence[Candidate]) -> dict[str, Any]:
    """The configuration with the rest of the pickers, each by its name."""
    pairs = [str(pair) for pair in planned.candidates if pair not in lost and pair != DENOISER]
    return {**planned.config, "pick": {**planned.config["pick"], "models": [], "weights": [], "pairs": pairs}}


def _run(command: Sequence[str], options: Options, results: Path) -> int:
    """Run the workflow and explain its failures; 0, 1 or 130."""
    started = time.time()
    if options.silent:
        code = _run_quietly(command, options, results)
    elif options.verbose and not options.dry_run:
        with LogFollower(results / "logs", _say):
            code = run(command)
    else:
        code = run(command)
    if code == INTERRUPTED:
        _complain("Interrupted; the same command goes on where it was.")
        return code
    if code:
        found = failures(results / "logs", started)
        for failure in found:
            _complain(f"ERROR {failure}")
        if options.silent and not found:
            _complain(_output_file(results).read_text())
        _complain("ERROR the workflow failed; when the cause is gone, the same command goes on where it was")
    return 1 if code else 0


def _run_quietly(command: Sequence[str], options: Options, results: Path) -> int:
    if options.verbose:
        return run(command)
    path = _output_file(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as output:
        return run(command, output)


def _output_file(results: Path) -> Path:
    return results / "logs" / "picker.txt"


def _show_results(options: Options, planned: Planned, results: Path) -> None:
    """What a person wants to see of a run that has ended well."""
    config = planned.config
    if planned.target == "train":
        model, folder = config["train"]["model"], results / "trained"
        _say(f"Trained      {folder}; its scores are in evaluation.json")
        _say(f"             to pick with it, in a configuration: weights: {{files: {{{model}/mine: {folder}}}}}")
        return
    if not (results / "inventory" / "stations.parquet").exists():
        _say(f"The results are where the profile {options.profile} puts them, below {results}.")
        return
    days = days_between(parse_time(config["starttime"]), parse_time(config["endtime"]))
    by_group = results / "picks_by_group.csv"
    table = picks_by_group(results, _catalogs(planned), days, options.groups or GROUPS)
    write_text(by_group, table.to_csv(index=False))
    if options.groups and not options.silent:
        _say(as_text(table) + "\n")
    if options.timing and not options.silent:
        _say(as_text(time_by_rule(results)) + "\n")
    if planned.target:
        _say(f"{results / 'picks'}\n{by_group}")
        return
    if not options.silent:
        _say(closing_words(results))
    for path in [results / "report.html", by_group, *sorted((results / "catalog").glob("*/*/*/*/catalog.*"))]:
        _say(f"{path}")
    if options.interactive:
        _open(results, config)


def _catalogs(planned: Planned) -> list[CatalogName]:
    """Names of the catalogs of a run, or of its picks where there are picks alone."""
    config = planned.config
    associators = [None] if planned.target else config["associate"]["methods"]
    return [
        CatalogName(signal, *pair, associator)
        for signal in config["denoise"]["methods"]
        for pair in planned.candidates
        if pair != DENOISER
        for associator in associators
    ]


def _open(results: Path, config: Mapping[str, Any]) -> None:
    """The report, and the events one by one until Ctrl+C; without a terminal or a screen only how to see them."""
    if not _has_screen():
        _say(f"No terminal or no screen: open {results / 'report.html'}, or use scripts/show.py {results}")
        return
    from pickflow.analyze.viewer import open_run  # seconds of imports that only this needs
    from pickflow.analyze.viewer_server import show

    webbrowser.open((Path.cwd() / results / "report.html").as_uri())
    velocity = config["associate"].get("velocity_model", {}).get("file")
    try:
        _say("Events in the browser; Ctrl+C ends.")
        show(open_run(results, None, 15, velocity, True), None, None, 0, _open_page)
    except ValueError as error:
        _say(f"{error}")
    except KeyboardInterrupt:
        _say("")


def _open_page(address: str) -> None:
    webbrowser.open(address)


def _has_screen() -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
