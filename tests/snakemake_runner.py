"""Run the workflow of this checkout in a folder of its own, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]

# Ten minutes across midnight with six events: enough for every rule to have something to do.
SMALL = {
    "run": "small",
    "starttime": "2026-01-15T23:55:00Z",
    "endtime": "2026-01-16T00:05:00Z",
    "compute": {"threads": 1},
    "synthesize": {"seismicity": {"n_events": 6}},
    "download": {
        "source": "sds",
        "path": "<results>/synthetic/sds",
        "inventory": ["<results>/synthetic/stations.xml"],
        "stations": ["*.*"],
    },
    "associate": {"velocity_model": {"file": "<results>/synthetic/velocity.nd"}},
    "analyze": {"reference": {"file": "<results>/synthetic/reference.quakeml"}},
}


def command_of(arguments, directory, config=None):
    """
    Command line of a run on this checkout's Snakefile.

    Parameters
    ----------
    arguments : sequence of str
        Targets and options.
    directory : Path
        Where `results/` and `.snakemake/` go.
    config : mapping or Path, optional
        A configuration, or the path of one; without it the demo's.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", directory]
    if isinstance(config, dict):
        path = Path(directory) / "test-config.yaml"
        path.write_text(yaml.safe_dump(config))
        config = path
    command += ["--configfile", config or ROOT / "config" / "config.yaml"]
    if "--cores" not in arguments and not {"-n", "--lint"} & set(arguments):
        command += ["--cores", "1"]
    return [str(part) for part in [*command, *arguments]]


def snakemake(*arguments, directory, config=None, check=True, environment=None):
    """
    Run snakemake on this checkout's Snakefile.

    Parameters
    ----------
    *arguments, directory, config
        See `command_of`.
    check : bool
        Fail the test if snakemake fails.
    environment : mapping, optional
        Added to the environment.

    Returns
    -------
    CompletedProcess
    """
    run = subprocess.run(
        command_of(arguments, directory, config),
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if check:
        assert run.returncode == 0, f"snakemake failed:\n{run.stdout[-2000:]}\n{run.stderr[-4000:]}"
    return run


def start(*arguments, directory, config=None):
    """Start a run in a session of its own, so that it can be killed with all that it started."""
    with open(Path(directory) / "output.txt", "w") as output:
        return subprocess.Popen(
            command_of(arguments, directory, config),
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
            stdout=output,
            stderr=output,
        )


def wait_for(path, pattern, process, seconds=300):
    """Wait until a run has made a file; its path."""
    deadline = time.monotonic() + seconds
    while not (paths := list(Path(path).glob(pattern))):
        assert process.poll() is None, "the run ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return paths[0]


def tables_of(directory, run="small"):
    """Bytes of every table, catalog and page of a run, by path."""
    results = Path(directory) / "results" / run
    kinds = ("*.parquet", "*.csv", "*.quakeml", "*.json", "*.html", "*.mseed", "*.safetensors", "*.onnx", "*.xml")
    paths = [path for kind in kinds for path in results.rglob(kind)]
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in paths
        if path.relative_to(results).parts[0] not in ("logs", "cache", "benchmarks")
    }
