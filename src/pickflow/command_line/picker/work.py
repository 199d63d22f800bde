"""The picker: from options to a configuration, a run of the workflow, and its results on the terminal."""

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

from pickflow.command_line.parser import say, write_error
from pickflow.command_line.picker.configuration import bands, configuration, station_patterns, training
from pickflow.command_line.picker.files import (
    Selection,
    Supporting,
    check_key,
    inventories_in,
    scan_folder,
    sort_files,
)
from pickflow.command_line.picker.options import DEFAULT_DIRECTORY, GROUPS, Options
from pickflow.command_line.picker.tables import as_text, picks_by_group
from pickflow.command_line.progress import time_by_rule
from pickflow.command_line.workflow import (
    LogFollower,
    as_shell,
    failures,
    run_process,
    snakemake_command,
)
from pickflow.download import check_source
from pickflow.io.atomic import write_text, writing
from pickflow.run.grid import Candidate, bundled_digest, cached_weights, resolve_grid
from pickflow.run.keys import CatalogKey, PickSetKey
from pickflow.run.layout import RESULTS, RunLayout
from pickflow.run.outcome import outcome_text
from pickflow.run.resolved import check_files, placed_configuration
from pickflow.run.settings.download import DownloadParams
from pickflow.windows import days_between, parse_time

DENOISER = Candidate("DeepDenoiser", "original")
CONFIG_FILE = "picker.yaml"
INTERRUPTED = 130  # 128 + SIGINT, as shells do


class RunPlan(NamedTuple):
    """A run that can start: its configuration, pickers, warnings, and the target (None: everything)."""

    config: dict[str, Any]
    candidates: list[Candidate]
    warnings: list[str]
    target: str | None = None


def run_picker(options: Options, arguments: Sequence[str]) -> int:
    """
    Run the picker with options.

    Parameters
    ----------
    options : Options
        See `parse_options`.
    arguments : sequence of str
        The command line as written, for the head of the configuration. Results go below the current folder.

    Returns
    -------
    int
        0: all done; 1: the workflow failed, or a part of it; 2: it cannot start; 130: interrupted.
    """
    level = logging.ERROR if options.silent else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s", force=True)
    if not (options.silent or options.download or options.train):
        say(f"Looking through {options.directory or DEFAULT_DIRECTORY} …")
    try:
        plan = make_plan(options)
        layout = RunLayout.of(plan.config["run"])
        config = Path.cwd() / layout.folder / CONFIG_FILE
        _write_config(config, plan.config, arguments)
    except (ValueError, OSError) as error:
        write_error(f"ERROR {error}")
        return 2
    for warning in () if options.silent else plan.warnings:
        write_error(f"WARNING {warning}")
    if options.dry_run:
        say(config.read_text())
    missing = [] if options.dry_run or options.profile or options.train else _absent_weights(plan.candidates, layout)
    unavailable: list[Candidate] = []
    if missing:
        unavailable, code = _fetch_weights(options, config, plan.candidates, layout)
        if code:
            return code
        if unavailable:
            _write_config(config, _without(plan, unavailable), arguments)
    command = _command(options, config, plan.target)
    if not options.silent:
        say(f"The same without picker.py:\n{as_shell(command)}\n")
    code = _run(command, options, layout)
    if code or options.dry_run:
        return code
    candidates = [pair for pair in plan.candidates if pair not in unavailable]
    _show_results(options, plan._replace(candidates=candidates), layout)
    for pair in unavailable:
        write_error(f"ERROR {pair}: was left out, because its weights could not be fetched")
    return 1 if unavailable else 0


def make_plan(options: Options) -> RunPlan:
    """
    Configuration of the options, checked as far as possible without running anything.

    Raises
    ------
    ValueError
        If there is nothing to do, or an option is wrong.
    """
    if options.train:
        config, warnings = training(options)
        placed_configuration(config)
        return RunPlan(config, [], warnings, "train")
    files = sort_files(options.file)
    warnings = check_key(options.key) if options.key and options.download else []
    if options.download:
        if options.days() is None:
            raise ValueError("--download: say which days, such as -D 240501 240507")
        holding = None
    else:
        selection = Selection(
            tuple(station_patterns(options.network, options.station)),
            tuple(bands(options.channel, DownloadParams().channel_priority)),
            options.days(),
        )
        directory = options.directory or DEFAULT_DIRECTORY
        holding = scan_folder(directory, _index_folder(), selection)
        files, further_warnings = _with_stations(files, directory)
        warnings += further_warnings
    config, further_warnings = configuration(options, holding, files)
    if holding and holding.source == "directory":
        config["download"]["cache"] = str(_index_folder())
    completed = placed_configuration(config)
    check_files(completed)
    times = [parse_time(config[key]) for key in ("starttime", "endtime")]
    check_source(DownloadParams(**completed["download"]), *times)
    candidates, skipped = resolve_grid(completed["pick"]["models"], completed["pick"]["weights"], [], None, {})
    target = None if options.download or files.inventory else "picks_all"
    models_needed = candidates + ([DENOISER] if options.denoiser else [])
    return RunPlan(config, models_needed, [*warnings, *further_warnings, *skipped], target)


def _index_folder() -> Path:
    """Folder of the index of a folder of files, for all runs that read it."""
    return Path.cwd() / RESULTS / ".cache"


def _with_stations(files: Supporting, directory: Path) -> tuple[Supporting, list[str]]:
    """Supporting files with the StationXML of the directory, if no other is given."""
    if files.inventory:
        return files, []
    if inventories := inventories_in(directory):
        return files._replace(inventory=inventories), [
            f"no StationXML is given: the directory's own is taken ({', '.join(map(str, inventories))})"
        ]
    beside = inventories_in(directory.resolve().parent)
    hint = f"-F {beside[0]}" if beside else "-F stations.xml"
    return files, [f"no StationXML: waveforms are picked, but nothing can be associated; give the stations with {hint}"]


def _write_config(path: Path, config: Mapping[str, Any], arguments: Sequence[str]) -> None:
    head = f"# Written by: picker.py {shlex.join(arguments)}\n# It is written anew by each such command.\n"
    write_text(path, head + yaml.safe_dump(dict(config), sort_keys=False, width=100))


def _absent_weights(candidates: Sequence[Candidate], layout: RunLayout) -> list[Candidate]:
    """Those of the weights that would have to be fetched from SeisBench's repository."""
    cached = cached_weights(None)
    return [
        pair
        for pair in candidates
        if not bundled_digest(*pair)
        and pair.weights not in cached.get(pair.model.lower(), [])
        and not layout.model(*pair, "model.safetensors").exists()
    ]


def _fetch_weights(
    options: Options, config: Path, candidates: Sequence[Candidate], layout: RunLayout
) -> tuple[list[Candidate], int]:
    """Fetch weights before anything else; those that cannot be fetched, and an exit code if the run cannot continue."""
    start_s = time.time()
    code = _run_quietly(_command(options, config, "weights_all"), options, layout)
    unavailable = [pair for pair in candidates if not layout.model(*pair, "model.safetensors").exists()]
    for failure in failures(layout.logs("weights"), start_s):
        write_error(f"ERROR {failure}")
    if code == INTERRUPTED:
        return unavailable, code
    if DENOISER in unavailable or len(unavailable) == len(candidates):
        description = f"{DENOISER}, which comes before all pickers," if DENOISER in unavailable else "weights"
        write_error(f"ERROR nothing was picked: {description} could not be fetched")
        return unavailable, 1
    for pair in unavailable:
        write_error(f"WARNING {pair}: its weights could not be fetched; the other pickers run without it")
    return unavailable, 0


def _without(run_plan: RunPlan, unavailable: Sequence[Candidate]) -> dict[str, Any]:
    """The configuration with the rest of the pickers, each by its name."""
    pairs = [str(pair) for pair in run_plan.candidates if pair not in unavailable and pair != DENOISER]
    return {**run_plan.config, "pick": {**run_plan.config["pick"], "models": [], "weights": [], "pairs": pairs}}


def _command(options: Options, config: Path, target: str | None) -> list[str]:
    """The command of a run as the options ask for it."""
    # Two runs of one name are kept apart by a lock of the run itself, which a kill cannot leave behind.
    options_of_run = ["--keep-going", "--rerun-incomplete", "--nolock"]
    options_of_run += ["--forceall"] if options.force else []
    options_of_run += ["--dry-run"] if options.dry_run else []
    options_of_run += [] if options.verbose else ["--quiet", "host", "rules"]
    return snakemake_command(config, target, options.profile, options.cores, options_of_run)


def _run(command: Sequence[str], options: Options, layout: RunLayout) -> int:
    """Run the workflow and explain its failures; 0, 1 or 130."""
    start_s = time.time()
    if options.silent:
        code = _run_quietly(command, options, layout)
    elif options.verbose and not options.dry_run:
        with LogFollower(layout.logs(), say):
            code = run_process(command)
    else:
        code = run_process(command)
    if code == INTERRUPTED:
        write_error("Interrupted; the same command goes on where it was.")
        return code
    if code:
        reasons = failures(layout.logs(), start_s)
        for failure in reasons:
            write_error(f"ERROR {failure}")
        if options.silent and not reasons:
            write_error(_output_file(layout).read_text())
        write_error("ERROR the workflow failed; when the cause is gone, the same command goes on where it was")
    return 1 if code else 0


def _run_quietly(command: Sequence[str], options: Options, layout: RunLayout) -> int:
    if options.verbose:
        return run_process(command)
    path = _output_file(layout)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        output = path.open("w")
    with output:
        return run_process(command, output)


def _output_file(layout: RunLayout) -> Path:
    return layout.logs() / "picker.txt"


def _show_results(options: Options, run_plan: RunPlan, layout: RunLayout) -> None:
    """Show the results of a run that has succeeded."""
    config = run_plan.config
    if run_plan.target == "train":
        model, folder = config["train"]["model"], layout.trained
        say(f"Trained      {folder}; its scores are in evaluation.json")
        say(f"             to pick with it, in a configuration: weights: {{files: {{{model}/mine: {folder}}}}}")
        return
    if not layout.stations.exists():
        say(f"The results are where the profile {options.profile} puts them, below {layout.folder}.")
        return
    days = days_between(parse_time(config["starttime"]), parse_time(config["endtime"]))
    by_group = layout.picks_by_group
    table = picks_by_group(layout, _catalogs(run_plan), days, options.groups or GROUPS)
    write_text(by_group, table.to_csv(index=False))
    if options.groups and not options.silent:
        say(as_text(table) + "\n")
    if options.timing and not options.silent:
        say(as_text(time_by_rule(layout.folder)) + "\n")
    if run_plan.target:
        say(f"{layout.picks_folder}\n{by_group}")
        return
    if not options.silent:
        say(outcome_text(layout.folder))
    files = (path for key in layout.catalogs() for path in sorted(layout.catalog(key).parent.glob("catalog.*")))
    for path in [layout.report, by_group, *files]:
        say(f"{path}")
    if options.interactive:
        _open(layout, config)


def _catalogs(run_plan: RunPlan) -> list[CatalogKey]:
    """Names of the catalogs of a run, or of its picks where there are picks alone."""
    config = run_plan.config
    associators = [""] if run_plan.target else config["associate"]["methods"]
    return [
        CatalogKey(PickSetKey(signal, *pair), associator)
        for signal in config["denoise"]["methods"]
        for pair in run_plan.candidates
        if pair != DENOISER
        for associator in associators
    ]


def _open(layout: RunLayout, config: Mapping[str, Any]) -> None:
    """Open the report and show the events until Ctrl+C; without a terminal or a screen only the command for it."""
    if not _has_screen():
        say(f"No terminal or no screen: open {layout.report}, or use pickflow show {layout.folder}")
        return
    from pickflow.viewer.content import open_run  # seconds of imports that only this needs
    from pickflow.viewer.server import show

    webbrowser.open((Path.cwd() / layout.report).as_uri())
    velocity = config["associate"].get("velocity_model", {}).get("file")
    try:
        say("Events in the browser; Ctrl+C ends.")
        show(open_run(layout.folder, None, 15, velocity, True), None, None, 0, _open_page)
    except ValueError as error:
        say(f"{error}")
    except KeyboardInterrupt:
        say("")


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
